package chat

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"sshchat/sshchat/text"
)

// This file holds the intents about the server as a whole: who may log in and post, its message of the day, and the nodes of its
// cluster:
//
//	intent                     | moderator                                      | admin | the server
//	Ban, Mute                  | of whom they outrank; not in the place of what | yes   | yes
//	                           | an admin imposed; of no address or key that    |       |
//	                           | somebody higher uses, nor of a wide network    |       |
//	Unban, Unmute              | what a moderator imposed, not on themselves    | yes   | yes
//	CreateInvite, RevokeInvite   |        -                                       | yes   | yes
//	SetAllowlist, Allow,       |        -                                       | yes   | yes
//	Disallow, SetRegistration, |                                                |       |
//	SetMotd,                   |                                                |       |
//	AddNode, RemoveNode        |                                                |       |
//	Expire, SetHostKeys,       |        -                                       |   -   | yes
//	BurnClaim                  |                                                |       |
//
// Nobody bans themselves, by name, address or key.

// Limits of lists that each connection, or each write of the file, pays for.
const (
	MaxSanctions = 10_000 // bans, mutes, and entries of the allowlist, each
	MaxInvites   = 1000
	MaxNodes     = 32
)

// Refusals about bans, mutes, invites and the allowlist.
var (
	ErrNoSanction       = &Refusal{Code: NotFound, Text: "no such ban or mute"}
	ErrTooManySanctions = &Refusal{Code: Failed, Text: "there are too many bans or mutes; lift some first"}
	ErrInvite           = &Refusal{Code: Failed, Text: "the invite is wrong, expired or used up"}
	ErrNoInvite         = &Refusal{Code: NotFound, Text: "no such invite"}
	ErrTooManyInvites   = &Refusal{Code: Failed, Text: "there are too many invites; revoke some first"}
	ErrListed           = &Refusal{Code: Failed, Text: "it is already on the allowlist"}
	ErrListFull         = &Refusal{Code: Failed, Text: "the allowlist is full"}
)

// Ban keeps somebody, addresses or a key out. Who asks, and when, is noted in it. A ban of the same target is replaced.
type Ban struct {
	Sanction Sanction
	Force    bool                      // also if it bans loopback addresses, which a proxy's clients may all come from
	Seen     map[string][]netip.Prefix // by account ID: where moderators and admins are connected from, or lately were
}

// loopback are the addresses of the machine itself, by whether they are IPv4.
var loopback = map[bool]netip.Prefix{true: netip.MustParsePrefix("127.0.0.0/8"), false: netip.MustParsePrefix("::1/128")}

func (in Ban) decide(tx *transaction) error {
	s := in.Sanction
	if err := tx.needs(Mod); err != nil {
		return err
	}
	switch {
	case !s.User.IsZero():
		a := tx.named(s.User)
		if a == nil {
			return ErrNoAccount.With("no account named %s", s.User)
		}
		if err := tx.over(*a, RoomName{}); err != nil {
			return err
		}
		if tx.lastAdmin(*a) {
			return ErrLastAdmin
		}
	case s.Net.IsValid() && s.Net.Contains(tx.who.Addr.Unmap()):
		return denied("you are connected from there yourself")
	case s.Net.IsValid() && s.Net.Overlaps(loopback[s.Net.Addr().Is4()]) && !in.Force:
		return denied("%s includes loopback addresses, which all clients behind a proxy may have; to ban it anyway, use --force", s.Net)
	case s.Key != "" && tx.me != nil && tx.me.HasKey(s.Key):
		return denied("that is your own key")
	}
	if err := tx.mayHit(s, in.Seen); err != nil {
		return err
	}
	return tx.impose(&tx.bans, s)
}

