// Package wire is how requests and batches are encoded between the nodes of a cluster. It knows nothing of how they travel.
//
// A batch travels in two parts. Its entry is what the log keeps: the records of the history as they are sealed, and beside
// them what message_history.json, users.json and the audit log show as well. Its texts are who said what, which the log never
// has. All of it is bounded by its own length when it is decoded, and refused as a whole if anything in it is not as it was
// encoded.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/accounts"
	"sshchat/store/journal"
)

// What an entry begins with, behind the version.
const (
	hasBatch = 1 << iota
	isDecided
	hasCounts // nodes before there were any refuse it

	entryFlags = hasBatch | isDecided | hasCounts
)

// The kinds of events. A change of readers is changeEvent and its chat.Change.
const (
	messageEvent  = iota // at the time of the batch
	messageEvent2        // at another
	storedEvent          // the journal's own: its records have it
	changeEvent

	eventKinds = 1 << 3 // they are in the low bits of a number whose others are the room
)

// Stored is what is left, on other nodes, of an event that only the leader's journal understands.
type Stored struct{}

// EncodeBatch encodes what a journal publishes. entry is for the log: no text, author or kind of a message is in it, and
// nothing that depends on one but the size of what is sealed. texts are for the other nodes alone, sealed on their way; nil
// without messages.
func EncodeBatch(s journal.Sealed) (entry, texts []byte, err error) {
	size := 256
	for _, line := range s.Records {
		size += len(line) + 2
	}
	e := newEncoder(size)
	var flags byte
	if s.Batch != nil {
		flags |= hasBatch
	}
	if s.Decided {
		flags |= isDecided
	}
	if s.Batch != nil && len(s.Batch.Counts) > 0 {
		flags |= hasCounts
	}
	e.byte(flags)
	e.uint(s.Change)
	e.uint(uint64(len(s.Records)))
	for _, line := range s.Records {
		e.bytes(line)
	}
	if s.Batch == nil {
		return e.b, nil, nil
	}
	if err := encodeDecided(e, &s); err != nil {
		return nil, nil, fmt.Errorf("encode batch %d: %w", s.Batch.N, err)
	}
	if err := encodeEvents(e, s.Batch); err != nil {
		return nil, nil, fmt.Errorf("encode batch %d: %w", s.Batch.N, err)
	}
	encodeAnswers(e, s.Batch.Answers)
	if flags&hasCounts != 0 {
		encodeValue(e, &s.Batch.Counts)
	}
	if texts, err = encodeTexts(&s); err != nil {
		return nil, nil, fmt.Errorf("encode the texts of batch %d: %w", s.Batch.N, err)
	}
	return e.b, texts, nil
}

// DecodeBatch decodes an entry. The batch has no States, and its messages have no more than their rooms, Seqs and times until
// AddTexts or MissTexts. The lines of its records are in the memory of entry.
func DecodeBatch(entry []byte) (journal.Sealed, error) {
	d := newDecoder(entry)
	s := decodeSealed(d)
	if err := d.end(); err != nil {
		return journal.Sealed{}, fmt.Errorf("decode a batch: %w", err)
	}
	return s, nil
}

func decodeSealed(d *decoder) (s journal.Sealed) {
	flags := d.byte()
	if flags&^entryFlags != 0 || flags != 0 && flags&hasBatch == 0 {
		d.failf("its flags are %x", flags)
	}
	s.Change = d.uint()
	if n := d.count(1); n > 0 {
		s.Records = make([][]byte, n)
	}
	for i := range s.Records {
		if s.Records[i] = d.bytes(); len(s.Records[i]) == 0 {
			d.failf("line %d of its records is empty", i+1)
		}
	}
	if flags&hasBatch == 0 || d.err != nil {
		return s
	}
	s.Batch, s.Decided = new(chat.Batch), flags&isDecided != 0
	decodeDecided(d, &s)
	decodeEvents(d, s.Batch)
	s.Batch.Answers = decodeAnswers(d, len(s.Batch.Events))
	if flags&hasCounts != 0 {
		if decodeValue(d, &s.Batch.Counts); len(s.Batch.Counts) == 0 {
			d.failf("it has counts, but lists nothing")
		}
	}
	return s
}

// encodeDecided writes what was decided, in the form that the files of a folder have it in.
func encodeDecided(e *encoder, s *journal.Sealed) error {
	e.uint(s.Batch.N)
	at := s.Batch.At
	for _, t := range []time.Time{at.Wall, at.Trusted, at.Latest, at.Stamp} {
		e.time(t)
	}
	if !s.Decided {
		if !s.Difference.IsZero() || len(s.Batch.Audit) > 0 || s.Batch.Edit != "" {
			return errors.New("internal error: something was decided in it, and it says that nothing was")
		}
		return nil
	}
	difference, err := accounts.EncodeDifference(s.Difference)
	if err != nil {
		return err
	}
	var audit []byte
	if len(s.Batch.Audit) > 0 {
		if audit, err = json.Marshal(s.Batch.Audit); err != nil {
			return err
		}
	}
	e.bytes(difference)
	e.bytes(audit)
	e.string(s.Batch.Edit)
	return nil
}

