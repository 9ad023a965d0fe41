package accounts

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/changes"
)

// cheap is for tests: the real work factor is tried once, in password_test.go.
var cheap = Options{WorkFactor: 4, FlushEvery: time.Millisecond}

const goodPassword = "correct horse battery"

func open(t testing.TB, dir string) *Store {
	t.Helper()
	u, err := Open(dir, cheap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return u
}

func name(s string) chat.Name {
	n, err := text.ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func roomName(s string) chat.RoomName {
	r, err := text.ParseRoomName(s)
	if err != nil {
		panic(err)
	}
	return r
}

// newKey is a fresh ssh-ed25519 key.
func newKey(t testing.TB) chat.Key {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKey(string(ssh.MarshalAuthorizedKey(key)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func create(t testing.TB, u *Store, s string, password string) chat.Account {
	t.Helper()
	var secret []byte
	if password != "" {
		secret = []byte(password)
	}
	a, err := u.Create(name(s), chat.User, []chat.Key{newKey(t)}, secret, 7)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustRead(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestUsersSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	alice, err := u.Create(name("alice"), chat.Admin, []chat.Key{newKey(t)}, []byte(goodPassword), 7)
	if err != nil {
		t.Fatal(err)
	}
	create(t, u, "bob", "")
	decided(t, u, callerOf(alice), chat.JoinRoom{Room: roomName("go"), Since: 3})
	if err := u.SaveRoom(roomName("go"), "gophers & <friends>", chat.Name{}); err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(u.Accounts(), u.Rooms())
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}

	u = open(t, dir)
	if after := fmt.Sprint(u.Accounts(), u.Rooms()); after != before {
		t.Errorf("reopened:\n%s\nbefore:\n%s", after, before)
	}
	if !u.HasAdmin() {
		t.Error("no admin")
	}
	rooms := u.Rooms()
	if len(rooms) != 2 || rooms[0].Name != chat.General || len(rooms[0].Members) != 2 || rooms[0].Members[0].Since != 7 {
		t.Errorf("rooms: %+v", rooms)
	}
	if rooms[1].Topic != "gophers & <friends>" || rooms[1].By != alice.Name || rooms[1].Members[0].Since != 3 {
		t.Errorf("#go: %+v", rooms[1])
	}
	if err := u.RemoveMember(roomName("go"), alice.Name); err != nil {
		t.Fatal(err)
	}
	if m := u.Members(roomName("go")); len(m) != 0 {
		t.Errorf("members of #go: %v", m)
	}
	if _, ok := u.ByID(alice.ID); !ok {
		t.Error("alice's id is not known")
	}
}

func TestSaveRoomByTwoAtOnceKeepsTheTopic(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice, bob := create(t, u, "alice", ""), create(t, u, "bob", "")
	for _, err := range []error{
		u.SaveRoom(roomName("go"), "", alice.Name),
		u.SaveRoom(roomName("go"), "gophers", chat.Name{}),
		u.SaveRoom(roomName("go"), "", bob.Name),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if r := u.Rooms()[1]; r.Topic != "gophers" || r.By != alice.Name {
		t.Errorf("#go: %+v", r)
	}
	wantErr(t, u.SaveMember(roomName("nowhere"), chat.Member{Name: bob.Name, Since: 1}), chat.ErrNoRoom)
	wantErr(t, u.SaveMember(roomName("go"), chat.Member{Name: name("nobody"), Since: 1}), chat.ErrNoAccount)
}

func TestNameOfAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeUsers(t, dir, `{"format":"sshchat-users/1","users":[],"reserved":["old-soul"]}`)
	u := open(t, dir)
	create(t, u, "bobs", "")
	for _, s := range []string{"bobs", "b0bs", "bob5", "b-o-b-s", "b0_b5", "old-soul", "oldsoul", "o1d5oul"} {
		if _, err := u.Create(name(s), chat.User, []chat.Key{newKey(t)}, nil, 1); !errors.Is(err, chat.ErrNameTaken) {
			t.Errorf("%s: %v", s, err)
		}
	}
	create(t, u, "bobby", "")
	if b := mustRead(t, filepath.Join(dir, "users.json")); !strings.Contains(b, `"old-soul"`) {
		t.Error("the reserved name is gone")
	}
}

func TestOneNameWantedByAHundred(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	var wg sync.WaitGroup
	var won, lost atomic.Int32
	for range 100 {
		k := newKey(t)
		wg.Go(func() {
			_, err := u.Create(name("alice"), chat.User, []chat.Key{k}, nil, 1)
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, chat.ErrNameTaken):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 99 || len(u.Members(chat.General)) != 1 {
		t.Errorf("%d won, %d lost, members %v", won.Load(), lost.Load(), u.Members(chat.General))
	}
}

func TestAccountNeedsAWayIn(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	_, err := u.Create(name("alice"), chat.User, nil, nil, 1)
	wantErr(t, err, chat.ErrNoLogin)
	age, err := ParseKey("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Create(name("alice"), chat.User, []chat.Key{age}, nil, 1)
	wantErr(t, err, chat.ErrNoLogin)
}

func TestRoles(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", "")
	if u.HasAdmin() {
		t.Fatal("an admin from nowhere")
	}
	if err := u.SetRole(alice.ID, chat.Admin); err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.SetRole(alice.ID, chat.User), chat.ErrLastAdmin)
	bob := create(t, u, "bob", "")
	if err := u.SetRole(bob.ID, chat.Admin); err != nil {
		t.Fatal(err)
	}
	if err := u.SetRole(alice.ID, chat.Mod); err != nil {
		t.Fatal(err)
	}
	if a, _ := u.ByName(alice.Name); a.Role != chat.Mod {
		t.Errorf("alice is %s", a.Role)
	}
	wantErr(t, u.SetRole("nobody", chat.Mod), chat.ErrNoAccount)
}

// openIn is openUsers on the fake clock of a synctest bubble.
func openIn(t *testing.T, dir string, opt Options) *Store {
	t.Helper()
	u, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() }) // it may be closed
	return u
}

func TestNothingIsChangedWhenTheWriteFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	create(t, u, "alice", "")
	before := mustRead(t, u.files.path)
	full := errors.New("disk full")
	u.write = func(changes.Line) error { return full }
	wantErr(t, u.SaveRoom(roomName("one"), "", chat.Name{}), full)
	if len(u.Rooms()) != 1 || mustRead(t, u.files.path) != before {
		t.Error("a failed change is there")
	}
	u.write = u.files.changes.Append
	if err := u.SaveRoom(roomName("two"), "", chat.Name{}); err != nil {
		t.Fatal(err)
	}
	if r := u.Rooms(); len(r) != 2 || r[1].Name != roomName("two") {
		t.Errorf("rooms: %+v", r)
	}
}

// An edit by hand is not written over while the server runs, nor is a file that was removed; what is changed meanwhile is
// durable in changes.jsonl.
func TestEditWhileRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	alice := create(t, u, "alice", goodPassword)
	edited := strings.Replace(mustRead(t, u.files.path), `"user"`, `"admin"`, 1)
	writeUsers(t, dir, edited)
	create(t, u, "bob", "")
	if err := u.RemoveKey(alice.ID, alice.Keys[0].Fingerprint); err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.Checkpoint(), ErrEdited)
	if mustRead(t, u.files.path) != edited {
		t.Error("the edit was written over")
	}
	if _, err := u.CheckPassword(context.Background(), alice.Name, []byte(goodPassword)); err != nil {
		t.Errorf("reading stopped as well: %v", err)
	}
	if err := os.Remove(u.files.path); err != nil {
		t.Fatal(err)
	}
	if err := u.SaveRoom(roomName("x"), "", chat.Name{}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.Checkpoint(), ErrEdited)
	if _, err := os.Stat(u.files.path); err == nil {
		t.Error("what was removed is written anew")
	}
	if n, err := u.reload(); err != nil || n != 0 {
		t.Errorf("reload: %d, %v", n, err)
	}
	if got := mustRead(t, u.files.path); !strings.Contains(got, `"bob"`) || strings.Contains(got, `"admin"`) {
		t.Errorf("not what is durable: %s", got)
	}
}

func TestSeenIsWrittenOnceADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := openIn(t, t.TempDir(), Options{WorkFactor: 4})
		defer u.Close()
		writes := 0
		u.write = func(line changes.Line) error {
			writes++
			return u.files.changes.Append(line)
		}
		alice := create(t, u, "alice", "")
		bob := create(t, u, "bob", "")
		direct := text.Direct(alice.Name, bob.Name)
		settled := func() int { time.Sleep(time.Second); synctest.Wait(); return writes }
		begun := settled()
		var since time.Time
		visit := func() {
			t.Helper()
			var err error
			if since, err = u.Seen(alice.ID, func(in chat.Visit) error { return u.decide(in) }); err != nil {
				t.Fatal(err)
			}
		}
		visit()
		if settled() != begun {
			t.Error("the day of the registration was written again")
		}
		time.Sleep(24 * time.Hour)
		visit()
		if settled() != begun+1 {
			t.Errorf("%d writes, want one more than %d", writes, begun)
		}
		visit()
		if settled() != begun+1 {
			t.Error("written twice a day")
		}

		time.Sleep(89 * 24 * time.Hour)
		if u.Recipients(nil, chat.General, alice.Name) == nil {
			t.Error("nothing is sealed for alice after 89 days")
		}
		time.Sleep(2 * 24 * time.Hour)
		if u.Recipients(nil, chat.General, alice.Name) != nil {
			t.Error("history is sealed for alice after 91 days")
		}
		if u.Recipients(nil, direct, alice.Name) == nil {
			t.Error("a direct message is not sealed for alice")
		}
		visit()
		if u.Recipients(nil, chat.General, alice.Name) == nil {
			t.Error("alice is back, and nothing is sealed for her")
		}
		if away := time.Since(since); away < 0 || away > 48*time.Hour {
			t.Errorf("nothing was sealed for her for %v", away)
		}
		if visit(); !since.IsZero() {
			t.Error("she was here today")
		}
		u.opt.Dormant = -1
		time.Sleep(1000 * 24 * time.Hour)
		if u.Recipients(nil, chat.General, alice.Name) == nil {
			t.Error("nobody is dormant, and nothing is sealed for alice")
		}
		_, err := u.Seen("nobody", func(in chat.Visit) error { return u.decide(in) })
		wantErr(t, err, chat.ErrNoAccount)
	})
}

