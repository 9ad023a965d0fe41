// Package handover passes the rooms' messages in memory from one process of the server to the next, at a planned restart. No
// plain text reaches a disk: it is encrypted under a key that is used once. The ciphertext is in a memory file
// (memfd_create(2)), which may be swapped; the key is in the buffer of a pipe, which is kernel memory and is never swapped.
// Both are open files of one process or of systemd, and are gone when the last of them closes.
//
// It knows nothing of SSH and the data folder. chat.Hub.RestoreMemory decides what may still be shown.
package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math"
	"os"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

const (
	// MaxAge is how old what is handed over may be: a restart takes seconds.
	MaxAge = 5 * time.Minute
	// MaxBytes is how much is handed over at most. Rooms in which something was said last come first.
	MaxBytes = 64 << 20

	format = "sshchat-handover/1"
)

// Why what was handed over is refused.
var (
	ErrUnsupported = errors.New("this system has no memory files (memfd_create)")
	ErrTaken       = errors.New("the key is gone: it was taken before")
	ErrOld         = errors.New("it is more than 5 minutes old")
	ErrForeign     = errors.New("it was not made by this version of the server")
	ErrUnprotected = errors.New("the memory file can be written to")
)

// Sealed is the encrypted memory and its key, as open files. Both are needed to open it.
type Sealed struct {
	Memory *os.File
	Key    *os.File // of a pipe: reading takes it
}

// Close closes the files.
func (s *Sealed) Close() error { return errors.Join(s.Memory.Close(), s.Key.Close()) }

// Figures are how much was handed over.
type Figures struct {
	Rooms, Messages int
	Left            int // rooms that were left out, as there was no more space
}

// What is sealed is lines of JSON: a first one, then each room with its entries.
type (
	firstLine struct {
		Format string        `json:"format"`
		At     time.Duration `json:"at"` // by Clock
	}
	roomLine struct {
		Room    chat.RoomName `json:"room"`
		Dropped uint64        `json:"dropped,omitempty"`
		Members []chat.Seat   `json:"members"`
		Entries int           `json:"entries"`
	}
	entryLine struct {
		Seq        uint64          `json:"n,omitempty"`
		DisplaySeq uint64          `json:"d"`
		At         time.Time       `json:"at"`
		From       string          `json:"by,omitempty"`
		Kind       chat.Kind       `json:"k"`
		Text       string          `json:"t,omitempty"`
		Of         uint64          `json:"of,omitempty"`
		Edited     bool            `json:"e,omitempty"`
		Deleted    bool            `json:"x,omitempty"`
		Reactions  []reactionsLine `json:"r,omitempty"`
	}
	reactionsLine struct {
		Emoji string      `json:"t"`
		By    []chat.Name `json:"by"`
	}
)

// Seal seals what rooms have in memory, one room after the other. now is the time by Clock. Errors: ErrUnsupported, or the
// system's.
func Seal(rooms iter.Seq[chat.RoomMemory], now time.Duration) (*Sealed, Figures, error) {
	return seal(rooms, now, MaxBytes)
}

func seal(rooms iter.Seq[chat.RoomMemory], now time.Duration, most int) (*Sealed, Figures, error) {
	memory, err := newMemory()
	if err != nil {
		return nil, Figures{}, err
	}
	key := make([]byte, keySize)
	defer clear(key)
	f, err := write(memory, key, rooms, now, most)
	if err == nil {
		err = protect(memory)
	}
	var pipe *os.File
	if err == nil {
		pipe, err = keep(key)
	}
	if err != nil {
		return nil, f, errors.Join(err, memory.Close())
	}
	return &Sealed{memory, pipe}, f, nil
}

// write writes the sealed form, and its key to key. A room is left out if it does not fit into the most bytes that it may have before it is sealed.
func write(to io.Writer, key []byte, rooms iter.Seq[chat.RoomMemory], now time.Duration, most int) (f Figures, err error) {
	sealed, err := newSealer(to, key)
	if err != nil {
		return f, err
	}
	if f, err = Write(sealed, rooms, now, most); err != nil {
		return f, err
	}
	return f, sealed.Close()
}

