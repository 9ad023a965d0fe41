package journaltest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Rig is a chat over the journal under test: one or more hubs over one log, each as if in a process of its own. The suite makes
// requests at its hubs, breaks it and looks at what is left. Its methods are called from one goroutine, while requests go on.
type Rig interface {
	// Hubs are the hubs that run, which all take requests. The first of them orders those of all, or at least its own.
	Hubs() []*chat.Hub
	// Restart has the processes of these hubs, by their index, or of all if none are named, end without a word as in a power
	// cut, and start again from what is durable. Requests that are on their way to a hub that is left are sent again. When it
	// returns, Hubs has the new ones, and each has caught up with what was durable.
	Restart(hubs ...int) error
	// Fault has appends fail from here on; a fault takes the place of the one before. Errors: an Unsupported.
	Fault(Fault) error
	// Dead returns what Run of the first hub returned. It waits for that.
	Dead() error
	// Stored is what somebody reads with their key of the room, out of what hub i has stored: all that was said since they are
	// in it, with what edits and deletions made of it, in order. There may be more, from before.
	Stored(i int, who Person, room chat.RoomName) ([]chat.Message, error)
	// Share makes what one key of an account opens in the room readable with all its keys. It is called while messages are said.
	// Errors: an Unsupported.
	Share(who Person, room chat.RoomName) error
	// Password is one as an account of this rig may have it. It opens nothing.
	Password() (recipient string, secret chat.Opaque)
	// Close ends the hubs in order.
	Close() error
}

// Mover is a Rig in which any hub may order the requests of all.
type Mover interface {
	Rig
	// Move has hub i do it from now on. The one that did so far goes on until it learns of that from the log.
	Move(i int) error
}

// Options are what a case wants of its rig. Where messages are not sealed there are neither windows nor archives.
type Options struct {
	Window int   // as history.Options has it
	Rotate int64 // the same
	Fault  Fault // what the case will have the rig do wrong; a rig that cannot may skip the case before it starts anything
}

// Maker makes a new rig with an empty log. It must not end the test from another goroutine.
type Maker func(t testing.TB, o Options) Rig

// Unsupported is why a rig cannot do something; the case is skipped with that reason.
type Unsupported string

func (u Unsupported) Error() string { return string(u) }

// Fault is what is wrong with a rig.
type Fault int

const (
	Sound       Fault = iota // nothing
	Refuses                  // appends fail, and nothing of them is stored: the disk is full
	OnlyDecides              // what is decided is stored, and messages are not
	Dies                     // the next append fails for good; whether it is stored nobody knows
	LosesAnswer              // the answer to each request of another hub is lost, the first time
)

// Long reports whether proofs of full length are asked for.
func Long() bool { return os.Getenv("SSHCHAT_LONG") == "1" && !race }

// Times is n, or long for a proof of full length.
func Times(n, long int) int {
	if Long() {
		return long
	}
	return n
}

// testCase is something that every journal has to pass.
type testCase struct {
	name string
	run  func(t testing.TB, maker Maker)
}

// Run runs all cases over rigs that maker makes, or those that are named, and each race so many times. All races share a rig unless proofs
// of full length are asked for, or some are named.
func Run(t *testing.T, races int, maker Maker, names ...string) {
	all := append(cases(), raceCases(races)...)
	switch {
	case len(names) > 0:
		all = slices.DeleteFunc(all, func(c testCase) bool { return !slices.Contains(names, c.name) })
		if len(all) != len(names) {
			t.Fatalf("%d cases have these names: %q", len(all), names)
		}
	case !Long():
		all = append(cases(), allRaces(races))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, maker)
		})
	}
}

func cases() []testCase {
	of := func(run func(testing.TB, Maker, Options), o Options) func(testing.TB, Maker) {
		return func(t testing.TB, maker Maker) { run(t, maker, o) }
	}
	small := Options{Rotate: 8 << 10}
	return []testCase{
		{"durable before shown", of(durableBeforeShown, Options{})},
		{"batches", of(batches, Options{})},
		{"batches in windows of 1", of(batches, Options{Window: 1})},
		{"batches and rotation", of(batches, small)},
		{"joins, edits and deletions among messages", of(amongMessages, Options{})},
		{"joins, edits and deletions in windows of 1", of(amongMessages, Options{Window: 1})},
		{"shares among messages", of(shares, Options{Window: 3, Rotate: 64 << 10})},
		{"refused once", refusedOnce},
		{"refused for good", refusedForGood},
		{"only decided", onlyDecided},
		{"an event that cannot be stored", badEvent},
		{"answers that are lost", lostAnswers},
		{"restart at every batch", of(restarts, Options{})},
		{"restart at every batch, with rotation", of(restarts, small)},
		{"crash amid requests", crashes},
		{"leadership moves amid requests", moves},
		{"leadership moves, and answers are lost", movesLosing},
		{"leadership moves, and leaders crash", movesCrashing},
	}
}

// Person is somebody with a key.
type Person struct {
	chat.Caller
	Public  chat.Key
	Private ed25519.PrivateKey
}

// NewPerson makes a key for somebody of that name, who has no account yet.
func NewPerson(t testing.TB, name string) *Person {
	t.Helper()
	p := &Person{Public: chat.Key{Reads: true, Added: time.Now().UTC().Truncate(time.Second)}}
	var err error
	if p.Name, err = text.ParseName(name); err != nil {
		t.Fatal(err)
	}
	p.newKey(t)
	return p
}

// newKey gives the person another key to log in with.
func (p *Person) newKey(t testing.TB) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var wire []byte // RFC 8709, section 4
	for _, part := range [][]byte{[]byte("ssh-ed25519"), public} {
		wire = append(binary.BigEndian.AppendUint32(wire, uint32(len(part))), part...)
	}
	sum := sha256.Sum256(wire)
	p.Private = private
	p.Public.Line = "ssh-ed25519 " + base64.StdEncoding.EncodeToString(wire)
	p.Public.Fingerprint = "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
	p.Key, p.Login.Key, p.Verified = p.Public.Fingerprint, p.Public.Fingerprint, true
}

// Account is a new one of the person's, who logs in to it from here on.
func (p *Person) Account(role chat.Role) chat.Account {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	p.Login.Account = fmt.Sprintf("%x", id)
	return chat.Account{ID: p.Login.Account, Name: p.Name, Role: role, Created: time.Now().UTC().Truncate(time.Second), Keys: []chat.Key{p.Public}}
}

// stranger is the person without an account.
func (p *Person) stranger() chat.Caller {
	who := p.Caller
	who.Login = chat.Login{}
	return who
}

// broken is whether a fault of the rig could be set; it skips the case if the rig cannot.
func broken(t testing.TB, r Rig, f Fault) {
	t.Helper()
	if err := r.Fault(f); err != nil {
		unsupported(t, err)
		t.Fatal(err)
	}
}

// unsupported skips the case if the error says that the rig cannot do something.
func unsupported(t testing.TB, err error) {
	t.Helper()
	if why := Unsupported(""); errors.As(err, &why) {
		t.Skip(string(why))
	}
}
