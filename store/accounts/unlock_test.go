package accounts

import (
	"bytes"
	"context"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

func TestUnlockOpensWhatWasSealedUnderEveryPassword(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", goodPassword)
	old := sealTo(t, u, alice)
	if _, err := u.SetPassword(ctx, alice.ID, []byte(goodPassword), []byte("a parrot under the stairs")); err != nil {
		t.Fatal(err)
	}
	secret := []byte("a parrot under the stairs")
	ids, err := u.Unlock(ctx, alice.ID, secret)
	if err != nil || len(ids) != 2 || !opens(ids, old) || !opens(ids[:1], sealTo(t, u, alice)) {
		t.Errorf("%d identities, %v", len(ids), err)
	}
	if !bytes.Equal(secret, make([]byte, len(secret))) {
		t.Errorf("the password is still there: %q", secret)
	}
}

// What is wrong about it is not to be told by the answer, nor by the time it takes: each costs one opening.
func TestUnlockRefusesAlike(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice, bare := create(t, u, "alice", goodPassword), create(t, u, "bare", "")
	opened := 0
	real := u.open
	u.open = func(sealed string, phrase []byte) ([]byte, error) { opened++; return real(sealed, phrase) }
	for _, c := range []struct{ id, password string }{
		{alice.ID, "wrong"}, {alice.ID, goodPassword + " "}, {bare.ID, goodPassword}, {bare.ID, "x"}, {"nobody", goodPassword},
	} {
		opened = 0
		secret := []byte(c.password)
		ids, err := u.Unlock(ctx, c.id, secret)
		wantErr(t, err, ErrPassword)
		if err.Error() != ErrPassword.Error() || ids != nil || opened != 1 {
			t.Errorf("%q: %v, %d identities, %d openings", c.password, err, len(ids), opened)
		}
		if !bytes.Equal(secret, make([]byte, len(secret))) {
			t.Errorf("the password is still there: %q", secret)
		}
	}
	_, err := u.Unlock(ctx, alice.ID, bytes.Repeat([]byte("x"), agesplit.MaxPassword+1))
	wantErr(t, err, ErrPassword)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = u.Unlock(canceled, alice.ID, []byte(goodPassword))
	wantErr(t, err, context.Canceled)
}

func TestUnlockWaitsAtTheSemaphore(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", goodPassword)
	for range scryptsAtOnce {
		if err := u.scrypts.acquire(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range scryptQueue {
		u.scrypts.queue <- struct{}{}
	}
	_, err := u.Unlock(ctx, alice.ID, []byte(goodPassword))
	wantErr(t, err, ErrBusy)
}

// After an admin's reset the remembered password opens the past again, once; it stays closed to any other.
func TestRecoverOpensWhatAResetClosed(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", goodPassword)
	old := sealTo(t, u, alice)
	const desk = "from the admin's desk"
	wantErr(t, u.Recover(ctx, alice.ID, []byte(goodPassword), []byte(goodPassword)), ErrNoRetired)
	if err := u.ResetPassword(ctx, alice.ID, []byte(desk)); err != nil {
		t.Fatal(err)
	}
	reset, _ := u.ByID(alice.ID)
	wantErr(t, u.Recover(ctx, alice.ID, []byte(desk), []byte("some other password")), ErrPassword)
	wantErr(t, u.Recover(ctx, alice.ID, []byte(goodPassword), []byte(goodPassword)), ErrPassword)
	wantErr(t, u.Recover(ctx, "nobody", []byte(desk), []byte(goodPassword)), chat.ErrNoAccount)
	stale, err := u.Recovered(ctx, alice.ID, []byte(desk), []byte(goodPassword))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Recover(ctx, alice.ID, []byte(desk), []byte(goodPassword)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.decide(stale), chat.ErrPasswordChanged)
	wantErr(t, u.Recover(ctx, alice.ID, []byte(desk), []byte(goodPassword)), ErrNoRetired)
	now, _ := u.ByID(alice.ID)
	if now.Generation != reset.Generation {
		t.Error("it ends sessions of the password that it keeps")
	}
	ids := identities(t, u, alice, desk)
	if len(ids) != 2 || !opens(ids, old) || !opens(ids[:1], sealTo(t, u, alice)) {
		t.Errorf("%d identities", len(ids))
	}
}
