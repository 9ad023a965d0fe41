package hostkeys

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func openRing(t testing.TB, dir string) *Ring {
	t.Helper()
	r, _, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rotated is a ring that has rotated n times.
func rotated(t testing.TB, dir string, n int) *Ring {
	t.Helper()
	r := openRing(t, dir)
	for range n {
		if made, err := r.Prepare(); err != nil || !made {
			t.Fatalf("made %v, %v", made, err)
		}
		if err := r.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func states(t testing.TB, r *Ring) string {
	t.Helper()
	list, err := r.List()
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, k := range list {
		s = append(s, string(k.State)+" "+ssh.FingerprintSHA256(k.Public))
	}
	return strings.Join(s, "\n")
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	r := openRing(t, dir)
	if err := r.Rotate(); !errors.Is(err, ErrNoNext) {
		t.Errorf("rotated to nothing: %v", err)
	}
	first := r.Signers()[0].PublicKey()
	if _, err := r.Prepare(); err != nil {
		t.Fatal(err)
	}
	if made, err := r.Prepare(); made || err != nil {
		t.Errorf("a second next key: %v %v", made, err)
	}
	next := r.Announced()[1].PublicKey()
	if got := states(t, openRing(t, dir)); got != states(t, r) || strings.Count(got, "\n") != 1 {
		t.Errorf("opened again: %s, want %s", got, states(t, r))
	}
	if err := r.Rotate(); err != nil {
		t.Fatal(err)
	}
	want := "current " + ssh.FingerprintSHA256(next) + "\nformer " + ssh.FingerprintSHA256(first)
	if got := states(t, r); got != want {
		t.Errorf("after rotation %s, want %s", got, want)
	}
	if got := states(t, openRing(t, dir)); got != want {
		t.Errorf("opened again %s, want %s", got, want)
	}
	public, err := os.ReadFile(filepath.Join(dir, File+".pub"))
	if err != nil || !bytes.Equal(public, ssh.MarshalAuthorizedKey(next)) {
		t.Errorf("public half %s %v", public, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*next*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if len(r.Announced()) != 1 {
		t.Error("announces a next key that there is not")
	}
}

// A next key that was put there by hand, and not loaded yet, is not replaced.
func TestPrepareKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	r := openRing(t, t.TempDir())
	key := goodKey(t)
	try(t, os.WriteFile(r.path+nextSuffix, key, 0o600))
	if made, err := r.Prepare(); made || !errors.Is(err, fs.ErrExist) {
		t.Errorf("made %v: %v", made, err)
	}
	if data, err := os.ReadFile(r.path + nextSuffix); err != nil || !bytes.Equal(data, key) {
		t.Errorf("the file holds %q, %v", data, err)
	}
	try(t, r.Reload())
	if made, err := r.Prepare(); made || err != nil || len(r.Announced()) != 2 {
		t.Errorf("control: made %v: %v", made, err)
	}
}

// The private half of a key that was rotated away cannot be read from the disk by its old file.
func TestRotationOverwritesTheOldKey(t *testing.T) {
	dir := t.TempDir()
	r := openRing(t, dir)
	kept := filepath.Join(dir, "kept")
	if err := os.Link(filepath.Join(dir, File), kept); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(kept)
	if err != nil || len(data) == 0 || len(bytes.Trim(data, "\x00")) > 0 {
		t.Errorf("%q, %v", data, err)
	}
}

// Whoever trusts the first key can follow the records to the current one, with the stock tool.
func TestRecordsLeadFromTheFirstKeyToTheCurrentOne(t *testing.T) {
	keygen, dir := sshKeygen(t), t.TempDir()
	r := openRing(t, dir)
	trusted := keyLine(r.Signers()[0].PublicKey())
	r = rotated(t, dir, 3)
	work := t.TempDir()
	for i, file := range r.Records() {
		line, signature, _ := bytes.Cut(file, []byte("\n"))
		for name, data := range map[string][]byte{"allowed": []byte("sshchat " + trusted + "\n"), "sig": signature} {
			if err := os.WriteFile(filepath.Join(work, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		verify := func(line []byte) error {
			cmd := exec.Command(keygen, "-Y", "verify", "-f", filepath.Join(work, "allowed"), "-I", "sshchat", "-n", Namespace, "-s", filepath.Join(work, "sig"))
			cmd.Stdin = bytes.NewReader(append(line[:len(line):len(line)], '\n'))
			return cmd.Run()
		}
		if err := verify(line); err != nil {
			t.Fatalf("record %d: %v", i+1, err)
		}
		if verify(bytes.Replace(line, []byte(`"n":`), []byte(`"n":9`), 1)) == nil {
			t.Errorf("record %d verifies when it was changed", i+1)
		}
		var record struct{ To string }
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		trusted = record.To
	}
	if want := keyLine(r.Signers()[0].PublicKey()); trusted != want {
		t.Errorf("they lead to %s, the current key is %s", trusted, want)
	}
}

// A crash at any point of a rotation leaves one current key, whole, and all its records right.
func TestRotationCutOff(t *testing.T) {
	for name, cut := range map[string]struct {
		upTo  func(t *testing.T, r *Ring, record rotation)
		after bool // the next key is the current one
	}{
		"former-key-written": {func(t *testing.T, r *Ring, record rotation) {
			try(t, writePublic(r.formerPath(record.N), record.from))
		}, false},
		"record-written": {func(t *testing.T, r *Ring, record rotation) {
			try(t, writePublic(r.formerPath(record.N), record.from))
			try(t, publish(r.recordPath(record.N), record.file, 0o644))
		}, false},
		"installed": {func(t *testing.T, r *Ring, record rotation) { try(t, r.install(record)) }, true},
		"half-tidied": {func(t *testing.T, r *Ring, record rotation) {
			try(t, r.install(record))
			try(t, remove(r.path+".pub"))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := rotated(t, dir, 1)
			if _, err := r.Prepare(); err != nil {
				t.Fatal(err)
			}
			certify(t, dir, r.Signers()[0].PublicKey(), time.Hour)
			before, want := len(r.Records()), r.Announced()[0].PublicKey()
			if cut.after {
				before, want = before+1, r.Announced()[1].PublicKey()
			}
			record, err := r.sign(r.now())
			if err != nil {
				t.Fatal(err)
			}
			cut.upTo(t, r, record)

			r = openRing(t, dir)
			if got := r.Announced()[0].PublicKey(); keyLine(got) != keyLine(want) {
				t.Errorf("the current key is %s, want %s", keyLine(got), keyLine(want))
			}
			if got := len(r.Records()); got != before {
				t.Errorf("%d records, want %d", got, before)
			}
			if public, err := os.ReadFile(filepath.Join(dir, File+".pub")); err != nil || !bytes.Equal(public, ssh.MarshalAuthorizedKey(want)) {
				t.Errorf("public half: %s %v", public, err)
			}
			if _, err := r.Prepare(); err != nil {
				t.Fatal(err)
			}
			try(t, r.Rotate())
		})
	}
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// certify puts a certificate of the key into the folder, valid from now on for so long.
func certify(t *testing.T, dir string, key ssh.PublicKey, valid time.Duration) {
	t.Helper()
	ca, _, err := Load(t.TempDir())
	try(t, err)
	c := &ssh.Certificate{
		Key: key, CertType: ssh.HostCert, ValidPrincipals: []string{"localhost"},
		ValidAfter: uint64(time.Now().Add(-time.Minute).Unix()), ValidBefore: uint64(time.Now().Add(valid).Unix()),
	}
	try(t, c.SignCert(rand.Reader, ca))
	try(t, os.WriteFile(filepath.Join(dir, File+certificateSuffix), ssh.MarshalAuthorizedKey(c), 0o644))
}

func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	r := openRing(t, dir)
	if n := len(r.Signers()); n != 1 {
		t.Fatalf("%d signers without a certificate", n)
	}
	certify(t, dir, r.Signers()[0].PublicKey(), time.Hour)
	try(t, r.Reload())
	if n := len(r.Signers()); n != 2 {
		t.Errorf("%d signers with one", n)
	}
	r.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if n := len(r.Signers()); n != 1 {
		t.Errorf("%d signers with one that has expired", n)
	}
	r.now = time.Now
	other, _, err := Load(t.TempDir())
	try(t, err)
	certify(t, dir, other.PublicKey(), time.Hour)
	if err := r.Reload(); err == nil || !strings.Contains(err.Error(), "not for the current host key") {
		t.Errorf("a certificate of another key: %v", err)
	}
	if n := len(r.Signers()); n != 2 {
		t.Errorf("%d signers after a reload that failed", n)
	}
	if _, err := r.Prepare(); err != nil {
		t.Fatal(err)
	}
	try(t, r.Rotate())
	if n := len(r.Signers()); n != 1 {
		t.Errorf("%d signers after the rotation", n)
	}
	openRing(t, dir)
}

// A record that was changed, or is signed by another key, is refused at the start.
func TestForgedRecordIsRefused(t *testing.T) {
	dir := t.TempDir()
	r := rotated(t, dir, 1)
	path := r.recordPath(1)
	good, err := os.ReadFile(path)
	try(t, err)
	mallory, _, err := Load(t.TempDir())
	try(t, err)
	line, _, _ := bytes.Cut(good, []byte("\n"))
	signature, err := Sign(mallory, Namespace, append(line, '\n'))
	try(t, err)
	for name, data := range map[string][]byte{
		"empty":      nil,
		"cut":        good[:len(good)/2],
		"changed":    bytes.Replace(good, []byte(`"n":1`), []byte(`"n":2`), 1),
		"by-another": append(append(bytes.Clone(line), '\n'), signature...),
	} {
		try(t, os.WriteFile(path, data, 0o644))
		if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
	try(t, os.WriteFile(path, good, 0o644))
	openRing(t, dir)
}

func FuzzParseRotation(f *testing.F) {
	r := rotated(f, f.TempDir(), 1)
	f.Add(r.Records()[0])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		record, err := parseRotation(data)
		if err != nil {
			return
		}
		if record.from == nil || record.to == nil || !bytes.Equal(record.file, data) {
			t.Errorf("%+v", record)
		}
	})
}

func TestSSHFPAgreesWithTheStockTool(t *testing.T) {
	dir := t.TempDir()
	r := openRing(t, dir)
	list, err := r.List()
	try(t, err)
	out, err := exec.Command(sshKeygen(t), "-r", "chat.host", "-f", filepath.Join(dir, File+".pub")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), list[0].SSHFP()) {
		t.Errorf("%v: %s\nhas no %s", err, out, list[0].SSHFP())
	}
}

// A key that is elsewhere is read and never changed. The folder gets its public half, for those who check what it signed.
func TestKeyElsewhere(t *testing.T) {
	t.Parallel()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "chat-host-key")
	if err := os.WriteFile(file, goodKey(t), 0o440); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenElsewhere(dir, file, false); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
	r, err := OpenElsewhere(dir, file, true) // systemd guards it
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(dir, File+".pub"))
	if want := ssh.MarshalAuthorizedKey(r.Signers()[0].PublicKey()); err != nil || !bytes.Equal(public, want) {
		t.Errorf("the public half is %q, %v", public, err)
	}
	if _, err := r.Prepare(); !errors.Is(err, ErrElsewhere) {
		t.Errorf("prepared: %v", err)
	}
	if err := r.Rotate(); !errors.Is(err, ErrElsewhere) {
		t.Errorf("rotated: %v", err)
	}
	if list, err := r.List(); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if err := r.Reload(); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
	other := t.TempDir()
	if _, _, err := Load(other); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenElsewhere(other, file, true); err == nil || !strings.Contains(err.Error(), "another host key") {
		t.Errorf("two host keys: %v", err)
	}
	if _, err := OpenElsewhere(dir, file+"-none", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such key: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(); err == nil {
		t.Error("the key is gone and read")
	}
	if err := r.Rotate(); !errors.Is(err, ErrElsewhere) {
		t.Error(err)
	}
}
