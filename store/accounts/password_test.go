package accounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/creack/pty"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

var ctx = context.Background()

// unseal opens a stock age passphrase file with age's library and returns the identities in it.
func unseal(t testing.TB, armored []byte, password string) ([]age.Identity, error) {
	t.Helper()
	by, err := age.NewScryptIdentity(password)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(armored)), by)
	if err != nil {
		return nil, err
	}
	return age.ParseIdentities(r)
}

// workFactor is what a passphrase file asks for.
func workFactor(t testing.TB, sealed string) string {
	t.Helper()
	file, err := io.ReadAll(armor.NewReader(strings.NewReader(sealed)))
	if err != nil {
		t.Fatal(err)
	}
	m := scryptStanza.FindSubmatch(file)
	if m == nil {
		t.Fatalf("not a passphrase file: %q", file)
	}
	return string(m[1])
}

var scryptStanza = regexp.MustCompile(`^age-encryption.org/v1\n-> scrypt \S+ (\d+)\n`)

// sealTo is a message to what alice has at the moment.
func sealTo(t testing.TB, u *Store, a chat.Account) []byte {
	t.Helper()
	var out bytes.Buffer
	to := u.Recipients(nil, chat.General, a.Name)
	w, err := age.Encrypt(&out, to[len(to)-1]) // the password identity
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func opens(ids []age.Identity, sealed []byte) bool {
	r, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		return false
	}
	b, err := io.ReadAll(r)
	return err == nil && string(b) == "hello\n"
}

func identities(t testing.TB, u *Store, a chat.Account, password string) []age.Identity {
	t.Helper()
	armored, err := u.Identity(a.ID)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := unseal(t, armored, password)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestPasswordProvesItself(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", goodPassword)
	if !alice.Password || alice.Generation == "" {
		t.Errorf("%+v", alice)
	}
	secret := []byte(goodPassword)
	got, err := u.CheckPassword(ctx, alice.Name, secret)
	if err != nil || got.ID != alice.ID || got.Generation != alice.Generation {
		t.Errorf("%+v, %v", got, err)
	}
	if string(secret) != goodPassword {
		t.Error("the caller's password was wiped")
	}
	for _, wrong := range []string{"", "wrong", goodPassword + " ", strings.ToUpper(goodPassword), strings.Repeat("x", 250_000), "\xff"} {
		_, err := u.CheckPassword(ctx, alice.Name, []byte(wrong))
		wantErr(t, err, ErrPassword)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = u.CheckPassword(canceled, alice.Name, secret)
	wantErr(t, err, context.Canceled)
}

func TestOnePasswordOnEveryKeyboard(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", "ein schönes Paßwort") // o with diaeresis as one code point
	if _, err := u.CheckPassword(ctx, alice.Name, []byte("ein scho\u0308nes Paßwort")); err != nil {
		t.Errorf("as two code points: %v", err)
	}
}

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", goodPassword)
	for _, c := range []struct{ password, word string }{
		{"", "empty"},
		{"fourteen chars", "at least 15"},
		{"ééééééé", "has 7"}, // 14 bytes
		{"e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", "has 8"}, // NFC before counting
		{strings.Repeat("x", 1025), "1024"},
		{"not UTF-8 \xff\xff\xff\xff\xff", "UTF-8"},
		{"a new line \n in it", "control"},
		{goodPassword, "your current one"},
	} {
		_, err := u.SetPassword(ctx, alice.ID, []byte(goodPassword), []byte(c.password))
		if !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%q: %v", c.password, err)
		}
	}
	_, err := u.Create(name("bob"), chat.User, nil, []byte{}, 1)
	wantErr(t, err, ErrPolicy)
	if _, err := u.SetPassword(ctx, alice.ID, []byte(goodPassword), longest()); err != nil {
		t.Errorf("1024 bytes: %v", err)
	}
}

// longest is a password of as many bytes as there may be, and with nothing in it twice.
func longest() []byte {
	var b []byte
	for r := rune(0x4e00); len(b) < agesplit.MaxPassword-3; r += 7 {
		b = utf8.AppendRune(b, r)
	}
	return append(b, "x"...)
}

