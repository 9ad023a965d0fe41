package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sshchat/sshchat/limit"
	"sshchat/sshchat/listen"
	"sshchat/sshchat/text"
)

// value is what a setting holds. Set takes a word as it is written on the command line, in the environment and in the
// configuration file alike, and its error says what would be accepted; String writes a word that Set takes.
type value interface {
	Set(word string) error
	String() string
	arg() string // what stands for it in the help
}

// repeated is a value that several words make up. Set adds to it.
type repeated interface {
	value
	clear()
	words() []string
}

// is refuses what it is, because it must be something else.
func is(what any, must string, args ...any) error {
	return fmt.Errorf("it is %v, and must be %s", what, fmt.Sprintf(must, args...))
}

// notA refuses a word that is not of the kind that is wanted.
func notA(word, kind string) error {
	if word == "" {
		return fmt.Errorf("it is empty, and must be %s", kind)
	}
	return fmt.Errorf("%q is not %s", text.Clean(word, 80), kind)
}

// number is a whole number between bounds. Where none is set, the word "none" is the largest there is, as in sshd_config(5).
type number struct {
	n        *int
	min, max int
	none     bool
}

func atLeast(n *int, min int) *number { return &number{n: n, min: min, max: math.MaxInt} }

func (v *number) Set(word string) error {
	if v.none && word == "none" {
		*v.n = v.max
		return nil
	}
	n, err := strconv.Atoi(word)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is too large", text.Clean(word, 40))
	case err != nil:
		return notA(word, "a whole number")
	case v.max == math.MaxInt && n < v.min:
		return is(n, "%d or more", v.min)
	case n < v.min || n > v.max:
		return is(n, "%d to %d", v.min, v.max)
	}
	*v.n = n
	return nil
}

func (v *number) String() string {
	if v.none && *v.n == v.max {
		return "none"
	}
	return strconv.Itoa(*v.n)
}

func (v *number) arg() string {
	if v.none {
		return "N|none"
	}
	return "N"
}

// rate is so many a second: more than 0.
type rate struct{ n *float64 }

func (v *rate) Set(word string) error {
	n, err := strconv.ParseFloat(word, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is too large", text.Clean(word, 40))
	case err != nil:
		return notA(word, "a number, such as 2 or 0.5")
	case !(n > 0) || math.IsInf(n, 0):
		return is(word, "more than 0")
	}
	*v.n = n
	return nil
}

func (v *rate) String() string { return strconv.FormatFloat(*v.n, 'g', -1, 64) }
func (*rate) arg() string      { return "N" }

// span is a time, as sshd_config(5) has them: 90, 90s, 1m30s, 2h, 7d, 1w; also less than a second, as 300ms. zero says what
// 0 means, if it is accepted; off, if it is not, is what 0 would mean in OpenSSH.
type span struct {
	d         *time.Duration
	zero, off string
}

func (v *span) Set(word string) error {
	d, err := parseTime(word)
	switch {
	case err != nil:
		return err
	case d == 0 && v.zero == "" && v.off != "":
		return fmt.Errorf("it is 0, which would be %s, and must be more than 0", v.off)
	case d < 0 && v.zero != "":
		return is(word, "0 or more")
	case d < 0 || d == 0 && v.zero == "":
		return is(word, "more than 0")
	}
	*v.d = d
	return nil
}

func (v *span) String() string { return timeWord(*v.d) }
func (*span) arg() string      { return "TIME" }

type timeUnit struct {
	name byte
	is   time.Duration
}

