//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// I have the whole memory of a running server and alice's key, and look for the keys of what is stored: the file key of
// each window, also of the open one, and the keys of all that was written. In the build that erases there are none, so
// that without a reader's key nobody could have opened what is stored from there. The plain build is the control: it
// leaves them lying about.
func TestAttackMemoryForgets(t *testing.T) {
	t.Parallel()
	noRaces(t)
	if !long {
		t.Skip("building everything anew takes a minute: SSHCHAT_LONG=1")
	}
	row := attack.On(t, attack.Connections, "search the server's memory for keys of stored messages, with a reader's key to recognise them")
	for _, c := range []struct {
		name, experiment string
		erases           bool
	}{{"erasing", "runtimesecret", true}, {"plain", "noruntimesecret", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := &victim{t: t, data: filepath.Join(t.TempDir(), "data"), key: writeKey(t)}
			program := buildWith(t, c.experiment)
			v.server = startProgram(t, program, v.data)
			v.server.registerByPassword("paula") // her password was typed into this process
			v.server.stop()
			v.server = startProgram(t, program, v.data, "--dumpable")
			v.talk()
			keys := v.usedKeys()
			search := func(patterns ...[]byte) int {
				if c.erases {
					return v.left(patterns)
				}
				return v.find(patterns)
			}
			if found := search(keys...); (found == 0) != c.erases {
				t.Errorf("%d keys searched, %d copies found", len(keys), found)
			} else {
				t.Logf("figure: memory, %s build: keys searched %d, copies found %d", c.name, len(keys), found)
				row.Tried("%d keys of stored messages", len(keys))
				if c.erases {
					row.Held("%d copies in a build with GOEXPERIMENT=runtimesecret", found)
				} else {
					row.Control("%d in a plain build", found)
				}
			}
			v.logIn(ssh.Password(goodPassword))
			byPassword := search([]byte(goodPassword))
			const wrong = "what paula does not have for a password"
			for _, client := range []ssh.Config{{}, {Ciphers: []string{ssh.CipherAES128GCM}}, {Ciphers: []string{ssh.CipherAES128CTR}}} {
				v.failBy(client, wrong)
			}
			if found := search([]byte(wrong)); found != 0 && c.erases {
				t.Errorf("a wrong password given by the method password: %d copies found", found)
			} else {
				t.Logf("figure: memory, %s build: copies of a wrong password %d", c.name, found)
			}
			v.logIn(interactive(goodPassword, goodPassword, goodPassword))
			t.Logf("figure: memory, %s build: copies of a password after logins with it %d, after logins at a prompt %d", c.name, byPassword, search([]byte(goodPassword)))
		})
	}
}

const lastSaid = "that is all there is to say about otters"

// buildWith builds the server with a GOEXPERIMENT.
func buildWith(t *testing.T, experiment string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sshchat")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "GOEXPERIMENT="+experiment)
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("cannot build the server with GOEXPERIMENT=%s: %v\n%s", experiment, err, out)
	}
	return program
}

// victim is the server whose memory is read.
type victim struct {
	t      *testing.T
	server *testServer
	data   string
	key    string // alice's, a file
}

// talk has people come and write: windows close, and the last stays open.
func (v *victim) talk() {
	s := v.server
	alice := s.registerWith(v.t, "alice", v.key)
	screen := alice.plain(80, 24)
	say := func(u *user, n int) {
		for i := range n {
			u.must(fmt.Sprintf("say general 'otter number %d'", i))
		}
	}
	say(alice, 20)
	for i := range 8 { // enough for windows that are made ahead
		say(s.register(fmt.Sprintf("guest%d", i)), 5)
	}
	say(alice, 5)
	alice.must("say general '" + lastSaid + "'")
	screen.sees(lastSaid)
}

// logIn logs paula in three times.
func (v *victim) logIn(how ssh.AuthMethod) {
	for range 3 {
		client, err := v.server.dialAs("paula", how)
		if err != nil {
			v.t.Fatalf("paula: %v\n%s", err, v.server.log)
		}
		(&user{client, v.t, v.server, "paula", nil}).must("whoami")
		client.Close()
	}
}

