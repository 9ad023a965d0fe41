package chat

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sshchat/sshchat/text"
)

// Sanction is a ban or a mute: of a person, or, for a ban, of addresses or a key. Exactly one of the three is set.
type Sanction struct {
	User Name         `json:"user,omitzero"`
	Net  netip.Prefix `json:"ip,omitzero"`
	Key  string       `json:"key,omitempty"` // fingerprint, SHA256:…

	By    Name      `json:"by,omitzero"`    // zero: the server
	At    time.Time `json:"at"`             // UTC, in seconds
	Until time.Time `json:"until,omitzero"` // UTC; zero: forever
	Why   string    `json:"why,omitempty"`
}

// Invite lets people register when registration is restricted. The server does not keep its code.
type Invite struct {
	ID    string    `json:"id"`
	Uses  int       `json:"uses"`        // that are left
	By    Name      `json:"by,omitzero"` // zero: the server
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"` // zero: forever
}

// Refusals of a target and of a duration, as shown to the person who typed it.
var (
	ErrTarget   = &Refusal{Code: Usage, Text: "use a name, ip=ADDRESS, ip=ADDRESS/BITS or key=SHA256:…"}
	ErrDuration = &Refusal{Code: Usage, Text: "use a number with s, m, h, d or w, such as 10m or 7d, or forever"}
)

var fingerprintPattern = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

// ParseTarget returns a Sanction of whom or what the word means. Errors wrap ErrTarget.
func ParseTarget(word string) (Sanction, error) {
	kind, rest, cut := strings.Cut(word, "=")
	switch {
	case !cut:
		name, err := text.ParseName(strings.TrimPrefix(word, "@"))
		if err != nil {
			return Sanction{}, ErrTarget.With("%q: %s", text.Clean(word, 40), ErrTarget.Text)
		}
		return Sanction{User: name}, nil
	case kind == "ip":
		if net, err := netip.ParsePrefix(rest); err == nil && !net.Addr().Is4In6() {
			return Sanction{Net: net.Masked()}, nil
		}
		if addr, err := netip.ParseAddr(rest); err == nil && addr.Zone() == "" {
			return Sanction{Net: netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())}, nil
		}
	case kind == "key" && fingerprintPattern.MatchString(rest):
		return Sanction{Key: rest}, nil
	}
	return Sanction{}, ErrTarget.With("%q: %s", text.Clean(word, 80), ErrTarget.Text)
}

// Target is how ParseTarget takes it.
func (s Sanction) Target() string {
	switch {
	case s.Key != "":
		return "key=" + s.Key
	case s.Net.IsValid():
		return "ip=" + s.Net.String()
	}
	return s.User.String()
}

// Over reports whether it has ended.
func (s Sanction) Over(now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }

// Matches reports whether it applies to that person, that address (in IPv4 form if it has one) or that key's fingerprint.
// A zero argument never matches.
func (s Sanction) Matches(name Name, addr netip.Addr, key string) bool {
	switch {
	case s.Key != "":
		return s.Key == key
	case s.Net.IsValid():
		return addr.IsValid() && s.Net.Contains(addr.Unmap())
	}
	return !s.User.IsZero() && s.User == name
}

// maxDuration is the longest that is not forever: what is meant by 9999w is forever.
const maxDuration = 100 * 365 * 24 * time.Hour

var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// ParseDuration reads how long a sanction lasts; 0 is forever. A typo must not become a ban forever, so anything that
// is not plainly a duration is refused. Errors wrap ErrDuration.
func ParseDuration(word string) (time.Duration, error) {
	if word == "forever" {
		return 0, nil
	}
	refused := ErrDuration.With("%q is not a duration: %s", text.Clean(word, 40), ErrDuration.Text)
	if len(word) < 2 {
		return 0, refused
	}
	unit := units[word[len(word)-1]]
	n, err := strconv.ParseUint(word[:len(word)-1], 10, 32)
	if unit == 0 || err != nil || n == 0 || time.Duration(n) > maxDuration/unit {
		return 0, refused
	}
	return time.Duration(n) * unit, nil
}

// sanctions is a list of bans or mutes, indexed by target. It is immutable.
type sanctions struct {
	list    []Sanction // the oldest first
	indexed int        // how many of them are in the index; the others are searched one by one
	names   map[Name]int
	keys    map[string]int
	nets    map[netip.Prefix]int
	bits    []int // lengths of the prefixes in nets, of IPv4 first

	// The array of the list may have room behind it, in which one other list that begins with this one goes on. used is how
	// much of the array is some list's; nil: all of it.
	used *atomic.Int64
}

// maxLoose is how many sanctions are searched one by one before the index is rebuilt.
const maxLoose = 64

func newSanctions(list []Sanction) sanctions {
	keys, nets := 0, 0
	for _, one := range list {
		switch {
		case one.Key != "":
			keys++
		case one.Net.IsValid():
			nets++
		}
	}
	s := sanctions{list: list, indexed: len(list),
		names: make(map[Name]int, len(list)-keys-nets), keys: make(map[string]int, keys), nets: make(map[netip.Prefix]int, nets)}
	for i, one := range list {
		switch {
		case one.Key != "":
			putLonger(s.keys, one.Key, list, i)
		case one.Net.IsValid():
			putLonger(s.nets, one.Net, list, i)
			if !slices.Contains(s.bits, one.Net.Bits()) {
				s.bits = append(s.bits, one.Net.Bits())
			}
		default:
			putLonger(s.names, one.User, list, i)
		}
	}
	return s
}