// Write writes what rooms have in memory as it is, for a reader to whom it is sealed in another way. A room is left out if it does
// not fit into the most bytes that there may be.
func Write(to io.Writer, rooms iter.Seq[chat.RoomMemory], now time.Duration, most int) (f Figures, err error) {
	var plain bytes.Buffer
	lines := json.NewEncoder(&plain)
	lines.SetEscapeHTML(false)
	flush := func() error {
		most -= plain.Len()
		_, err := plain.WriteTo(to)
		return err
	}
	if err := errors.Join(lines.Encode(firstLine{format, now}), flush()); err != nil {
		return f, err
	}
	for m := range rooms {
		if err := encode(lines, m); err != nil {
			return f, err
		}
		if plain.Len() > most {
			plain.Reset()
			f.Left++
			continue
		}
		f.Rooms++
		f.Messages += len(m.Entries)
		if err := flush(); err != nil {
			return f, err
		}
	}
	return f, nil
}

func encode(lines *json.Encoder, m chat.RoomMemory) error {
	if err := lines.Encode(roomLine{m.Room, m.Dropped, m.Members, len(m.Entries)}); err != nil {
		return err
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		l := entryLine{e.Seq, e.DisplaySeq, e.At, e.From.String(), e.Kind, e.Text.String(), e.Of, e.Edited, e.Deleted, nil}
		for _, r := range e.Reactions.All() {
			l.Reactions = append(l.Reactions, reactionsLine{r.Emoji.String(), r.By})
		}
		if err := lines.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// Take opens what was handed over, all of it or nothing. It can be taken once: the key is gone then, whatever comes of it, and
// so is what it opens. The files are closed. now is the time by Clock. Errors: those above, or one that reports damage.
func Take(s *Sealed, now time.Duration) (rooms []chat.RoomMemory, err error) {
	key := make([]byte, keySize)
	defer clear(key)
	defer s.Close() // nothing was written
	if err := take(s.Key, key); err != nil {
		return nil, err
	}
	defer wipe(s.Memory)
	if err := check(s.Memory); err != nil {
		return nil, err
	}
	return read(io.NewSectionReader(s.Memory, 0, math.MaxInt64), key, now)
}

// read reads the sealed form.
func read(from io.Reader, key []byte, now time.Duration) ([]chat.RoomMemory, error) {
	opened, err := newOpener(from, key)
	if err != nil {
		return nil, err
	}
	return Read(opened, now)
}

// Read reads what Write has written. Errors: ErrForeign, ErrOld, or the reader's.
func Read(from io.Reader, now time.Duration) ([]chat.RoomMemory, error) {
	lines := json.NewDecoder(from)
	var first firstLine
	if err := lines.Decode(&first); err != nil {
		return nil, broken(err)
	}
	if first.Format != format {
		return nil, ErrForeign
	}
	if age := now - first.At; age < 0 || age > MaxAge {
		return nil, ErrOld
	}
	var rooms []chat.RoomMemory
	for {
		m, err := decode(lines)
		switch {
		case err == io.EOF:
			return rooms, nil
		case err != nil:
			return nil, broken(err)
		}
		rooms = append(rooms, m)
	}
}

// broken is an error of reading as it is reported: a JSON decoder's would quote what people said.
func broken(err error) error {
	if errors.Is(err, errSealed) {
		return errSealed
	}
	return ErrForeign
}

// decode reads a room. It returns io.EOF after the last.
func decode(lines *json.Decoder) (m chat.RoomMemory, err error) {
	var room roomLine
	if err := lines.Decode(&room); err != nil {
		return m, err
	}
	if room.Entries < 0 || room.Entries > chat.LogLines {
		return m, ErrForeign
	}
	m = chat.RoomMemory{Room: room.Room, Dropped: room.Dropped, Members: room.Members, Entries: make([]chat.Message, room.Entries)}
	for i := range m.Entries {
		var l entryLine
		if err := lines.Decode(&l); err != nil {
			return m, ErrForeign // also at the end of what was sealed: it promised more
		}
		e := chat.Message{
			Room: m.Room, Seq: l.Seq, DisplaySeq: l.DisplaySeq, At: l.At, Kind: l.Kind, Of: l.Of, Edited: l.Edited, Deleted: l.Deleted,
			Text: text.Sprintf("%s", l.Text), // cleaned once more, by the rules of this version
		}
		if l.From != "" {
			if e.From, err = text.ParseName(l.From); err != nil {
				return m, ErrForeign
			}
		}
		for _, r := range l.Reactions {
			for _, by := range r.By {
				e.Reactions = e.Reactions.After(&chat.Message{Kind: chat.React, From: by, Text: text.Sprintf("%s", r.Emoji)})
			}
		}
		m.Entries[i] = e
	}
	return m, nil
}