// mayHit refuses a ban that would keep out somebody the caller does not outrank, or too much of the network.
func (tx *transaction) mayHit(s Sanction, seen map[string][]netip.Prefix) error {
	rank := tx.rank(RoomName{})
	if s.Net.IsValid() && !tx.who.Server {
		if widest := rank.Widest(s.Net.Addr().Is4()); s.Net.Bits() < widest {
			return denied("%s is too large: you can ban at most a /%d", s.Net, widest)
		}
	}
	if rank == RankAdmin { // they outrank everybody
		return nil
	}
	if _, hit := tx.staffHit(s, seen); hit { // the caller must not learn which one
		return denied("%s would also ban a moderator or an admin: only an admin can do that", s.Target())
	}
	return nil
}

// staffHit returns somebody whom a ban would affect and the caller does not outrank. ok is false if there is nobody.
func (tx *transaction) staffHit(s Sanction, seen map[string][]netip.Prefix) (name Name, ok bool) {
	var staff []Whereabouts
	for _, a := range tx.accounts {
		if !a.Role.AtLeast(Mod) {
			continue
		}
		w := Whereabouts{Name: a.Name, Rank: RankOf(a.Role, false, false), Addrs: seen[a.ID]}
		for _, k := range a.Keys {
			w.Keys = append(w.Keys, k.Fingerprint)
		}
		staff = append(staff, w)
	}
	return s.Protected(tx.rank(RoomName{}), staff)
}

// Mute keeps a person from speaking. A mute of the same person is replaced.
type Mute struct{ Sanction Sanction }

func (in Mute) decide(tx *transaction) error {
	if err := tx.needs(Mod); err != nil {
		return err
	}
	a := tx.named(in.Sanction.User)
	if a == nil {
		return ErrNoAccount.With("no account named %s", in.Sanction.User)
	}
	if err := tx.over(*a, RoomName{}); err != nil {
		return err
	}
	return tx.impose(&tx.mutes, in.Sanction)
}

// impose adds s to a list, in the place of one of the same target; what has ended goes.
func (tx *transaction) impose(list *sanctions, s Sanction) error {
	for _, old := range list.of(tx.at, s.sameTarget) {
		if err := tx.mayLift(old); err != nil {
			return err
		}
	}
	kept := list.list
	if goes := func(old Sanction) bool { return tx.at.Over(old) || s.sameTarget(old) }; slices.ContainsFunc(kept, goes) {
		kept = slices.DeleteFunc(slices.Clone(kept), goes)
	}
	if len(kept) >= MaxSanctions {
		return ErrTooManySanctions
	}
	s.At, s.Until = tx.at.second(), tx.at.lasting(s.Until)
	if tx.me != nil {
		s.By = tx.me.Name
	}
	if len(kept) < len(list.list) {
		*list = newSanctions(append(kept, s))
		return nil
	}
	var err error
	*list, err = list.with(banKind, Entries[Sanction, string]{Put: []Sanction{s}}) // the index is not rebuilt
	return err
}

// Unban lifts the ban of a target, written as ParseTarget takes it.
type Unban struct{ Target string }

func (in Unban) decide(tx *transaction) error { return tx.lift(&tx.bans, in.Target, "banned") }

// Unmute lifts a mute.
type Unmute struct{ Name Name }

func (in Unmute) decide(tx *transaction) error { return tx.lift(&tx.mutes, in.Name.String(), "muted") }

func (tx *transaction) lift(list *sanctions, target, how string) error {
	if err := tx.needs(Mod); err != nil {
		return err
	}
	is := func(s Sanction) bool { return s.Target() == target }
	all := list.of(tx.at, is)
	if len(all) == 0 {
		return ErrNoSanction.With("%s is not %s", target, how)
	}
	for _, old := range all {
		if err := tx.mayLift(old); err != nil {
			return err
		}
	}
	*list = newSanctions(slices.DeleteFunc(list.holding(tx.at), is))
	return nil
}

// Expire removes bans and mutes that have expired.
type Expire struct{}

