// Package owner is which user of the machine a data folder belongs to. What root writes there would be closed to the server,
// which runs as that user; and a folder that somebody else may write to is no place for root to write.
package owner

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// ErrOther is wrapped when a folder belongs to another user, who this process cannot become.
var ErrOther = errors.New("the folder belongs to another user")

// Name is a user's name and number, for people.
func Name(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return fmt.Sprintf("%s (user %s)", u.Username, id)
	}
	return "user " + id
}
