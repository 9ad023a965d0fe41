package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sshchat/sshchat/lists"
)

// Sight is what can be seen of a cluster from a data folder, also while nothing can be decided.
type Sight struct {
	Node     string       `json:"node"`
	Position Position     `json:"position"`        // of the folder
	First    uint64       `json:"first,omitempty"` // message of the stream; 0: the stream does not answer
	Last     uint64       `json:"last,omitempty"`
	Servers  []NATSServer `json:"servers"` // those that store the stream
	Nodes    []NodeStatus `json:"nodes"`   // those that are listed, and those that were heard, by name
}

// NATSServer is one that stores the stream.
type NATSServer struct {
	Name    string `json:"name"`
	Leads   bool   `json:"leads"`
	Current bool   `json:"current"` // it has what the leader has
	Offline bool   `json:"offline"`
}

// Look looks at a cluster for two seconds, and changes nothing. A server may run on the folder. With an error from the NATS servers it
// returns what is known without them.
func Look(ctx context.Context, c Config) (s Sight, err error) {
	s = Sight{Node: c.Node, Servers: []NATSServer{}, Nodes: []NodeStatus{}}
	if s.Position, err = ReadPosition(c.Data); err != nil {
		return s, err
	}
	heard := make(map[string]NodeStatus)
	for _, name := range listedIn(c.Data) {
		heard[name] = NodeStatus{Name: name}
	}
	defer func() {
		for _, n := range heard {
			s.Nodes = append(s.Nodes, n)
		}
		lists.Sort(s.Nodes, func(a, b NodeStatus) int { return strings.Compare(a.Name, b.Name) })
	}()
	key, err := readKey(c.Data)
	if err != nil {
		return s, err
	}
	seal, err := newSealer(key, s.Position.Genesis)
	if err != nil {
		return s, err
	}
	nc, err := connect(&c)
	if err != nil {
		return s, err
	}
	defer nc.Close()
	words, err := nc.SubscribeSync(aliveSubject)
	if err != nil {
		return s, err
	}
	i, failed := (&stream{nc: nc}).info(ctx)
	if failed == nil {
		s.First, s.Last, s.Servers = i.State.First, i.State.Last, i.servers()
	}
	ctx, cancel := context.WithTimeout(ctx, listenFor)
	defer cancel()
	for {
		m, err := words.NextMsgWithContext(ctx)
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				failed = errors.Join(failed, err)
			}
			return s, failed
		}
		var a alive
		if b, err := seal.open("alive", 0, m.Data); err == nil && json.Unmarshal(b, &a) == nil {
			heard[a.Node] = NodeStatus{a.Node, time.Now(), true, a.Leads, a.Seq, a.Version}
		}
	}
}

// listedIn reads the names of the nodes from users.json, which is a second old at most.
func listedIn(data string) (names []string) {
	var listed struct{ Nodes []struct{ Name string } }
	if b, err := os.ReadFile(filepath.Join(data, "users.json")); err != nil || json.Unmarshal(b, &listed) != nil {
		return nil
	}
	for _, n := range listed.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// servers are those that store the stream; none on a server without a cluster.
func (i *info) servers() (all []NATSServer) {
	if i.Cluster == nil {
		return []NATSServer{}
	}
	if i.Cluster.Leader != "" {
		all = append(all, NATSServer{Name: i.Cluster.Leader, Leads: true, Current: true})
	}
	for _, r := range i.Cluster.Replicas {
		all = append(all, NATSServer{Name: r.Name, Current: r.Current, Offline: r.Offline})
	}
	lists.Sort(all, func(a, b NATSServer) int { return strings.Compare(a.Name, b.Name) })
	return all
}