func TestNoAccountTakesTheSameWay(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	create(t, u, "alice", goodPassword)
	create(t, u, "bob", "") // has a key alone
	type opened struct {
		work string
		err  error
	}
	var last opened
	count := 0
	u.open = func(sealed string, phrase []byte) ([]byte, error) {
		plain, err := agesplit.OpenIdentities(sealed, phrase)
		last = opened{workFactor(t, sealed), err}
		count++
		return plain, err
	}
	for i, s := range []string{"alice", "bob", "nobody"} {
		_, err := u.CheckPassword(ctx, name(s), []byte("wrong, but long enough"))
		wantErr(t, err, ErrPassword)
		if count != i+1 || last.work != "4" || !errors.Is(last.err, agesplit.ErrWrongPassphrase) {
			t.Errorf("%s: opened %d, %+v", s, count, last)
		}
	}
}

func TestDummyOpensWithNothing(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	bob := create(t, u, "bob", "")
	u.open = func(string, []byte) ([]byte, error) { return []byte("whatever it holds\n"), nil }
	for _, n := range []chat.Name{bob.Name, name("nobody")} {
		a, err := u.CheckPassword(ctx, n, []byte(goodPassword))
		wantErr(t, err, ErrPassword)
		if a.ID != "" {
			t.Errorf("%s is in", n)
		}
	}
}

