package wire

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/journal"
)

// seeds are batches with everything in them.
func seeds(t testing.TB) []journal.Sealed {
	decided := talk(t, 2)
	decided.Decided = true
	decided.Difference = chat.Difference{
		RoomsRemoved: []chat.RoomName{room(t, "old")},
		Bans:         chat.Entries[chat.Sanction, string]{Put: []chat.Sanction{{User: name(t, "mallory"), At: noon.Truncate(time.Second), Why: "spam"}}},
	}
	decided.Batch.Audit = []chat.AuditEntry{{At: noon, By: "ann", Do: "ban"}}
	return []journal.Sealed{tried(t), talk(t, 0), talk(t, 3), decided, {Change: 9, Records: [][]byte{[]byte("{}")}}}
}

// Whatever an entry is, it is refused, or means the same once it is encoded again.
func FuzzDecodeBatch(f *testing.F) {
	for _, s := range seeds(f) {
		entry, _, err := EncodeBatch(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(entry)
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		s, err := DecodeBatch(entry)
		if err != nil {
			return
		}
		if s.Batch != nil {
			for _, a := range s.Batch.Answers {
				if a.Event >= len(s.Batch.Events) || a.Event < -1 {
					t.Fatalf("an answer's event is %d of %d", a.Event, len(s.Batch.Events))
				}
			}
			MissTexts(&s, func(chat.RequestID) (chat.Post, chat.Name, bool) { return chat.Post{}, chat.Name{}, false })
			for i := range s.Batch.Events { // or it could not be encoded
				if m := &s.Batch.Events[i].Message; m.Kind == chat.Missing {
					m.Kind, m.From = chat.Say, name(t, "ann")
				}
			}
		}
		again, texts, err := EncodeBatch(s)
		if err != nil {
			t.Fatalf("decoded, and not encoded: %v", err)
		}
		back, err := DecodeBatch(again)
		if err == nil && texts != nil {
			err = AddTexts(&back, texts)
		}
		if err != nil {
			t.Fatalf("encoded, and not decoded: %v", err)
		}
		if !s.Decided { // a difference may be written in several ways
			if !reflect.DeepEqual(s, back) {
				t.Fatalf("%+v\n%+v\n%+v\n%+v", s, s.Batch, back, back.Batch)
			}
		}
	})
}

// Whatever texts are, they are refused, or all of them are clean and have authors.
func FuzzAddTexts(f *testing.F) {
	s := talk(f, 4)
	entry, texts, err := EncodeBatch(s)
	if err != nil {
		f.Fatal(err)
	}
	tagged := 1 + tagSize
	f.Add(texts[tagged:])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeBatch(entry)
		if err != nil {
			t.Fatal(err)
		}
		if AddTexts(&got, append(bytes.Clone(texts[:tagged]), b...)) != nil {
			return
		}
		for _, e := range got.Batch.Events[:4] {
			m := e.Message
			if clean := m.Text.IsEmpty() || words(t, m.Text.String()) == m.Text; m.From.IsZero() || !m.Kind.Stored() || !clean {
				t.Fatalf("%+v", m)
			}
		}
		again, more, err := EncodeBatch(got)
		if err != nil || !bytes.Equal(again, entry) || AddTexts(&got, more) != nil {
			t.Fatalf("encoded again: %v", err)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	for _, in := range []chat.Intent{
		chat.Post{Room: chat.General, Kind: chat.Say, Text: words(f, "hello")}, chat.Visit{ID: "x", Day: "2026-11-26"},
		chat.Import{People: []chat.Account{{Name: name(f, "ann"), Settings: map[string]string{"a": "b"}, Factor: &chat.Factor{Codes: []string{"c"}}}}},
		chat.EditByHand{Base: chat.NewState(chat.Parts{}), Edited: chat.NewState(chat.Parts{Reserved: []chat.Name{name(f, "ann")}})},
	} {
		f.Add([]byte(mustEncode(f, in)))
	}
	attempt, err := EncodeRequest(chat.Request{ID: chat.RequestID{Origin: 3, N: 2}, Who: chat.TheServer, Attempt: &chat.Attempt{Kind: chat.Try, Name: name(f, "ann"), Source: netip.MustParsePrefix("192.0.2.0/32")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(attempt)
	for _, t := range intents { // their fields' names
		f.Add([]byte(strings.ToLower(t.Name())))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		again, err := EncodeRequest(r)
		if err != nil {
			t.Fatalf("decoded, and not encoded: %v", err)
		}
		back, err := DecodeRequest(again)
		if err != nil {
			t.Fatalf("encoded, and not decoded: %v", err)
		}
		if _, hand := r.Intent.(chat.EditByHand); !hand && !reflect.DeepEqual(r, back) {
			t.Fatalf("%+v\n%+v", r, back)
		}
	})
}

func FuzzDecodeError(f *testing.F) {
	f.Add(EncodeError(chat.ErrNoAccount.With("no account named %s", "bob")))
	f.Add(EncodeError(chat.ErrNoAnswer))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := DecodeError(b)
		if (err == nil) != (len(b) == 0) {
			t.Fatalf("%q is %v", b, err)
		}
		if err != nil && DecodeError(EncodeError(err)).Error() != err.Error() {
			t.Fatalf("%q is %v", b, err)
		}
	})
}
