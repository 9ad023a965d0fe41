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
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
	"sshchat/store/strictjson"
)

// Refusals about the second factor.
var (
	ErrCode   = &chat.Refusal{Code: chat.Failed, Text: "wrong code"}
	ErrTOTP   = &chat.Refusal{Code: chat.Failed, Text: "the account has a second factor already"}
	ErrNoTOTP = &chat.Refusal{Code: chat.Failed, Text: "the account has no second factor"}
)

const (
	totpStep      = 30 // seconds (RFC 6238, 4.1)
	totpSecret    = 20 // bytes, as long as SHA-1's output (RFC 4226, 4)
	recoveryCodes = 8
	maxSealedTOTP = 4096 // bytes
)

// totp is a second factor as stored: one-time passwords by time (RFC 6238, SHA-1, 6 digits).
type totp struct {
	Sealed string   `json:"sealed"` // age file of the secret, sealed to the password identity it was made under
	Codes  []string `json:"codes"`  // SHA-256 of the recovery codes that are left, in hex
	Used   int64    `json:"used"`   // the step of the last code taken: none is taken twice
}

// CheckBoth is CheckPassword for who may be asked for a code next. Where the account has a second factor, secret is what
// the password opened of it, for CheckCode; the caller clears it. It is nil where there is none.
func (u *Store) CheckBoth(ctx context.Context, name chat.Name, password []byte) (a chat.Account, secret []byte, err error) {
	phrase, err := agesplit.Passphrase(password)
	if err != nil {
		return chat.Account{}, nil, ErrPassword
	}
	defer clear(phrase)
	who, plain, err := u.opened(ctx, name, phrase)
	if err != nil {
		return chat.Account{}, nil, err
	}
	defer clear(plain)
	if who.totp == nil {
		return who.account(), nil, nil
	}
	secret, err = who.totp.open(plain)
	if err != nil {
		u.damaged(who, err)
		return chat.Account{}, nil, ErrPassword
	}
	return who.account(), secret, nil
}

// open opens the secret with what the password opened.
func (t *totp) open(plain []byte) (secret []byte, err error) {
	agesplit.InSecret(func() {
		var r io.Reader
		if r, err = age.Decrypt(armor.NewReader(strings.NewReader(t.Sealed)), agesplit.ParseIdentities(plain)...); err == nil {
			secret, err = io.ReadAll(io.LimitReader(r, totpSecret+1))
		}
	})
	if err != nil || len(secret) != totpSecret {
		return nil, errors.Join(errors.New("the second factor does not open, or holds no secret"), err)
	}
	return secret, nil
}

// CheckCode takes a code of now, of the step before or of the one after, or a recovery code. Each is taken once: that it
// was survives a power cut when CheckCode returns nil. Errors: ErrCode, ErrNoTOTP, ErrNoAccount, ErrEdited, or the disk's.
func (u *Store) CheckCode(id string, secret []byte, code string) error {
	code = strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(code))
	step, right := stepOf(secret, code, u.opt.Now())
	err := u.changeUser(id, func(_ *roster, who *user) error {
		if who.totp == nil {
			return ErrNoTOTP
		}
		next := *who.totp
		switch {
		case right && step > next.Used:
			next.Used = step
		case !next.spend(code):
			return ErrCode
		}
		who.totp = &next
		return nil
	})
	if err != nil {
		return fmt.Errorf("second factor: %w", err)
	}
	return nil
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

// spend takes a recovery code out, if it is one.
func (t *totp) spend(code string) bool {
	hash := codeHash(code)
	i := slices.IndexFunc(t.Codes, func(c string) bool { return subtle.ConstantTimeCompare([]byte(c), []byte(hash)) == 1 })
	if i < 0 {
		return false
	}
	t.Codes = slices.Delete(slices.Clone(t.Codes), i, i+1)
	return true
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

// EnableTOTP gives the account a second factor, if the code is one of the secret: whoever sets it up can make codes. It
// returns the recovery codes, which are kept as hashes. Errors: ErrCode, ErrTOTP, ErrNoPassword, ErrNoAccount, ErrEdited,
// or the disk's.
func (u *Store) EnableTOTP(id string, secret []byte, code string) (recovery []string, err error) {
	step, right := stepOf(secret, strings.ReplaceAll(code, " ", ""), u.opt.Now())
	if !right {
		return nil, fmt.Errorf("enable the second factor: %w", ErrCode)
	}
	recovery, hashes := drawCodes()
	err = u.changeUser(id, func(_ *roster, who *user) error {
		switch {
		case who.totp != nil:
			return ErrTOTP
		case who.password == nil:
			return ErrNoPassword
		}
		sealed, err := sealSecret(secret, who.password.recipient)
		if err != nil {
			return err
		}
		who.totp = &totp{Sealed: sealed, Codes: hashes, Used: step}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("enable the second factor: %w", err)
	}
	return recovery, nil
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

func sealSecret(secret []byte, to age.Recipient) (string, error) {
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

// DisableTOTP takes the second factor away. Errors: ErrNoTOTP, ErrNoAccount, ErrEdited, or the disk's.
func (u *Store) DisableTOTP(id string) error {
	err := u.changeUser(id, func(_ *roster, who *user) error {
		if who.totp == nil {
			return ErrNoTOTP
		}
		who.totp = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("disable the second factor: %w", err)
	}
	return nil
}

func readTOTP(v strictjson.Value) (*totp, error) {
	t := &totp{}
	err := v.Fields(map[string]func(strictjson.Value) error{"sealed": strictjson.To(&t.Sealed), "codes": strictjson.To(&t.Codes), "used": strictjson.To(&t.Used)})
	if err != nil {
		return nil, err
	}
	for _, c := range t.Codes {
		if b, err := hex.DecodeString(c); err != nil || len(b) != sha256.Size {
			return nil, v.Refuse(errors.New("a recovery code is kept as 64 hexadecimal digits"))
		}
	}
	if len(t.Codes) > recoveryCodes || len(t.Sealed) > maxSealedTOTP || t.Used < 0 {
		return nil, v.Refuse(errors.New("no second factor looks like this"))
	}
	return t, nil
}
