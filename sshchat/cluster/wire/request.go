package wire

import (
	"errors"
	"fmt"
	"reflect"

	"sshchat/sshchat/chat"
	"sshchat/store/accounts"
	"sshchat/store/history"
)

// intents are those that nodes ask each other for, which are all there are.
var intents = byName(
	chat.AddKeys{}, chat.AddNode{}, chat.Allow{}, chat.Ban{}, chat.BurnClaim{}, chat.ClaimAdmin{}, chat.CloseRoom{}, chat.CreateAccount{},
	chat.CreateInvite{}, chat.CreateRoom{}, chat.DeleteAccount{}, chat.DeleteMessage{}, chat.Disable{}, chat.Disallow{},
	chat.Expire{}, chat.Import{}, chat.InviteToRoom{}, chat.JoinRoom{}, chat.KickFromRoom{}, chat.LeaveRoom{}, chat.MayPin{},
	chat.Mute{}, chat.PinMessage{}, chat.Post{}, chat.RemoveKey{}, chat.RemoveNode{}, chat.ResetAdmin{}, chat.ResetPassword{},
	chat.RevokeInvite{}, chat.SetAllowlist{}, chat.SetFactor{}, chat.SetHostKeys{}, chat.SetModerator{}, chat.SetMotd{}, chat.SetPassword{}, chat.SetPrivate{},
	chat.SetRegistration{}, chat.SetRole{}, chat.SetSetting{}, chat.SetSlow{}, chat.SetTopic{}, chat.Speak{}, chat.SpendCode{},
	chat.Unban{}, chat.Unmute{}, chat.UnpinMessage{}, chat.Visit{},
)

func byName(all ...chat.Intent) map[string]reflect.Type {
	types := map[string]reflect.Type{handEdit: reflect.TypeFor[editByHand]()}
	for _, in := range all {
		t := reflect.TypeOf(in)
		types[t.Name()] = t
	}
	return types
}

// editByHand is a chat.EditByHand: its States as differences, the edited one from the other and that from an empty one.
type editByHand struct{ Base, Edited, File string }

// handEdit is its name among the intents.
var handEdit = reflect.TypeFor[chat.EditByHand]().Name()

// What a request wants.
const (
	wantsIntent = iota
	wantsIntentAndAudit
	wantsEvent
	wantsAttempt
)

// EncodeRequest encodes a request for the node that orders it. Who reads it can do what the person can, and read what they say:
// it is sealed on its way.
func EncodeRequest(r chat.Request) ([]byte, error) {
	e := newEncoder(512)
	e.fixed(r.ID.Origin)
	e.uint(r.ID.N)
	e.uint(r.ID.N - r.Settled)
	encodeValue(e, &r.Who)
	var err error
	switch {
	case !r.IsOne():
		err = errors.New("it wants nothing, or several things")
	case r.Attempt != nil:
		e.byte(wantsAttempt)
		encodeValue(e, r.Attempt)
	case r.Event != nil:
		e.byte(wantsEvent)
		err = encodeEvent(e, r.Event)
	case r.Audit != nil:
		e.byte(wantsIntentAndAudit)
		encodeValue(e, r.Audit)
		err = encodeIntent(e, r.Intent)
	default:
		e.byte(wantsIntent)
		err = encodeIntent(e, r.Intent)
	}
	if err != nil {
		return nil, fmt.Errorf("encode request %d: %w", r.ID.N, err)
	}
	return e.b, nil
}

// DecodeRequest decodes what EncodeRequest encoded.
func DecodeRequest(b []byte) (chat.Request, error) {
	d := newDecoder(b)
	var r chat.Request
	r.ID.Origin = d.fixed()
	r.ID.N = d.uint()
	r.Settled = r.ID.N - d.uint()
	decodeValue(d, &r.Who)
	switch wants := d.byte(); wants {
	case wantsEvent:
		r.Event = decodeRequested(d)
	case wantsIntentAndAudit:
		r.Audit = new(chat.AuditEntry)
		decodeValue(d, r.Audit)
		r.Intent = decodeIntent(d)
	case wantsIntent:
		r.Intent = decodeIntent(d)
	case wantsAttempt:
		r.Attempt = new(chat.Attempt)
		decodeValue(d, r.Attempt)
	default:
		d.fail(errVersion)
	}
	if err := d.end(); err != nil {
		return chat.Request{}, fmt.Errorf("decode a request: %w", err)
	}
	return r, nil
}

