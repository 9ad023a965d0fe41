package accounts

import (
	"errors"
	"fmt"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/store/strictjson"
)

const (
	fileFormat       = "sshchat-users/2"
	oldFormat        = "sshchat-users/1" // without upto
	fileFormatPrefix = "sshchat-users/"
)

// reader collects what a file holds.
type reader struct {
	format string
	upto   uint64
	parts  chat.Parts
	ids    map[string]bool // of the accounts so far
	names  map[chat.Name]bool
	rooms  map[chat.RoomName]bool
}

func newReader() *reader {
	return &reader{ids: make(map[string]bool), names: make(map[chat.Name]bool), rooms: make(map[chat.RoomName]bool)}
}

// parse reads users.json, and the number of the last change in it. Errors name the line. An unknown field is an error: it
// is a typo in a hand edit or belongs to a later version, and either would be lost with the next write.
func parse(b []byte) (s *chat.State, upto uint64, err error) {
	r := newReader()
	if err := r.readBytes(b); err != nil {
		return nil, 0, err
	}
	return chat.NewState(r.parts), r.upto, nil
}

func (r *reader) readBytes(b []byte) error {
	doc, err := strictjson.Parse(b)
	if err != nil {
		return err
	}
	return r.readFile(doc)
}

func (r *reader) readFile(doc strictjson.Value) error {
	var users, rooms, upto []strictjson.Value
	var pins []chat.Pin
	err := doc.Fields(map[string]func(strictjson.Value) error{
		"format":       func(v strictjson.Value) error { return readFormat(v, &r.format) },
		"upto":         func(v strictjson.Value) error { upto = []strictjson.Value{v}; return v.Into(&r.upto) },
		"users":        func(v strictjson.Value) error { users = []strictjson.Value{v}; return nil },
		"rooms":        func(v strictjson.Value) error { rooms = []strictjson.Value{v}; return nil },
		"bans":         readSanctions(&r.parts.Bans, false),
		"mutes":        readSanctions(&r.parts.Mutes, true),
		"invites":      func(v strictjson.Value) error { return items(v, readInvite, &r.parts.Invites) },
		"allowlist":    func(v strictjson.Value) (err error) { r.parts.Allowlist, err = readAllowlist(v); return err },
		"registration": func(v strictjson.Value) (err error) { r.parts.Registration, err = readRegistration(v); return err },
		"motd":         func(v strictjson.Value) (err error) { r.parts.Motd, err = readMotd(v); return err },
		"hostKeys":     func(v strictjson.Value) (err error) { r.parts.HostKeys, err = readHostKeys(v); return err },
		"claims":       strictjson.To(&r.parts.Claims),
		"reserved":     strictjson.To(&r.parts.Reserved),
		"pins":         func(v strictjson.Value) error { return items(v, readPin, &pins) },
		"nodes":        r.readNodes,
	})
	switch {
	case err != nil:
		return err
	case users == nil:
		return doc.Refuse(errors.New("the list of users is missing"))
	case r.format == fileFormat && upto == nil:
		return doc.Refuse(errors.New(`"upto" is missing: the number of the last change in the file, or 0 for a file written by hand`))
	case r.format != fileFormat && upto != nil:
		return upto[0].Refuse(fmt.Errorf(`"upto" is only for the format %q`, fileFormat))
	}
	// Users before rooms, whichever stands first in the file: members must be users.
	for _, v := range users {
		if err := v.Items(r.readAccount); err != nil {
			return err
		}
	}
	for _, v := range rooms {
		if err := v.Items(r.readRoom); err != nil {
			return err
		}
	}
	r.keepPins(pins)
	if r.format == "" && len(r.parts.Accounts)+len(r.parts.Rooms) > 0 { // an empty list without one is how a server begins
		return doc.Refuse(fmt.Errorf("the format is missing; it should be %q", fileFormat))
	}
	return nil
}

func readFormat(v strictjson.Value, format *string) error {
	if err := v.Into(format); err != nil {
		return err
	}
	switch {
	case *format == fileFormat, *format == oldFormat:
		return nil
	case strings.HasPrefix(*format, fileFormatPrefix):
		return fmt.Errorf("%q was written by a newer sshchat; this one reads %q", *format, fileFormat)
	}
	return fmt.Errorf("%q is not a list of users; it should be %q", *format, fileFormat)
}

// items reads a list.
func items[T any](v strictjson.Value, read func(strictjson.Value) (T, error), list *[]T) error {
	return v.Items(func(v strictjson.Value) error {
		item, err := read(v)
		*list = append(*list, item)
		return err
	})
}
