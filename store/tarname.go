package store

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"sshchat/sshchat/chat"
)

// tarName is what a file in a tar of the history is called: all that is in clear about what it holds.
type tarName struct {
	room        chat.RoomName
	w, from, to uint64
}

// String is "general/000000000001-000000000001-000000000200.age": room, window, first and last message.
func (n tarName) String() string {
	return fmt.Sprintf("%s/%012d-%012d-%012d.age", n.room, n.w, n.from, n.to)
}

var tarNamePattern = regexp.MustCompile(`^([^/]+)/(\d+)-(\d+)-(\d+)\.age$`)

var errTarName = errors.New("a file whose name is not one of the history's")

// parseTarName reads what String wrote, and nothing else.
func parseTarName(s string) (n tarName, err error) {
	m := tarNamePattern.FindStringSubmatch(s)
	if m == nil {
		return n, errTarName
	}
	if err := n.room.UnmarshalText([]byte(m[1])); err != nil {
		return n, fmt.Errorf("%w: %w", errTarName, err)
	}
	for i, to := range []*uint64{&n.w, &n.from, &n.to} {
		if *to, err = strconv.ParseUint(m[i+2], 10, 64); err != nil {
			return n, fmt.Errorf("%w: %w", errTarName, err)
		}
	}
	if n.w == 0 || n.from == 0 || n.to < n.from || n.String() != s {
		return n, errTarName
	}
	return n, nil
}