func (Expire) decide(tx *transaction) error {
	if !tx.who.Server {
		return denied("only the server ends bans that have expired")
	}
	for _, list := range []*sanctions{&tx.bans, &tx.mutes} {
		if held := list.holding(tx.at); len(held) < len(list.list) {
			*list = newSanctions(held)
		}
	}
	return nil
}

// CreateInvite makes an invite. Who asks, and when, is noted in it.
type CreateInvite struct{ Invite StoredInvite }

func (in CreateInvite) decide(tx *transaction) error {
	if err := tx.needs(Admin); err != nil {
		return err
	}
	kept := tx.keptInvites()
	switch {
	case len(kept) >= MaxInvites:
		return ErrTooManyInvites
	case slices.ContainsFunc(kept, func(i StoredInvite) bool { return i.ID == in.Invite.ID }):
		return ErrInviteID
	}
	i := in.Invite
	i.At, i.Until = tx.at.second(), tx.at.lasting(i.Until)
	if tx.me != nil {
		i.By = tx.me.Name
	}
	tx.invites = append(kept, i)
	return nil
}

// ErrInviteID refuses an invite whose ID is taken: draw another ID.
var ErrInviteID = &Refusal{Code: Failed, Text: "there is already an invite with that ID"}

// RevokeInvite takes an invite back.
type RevokeInvite struct{ ID string }

func (in RevokeInvite) decide(tx *transaction) error {
	if err := tx.needs(Admin); err != nil {
		return err
	}
	kept := tx.keptInvites()
	i := slices.IndexFunc(kept, func(i StoredInvite) bool { return i.ID == in.ID })
	if i < 0 {
		return ErrNoInvite
	}
	tx.invites = slices.Delete(kept, i, i+1)
	return nil
}

// keptInvites is a copy of those that can be used, or could if the clock is wrong.
func (tx *transaction) keptInvites() []StoredInvite {
	return slices.DeleteFunc(slices.Clone(tx.invites), func(i StoredInvite) bool { return !i.kept(tx.at) })
}

// redeem uses up one use of the invite whose code has the hash.
func (tx *transaction) redeem(hash string) error {
	kept := tx.keptInvites()
	i := slices.IndexFunc(kept, func(i StoredInvite) bool { return i.Hash == hash && i.valid(tx.at) })
	if i < 0 {
		return ErrInvite
	}
	if kept[i].Uses--; kept[i].Uses == 0 {
		kept = slices.Delete(kept, i, i+1)
	}
	tx.invites = kept
	return nil
}

// SetAllowlist turns the allowlist on or off.
type SetAllowlist struct{ On bool }

func (in SetAllowlist) decide(tx *transaction) error {
	err := tx.needs(Admin)
	if err == nil {
		tx.allowlist.On = in.On
	}
	return err
}

// Allow puts a target on the allowlist, written as ParseTarget takes it.
type Allow struct{ Target string }

func (in Allow) decide(tx *transaction) error {
	if err := tx.needs(Admin); err != nil {
		return err
	}
	switch {
	case slices.Contains(tx.allowlist.Entries, in.Target):
		return ErrListed
	case len(tx.allowlist.Entries) >= MaxSanctions:
		return ErrListFull
	}
	tx.allowlist.Entries = append(slices.Clip(tx.allowlist.Entries), in.Target)
	return nil
}

// Disallow takes a target off the allowlist.
type Disallow struct{ Target string }

func (in Disallow) decide(tx *transaction) error {
	if err := tx.needs(Admin); err != nil {
		return err
	}
	i := slices.Index(tx.allowlist.Entries, in.Target)
	if i < 0 {
		return ErrNotOnList
	}
	tx.allowlist.Entries = removeAt(tx.allowlist.Entries, i)
	return nil
}

// ErrNotOnList refuses to take off the allowlist what is not on it.
var ErrNotOnList = &Refusal{Code: NotFound, Text: "it is not on the allowlist"}

// Registration is who may create an account by themselves.
type Registration string

const (
	Open       Registration = "open"   // everyone
	InviteOnly Registration = "invite" // people with the code of an invite
	Closed     Registration = "closed" // nobody
)

