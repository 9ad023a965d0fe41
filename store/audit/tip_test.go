package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// seals signs as a host key does: nobody else can.
type seals string

func (key seals) Sign(message []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(key), message...))
	return []byte(hex.EncodeToString(sum[:])), nil
}

func (key seals) Signed(message, signature []byte) (string, error) {
	if want, _ := key.Sign(message); !bytes.Equal(want, signature) {
		return "", errors.New("it is signed by another key")
	}
	return string(key), nil
}

// rewrite makes another log of what edit leaves of it, with a chain as whole as the first.
func rewrite(t *testing.T, dir string, edit func([]chat.AuditEntry) []chat.AuditEntry) {
	t.Helper()
	path := filepath.Join(dir, "audit.jsonl")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var acts []chat.AuditEntry
	for line := range bytes.Lines(content) {
		var entry chat.AuditEntry
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		acts = append(acts, entry)
	}
	var out []byte
	prev := ""
	for i, entry := range edit(acts) {
		entry.N, entry.Prev = uint64(i+1), prev
		line, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		prev = digest(line)
		out = append(append(out, line...), '\n')
	}
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whoever can write the folder while no server runs makes the audit log say what they like. The control is the chain alone,
// which is as whole as before; and what is no attack is no alarm.
func TestAttackRewrittenAuditLog(t *testing.T) {
	t.Parallel()
	const key = seals("the host key")
	without := func(i int) func([]chat.AuditEntry) []chat.AuditEntry {
		return func(acts []chat.AuditEntry) []chat.AuditEntry { return append(acts[:i:i], acts[i+1:]...) }
	}
	row := attack.On(t, attack.Files, "rewrite the audit log while the server is down")
	ways := map[string]struct {
		attack func(t *testing.T, dir string)
		found  string // "" where nothing is to be found
	}{
		"nothing":         {func(*testing.T, string) {}, ""},
		"a line left out": {func(t *testing.T, dir string) { rewrite(t, dir, without(3)) }, "10 lines were signed, and 9 are left"},
		"a line changed": {func(t *testing.T, dir string) {
			rewrite(t, dir, func(acts []chat.AuditEntry) []chat.AuditEntry { acts[3].By = "bob"; return acts })
		}, "line 10 is not the one that was signed"},
		"a line put in place of another": {func(t *testing.T, dir string) {
			rewrite(t, dir, func(acts []chat.AuditEntry) []chat.AuditEntry { return append(without(3)(acts), acts[0], acts[0]) })
		}, "line 10 is not the one that was signed"},
		"the end cut off": {func(t *testing.T, dir string) {
			rewrite(t, dir, func(acts []chat.AuditEntry) []chat.AuditEntry { return acts[:7] })
		}, "10 lines were signed, and 7 are left"},
		"all of it": {func(t *testing.T, dir string) {
			rewrite(t, dir, func([]chat.AuditEntry) []chat.AuditEntry { return nil })
		}, "10 lines were signed, and 0 are left"},
		"the signature removed": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "audit.tip")); err != nil {
				t.Fatal(err)
			}
			rewrite(t, dir, without(3))
		}, "audit.tip is missing"},
		"signed by another key": {func(t *testing.T, dir string) {
			rewrite(t, dir, without(3))
			a := openLog(t, dir)
			if _, err := a.SignTip(seals("mallory's"), Stop); err != nil {
				t.Fatal(err)
			}
			a.Close()
		}, "signed by another key"},
		"the signed line changed": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, "audit.tip")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, bytes.Replace(b, []byte(`"n":10`), []byte(`"n":9`), 1), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "signed by another key"},
	}
	row.Tried("%d ways, each with a valid chain", len(ways)-1)
	for name, c := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			a := openLog(t, dir)
			fill(t, a, 10)
			if _, err := a.SignTip(key, Stop); err != nil {
				t.Fatal(err)
			}
			a.Close()
			c.attack(t, dir)
			a = openLog(t, dir)
			if _, err := a.Verify(); err != nil {
				t.Errorf("control: the chain alone finds %v", err)
			}
			tip, later, err := a.CheckTip(key)
			switch {
			case c.found == "" && (err != nil || tip.N != 10 || later != 0 || tip.When != Stop || tip.By != string(key)):
				t.Errorf("%+v, %d later, %v", tip, later, err)
			case c.found != "" && (err == nil || !strings.Contains(err.Error(), c.found)):
				t.Errorf("found %v, want %q", err, c.found)
			}
		})
	}
	row.Held("the host key signs the last line at each start and stop: the next start reports it")
	row.Control("the chain of hashes alone does not show it; an unchanged log is not reported")
}

// A crash leaves lines after the tip, in this file or in those that came since; a new log has none.
func TestTipBeforeLaterLines(t *testing.T) {
	t.Parallel()
	const key = seals("the host key")
	dir := t.TempDir()
	a := openLog(t, dir)
	a.max = 2000
	if _, _, err := a.CheckTip(key); err != nil {
		t.Errorf("a new log: %v", err)
	}
	for round := range 4 {
		signed, err := a.SignTip(key, Start)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, a, 10*round*round)
		a.Close()
		a = openLog(t, dir)
		a.max = 2000
		tip, later, err := a.CheckTip(key)
		if err != nil || tip.N != signed.N || later != uint64(10*round*round) {
			t.Errorf("round %d: %+v, %d later, %v", round, tip, later, err)
		}
	}
	if archives, err := a.archives(); len(archives) < 5 || err != nil {
		t.Errorf("%d archives, %v", len(archives), err)
	}
}

// A power cut at any moment is no alarm: what was signed is of the log that is left. The control is a disk whose syncs do
// nothing while lines are written.
func TestTipRaisesNoAlarmAfterAPowerCut(t *testing.T) {
	powercut.Start(t)
	const key = seals("the host key")
	r := rand.New(rand.NewPCG(powercut.Seed(t), 7))
	alarms := func(lies bool, points int) (n int) {
		for range points {
			d := powercut.New()
			d.FailFrom(1+r.IntN(60), errors.New("the power is gone"))
			live(d, key, lies)
			a, err := logOn(d.Cut(r))
			if err != nil {
				n++
				continue
			}
			if _, _, err := a.CheckTip(key); err != nil {
				n++
			}
		}
		return n
	}
	if n := alarms(false, powercut.Points(100, 3000)); n > 0 {
		t.Errorf("%d alarms", n)
	}
	if alarms(true, 100) == 0 {
		t.Error("control: no alarm either where syncs do nothing")
	}
}

// live is two lives of a log on a disk, until an operation fails.
func live(d *powercut.Disk, key Signer, lies bool) {
	for range 2 {
		a, err := logOn(d)
		if err != nil {
			return
		}
		if _, err := a.SignTip(key, Start); err != nil {
			return
		}
		d.Lie(lies)
		if _, err := appendUntil(a, 8); err != nil {
			return
		}
		d.Lie(false)
		if _, err := a.SignTip(key, Stop); err != nil || a.Close() != nil {
			return
		}
	}
}
