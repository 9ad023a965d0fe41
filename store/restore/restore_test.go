package restore

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file is an entry of a tar.
type file struct {
	tar.Header
	content string
}

func regular(name, content string) file {
	return file{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600}, content}
}

func usual() []file {
	return []file{regular("message_history.0001.json", "h1"), regular("message_history.json", "h"), regular("users.json", "u"), regular("audit.jsonl", "a"), regular("motd", "m")}
}

func pack(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if f.Typeflag == tar.TypeReg && f.Size == 0 {
			f.Size = int64(len(f.content))
		}
		if err := w.WriteHeader(&f.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// restored is Restore into a new folder. It checks that all or nothing is in place, and that nothing else is anywhere.
func restored(t *testing.T, in []byte, check func(string) error) ([]string, error) {
	t.Helper()
	parent := t.TempDir()
	dir := filepath.Join(parent, "data")
	names, err := Restore(bytes.NewReader(in), dir, check)
	entries, readErr := os.ReadDir(parent)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if err != nil {
		if len(entries) > 0 {
			t.Errorf("%v; and it leaves %v", err, entries)
		}
		return names, err
	}
	if len(entries) != 1 || entries[0].Name() != "data" {
		t.Errorf("it leaves %v", entries)
	}
	info, err := os.Lstat(dir)
	if err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("the folder is %v, %v", info, err)
	}
	if entries, err = os.ReadDir(dir); err != nil || len(entries) != len(names) {
		t.Errorf("%v, %v; restored were %v", entries, err, names)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s is %v, %v", e.Name(), info, err)
		}
	}
	return names, nil
}

func fine(string) error { return nil }

func TestRestore(t *testing.T) {
	t.Parallel()
	open := usual()
	open[1].Mode = 0o666
	for name, in := range map[string][]byte{
		"as it is made": pack(t, usual()...), "open to others": pack(t, open...), "filled up": append(pack(t, usual()...), make([]byte, 20480)...),
		"with host keys": pack(t, append(usual(), regular("ssh_host_ed25519_key", "k"), regular("ssh_host_ed25519_key.pub", "p"), regular("ssh_host_ed25519_key-cert.pub", "c"))...),
	} {
		var seen string
		names, err := restored(t, in, func(folder string) error {
			b, err := os.ReadFile(filepath.Join(folder, "users.json"))
			seen = string(b)
			return err
		})
		if err != nil || len(names) < 5 || seen != "u" {
			t.Errorf("%s: %v, %v, checked %q", name, names, err, seen)
		}
	}
	refused := errors.New("the history is damaged")
	if _, err := restored(t, pack(t, usual()...), func(string) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("what is refused by the check: %v", err)
	}
}

// Whatever is no backup is refused, and leaves nothing.
func TestWhatIsNoBackup(t *testing.T) {
	t.Parallel()
	with := func(f file) []byte { return pack(t, append(usual(), f)...) }
	link := func(kind byte, name, to string) file {
		return file{tar.Header{Typeflag: kind, Name: name, Linkname: to, Mode: 0o600}, ""}
	}
	whole := pack(t, usual()...)
	setuid := regular("state.json", "s")
	setuid.Mode = 0o4755
	cases := map[string][]byte{
		"nothing": nil, "an empty tar": pack(t), "text": []byte(strings.Repeat("no tar\n", 200)), "gzip": append([]byte("\x1f\x8b\x08"), make([]byte, 600)...),
		"a symbolic link": with(link(tar.TypeSymlink, "state.json", "/etc/passwd")), "a hard link": with(link(tar.TypeLink, "state.json", "users.json")),
		"a device": with(link(tar.TypeChar, "state.json", "")), "a fifo": with(link(tar.TypeFifo, "state.json", "")), "a folder": with(link(tar.TypeDir, "x/", "")),
		"the folder above": with(regular("../state.json", "s")), "an absolute path": with(regular("/tmp/state.json", "s")), "a path": with(regular("x/state.json", "s")),
		"a dot": with(regular("./state.json", "s")), "another file": with(regular("authorized_keys", "s")), "a configuration": with(regular("sshchat.toml", "s")),
		"the lock": with(regular("lock", "1")), "a name with a newline": with(regular("motd\n", "s")), "a file twice": with(regular("users.json", "s")),
		"set-user-ID": with(setuid), "a large key": with(regular("ssh_host_ed25519_key", strings.Repeat("k", 1<<20+1))),
		"without accounts": pack(t, usual()[0], usual()[1], usual()[3]), "without a history": pack(t, usual()[0], usual()[2], usual()[3]), "without an audit log": pack(t, usual()[:3]...),
		"something behind it": append(bytes.Clone(whole), "more"...), "two tars": append(bytes.Clone(whole), whole...),
	}
	for n := 0; n < len(whole)-endSize; n += 256 {
		cases["cut short after "+string(rune('A'+n/256))] = whole[:n]
	}
	cases["without its end"] = whole[:len(whole)-endSize]
	cases["with half its end"] = whole[:len(whole)-endSize/2]
	for name, in := range cases {
		if names, err := restored(t, in, fine); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v, %v", name, names, err)
		}
	}
	for _, records := range []map[string]string{{"GNU.sparse.major": "1"}, {"GNU.sparse.size": "9999999999999"}} {
		h := regular("state.json", "").Header
		h.PAXRecords = records
		if err := acceptable(&h, nil); err == nil {
			t.Errorf("a sparse file is taken: %v", records)
		}
	}
}

// A folder with anything in it stays as it is; an empty one is filled.
func TestFoldersThatAreThere(t *testing.T) {
	t.Parallel()
	in := pack(t, usual()...)
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(bytes.NewReader(in), dir, fine); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Restore(bytes.NewReader(in), dir, fine); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("once more: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, filepath.Join(t.TempDir(), "no", "parent")} {
		if _, err := Restore(bytes.NewReader(in), path, fine); err == nil {
			t.Errorf("%s is taken", path)
		}
	}
	filled := filepath.Join(t.TempDir(), "filled")
	if _, err := Restore(bytes.NewReader(in), filled, func(string) error {
		return os.MkdirAll(filepath.Join(filled, "meanwhile"), 0o700)
	}); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a folder that is filled meanwhile: %v", err)
	}
}

// FuzzRestore checks that whatever comes, only files of a backup are written, each once and whole, and that what is taken ends as a
// tar does.
func FuzzRestore(f *testing.F) {
	f.Add(pack(f, usual()...))
	f.Add(pack(f, append(usual(), file{tar.Header{Typeflag: tar.TypeSymlink, Name: "state.json", Linkname: "/etc/passwd"}, ""})...))
	f.Add(pack(f, append(usual(), regular("../x", "s"))...))
	f.Fuzz(func(t *testing.T, in []byte) {
		written := make(map[string]bool)
		names, err := unpack(bytes.NewReader(in), func(name string, from io.Reader, size int64) error {
			if filepath.Base(name) != name || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\n") || written[name] {
				t.Errorf("%q is written", name)
			}
			written[name] = true
			n, err := io.Copy(io.Discard, from)
			if err == nil && n != size || n > int64(len(in)) {
				t.Errorf("%d bytes of %d are written, of %d", n, size, len(in))
			}
			return err
		})
		if err == nil && (len(names) != len(written) || !bytes.HasSuffix(in, make([]byte, endSize))) {
			t.Errorf("%d files of %d; %d bytes are taken", len(names), len(written), len(in))
		}
	})
}
