package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/store/history"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

const killSenders = 4

// No line that any client has seen is lost when the server is killed in the middle of sending, SSHCHAT_KILLS times.
func TestKillLosesNothingSeen(t *testing.T) {
	t.Parallel()
	cycles := rounds(t, "SSHCHAT_KILLS", 6, 20)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k := newKiller(t, self)
	for range cycles {
		if lost := k.cycle(); len(lost) > 0 {
			t.Fatalf("seen and lost: %v", lost)
		}
	}
	t.Logf("figure: %d kills, %d lines seen, 0 lost", cycles, k.count)
}

// The same finds the loss where a server shows first and stores then.
func TestKillFindsWhatIsShownFirst(t *testing.T) {
	t.Parallel()
	noRaces(t)
	if !long {
		t.Skip("it is built, and killed up to 40 times: SSHCHAT_LONG=1")
	}
	program := filepath.Join(t.TempDir(), "showfirst")
	if out, err := exec.Command("go", "build", "-overlay", showFirst(t), "-o", program, ".").CombinedOutput(); err != nil {
		t.Skipf("cannot build the server that shows first: %v\n%s", err, out)
	}
	// Each message under heads of its own for many keys: storing takes long enough to be interrupted.
	k := newKiller(t, program, "--window", "1")
	k.moreKeys(15)
	for i := range 40 {
		if lost := k.cycle(); len(lost) > 0 {
			t.Logf("after %d kills: seen and lost: %v", i+1, lost)
			return
		}
	}
	t.Error("a server that shows first lost nothing in 40 kills: this test cannot see a loss")
}

// showFirst is an overlay of the source with which a server shows first and stores then. In a cluster the leader does.
func showFirst(t *testing.T) string {
	t.Helper()
	edited := make(map[string]string)
	for file, edit := range map[string][2]string{
		"sequencer.go": {"err := h.journal.Append(o.batch)", "h.show(o.batch.Events)\n\t\terr := h.journal.Append(o.batch)"},
		"apply.go":     {"\th.show(b.Events)\n", "\tif !h.Here() {\n\t\th.show(b.Events)\n\t}\n"},
	} {
		path, err := filepath.Abs(filepath.Join("..", "..", "sshchat", "chat", file))
		if err != nil {
			t.Fatal(err)
		}
		source := readText(t, path)
		if strings.Count(source, edit[0]) != 1 {
			t.Fatalf("%s has not one %q", file, edit[0])
		}
		edited[path] = strings.Replace(source, edit[0], edit[1], 1)
	}
	return overlayOf(t, edited)
}

