package wire

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	cleaned "sshchat/sshchat/text"
	"sshchat/store/journal"
)

func name(t testing.TB, s string) chat.Name {
	t.Helper()
	n, err := cleaned.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func room(t testing.TB, s string) chat.RoomName {
	t.Helper()
	r, err := cleaned.ParseRoomName(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func words(t testing.TB, s string) chat.Text {
	t.Helper()
	w, err := cleaned.ParseText(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 123456789, time.UTC)

// talk is a batch of n messages in two rooms, among them each kind, and a change of readers and of the journal's own.
func talk(t testing.TB, n int) journal.Sealed {
	t.Helper()
	b := &chat.Batch{N: 7, At: chat.Moment{Wall: noon, Trusted: noon.Add(-time.Second), Latest: noon, Stamp: noon}}
	s := journal.Sealed{Batch: b, Change: 3}
	rooms := []chat.RoomName{chat.General, cleaned.Direct(name(t, "ann"), name(t, "ben"))}
	for i := range n {
		m := chat.Message{Room: rooms[i%2], Seq: uint64(100 + i/2), At: messageTime(b), From: name(t, fmt.Sprintf("author%d", i%5)), Kind: kinds[i%len(kinds)], Of: uint64(i % 3)}
		if m.Kind != chat.Delete {
			m.Text = words(t, fmt.Sprintf("secret words %d 🙂", i))
		}
		if i == 1 {
			m.At = m.At.Add(-time.Minute)
		}
		b.Events = append(b.Events, chat.Event{Room: m.Room, Message: m})
		b.Answers = append(b.Answers, chat.Answer{ID: chat.RequestID{Origin: 1<<63 + uint64(i%3), N: uint64(i + 1)}, Settled: uint64(i), Event: i})
		s.Records = append(s.Records, fmt.Appendf(nil, `{"n":%d,"t":"msg","body":"%s"}`, i, strings.Repeat("sealed", 50)))
	}
	b.Events = append(b.Events,
		chat.Event{Room: rooms[0], Change: chat.Join, Name: name(t, "newcomer"), Since: 99},
		chat.Event{Room: rooms[0], Change: chat.Revoke, Name: name(t, "newcomer")},
		chat.Event{Room: rooms[1], Stored: &struct{ secret string }{"of the leader"}})
	b.Answers = append(b.Answers, chat.Answer{ID: chat.RequestID{Origin: 5, N: 3}, Settled: 3, Event: -1})
	return s
}

// tried is a batch in which passwords were counted, besides messages.
func tried(t testing.TB) journal.Sealed {
	t.Helper()
	s := talk(t, 2)
	at := noon.Truncate(time.Millisecond)
	s.Batch.Counts = []chat.Count{
		{Name: name(t, "ann"), Tally: chat.Tally{Wrong: 7, Asked: 1, Next: at.Add(time.Minute), Forgiven: at, Missed: 9, From: "192.0.2.1", At: at,
			Known: []chat.KnownSource{{Source: netip.MustParsePrefix("192.0.2.0/32"), At: at, Wrong: 2, Next: at}, {Source: netip.MustParsePrefix("2001:db8::/64"), At: at}}}},
		{Name: name(t, "ben")},
	}
	return s
}

// encoded is what of a batch its decoding must have.
func encoded(s journal.Sealed) journal.Sealed {
	b := *s.Batch
	b.Events = append([]chat.Event(nil), b.Events...)
	for i := range b.Events {
		if b.Events[i].State = nil; b.Events[i].Stored != nil {
			b.Events[i].Stored = Stored{}
		}
	}
	b.Before, b.After = nil, nil
	s.Batch = &b
	return s
}

func TestBatchesTravel(t *testing.T) {
	t.Parallel()
	decided := talk(t, 4)
	decided.Decided = true
	decided.Difference = chat.Difference{
		RoomsRemoved: []chat.RoomName{room(t, "old")},
		Bans:         chat.Entries[chat.Sanction, string]{Put: []chat.Sanction{{User: name(t, "mallory"), At: noon.Truncate(time.Second), Why: "spam"}}},
		Reserved:     chat.Entries[chat.Name, chat.Name]{Put: []chat.Name{name(t, "gone")}},
	}
	decided.Batch.Audit = []chat.AuditEntry{{At: noon.Truncate(time.Millisecond), By: "ann", Do: "ban", On: "mallory", Text: "<spam> & \u2028"}}
	decided.Batch.Edit = strings.Repeat("ab", 32)
	empty := journal.Sealed{Batch: &chat.Batch{N: 1}}
	for i, s := range []journal.Sealed{tried(t), talk(t, 0), talk(t, 1), talk(t, 300), decided, empty, {Change: 9, Records: [][]byte{[]byte("{}")}}} {
		entry, texts, err := EncodeBatch(s)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		got, err := DecodeBatch(entry)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if texts != nil {
			if err := AddTexts(&got, texts); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
		}
		if s.Batch != nil {
			s = encoded(s)
		}
		if !reflect.DeepEqual(got, s) {
			t.Errorf("%d: encoded\n%+v\n%+v\nand decoded\n%+v\n%+v", i, s, s.Batch, got, got.Batch)
		}
	}
}

// I read the log and its servers' disks, and want to know who says what. All that differs in the log between two people's
// messages is what is sealed: whoever said whatever, in whatever kind and about whatever other message, the entry is the same
// byte for byte. The control is the texts, which differ.
func TestAttackReadTheLog(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Files, "read who says what in the log of a cluster, on the disks of its NATS servers")
	s := talk(t, 50)
	entry, texts, err := EncodeBatch(s)
	if err != nil {
		t.Fatal(err)
	}
	other := encoded(s)
	for i := range other.Batch.Events {
		if m := &other.Batch.Events[i].Message; m.Seq > 0 {
			m.From, m.Kind, m.Of, m.Text = name(t, "somebody-else"), kinds[(i+1)%len(kinds)], m.Of+5, words(t, strings.Repeat("other words ", i+1))
		}
	}
	otherEntry, otherTexts, err := EncodeBatch(other)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(entry, otherEntry) {
		t.Error("the entry depends on who said what")
	}
	if bytes.Equal(texts, otherTexts) {
		t.Error("the control: the texts do not depend on it")
	}
	for _, secret := range []string{"secret", "words", "author", `say`, "edit", "delete", "react"} {
		if bytes.Contains(entry, []byte(secret)) {
			t.Errorf("the entry has %q", secret)
		}
	}
	row.Tried("50 messages, and the same by somebody else, of other kinds and in other words")
	row.Held("the entries are the same byte for byte: beside what is sealed they have rooms, numbers and times alone")
	row.Control("the texts that nodes send each other beside it, sealed, have %d bytes of it, and differ", len(texts))
}

// Texts are for one batch alone, also when two leaders have made a batch for the same place.
func TestTextsOfAnotherBatch(t *testing.T) {
	t.Parallel()
	s := talk(t, 3)
	_, texts, err := EncodeBatch(s)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*journal.Sealed){
		"itself":          nil,
		"another number":  func(s *journal.Sealed) { s.Batch.N++ },
		"another sealing": func(s *journal.Sealed) { s.Records[2] = []byte(`{"n":2,"t":"msg","body":"resealed"}`) },
		"one line fewer":  func(s *journal.Sealed) { s.Records = s.Records[:2] },
		"another change":  func(s *journal.Sealed) { s.Change++ },
		"another room": func(s *journal.Sealed) {
			s.Batch.Events[0].Room = room(t, "dev")
			s.Batch.Events[0].Message.Room = room(t, "dev")
		},
		"one message": func(s *journal.Sealed) { s.Batch.Events = s.Batch.Events[:1]; s.Batch.Answers = s.Batch.Answers[:1] },
		"no batch":    func(s *journal.Sealed) { s.Batch = nil },
	} {
		other := talk(t, 3)
		if change != nil {
			change(&other)
		}
		entry, _, err := EncodeBatch(other)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := DecodeBatch(entry)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := AddTexts(&got, texts); (err == nil) != (change == nil) {
			t.Errorf("texts are added to a batch with %s: %v", what, err)
		}
		if change != nil && got.Batch != nil && got.Batch.Events[0].Message.Kind != "" {
			t.Errorf("texts were added to a batch with %s", what)
		}
	}
}

// A node whose texts did not come knows what its own people said; the rest it misses.
func TestMissedTexts(t *testing.T) {
	t.Parallel()
	s := talk(t, 6)
	entry, _, err := EncodeBatch(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeBatch(entry)
	if err != nil {
		t.Fatal(err)
	}
	lost := MissTexts(&got, func(id chat.RequestID) (chat.Post, chat.Name, bool) {
		m := s.Batch.Events[id.N-1].Message
		p := chat.Post{Room: m.Room, Kind: m.Kind, Text: m.Text, Of: m.Of}
		switch id {
		case s.Batch.Answers[1].ID:
			return p, m.From, true
		case s.Batch.Answers[2].ID:
			p.Room = room(t, "another")
			return p, m.From, true
		case s.Batch.Answers[3].ID:
			p.Kind = chat.Notice
			return p, m.From, true
		case s.Batch.Answers[4].ID:
			return p, chat.Name{}, true
		}
		return p, m.From, false
	})
	if lost != 5 {
		t.Errorf("%d of 6 are missing, one is known", lost)
	}
	for i, e := range got.Batch.Events[:6] {
		want := chat.Message{Room: e.Room, Seq: s.Batch.Events[i].Message.Seq, At: s.Batch.Events[i].Message.At, Kind: chat.Missing}
		if i == 1 {
			want = s.Batch.Events[1].Message
		}
		if e.Message != want {
			t.Errorf("message %d is %+v, not %+v", i, e.Message, want)
		}
	}
}

// summed is a line of the history with its checksum.
func summed(line string) string {
	return fmt.Sprintf(`%s,"crc":"%08x"}`, line, crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli)))
}
