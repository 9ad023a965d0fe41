package view

import (
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/output"
)

// maxLines is how many bytes of rendered messages are kept for all sessions, in two halves.
const maxLines = 8 << 20

// Lines holds rendered messages for all sessions of a server: those of the same width, theme and colors share them.
// Its methods may be called from any goroutine; a nil *Lines keeps nothing.
type Lines struct {
	encoded encodedMessages
	panes   panes

	mu    sync.Mutex
	young map[lineKey][]string // guarded by mu
	old   map[lineKey][]string // guarded by mu; the previous young, dropped when young is full again
	bytes int                  // guarded by mu; of young
}

// lineKey is all that a message's rows depend on. Only an edit or a deletion changes a message.
type lineKey struct {
	order           uint64
	edited, deleted bool
	text            string // of an edited message: it may be edited again
	width           int
	format          format
	variant         variant
	beside          beside
}

// beside is what is shown with a message and is not in it: what it replies to, and the reactions to it. Empty for nothing.
type beside struct{ quote, reactions string }

// rows returns the rows of a message as p shows them. The caller must not change them.
func (l *Lines) rows(p *renderer, m *chat.Message, width int, v variant, b beside) []string {
	if l == nil || m.DisplaySeq == 0 {
		return p.message(m, width, v, b)
	}
	key := lineKey{order: m.DisplaySeq, edited: m.Edited, deleted: m.Deleted, width: width, format: p.format, variant: v, beside: b}
	if m.Edited {
		key.text = m.Text.String()
	}
	l.mu.Lock()
	rows, ok := l.young[key]
	if !ok {
		if rows, ok = l.old[key]; ok {
			l.keep(key, rows)
		}
	}
	l.mu.Unlock()
	if ok {
		return rows
	}
	rows = p.message(m, width, v, b)
	l.mu.Lock()
	l.keep(key, rows)
	l.mu.Unlock()
	return rows
}

// keep is called with mu held.
func (l *Lines) keep(key lineKey, rows []string) {
	size := 200 // the key and the map's own
	for _, r := range rows {
		size += len(r) + 16
	}
	if l.young == nil || l.bytes+size > maxLines/2 {
		l.young, l.old, l.bytes = make(map[lineKey][]string), l.young, 0
	}
	l.young[key] = rows
	l.bytes += size
}

// scroll returns m as a full screen shows it below what stands above it; nil where that cannot be told from these alone.
func (l *Lines) scroll(p *renderer, m *chat.Message, width int, above turn) *encoded {
	if l == nil || !mayShare(m) {
		return nil
	}
	key := encodedKey{order: m.DisplaySeq, width: width, variant: p.variant(m, width, above), format: p.format}
	if e := l.encoded.find(&key, p.hash); e != nil {
		return e
	}
	rows := l.rows(p, m, width, key.variant, beside{})
	e := &encoded{encodedKey: key, sums: make([]uint64, len(rows)), day: dayOf(m.At, p.location)}
	var w output.Buffer
	for i, row := range rows {
		w.Newline()
		w.Styled(row)
		e.sums[i] = rowHash(row)
	}
	e.bytes = w.Encode()
	l.encoded.keep(e, p.hash)
	return e
}

// line returns m as write writes it for a key, whose format has that hash; nil if it is not shared.
func (l *Lines) line(key *encodedKey, hash uint64, m *chat.Message, write func(*output.Buffer, *chat.Message)) *encoded {
	if l == nil || !mayShare(m) {
		return nil
	}
	if e := l.encoded.find(key, hash); e != nil {
		return e
	}
	var w output.Buffer
	write(&w, m)
	e := &encoded{encodedKey: *key, bytes: w.Encode()}
	l.encoded.keep(e, hash)
	return e
}
