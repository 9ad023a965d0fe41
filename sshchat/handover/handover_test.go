//go:build linux

package handover

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/systemd"
	"sshchat/sshchat/text"

	"golang.org/x/sys/unix"
)

// room is what a room may have in memory: so many messages, each with the words.
func room(t testing.TB, roomName string, messages int, words string) chat.RoomMemory {
	t.Helper()
	where, err := text.ParseRoomName(roomName)
	if err != nil {
		t.Fatal(err)
	}
	alice, err := text.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	m := chat.RoomMemory{Room: where, Dropped: 5, Members: []chat.Seat{{Name: alice, Account: "a1", Since: 3, From: 7}}}
	for i := range messages {
		m.Entries = append(m.Entries, chat.Message{
			Room: where, Seq: uint64(6 + i), DisplaySeq: uint64(10 + 2*i), At: time.Date(2026, 11, 5, 12, 0, i, 5e6, time.UTC), From: alice,
			Kind: chat.Say, Text: text.Sprintf("%s %d", words, i), Edited: i%2 == 0,
		})
	}
	return m
}

const secret = "nobody else may know of the picnic"

// contents is what a memory file holds.
func contents(t *testing.T, f *os.File) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealed hands the rooms over at the time 0.
func sealed(t *testing.T, rooms ...chat.RoomMemory) *Sealed {
	t.Helper()
	s, f, err := Seal(slices.Values(rooms), 0)
	if err != nil {
		t.Fatal(err)
	}
	if f.Rooms != len(rooms) || f.Left != 0 {
		t.Fatalf("%+v", f)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// copyOf is the same files once more, as systemd has them.
func copyOf(t *testing.T, s *Sealed) *Sealed {
	t.Helper()
	dup := func(f *os.File) *os.File {
		var fd int
		if err := systemd.Descriptor(f, func(of int) (err error) { fd, err = unix.FcntlInt(uintptr(of), unix.F_DUPFD_CLOEXEC, 3); return }); err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), f.Name())
	}
	c := &Sealed{dup(s.Memory), dup(s.Key)}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestWhatIsHandedOver(t *testing.T) {
	for _, size := range []int{0, 1, 300, chat.LogLines} {
		rooms := []chat.RoomMemory{room(t, "general", size, secret), room(t, "dev", 3, `"<&>" `+strings.Repeat("é", 1000))}
		bob, _ := text.ParseName("bob")
		rooms[1].Entries[1].Kind, rooms[1].Entries[1].Of, rooms[1].Entries[1].From = chat.Edit, 6, bob
		rooms[1].Entries[2].Text, rooms[1].Entries[2].Deleted = chat.Text{}, true
		alice := rooms[0].Members[0].Name
		for _, by := range []chat.Name{bob, alice} {
			for _, emoji := range []string{"👍", "🎉"} {
				rooms[1].Entries[0].Reactions = rooms[1].Entries[0].Reactions.After(&chat.Message{Kind: chat.React, From: by, Text: text.Sprintf("%s", emoji)})
			}
		}
		rooms[1].Room = text.Direct(bob, rooms[0].Members[0].Name)
		for i := range rooms[1].Entries {
			rooms[1].Entries[i].Room = rooms[1].Room
		}
		got, err := Take(sealed(t, rooms...), MaxAge)
		if err != nil {
			t.Fatal(err)
		}
		if size == 0 {
			rooms[0].Entries = []chat.Message{}
		}
		if !reflect.DeepEqual(got, rooms) {
			t.Errorf("%d messages: what was taken is something else", size)
		}
	}
}

// I am a program of the same user, or read the swap: I have the memory file and want what was said. Or I have both files, as systemd does, and
// want it after the server took it, or change it on its way.
func TestAttackHandedOverMemory(t *testing.T) {
	row := attack.On(t, attack.Files, "read or change what rooms have in memory while a restart hands it over")
	rooms := []chat.RoomMemory{room(t, "general", chat.LogLines, secret), room(t, "dev", 50, secret)}
	s := sealed(t, rooms...)
	file := contents(t, s.Memory)
	key := make([]byte, keySize)
	mine := copyOf(t, s)

	// No words, no names and no key are in the file, and nobody can write to it.
	for _, word := range []string{"picnic", "alice", "general", format} {
		if bytes.Contains(file, []byte(word)) {
			t.Errorf("the memory file has %q in clear", word)
		}
	}
	if _, err := mine.Memory.WriteAt([]byte{0}, 100); !errors.Is(err, unix.EPERM) {
		t.Errorf("the memory file can be written to: %v", err)
	}
	if err := mine.Memory.Truncate(int64(len(file)) + 1); !errors.Is(err, unix.EPERM) {
		t.Errorf("the memory file can grow: %v", err)
	}
	taken, err := Take(s, time.Second)
	if err != nil || !reflect.DeepEqual(taken, rooms) {
		t.Fatalf("taking it once: %v", err)
	}

	// It is gone, also for those who had the files open before.
	if left := contents(t, mine.Memory); len(left) != 0 {
		t.Errorf("%d bytes are left in the memory file", len(left))
	}
	if err := take(mine.Key, key); !errors.Is(err, ErrTaken) {
		t.Errorf("the key is there a second time: %v", err)
	}
	if _, err := Take(mine, time.Second); !errors.Is(err, ErrTaken) {
		t.Errorf("taken twice: %v", err)
	}

	// Too old, or from the future.
	for _, at := range []time.Duration{MaxAge + 1, -1} {
		if _, err := Take(sealed(t, rooms[1]), at); !errors.Is(err, ErrOld) {
			t.Errorf("at %v: %v", at, err)
		}
	}

	changes := tamper(t, rooms)
	row.Tried("the memory file, both files after they were taken, after 5 minutes, and %d changes on the way", changes)
	row.Held("the file is sealed with a key that is in a pipe, once; what is changed, old or taken before is refused as a whole, and rooms begin empty")
	whole := sealed(t, rooms...)
	file = contents(t, whole.Memory)
	if err := take(whole.Key, key); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, key) || bytes.Contains(file, key[:8]) {
		t.Error("the key is in the memory file")
	}
	if !bytes.Contains(opened(t, file, key), []byte("picnic")) {
		t.Error("the control has nothing to find")
	}
	row.Control("with the key all of it is read")
}

