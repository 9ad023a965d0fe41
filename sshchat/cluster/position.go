package cluster

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sshchat/store"
	"sshchat/store/durable"

	"golang.org/x/crypto/chacha20poly1305"
)

const positionFormat = "sshchat-cluster/1"

// Position is what cluster.json says: the folder holds all of the stream up to Seq, and perhaps more.
type Position struct {
	Format  string `json:"format"`
	Genesis string `json:"genesis"` // the chat's id
	Seq     uint64 `json:"seq"`     // of the last message of the stream
	Sum     string `json:"sum"`     // its SHA-256, in hexadecimal
	Batch   uint64 `json:"batch"`   // the last batch with it
	Epoch   uint64 `json:"epoch"`

	LogFormat int `json:"log_format,omitempty"` // in which the stream goes on; 0: 1

	Reach                   // of the folder, when this was written
	Former []string         `json:"former,omitempty"` // ids that the chat had before its log was made anew
	Nodes  map[string]Reach `json:"nodes,omitempty"`  // how far other nodes were when they were heard last
}

// Reach is how far a folder is, as its files tell: nothing that the stream loses changes it.
type Reach struct {
	Change uint64 `json:"change"` // the last of users.json and changes.jsonl
	Record uint64 `json:"record"` // the last of message_history.json
}

// beyond reports whether the folder has what another lacks.
func (r Reach) beyond(other Reach) bool { return r.Change > other.Change || r.Record > other.Record }

// reach is how far this node's folder is.
func reach(n *Node) (r Reach) {
	r.Change, r.Record = n.c.Journal.Reach()
	return r
}

// reaches is how far other nodes are, as they were heard last: by this process, or before it.
func (p *Position) reaches(n *Node) map[string]Reach {
	all := maps.Clone(p.Nodes)
	if all == nil {
		all = make(map[string]Reach)
	}
	maps.Copy(all, n.nodes.reaches())
	return all
}

// furthest returns ErrFurther if another node of the chat is known to have had something that this folder lacks.
func furthest(n *Node) error {
	all, here := n.at.reaches(n), reach(n)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, listed := n.c.Accounts.View().Node(name); listed && all[name].beyond(here) {
			return fmt.Errorf("%w: node %s had change %d and record %d, and this folder ends with change %d and record %d", ErrFurther, name, all[name].Change, all[name].Record, here.Change, here.Record)
		}
	}
	return nil
}

// savePosition writes cluster.json, with how far other nodes are.
func savePosition(n *Node, at Position) error {
	at.Nodes, at.Reach = at.reaches(n), reach(n)
	return n.c.save(at)
}

// ReadPosition reads cluster.json of a data folder. The error wraps fs.ErrNotExist if the folder is not a node's.
func ReadPosition(data string) (Position, error) {
	path := filepath.Join(data, store.PositionFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return Position{}, err
	}
	p, err := parsePosition(b)
	if err != nil {
		return Position{}, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func parsePosition(b []byte) (p Position, err error) {
	if err := json.Unmarshal(b, &p); err != nil {
		return Position{}, err
	}
	if p.Format != positionFormat || p.Genesis == "" || p.Seq == 0 {
		return Position{}, errors.New("it is not a " + positionFormat + " file")
	}
	return p, nil
}

func (p Position) write(data string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return replace(filepath.Join(data, store.PositionFile), append(b, '\n'))
}

// save writes the position once the folder has all that is before it. What a batch counts is the one thing that is not durable with it.
func (c *Config) save(p Position) error {
	if c.Flush != nil {
		if err := c.Flush(); err != nil {
			return err
		}
	}
	return p.write(c.Data)
}

// replace leaves no copy of what was there.
func replace(path string, b []byte) error {
	staged, err := durable.Stage(durable.OS{}, path, b, len(b))
	if err != nil {
		return err
	}
	return staged.Publish(false)
}

// readKey reads cluster.key.
func readKey(data string) ([]byte, error) {
	path := filepath.Join(data, store.ClusterKeyFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != chacha20poly1305.KeySize {
		return nil, fmt.Errorf("%s: it is not a key: %d bytes in base64 are expected", path, chacha20poly1305.KeySize)
	}
	return key, nil
}

// ClaimCode is the code to become the first admin that is made of the number n (State.Claims): the same on all nodes, and nobody's to know
// who has not cluster.key. It has 100 bits.
func ClaimCode(data string, n uint64) (string, error) {
	key, err := readKey(data)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "sshchat claim\n%d", n)
	return strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil))[:20]), nil
}

// makeKey makes cluster.key, if there is none.
func makeKey(data string) ([]byte, error) {
	key, err := readKey(data)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	return newKey(data)
}

// newKey makes cluster.key, in place of one that is there.
func newKey(data string) ([]byte, error) {
	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key) // never fails
	return key, replace(filepath.Join(data, store.ClusterKeyFile), []byte(base64.StdEncoding.EncodeToString(key)+"\n"))
}

// path is that of a file of the folder.
func (c *Config) path(name string) string { return filepath.Join(c.Data, name) }
