package wire

import (
	"context"
	"errors"
	"fmt"

	"sshchat/sshchat/chat"
	cleaned "sshchat/sshchat/text"
	"sshchat/store/history"
)

// sentinels are the errors that callers look for, by the names that they have on the way. All of package chat's are among them.
var sentinels = map[string]error{
	"chat.ErrBanned":           chat.ErrBanned,
	"chat.ErrBehind":           chat.ErrBehind,
	"chat.ErrClosed":           chat.ErrClosed,
	"chat.ErrCode":             chat.ErrCode,
	"chat.ErrDisabled":         chat.ErrDisabled,
	"chat.ErrDuration":         chat.ErrDuration,
	"chat.ErrFingerprint":      chat.ErrFingerprint,
	"chat.ErrGeneral":          chat.ErrGeneral,
	"chat.ErrHostKeys":         chat.ErrHostKeys,
	"chat.ErrInvite":           chat.ErrInvite,
	"chat.ErrInviteID":         chat.ErrInviteID,
	"chat.ErrInviteOnly":       chat.ErrInviteOnly,
	"chat.ErrJournalDead":      chat.ErrJournalDead,
	"chat.ErrKeyTaken":         chat.ErrKeyTaken,
	"chat.ErrLastAdmin":        chat.ErrLastAdmin,
	"chat.ErrLastLogin":        chat.ErrLastLogin,
	"chat.ErrLastNode":         chat.ErrLastNode,
	"chat.ErrListFull":         chat.ErrListFull,
	"chat.ErrListed":           chat.ErrListed,
	"chat.ErrNameTaken":        chat.ErrNameTaken,
	"chat.ErrNoAccount":        chat.ErrNoAccount,
	"chat.ErrNoAnswer":         chat.ErrNoAnswer,
	"chat.ErrNoInvite":         chat.ErrNoInvite,
	"chat.ErrNoKey":            chat.ErrNoKey,
	"chat.ErrNoLeader":         chat.ErrNoLeader,
	"chat.ErrNoLogin":          chat.ErrNoLogin,
	"chat.ErrNoMessage":        chat.ErrNoMessage,
	"chat.ErrNoModerator":      chat.ErrNoModerator,
	"chat.ErrNoNode":           chat.ErrNoNode,
	"chat.ErrNoPassword":       chat.ErrNoPassword,
	"chat.ErrNoRoom":           chat.ErrNoRoom,
	"chat.ErrNoSanction":       chat.ErrNoSanction,
	"chat.ErrNoTOTP":           chat.ErrNoTOTP,
	"chat.ErrNode":             chat.ErrNode,
	"chat.ErrNodeKey":          chat.ErrNodeKey,
	"chat.ErrNodeName":         chat.ErrNodeName,
	"chat.ErrNotChecked":       chat.ErrNotChecked,
	"chat.ErrNotDecided":       chat.ErrNotDecided,
	"chat.ErrNotIn":            chat.ErrNotIn,
	"chat.ErrNotKnown":         chat.ErrNotKnown,
	"chat.ErrNotLeader":        chat.ErrNotLeader,
	"chat.ErrNotListed":        chat.ErrNotListed,
	"chat.ErrNotOnList":        chat.ErrNotOnList,
	"chat.ErrNotPinned":        chat.ErrNotPinned,
	"chat.ErrNotReacted":       chat.ErrNotReacted,
	"chat.ErrNotStored":        chat.ErrNotStored,
	"chat.ErrNotYours":         chat.ErrNotYours,
	"chat.ErrOnly":             chat.ErrOnly,
	"chat.ErrOnlyDecided":      chat.ErrOnlyDecided,
	"chat.ErrPasswordChanged":  chat.ErrPasswordChanged,
	"chat.ErrPinned":           chat.ErrPinned,
	"chat.ErrReacted":          chat.ErrReacted,
	"chat.ErrReports":          chat.ErrReports,
	"chat.ErrRoomsEdited":      chat.ErrRoomsEdited,
	"chat.ErrSetting":          chat.ErrSetting,
	"chat.ErrSlow":             chat.ErrSlow,
	"chat.ErrStale":            chat.ErrStale,
	"chat.ErrStopping":         chat.ErrStopping,
	"chat.ErrTOTP":             chat.ErrTOTP,
	"chat.ErrTaken":            chat.ErrTaken,
	"chat.ErrTarget":           chat.ErrTarget,
	"chat.ErrTooMany":          chat.ErrTooMany,
	"chat.ErrTooManyEmoji":     chat.ErrTooManyEmoji,
	"chat.ErrTooManyInvites":   chat.ErrTooManyInvites,
	"chat.ErrTooManyKeys":      chat.ErrTooManyKeys,
	"chat.ErrTooManyNamed":     chat.ErrTooManyNamed,
	"chat.ErrTooManyNodes":     chat.ErrTooManyNodes,
	"chat.ErrTooManyPins":      chat.ErrTooManyPins,
	"chat.ErrTooManySanctions": chat.ErrTooManySanctions,
	"chat.ErrTooOften":         chat.ErrTooOften,
	"chat.ErrUncounted":        chat.ErrUncounted,

	"context.Canceled":         context.Canceled,
	"context.DeadlineExceeded": context.DeadlineExceeded,
	"history.ErrKeysChanged":   history.ErrKeysChanged,
	"text.ErrEmpty":            cleaned.ErrEmpty,
	"text.ErrNotEmoji":         cleaned.ErrNotEmoji,
	"text.ErrNotUTF8":          cleaned.ErrNotUTF8,
	"text.ErrTooLong":          cleaned.ErrTooLong,
}