func TestChangeOfPassword(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	const second, third = "seven olive lanterns", "grey herons before dawn"
	alice := create(t, u, "alice", goodPassword)
	oldFile, err := u.Identity(alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	before := sealTo(t, u, alice)

	_, err = u.SetPassword(ctx, alice.ID, []byte("not the password"), []byte(second))
	wantErr(t, err, ErrPassword)
	_, err = u.SetPassword(ctx, alice.ID, nil, []byte(second))
	wantErr(t, err, ErrPassword)
	_, err = u.SetPassword(ctx, "nobody", nil, []byte(second))
	wantErr(t, err, chat.ErrNoAccount)
	if _, err := u.SetPassword(ctx, alice.ID, []byte(goodPassword), []byte(second)); err != nil {
		t.Fatal(err)
	}
	if _, err := u.SetPassword(ctx, alice.ID, []byte(second), []byte(third)); err != nil {
		t.Fatal(err)
	}
	after := sealTo(t, u, alice)
	ids := identities(t, u, alice, third)
	if len(ids) != 3 || !opens(ids, before) || !opens(ids, after) {
		t.Errorf("%d identities; before %v, after %v", len(ids), opens(ids, before), opens(ids, after))
	}
	if newest := ids[0].(*age.X25519Identity).Recipient().String(); newest != fmt.Sprint(u.Recipients(nil, chat.General, alice.Name)[1]) {
		t.Error("the newest identity is not the first")
	}
	// Whoever has the old password and a copy of the old file has the past, and no more.
	old, err := unseal(t, oldFile, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if !opens(old, before) || opens(old, after) {
		t.Errorf("the old password opens: before %v, after %v", opens(old, before), opens(old, after))
	}
	if now, err := u.Identity(alice.ID); err != nil || bytes.Contains(now, oldFile) {
		t.Error(err)
	}
	for _, former := range []string{goodPassword, second} {
		_, err := u.CheckPassword(ctx, alice.Name, []byte(former))
		wantErr(t, err, ErrPassword)
	}
	now, err := u.CheckPassword(ctx, alice.Name, []byte(third))
	if err != nil || now.Generation == alice.Generation {
		t.Errorf("%v, generation %s", err, now.Generation)
	}
}

func TestFirstAndResetPassword(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	bob := create(t, u, "bob", "")
	_, err := u.Identity(bob.ID)
	wantErr(t, err, chat.ErrNoPassword)
	_, err = u.Identity("nobody")
	wantErr(t, err, chat.ErrNoAccount)
	if _, err := u.SetPassword(ctx, bob.ID, nil, []byte(goodPassword)); err != nil {
		t.Fatal(err)
	}
	forgotten := sealTo(t, u, bob)
	former, err := u.Identity(bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.ResetPassword(ctx, "nobody", []byte("from the admin's desk")), chat.ErrNoAccount)
	if err := u.ResetPassword(ctx, bob.ID, []byte("from the admin's desk")); err != nil {
		t.Fatal(err)
	}
	_, err = u.CheckPassword(ctx, bob.Name, []byte(goodPassword))
	wantErr(t, err, ErrPassword)
	if ids := identities(t, u, bob, "from the admin's desk"); len(ids) != 1 || opens(ids, forgotten) {
		t.Error("an admin's reset opens the past")
	}
	if _, err := u.SetPassword(ctx, bob.ID, []byte("from the admin's desk"), []byte("bob's own new password")); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, filepath.Dir(u.files.path))
	now, _ := again.ByName(bob.Name)
	retired := passwordOf(now).Retired
	if len(retired) != 1 || retired[0] != string(former) {
		t.Fatalf("%d retired", len(retired))
	}
	if ids, err := unseal(t, []byte(retired[0]), goodPassword); err != nil || !opens(ids, forgotten) {
		t.Errorf("the remembered password opens nothing: %v", err)
	}
}

func TestTwoChangesOfOnePassword(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", goodPassword)
	both := make(chan struct{}, 2)
	var inside sync.WaitGroup
	inside.Add(2)
	u.open = func(sealed string, phrase []byte) ([]byte, error) {
		inside.Done()
		inside.Wait() // both have read the same old password
		return agesplit.OpenIdentities(sealed, phrase)
	}
	var lost error
	for i := range 2 {
		go func() {
			_, err := u.SetPassword(ctx, alice.ID, []byte(goodPassword), fmt.Appendf(nil, "the password of %d's choice", i))
			if err != nil {
				lost = err
			}
			both <- struct{}{}
		}()
	}
	<-both
	<-both
	wantErr(t, lost, chat.ErrPasswordChanged)
}

func TestSwappedIdentityFile(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	u, err := Open(t.TempDir(), Options{WorkFactor: 4, Log: slog.New(slog.NewTextHandler(&log, nil)), FlushEvery: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	alice, mallory := create(t, u, "alice", goodPassword), create(t, u, "mallory", "a parrot under the stairs")
	forged := passwordOf(alice)
	forged.Sealed = passwordOf(mallory).Sealed
	decided(t, u, chat.TheServer, forged.replacing(alice))
	_, err = u.CheckPassword(ctx, alice.Name, []byte("a parrot under the stairs"))
	wantErr(t, err, ErrPassword)
	if s := log.String(); !strings.Contains(s, alice.ID) || strings.Contains(s, "SECRET") || strings.Contains(s, "mallory's") {
		t.Errorf("log: %s", s)
	}
}

func TestAtMostTwoScrypts(t *testing.T) {
	t.Parallel()
	if most := mostAtOnce(t, newSemaphore(), 2); most != 2 {
		t.Errorf("%d at once", most)
	}
	// Without the limit there are more, or the count proves nothing.
	wide := &semaphore{slots: make(chan struct{}, 5), queue: make(chan struct{}, scryptQueue)}
	if most := mostAtOnce(t, wide, 5); most != 5 {
		t.Errorf("with a semaphore for five: %d at once", most)
	}
}

// mostAtOnce counts how many scrypts run at once while sixty ask. The first are held until so many are inside.
func mostAtOnce(t *testing.T, g *semaphore, hold int) int {
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", goodPassword)
	u.scrypts = g
	var mu sync.Mutex
	inside, most := 0, 0
	full := make(chan struct{}) // closed when hold are inside for the first time
	count := func(work func()) {
		mu.Lock()
		inside++
		if inside > most {
			if most = inside; most == hold {
				close(full)
			}
		}
		mu.Unlock()
		<-full
		work()
		mu.Lock()
		inside--
		mu.Unlock()
	}
	u.open = func(sealed string, phrase []byte) (plain []byte, err error) {
		count(func() { plain, err = agesplit.OpenIdentities(sealed, phrase) })
		return plain, err
	}
	u.seal = func(plain, phrase []byte, workFactor int) (sealed string, err error) {
		count(func() { sealed, err = agesplit.SealIdentities(plain, phrase, workFactor) })
		return sealed, err
	}
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			var err error
			switch i % 3 {
			case 0:
				_, err = u.CheckPassword(ctx, alice.Name, []byte(goodPassword))
			case 1:
				_, err = u.CheckPassword(ctx, name("nobody"), []byte(goodPassword))
			case 2:
				_, err = u.Create(name(fmt.Sprintf("u%c", 'a'+i/3)), chat.User, nil, []byte(goodPassword), 1)
			}
			if err != nil && !errors.Is(err, ErrPassword) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return most
}

// TestRealWorkFactor runs once what a server runs with.
func TestRealWorkFactor(t *testing.T) {
	t.Parallel()
	u, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	alice := create(t, u, "alice", goodPassword)
	armored, err := u.Identity(alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	if work := workFactor(t, string(armored)); work != "16" {
		t.Errorf("work factor %s", work)
	}
	if _, err := u.CheckPassword(ctx, alice.Name, []byte(goodPassword)); err != nil {
		t.Error(err)
	}
	if ids, err := unseal(t, armored, goodPassword); err != nil || len(ids) != 1 {
		t.Errorf("age's library: %v", err)
	}
}

// TestStockAgeOpensIdentity gives the file to the age command as a person would: -i, and the password typed.
func TestStockAgeOpensIdentity(t *testing.T) {
	t.Parallel()
	bin, err := exec.LookPath("age")
	if err != nil {
		if os.Getenv("SSHCHAT_REQUIRE_CLIENTS") == "1" {
			t.Fatal("age is not installed")
		}
		t.Skip("age is not installed")
	}
	u := open(t, t.TempDir())
	const second = "seven ölive lanterns"
	alice := create(t, u, "alice", goodPassword)
	before := sealTo(t, u, alice)
	if _, err := u.SetPassword(ctx, alice.ID, []byte(goodPassword), []byte(second)); err != nil {
		t.Fatal(err)
	}
	armored, err := u.Identity(alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	me := filepath.Join(dir, "me.age")
	if err := os.WriteFile(me, armored, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, sealed := range [][]byte{before, sealTo(t, u, alice)} {
		in, out := filepath.Join(dir, fmt.Sprint("in", i)), filepath.Join(dir, fmt.Sprint("out", i))
		if err := os.WriteFile(in, sealed, 0o600); err != nil {
			t.Fatal(err)
		}
		said := typed(t, exec.Command(bin, "-d", "-i", me, "-o", out, in), second)
		if b, err := os.ReadFile(out); err != nil || string(b) != "hello\n" {
			t.Errorf("age opened %q (%v) and said %q", b, err, said)
		}
	}
}

// typed runs a command on a terminal, types the password when it asks for one, and returns what it said.
func typed(t *testing.T, cmd *exec.Cmd, password string) string {
	t.Helper()
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	deadline := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer deadline.Stop()
	var said strings.Builder
	b := make([]byte, 1024)
	for asked := false; ; {
		n, err := tty.Read(b)
		said.Write(b[:n])
		if !asked && strings.Contains(said.String(), "passphrase") && strings.Contains(said.String(), ":") {
			asked = true
			if _, err := io.WriteString(tty, password+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil { // EIO: the other side has closed
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
	return said.String()
}

func BenchmarkCheckPassword(b *testing.B) {
	u, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer u.Close()
	alice := create(b, u, "alice", goodPassword)
	for _, c := range []struct{ what, name, password string }{
		{"right", "alice", goodPassword}, {"wrong", "alice", "some other password"}, {"unknown", "nobody", goodPassword},
	} {
		b.Run(c.what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a, err := u.CheckPassword(ctx, name(c.name), []byte(c.password))
				if (err == nil) != (c.what == "right") || err == nil && a.ID != alice.ID {
					b.Fatal(err)
				}
			}
		})
	}
}
