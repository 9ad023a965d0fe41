package accounts

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/store/strictjson"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

func writeUsers(t testing.TB, dir, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "users.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	idA = "0123456789abcdef0123456789abcdef"
	idB = "fedcba9876543210fedcba9876543210"

	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhEUAI3oVnBMeUTR6qkU5dPzs1mTxuyUh3XIHqz5yz"
)

// page of users.json with one user on line 3 and more fields of that user on line 4.
func oneUser(more string) string {
	return `{"format":"sshchat-users/1",
 "users":[
  {"id":"` + idA + `","name":"alice","role":"user","created":"2026-11-23T21:38:56Z"` + more + `}]}`
}

func twoUsers(second string) string {
	return `{"format":"sshchat-users/1",
 "users":[
  {"id":"` + idA + `","name":"alice","role":"user","created":"2026-11-23T21:38:56Z"},
  ` + second + `]}`
}

func oneRoom(room string) string {
	return `{"format":"sshchat-users/1",
 "users":[
  {"id":"` + idA + `","name":"alice","role":"user","created":"2026-11-23T21:38:56Z"}],
 "rooms":[
  ` + room + `]}`
}

var malformed = []struct {
	name, content string
	line          int
	word          string // of the reason
}{
	{"empty", "", 1, "unexpected end"},
	{"not JSON", "\nusers:\n  - alice\n", 2, "invalid character"},
	{"cut short", "{\n\"users\":[\n", 3, "unexpected end"},
	{"more after the end", "{\"users\":[]}\n{}", 2, "invalid character"},
	{"trailing comma", "{\"users\":[\n],\n}", 3, "invalid character"},
	{"not UTF-8", "{\"users\":[],\n\"reserved\":[\"a\xff\"]}", 2, "UTF-8"},
	{"a list", "[]", 1, "object"},
	{"null", "null", 1, "object"},
	{"no users", "{}", 1, "missing"},
	{"users of another kind", "{\n\"users\":{}}", 2, "list"},
	{"newer format", "{\n\"format\":\"sshchat-users/3\",\"users\":[]}", 2, "newer"},
	{"no upto", "{\n\"format\":\"sshchat-users/2\",\"users\":[]}", 1, "upto"},
	{"upto below", "{\"format\":\"sshchat-users/2\",\n\"upto\":-1,\"users\":[]}", 2, "upto"},
	{"upto that is none", "{\"format\":\"sshchat-users/2\",\n\"upto\":\"1\",\"users\":[]}", 2, "upto"},
	{"upto of the older format", "{\"format\":\"sshchat-users/1\",\n\"upto\":1,\"users\":[]}", 2, "upto"},
	{"another file's format", "{\"format\":\"sshchat-history/1\",\"users\":[]}", 1, "not a list of users"},
	{"no format", strings.Replace(oneUser(""), `"format":"sshchat-users/1",`, "", 1), 1, "format"},
	{"unknown field", "{\"users\":[],\n\"user\":[]}", 2, "unknown"},
	{"field in another case", "{\n\"Users\":[]}", 2, "unknown"},
	{"field twice", "{\"users\":[],\n\"users\":[]}", 2, "twice"},
	{"user is null", twoUsers("null"), 4, "object"},
	{"user without id", twoUsers(`{"name":"bob","role":"user","created":"2026-11-23T21:38:56Z"}`), 4, "id"},
	{"user without name", twoUsers(`{"id":"` + idB + `","role":"user","created":"2026-11-23T21:38:56Z"}`), 4, "name"},
	{"user's name in upper case", oneUser(",\n\"name\":\"Alice\""), 4, "twice"},
	{"name no client can send", twoUsers("{\"id\":\"" + idB + "\",\n\"name\":\"Bob\",\"role\":\"user\"}"), 5, "lower case"},
	{"id twice", twoUsers(`{"id":"` + idA + `","name":"bob","role":"user","created":"2026-11-23T21:38:56Z"}`), 4, "id"},
	{"name twice", twoUsers(`{"id":"` + idB + `","name":"alice","role":"user","created":"2026-11-23T21:38:56Z"}`), 4, "the name alice"},
	{"a role that is none", twoUsers(`{"id":"` + idB + `","name":"bob","role":"root","created":"2026-11-23T21:38:56Z"}`), 4, "root"},
	{"role is null", twoUsers(`{"id":"` + idB + `","name":"bob","role":null,"created":"2026-11-23T21:38:56Z"}`), 4, "null"},
	{"no time", twoUsers(`{"id":"` + idB + `","name":"bob","role":"user","created":"yesterday"}`), 4, "created"},
	{"no day", oneUser(`,"seen":"23.11.2026"`), 3, "day"},
	{"user's unknown field", oneUser(",\n\"admin\":true"), 4, "unknown"},
	{"settings of another kind", oneUser(",\n\"settings\":[]"), 4, "object"},
	{"setting that is no text", oneUser(",\"settings\":{\n\"bell\":true}"), 4, "bell"},
	{"setting that is null", oneUser(",\"settings\":{\n\"bell\":null}"), 4, "null"},
	{"setting of no name", oneUser(",\"settings\":{\n\"be ll\":\"all\"}"), 4, "letters"},
	{"setting twice", oneUser(",\"settings\":{\"bell\":\"all\",\n\"bell\":\"off\"}"), 4, "twice"},
	{"setting of nothing but controls", oneUser(",\"settings\":{\n\"bell\":\"\\u001b\"}"), 4, "no printable characters"},
	{"setting too long", oneUser(",\"settings\":{\n\"ignore\":\"" + strings.Repeat("x", maxSetting+1) + "\"}"), 4, "4096"},
	{"too many settings", oneUser(",\n\"settings\":" + manySettings(chat.MaxSettings+1)), 4, "at most"},
	{"key cut short", oneUser(",\n\"keys\":[{\"key\":\"ssh-ed25519 AAAA\"}]"), 4, "incomplete"},
	{"key with options", oneUser(",\n\"keys\":[{\"key\":\"no-pty " + keyA + "\"}]"), 4, "options"},
	{"key twice", oneUser(",\"keys\":[{\"key\":\"" + keyA + "\"},\n{\"key\":\"" + keyA + " again\"}]"), 4, "already"},
	{"recipient that is none", oneUser(",\n\"password\":{\"recipient\":\"age1\",\"sealed\":\"\"}"), 4, "recipient"},
	{"sealed that is not", oneUser(",\n\"password\":{\"recipient\":\"" + someRecipient + "\",\"sealed\":\"hunter2\"}"), 4, "passphrase file"},
	{"password as text, by hand", twoUsers(`{"name":"bob",` + "\n" + `"password":"hunter2hunter2"}`), 5, "run: user create bob"},
	{"user of a name alone", twoUsers(`{"name":"bob"}`), 4, "run: user create bob"},
	{"key as text, by hand", twoUsers(`{"name":"bob","keys":["` + keyA + `"]}`), 4, "run: user create bob"},
	{"key in a field of its own, by hand", twoUsers(`{"name":"bob","key":"` + keyA + `"}`), 4, "run: user create bob"},
	{"admin by hand", twoUsers(`{"role":"admin","name":"bob"}`), 4, "--admin NAME=KEYFILE"},
	{"password as text in an account", oneUser(",\n\"password\":\"hunter2hunter2\""), 4, "run: user reset-password alice"},
	{"UTF-16", "\xff\xfe{\x00}\x00", 1, "save the file as UTF-8"},
	{"room of no name", oneRoom(`{"topic":"x"}`), 5, "name"},
	{"direct room", oneRoom(`{"name":"@alice+bob"}`), 5, "direct"},
	{"room twice", oneRoom("{\"name\":\"go\"},\n{\"name\":\"go\"}"), 6, "the name go"},
	{"stranger as a member", oneRoom("{\"name\":\"go\",\"members\":[\n{\"name\":\"bob\",\"since\":1}]}"), 6, "not a user"},
	{"member twice", oneRoom("{\"name\":\"go\",\"members\":[{\"name\":\"alice\",\"since\":1},\n{\"name\":\"alice\",\"since\":2}]}"), 6, "already"},
	{"since nothing", oneRoom("{\"name\":\"go\",\"members\":[\n{\"name\":\"alice\",\"since\":0}]}"), 6, "1 or more"},
	{"nodes of another kind", "{\"users\":[],\n\"nodes\":{}}", 2, "list"},
	{"node's unknown field", withNode(`"name":"a","key":"` + nodeKey + `","added":"2026-11-23T21:38:56Z","by":"alice"`), 3, "unknown"},
	{"node without name", withNode(`"key":"` + nodeKey + `","added":"2026-11-23T21:38:56Z"`), 3, "name of a node"},
	{"node with a subject as name", withNode(`"name":"a.b","key":"` + nodeKey + `","added":"2026-11-23T21:38:56Z"`), 3, "name of a node"},
	{"node without key", withNode(`"name":"a","added":"2026-11-23T21:38:56Z"`), 3, "key of a node"},
	{"node with a short key", withNode(`"name":"a","key":"` + nodeKey[4:] + `","added":"2026-11-23T21:38:56Z"`), 3, "key of a node"},
	{"node without time", withNode(`"name":"a","key":"` + nodeKey + `"`), 3, "time"},
	{"node twice", withNode(oneNode + "},\n{" + strings.Replace(oneNode, "c", "d", 1)), 4, "already a node a"},
	{"key of two nodes", withNode(oneNode + "},\n{" + strings.Replace(oneNode, `:"a"`, `:"b"`, 1)), 4, "that of node a"},
	{"too many nodes", withNode(manyNodes(chat.MaxNodes + 1)), 3 + chat.MaxNodes, "at most 32"},
	{"message of the day of another kind", "{\"users\":[],\n\"motd\":[]}", 2, "motd"},
	{"message of the day that is null", "{\"users\":[],\n\"motd\":null}", 2, "null"},
	{"message of the day too long", "{\"users\":[],\n\"motd\":\"" + strings.Repeat("x", text.MaxText+1) + "\"}", 2, "4096"},
	{"since below", oneRoom("{\"name\":\"go\",\"members\":[\n{\"name\":\"alice\",\"since\":-1}]}"), 6, "since"},
}

