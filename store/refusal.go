package store

import (
	"errors"
	"slices"

	"sshchat/store/agesplit"
)

// refusals are what a person can be told: something about what they asked for, and nothing about the disk.
var refusals = []error{
	ErrTaken, ErrNoAccount, ErrNoLogin, ErrLastAdmin, ErrEdited, ErrRoomsEdited,
	agesplit.ErrKey, ErrKeyTaken, ErrTooManyKeys, ErrNoKey, ErrLastLogin,
	ErrSetting, ErrPolicy, ErrPassword, ErrNoPassword, ErrPasswordChanged, ErrNoRetired, ErrBusy,
	ErrCode, ErrTOTP, ErrNoTOTP, ErrNoSanction, ErrTooManySanctions, ErrInvite, ErrNoInvite, ErrTooManyInvites, ErrListed, ErrNotListed, ErrLongEnough,
	ErrNothing, ErrNoWindow, ErrNoHead, ErrNotClosed, ErrSeveral,
}

// Refusal reports whether err is a refusal whose words are for the person who caused it.
func Refusal(err error) bool {
	return slices.ContainsFunc(refusals, func(r error) bool { return errors.Is(err, r) })
}

// absence is a refusal that says that what was asked for is not there, which scripts tell from others by exit code.
type absence string

func (a absence) Error() string { return string(a) }

// NotFound marks it for who does not know this package.
func (absence) NotFound() {}
