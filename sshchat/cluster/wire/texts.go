package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"

	"sshchat/sshchat/chat"
	cleaned "sshchat/sshchat/text"
	"sshchat/store/journal"
)

// kinds are those of messages that are stored, by their number in texts. Only the end of the list may change.
var kinds = []chat.Kind{chat.Say, chat.Me, chat.Edit, chat.Delete, chat.React, chat.Unreact}

// tagSize is how many bytes of a SHA-256 say which batch texts belong to.
const tagSize = 16

// isMessage reports whether the event is a message, with its text or without.
func isMessage(e *chat.Event) bool { return e.Change == chat.NoChange && e.Stored == nil }

// tag identifies a batch by what of it is in its entry: another leader's batch in the same place has another one.
func tag(s *journal.Sealed) []byte {
	h := sha256.New()
	var b []byte
	add := func(n uint64) { b = binary.BigEndian.AppendUint64(b, n) }
	add(s.Batch.N)
	add(s.Change)
	add(uint64(len(s.Records)))
	b = addTo(h, b)
	for _, line := range s.Records {
		add(uint64(len(line)))
		b = addTo(h, b)
		h.Write(line)
	}
	for i := range s.Batch.Events {
		if e := &s.Batch.Events[i]; isMessage(e) {
			add(uint64(i))
			add(e.Message.Seq)
			b = append(b, e.Room.String()...)
			b = addTo(h, b)
		}
	}
	return h.Sum(nil)[:tagSize]
}

// addTo adds b to the sum, and returns its memory.
func addTo(h hash.Hash, b []byte) []byte {
	h.Write(b)
	return b[:0]
}

// encodeTexts writes who said what in the messages of a batch; nil if there are none.
func encodeTexts(s *journal.Sealed) ([]byte, error) {
	var authors table[chat.Name]
	n, size := 0, 64
	for i := range s.Batch.Events {
		if e := &s.Batch.Events[i]; isMessage(e) {
			authors.add(e.Message.From)
			n, size = n+1, size+len(e.Message.Text.String())+8
		}
	}
	if n == 0 {
		return nil, nil
	}
	e := newEncoder(size + 16*len(authors.list))
	e.b = append(e.b, tag(s)...)
	encodeTable(e, &authors)
	e.uint(uint64(n))
	for i := range s.Batch.Events {
		event := &s.Batch.Events[i]
		if !isMessage(event) {
			continue
		}
		m := &event.Message
		kind := slices.Index(kinds, m.Kind)
		if kind < 0 {
			return nil, fmt.Errorf("event %d: a message of kind %q", i, m.Kind)
		}
		e.uint(authors.add(m.From))
		e.uint(uint64(kind))
		e.uint(m.Of)
		e.string(m.Text.String())
	}
	return e.b, nil
}

// said is what the log does not have of a message.
type said struct {
	from chat.Name
	kind chat.Kind
	of   uint64
	text chat.Text
}

func (t *said) addTo(m *chat.Message) { m.From, m.Kind, m.Of, m.Text = t.from, t.kind, t.of, t.text }

// AddTexts adds to the messages of a decoded batch who said what. After an error, as when the texts are of another batch, none
// of it has changed.
func AddTexts(s *journal.Sealed, texts []byte) error {
	d := newDecoder(texts)
	if s.Batch == nil {
		d.fail(errors.New("these are only records of the history"))
	} else if own := d.take(tagSize); d.err == nil && string(own) != string(tag(s)) {
		d.fail(errors.New("they belong to another batch"))
	}
	all := decodeTexts(d)
	if err := d.end(); err != nil {
		return fmt.Errorf("decode texts: %w", err)
	}
	var messages []*chat.Message
	for i := range s.Batch.Events {
		if e := &s.Batch.Events[i]; isMessage(e) {
			messages = append(messages, &e.Message)
		}
	}
	if len(all) != len(messages) {
		return fmt.Errorf("decode texts: there are %d, of %d messages", len(all), len(messages))
	}
	for i, m := range messages {
		all[i].addTo(m)
	}
	return nil
}

// MissTexts is AddTexts of a batch whose texts did not come. known has what this node, or another that was asked, wanted said,
// and who did, by the request; the other messages become chat.Missing. It returns how many those are.
func MissTexts(s *journal.Sealed, known func(chat.RequestID) (chat.Post, chat.Name, bool)) (missing int) {
	if s.Batch == nil {
		return 0
	}
	for _, a := range s.Batch.Answers {
		if a.Event < 0 || !lacksText(&s.Batch.Events[a.Event]) {
			continue
		}
		m := &s.Batch.Events[a.Event].Message
		if p, from, ok := known(a.ID); ok && p.Room == m.Room && p.Kind.Stored() && !from.IsZero() { // another node may have answered anything
			t := said{from, p.Kind, p.Of, p.Text}
			t.addTo(m)
		}
	}
	for i := range s.Batch.Events {
		if e := &s.Batch.Events[i]; lacksText(e) {
			e.Message.Kind = chat.Missing
			missing++
		}
	}
	return missing
}

// lacksText reports whether the event is a message of which it is not known who said what.
func lacksText(e *chat.Event) bool { return isMessage(e) && !e.Message.Kind.Stored() }

func decodeTexts(d *decoder) []said {
	authors := decodeTable[chat.Name](d)
	all := make([]said, d.count(4))
	for i := range all {
		t := &all[i]
		if at := d.index(len(authors)); at >= 0 {
			t.from = authors[at]
		}
		if kind := d.index(len(kinds)); kind >= 0 {
			t.kind = kinds[kind]
		}
		t.of = d.uint()
		t.text = d.text()
	}
	return all
}

// text is a text that is clean: what cleaning changes is refused, for it is not what was sealed.
func (d *decoder) text() chat.Text {
	s := d.string()
	if s == "" {
		return chat.Text{}
	}
	t, err := cleaned.ParseText(s)
	if err != nil || t.String() != s {
		d.fail(errors.New("a text is not clean"))
	}
	return t
}
