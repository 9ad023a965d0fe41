package command

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"strings"
	"sync"

	"sshchat/sshchat/chat"
)

// Claim is the right to become the first admin, for whoever shows the code that the server printed. No number of wrong
// codes ends it: of 80 bits nobody guesses one, and whoever could use it up would keep the operator out.
type Claim struct {
	mu   sync.Mutex
	code string // guarded by mu; empty while there is nothing to claim
}

// NewClaim draws a code.
func NewClaim() *Claim {
	c := &Claim{}
	c.Renew()
	return c
}

// Renew draws another code of at least 80 bits; the one before it serves no more.
func (c *Claim) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code = strings.ToLower(rand.Text()[:20])
}

// Void ends the claim: there is an admin.
func (c *Claim) Void() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code = ""
}

// Code is what must be shown; empty when there is nothing to claim.
func (c *Claim) Code() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}

// take uses the code up if it is the right one. Between take and a failed make, keep returns it.
func (c *Claim) take(code string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code == "" || subtle.ConstantTimeCompare([]byte(c.code), []byte(strings.ToLower(strings.TrimSpace(code)))) != 1 {
		return false
	}
	c.code = ""
	return true
}

func (c *Claim) keep(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code == "" { // else it was renewed meanwhile
		c.code = code
	}
}

var _ = add(&Command{
	Name: "claim", Args: "CODE", Brief: "become the first admin", Group: Yours,
	More:  "The server printed the code as it started, and prints a new one on SIGHUP while there is no admin. It serves once.",
	Faces: Exec, Effect: ChangesAccount, Secret: true, Words: 1,
	Run: runClaim,
})

func runClaim(ctx context.Context, c *Call) error {
	if len(c.Args) != 1 {
		return c.usage("claim needs the code")
	}
	if c.Claim == nil || c.Claim.Code() == "" {
		return denied("there is nothing to claim: this server has an admin")
	}
	if err := c.Caller.MayClaim(); err != nil {
		return err
	}
	if !c.Claim.take(c.Args[0]) {
		return denied("that is not the code; the server printed it as it started, and prints a new one on SIGHUP")
	}
	account, err := c.Account, error(nil)
	if account.ID == "" {
		account, err = registerAccount(ctx, c, chat.Admin, "")
	} else {
		err = c.decide(ctx, chat.ClaimAdmin{ID: account.ID})
	}
	if err != nil {
		c.Claim.keep(strings.ToLower(strings.TrimSpace(c.Args[0])))
		return err
	}
	c.Log.Info("first admin", "account", account.Name, "source", c.Source)
	c.Notef("You are the admin of this server, %s.", account.Name)
	if len(account.Keys) == 0 {
		c.Notef("What admins do takes a login by key, or a second factor: %s, or %s.", c.typed("key add"), c.typed("totp enable"))
	}
	return nil
}
