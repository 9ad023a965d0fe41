package store

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

var _ chat.Tallies = (*State)(nil)

// maxKnown is how many sources are read of one name.
const maxKnown = 64

// tallies is what was tried of the passwords of each name.
type tallies struct {
	mu sync.Mutex
	of map[chat.Name]chat.Tally // guarded by mu
}

// Tally implements chat.Tallies.
func (s *State) Tally(name chat.Name, t chat.Tally) {
	s.tallies.mu.Lock()
	if reflect.ValueOf(t).IsZero() {
		delete(s.tallies.of, name)
	} else {
		t.Known = slices.Clone(t.Known)
		s.tallies.of[name] = t
	}
	s.tallies.mu.Unlock()
	s.changed()
}

// Tallies implements chat.Tallies.
func (s *State) Tallies() map[chat.Name]chat.Tally {
	s.tallies.mu.Lock()
	defer s.tallies.mu.Unlock()
	return maps.Clone(s.tallies.of)
}

// read implements section.
func (t *tallies) read(v value) error {
	if err := v.object(); err != nil {
		return err
	}
	return v.walk(func(key string, field value) error {
		var name chat.Name
		if err := name.UnmarshalText([]byte(key)); err != nil {
			return field.refuse(err)
		}
		if _, twice := t.of[name]; twice {
			return field.refuse(fmt.Errorf("%s is there twice", name))
		}
		tally, err := readTally(field)
		t.of[name] = tally
		return err
	})
}

func readTally(v value) (t chat.Tally, err error) {
	err = v.fields(map[string]func(value) error{
		"wrong": into(&t.Wrong), "asked": into(&t.Asked), "next": into(&t.Next), "forgiven": into(&t.Forgiven),
		"missed": into(&t.Missed), "from": into(&t.From), "at": into(&t.At),
		"known": func(v value) error {
			return v.items(func(v value) error {
				var k chat.KnownSource
				err := v.fields(map[string]func(value) error{"source": into(&k.Source), "at": into(&k.At)})
				if err == nil && !k.Source.IsValid() {
					err = v.refuse(errors.New("a known source needs an address"))
				}
				t.Known = append(t.Known, k)
				return err
			})
		},
	})
	switch {
	case err != nil:
		return t, err
	case t.Wrong < 0 || t.Asked < 0 || t.Missed < 0:
		return t, v.refuse(errors.New("counts are not negative"))
	case len(t.Known) > maxKnown:
		return t, v.refuse(fmt.Errorf("more than %d known sources", maxKnown))
	}
	t.From = text.Clean(t.From, 64) // it is shown
	return t, nil
}

// write implements section: one line for each name.
func (t *tallies) write(p *page) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.text("{")
	list(p, "\n  ", slices.SortedFunc(maps.Keys(t.of), chat.Name.Compare), func(name chat.Name) {
		p.value(name)
		p.text(":")
		p.value(t.of[name])
	})
	p.text("}")
}
