package accounts

import (
	"errors"
	"fmt"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/store/strictjson"
)

const (
	fileFormat       = "sshchat-users/1"
	fileFormatPrefix = "sshchat-users/"
)

// reader collects what a file holds.
type reader struct {
	parts chat.Parts
	ids   map[string]bool // of the accounts so far
	names map[chat.Name]bool
	rooms map[chat.RoomName]bool
}

// parse reads users.json. A refusal names the line. An unknown field is refused: it is a slip of the one who
// edited the file or a later version's word, and either would be lost with the next write.
func parse(b []byte) (*chat.State, error) {
	doc, err := strictjson.Parse(b)
	if err != nil {
		return nil, err
	}
	r := &reader{ids: make(map[string]bool), names: make(map[chat.Name]bool), rooms: make(map[chat.RoomName]bool)}
	var format string
	var users, rooms []strictjson.Value
	err = doc.Fields(map[string]func(strictjson.Value) error{
		"format":    func(v strictjson.Value) error { return readFormat(v, &format) },
		"users":     func(v strictjson.Value) error { users = []strictjson.Value{v}; return nil },
		"rooms":     func(v strictjson.Value) error { rooms = []strictjson.Value{v}; return nil },
		"bans":      readSanctions(&r.parts.Bans, false),
		"mutes":     readSanctions(&r.parts.Mutes, true),
		"invites":   func(v strictjson.Value) error { return v.Items(r.readInvite) },
		"allowlist": r.readAllowlist,
		"reserved":  strictjson.To(&r.parts.Reserved),
	})
	if err != nil {
		return nil, err
	}
	if users == nil {
		return nil, doc.Refuse(errors.New("the list of users is missing"))
	}
	// Users before rooms, whichever stands first in the file: members must be users.
	for _, v := range users {
		if err := v.Items(r.readAccount); err != nil {
			return nil, err
		}
	}
	for _, v := range rooms {
		if err := v.Items(r.readRoom); err != nil {
			return nil, err
		}
	}
	if format == "" && len(r.parts.Accounts)+len(r.parts.Rooms) > 0 { // an empty list without one is how a server begins
		return nil, doc.Refuse(fmt.Errorf("the format is missing: %q is expected", fileFormat))
	}
	return chat.NewState(r.parts), nil
}

func readFormat(v strictjson.Value, format *string) error {
	if err := v.Into(format); err != nil {
		return err
	}
	switch {
	case *format == fileFormat:
		return nil
	case strings.HasPrefix(*format, fileFormatPrefix):
		return fmt.Errorf("%q was written by a newer sshchat; this one reads %q", *format, fileFormat)
	}
	return fmt.Errorf("%q is not a list of users; %q is expected", *format, fileFormat)
}
