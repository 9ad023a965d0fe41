package history

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/lists"
)

// predecessor is the content of a file's start record: the archive before it, and each room's position at its end. So a
// room that has been quiet since outlives its archives, and a change of the archive is detected.
type predecessor struct {
	archive int       // its number
	size    int64     // bytes of its file
	sum     sum       // of its file
	at      time.Time // when it was put away
	rooms   []Head    // by name
}

// placeJSON is where a room stood.
type placeJSON struct {
	W   uint64 `json:"w"`
	Seq uint64 `json:"seq"`
	N   uint64 `json:"n"`
	Tip string `json:"tip"`
}

// archiveName is the file of an archive, from 1.
func archiveName(number int) string { return fmt.Sprintf("message_history.%04d.json", number) }

// parseArchiveName reads what archiveName wrote; 0 for anything else.
func parseArchiveName(name string) int {
	rest, ok := bytes.CutPrefix([]byte(name), []byte("message_history."))
	digits, tail := bytes.CutSuffix(rest, []byte(".json"))
	n, err := strconv.Atoi(string(digits))
	if !ok || !tail || err != nil || n < 1 || archiveName(n) != name {
		return 0
	}
	return n
}

// encodeStart fills in the lines and sum of a start record. No room's place is divided between lines.
func (r *record) encodeStart() {
	o := r.predecessor
	const prefix, suffix = `,"rooms":{`, "}"
	first := fmt.Appendf(nil, `{"n":%d,"t":"start","ok":%d%s,"archive":"%s","size":%d,"sha256":"%x","at":"%s"`,
		r.n, r.ok, r.changeField(), archiveName(o.archive), o.size, o.sum[:], o.at.UTC().Format(lineTime))
	room := lineRoom - len(first) - crcSize - partsSize - len(prefix) - len(suffix)
	var fragments [][]byte
	var line []byte
	for _, h := range o.rooms {
		place := fmt.Appendf(nil, `"%s":{"w":%d,"seq":%d,"n":%d,"tip":"%s"}`, h.Room, h.W, h.Seq, h.N, sum(h.Tip))
		if len(line)+len(",")+len(place) > room {
			fragments, line = append(fragments, line), nil
			room = lineRoom - len(`{"n":18446744073709551615,"t":"more"`) - crcSize - len(prefix) - len(suffix)
		}
		if len(line) > 0 {
			line = append(line, ',')
		}
		line = append(line, place...)
	}
	r.encodeLines(first, append(fragments, line), prefix, suffix)
}

// predecessor reads the fields of a start record; nil if there are none.
func (j *recordJSON) predecessor() (*predecessor, error) {
	if j.Archive == "" && j.Size == 0 && j.SHA256 == "" && j.At == "" && j.Rooms == nil {
		return nil, nil
	}
	o := &predecessor{archive: parseArchiveName(j.Archive), size: j.Size}
	if o.archive == 0 || o.size <= 0 {
		return nil, errors.New("it names no archive")
	}
	raw, err := hex.DecodeString(j.SHA256)
	if err != nil || len(raw) != len(o.sum) {
		return nil, errors.New("its sha256 is not a digest")
	}
	o.sum = sum(raw)
	if o.at, err = time.Parse(lineTime, j.At); err != nil {
		return nil, fmt.Errorf("its at: %w", err)
	}
	for room, at := range j.Rooms {
		tip, err := parseSum(at.Tip)
		if err != nil || tip == (sum{}) || room.IsZero() || at.W == 0 || at.N == 0 || at.N >= j.N {
			return nil, fmt.Errorf("it does not say where %s ended", room)
		}
		o.rooms = append(o.rooms, Head{Room: room, W: at.W, Seq: at.Seq, N: at.N, Tip: tip})
	}
	sortHeads(o.rooms)
	return o, nil
}

func sortHeads(heads []Head) {
	lists.Sort(heads, func(a, b Head) int { return chat.RoomName.Compare(a.Room, b.Room) })
}

// checkStart reports whether a start record has the fields it needs, and no others.
func (r *record) checkStart() error {
	if r.predecessor == nil || !r.hasOK || !r.room.IsZero() || r.w > 0 || r.seq > 0 || r.from > 0 || r.to > 0 ||
		r.prev != (sum{}) || len(r.sig) > 0 || len(r.heads) > 0 || len(r.digest) > 0 || len(r.body) > 0 {
		return errors.New("it is not a complete start")
	}
	return nil
}

// archiveIntro opens an archive as segmentIntro opens the file that is written to.
func archiveIntro(number int) string { return introOf(newest, number) }

// introOf is the first line of a file: an archive with that number, or with 0 the one that is written to.
func introOf(format, number int) string {
	if number == 0 {
		return fmt.Sprintf(`{"format":"sshchat-history/%d","records":[`+"\n", format)
	}
	return fmt.Sprintf(`{"format":"sshchat-history/%d","archive":%d,"records":[`+"\n", format, number)
}

// intro is what opens a file.
type intro struct {
	format int
	number int // of the archive; 0: it is not an archive
	length int // bytes
}

// parseIntro reads what opens a file.
func parseIntro(page []byte) (intro, bool) {
	line, _, _ := bytes.Cut(page[:min(len(page), 80)], []byte("\n"))
	for format := oldest; format <= newest; format++ {
		number := 0
		rest, ok := bytes.CutPrefix(line, fmt.Appendf(nil, `{"format":"sshchat-history/%d","archive":`, format))
		if ok {
			digits, _, _ := bytes.Cut(rest, []byte(","))
			var err error
			if number, err = strconv.Atoi(string(digits)); err != nil || number < 1 {
				return intro{}, false
			}
		}
		if whole := introOf(format, number); bytes.HasPrefix(page, []byte(whole)) {
			return intro{format, number, len(whole)}, true
		}
	}
	return intro{}, false
}
