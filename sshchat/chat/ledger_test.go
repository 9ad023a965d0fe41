package chat

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// ledger is Decisions in memory.
type ledger struct {
	mu     sync.Mutex
	state  *State
	follow func(before, after View)
}

func (l *ledger) View() View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return View{l.state, moment()}
}

func moment() Moment {
	at := time.Now().UTC()
	return Moment{Shown: at, Believed: at, Latest: at, Stamp: at}
}

func (l *ledger) Decide(who Caller, in Intent) (*State, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := View{l.state, moment()}
	after, err := before.Check(who, in)
	if err != nil {
		return nil, err
	}
	l.state = after
	l.follow(before, View{after, before.At})
	return after, nil
}

func (l *ledger) Follow(f func(before, after View)) { l.follow = f }

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
	return NewHub(j, &ledger{state: NewState(p)}, marks, last, log)
}

func accountOf(n Name) Account {
	return Account{ID: "id of " + n.String(), Name: n, Role: User, Keys: []Key{keyOf(n)}}
}

func keyOf(n Name) Key {
	return Key{Line: "ssh-ed25519 of " + n.String(), Fingerprint: "SHA256:" + n.String(), Reads: true}
}

// caller is that person, logged in with their key. Whoever has no account gets one.
func (h *Hub) caller(n Name) Caller {
	l := h.decisions.(*ledger)
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.state.ByName(n)
	if !ok {
		d := &draft{State: *l.state}
		a = accountOf(n)
		d.addAccount(a)
		l.state = &d.State
	}
	return Caller{Name: n, Login: Login{Account: a.ID, Key: a.Keys[0].Fingerprint}, Key: a.Keys[0].Fingerprint, Verified: true}
}

// The rest is what tests want decided, and by whom.

func (h *Hub) Join(ctx context.Context, me Name, name RoomName) (made bool, err error) {
	who := h.caller(me)
	_, there := h.View().Room(name)
	err = h.Decide(ctx, who, JoinRoom{Room: name})
	is, _ := h.View().Room(name)
	return err == nil && !there && is.By == me, err
}

func (h *Hub) Part(ctx context.Context, me Name, name RoomName) error {
	return h.Decide(ctx, h.caller(me), LeaveRoom{name})
}

func (h *Hub) SetTopic(ctx context.Context, me Name, name RoomName, topic Text) error {
	return h.Decide(ctx, h.caller(me), SetTopic{name, topic.String()})
}

func (h *Hub) Kick(ctx context.Context, name Name, room RoomName) error {
	return h.Decide(ctx, TheServer, KickFromRoom{Name: name, Room: room})
}

func (h *Hub) RemoveRoom(ctx context.Context, name RoomName) error {
	return h.Decide(ctx, TheServer, CloseRoom{name})
}

// Revoke takes a key of me's away that they have just been given; what is sealed to it is ended.
func (h *Hub) Revoke(ctx context.Context, me Name) error {
	id := h.caller(me).Login.Account
	key := Key{Line: "ssh-ed25519 another of " + me.String(), Fingerprint: "SHA256:another", Reads: true}
	if _, err := h.decisions.Decide(TheServer, AddKeys{id, []Key{key}}); err != nil {
		return err
	}
	return h.Decide(ctx, TheServer, RemoveKey{id, key.Fingerprint})
}