// overlayOf is an overlay (go help build) that has these texts in the place of files, or besides them.
func overlayOf(t testing.TB, texts map[string]string) (overlay string) {
	t.Helper()
	dir := t.TempDir()
	replaced := make(map[string]string)
	for path, text := range texts {
		replaced[path] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(replaced[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// killer starts a server, lets people talk, kills it and looks for what they had seen.
type killer struct {
	t       *testing.T
	program string
	flags   []string
	data    string
	key     string
	signer  ssh.Signer
	sent    map[string]bool // every text ever sent
	seen    map[uint64]string
	count   int
}

func newKiller(t *testing.T, program string, flags ...string) *killer {
	return newKillerIn(t, filepath.Join(t.TempDir(), "data"), program, flags...)
}

func newKillerIn(t *testing.T, data, program string, flags ...string) *killer {
	k := &killer{
		t: t, program: program, flags: flags, data: data, key: writeKey(t),
		sent: make(map[string]bool), seen: make(map[uint64]string),
	}
	k.signer = signerOf(t, k.key)
	s := k.start()
	s.login("alice", k.signer).must("register")
	s.stop()
	return k
}

func (k *killer) start() *testServer { return startProgram(k.t, k.program, k.data, k.flags...) }

// moreKeys adds keys to the account that everything is sealed to.
func (k *killer) moreKeys(n int) {
	s := k.start()
	u := s.login("alice", k.signer)
	for range n {
		u.must("key add " + string(ssh.MarshalAuthorizedKey(newSigner(k.t).PublicKey())))
	}
	s.stop()
}

// cycle returns what was seen in it, and is not stored.
func (k *killer) cycle() (lost []string) {
	k.t.Helper()
	s := k.start()
	u := s.login("alice", k.signer)
	lines := k.follow(u)
	for i := range killSenders {
		k.send(u, i)
	}
	for range 25 {
		k.see(<-lines)
	}
	s.kill()
	for line := range lines { // what was on its way
		k.see(line)
	}
	s = k.start() // repairs what the kill has torn
	s.stop()
	return k.lost(k.stored())
}

// lost is what was seen and is not stored.
func (k *killer) lost(stored map[uint64]string) (lost []string) {
	for seq, text := range k.seen {
		if stored[seq] != text {
			lost = append(lost, fmt.Sprintf("%d %q (stored: %q)", seq, text, stored[seq]))
		}
	}
	return lost
}

// send says numbered lines until the connection ends.
func (k *killer) send(u *user, sender int) {
	o := u.pipeOn(k.t)
	base := len(k.sent)
	const most = 5000
	texts := make([]string, most)
	for i := range texts {
		texts[i] = fmt.Sprintf("line %d of sender %d", base+i, sender)
		k.sent[texts[i]] = true
	}
	go func() {
		for _, text := range texts {
			if _, err := io.WriteString(o, text+"\n"); err != nil {
				return // killed
			}
		}
	}()
}

// pipeOn opens a session whose output nobody reads, and returns its input.
func (u *user) pipeOn(t *testing.T) io.Writer {
	sess, err := u.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	sess.Stdout = io.Discard
	in, err := sess.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sess.Shell(); err != nil {
		t.Fatal(err)
	}
	return in
}

// follow returns what "follow --json" prints; the channel is closed with the connection.
func (k *killer) follow(u *user) <-chan string {
	c := k.connect(u)
	sess, err := c.NewSession()
	if err != nil {
		k.t.Fatal(err)
	}
	out, err := sess.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := sess.Start("follow general --json"); err != nil {
		k.t.Fatal(err)
	}
	u.here("alice")
	lines := make(chan string, 1<<16)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	return lines
}

// connect opens a second connection: one takes four sessions.
func (k *killer) connect(u *user) *user { return u.server.login("alice", k.signer) }

func (k *killer) see(line string) {
	k.t.Helper()
	var m struct {
		Seq  uint64
		Text string
	}
	if line == "" {
		k.t.Fatal("the server ended before it was killed")
	}
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		return // cut by the kill
	}
	if m.Seq == 0 {
		return
	}
	if before, twice := k.seen[m.Seq]; twice && before != m.Text {
		k.t.Errorf("message %d was %q and is %q", m.Seq, before, m.Text)
	}
	k.seen[m.Seq] = m.Text
	k.count++
}

// stored opens the history from the disk.
func (k *killer) stored() map[uint64]string {
	k.t.Helper()
	stored, err := k.read()
	if err != nil {
		k.t.Fatal(err)
	}
	return stored
}

// read opens the history from the disk. Nothing in it is doubled, invented or missing in between.
func (k *killer) read() (map[uint64]string, error) {
	k.t.Helper()
	ids, err := readIdentities(k.key)
	if err != nil {
		k.t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(k.data, "message_history.json"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer f.Close()
	stored := make(map[uint64]string)
	texts := make(map[string]bool)
	o := &history.Opener{Identities: []age.Identity(ids)}
	for line, err := range o.Lines(f) {
		switch {
		case err != nil:
			return stored, err
		case line.Seq != uint64(len(stored))+1:
			k.t.Fatalf("message %d follows %d", line.Seq, len(stored))
		case texts[line.Text]:
			k.t.Fatalf("%q is stored twice", line.Text)
		case !k.sent[line.Text]:
			k.t.Fatalf("%q was never sent", line.Text)
		}
		stored[line.Seq] = line.Text
		texts[line.Text] = true
	}
	return stored, nil
}
