// Package keyring has all nodes of a cluster serve the same host keys. Which these are is decided (chat.State.HostKeys), by fingerprint;
// the keys themselves go from node to node in sealed calls, to listed nodes that lack them. It knows nothing of the log, nor of SSH.
//
// A node replaces its key only by one that signatures lead to from its own, so that a key that was never the chat's is not lost by
// starting with the wrong folder. A node that cannot get the chat's current key serves none.
//
// A key that a node makes is on that node only until it is decided, and the answer to that may never come: the node may end first, or lose
// the log. But it is decided at all only instead of what was decided when it was made (SetHostKeys.From). So the node keeps it, beside its
// host keys, for as long as that stands, and removes it when it applies another decision.
package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/hostkeys"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/peer"

	"golang.org/x/crypto/ssh"
)

// Others are the other nodes (cluster.Others).
type Others interface {
	HandleSecret(kind string, f peer.Handler)
	Call(ctx context.Context, node, kind string, request []byte) ([]byte, error)
	Alive() []string
	Listed() []string
}

// Hub is where it is decided which keys the chat has (chat.Hub).
type Hub interface {
	View() chat.View
	Decide(ctx context.Context, who chat.Caller, in chat.Intent, entry *chat.AuditEntry) error
	Follow(f func(before, after chat.View))
}

const (
	kind    = "hostkeys"            // of calls: the keys of a choice, to a node that lacks them
	callFor = 5 * time.Second       // that a node may take to answer
	settled = 3 * time.Second       // that a change may take to be everywhere
	soon    = 20 * time.Millisecond // after which a node that lacks a key first asks the others again: they may have applied less
	again   = 10 * time.Second      // the longest pause before it asks again
)

// Ring is the host keys of a node. Its methods may be called from any goroutine.
type Ring struct {
	*hostkeys.Ring
	hub    Hub
	others Others
	log    *slog.Logger

	served atomic.Bool   // the current key is the chat's
	due    chan struct{} // holds one token while a key lacks
	taking sync.Mutex    // held while other nodes are asked for keys; before mu

	// mu is held from the look at what is decided until the keys are that, so that an earlier decision never undoes a later one. It is not
	// held while anything but the disk is waited for.
	mu          sync.Mutex
	proposedFor chat.HostKeys // guarded by mu; what the proposed key, if there is one, may be decided instead of
}

// New makes the keys those of the chat. It asks other nodes for what lacks, and returns an error that says what to do if none has it:
// then nothing may be served. The hub need not run yet. Keys are followed, and given to other nodes, until ctx ends.
func New(ctx context.Context, keys *hostkeys.Ring, hub Hub, others Others, log *slog.Logger) (*Ring, error) {
	r := &Ring{Ring: keys, hub: hub, others: others, log: log, due: make(chan struct{}, 1)}
	r.proposedFor = hub.View().HostKeys() // or for what was decided earlier, and then it is kept longer than needed
	others.HandleSecret(kind, r.give)
	hub.Follow(func(before, after chat.View) {
		if after.HostKeys() != before.HostKeys() {
			r.changed()
		}
	})
	r.changed()
	if err := r.take(ctx); err != nil {
		if !r.served.Load() {
			return nil, err
		}
		log.Warn("cluster: the next host key of the chat is not announced here yet", "err", err)
	}
	go r.run(ctx)
	return r, nil
}

// choice is which keys are decided, as package hostkeys has it.
func choice(k chat.HostKeys) hostkeys.Choice { return hostkeys.Choice(k) }

// follow has the ring be what is decided, as far as the keys are here, and returns that. The error wraps hostkeys.ErrLacks if they are not.
// Called with mu held.
func (r *Ring) follow() (k chat.HostKeys, err error) {
	k = r.hub.View().HostKeys()
	defer r.serve(k)
	if k.Current != "" { // else any key does
		err = r.Follow(choice(k))
	}
	if (err == nil || errors.Is(err, hostkeys.ErrLacks)) && r.proposedFor != k {
		if err := r.Withdraw(); err != nil {
			return k, err
		}
	}
	return k, err
}

// serve has the current key be served if it is the chat's. Called with mu held, after all that may change the key.
func (r *Ring) serve(k chat.HostKeys) {
	r.served.Store(k.Current == "" || r.Choice().Current == k.Current)
}

