package accounts

import (
	"context"
	"strings"
	"testing"
	"time"

	authenticator "github.com/pquerna/otp/totp"

	"sshchat/sshchat/attack"

	"sshchat/sshchat/chat"
)

// The examples of RFC 6238, appendix B, cut to six digits.
func TestStepsOfTheRFC(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		now := time.Unix(at, 0)
		if step, right := stepOf(secret, code, now); !right || step != at/30 {
			t.Errorf("%d: step %d, %v", at, step, right)
		}
		for _, off := range []time.Duration{-30 * time.Second, 30 * time.Second} {
			if _, right := stepOf(secret, code, now.Add(off)); !right {
				t.Errorf("%d: a clock that is off by %v is refused", at, off)
			}
		}
		for _, off := range []time.Duration{-61 * time.Second, 61 * time.Second} {
			if now.Add(off).Unix() < 0 {
				continue
			}
			if _, right := stepOf(secret, code, now.Add(off)); right {
				t.Errorf("%d: a code is taken %v off", at, off)
			}
		}
	}
}

// twoFactor is an account with both, and a clock.
type twoFactor struct {
	t      *testing.T
	dir    string
	users  *Store
	id     string
	secret []byte
	codes  []string
	now    time.Time
}

func newTwoFactor(t *testing.T) *twoFactor {
	f := &twoFactor{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 24, 12, 0, 5, 0, time.UTC)}
	f.reopen()
	a := create(t, f.users, "alice", goodPassword)
	f.id, f.secret = a.ID, f.users.NewSecret()
	if _, err := f.users.EnableTOTP(f.id, f.secret, "000000"); err == nil && f.code() != "000000" {
		t.Error("enabled by a wrong code")
	}
	var err error
	if f.codes, err = f.users.EnableTOTP(f.id, f.secret, f.code()); err != nil || len(f.codes) != recoveryCodes {
		t.Fatalf("%d codes, %v", len(f.codes), err)
	}
	return f
}

func (f *twoFactor) reopen() {
	f.t.Helper()
	opt := cheap
	opt.Now = func() time.Time { return f.now }
	var err error
	if f.users, err = Open(f.dir, opt); err != nil {
		f.t.Fatal(err)
	}
	u := f.users
	f.t.Cleanup(func() { u.Close() })
}

func (f *twoFactor) code() string {
	code, err := authenticator.GenerateCode(encodeSecret(f.secret), f.now)
	if err != nil {
		f.t.Fatal(err)
	}
	return code
}

// login is a login by password and code.
func (f *twoFactor) login(password, code string) error {
	a, secret, err := f.users.CheckBoth(context.Background(), name("alice"), []byte(password))
	if err != nil {
		return err
	}
	if !a.TOTP {
		return nil
	}
	return f.spend(a.ID, secret, code)
}

// I have seen the password and one code. The code is worth nothing after it was used, not after a restart either.
func TestAttackCodesServeOnce(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "a code seen over a shoulder")
	f := newTwoFactor(t)
	wantErr(t, f.login(goodPassword, f.code()), chat.ErrCode) // the one it was enabled with
	f.now = f.now.Add(30 * time.Second)
	wantErr(t, f.login("a wrong password, long", f.code()), ErrPassword)
	seen := f.code()
	if err := f.login(goodPassword, seen[:3]+" "+seen[3:]); err != nil {
		t.Fatal(err)
	}
	wantErr(t, f.login(goodPassword, seen), chat.ErrCode)
	if err := f.users.Close(); err != nil {
		t.Fatal(err)
	}
	f.reopen()
	wantErr(t, f.login(goodPassword, seen), chat.ErrCode)
	f.now = f.now.Add(30 * time.Second)
	if err := f.login(goodPassword, f.code()); err != nil {
		t.Errorf("the next code: %v", err)
	}

	if err := f.login(goodPassword, strings.ToUpper(f.codes[3])); err != nil {
		t.Errorf("a recovery code: %v", err)
	}
	wantErr(t, f.login(goodPassword, f.codes[3]), chat.ErrCode)
	f.users.Close()
	f.reopen()
	wantErr(t, f.login(goodPassword, f.codes[3]), chat.ErrCode)
	for _, code := range []string{"", "0", strings.Repeat("1", 1<<16), "\x00", "١٢٣٤٥٦"} {
		wantErr(t, f.login(goodPassword, code), chat.ErrCode)
	}
	if text := mustRead(t, f.dir+"/users.json"); strings.Contains(text, f.codes[0]) || strings.Contains(text, encodeSecret(f.secret)) {
		t.Error("users.json holds what opens")
	}
	row.Tried("again, after a restart, and a recovery code")
	row.Held("each serves once, lastingly")
	row.Control("the next code, and another recovery code, are taken")
}

// The second factor stays through a change of the password, and goes with an admin's reset, which opens nothing.
func TestSecondFactorAndPasswords(t *testing.T) {
	t.Parallel()
	f := newTwoFactor(t)
	f.now = f.now.Add(time.Minute)
	if _, err := f.users.SetPassword(context.Background(), f.id, []byte(goodPassword), []byte("another good one, long")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, f.login("another good one, long", "000000"), chat.ErrCode)
	if err := f.login("another good one, long", f.code()); err != nil {
		t.Errorf("after a change: %v", err)
	}
	if err := f.users.ResetPassword(context.Background(), f.id, []byte(goodPassword+" again")); err != nil {
		t.Fatal(err)
	}
	if a, _ := f.users.ByID(f.id); a.TOTP {
		t.Error("a reset leaves a second factor that nothing opens")
	}
	if err := f.login(goodPassword+" again", ""); err != nil {
		t.Error(err)
	}
	wantErr(t, f.users.DisableTOTP(f.id), chat.ErrNoTOTP)
	wantErr(t, f.spend("nobody", f.secret, "000000"), chat.ErrNoAccount)
	_, err := f.users.EnableTOTP(create(t, f.users, "bob", "").ID, f.secret, f.code())
	wantErr(t, err, chat.ErrNoPassword)
}
