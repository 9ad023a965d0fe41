package accounts

import (
	"errors"
	"fmt"
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/clock"
	"sshchat/store/strictjson"
)

// maxSanctions is how many bans or mutes are kept: each connection is compared with them.
const maxSanctions = 10_000

var (
	ErrNoSanction       = &chat.Refusal{Code: chat.NotFound, Text: "there is none"}
	ErrTooManySanctions = &chat.Refusal{Code: chat.Failed, Text: "there are too many; lift some first"}
)

// Ban has the sanction hold until it ends or is lifted. An older one of the same target is replaced.
// Errors: ErrNoAccount; ErrLastAdmin, for whoever could lift it must be able to log in; ErrTooManySanctions; ErrEdited;
// or the disk's.
func (u *Store) Ban(s chat.Sanction) error {
	err := u.change(func(r *roster) error {
		if who := r.named(s.User); who != nil && u.lastAdmin(r, who) {
			return ErrLastAdmin
		}
		return u.impose(r, &r.bans, s)
	})
	if err != nil {
		return fmt.Errorf("ban %s: %w", s.Target(), err)
	}
	return nil
}

// Unban lifts the ban of a target. Errors: ErrNoSanction, ErrEdited, or the disk's.
func (u *Store) Unban(target string) error {
	if err := u.change(func(r *roster) error { return u.lift(&r.bans, target) }); err != nil {
		return fmt.Errorf("lift the ban of %s: %w", target, err)
	}
	return nil
}

// Mute has the person say nothing until the sanction ends or is lifted. Errors: as of Ban.
func (u *Store) Mute(s chat.Sanction) error {
	if s.User.IsZero() {
		return errors.New("internal error: a mute is of a person")
	}
	if err := u.change(func(r *roster) error { return u.impose(r, &r.mutes, s) }); err != nil {
		return fmt.Errorf("mute %s: %w", s.User, err)
	}
	return nil
}

// Unmute lifts a mute. Errors: ErrNoSanction, ErrEdited, or the disk's.
func (u *Store) Unmute(name chat.Name) error {
	if err := u.change(func(r *roster) error { return u.lift(&r.mutes, name.String()) }); err != nil {
		return fmt.Errorf("unmute %s: %w", name, err)
	}
	return nil
}

// Bans lists the bans that hold, the oldest first.
func (u *Store) Bans() []chat.Sanction { return u.holding(u.durable.Load().bans) }

// Mutes lists the mutes that hold, the oldest first.
func (u *Store) Mutes() []chat.Sanction { return u.holding(u.durable.Load().mutes) }

func (u *Store) holding(list []chat.Sanction) []chat.Sanction {
	now := u.clock.Read()
	return slices.DeleteFunc(slices.Clone(list), func(s chat.Sanction) bool { return over(s, now) })
}

// over reports whether the sanction has ended.
func over(s chat.Sanction, now clock.Reading) bool {
	return !s.Until.IsZero() && now.Ended(s.At, s.Until)
}

// impose adds s to a list of a roster that is being changed; what has ended goes.
func (u *Store) impose(r *roster, list *[]chat.Sanction, s chat.Sanction) error {
	if !s.User.IsZero() && r.named(s.User) == nil {
		return ErrNoAccount
	}
	s.At, s.Until = u.second(), u.lasting(s.Until)
	kept := slices.DeleteFunc(u.holding(*list), func(old chat.Sanction) bool { return old.Target() == s.Target() })
	if len(kept) >= maxSanctions {
		return ErrTooManySanctions
	}
	*list = append(kept, s)
	return nil
}

// lift removes the sanction of a target from a list of a roster that is being changed.
func (u *Store) lift(list *[]chat.Sanction, target string) error {
	kept := u.holding(*list)
	i := slices.IndexFunc(kept, func(s chat.Sanction) bool { return s.Target() == target })
	if i < 0 {
		return ErrNoSanction
	}
	*list = slices.Delete(kept, i, i+1)
	return nil
}

// readSanctions reads a list of bans or, with people, of mutes.
func readSanctions(list *[]chat.Sanction, people bool) func(strictjson.Value) error {
	return func(v strictjson.Value) error {
		return v.Items(func(v strictjson.Value) error {
			var s chat.Sanction
			err := v.Fields(map[string]func(strictjson.Value) error{
				"user": strictjson.To(&s.User), "ip": strictjson.To(&s.Net), "key": strictjson.To(&s.Key),
				"by": strictjson.To(&s.By), "at": strictjson.To(&s.At), "until": strictjson.To(&s.Until), "why": strictjson.To(&s.Why),
			})
			if err != nil {
				return err
			}
			given := 0
			for _, set := range []bool{!s.User.IsZero(), s.Net.IsValid(), s.Key != ""} {
				if set {
					given++
				}
			}
			again, err := chat.ParseTarget(s.Target())
			switch {
			case given != 1:
				return errors.New("it needs one of user, ip and key")
			case people && s.User.IsZero():
				return errors.New("only a user can be muted")
			case err != nil:
				return err
			case again.Net != s.Net:
				return fmt.Errorf("ip is %s; it must be %s", s.Net, again.Net)
			case len(*list) == maxSanctions:
				return ErrTooManySanctions
			}
			s.Why = text.Clean(s.Why, maxSetting)
			*list = append(*list, s)
			return nil
		})
	}
}