// failBy tries a wrong password for paula three times, in connections that end at once.
func (v *victim) failBy(config ssh.Config, password string) {
	for range 3 {
		client, err := ssh.Dial("tcp", v.server.addr, &ssh.ClientConfig{
			Config: config, User: "paula", Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		})
		if err == nil {
			client.Close()
			v.t.Fatal("in by a wrong password")
		}
	}
}

// record is what is looked at of a record of the history.
type record struct {
	T, Room string
	W       uint64
	Heads   map[string]string
	Body    string
}

// records are those of the stored history.
func (v *victim) records() []record {
	v.t.Helper()
	var doc struct{ Records []record }
	if err := json.Unmarshal([]byte(readText(v.t, filepath.Join(v.data, "message_history.json"))), &doc); err != nil {
		v.t.Fatal(err)
	}
	return doc.Records
}

// usedKeys are the keys of all that is stored, as alice's key opens them: of windows, and of single bodies and closes.
func (v *victim) usedKeys() (keys [][]byte) {
	id, err := agessh.ParseIdentity([]byte(readText(v.t, v.key)))
	if err != nil {
		v.t.Fatal(err)
	}
	var fileKey []byte // of the room's window; there is one room
	windows, bodies := 0, 0
	for _, r := range v.records() {
		switch {
		case r.T == "window":
			if fileKey, err = age.DecryptHeader([]byte(r.Heads["alice"]), id); err != nil {
				v.t.Fatalf("window %d: %v", r.W, err)
			}
			keys = append(keys, fileKey)
			windows++
		case len(r.Body) >= 24:
			nonce, err := base64.StdEncoding.DecodeString(r.Body[:24]) // the rest may go on in the next record
			if err != nil {
				v.t.Fatal(err)
			}
			key, err := hkdf.Key(sha256.New, fileKey, nonce[:16], "payload", 32)
			if err != nil {
				v.t.Fatal(err)
			}
			keys = append(keys, key)
			bodies++
		}
	}
	if windows < 9 || bodies < 70 {
		v.t.Fatalf("%d windows and %d bodies are stored", windows, bodies)
	}
	return keys
}

// find counts where any of the patterns, of 16 bytes or more, is in the server's memory. It must find what the room's
// scrollback holds by design, or it sees nothing.
func (v *victim) find(patterns [][]byte) (found int) {
	v.t.Helper()
	first := make(map[uint64][][]byte)
	for _, p := range append(patterns, []byte(lastSaid)) {
		first[binary.LittleEndian.Uint64(p)] = append(first[binary.LittleEndian.Uint64(p)], p)
	}
	var maybe [1 << 16]bool
	for start := range first {
		maybe[uint16(start)] = true
	}
	said := 0
	for _, block := range v.memory() {
		for i := 0; i+8 <= len(block); i++ {
			if !maybe[binary.LittleEndian.Uint16(block[i:])] {
				continue
			}
			for _, p := range first[binary.LittleEndian.Uint64(block[i:])] {
				switch {
				case !bytes.HasPrefix(block[i:], p):
				case string(p) == lastSaid:
					said++
				default:
					found++
				}
			}
		}
	}
	if said == 0 {
		v.t.Fatal("what was just said is nowhere in memory: this search finds nothing")
	}
	return found
}

// left is what find counts once the server has erased what it will: after a second, and a run of the garbage collector, and on a busy
// machine more.
func (v *victim) left(patterns [][]byte) (found int) {
	v.t.Helper()
	found = v.find(patterns)
	for end := time.Now().Add(patience / 3); found > 0 && time.Now().Before(end); found = v.find(patterns) {
		time.Sleep(time.Second)
	}
	return found
}

// memory is all that the server can write to, stopped for as long as it is read.
func (v *victim) memory() (blocks [][]byte) {
	v.t.Helper()
	pid := v.server.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		v.t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if errors.Is(err, os.ErrPermission) {
		v.t.Skip("this machine lets nobody read a process's memory")
	}
	if err != nil {
		v.t.Fatal(err)
	}
	defer mem.Close()
	for line := range strings.Lines(readText(v.t, fmt.Sprintf("/proc/%d/maps", pid))) {
		var from, to uint64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		block := make([]byte, to-from)
		n, err := io.ReadFull(io.NewSectionReader(mem, int64(from), int64(to-from)), block)
		if err != nil && n == 0 {
			continue // not memory: the kernel's pages
		}
		blocks = append(blocks, block[:n])
	}
	return blocks
}