func TestChangesAfterCloseFail(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	create(t, u, "alice", "")
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.SaveRoom(roomName("x"), "", chat.Name{}), ErrClosed)
	wantErr(t, u.Close(), ErrClosed)
	if _, ok := u.ByName(name("alice")); !ok {
		t.Error("reading ended with Close")
	}
}

func TestCloseWritesWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		u := openIn(t, dir, Options{WorkFactor: 4})
		create(t, u, "alice", "")
		done := make(chan error, 1)
		go func() { done <- u.SaveRoom(roomName("last"), "", chat.Name{}) }()
		synctest.Wait() // it waits for its quarter of a second
		if err := u.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(mustRead(t, filepath.Join(dir, "users.json")), `"last"`) {
			t.Error("the change is lost")
		}
	})
}

func TestOptionsThatWouldWeakenPasswords(t *testing.T) {
	t.Parallel()
	for _, opt := range []Options{{MinPassword: 7}, {WorkFactor: 21}, {WorkFactor: -1}} {
		if u, err := Open(t.TempDir(), opt); err == nil {
			t.Errorf("%+v was taken", opt)
			u.Close()
		}
	}
}

func TestNoSecretInTheFile(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	create(t, u, "alice", goodPassword)
	b := []byte(mustRead(t, u.files.path))
	if bytes.Contains(b, []byte(goodPassword)) || bytes.Contains(b, []byte("SECRET-KEY")) {
		t.Error("a secret is in users.json")
	}
}

func BenchmarkCreate(b *testing.B) {
	for _, there := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("among=%d", there), func(b *testing.B) {
			k, dir := newKey(b), b.TempDir()
			fill(b, dir, there, k)
			u := open(b, dir)
			i := 0
			for b.Loop() {
				i++
				if _, err := u.Create(name(fmt.Sprintf("n%x", i+1<<20)), chat.User, []chat.Key{k}, nil, 1); err != nil &&
					!errors.Is(err, chat.ErrNameTaken) {
					b.Fatal(err)
				}
			}
		})
	}
}

// fill writes a file of n accounts.
func fill(b *testing.B, dir string, n int, k chat.Key) {
	parts := chat.Parts{Rooms: []chat.RoomState{{Name: chat.General}}}
	for i := range n {
		parts.Accounts = append(parts.Accounts, chat.Account{
			ID: fmt.Sprintf("%032x", i), Name: name(fmt.Sprintf("member-%x", i)), Role: chat.User, Created: time.Now().UTC(), Keys: []chat.Key{k},
		})
	}
	content, err := encode(chat.NewState(parts), 0)
	if err != nil {
		b.Fatal(err)
	}
	writeUsers(b, dir, string(content))
}
