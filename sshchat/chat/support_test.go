package chat

import (
	"context"
	"log/slog"
	"time"
)

// These are hubs as tests have them, and what tests want decided in them.

func moment() Moment {
	at := time.Now().UTC()
	return Moment{Wall: at, Trusted: at, Latest: at, Stamp: at}
}

// hubOver is a hub over such rooms, in which everybody who is in one has an account.
func hubOver(j Journal, marks Marks, rooms []RoomState, log *slog.Logger) *Hub {
	var p Parts
	last := make(map[RoomName]uint64)
	has := make(map[Name]bool)
	for _, r := range rooms {
		last[r.Name], r.Last = r.Last, 0
		if r.Name.IsDirect() {
			continue
		}
		p.Rooms = append(p.Rooms, r)
		for _, m := range append([]Member{{Name: r.By}}, r.Members...) {
			if !has[m.Name] && !m.Name.IsZero() {
				has[m.Name] = true
				p.Accounts = append(p.Accounts, accountOf(m.Name))
			}
		}
	}
	return NewHub(Config{Journal: j, State: NewState(p), Clock: moment, Marks: marks, Last: last, Log: log})
}

func accountOf(n Name) Account {
	return Account{ID: "id of " + n.String(), Name: n, Role: User, Keys: []Key{keyOf(n)}}
}

func keyOf(n Name) Key {
	return Key{Line: "ssh-ed25519 of " + n.String(), Fingerprint: "SHA256:" + n.String(), Reads: true}
}

// caller is that person, logged in with their key. It makes an account if there is none; then the hub must run.
func (h *Hub) caller(n Name) Caller {
	a, ok := h.View().ByName(n)
	if !ok {
		a = accountOf(n)
		h.submit(context.Background(), newRequest(TheServer, enrol{a}))
	}
	return Caller{Name: n, Login: Login{Account: a.ID, Key: a.Keys[0].Fingerprint}, Key: a.Keys[0].Fingerprint, Verified: true}
}

// enrol adds an account, which is in no room.
type enrol struct{ Account }

func (in enrol) decide(tx *transaction) error {
	if tx.named(in.Name) == nil {
		tx.addAccount(in.Account)
	}
	return nil
}

// forceRole gives somebody another role.
type forceRole struct {
	name Name
	role Role
}

func (in forceRole) decide(tx *transaction) error {
	a := *tx.named(in.name)
	a.Role = in.role
	tx.putAccount(a)
	return nil
}

// The rest is what tests want decided, and by whom.

func (h *Hub) Join(ctx context.Context, me Name, name RoomName) (made bool, err error) {
	who := h.caller(me)
	_, there := h.View().Room(name)
	err = h.Decide(ctx, who, JoinRoom{Room: name}, nil)
	is, _ := h.View().Room(name)
	return err == nil && !there && is.By == me, err
}

func (h *Hub) Part(ctx context.Context, me Name, name RoomName) error {
	return h.Decide(ctx, h.caller(me), LeaveRoom{name}, nil)
}

func (h *Hub) SetTopic(ctx context.Context, me Name, name RoomName, topic Text) error {
	return h.Decide(ctx, h.caller(me), SetTopic{name, topic.String()}, nil)
}

func (h *Hub) Kick(ctx context.Context, name Name, room RoomName) error {
	return h.Decide(ctx, TheServer, KickFromRoom{Name: name, Room: room}, nil)
}

func (h *Hub) RemoveRoom(ctx context.Context, name RoomName) error {
	return h.Decide(ctx, TheServer, CloseRoom{name}, nil)
}

// Revoke takes a key of me's away that they have just been given; what is sealed to it is ended.
func (h *Hub) Revoke(ctx context.Context, me Name) error {
	id := h.caller(me).Login.Account
	key := Key{Line: "ssh-ed25519 another of " + me.String(), Fingerprint: "SHA256:another", Reads: true}
	if err := h.submit(context.Background(), newRequest(TheServer, AddKeys{id, []Key{key}})); err != nil {
		return err
	}
	return h.Decide(ctx, TheServer, RemoveKey{id, key.Fingerprint}, nil)
}
