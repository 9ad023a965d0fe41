package history

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
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

var errTarName = errors.New("a file with a name that does not belong to a history")

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

// Tar writes everything that me has heads for as a tar of age files, room by room in the order given, oldest first:
// closed windows as one file, others message by message. For a room in after it writes only files that hold a message
// beyond that Seq. The files are named as in FORMAT.md, so that OpenFile can check them.
func (h *History) Tar(w io.Writer, me chat.Name, rooms []chat.RoomName, after map[chat.RoomName]uint64) error {
	t := tar.NewWriter(w)
	for _, room := range rooms {
		if err := h.tarRoom(t, me, room, after[room]); err != nil {
			return fmt.Errorf("tar %s: %w", room, err)
		}
	}
	return t.Close()
}

func (h *History) tarRoom(t *tar.Writer, me chat.Name, room chat.RoomName, after uint64) error {
	v, err := h.snapshot(room)
	if err != nil {
		return err
	}
	defer v.close()
	for _, s := range v.windows {
		files := s.files(after)
		if len(files) == 0 || !s.readable(me) {
			continue
		}
		f, err := v.file(s.in)
		head := ""
		if err == nil {
			head, err = v.head(&s, me)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, c := range files {
			r, err := recordAt(f, c.off)
			if err != nil {
				return err
			}
			header := &tar.Header{
				Typeflag: tar.TypeReg, Name: tarName{room, s.w, c.from, c.to}.String(), Mode: 0o600,
				Size: int64(len(head) + len(r.body)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
			}
			if err := t.WriteHeader(header); err != nil {
				return err
			}
			if _, err := io.Copy(t, agesplit.Join(head, r.body)); err != nil {
				return err
			}
		}
	}
	return nil
}

// files are the bodies that hold the window's messages beyond after.
func (s *windowEntry) files(after uint64) []chunk {
	files := s.closes
	if !s.closed() {
		files = nil
		for i, off := range s.msgs {
			seq := s.from + uint64(i)
			files = append(files, chunk{off, seq, seq})
		}
	}
	return slices.DeleteFunc(slices.Clone(files), func(c chunk) bool { return c.to <= after })
}