func decodeDecided(d *decoder, s *journal.Sealed) {
	s.Batch.N = d.uint()
	s.Batch.At = chat.Moment{Wall: d.time(), Trusted: d.time(), Latest: d.time(), Stamp: d.time()}
	if !s.Decided {
		return
	}
	var err error
	if s.Difference, err = accounts.DecodeDifference(d.bytes()); err != nil {
		d.failf("what was decided: %w", err)
	}
	if audit := d.bytes(); len(audit) > 0 {
		lines := json.NewDecoder(bytes.NewReader(audit))
		lines.DisallowUnknownFields()
		if err := lines.Decode(&s.Batch.Audit); err != nil || lines.InputOffset() != int64(len(audit)) {
			d.failf("lines of the audit log: %v", err)
		}
	}
	s.Batch.Edit = d.string()
}

// places are the rooms, and people whose reading changes, of a batch's events.
type places struct {
	rooms  table[chat.RoomName]
	people table[chat.Name]
}

// encodeEvents writes what happened to which room, and nothing of messages but their Seqs.
func encodeEvents(e *encoder, b *chat.Batch) error {
	var in places
	for i := range b.Events {
		in.rooms.add(b.Events[i].Room)
		if c := b.Events[i].Change; c != chat.NoChange {
			in.people.add(b.Events[i].Name)
		}
	}
	encodeTable(e, &in.rooms)
	encodeTable(e, &in.people)
	e.uint(uint64(len(b.Events)))
	for i := range b.Events {
		if err := in.encodeEvent(e, &b.Events[i], messageTime(b)); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	return nil
}

func (in *places) encodeEvent(e *encoder, event *chat.Event, at time.Time) error {
	room := in.rooms.add(event.Room) * eventKinds
	switch m := &event.Message; {
	case event.Change > chat.NoChange && event.Change <= chat.Revoke:
		e.uint(room + changeEvent + uint64(event.Change) - 1)
		e.uint(in.people.add(event.Name))
		e.uint(event.Since)
	case event.Change != chat.NoChange:
		return fmt.Errorf("it is change %d of a room's readers", event.Change)
	case event.Stored != nil:
		e.uint(room + storedEvent)
	case m.Seq == 0 || m.Room != event.Room:
		return errors.New("it is no message that is stored")
	case m.At.Equal(at):
		e.uint(room + messageEvent)
		e.uint(m.Seq)
	default:
		e.uint(room + messageEvent2)
		e.uint(m.Seq)
		e.time(m.At)
	}
	return nil
}

// messageTime is when the messages of a batch were said: they are all ordered at one time.
func messageTime(b *chat.Batch) time.Time { return b.At.Wall.UTC().Truncate(time.Millisecond) }

func decodeEvents(d *decoder, b *chat.Batch) {
	rooms := decodeTable[chat.RoomName](d)
	people := decodeTable[chat.Name](d)
	at := messageTime(b)
	n := d.count(2)
	if n > 0 {
		b.Events = make([]chat.Event, 0, min(n, 1024))
	}
	for range n {
		if d.err != nil {
			return
		}
		b.Events = append(b.Events, decodeEvent(d, rooms, people, at))
	}
}

func decodeEvent(d *decoder, rooms []chat.RoomName, people []chat.Name, at time.Time) (event chat.Event) {
	head := d.uint()
	room, kind := head/eventKinds, head%eventKinds
	if room >= uint64(len(rooms)) {
		d.failf("an event in room %d of %d", room, len(rooms))
		return event
	}
	event.Room = rooms[room]
	switch {
	case kind == storedEvent:
		event.Stored = Stored{}
	case kind >= changeEvent+uint64(chat.Revoke):
		d.failf("an event of kind %d", kind)
	case kind >= changeEvent:
		event.Change = chat.Change(kind-changeEvent) + 1
		if i := d.index(len(people)); i >= 0 {
			event.Name = people[i]
		}
		event.Since = d.uint()
	default:
		event.Message = chat.Message{Room: event.Room, Seq: d.uint(), At: at}
		if kind == messageEvent2 {
			event.Message.At = d.time()
		}
		if event.Message.Seq == 0 {
			d.fail(errors.New("a message without a number"))
		}
	}
	return event
}

// encodeAnswers writes which requests the batch has done.
func encodeAnswers(e *encoder, answers []chat.Answer) {
	var origins table[uint64]
	for _, a := range answers {
		origins.add(a.ID.Origin)
	}
	e.uint(uint64(len(origins.list)))
	for _, o := range origins.list {
		e.fixed(o)
	}
	e.uint(uint64(len(answers)))
	for _, a := range answers {
		e.uint(origins.add(a.ID.Origin))
		e.uint(a.ID.N)
		e.uint(a.ID.N - a.Settled) // mostly little
		e.uint(uint64(a.Event + 1))
	}
}

func decodeAnswers(d *decoder, events int) []chat.Answer {
	origins := make([]uint64, d.count(8))
	for i := range origins {
		origins[i] = d.fixed()
	}
	n := d.count(4)
	if n == 0 {
		return nil
	}
	answers := make([]chat.Answer, n)
	for i := range answers {
		a := &answers[i]
		if at := d.index(len(origins)); at >= 0 {
			a.ID.Origin = origins[at]
		}
		a.ID.N = d.uint()
		a.Settled = a.ID.N - d.uint()
		a.Event = d.index(events+1) - 1
	}
	return answers
}