// changed follows what is decided; run gets the keys that lack. It is called as batches are applied.
func (r *Ring) changed() {
	r.mu.Lock()
	_, err := r.follow()
	r.mu.Unlock()
	if err == nil {
		return
	}
	if !errors.Is(err, hostkeys.ErrLacks) {
		r.log.Error("cluster: the host keys cannot be made those of the chat", "err", err)
	}
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// run gets keys that lack, and has it decided which keys the chat has if nothing is.
func (r *Ring) run(ctx context.Context) {
	for said, wait := "", again; ; {
		select {
		case <-ctx.Done():
			return
		case <-r.due:
			wait = soon
		case <-time.After(wait):
		}
		if r.hub.View().HostKeys().Current == "" {
			r.record(ctx)
			continue
		}
		err := r.take(ctx)
		if err == nil {
			said, wait = "", again
			continue
		}
		if wait = min(2*wait, again); wait > settled && err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			r.log.Error("cluster: "+said, "serves", r.served.Load())
		}
	}
}

// Begin has it decided that the chat's host keys are those of this node, unless something is decided. The hub runs.
func (r *Ring) Begin(ctx context.Context) {
	if r.hub.View().HostKeys().Current == "" {
		r.record(ctx)
	}
}

// record decides that the chat's host keys are those of this node, unless these are in a file that is not the server's to change: then it is
// the operator who has all nodes have the same.
func (r *Ring) record(ctx context.Context) {
	if r.Elsewhere() {
		return
	}
	if node := r.older(ctx); node != "" {
		r.log.Info("cluster: which host keys the chat has is noted once all nodes know of that", "node", node)
		return
	}
	is := r.Choice()
	err := r.hub.Decide(ctx, chat.TheServer, chat.SetHostKeys{To: chat.HostKeys{Current: is.Current, Next: is.Next}}, nil)
	if err != nil && !errors.Is(err, chat.ErrHostKeys) && ctx.Err() == nil {
		r.log.Warn("cluster: cannot note which host keys the chat has", "err", err)
	}
}

// older returns a node that runs and does not know such calls: it could not apply what is decided about host keys, either.
func (r *Ring) older(ctx context.Context) string {
	for _, node := range r.others.Alive() {
		if _, err := r.call(ctx, node, asked{Only: true}); errors.Is(err, peer.ErrUnknownKind) {
			return node
		}
	}
	return ""
}

// asked is what a node is asked for.
type asked struct {
	chat.HostKeys
	Only bool `json:"only,omitempty"` // whether it has the keys, without them; of none, whether it knows such calls
}

// call asks a node for keys.
func (r *Ring) call(ctx context.Context, node string, what asked) ([]byte, error) {
	request, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	return r.others.Call(ctx, node, kind, request)
}

// give answers another node. Nodes that are not listed cannot call.
func (r *Ring) give(_ context.Context, from string, request []byte) ([]byte, error) {
	var a asked
	err := json.Unmarshal(request, &a)
	switch {
	case err != nil:
		return nil, err
	case a.Current == "":
		return nil, nil
	case a.Only:
		if is := r.Choice(); !is.Is(choice(a.HostKeys)) {
			return nil, fmt.Errorf("it has %s", is)
		}
		return nil, nil
	}
	b, err := r.Copy(choice(a.HostKeys))
	if err == nil {
		r.log.Info("cluster: gave the host keys of the chat to another node", "node", from, "keys", choice(a.HostKeys))
	}
	return b, err
}

// take gets the chat's keys from another node, if any lacks here.
func (r *Ring) take(ctx context.Context) error {
	r.taking.Lock()
	defer r.taking.Unlock()
	r.mu.Lock()
	k, err := r.follow()
	r.mu.Unlock()
	if !errors.Is(err, hostkeys.ErrLacks) {
		return err
	}
	why := errors.New("no other node runs")
	for i, node := range r.others.Alive() {
		b, err := r.call(ctx, node, asked{HostKeys: k})
		if err == nil {
			err = r.keep(node, k, b)
		}
		clear(b)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, chat.ErrHostKeys):
			return nil // changed gets what lacks of those
		}
		if i == 0 {
			why = nil
		}
		why = errors.Join(why, fmt.Errorf("node %s: %w", node, err))
	}
	return r.lacks(k, why)
}

// keep makes the ring that of another node's copy, which may lack the next key. Errors: chat.ErrHostKeys if others are decided by now.
func (r *Ring) keep(node string, k chat.HostKeys, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hub.View().HostKeys() != k {
		return chat.ErrHostKeys
	}
	before := r.Choice()
	err := r.Take(choice(k), b)
	r.serve(k)
	if is := r.Choice(); is != before {
		r.log.Info("cluster: took host keys of the chat from another node", "node", node, "keys", is)
	}
	return err
}

