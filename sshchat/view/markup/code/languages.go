package code

import "strings"

// language is how a language is written, as far as colors need it.
type language struct {
	keywords   map[string]bool
	anyCase    bool                  // keywords are in any case
	comments   []string              // what begins a comment to the end of the line
	hashAtWord bool                  // but # only at the beginning of a word
	open, end  string                // of a comment of many lines
	quotes     string                // what strings begin and end with
	raw        string                // of these, those in which a backslash is itself
	multiline  string                // of these, those of strings that may go on in the next line
	triple     bool                  // three quotes are another kind of string, of many lines
	characters bool                  // single quotes are for one character
	stringKeys bool                  // a string before a colon is a key
	key        func(line string) int // how long the key is that a line begins with; 0 for none
	diff       bool                  // each line is of one kind
}

func words(s string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(s) {
		set[w] = true
	}
	return set
}

var slashes = []string{"//"}

// languages are all that are known, by each of their names.
var languages = named(map[string]*language{
	"go golang": {
		keywords: words("break case chan const continue default defer else fallthrough false for func go goto if import interface iota map nil package range return select struct switch true type var"),
		comments: slashes, open: "/*", end: "*/", quotes: "\"'`", raw: "`", multiline: "`", characters: true,
	},
	"c h cpp c++ cc cxx hpp": {
		keywords: words("alignas auto bool break case catch char class const constexpr continue default delete do double else enum explicit extern false final float for friend goto if inline int long namespace new noexcept nullptr operator override private protected public return short signed sizeof static struct switch template this throw true try typedef typename union unsigned using virtual void volatile while NULL"),
		comments: slashes, open: "/*", end: "*/", quotes: "\"'", characters: true,
	},
	"java kotlin kt scala cs csharp c# swift dart": {
		keywords: words("abstract as async await base bool boolean break byte case catch char class const continue data def default do double else enum extends extension false final finally float for foreach fun func guard if implements import in init int interface internal is let long namespace new nil null object open out override package private protected public record return sealed self short static string struct super switch this throw throws trait true try typealias using val var virtual void when while with yield"),
		comments: slashes, open: "/*", end: "*/", quotes: "\"'", triple: true, characters: true,
	},
	"js javascript jsx mjs ts typescript tsx": {
		keywords: words("abstract any as async await boolean break case catch class const continue debugger default delete do else enum export extends false finally for from function if implements import in instanceof interface keyof let namespace never new null number of private protected public readonly return static string super switch this throw true try type typeof undefined unknown var void while yield"),
		comments: slashes, open: "/*", end: "*/", quotes: "\"'`", multiline: "`",
	},
	"rust rs": {
		keywords: words("as async await bool break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static str struct super trait true type unsafe use where while u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64 char String"),
		comments: slashes, open: "/*", end: "*/", quotes: "\"'", multiline: "\"", characters: true,
	},
	"php": {
		keywords: words("abstract array as break case catch class const continue default do echo else elseif extends false final finally fn for foreach function global if implements interface match namespace new null private protected public readonly return static switch throw trait true try use var while yield"),
		comments: []string{"//", "#"}, open: "/*", end: "*/", quotes: "\"'", multiline: "\"'",
	},
	"python py python3": {
		keywords: words("and as assert async await break case class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return self True try while with yield"),
		comments: []string{"#"}, quotes: "\"'", triple: true,
	},
	"ruby rb": {
		keywords: words("alias and begin break case class def defined do else elsif end ensure false for if in module next nil not or private protected public raise redo require rescue retry return self super then true undef unless until when while yield"),
		comments: []string{"#"}, quotes: "\"'`", multiline: "\"'`",
	},
	"lua": {
		keywords: words("and break do else elseif end false for function goto if in local nil not or repeat return then true until while"),
		open:     "--[[", end: "]]", comments: []string{"--"}, quotes: "\"'",
	},
	"sh bash zsh shell dockerfile docker make makefile": {
		keywords: words("case do done echo elif else esac exit export fi for function if in local read return select set shift source then trap unset until while ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM RUN USER WORKDIR"),
		comments: []string{"#"}, hashAtWord: true, quotes: "\"'", raw: "'", multiline: "\"'",
	},
	"sql mysql postgres postgresql psql sqlite": {
		keywords: words("add all alter and as asc begin between by case check column commit constraint create cross default delete desc distinct drop else end exists false foreign from full group having if in index inner insert into is join key left like limit not null offset on or order outer primary references returning right rollback select set table then true union unique update using values view when where with"),
		anyCase:  true, comments: []string{"--"}, open: "/*", end: "*/", quotes: "'\"", raw: "'\"", multiline: "'",
	},
	"json jsonc json5": {
		keywords: words("true false null"), comments: slashes, open: "/*", end: "*/", quotes: "\"", stringKeys: true,
	},
	"yaml yml": {
		keywords: words("true false null yes no on off"), comments: []string{"#"}, hashAtWord: true, quotes: "\"'", raw: "'", stringKeys: true, key: yamlKey,
	},
	"toml ini conf": {
		keywords: words("true false"), comments: []string{"#", ";"}, quotes: "\"'", raw: "'", triple: true, key: tomlKey,
	},
	"diff patch": {diff: true},
})

func named(of map[string]*language) map[string]*language {
	all := make(map[string]*language)
	for names, l := range of {
		for name := range strings.FieldsSeq(names) {
			all[name] = l
		}
	}
	return all
}

// yamlKey is the length of "  - name" in "  - name: value".
func yamlKey(line string) int {
	end := strings.IndexByte(line, ':')
	if end < 0 || end+1 < len(line) && line[end+1] != ' ' || strings.ContainsAny(line[:end], "#\"'{[") {
		return 0
	}
	return end
}

// tomlKey is the length of "name" in "name = value", and that of a whole header in brackets.
func tomlKey(line string) int {
	if begin := strings.TrimLeft(line, " "); strings.HasPrefix(begin, "[") {
		return strings.LastIndexByte(line, ']') + 1
	}
	end := strings.IndexByte(line, '=')
	if end < 0 || strings.ContainsAny(line[:end], "#;\"'") {
		return 0
	}
	return end
}
