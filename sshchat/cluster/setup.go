package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"sshchat/sshchat/cluster/peer"
	"sshchat/store"
)

// DefaultKeep is how long the stream keeps messages that all nodes have in their folders.
const DefaultKeep = 24 * time.Hour

// NodeKey is the public key of the folder's node. It makes node.key if there is none.
func NodeKey(data string) (public string, err error) {
	c := Config{Data: data}
	key, err := peer.LoadOrCreate(c.path(store.NodeKeyFile))
	if err != nil {
		return "", err
	}
	return key.Public(), nil
}

// Init makes the stream of a new cluster, whose chat is what the folder holds. replicas is on how many servers the stream is: 3, or
// 1 to try it out. The folder's State lists the node already. If it was interrupted it can be called again.
func Init(ctx context.Context, c Config, replicas int) error {
	if store.InCluster(c.Data) {
		return errors.New("this folder is part of a cluster already")
	}
	nc, err := connect(&c)
	if err != nil {
		return err
	}
	defer nc.Close()
	return initialize(ctx, &stream{nc: nc}, c, replicas)
}

func initialize(ctx context.Context, log *stream, c Config, replicas int) error {
	key, err := makeKey(c.Data)
	if err != nil {
		return err
	}
	p := newPosition()
	i, err := askInfo(ctx, log, c.Log)
	switch {
	case errors.Is(err, errNoStream):
		err = begin(ctx, log, &c, p.Genesis, replicas)
	case err == nil && i.State.Last > 0:
		err = fmt.Errorf("these servers have a cluster already: their stream %s holds %d messages. A new node joins it with a backup of another; "+
			"to give it up, delete the stream first (nats stream rm %s)", streamName, i.State.Last, streamName)
	case err == nil && i.Config.Metadata[genesisKey] != "": // of an Init that was interrupted
		p.Genesis = i.Config.Metadata[genesisKey]
	}
	if err != nil {
		return err
	}
	seal, err := newSealer(key, p.Genesis)
	if err != nil {
		return err
	}
	payload, err := seal.encode(&entry{Kind: genesis, By: c.Node, At: time.Now().UTC(), Version: c.Version}, 1)
	if err != nil {
		return err
	}
	p.Sum = sumOf(payload)
	if err := p.write(c.Data); err != nil { // first: what is in the stream can be opened by this folder alone
		return err
	}
	if err := storeOnce(ctx, &Node{c: c, nc: log.nc, stream: log, log: c.Log}, payload); err != nil {
		return errors.Join(err, os.Remove(c.path(store.PositionFile)))
	}
	return nil
}

// storeEntry is storeOnce for an entry. Called with writing held, or while nothing else runs.
func storeEntry(ctx context.Context, n *Node, e *entry) error {
	payload, err := n.sealer.encode(e, n.at.Seq+1)
	if err != nil {
		return err
	}
	return storeOnce(ctx, n, payload)
}

// storeOnce has a message stored in the next place of the stream, once, while the servers elect who leads that.
func storeOnce(ctx context.Context, n *Node, payload []byte) error {
	return askPatiently(ctx, n.log, func() error { return n.place(ctx, payload) })
}

// newPosition is behind the first message of a stream that is to be made.
func newPosition() Position {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	return Position{Format: positionFormat, Genesis: hex.EncodeToString(id), Seq: 1}
}

// placeTime is longer than servers that were started just now take to know each other.
const placeTime = 10 * time.Second

// begin makes the stream of the chat with that id, as soon as enough servers are there for it. Servers with slow disks may take longer than
// for an answer: then it is there when it is made again.
func begin(ctx context.Context, log *stream, c *Config, genesis string, replicas int) error {
	began := time.Now()
	err := patiently(ctx, c.Log, 200*time.Millisecond, electionTime, func() (again bool, err error) {
		err = log.create(ctx, genesis, replicas, cmp.Or(c.Keep, DefaultKeep))
		return isLate(err) || unplaced(err) && time.Since(began) <= placeTime, err
	})
	if unplaced(err) {
		return fmt.Errorf("the stream needs %d NATS servers with JetStream that answer: %w", replicas, err)
	}
	return err
}

// unplaced reports whether it is an error of servers of which too few are there.
func unplaced(err error) bool {
	api := (*apiError)(nil)
	return errors.As(err, &api) && (api.ErrCode == insufficientResources || api.ErrCode == noPeers || api.ErrCode == unavailable)
}

// Leave ends the cluster: its chat goes on in this folder, as that of one server. No node runs any more. The folder has to have all of
// the stream, which then says that it is over. If it was interrupted it can be called again.
func Leave(ctx context.Context, c Config) error {
	n, err := open(ctx, c)
	if errors.Is(err, errLeftHere) {
		return Forget(c.Data)
	}
	if err != nil {
		return err
	}
	defer n.nc.Close()
	if err := onlyNode(n); err != nil {
		return err
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	if err := storeEntry(ctx, n, n.entry(left)); err != nil {
		return err
	}
	return Forget(c.Data)
}

// onlyNode listens for other nodes, and returns an error if any runs.
func onlyNode(n *Node) error {
	if err := n.nodes.begin(n); err != nil {
		return err
	}
	time.Sleep(listenFor)
	if err := n.nodes.twin(n); err != nil {
		return err
	}
	if names := n.nodes.alive(""); len(names) > 0 {
		return fmt.Errorf("stop all nodes first; still running: %s", strings.Join(names, ", "))
	}
	return nil
}

// Forget removes what makes a folder a node's. A folder of which this is done while its cluster goes on has a history of its own from
// then on.
func Forget(data string) error {
	c := Config{Data: data}
	for _, name := range []string{store.PositionFile, store.ClusterKeyFile, store.NodeKeyFile} {
		if err := os.Remove(c.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
