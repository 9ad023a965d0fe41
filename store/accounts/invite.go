package accounts

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
)

// NewInvite makes an invite that lets that many people register until a time (zero: forever), and its code, which is not
// stored. Errors: only internal ones.
func (u *Store) NewInvite(by chat.Name, uses int, until time.Time) (in chat.CreateInvite, code string, err error) {
	if uses < 1 {
		return in, "", fmt.Errorf("internal error: an invite of %d uses", uses)
	}
	random := make([]byte, 13) // 104 bits
	rand.Read(random)          // never fails
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random))
	id, code := text[:4], text[4:]
	if slices.ContainsFunc(u.durable.Load().AllInvites(), func(i chat.StoredInvite) bool { return i.ID == id }) {
		id = text[:8]
	}
	invite := chat.Invite{ID: id, Uses: uses, By: by, Until: until}
	return chat.CreateInvite{Invite: chat.StoredInvite{Invite: invite, Hash: InviteHash(code)}}, code, nil
}

// InviteHash is how a code is kept. Codes are random and long, so a fast hash is enough.
func InviteHash(code string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(code))))
	return hex.EncodeToString(sum[:])
}
