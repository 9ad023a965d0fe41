// Package owner finds out which user of the machine owns a data folder, and acts as that user. The server runs as that user and could
// not open files that root creates there; and root must not write into a folder that others can change.
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