const (
	nodeKey = "CAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJic="
	oneNode = `"name":"a","key":"` + nodeKey + `","added":"2026-11-23T21:38:56Z"`
)

func withNode(fields string) string {
	return "{\"users\":[],\n\"nodes\":[\n{" + fields + "}]}"
}

func manyNodes(n int) string {
	var all []string
	for i := range n {
		key := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%032d", i))
		all = append(all, fmt.Sprintf(`"name":"n%d","key":"%s","added":"2026-11-23T21:38:56Z"`, i, key))
	}
	return strings.Join(all, "},\n{")
}

const someRecipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

func TestAttackMalformedUsersAreRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Files, "damaged or forged users.json")
	for _, c := range malformed {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeUsers(t, dir, c.content)
			u, err := Open(dir, cheap)
			if err == nil {
				u.Close()
				t.Fatal("it was taken")
			}
			if at := (strictjson.LineError{}); !errors.As(err, &at) || at.Line != c.line || !strings.Contains(err.Error(), c.word) ||
				!strings.Contains(err.Error(), fmt.Sprintf("line %d:", c.line)) || strings.Count(err.Error(), ": line ") != 1 {
				t.Errorf("want line %d and %q: %v", c.line, c.word, err)
			}
			if mustRead(t, filepath.Join(dir, "users.json")) != c.content {
				t.Error("the file was touched")
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("the folder holds %v", entries)
			}
		})
	}
	dir := t.TempDir()
	writeUsers(t, dir, oneUser(""))
	u, err := Open(dir, cheap)
	if err != nil {
		t.Fatalf("control: %v", err)
	}
	u.Close()
	row.Tried("%d ways", len(malformed))
	row.Held("refused with the line number, and left unchanged")
	row.Control("an intact file is read")
}

