package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/store"
	"sshchat/store/restore"
)

// brisk is for tests of what is lost: nothing cuts the servers off from each other there.
var brisk = pace{heartbeat: fast.heartbeat, look: fast.look, campaign: fast.campaign, spread: fast.spread, alive: fast.alive, fence: time.Second, greet: fast.greet, doubt: 2 * time.Second}

// deleteStream is what the administrator of the servers does.
func (r *rig) deleteStream(t testing.TB) {
	t.Helper()
	nc := r.servers.ConnectAdmin(t, 0)
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // the servers may be electing
		log := stream{nc: nc}
		var answer struct{ Success bool }
		err := log.ask(t.Context(), "STREAM.DELETE."+streamName, nil, &answer)
		if answer.Success || errors.Is(err, errNoStream) {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// rebuild makes the log anew from a site's folder.
func (s *site) rebuild(ctx context.Context, how Rebuilding) (err error) {
	if err := s.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	how.Replicas = s.servers.Len()
	how.Copy = func(ctx context.Context, w io.Writer) error {
		return store.Backup(ctx, w, restore.Current(s.history.Snapshots, s.accounts.Snapshots, s.audit.Snapshots)...)
	}
	return Rebuild(ctx, s.config(), how)
}

// A log that is lost is made anew from the folder of a node. Nodes that have less follow by themselves, also those that have missed some;
// one that has more does not, and is told so; and a folder that is known to have less than another is refused. Nothing that was
// acknowledged is missing. With a new key, those that do not have it take nothing of the new log.
func TestRebuild(t *testing.T) {
	t.Parallel()
	r := newRigAt(t, natstest.StartOne(t), 3, journaltest.Options{}, &brisk)
	c := r.talk(t, 6, 5*time.Millisecond)
	c.more(50)
	behind := r.sites[2]
	if err := behind.stop(); err != nil {
		t.Fatal(err)
	}
	c.more(50)
	c.pause()
	known := map[string]Reach{r.sites[0].name: reach(r.sites[0].node)} // what the one that was stopped may have heard last
	for _, s := range r.sites[:2] {
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
	first := r.sites[0]
	if err := first.rebuild(t.Context(), Rebuilding{}); !errors.Is(err, ErrInOrder) {
		t.Errorf("a log that is in order: %v", err)
	}
	lagging := copyOf(t, behind)
	r.deleteStream(t)
	lags, err := ReadPosition(lagging.dir)
	if err != nil || len(lags.Nodes) == 0 {
		t.Fatalf("it knows of no other node: %+v, %v", lags, err)
	}
	lags.Nodes = known
	if err := lags.write(lagging.dir); err != nil {
		t.Fatal(err)
	}
	if err := lagging.rebuild(t.Context(), Rebuilding{}); !errors.Is(err, ErrFurther) || !strings.Contains(err.Error(), "node "+first.name+" had") {
		t.Errorf("a folder that has less than another: %v", err)
	}
	if err := first.rebuild(t.Context(), Rebuilding{NewKey: true}); err != nil {
		t.Fatal(err)
	}
	for _, s := range append([]*site{lagging}, r.sites[1:]...) {
		if err := s.start(); !isBroken(err) || !errors.Is(err, errForeign) {
			t.Errorf("a node with the former key: %v", err)
		}
		b, err := os.ReadFile(filepath.Join(first.dir, store.ClusterKeyFile))
		if err == nil {
			err = os.WriteFile(filepath.Join(s.dir, store.ClusterKeyFile), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := r.startAll(r.sites); err != nil {
		t.Fatal(err)
	}
	c.goOn()
	c.more(50)
	c.end()
	if err := r.Close(); err != nil {
		t.Error(err)
	}

	r.deleteStream(t)
	if err := lagging.rebuild(t.Context(), Rebuilding{Force: true}); err != nil {
		t.Fatal(err)
	}
	at, err := ReadPosition(lagging.dir)
	if err != nil {
		t.Fatal(err)
	}
	later := at
	later.Former, later.Genesis = append(later.Former, at.Genesis), strings.Repeat("0", len(at.Genesis)) // it was made anew once more
	if err := later.write(lagging.dir); err != nil {
		t.Fatal(err)
	}
	if err := lagging.start(); !isBroken(err) || !strings.Contains(err.Error(), "before its log was made anew") {
		t.Errorf("a stream from before the log was made anew: %v", err)
	}
	before := filesOf(t, first.dir)
	if err := first.start(); !errors.Is(err, ErrUnfit) || !maps.Equal(before, filesOf(t, first.dir)) {
		t.Errorf("a folder that has more than the new log starts, or is changed: %v", err)
	}
}

// A stream that was cut off just where a node's folder ends looks whole to that. It does not go on there, for it has heard that another node
// had more: what it took from then on would be another log than that of the others. The control knows of no other.
func TestStreamThatEndsWithAFolder(t *testing.T) {
	t.Parallel()
	r := newRigAt(t, natstest.StartOne(t), 2, journaltest.Options{}, &brisk)
	c := r.talk(t, 2, 5*time.Millisecond)
	c.more(20)
	ahead, behind := r.sites[0], r.sites[1]
	if err := behind.stop(); err != nil {
		t.Fatal(err)
	}
	c.more(20)
	c.pause()
	has := reach(ahead.node)
	if err := ahead.stop(); err != nil {
		t.Fatal(err)
	}
	at, err := ReadPosition(behind.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.replaceStream(t, func(all [][]byte) [][]byte { return all[:at.Seq] })
	for _, heard := range []map[string]Reach{{ahead.name: has}, nil} {
		at.Nodes = heard
		if err := at.write(behind.dir); err != nil {
			t.Fatal(err)
		}
		err := behind.start()
		if said := fmt.Sprintf("node %s had change %d and record %d", ahead.name, has.Change, has.Record); heard != nil && (!isBroken(err) || !strings.Contains(err.Error(), said)) {
			t.Errorf("it is not said that %s: %v", said, err)
		}
		if heard == nil && err != nil {
			t.Fatalf("a node that has heard of no other: %v", err)
		}
	}
	if err := behind.stop(); err != nil {
		t.Error(err)
	}
}

// copyOf is a site with a copy of another's folder.
func copyOf(t *testing.T, of *site) *site {
	t.Helper()
	s := &site{name: of.name, dir: filepath.Join(t.TempDir(), "copy"), servers: of.servers, log: of.log, o: of.o, pace: of.pace}
	if err := os.CopyFS(s.dir, os.DirFS(of.dir)); err != nil {
		t.Fatal(err)
	}
	return s
}

// filesOf is what a folder holds, by name.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}