func encodeIntent(e *encoder, in chat.Intent) error {
	t := reflect.TypeOf(in)
	var v reflect.Value // addressable
	if edit, ok := in.(chat.EditByHand); ok {
		encoded, err := encodeEdit(edit)
		if err != nil {
			return err
		}
		v = reflect.ValueOf(&encoded).Elem()
	} else {
		if intents[t.Name()] != t {
			return fmt.Errorf("internal error: an intent %s is not known to be encoded", t)
		}
		v = reflect.New(t).Elem()
		v.Set(reflect.ValueOf(in))
	}
	e.string(t.Name())
	codecOf(v.Type()).encode(e, v)
	return nil
}

func decodeIntent(d *decoder) chat.Intent {
	name := d.bytes()
	t := intents[string(name)]
	if t == nil && d.err == nil {
		d.failf("an intent %q: %w", name, errVersion)
	}
	if d.err != nil {
		return nil
	}
	v := reflect.New(t).Elem()
	codecOf(t).decode(d, v)
	if d.err != nil {
		return nil
	}
	if edit, ok := v.Interface().(editByHand); ok {
		in, err := decodeEdit(edit)
		if err != nil {
			d.fail(err)
		}
		return in
	}
	return v.Interface().(chat.Intent)
}

func encodeEdit(in chat.EditByHand) (editByHand, error) {
	if in.Base == nil || in.Edited == nil {
		return editByHand{}, errors.New("an edit by hand without its States")
	}
	base, err := accounts.EncodeDifference(in.Base.Since(chat.NewState(chat.Parts{})))
	if err != nil {
		return editByHand{}, err
	}
	edited, err := accounts.EncodeDifference(in.Edited.Since(in.Base))
	return editByHand{string(base), string(edited), in.File}, err
}

func decodeEdit(in editByHand) (chat.EditByHand, error) {
	base, err := after(chat.NewState(chat.Parts{}), in.Base)
	if err != nil {
		return chat.EditByHand{}, fmt.Errorf("the State that was edited by hand: %w", err)
	}
	edited, err := after(base, in.Edited)
	if err != nil {
		return chat.EditByHand{}, fmt.Errorf("an edit by hand: %w", err)
	}
	return chat.EditByHand{Base: base, Edited: edited, File: in.File}, nil
}

// after is the State that an encoded difference leads to.
func after(s *chat.State, difference string) (*chat.State, error) {
	d, err := accounts.DecodeDifference([]byte(difference))
	if err != nil {
		return nil, err
	}
	return s.With(d)
}

// encodeEvent writes an event that a node asks for: new keys of a reader, or what its history has made.
func encodeEvent(e *encoder, event *chat.Event) error {
	if event.Message != (chat.Message{}) || event.Change != chat.NoChange && event.Change != chat.Rekey {
		return errors.New("an event that no node asks for")
	}
	encodeValue(e, &event.Room)
	e.uint(uint64(event.Change))
	encodeValue(e, &event.Name)
	e.uint(event.Since)
	var stored []byte
	if event.Stored != nil {
		var err error
		if stored, err = history.EncodeStored(event.Stored); err != nil {
			return err
		}
	}
	e.bytes(stored)
	return nil
}

func decodeRequested(d *decoder) *chat.Event {
	var event chat.Event
	decodeValue(d, &event.Room)
	change := d.uint()
	decodeValue(d, &event.Name)
	event.Since = d.uint()
	stored := d.bytes()
	if d.err != nil {
		return nil
	}
	switch event.Change = chat.Change(change); {
	case change != uint64(chat.NoChange) && change != uint64(chat.Rekey):
		d.failf("an event of change %d", change)
	case len(stored) > 0:
		var err error
		if event.Stored, err = history.DecodeStored(stored); err != nil {
			d.fail(err)
		}
	}
	return &event
}
