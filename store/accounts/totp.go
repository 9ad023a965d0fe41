package accounts

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

const (
	totpStep      = 30 // seconds (RFC 6238, 4.1)
	totpSecret    = 20 // bytes, as long as SHA-1's output (RFC 4226, 4)
	recoveryCodes = 8
	maxSealedTOTP = 4096 // bytes
)

// CheckBoth is CheckPassword for accounts that may have a second factor. If there is one, secret is its secret, for
// Spend; the caller clears it. Otherwise it is nil.
func (u *Store) CheckBoth(ctx context.Context, name chat.Name, password []byte) (a chat.Account, secret []byte, err error) {
	phrase, err := agesplit.Passphrase(password)
	if err != nil {
		return chat.Account{}, nil, ErrPassword
	}
	defer clear(phrase)
	a, plain, err := u.opened(ctx, name, phrase)
	if err != nil {
		return chat.Account{}, nil, err
	}
	defer clear(plain)
	if a.Factor == nil {
		return a, nil, nil
	}
	secret, err = openFactor(a.Factor, plain)
	if err != nil {
		u.damaged(a.ID, err)
		return chat.Account{}, nil, ErrPassword
	}
	return a, secret, nil
}

// openFactor opens the secret with what the password opened.
func openFactor(f *chat.Factor, plain []byte) (secret []byte, err error) {
	agesplit.InSecret(func() {
		var r io.Reader
		if r, err = age.Decrypt(armor.NewReader(strings.NewReader(f.Secret.Sealed())), agesplit.ParseIdentities(plain)...); err == nil {
			secret, err = io.ReadAll(io.LimitReader(r, totpSecret+1))
		}
	})
	if err != nil || len(secret) != totpSecret {
		return nil, errors.Join(errors.New("the second factor cannot be opened, or has no secret"), err)
	}
	return secret, nil
}

// Spend is the intent to take a code of now, of the step before or of the one after, or a recovery code. Each is taken once.
// What is decided for it: chat.ErrCode, chat.ErrNoTOTP, chat.ErrNoAccount.
func (u *Store) Spend(id string, secret []byte, code string) chat.SpendCode {
	code = strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(code))
	in := chat.SpendCode{ID: id, Hash: codeHash(code)}
	if step, right := stepOf(secret, code, u.opt.Now()); right {
		in.Step = step
	}
	return in
}

// stepOf returns the step that the code is of, if it is near now.
func stepOf(secret []byte, code string, now time.Time) (step int64, right bool) {
	key := encodeSecret(secret)
	at := now.Unix() / totpStep
	for s := at - 1; s <= at+1; s++ {
		want, err := hotp.GenerateCodeCustom(key, uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, right = s, true
		}
	}
	return step, right
}

// encodeSecret writes a secret as authenticators take it.
func encodeSecret(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// codeHash is how a recovery code is kept. It has 100 random bits, so a fast hash is enough.
func codeHash(code string) string {
	sum := sha256.Sum256([]byte("sshchat recovery code\n" + code))
	return hex.EncodeToString(sum[:])
}

// NewSecret draws the secret of a second factor.
func (u *Store) NewSecret() []byte {
	secret := make([]byte, totpSecret)
	rand.Read(secret) // never fails
	return secret
}

// NewFactor makes a second factor for the account, if the code is valid for the secret: this proves that the user's
// device generates codes. The recovery codes are kept as hashes. Errors: chat.ErrCode, chat.ErrTOTP, chat.ErrNoPassword,
// chat.ErrNoAccount.
func (u *Store) NewFactor(id string, secret []byte, code string) (in chat.SetFactor, recovery []string, err error) {
	step, right := stepOf(secret, strings.ReplaceAll(code, " ", ""), u.opt.Now())
	a, ok := u.durable.Load().ByID(id)
	switch {
	case !right:
		err = chat.ErrCode
	case !ok:
		err = chat.ErrNoAccount
	case a.Factor != nil:
		err = chat.ErrTOTP
	case !a.Password:
		err = chat.ErrNoPassword
	}
	if err != nil {
		return in, nil, fmt.Errorf("create a second factor: %w", err)
	}
	sealed, err := sealSecret(secret, a.Recipient)
	if err != nil {
		return in, nil, fmt.Errorf("create a second factor: %w", err)
	}
	recovery, hashes := drawCodes()
	factor := &chat.Factor{Secret: chat.NewOpaque(sealed), Codes: hashes, Used: step}
	return chat.SetFactor{ID: id, Was: a.Secret, Factor: factor}, recovery, nil
}

// drawCodes draws recovery codes, in groups that can be read out, and their hashes.
func drawCodes() (codes, hashes []string) {
	for range recoveryCodes {
		code := strings.ToLower(rand.Text()[:20])
		codes = append(codes, code[:5]+"-"+code[5:10]+"-"+code[10:15]+"-"+code[15:])
		hashes = append(hashes, codeHash(code))
	}
	return codes, hashes
}

// sealSecret seals it to a password identity.
func sealSecret(secret []byte, recipient string) (string, error) {
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return "", fmt.Errorf("seal the second factor: %w", err)
	}
	var b bytes.Buffer
	armored := armor.NewWriter(&b)
	w, err := age.Encrypt(armored, to)
	if err != nil {
		return "", fmt.Errorf("seal the second factor: %w", err)
	}
	_, err = w.Write(secret)
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return "", fmt.Errorf("seal the second factor: %w", err)
	}
	return b.String(), nil
}