// putLonger notes the i-th of the list as that of the target, unless one before it lasts longer: a file edited by hand may
// hold two of the same target.
func putLonger[K comparable](places map[K]int, target K, list []Sanction, i int) {
	if old, ok := places[target]; ok {
		was, is := list[old].Until, list[i].Until
		if !is.IsZero() && (was.IsZero() || is.Before(was)) {
			return
		}
	}
	places[target] = i
}

// hit returns a sanction that holds and hits the person, the address (its IPv4 form if it has one) or the key. Its cost
// does not grow with the list.
func (s *sanctions) hit(at Moment, name Name, addr netip.Addr, key string) (Sanction, bool) {
	if i, ok := s.names[name]; ok && !name.IsZero() && !at.Over(s.list[i]) {
		return s.list[i], true
	}
	if i, ok := s.keys[key]; ok && key != "" && !at.Over(s.list[i]) {
		return s.list[i], true
	}
	for _, one := range s.list[s.indexed:] {
		if one.Matches(name, addr.WithZone(""), key) && !at.Over(one) {
			return one, true
		}
	}
	if !addr.IsValid() {
		return Sanction{}, false
	}
	addr = addr.Unmap().WithZone("")
	for _, bits := range s.bits {
		net, err := addr.Prefix(bits)
		if err != nil {
			continue // longer than an IPv4 address
		}
		if i, ok := s.nets[net]; ok && !at.Over(s.list[i]) {
			return s.list[i], true
		}
	}
	return Sanction{}, false
}

// with is the list with e. The index stays, if sanctions are only added or replaced, and few are not in it; and the list is
// not copied, if they are added.
func (s sanctions) with(k kind[Sanction, string], e Entries[Sanction, string]) (sanctions, error) {
	if e.IsZero() {
		return s, nil
	}
	to := s
	if s.onlyNew(e) {
		to.list, to.used = s.appended(e.Put)
	} else {
		places := places[string]{at: s.place}
		if s.twice() {
			places = k.find(s.list, len(e.Put))
			places.twice = true
		}
		var err error
		if to.list, err = k.apply(s.list, e, places); err != nil {
			return s, err
		}
		to.used = nil
	}
	if s.twice() || len(e.Removed) > 0 || e.Order != nil || len(to.list)-s.indexed > maxLoose {
		used := to.used
		to = newSanctions(to.list)
		to.used = used
	}
	return to, nil
}

// onlyNew reports whether e adds one sanction whose target has none, as most do.
func (s *sanctions) onlyNew(e Entries[Sanction, string]) bool {
	return len(e.Put) == 1 && len(e.Removed) == 0 && e.Order == nil && !s.twice() && s.place(e.Put[0].Target()) < 0
}

// appended is the list with more at its end. The first that goes on from a list uses the room behind it; others copy it.
func (s *sanctions) appended(more []Sanction) ([]Sanction, *atomic.Int64) {
	n := len(s.list) + len(more)
	if s.used != nil && n <= cap(s.list) && s.used.CompareAndSwap(int64(len(s.list)), int64(n)) {
		return append(s.list, more...), s.used
	}
	list := append(make([]Sanction, 0, n+n/8+maxLoose), s.list...)
	used := new(atomic.Int64)
	used.Store(int64(n))
	return append(list, more...), used
}

// twice reports whether a target is there twice, as in a file edited by hand.
func (s *sanctions) twice() bool { return len(s.names)+len(s.keys)+len(s.nets) < s.indexed }

// place is where the sanction of the target is in the list, -1 if there is none.
func (s *sanctions) place(target string) int {
	i, ok := 0, false
	switch kind, rest, cut := strings.Cut(target, "="); {
	case !cut:
		name, _ := text.ParseName(target)
		i, ok = s.names[name]
	case kind == "key":
		i, ok = s.keys[rest]
	default:
		net, _ := netip.ParsePrefix(rest)
		i, ok = s.nets[net]
	}
	if ok {
		return i
	}
	for i, one := range s.list[s.indexed:] {
		if one.Target() == target {
			return s.indexed + i
		}
	}
	return -1
}

func (s *sanctions) holding(at Moment) []Sanction {
	return slices.DeleteFunc(slices.Clone(s.list), at.Over)
}

// sameTarget reports whether both are of the same person, addresses or key.
func (s Sanction) sameTarget(t Sanction) bool {
	return s.User == t.User && s.Net == t.Net && s.Key == t.Key
}

// of lists the sanctions of a target that hold: one, but in a file edited by hand.
func (s *sanctions) of(at Moment, is func(Sanction) bool) (all []Sanction) {
	for _, one := range s.list {
		if is(one) && !at.Over(one) {
			all = append(all, one)
		}
	}
	return all
}
