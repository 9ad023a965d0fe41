package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit/agetest"
)

// opened is what r's key opens of an age file, as "FROM-TO".
func opened(t *testing.T, r reader, file []byte) string {
	t.Helper()
	out, err := age.Decrypt(bytes.NewReader(file), r.id)
	if err != nil {
		return err.Error()
	}
	plain, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := parseLines(plain)
	if err != nil || len(lines) == 0 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	return fmt.Sprintf("%d-%d", lines[0].Seq, lines[len(lines)-1].Seq)
}

func TestExport(t *testing.T) {
	t.Parallel()
	alice, fresh := ageReader(t, "alice"), ed25519Reader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 100
	p.open()
	export := func(since uint64, to ...age.Recipient) (string, int, error) {
		var b bytes.Buffer
		later, err := p.h.Export(&b, alice.name, chat.General, since, to)
		if b.Len() == 0 {
			return "", later, err
		}
		r := alice
		if len(to) > 0 && to[len(to)-1] == fresh.to {
			r = fresh
		}
		return opened(t, r, b.Bytes()), later, err
	}
	if _, _, err := export(1, alice.to); !errors.Is(err, ErrNothing) {
		t.Errorf("an empty room: %v", err)
	}
	p.sayMany(alice, 250)
	check := func(what, want string, wantLater int, since uint64, to ...age.Recipient) {
		t.Helper()
		if got, later, err := export(since, to...); got != want || later != wantLater || err != nil {
			t.Errorf("%s: %q, %d later, %v", what, got, later, err)
		}
	}
	check("the last lines", "51-250", 0, 1, alice.to)
	check("since", "249-250", 0, 249, alice.to)
	check("with the keys of now", "51-250", 0, 1, fresh.to)
	check("beside a bad key", "51-250", 0, 1, agetest.Refusing{}, fresh.to)
	if _, _, err := export(1, agetest.Refusing{}); !errors.Is(err, ErrNoHead) {
		t.Errorf("only a bad key: %v", err)
	}
	p.kill()
	p.open()
	check("after a crash", "101-200", 50, 1, alice.to)
	if _, _, err := export(150, alice.to); !errors.Is(err, ErrNothing) {
		t.Error("a window from before since is given out:", err)
	}
	p.sayMany(alice, 1)
	check("after the next message", "251-251", 0, 1, alice.to)
}

func TestExportWindow(t *testing.T) {
	t.Parallel()
	alice, bob := ageReader(t, "alice"), ageReader(t, "bob")
	p := newPlace(t, alice)
	p.keys[bob.name] = []age.Recipient{bob.to}
	p.opt.Window = 5
	p.open()
	p.sayMany(alice, 7)
	p.commit(change(chat.General, chat.Join, bob.name))
	p.sayMany(alice, 6)
	p.kill()
	p.opt.Window = chunkLines + 1
	p.open()
	p.sayMany(alice, chunkLines+1)
	for _, c := range []struct {
		who  reader
		w    uint64
		want string
		err  error
	}{
		{alice, 1, "1-5", nil}, {alice, 2, "6-7", nil}, {alice, 3, "8-12", nil}, {bob, 1, "", ErrNoHead}, {alice, 4, "", ErrNotClosed},
		{alice, 5, "", ErrSeveral}, {alice, 6, "", ErrNoWindow}, {alice, 0, "", ErrNoWindow},
	} {
		var b bytes.Buffer
		err := p.h.ExportWindow(&b, c.who.name, chat.General, c.w)
		if !errors.Is(err, c.err) {
			t.Errorf("window %d for %s: %v", c.w, c.who.name, err)
		}
		if got := b.Len(); c.err == nil && opened(t, c.who, b.Bytes()) != c.want || c.err != nil && got > 0 {
			t.Errorf("window %d for %s: %d bytes", c.w, c.who.name, got)
		}
	}
}

// A joiner's export begins with his first line, whatever memory holds.
func TestExportIsSinceTheJoin(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	p.say(alice, "before")
	var b bytes.Buffer
	if _, err := p.h.Export(&b, mustName(t, "bob"), chat.General, 2, []age.Recipient{alice.to}); !errors.Is(err, ErrNothing) || b.Len() > 0 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	s := new(roomIndex)
	for range 1000 {
		s.remember(make([]byte, lineStep))
	}
	if len(s.tail) != tailLines || s.bytes != tailLines*lineStep {
		t.Errorf("%d lines, %d bytes", len(s.tail), s.bytes)
	}
	for range 100 {
		s.remember([]byte(strings.Repeat("x", 16<<10)))
	}
	if s.bytes > tailBytes || len(s.tail) == 0 {
		t.Errorf("%d lines, %d bytes", len(s.tail), s.bytes)
	}
}
