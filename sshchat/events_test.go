package sshchat

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
)

// I want the audit log full of me, so that what I do later is not found in it, or finds no room. The control: an event
// that comes seldom is always told.
func TestAttackEventsDoNotFillTheAuditLog(t *testing.T) {
	row := attack.On(t, attack.Connections, "fill the audit log")
	now := time.Now()
	e := newEvents(slog.Default(), func() time.Time { return now })
	told := 0
	for i := range 100_000 {
		now = now.Add(36 * time.Millisecond) // an hour in all
		if e.due(chat.AuditEntry{Do: "kept away", Source: fmt.Sprint("192.0.2.", i)}) {
			told++
		}
	}
	if told < 60 || told > 121 {
		t.Errorf("%d of 100 000 sources in an hour are told of, want 60 to 121", told)
	}
	if len(e.written) > 130 {
		t.Errorf("%d are remembered", len(e.written))
	}
	now = now.Add(2 * time.Hour)
	same := chat.AuditEntry{Do: "login", By: "alice", Source: "192.0.2.1"}
	if !e.due(same) || e.due(same) {
		t.Error("the same is not told once")
	}
	now = now.Add(eventEvery)
	if !e.due(same) {
		t.Error("an hour later it is not told")
	}
	row.Tried("100 000 sources in an hour")
	row.Held("%d lines", told)
	row.Control("rare events are recorded each time")
}
