package history

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// These tests read the history with nothing of ours: age, jq, tar and a shell.

func shell(t *testing.T, script string, env ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.Command("bash", "-o", "pipefail", "-c", script)
	cmd.Env = append(os.Environ(), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return string(out), err
}

func TestStockToolsReadTheDisk(t *testing.T) {
	t.Parallel()
	needs(t, "age", "jq", "bash", "base64")
	readers := []reader{ed25519Reader(t, "alice"), rsaReader(t, "bob"), ageReader(t, "carol")}
	outsider := ed25519Reader(t, "mallory")
	p := newPlace(t, readers...)
	p.open()
	p.say(readers[0], "straight from the disk")
	p.say(readers[1], "and once more")

	const first = `{ jq -j ".records[0].heads.$NAME" "$F"; jq -j '.records[1].body' "$F" | base64 -d; } | age -d -i "$KEY"`
	const last = `N=$(jq '[.records[] | select(.t == "window")] | last | .n - 1' "$F")
		{ jq -j ".records[$N].heads.$NAME" "$F"; jq -j '.records[-1].body' "$F" | base64 -d; } | age -d -i "$KEY"`
	read := func(r reader, script string) (string, error) {
		return shell(t, script, "F="+p.path(), "KEY="+r.file, "NAME="+r.name.String())
	}
	some := rand.IntN(len(readers))
	for i, stop := range []string{"running", "killed", "reopened", "closed"} {
		switch stop {
		case "killed":
			p.kill()
		case "reopened":
			p.open()
			p.say(readers[2], "and once more")
		case "closed":
			if err := p.h.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for j, r := range readers {
			if j != (i+some)%len(readers) && !powercut.Long() {
				continue // each of them once at least
			}
			out, err := read(r, first)
			if err != nil || !strings.Contains(out, `"text":"straight from the disk"`) {
				t.Errorf("%s, %s: %q, %v", stop, r.name, out, err)
			}
			if out, err = read(r, last); err != nil || !strings.Contains(out, `"text":"and once more"`) {
				t.Errorf("%s, %s, the newest: %q, %v", stop, r.name, out, err)
			}
		}
		// Somebody else's key opens nothing, whosever head it tries.
		for j, r := range readers {
			if j != (i+some)%len(readers) && !powercut.Long() {
				continue // as the head is the same each time
			}
			r.file = outsider.file
			if out, err := read(r, first); err == nil {
				t.Errorf("%s: mallory's key opens %s's head: %q", stop, r.name, out)
			}
		}
	}
}

func TestStockToolsReadTheTar(t *testing.T) {
	t.Parallel()
	needs(t, "age", "tar", "bash")
	alice := ed25519Reader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 5
	p.open()
	p.sayMany(alice, 12)
	file := filepath.Join(t.TempDir(), "t.tar")
	var b bytes.Buffer
	if err := p.h.Tar(&b, alice.name, []chat.RoomName{chat.General}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := shell(t, `tar x --to-command="age -d -i $KEY" < "$F"`, "F="+file, "KEY="+alice.file)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := parseLines([]byte(out))
	if err != nil || len(lines) != 12 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, l := range lines {
		if l.Seq != uint64(i+1) || l.Text != fmt.Sprintf("message %d", i+1) {
			t.Errorf("line %d is %v", i+1, l)
		}
	}
}

// The tar as a list, without stock tools.
func TestTarHolds(t *testing.T) {
	t.Parallel()
	alice, bob := ageReader(t, "alice"), ageReader(t, "bob")
	p := newPlace(t, alice)
	p.keys[bob.name] = []age.Recipient{bob.to}
	p.opt.Window = 5
	p.open()
	p.sayMany(alice, 7)
	p.commit(change(chat.General, chat.Join, bob.name)) // ends the second window at 7
	p.sayMany(alice, 6)                                 // the third is 8 to 12, the fourth is open
	names := func(me reader, after uint64) (names []string) {
		var b bytes.Buffer
		err := p.h.Tar(&b, me.name, []chat.RoomName{chat.General, mustRoom(t, "nowhere")}, map[chat.RoomName]uint64{chat.General: after})
		if err != nil {
			t.Fatal(err)
		}
		lines, err := openAll(bytes.NewReader(b.Bytes()), &Opener{Identities: []age.Identity{me.id}})
		if err != nil && after < 13 && len(lines) == 0 {
			t.Errorf("after %d: %v", after, err)
		}
		r := tar.NewReader(&b)
		for {
			h, err := r.Next()
			if err == io.EOF {
				return names
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, h.Name)
		}
	}
	file := func(w, from, to uint64) string { return tarName{chat.General, w, from, to}.String() }
	for _, c := range []struct {
		me    reader
		after uint64
		want  []string
	}{
		{alice, 0, []string{file(1, 1, 5), file(2, 6, 7), file(3, 8, 12), file(4, 13, 13)}},
		{bob, 0, []string{file(3, 8, 12), file(4, 13, 13)}},
		{alice, 6, []string{file(2, 6, 7), file(3, 8, 12), file(4, 13, 13)}},
		{alice, 12, []string{file(4, 13, 13)}},
		{alice, 13, nil},
	} {
		if got := names(c.me, c.after); !slices.Equal(got, c.want) {
			t.Errorf("%s after %d: %q", c.me.name, c.after, got)
		}
	}
}
