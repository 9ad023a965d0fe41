package cluster

import (
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/store/durable"
)

// What a disk has no room for.
const (
	roomForAll int32 = iota
	roomForNothing
	noRoomForHistory  // but for what is decided
	noRoomForNewFiles // but for what goes into those that are there
)

// fullDisk is one that may be full.
type fullDisk struct {
	durable.OS
	full    atomic.Int32
	refused atomic.Int32
}

func (d *fullDisk) room(name string, created bool) error {
	switch full := d.full.Load(); {
	case full == roomForNothing, full == noRoomForHistory && strings.Contains(name, "message_history"), full == noRoomForNewFiles && created:
		d.refused.Add(1)
		return &fs.PathError{Op: "write", Path: name, Err: syscall.ENOSPC}
	}
	return nil
}

func (d *fullDisk) Open(name string) (durable.File, error) {
	f, err := d.OS.Open(name)
	return limitedFile{f, d, name}, err
}

func (d *fullDisk) Create(name string) (durable.File, error) {
	if err := d.room(name, true); err != nil {
		return nil, err
	}
	f, err := d.OS.Create(name)
	return limitedFile{f, d, name}, err
}

// limitedFile is a file of a fullDisk.
type limitedFile struct {
	durable.File
	disk *fullDisk
	name string
}

func (f limitedFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.disk.room(f.name, false); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

// A node whose disk is full stores nothing and decides nothing, and the others go on: if it leads, another does. Once there is room it goes on
// by itself. Nothing is lost, and nothing is stored twice, also if what was decided had room and what was said had none, and if a batch had room
// and the new file that the history was to go on in had none.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 3, journaltest.Options{Rotate: 32 << 10})
	c := r.talk(t, 12, 5*time.Millisecond)
	accounts := 0
	for _, full := range []int32{roomForNothing, noRoomForHistory, noRoomForNewFiles} {
		for _, leads := range []bool{false, true} {
			c.more(50)
			leader, s := c.leaderAndOther()
			if leads {
				s = leader
			}
			s.disk.refused.Store(0)
			s.disk.full.Store(full)
			var decided []chan error
			for i := 0; s.disk.refused.Load() == 0 || i < 3; i++ {
				accounts++
				done := make(chan error, 1)
				_, account := guest(t, fmt.Sprint("guest", accounts))
				go func() {
					done <- s.hub.Load().Decide(t.Context(), chat.TheServer, chat.CreateAccount{Account: account}, nil)
				}()
				decided = append(decided, done)
				c.more(10)
			}
			c.more(50)
			if leads && full != noRoomForNewFiles && c.leader() == s { // which may be other files than the history's
				t.Errorf("disk %d: it leads still", full)
			}
			if broken := s.node.broken.Load(); broken != nil {
				t.Fatalf("disk %d: %v", full, broken)
			}
			s.disk.full.Store(roomForAll)
			for _, done := range decided {
				if err := <-done; err != nil {
					t.Errorf("disk %d: %v", full, err)
				}
			}
		}
	}
	c.more(50)
	c.end()
	t.Logf("figure: %d messages; %d texts were missed", c.acks.Load(), c.gaps())
	if n := c.gaps(); n > 0 {
		t.Errorf("%d texts were missed", n)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
