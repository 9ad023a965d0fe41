//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/text"
)

// I have the whole memory of a server on which paula has unlocked the past of a room, and locked it again, or left. I look for
// the keys of the windows, and for the identity that her password opens. The control is the time in between: the texts and
// the keys are there. What of texts is left from screens is not claimed to be erased, and counted.
func TestAttackMemoryAfterLock(t *testing.T) {
	t.Parallel()
	noRaces(t)
	if !long {
		t.Skip("building everything anew takes a minute: SSHCHAT_LONG=1")
	}
	row := attack.On(t, attack.Connections, "search the server's memory for what /unlock has opened, after /lock or the end of the session")
	v := &victim{t: t, data: filepath.Join(t.TempDir(), "data"), key: writeKey(t)}
	program := buildWith(t, "runtimesecret")
	v.server = startProgram(t, program, v.data)
	v.server.registerByPassword("paula")
	alice := v.server.registerWith(t, "alice", v.key)
	var texts [][]byte
	for i := range 40 {
		said := fmt.Sprintf("sealed otter number %02d lies on its back", i)
		alice.must("say general '" + said + "'")
		texts = append(texts, []byte(said))
	}
	v.server.stop()
	v.server = startProgram(t, program, v.data, "--dumpable")
	alice = v.server.login("alice", alice.signer)
	alice.must("say general '" + lastSaid + "'")
	identity, keys := v.opened("paula")
	none := func(what string, patterns ...[]byte) {
		t.Helper()
		if found := v.left(patterns); found > 0 {
			t.Errorf("%s: %d copies are left", what, found)
		}
	}
	none("texts before /unlock", texts...)
	for way, lock := range map[string]func(o *openSession){
		"/lock":                  func(o *openSession) { o.typeln("/lock"); o.sees("is locked again") },
		"the end of the session": func(o *openSession) { o.typeln("/quit"); <-o.ended },
	} {
		paula := v.byPrompt("paula")
		o := paula.full(100, 30)
		o.sees("Welcome, paula")
		o.typeln("/unlock")
		o.sees("Password:")
		o.typeln(goodPassword)
		o.sees("To lock")
		fmt.Fprint(o.typed, "\x1b[5~\x1b[5~\x1b[5~")
		o.sees("sealed otter number 01")
		open, openKeys := v.find(texts), v.find(keys)
		if open == 0 || openKeys == 0 {
			t.Errorf("control: %d texts and %d keys are in memory while they are unlocked", open, openKeys)
		}
		none(way+", the identity while the past is unlocked", identity...)
		lock(o)
		none(way+", keys", keys...)
		none(way+", the identity", identity...)
		t.Logf("figure: memory, texts on screens: while unlocked %d copies, after %s %d; of the password that was typed %d", open, way, v.find(texts), v.find([][]byte{[]byte(goodPassword)}))
		paula.Close()
		row.Tried("%d texts, and the %s of their windows", len(texts), text.Count(len(keys), "key"))
	}
	row.Held("with GOEXPERIMENT=runtimesecret no key and no identity is left; rows that were drawn stay in freed memory until it is reused")
	row.Control("while the past is unlocked its texts and keys are found, and the identity is not")
}

// byPrompt logs in with the good password at a prompt.
func (v *victim) byPrompt(name string) *user {
	v.t.Helper()
	client, err := v.server.dialAs(name, interactive(goodPassword))
	if err != nil {
		v.t.Fatal(err)
	}
	return &user{client, v.t, v.server, name, nil}
}

// opened is what the good password of somebody opens: the identity, as it is written, and the keys of the windows. It is not done
// in the server's process.
func (v *victim) opened(name string) (identity, keys [][]byte) {
	v.t.Helper()
	u := v.byPrompt(name)
	defer u.Close()
	sealed := u.must("identity")
	by, err := age.NewScryptIdentity(goodPassword)
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), by)
	if err != nil {
		v.t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		v.t.Fatal(err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(plain))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, id := range ids {
		if x, ok := id.(*age.X25519Identity); ok {
			identity = append(identity, []byte(x.String()))
		}
	}
	for _, r := range v.records() {
		if head := r.Heads[name]; r.T == "window" && head != "" {
			key, err := age.DecryptHeader([]byte(head), ids...)
			if err != nil {
				v.t.Fatal(err)
			}
			keys = append(keys, key)
		}
	}
	if len(identity) == 0 || len(keys) == 0 {
		v.t.Fatalf("%d identities and %d keys", len(identity), len(keys))
	}
	return identity, keys
}