// Or is r, or if nothing was decided what the setting says.
func (r Registration) Or(setting Registration) Registration { return cmp.Or(r, setting) }

// Refusals of strangers who want an account.
var (
	ErrClosed     = &Refusal{Code: Denied, Text: "registration is closed; ask an admin for an account"}
	ErrInviteOnly = &Refusal{Code: Denied, Text: "this server is invite-only: run register CODE with an invite code from an admin"}
)

// SetRegistration decides who may register, whatever the setting says; empty: the setting decides again.
type SetRegistration struct{ To Registration }

func (in SetRegistration) decide(tx *transaction) error {
	err := tx.needs(Admin)
	switch {
	case err != nil:
		return err
	case in.To != "" && in.To != Open && in.To != InviteOnly && in.To != Closed:
		return fmt.Errorf("internal error: registration %q", in.To)
	}
	tx.registration = in.To
	return nil
}

// admits refuses a stranger who shows the hash of a code, or an empty one, if they may not register. The zero Registration is Closed.
func (r Registration) admits(code string) error {
	switch r {
	case Open:
		return nil
	case InviteOnly:
		if code == "" {
			return ErrInviteOnly
		}
		return nil
	}
	return ErrClosed
}

// SetMotd sets the message of the day. An empty text removes it.
type SetMotd struct{ Text Text }

func (in SetMotd) decide(tx *transaction) error {
	err := tx.needs(Admin)
	if err == nil {
		tx.motd = in.Text
	}
	return err
}

// Node is a server of the cluster. The others let in anyone with the private key to Key.
type Node struct {
	Name  string    `json:"name"`
	Key   string    `json:"key"`   // its public X25519 key: base64 of 32 bytes
	Added time.Time `json:"added"` // UTC, in seconds
}

// Refusals about nodes.
var (
	ErrNodeName     = &Refusal{Code: Usage, Text: "the name of a node has 1 to 32 letters a to z, digits and hyphens, and does not begin with a hyphen"}
	ErrNodeKey      = &Refusal{Code: Usage, Text: "the key of a node is 32 bytes in base64, which are 44 characters"}
	ErrNode         = &Refusal{Code: Failed, Text: "there is already a node with that name or key"}
	ErrNoNode       = &Refusal{Code: NotFound, Text: "no such node"}
	ErrTooManyNodes = &Refusal{Code: Failed, Text: fmt.Sprintf("a cluster has at most %d nodes; remove one first", MaxNodes)}
	ErrLastNode     = &Refusal{Code: Failed, Text: "it is the only node of the cluster; to leave the cluster, stop the server and run: sshchat cluster leave"}
)

// IsNodeName reports whether a node may have that name.
func IsNodeName(name string) bool { return nodePattern.MatchString(name) }

var nodePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Check refuses a name or key that is malformed: ErrNodeName, ErrNodeKey.
func (n Node) Check() error {
	if !IsNodeName(n.Name) {
		return ErrNodeName
	}
	key, err := base64.StdEncoding.Strict().DecodeString(n.Key)
	if err != nil || len(key) != 32 || base64.StdEncoding.EncodeToString(key) != n.Key { // the decoder skips newlines
		return ErrNodeKey
	}
	return nil
}

// CheckNodes refuses more nodes than MaxNodes, and two with one name or key.
func CheckNodes(nodes []Node) error {
	if len(nodes) > MaxNodes {
		return ErrTooManyNodes
	}
	for i, n := range nodes {
		for _, other := range nodes[:i] {
			if other.Name == n.Name {
				return ErrNode.With("there is already a node %s", n.Name)
			}
			if other.Key == n.Key {
				return ErrNode.With("the key of node %s is that of node %s", n.Name, other.Name)
			}
		}
	}
	return nil
}

// Node returns the node of that name.
func (s *State) Node(name string) (Node, bool) {
	if i := slices.IndexFunc(s.nodes, func(n Node) bool { return n.Name == name }); i >= 0 {
		return s.nodes[i], true
	}
	return Node{}, false
}

