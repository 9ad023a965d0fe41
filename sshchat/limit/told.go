package limit

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// Event is something that several servers count together, each in its own memory: they tell each other. What they tell is lost at
// most, and never counted twice.
type Event string

// The events. A server that does not know one counts it not.
const (
	Offended   Event = "offended"   // a source: it is charged
	Spared     Event = "spared"     // a known source: a wrong password came from it
	Registered Event = "registered" // a source: an account is made from it
	GivenBack  Event = "given back" // and was not made after all
	Claimed    Event = "claimed"    // a source: somebody there entered a code to become the first admin
	Forgiven   Event = "forgiven"   // a source: nothing is counted against it any more
	Notified   Event = "notified"   // a name: the sessions of its account were told of a wrong password
)

// Told is what is told.
type Told struct {
	Event   Event        `json:"event"`
	Source  netip.Prefix `json:"source,omitzero"`
	Offence Offence      `json:"offence,omitempty"` // of Offended
	Name    chat.Name    `json:"name,omitzero"`     // of Notified
}

// Teller tells the other servers what is counted here, so that what comes at once goes together. A nil Teller is that of a server
// which is alone. Its methods may be called from any goroutine.
type Teller struct {
	send func([]byte)

	mu      sync.Mutex
	waiting []Told // guarded by mu
	sending bool   // guarded by mu; a goroutine does that, or is about to
}

const (
	gather     = 20 * time.Millisecond // what comes meanwhile goes together
	mostToTell = 4096                  // what waits; more is not told
)

// NewTeller returns one that has send send what ReadTold reads: to all others that are there, one after the other.
func NewTeller(send func([]byte)) *Teller { return &Teller{send: send} }

// Tell tells something, a little later. Sources without an address, and that of Unix sockets, are another server's as little as its
// files.
func (t *Teller) Tell(what Told) {
	if t == nil || what.Name.IsZero() && (!what.Source.IsValid() || Source(what.Source) == Unix) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) < mostToTell {
		t.waiting = append(t.waiting, what)
	}
	if !t.sending {
		t.sending = true
		time.AfterFunc(gather, t.tell)
	}
}

// tell sends what waits, until nothing does.
func (t *Teller) tell() {
	for {
		t.mu.Lock()
		all := t.waiting
		t.waiting, t.sending = nil, len(all) > 0
		t.mu.Unlock()
		if len(all) == 0 {
			return
		}
		if b, err := json.Marshal(all); err == nil { // it always is
			t.send(b)
		}
	}
}

// ReadTold reads what another server tells.
func ReadTold(b []byte) ([]Told, error) {
	var all []Told
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("what is counted elsewhere: %w", err)
	}
	if len(all) > mostToTell {
		return nil, fmt.Errorf("what is counted elsewhere: %d events, %d at most", len(all), mostToTell)
	}
	for _, t := range all {
		if t.Offence < 0 || t.Offence >= offences {
			return nil, fmt.Errorf("what is counted elsewhere: an offence %d", t.Offence)
		}
		if t.Source.IsValid() && t.Source != t.Source.Masked() {
			return nil, fmt.Errorf("what is counted elsewhere: a source %s", t.Source)
		}
	}
	return all, nil
}
