package view

import (
	"sync"

	"sshchat/sshchat/chat"
)

// maxLines is how many bytes of rendered messages are kept for all sessions, each time in two halves.
const maxLines = 8 << 20

// Lines holds rendered messages for all sessions of a server: those of the same width, theme and colours share them.
// Its methods may be called from any goroutine; a nil *Lines keeps nothing.
type Lines struct {
	mu    sync.Mutex
	young map[lineKey][]string // guarded by mu
	old   map[lineKey][]string // guarded by mu; what was young before, and goes when young is full again
	bytes int                  // guarded by mu; of young
}

// lineKey is all that a message's rows depend on. A message is never changed but by an edit or a deletion.
type lineKey struct {
	order           uint64
	edited, deleted bool
	text            string // of an edited message: it may be edited again
	width           int
	styles          *styles
	zone, clock     string
	links, keep     bool
	mention         bool
}

// rows returns the rows of a message as p shows them. The caller must not change them.
func (l *Lines) rows(p *paint, m *chat.Message, width int) []string {
	if l == nil || m.Order == 0 {
		return p.message(m, width)
	}
	key := lineKey{
		order: m.Order, edited: m.Edited, deleted: m.Deleted, width: width, styles: p.styles,
		zone: p.zone.String(), clock: p.clock, links: p.links, keep: p.keep, mention: m.Mentions(p.me),
	}
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
	rows = p.message(m, width)
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