func TestSeedIsAccepted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seed := `{ "users": [] }`
	writeUsers(t, dir, seed)
	if err := os.Chmod(filepath.Join(dir, "users.json"), 0o644); err != nil { // as a checkout leaves it
		t.Fatal(err)
	}
	u := open(t, dir)
	if mustRead(t, u.files.path) != seed {
		t.Error("the seed was written over before anything changed")
	}
	create(t, u, "alice", "")
	if !strings.HasPrefix(mustRead(t, u.files.path), `{"format":"sshchat-users/2","upto":1,`) {
		t.Error("the file has no format")
	}
	if mustRead(t, u.files.path+".bak") != seed {
		t.Error("the seed is not the backup")
	}
}

// Some editors write a byte-order mark; the file is taken, and loses it.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeUsers(t, dir, "\ufeff"+oneUser(",\n\"keys\":[{\"key\":\"\ufeff"+keyA+"\"}]"))
	u := open(t, dir)
	create(t, u, "bob", "")
	if got := mustRead(t, u.files.path); strings.Contains(got, "\ufeff") || !strings.Contains(got, keyA) {
		t.Errorf("%q", got)
	}
	writeUsers(t, dir, "\ufeff"+mustRead(t, u.files.path))
	if _, err := u.reload(); err != nil {
		t.Errorf("reload: %v", err)
	}
}

func TestWhatOthersWillKnowIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeUsers(t, dir, `{"format":"sshchat-users/1","users":[
{"id":"`+idA+`","name":"alice","role":"admin","created":"2026-11-23T21:38:56Z","seen":"2026-11-23",
 "keys":[{"key":"`+keyA+`","label":"laptop","added":"2026-11-23T21:38:56Z","only":["history"]}],
 "settings":{"timestamps":"time","bell":"men\u001btion"}}],
"bans":[{"ip":"192.0.2.0/24","by":"alice","at":"2026-11-23T21:38:56Z"}],"invites":[{"id":"k2fa","hash":"`+strings.Repeat("ab", 32)+`","uses":2,"by":"alice","at":"2026-11-23T21:38:56Z"}],"allowlist":{"on":false,"entries":["ip=192.0.2.0/24"]},
"rooms":[{"name":"general","topic":"","private":false,"members":[{"name":"alice","since":1}]}],"reserved":["eve"]}`)
	u := open(t, dir)
	create(t, u, "bob", "")
	got := mustRead(t, u.files.path)
	for _, want := range []string{
		`"only":["history"]`, `"label":"laptop"`, `"seen":"2026-11-23"`,
		`"settings":{"bell":"mention","timestamps":"time"}`,
		`{"ip":"192.0.2.0/24","by":"alice","at":"2026-11-23T21:38:56Z"}`, `"id":"k2fa"`, `["ip=192.0.2.0/24"]`, `"eve"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is gone from\n%s", want, got)
		}
	}
	if _, _, err := parse([]byte(got)); err != nil {
		t.Error(err)
	}
}

func TestBackupWithoutTheFileIsNotANewServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	create(t, u, "alice", "")
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(u.files.path); err != nil {
		t.Fatal(err)
	}
	if u, err := Open(dir, cheap); err == nil {
		u.Close()
		t.Error("a server with accounts began anew: the next to register would be its admin")
	}
}

func TestUsersThatIsALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "users.json")); err != nil {
		t.Skip(err)
	}
	if u, err := Open(dir, cheap); err == nil || !strings.Contains(err.Error(), "regular file") {
		u.Close()
		t.Error(err)
	}
}

func FuzzUsersFile(f *testing.F) {
	for _, c := range malformed {
		f.Add([]byte(c.content))
	}
	f.Add([]byte(`{ "users": [] }`))
	f.Add([]byte(oneUser(",\n\"keys\":[{\"key\":\"" + keyA + "\",\"label\":\"x\",\"added\":\"2026-11-23T21:38:56Z\",\"only\":[]}]")))
	f.Add([]byte(oneUser(",\n\"keys\":[{\"key\":\"" + keyA + "\"}]")))
	f.Add([]byte(oneUser(`,"settings":{"bell":"all","ignore":"bob\u0007 carol"}`)))
	f.Add([]byte(oneRoom(`{"name":"general","topic":"<b>","members":[{"name":"alice","since":1}]}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, upto, err := parse(b)
		if err != nil {
			if at := (strictjson.LineError{}); !errors.As(err, &at) || at.Line < 1 || at.Line > 1+strings.Count(string(b), "\n") {
				t.Fatalf("no line: %v", err)
			}
			return
		}
		once, err := encode(r, upto)
		if err != nil {
			t.Fatal(err)
		}
		again, upto, err := parse(once)
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, once)
		}
		twice, err := encode(again, upto)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("not stable (%v):\n%s\n%s", err, once, twice)
		}
	})
}

// What a room keeps for somebody who is no user is let go of: whoever takes the name next would have it.
func TestRoomsKeepNothingForStrangers(t *testing.T) {
	dir := t.TempDir()
	writeUsers(t, dir, oneRoom(`{"name":"lab","topic":"","private":true,"by":"bob","mods":["bob","alice"],"invited":["bob"],"members":[{"name":"alice","since":1}]}`))
	u := open(t, dir)
	r, _ := u.View().Room(roomName("lab"))
	if !r.By.IsZero() || !slices.Equal(r.Mods, []chat.Name{name("alice")}) || r.MayJoin(name("bob")) {
		t.Errorf("kept: %+v", r)
	}
}