// lacks is what an operator reads: what the node has, what the chat has, and what to do.
func (r *Ring) lacks(k chat.HostKeys, why error) error {
	is := r.Choice()
	if is.Current == k.Current {
		return fmt.Errorf("the next host key of the chat, %s, is on no node that could be asked (%w); hostkey rotate makes another", k.Next, why)
	}
	since := ""
	if !k.At.IsZero() {
		since = " since " + k.At.Format(time.RFC3339)
	}
	return fmt.Errorf("the host key here, %s, is not the chat's, which is %s%s, so this node serves nobody; and it could not get that key (%w). "+
		"Start it while another node runs that has the key; or copy the files ssh_host_ed25519_key* from that node's data folder; or make the data folder "+
		"anew from a backup of that node (backup --with-host-keys)", is.Current, k.Current, since, why)
}

// Signers are what the server proves itself with: nothing while the current key is not the chat's.
func (r *Ring) Signers() []ssh.Signer {
	if !r.served.Load() {
		return nil
	}
	return r.Ring.Signers()
}

// Ready returns why nobody can be served; nil: they can.
func (r *Ring) Ready() error {
	if r.served.Load() {
		return nil
	}
	return errors.New("the host key of this node is not the chat's, and no other node could pass that on; the log says what to do")
}

// Reload is that of hostkeys.Ring; other keys than the chat's are refused, and nothing changes.
func (r *Ring) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.hub.View().HostKeys()
	if k.Current == "" {
		return r.Ring.Reload()
	}
	defer r.serve(k)
	return r.ReloadAs(choice(k))
}

// Prepare makes the next key, unless there is one, and has all nodes announce it. lack is the nodes that do not have it yet.
func (r *Ring) Prepare(ctx context.Context) (made bool, lack []string, err error) {
	if err := r.take(ctx); err != nil && !r.served.Load() {
		return false, nil, err
	}
	if node := r.older(ctx); node != "" {
		return false, nil, &chat.Refusal{Code: chat.Failed, Text: fmt.Sprintf("node %s runs an older version, which has host keys of its own; update it first", node)}
	}
	in, made, err := r.propose()
	if err != nil {
		return false, nil, err
	}
	if in.To != in.From {
		if err := r.hub.Decide(ctx, chat.TheServer, in, nil); err != nil {
			return false, nil, err
		}
	}
	return made, r.lacking(ctx), nil
}

// propose is what has to be decided so that there is a next key. made reports that it is another than the one here: there is none, or one is
// decided that no node could pass on.
func (r *Ring) propose() (in chat.SetHostKeys, made bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, err := r.follow()
	if err != nil && !errors.Is(err, hostkeys.ErrLacks) {
		return in, false, err
	}
	is := r.Choice()
	in = chat.SetHostKeys{From: k, To: chat.HostKeys{Current: is.Current, Next: is.Next, At: k.At}}
	switch {
	case !r.served.Load(): // the current key was changed just now
		return in, false, chat.ErrHostKeys
	case err == nil && is.Next != "":
		return in, false, nil
	}
	in.To.Next, err = r.Propose()
	r.proposedFor = k
	return in, true, err
}

// Rotate makes the next key the current one on all nodes. It is refused while a node runs that does not have it. lack is the nodes that
// do not serve it yet: they do not run.
func (r *Ring) Rotate(ctx context.Context) (lack []string, err error) {
	before := r.hub.View().HostKeys()
	if before.Next == "" || !r.Choice().Is(choice(before)) {
		return nil, &chat.Refusal{Code: chat.Failed, Text: "the next host key of the chat is not on this node; run hostkey rotate without --now first"}
	}
	for _, node := range r.others.Alive() {
		if _, err := r.call(ctx, node, asked{before, true}); err != nil && !errors.Is(err, peer.ErrUnreachable) {
			return nil, &chat.Refusal{Code: chat.Failed, Text: fmt.Sprintf("node %s does not have the next host key (%v); try again, or stop that node", node, err)}
		}
	}
	if err := r.hub.Decide(ctx, chat.TheServer, chat.SetHostKeys{From: before, To: chat.HostKeys{Current: before.Next}}, nil); err != nil {
		return nil, err
	}
	return r.lacking(ctx), nil
}

// lacking waits until all other nodes that answer have the chat's keys, and returns those that have not.
func (r *Ring) lacking(ctx context.Context) (lack []string) {
	ctx, cancel := context.WithTimeout(ctx, settled)
	defer cancel()
	k, alive := r.hub.View().HostKeys(), r.others.Alive()
	for _, node := range r.others.Listed() {
		has := false
		for slices.Contains(alive, node) && !has && ctx.Err() == nil {
			_, err := r.call(ctx, node, asked{k, true})
			if has = err == nil; has || errors.Is(err, peer.ErrUnreachable) {
				break
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		if !has {
			lack = append(lack, node)
		}
	}
	return lack
}