// EncodeError encodes why a request was not done, for the node that asked for it; nil as nothing.
func EncodeError(err error) []byte {
	if err == nil {
		return nil
	}
	e := newEncoder(256)
	e.string(err.Error())
	var code, count uint64
	var text string
	if r := (*chat.Refusal)(nil); errors.As(err, &r) {
		code, text = uint64(r.Code), r.Text
	}
	e.uint(code)
	e.string(text)
	names := &encoder{}
	for name, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			names.string(name)
			count++
		}
	}
	e.uint(count)
	e.b = append(e.b, names.b...)
	return e.b
}

// DecodeError decodes what EncodeError encoded: an error with the same text that is what the other was, as errors.Is has it,
// and the same chat.Refusal if it was one. What cannot be decoded is a chat.ErrNoAnswer.
func DecodeError(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	d := newDecoder(b)
	err := decodeError(d)
	switch malformed := d.end(); {
	case errors.Is(malformed, errVersion): // but it was refused
		return fmt.Errorf("the leader refused it: %w", malformed)
	case malformed != nil:
		return fmt.Errorf("%w that can be understood: %w", chat.ErrNoAnswer, malformed)
	}
	return err
}

// remote is an error of another node.
type remote struct {
	text string
	is   []error
}

func (r *remote) Error() string   { return r.text }
func (r *remote) Unwrap() []error { return r.is }

func decodeError(d *decoder) error {
	err := &remote{text: d.string()}
	code, text := d.uint(), d.string()
	for range d.count(1) {
		if is := sentinels[d.string()]; is != nil { // one that is not known here is looked for by nobody here
			err.is = append(err.is, is)
		}
	}
	if code == 0 {
		return err
	}
	if code > 255 {
		d.failf("an exit code of %d", code)
		return nil
	}
	err.is = withRefusal(err.is, &chat.Refusal{Code: chat.Code(code), Text: text})
	if r, ok := err.is[0].(*chat.Refusal); ok && len(err.is) == 1 && r.Text == err.text {
		return r
	}
	return err
}

// withRefusal is what an error is, with its refusal in the first place: as the sentinel that it says more about, if there is one.
func withRefusal(is []error, r *chat.Refusal) []error {
	for i, other := range is {
		kind, ok := other.(*chat.Refusal)
		if !ok || kind.Code != r.Code {
			continue
		}
		if kind.Text != r.Text {
			kind = kind.With("%s", r.Text)
		}
		is[i] = is[0]
		is[0] = kind
		return is
	}
	return append([]error{r}, is...)
}
