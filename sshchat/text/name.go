package text

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// MaxName is the longest name of a person or a room, in bytes.
const MaxName = 32

var (
	// ErrName is wrapped by every refusal of a person's name.
	ErrName = errors.New("not a valid name")
	// ErrRoomName is wrapped by every refusal of a room's name.
	ErrRoomName = errors.New("not a valid room name")
)

// One law for people and rooms: it fits a Unix login, a NATS subject token and a file name,
// and leaves '@', '#', '+' and '/' to mean something beside a name.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// Name is a person's name: lower case, as typed before the @ of an ssh command.
// Only ParseName makes one, so holding a Name is the proof that it was checked.
// The zero Name is nobody.
type Name struct{ s string }

// ParseName lower-cases s and checks it. Errors wrap ErrName and are are shown to the person who typed it.
func ParseName(s string) (Name, error) {
	low, ok := lower(s)
	if !ok || !namePattern.MatchString(low) {
		return Name{}, fmt.Errorf("%w: a name is a letter followed by up to %d of a-z, 0-9, _ and -", ErrName, MaxName-1)
	}
	return Name{low}, nil
}

// lower returns s in lower case; ok is false where something else than A to Z came to be a letter of ours,
// as U+212A KELVIN SIGN does. Its length gives it away.
func lower(s string) (low string, ok bool) {
	low = strings.ToLower(s)
	return low, len(low) == len(s)
}

func (n Name) String() string { return n.s }

// Skeleton is what names that look alike have in common, for comparing only: 0 is read as o, 1 as l, 5 as s,
// and - and _ are not there. Different names may have one skeleton; a name and its skeleton always do.
func (n Name) Skeleton() string { return skeleton.Replace(n.s) }

var skeleton = strings.NewReplacer("0", "o", "1", "l", "5", "s", "-", "", "_", "")

// Reserved reports whether nobody should be able to give themselves the name, since others would take it for the server's,
// for an admin's, or for everybody: such words, and what looks like one of them.
func (n Name) Reserved() bool {
	glance := atAGlance.Replace(n.Skeleton())
	return reserved[glance] || len(glance) > 4 && reserved[iAsL.Replace(glance)]
}

// What is read as another letter at a glance, beyond Skeleton. An i passes for an l in a longer word; ali is not all.
var (
	atAGlance = strings.NewReplacer("rn", "m", "vv", "w", "3", "e", "4", "a", "7", "t")
	iAsL      = strings.NewReplacer("i", "l")
)

// reserved holds the words, those with an i as iAsL has it.
var reserved = map[string]bool{
	"admln": true, "admlnlstrator": true, "server": true, "system": true, "all": true, "here": true, "everyone": true,
	"everybody": true, "general": true, "channel": true, "admlns": true, "admlnlstrators": true, "sysadmln": true, "sysop": true,
	"moderator": true, "moderators": true, "mod": true, "mods": true, "operator": true, "staff": true, "support": true,
}

// IsZero reports whether n is nobody.
func (n Name) IsZero() bool { return n.s == "" }

// Compare orders names by bytes.
func (n Name) Compare(o Name) int { return cmp.Compare(n.s, o.s) }

// MarshalText implements encoding.TextMarshaler.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it checks as ParseName does,
// and refuses upper case: what is stored is in its final form.
func (n *Name) UnmarshalText(b []byte) error {
	p, err := ParseName(string(b))
	if err != nil {
		return err
	}
	if p.s != string(b) {
		return fmt.Errorf("%w: %q is not lower case", ErrName, b)
	}
	*n = p
	return nil
}

// RoomName is the name of a room: "general" for #general, "@alice+bob" for the direct room of those two.
// Only ParseRoomName, Direct and UnmarshalText make one. The zero RoomName is no room.
type RoomName struct{ s string }

// General is the room everyone starts in.
var General = RoomName{"general"}

// ParseRoomName reads a public or private room's name with or without its '#'.
// Errors wrap ErrRoomName. Direct rooms come from Direct only.
func ParseRoomName(s string) (RoomName, error) {
	low, ok := lower(strings.TrimPrefix(s, "#"))
	if !ok || !namePattern.MatchString(low) {
		return RoomName{}, fmt.Errorf("%w: a room is # and a letter, followed by up to %d of a-z, 0-9, _ and -", ErrRoomName, MaxName-1)
	}
	return RoomName{low}, nil
}

// Direct is the direct room of two people, in either order.
func Direct(a, b Name) RoomName {
	if b.s < a.s {
		a, b = b, a
	}
	return RoomName{"@" + a.s + "+" + b.s}
}

// IsZero reports whether r is no room.
func (r RoomName) IsZero() bool { return r.s == "" }

// IsDirect reports whether r is a room of two.
func (r RoomName) IsDirect() bool { return strings.HasPrefix(r.s, "@") }

// Pair returns the two people of a direct room; ok is false for any other room.
func (r RoomName) Pair() (a, b Name, ok bool) {
	if !r.IsDirect() {
		return Name{}, Name{}, false
	}
	x, y, _ := strings.Cut(r.s[1:], "+")
	return Name{x}, Name{y}, true
}

// Other returns the other person in the direct room r; the zero Name if r is not direct.
func (r RoomName) Other(me Name) Name {
	a, b, ok := r.Pair()
	switch {
	case !ok:
		return Name{}
	case a == me:
		return b
	case b == me:
		return a
	}
	return Name{}
}

// String is the stored form: "general", "@alice+bob".
func (r RoomName) String() string { return r.s }

// For is the form shown to one person: "#general", and "@bob" for alice in @alice+bob.
func (r RoomName) For(me Name) string { return string(r.AppendFor(nil, me)) }

// AppendFor appends For to dst.
func (r RoomName) AppendFor(dst []byte, me Name) []byte {
	if other := r.Other(me); !other.IsZero() {
		return append(append(dst, '@'), other.s...)
	}
	if r.IsDirect() {
		return append(dst, r.s...)
	}
	return append(append(dst, '#'), r.s...)
}

// Compare orders room names by bytes.
func (r RoomName) Compare(o RoomName) int { return cmp.Compare(r.s, o.s) }

// MarshalText implements encoding.TextMarshaler with the stored form.
func (r RoomName) MarshalText() ([]byte, error) { return []byte(r.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler for the stored form only.
func (r *RoomName) UnmarshalText(b []byte) error {
	s := string(b)
	if rest, direct := strings.CutPrefix(s, "@"); direct {
		x, y, ok := strings.Cut(rest, "+")
		if !ok || !namePattern.MatchString(x) || !namePattern.MatchString(y) || x > y {
			return fmt.Errorf("%w: %q", ErrRoomName, s)
		}
		*r = RoomName{s}
		return nil
	}
	if !namePattern.MatchString(s) {
		return fmt.Errorf("%w: %q", ErrRoomName, s)
	}
	*r = RoomName{s}
	return nil
}
