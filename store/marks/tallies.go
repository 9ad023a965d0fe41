package marks

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/strictjson"
)

var _ chat.Tallies = (*Store)(nil)

// maxKnown is how many sources are read of one name.
const maxKnown = 64

// tallies is what was tried of the passwords of each name.
type tallies struct {
	mu sync.Mutex
	of map[chat.Name]chat.Tally // guarded by mu
}

// Tally implements chat.Tallies.
func (s *Store) Tally(name chat.Name, t chat.Tally) {
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
func (s *Store) Tallies() map[chat.Name]chat.Tally {
	s.tallies.mu.Lock()
	defer s.tallies.mu.Unlock()
	return maps.Clone(s.tallies.of)
}

// read implements section.
func (t *tallies) read(v strictjson.Value, skipped func(error)) error {
	if err := v.Object(); err != nil {
		return err
	}
	return v.Walk(func(key string, field strictjson.Value) error {
		var name chat.Name
		if err := name.UnmarshalText([]byte(key)); err != nil {
			return field.Refuse(err)
		}
		if _, twice := t.of[name]; twice {
			return field.Refuse(fmt.Errorf("%s is listed twice", name))
		}
		tally, err := readTally(field, skipped)
		t.of[name] = tally
		return err
	})
}

func readTally(v strictjson.Value, skipped func(error)) (t chat.Tally, err error) {
	err = v.Known(map[string]func(strictjson.Value) error{
		"wrong": strictjson.To(&t.Wrong), "asked": strictjson.To(&t.Asked), "next": strictjson.To(&t.Next), "forgiven": strictjson.To(&t.Forgiven),
		"missed": strictjson.To(&t.Missed), "from": strictjson.To(&t.From), "at": strictjson.To(&t.At),
		"known": func(v strictjson.Value) error {
			return v.Items(func(v strictjson.Value) error {
				var k chat.KnownSource
				err := v.Known(map[string]func(strictjson.Value) error{
					"source": strictjson.To(&k.Source), "at": strictjson.To(&k.At), "wrong": strictjson.To(&k.Wrong), "next": strictjson.To(&k.Next),
				}, skipped)
				switch {
				case err != nil:
				case !k.Source.IsValid():
					err = v.Refuse(errors.New("a known source needs an address"))
				case k.Wrong < 0:
					err = v.Refuse(errors.New("counts cannot be negative"))
				}
				t.Known = append(t.Known, k)
				return err
			})
		},
	}, skipped)
	switch {
	case err != nil:
		return t, err
	case t.Wrong < 0 || t.Asked < 0 || t.Missed < 0:
		return t, v.Refuse(errors.New("counts cannot be negative"))
	case len(t.Known) > maxKnown:
		skipped(v.Refuse(fmt.Errorf("more than %d known sources", maxKnown)))
		t.Known = t.Known[len(t.Known)-maxKnown:] // the latest
	}
	t.From = text.Clean(t.From, 64) // it is shown
	return t, nil
}

// clear implements section.
func (t *tallies) clear() { clear(t.of) }

// write implements section: one line for each name.
func (t *tallies) write(p *strictjson.Page) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.Text("{")
	strictjson.List(p, "\n  ", slices.SortedFunc(maps.Keys(t.of), chat.Name.Compare), func(name chat.Name) {
		p.Value(name)
		p.Text(":")
		p.Value(t.of[name])
	})
	p.Text("}")
}