// timeUnits are those of sshd_config(5), the largest first.
var timeUnits = []timeUnit{{'w', 7 * 24 * time.Hour}, {'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// parseTime reads a time as sshd_config(5) has them, or as Go writes them.
func parseTime(word string) (time.Duration, error) {
	bad := notA(word, "a time, such as 30s, 2m, 1h30m or 7d; a number alone is seconds")
	if d, err := time.ParseDuration(word); err == nil {
		return d, nil
	}
	var sum time.Duration
	rest := word
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, bad
		}
		unit := time.Second
		if rest = rest[digits:]; rest != "" {
			i := slices.IndexFunc(timeUnits, func(u timeUnit) bool { return u.name == rest[0]|0x20 })
			if i < 0 {
				return 0, bad
			}
			unit, rest = timeUnits[i].is, rest[1:]
		}
		if n > int64((math.MaxInt64-sum)/unit) {
			return 0, fmt.Errorf("%s is too long", text.Clean(word, 40))
		}
		sum += time.Duration(n) * unit
	}
	if word == "" {
		return 0, bad
	}
	return sum, nil
}

// timeWord is the shortest word for a time: "90d", "1h30m", "300ms".
func timeWord(d time.Duration) string {
	if day := timeUnits[1].is; d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	word := d.String()
	if strings.HasSuffix(word, "m0s") {
		word = strings.TrimSuffix(word, "0s")
	}
	if strings.HasSuffix(word, "h0m") {
		word = strings.TrimSuffix(word, "0m")
	}
	if word == "0s" {
		return "0"
	}
	return word
}

// size is a number of bytes, as 32MiB; 0 is none.
type size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

func (s *size) Set(word string) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(word, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.bytes {
			break
		}
		*s = size(n * u.bytes)
		return nil
	}
	return notA(word, "a size, such as 512KiB, 32MiB or 1GiB")
}

func (*size) arg() string { return "SIZE" }

