package accounts

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/clock"
	"sshchat/store/strictjson"
)

// maxInvites is how many invites are kept, the used-up and ended ones not counted.
const maxInvites = 1000

var (
	ErrInvite         = &chat.Refusal{Code: chat.Failed, Text: "this invite is not valid, or no longer"}
	ErrNoInvite       = &chat.Refusal{Code: chat.NotFound, Text: "there is no such invite"}
	ErrTooManyInvites = &chat.Refusal{Code: chat.Failed, Text: "there are too many invites; revoke some first"}
)

// invite is an invite as stored: who reads the file cannot use it.
type invite struct {
	ID    string    `json:"id"`   // names it in lists
	Hash  string    `json:"hash"` // SHA-256 of the code, in hexadecimal
	Uses  int       `json:"uses"` // that are left
	By    chat.Name `json:"by"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
}

// Invite makes an invite that lets so many people register until a time (zero: for ever), and returns its code,
// which is shown this once. Errors: ErrTooManyInvites, ErrEdited, or the disk's.
func (u *Store) Invite(by chat.Name, uses int, until time.Time) (id, code string, err error) {
	random := make([]byte, 13) // 104 bits
	rand.Read(random)          // never fails
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random))
	id, code = text[:4], text[4:]
	err = u.change(func(r *roster) error {
		kept := u.keptInvites(r)
		if len(kept) >= maxInvites {
			return ErrTooManyInvites
		}
		if slices.ContainsFunc(kept, func(i invite) bool { return i.ID == id }) {
			id = text[:8]
		}
		r.invites = append(kept, invite{ID: id, Hash: inviteHash(code), Uses: uses, By: by, At: u.second(), Until: u.lasting(until)})
		return nil
	})
	if err != nil {
		return "", "", fmt.Errorf("make an invite: %w", err)
	}
	return id, code, nil
}

// inviteHash is how a code is kept. Codes are random and long, so a fast hash is enough.
func inviteHash(code string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(code))))
	return hex.EncodeToString(sum[:])
}

// Revoke takes an invite back. Errors: ErrNoInvite, ErrEdited, or the disk's.
func (u *Store) Revoke(id string) error {
	err := u.change(func(r *roster) error {
		kept := u.keptInvites(r)
		i := slices.IndexFunc(kept, func(i invite) bool { return i.ID == id })
		if i < 0 {
			return ErrNoInvite
		}
		r.invites = slices.Delete(kept, i, i+1)
		return nil
	})
	if err != nil {
		return fmt.Errorf("revoke invite: %w", err)
	}
	return nil
}

// Invites lists the invites that can be used.
func (u *Store) Invites() []chat.Invite {
	var list []chat.Invite
	for _, i := range u.validInvites(u.durable.Load()) {
		list = append(list, chat.Invite{ID: i.ID, Uses: i.Uses, By: i.By, At: i.At, Until: i.Until})
	}
	return list
}

// Invited reports whether the code is one of a valid invite, for a refusal before a password is asked for.
func (u *Store) Invited(code string) bool {
	hash := inviteHash(code)
	return slices.ContainsFunc(u.validInvites(u.durable.Load()), func(i invite) bool { return i.Hash == hash })
}

// validInvites is a copy of those that can be used: that have not ended, whichever clock is right.
func (u *Store) validInvites(r *roster) []invite {
	now := u.clock.Read()
	return slices.DeleteFunc(slices.Clone(r.invites), func(i invite) bool { return !i.valid(now) })
}

func (i invite) valid(now clock.Reading) bool {
	return i.Uses > 0 && (i.Until.IsZero() || now.Shown.Before(i.Until) && now.Latest.Before(i.Until))
}

// keptInvites is a copy of those that can be used, or could if the clock is wrong.
func (u *Store) keptInvites(r *roster) []invite {
	now := u.clock.Read()
	return slices.DeleteFunc(slices.Clone(r.invites), func(i invite) bool {
		return i.Uses < 1 || !i.Until.IsZero() && now.Ended(i.At, i.Until)
	})
}

// redeem uses up one use of an invite of a roster that is being changed.
func (u *Store) redeem(r *roster, code string) error {
	hash, kept, now := inviteHash(code), u.keptInvites(r), u.clock.Read()
	i := slices.IndexFunc(kept, func(i invite) bool { return i.Hash == hash && i.valid(now) })
	if i < 0 {
		return ErrInvite
	}
	if kept[i].Uses--; kept[i].Uses == 0 {
		kept = slices.Delete(kept, i, i+1)
	}
	r.invites = kept
	return nil
}

func (r *roster) readInvite(v strictjson.Value) error {
	var i invite
	err := v.Fields(map[string]func(strictjson.Value) error{
		"id": strictjson.To(&i.ID), "hash": strictjson.To(&i.Hash), "uses": strictjson.To(&i.Uses),
		"by": strictjson.To(&i.By), "at": strictjson.To(&i.At), "until": strictjson.To(&i.Until),
	})
	sum, hexErr := hex.DecodeString(i.Hash)
	switch {
	case err != nil:
		return err
	case i.ID == "":
		return errors.New("an invite needs an id")
	case hexErr != nil || len(sum) != sha256.Size:
		return errors.New("the hash is not a SHA-256 in hexadecimal")
	case i.Uses < 0:
		return errors.New("uses counts what is left")
	}
	r.invites = append(r.invites, i)
	return nil
}