// AddNode lets a node take part in the cluster. When it was added is noted in it.
type AddNode struct{ Node Node }

func (in AddNode) decide(tx *transaction) error {
	if err := tx.needs(Admin); err != nil {
		return err
	}
	if err := in.Node.Check(); err != nil {
		return err
	}
	in.Node.Added = tx.at.second()
	nodes := append(slices.Clip(tx.nodes), in.Node)
	err := CheckNodes(nodes)
	if err == nil {
		tx.nodes = nodes
	}
	return err
}

// RemoveNode keeps a node out of the cluster from now on. Only the server removes the last one.
type RemoveNode struct{ Name string }

func (in RemoveNode) decide(tx *transaction) error {
	if err := tx.needs(Admin); err != nil {
		return err
	}
	i := slices.IndexFunc(tx.nodes, func(n Node) bool { return n.Name == in.Name })
	switch {
	case !IsNodeName(in.Name):
		return ErrNodeName
	case i < 0:
		return ErrNoNode.With("no node named %s", text.Clean(in.Name, 32))
	case len(tx.nodes) == 1 && !tx.who.Server:
		return ErrLastNode
	}
	tx.nodes = removeAt(tx.nodes, i)
	return nil
}

// HostKeys is which host keys all nodes of a cluster serve and announce, by their SHA-256 fingerprints as OpenSSH prints them.
type HostKeys struct {
	Current string    `json:"current"`
	Next    string    `json:"next,omitempty"` // empty: none
	At      time.Time `json:"at,omitzero"`    // UTC, in seconds: when a rotation made the current one that; zero: none did
}

var hostKeyPattern = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

// Check refuses what is no fingerprint: ErrFingerprint. The zero HostKeys, of a chat in which nothing is decided, are right.
func (k HostKeys) Check() error {
	switch {
	case k == HostKeys{}:
		return nil
	case !hostKeyPattern.MatchString(k.Current), k.Next != "" && !hostKeyPattern.MatchString(k.Next), k.Next == k.Current:
		return ErrFingerprint
	}
	return nil
}

// Refusals about host keys.
var (
	ErrFingerprint = &Refusal{Code: Usage, Text: "the fingerprint of a host key is SHA256: and 43 characters of base64; current and next key differ"}
	ErrHostKeys    = &Refusal{Code: Failed, Text: "the host keys of the chat have been changed in the meantime; try again"}
)

// SetHostKeys decides which host keys the nodes serve, if they are From so far. When the current one changes is noted in them.
type SetHostKeys struct{ From, To HostKeys }

func (in SetHostKeys) decide(tx *transaction) error {
	if !tx.who.Server {
		return denied("only the server decides which host keys it has")
	}
	if tx.hostKeys.Current != in.From.Current || tx.hostKeys.Next != in.From.Next {
		return ErrHostKeys
	}
	if err := in.To.Check(); err != nil {
		return err
	}
	switch {
	case in.To.Current == "", tx.hostKeys.Current == "":
		in.To.At = time.Time{}
	case in.To.Current != tx.hostKeys.Current:
		in.To.At = tx.at.second()
	default:
		in.To.At = tx.hostKeys.At
	}
	tx.hostKeys = in.To
	return nil
}

// BurnClaim has the code to become the first admin serve no more that is made of the number N (State.Claims); if it does not serve any more
// nothing changes.
type BurnClaim struct{ N uint64 }

func (in BurnClaim) decide(tx *transaction) error {
	if !tx.who.Server {
		return denied("only the server makes a new code")
	}
	if tx.claims == in.N {
		tx.claims++
	}
	return nil
}

// claimed notes that somebody became the first admin: the code that they showed serves no more, also when there is no admin again.
func claimed(tx *transaction) {
	if len(tx.nodes) > 0 { // a server that is alone draws its codes
		tx.claims++
	}
}
