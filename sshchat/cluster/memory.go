package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/handover"
)

// memory is what rooms have in memory on another node, at a batch or later.
type memory struct {
	batch uint64
	rooms []chat.RoomMemory
}

// errEnough ends the reading of the stream.
var errEnough = errors.New("enough")

// fetchMemory gets what rooms have in memory from a node that runs, and takes the log exactly as far as that is.
func fetchMemory(ctx context.Context, n *Node) error {
	if len(n.c.Accounts.View().Nodes()) == 1 {
		return nil // it is the only one
	}
	time.Sleep(n.c.pace.greet)
	for _, node := range n.nodes.alive("") {
		call, cancel := context.WithTimeout(ctx, 20*time.Second)
		b, err := n.peers.Call(call, node, callMemory, nil)
		cancel()
		if err == nil && len(b) >= 8 {
			var m memory
			m.batch = binary.BigEndian.Uint64(b)
			m.rooms, err = handover.Read(bytes.NewReader(b[8:]), 0)
			if err == nil && m.batch >= n.at.Batch {
				n.memory = &m
				break
			}
		}
		n.log.Info("cluster: a node has nothing in memory for this one", "node", node, "err", err)
	}
	if n.memory == nil {
		return nil
	}
	for n.at.Batch < n.memory.batch {
		got, err := n.stream.get(ctx, n.at.Seq+1, getAtOnce, func(s stored) error {
			if n.at.Batch >= n.memory.batch {
				return errEnough
			}
			return n.take(ctx, s)
		})
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return err
		case got == 0:
			time.Sleep(10 * time.Millisecond) // the server that was asked is behind
		}
	}
	return nil
}

// restoreMemory gives the rooms what they have in memory elsewhere.
func restoreMemory(n *Node, hub *chat.Hub) {
	if n.memory == nil {
		return
	}
	rooms, messages := 0, 0
	for _, m := range n.memory.rooms {
		restored, err := hub.RestoreMemory(m)
		if err != nil {
			n.log.Warn("cluster: what a room has in memory on another node cannot be used", "err", err)
		}
		if restored {
			rooms, messages = rooms+1, messages+len(m.Entries)
		}
	}
	n.memory = nil
	if messages > 0 {
		n.log.Info("cluster: rooms have the messages that they have in memory on other nodes", "rooms", rooms, "messages", messages)
	}
}

// giveMemory answers a node that starts.
func (n *Node) giveMemory(context.Context, string, []byte) ([]byte, error) {
	hub := n.hub.Load()
	if hub == nil {
		return nil, errors.New("this node is starting, too")
	}
	at := hub.Applied()
	var b bytes.Buffer
	b.Write(binary.BigEndian.AppendUint64(nil, at))
	if _, err := handover.Write(&b, hub.Memory(), 0, handover.MaxBytes/2); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
