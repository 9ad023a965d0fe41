package online

import (
	"encoding/json"
	"errors"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// message is what a node says to another. Versions may add fields: a node passes over those it does not know.
type message struct {
	Instance uint64   `json:"instance"`          // which process of the node said it
	Number   uint64   `json:"number"`            // grows from one message of it to the next
	After    uint64   `json:"after,omitempty"`   // the number of the message before: it follows on that
	All      bool     `json:"all,omitempty"`     // it follows on nothing: nobody but those named is online
	People   []person `json:"people,omitempty"`  // who is online, or is no longer
	Notices  []notice `json:"notices,omitempty"` // in their order
}

// person is a chat.Attendance.
type person struct {
	Name     chat.Name `json:"name"`
	Online   bool      `json:"online,omitempty"`
	Terminal bool      `json:"terminal,omitempty"`
	Away     bool      `json:"away,omitempty"`
	Why      string    `json:"why,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Version  uint64    `json:"version,omitempty"`
}

func personOf(a chat.Attendance) person {
	return person{a.Name, a.Online, a.Terminal, a.Absence.Away, a.Absence.Why.String(), a.Absence.Since, a.Absence.Version}
}

// maxWhy is the longest reason for being away that is taken from another node, in bytes.
const maxWhy = 1024

func (p person) attendance() chat.Attendance {
	since := p.Since.UTC()
	if since.Year() > 9998 { // which cannot be said to the next node
		since = time.Time{}
	}
	return chat.Attendance{Name: p.Name, Online: p.Online, Terminal: p.Online && p.Terminal, Absence: chat.Absence{
		Away: p.Away, Why: text.Sprintf("%s", text.Clean(p.Why, maxWhy)), Since: since, Version: p.Version,
	}}
}

// notice is a chat.Announcement.
type notice struct {
	Number  uint64        `json:"number"`
	Text    string        `json:"text"`
	To      chat.Name     `json:"to,omitzero"`
	Room    chat.RoomName `json:"room,omitzero"`
	By      chat.Name     `json:"by,omitzero"`
	Removed chat.Name     `json:"removed,omitzero"`
	Batch   uint64        `json:"batch,omitempty"`
}

func noticeOf(number uint64, a chat.Announcement) notice {
	return notice{number, a.Text.String(), a.To, a.Room, a.By, a.Removed, a.After}
}

func (n notice) announcement() chat.Announcement {
	return chat.Announcement{Text: text.Sprintf("%s", n.Text), To: n.To, Room: n.Room, By: n.By, Removed: n.Removed, After: n.Batch} // cleaned by the rules of this version
}

func (m message) encode() ([]byte, error) { return json.Marshal(m) }

// decode reads a message. Names are checked, and texts cleaned, as if this node had been asked for them.
func decode(b []byte) (m message, people []chat.Attendance, notices []chat.Announcement, err error) {
	if err := json.Unmarshal(b, &m); err != nil {
		return message{}, nil, nil, err
	}
	for _, p := range m.People {
		if p.Name.IsZero() {
			return message{}, nil, nil, errors.New("somebody without a name")
		}
		people = append(people, p.attendance())
	}
	for _, n := range m.Notices {
		notices = append(notices, n.announcement())
	}
	return m, people, notices, nil
}