func (s *size) String() string {
	for _, u := range sizeUnits {
		if n := int64(*s); n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return "0"
}

// keep is how long archives of the history are kept: a time, as 365d or 48h, a size, or both as 365d,1GiB.
type keep struct {
	age   time.Duration
	bytes size
}

func (k *keep) Set(words string) error {
	var set keep
	for word := range strings.SplitSeq(words, ",") {
		if words == "" || words == "all" {
			break
		}
		var age time.Duration
		err := errors.New("a number alone is a size")
		if strings.Trim(word, "0123456789") != "" {
			age, err = parseTime(word)
		}
		switch {
		case err == nil && age > 0 && set.age == 0:
			set.age = age
		case err != nil && set.bytes == 0 && set.bytes.Set(word) == nil && set.bytes > 0:
		default:
			return notA(word, "a time, such as 365d or 48h, a size, such as 1GiB, both, such as 365d,1GiB, or all")
		}
	}
	*k = set
	return nil
}

func (*keep) arg() string { return "all|TIME,SIZE" }

func (k *keep) String() string {
	var words []string
	if k.age > 0 {
		words = append(words, timeWord(k.age))
	}
	if k.bytes > 0 {
		words = append(words, k.bytes.String())
	}
	if len(words) == 0 {
		return "all"
	}
	return strings.Join(words, ",")
}

// yesNo is yes or no, as in sshd_config(5).
type yesNo struct{ is *bool }

func (v yesNo) Set(word string) error {
	yes, err := parseYesNo(word)
	if err == nil {
		*v.is = yes
	}
	return err
}

func parseYesNo(word string) (bool, error) {
	switch strings.ToLower(word) {
	case "yes", "true", "on", "1", "t":
		return true, nil
	case "no", "false", "off", "0", "f":
		return false, nil
	}
	return false, notA(word, "yes or no")
}

func (v yesNo) String() string {
	if *v.is {
		return "yes"
	}
	return "no"
}

func (yesNo) arg() string { return "yes|no" }

// choice is one of a few words.
type choice struct {
	word *string
	of   []string
}

func (v *choice) Set(word string) error {
	if !slices.Contains(v.of, word) {
		last := len(v.of) - 1
		return is(strconv.Quote(text.Clean(word, 80)), "%s or %s", strings.Join(v.of[:last], ", "), v.of[last])
	}
	*v.word = word
	return nil
}

func (v *choice) String() string { return *v.word }
func (v *choice) arg() string    { return strings.Join(v.of, "|") }

// textual is text that check accepts.
type textual struct {
	text  *string
	what  string // in the help
	check func(string) error
}

func (v *textual) Set(word string) error {
	if err := v.check(word); err != nil {
		return err
	}
	*v.text = word
	return nil
}

func (v *textual) String() string { return *v.text }
func (v *textual) arg() string    { return v.what }

// list is several texts, each of which check accepts.
type list struct {
	texts *[]string
	what  string
	check func(string) error
}

func (v *list) Set(word string) error {
	if err := v.check(word); err != nil {
		return err
	}
	*v.texts = append(*v.texts, word)
	return nil
}

func (v *list) String() string  { return strings.Join(*v.texts, ",") }
func (v *list) arg() string     { return v.what }
func (v *list) clear()          { *v.texts = nil }
func (v *list) words() []string { return *v.texts }

// inList splits words where commas or spaces separate them, as values that contain neither may be written.
func inList(words string) []string {
	return strings.FieldsFunc(words, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
}

// addresses are what to listen on, several in one word if commas or spaces separate them.
type addresses []string

func (a *addresses) Set(words string) error {
	all := inList(words)
	if len(all) == 0 {
		return listen.Check(words)
	}
	for _, word := range all {
		if err := listen.Check(word); err != nil {
			return err
		}
		if slices.Contains(*a, word) && !strings.HasSuffix(word, ":0") { // where the system chooses a port for each
			return fmt.Errorf("%s is set twice", text.Clean(word, 80))
		}
		*a = append(*a, word)
	}
	return nil
}

func (*addresses) arg() string       { return "ADDRESS" }
func (a *addresses) clear()          { *a = nil }
func (a *addresses) String() string  { return strings.Join(*a, ",") }
func (a *addresses) words() []string { return *a }

// prefixes are addresses and networks, several in one word if commas or spaces separate them.
type prefixes []netip.Prefix

func (p *prefixes) Set(words string) error {
	all := inList(words)
	if len(all) == 0 && words != "" {
		return notA(words, anAddress)
	}
	for _, word := range all {
		if word == limit.Unix.String() {
			*p = append(*p, netip.Prefix(limit.Unix))
			continue
		}
		prefix, err := netip.ParsePrefix(word)
		if addr, alone := netip.ParseAddr(word); alone == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil || prefix.Addr().Is4In6() {
			return notA(word, anAddress)
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

const anAddress = "an address, such as 192.0.2.1, or a network, such as 192.0.2.0/24"

func (*prefixes) arg() string      { return "CIDR,..." }
func (p *prefixes) clear()         { *p = nil }
func (p *prefixes) String() string { return strings.Join(p.words(), ",") }

func (p *prefixes) words() []string {
	words := make([]string, len(*p))
	for i, prefix := range *p {
		words[i] = prefix.String()
		if prefix.IsSingleIP() {
			words[i] = limit.Source(prefix).String()
		}
	}
	return words
}

// startups is sshd_config(5)'s MaxStartups: start:rate:full, or full alone.
type startups struct{ l *limit.AdmissionLimits }

func (v startups) Set(word string) error {
	var n []int
	for part := range strings.SplitSeq(word, ":") {
		i, err := strconv.Atoi(part)
		if err != nil {
			return notA(word, "start:rate:full, such as 10:30:100, or a number of connections")
		}
		n = append(n, i)
	}
	switch len(n) {
	case 1:
		n = []int{n[0], 100, n[0]}
	case 3:
	default:
		return notA(word, "start:rate:full, such as 10:30:100, or a number of connections")
	}
	start, percent, full := n[0], n[1], n[2]
	switch {
	case start < 1:
		return is(word, "1 or more connections from the start")
	case percent < 1 || percent > 100:
		return is(word, "start:rate:full with a rate of 1 to 100 percent")
	case start > full:
		return is(word, "start:rate:full with a start that is not above full")
	}
	v.l.DropFrom, v.l.DropRate, v.l.Starting = start, float64(percent)/100, full
	return nil
}

func (v startups) String() string {
	return fmt.Sprintf("%d:%d:%d", v.l.DropFrom, int(math.Round(v.l.DropRate*100)), v.l.Starting)
}

func (startups) arg() string { return "START:RATE:FULL" }

// channels is sshd_config(5)'s ChannelTimeout: none, or pairs such as "session:shell=12h session:command=none".
type channels struct{ shell, command *time.Duration }

func (v channels) Set(words string) error {
	const form = `none, or times, as "session=12h" or "session:shell=12h session:command=1h"`
	var shell, command time.Duration
	fields := inList(words)
	if len(fields) == 0 {
		return notA(words, form)
	}
	for _, field := range fields {
		if field == "none" && len(fields) == 1 {
			break
		}
		kind, at, ok := strings.Cut(field, "=")
		var d time.Duration
		if at != "none" {
			var err error
			if d, err = parseTime(at); err != nil && ok {
				return err
			}
		}
		switch {
		case !ok || d < 0:
			return notA(field, form)
		case kind == "session":
			shell, command = d, d
		case kind == "session:shell":
			shell = d
		case kind == "session:command":
			command = d
		default:
			return notA(field, form)
		}
	}
	*v.shell, *v.command = shell, command
	return nil
}

func (v channels) String() string {
	if *v.shell == *v.command {
		if *v.shell == 0 {
			return "none"
		}
		return "session=" + timeWord(*v.shell)
	}
	var words []string
	for _, part := range []struct {
		kind string
		d    time.Duration
	}{{"session:shell", *v.shell}, {"session:command", *v.command}} {
		if part.d > 0 {
			words = append(words, part.kind+"="+timeWord(part.d))
		}
	}
	return strings.Join(words, " ")
}

func (channels) arg() string { return "none|TIMES" }

// offences are the words of sshd_config(5) for what sources are charged for, and what they mean here.
var offences = []struct {
	word string
	what limit.Offence
}{{"authfail", limit.AuthFail}, {"noauth", limit.NoAuth}, {"grace-exceeded", limit.GraceExceeded}}

// penalties is sshd_config(5)'s PerSourcePenalties: no, yes, or times such as "authfail:5s min:15s", where what is not
// mentioned is as by default.
type penalties struct{ l *limit.PenaltyLimits }

// longestPenalty keeps the sums of charges, which double, far from the end of time.Duration.
const longestPenalty = 365 * 24 * time.Hour

func (v penalties) Set(words string) error {
	set := limit.DefaultPenalties
	if yes, err := parseYesNo(words); err == nil {
		set.Penalties = yes
		*v.l = set
		return nil
	}
	const form = `yes, no, or times, as "authfail:5s noauth:1s grace-exceeded:10s min:15s max:10m"`
	fields := inList(words)
	if len(fields) == 0 {
		return notA(words, form)
	}
	for _, field := range fields {
		word, at, ok := strings.Cut(field, ":")
		to := map[string]*time.Duration{"min": &set.Least, "max": &set.Longest}[word]
		for _, o := range offences {
			if word == o.word {
				to = &set.Charge[o.what]
			}
		}
		if !ok || to == nil {
			return notA(field, form)
		}
		d, err := parseTime(at)
		if err != nil {
			return err
		}
		if d < 0 || d > longestPenalty {
			return is(field, "a time of 0 to %s", timeWord(longestPenalty))
		}
		*to = d
	}
	if set.Least > set.Longest {
		return fmt.Errorf("min is %s, and must not be more than max, which is %s", timeWord(set.Least), timeWord(set.Longest))
	}
	*v.l = set
	return nil
}

func (v penalties) String() string {
	if !v.l.Penalties {
		return "no"
	}
	if *v.l == limit.DefaultPenalties {
		return "yes"
	}
	var words []string
	for _, o := range offences {
		words = append(words, o.word+":"+timeWord(v.l.Charge[o.what]))
	}
	return strings.Join(append(words, "min:"+timeWord(v.l.Least), "max:"+timeWord(v.l.Longest)), " ")
}

func (penalties) arg() string { return "yes|no|TIMES" }