// withKey is the sealed form with its key.
func withKey(t *testing.T, rooms []chat.RoomMemory) (k struct{ file, key []byte }) {
	t.Helper()
	k.key = make([]byte, keySize)
	var file bytes.Buffer
	if _, err := write(&file, k.key, slices.Values(rooms), 0, MaxBytes); err != nil {
		t.Fatal(err)
	}
	k.file = file.Bytes()
	return k
}

func opened(t *testing.T, file, key []byte) []byte {
	t.Helper()
	o, err := newOpener(bytes.NewReader(file), key)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// tamper changes the sealed form in many ways, each of which must be refused, and returns in how many.
func tamper(t *testing.T, rooms []chat.RoomMemory) (n int) {
	t.Helper()
	k := withKey(t, rooms)
	const whole = 64<<10 + 16
	_, mac, ok := bytes.Cut(k.file, []byte("\n--- "))
	head := len(k.file) - len(mac) + bytes.IndexByte(mac, '\n') + 1 + 16 // the nonce is before the chunks
	if !ok || len(k.file) < head+3*whole {
		t.Fatalf("%d bytes are too few", len(k.file))
	}
	lead, chunks := k.file[:head:head], k.file[head:]
	refused := func(what string, file, key []byte) {
		t.Helper()
		n++
		if got, err := read(bytes.NewReader(file), key, 0); err == nil || got != nil {
			t.Errorf("%s: taken", what)
		}
	}
	if _, err := read(bytes.NewReader(k.file), k.key, 0); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		at := rand.IntN(len(k.file))
		changed := bytes.Clone(k.file)
		changed[at] ^= 1 << rand.IntN(8)
		refused(fmt.Sprint("byte ", at), changed, k.key)
	}
	for _, length := range []int{0, 1, head - 1, head, head + whole - 1, head + whole, head + 2*whole, len(k.file) - 1} {
		refused(fmt.Sprint("cut at ", length), k.file[:length], k.key)
	}
	refused("chunks swapped", slices.Concat(lead, chunks[whole:2*whole], chunks[:whole], chunks[2*whole:]), k.key)
	refused("a chunk left out", slices.Concat(lead, chunks[:whole], chunks[2*whole:]), k.key)
	refused("a chunk twice", slices.Concat(lead, chunks[:whole], chunks), k.key)
	refused("something behind it", append(bytes.Clone(k.file), 0), k.key)
	refused("another key", k.file, bytes.Repeat([]byte{8}, keySize))
	return n
}

// Files that are something else are refused, and waited for by nobody.
func TestForeignFiles(t *testing.T) {
	rooms := room(t, "general", 3, secret)
	elsewhere, err := os.Create(t.TempDir() + "/rooms")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(&Sealed{elsewhere, sealed(t, rooms).Key}, 0); !errors.Is(err, ErrUnprotected) {
		t.Errorf("a file of a disk: %v", err)
	}
	open, err := newMemory()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(&Sealed{open, sealed(t, rooms).Key}, 0); !errors.Is(err, ErrUnprotected) {
		t.Errorf("a memory file that can be written to: %v", err)
	}
	s := sealed(t, rooms)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := Take(&Sealed{s.Memory, r}, 0); !errors.Is(err, ErrTaken) {
		t.Errorf("a pipe into which nobody writes: %v", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(&Sealed{sealed(t, rooms).Memory, null}, 0); !errors.Is(err, ErrForeign) {
		t.Errorf("a key from /dev/null: %v", err)
	}
}

// What is handed over has a limit: what does not fit is left out, room by room.
func TestMostThatIsHandedOver(t *testing.T) {
	rooms := []chat.RoomMemory{room(t, "first", 100, secret), room(t, "large", 4000, secret), room(t, "last", 100, secret)}
	s, f, err := seal(slices.Values(rooms), 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if f.Rooms != 2 || f.Messages != 200 || f.Left != 1 {
		t.Errorf("%+v", f)
	}
	if got, err := Take(s, 0); err != nil || len(got) != 2 || got[1].Room != rooms[2].Room {
		t.Errorf("%d rooms, %v", len(got), err)
	}
}

// Whatever is sealed, it is taken or refused, and an error quotes none of it.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"format":"sshchat-handover/1","at":0}` + "\n" + `{"room":"general","members":[],"entries":1}` + "\n" + `{"n":1,"d":1,"k":"say","by":"alice","t":"x"}`))
	f.Add([]byte(`{"format":"sshchat-handover/2","at":0}`))
	f.Add([]byte(`{"format":"sshchat-handover/1","at":0}` + "\n" + `{"room":"general","entries":99999999}`))
	key := make([]byte, keySize)
	f.Fuzz(func(t *testing.T, plain []byte) {
		var file bytes.Buffer
		s, err := newSealer(&file, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := opened(t, file.Bytes(), key); !bytes.Equal(got, plain) {
			t.Fatal("what is opened is not what was sealed")
		}
		rooms, err := read(&file, key, 0)
		if err != nil && (rooms != nil || err != ErrForeign && err != ErrOld) {
			t.Fatalf("%d rooms, %v", len(rooms), err)
		}
	})
}
