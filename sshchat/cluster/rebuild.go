package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"sshchat/store/accounts"
	"sshchat/store/restore"
)

// Rebuilding is how a log is made anew.
type Rebuilding struct {
	Replicas int  // on how many servers the stream is: 3, or 1 to try it out
	NewKey   bool // cluster.key is made anew: other nodes need a copy of it, and who has the former one can neither read nor write the new log
	Force    bool // also if the log is in order, or another node was known to be further: what that one has more is lost

	// Copy writes the current files of the folder, as they are once it has all that the old log still gives.
	Copy func(context.Context, io.Writer) error
}

// What keeps Rebuild from making the log anew.
var (
	ErrInOrder = errors.New("the log is in order, as far as this folder shows")
	ErrFurther = errors.New("another node has more than this folder")
	ErrStream  = errors.New("the old stream is still there")
)

// anew is what the genesis of a log that was made anew says.
type anew struct {
	Former []string `json:"former"` // ids that the chat had before
	Parts  int      `json:"parts"`  // messages with its files, which follow
	Sum    string   `json:"sum"`    // SHA-256 of those, in hexadecimal
	Batch  uint64   `json:"batch"`
	Epoch  uint64   `json:"epoch"`
	Reach
}

// parseAnew reads it.
func parseAnew(b []byte) (says anew, err error) {
	if err := json.Unmarshal(b, &says); err != nil {
		return anew{}, err
	}
	if says.Parts < 1 || says.Parts > maxFileParts {
		return anew{}, fmt.Errorf("it begins with the files of a folder in %d messages; it may be 1 to %d", says.Parts, maxFileParts)
	}
	return says, nil
}

// maxFileParts is how many messages the files of a folder may take.
const maxFileParts = 4096

// Rebuild makes the log anew from the folder, of which the stores are open and have been checked. The folder first takes what the old
// log still gives, up to what cannot be taken: that is left behind. The new stream begins with a new id, and with the current files of
// the folder, so that other nodes can follow (Adopt). No node runs. Errors: ErrInOrder, ErrFurther, ErrStream, or what the servers say;
// but for the last, nothing has been made.
func Rebuild(ctx context.Context, c Config, o Rebuilding) error {
	n, err := connected(c)
	if err != nil {
		return err
	}
	defer n.nc.Close()
	there := true
	if _, err := n.stream.info(ctx); errors.Is(err, errNoStream) {
		there = false
	} else if err := salvage(ctx, n, o.Force); err != nil {
		return err
	}
	if err := onlyNode(n); err != nil {
		return err
	}
	if err := furthest(n); err != nil && !o.Force {
		return fmt.Errorf("%w. Rebuild from the folder of that node. If that is lost for good, use --force: what it has more is lost with it", err)
	}
	if there {
		return fmt.Errorf("%w. The folder has now what can be had of it. Delete the stream, as deploy/nats/README.md says (nats stream rm -f %s), and run this again", ErrStream, streamName)
	}
	return fill(ctx, n, o)
}

// salvage takes what the old log still gives. nil: there is no more, because of damage.
func salvage(ctx context.Context, n *Node, force bool) error {
	err := read(ctx, n)
	broken := (*BrokenError)(nil)
	switch {
	case errors.As(err, &broken):
		n.log.Warn("cluster: " + broken.Error() + "; the log is made anew without it")
	case err == nil && !force:
		return fmt.Errorf("%w: it goes up to message %d, and the folder has all of it. Start the server", ErrInOrder, n.at.Seq)
	case err != nil && !force:
		return err
	}
	if len(n.partial) > 0 { // of which the beginning is in memory alone
		return nil
	}
	return savePosition(n, n.at)
}

// fill makes the new stream. cluster.json is written last: until then the folder is one that can follow what was made, or begin again.
func fill(ctx context.Context, n *Node, o Rebuilding) error {
	var copied bytes.Buffer
	if err := o.Copy(ctx, &copied); err != nil {
		return err
	}
	parts := partsOf(copied.Bytes())
	if len(parts) > maxFileParts {
		return fmt.Errorf("the current files of the folder have %d bytes, which is too much", copied.Len())
	}
	sum := sha256.Sum256(copied.Bytes())
	says := anew{append(slices.Clone(n.at.Former), n.at.Genesis), len(parts), hex.EncodeToString(sum[:]), n.at.Batch, n.at.Epoch, reach(n)}
	body, err := json.Marshal(says)
	if err != nil {
		return err
	}
	p := newPosition()
	p.Seq, p.Batch, p.Epoch, p.Former, p.Reach = 0, says.Batch, says.Epoch, says.Former, says.Reach
	key, err := readKey(n.c.Data)
	if o.NewKey && err == nil {
		key, err = newKey(n.c.Data)
	}
	if err != nil {
		return err
	}
	seal, err := newSealer(key, p.Genesis)
	if err != nil {
		return err
	}
	if err := begin(ctx, n.stream, &n.c, p.Genesis, o.Replicas); err != nil {
		return err
	}
	n = &Node{c: n.c, nc: n.nc, stream: n.stream, log: n.log, instance: n.instance, sealer: seal, at: p} // the one of the old log still listens
	first := n.entry(genesis)
	first.Version, first.body = n.c.Version, body
	if err := keep(ctx, n, first); err != nil {
		return err
	}
	for i, part := range parts {
		e := n.entry(files)
		e.Part, e.Parts, e.body = i+1, len(parts), part
		if err := keep(ctx, n, e); err != nil {
			return err
		}
	}
	return n.at.write(n.c.Data)
}

// keep has a message stored, once, while the servers elect who leads the stream.
func keep(ctx context.Context, n *Node, e *entry) error {
	if err := storeEntry(ctx, n, e); err != nil {
		return fmt.Errorf("%w. The new stream is not complete: delete it (nats stream rm -f %s), and run this again", err, streamName)
	}
	return nil
}

// Adopt has a folder, whose stores are not open yet, follow a log that was made anew from another folder: if it has the same as that, or
// only a beginning, it gets the rest and a new cluster.json. It does nothing if the log is the one that the folder follows, or is not
// there. It may be called again if it was interrupted. Errors: BrokenError if the stream is another chat's, ErrUnfit, or what the
// servers say.
func Adopt(ctx context.Context, c Config) (adopted bool, err error) {
	at, err := ReadPosition(c.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // which Open reports
	}
	if err != nil {
		return false, err
	}
	key, err := readKey(c.Data)
	if err != nil {
		return false, err
	}
	nc, err := connect(&c)
	if err != nil {
		return false, err
	}
	defer nc.Close()
	log := &stream{nc: nc}
	i, err := askInfo(ctx, log, c.Log)
	if errors.Is(err, errNoStream) {
		return false, nil
	}
	if err != nil || !i.another(at.Genesis) {
		return false, err
	}
	p := Position{Format: positionFormat, Genesis: i.Config.Metadata[genesisKey]}
	if slices.Contains(at.Former, p.Genesis) { // an old copy of the servers' storage
		return false, &BrokenError{1, errors.New("it is the stream that the chat had before its log was made anew")}
	}
	seal, err := newSealer(key, p.Genesis)
	if err != nil {
		return false, err
	}
	var says anew
	var copied []byte
	err = askPatiently(ctx, c.Log, func() (err error) { says, copied, err = readAnew(ctx, log, seal, &p); return err })
	mine := append(slices.Clone(at.Former), at.Genesis) // it may have been made anew from two folders, one after the other
	if err == nil && !slices.ContainsFunc(says.Former, func(id string) bool { return slices.Contains(mine, id) }) {
		err = errors.New("it was made anew, but not for the chat in this folder")
	}
	if errors.Is(err, errTooOld) {
		return false, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if err != nil {
		return false, &BrokenError{1, err}
	}
	if err := extend(&c, &says, copied); err != nil {
		return false, err
	}
	p.Batch, p.Epoch, p.Former, p.Reach = says.Batch, says.Epoch, says.Former, says.Reach
	if err := p.write(c.Data); err != nil {
		return false, err
	}
	c.Log.Info("cluster: the log was made anew, and this node follows it from here on", "record", says.Record, "change", says.Change)
	return true, nil
}

// ErrUnfit is wrapped where a folder cannot follow a log that was made anew.
var ErrUnfit = errors.New("the log was made anew from another node's folder, and this folder does not fit it. Keep it, and make a new one from a backup of a node that runs: see docs/cluster.md")

var errTooOld = errors.New("the log does not have its beginning any more")

// readAnew reads what a log that was made anew begins with, and moves p behind it. Errors: errTooOld.
func readAnew(ctx context.Context, log *stream, seal *sealer, p *Position) (says anew, copied []byte, err error) {
	p.Seq, p.Sum = 0, ""
	for p.Seq == 0 || p.Seq <= uint64(says.Parts) {
		got, err := log.get(ctx, p.Seq+1, getAtOnce, func(s stored) error {
			if s.seq != p.Seq+1 {
				return errTooOld
			}
			e, err := seal.decode(s.payload, s.seq)
			switch {
			case err != nil:
				return err
			case e.Prev != p.Sum:
				return fmt.Errorf("message %d was published after another message than the stream holds", s.seq)
			case s.seq > 1 && s.seq > uint64(says.Parts)+1:
				return errEnough
			case s.seq == 1 && e.Kind == genesis && len(e.body) > 0:
				says, err = parseAnew(e.body)
			case s.seq > 1 && e.Kind == files:
				copied = append(copied, e.body...)
			default:
				err = fmt.Errorf("it does not begin with the files of a folder: message %d is %s", s.seq, e.Kind)
			}
			p.Seq, p.Sum = s.seq, sumOf(s.payload)
			return err
		})
		switch {
		case errors.Is(err, errEnough):
		case err != nil:
			return says, nil, err
		case got == 0:
			return says, nil, fmt.Errorf("%w: its messages from %d on are not there; perhaps it is being made just now", errDoubt, p.Seq+1)
		}
	}
	if sum := sha256.Sum256(copied); hex.EncodeToString(sum[:]) != says.Sum {
		return says, nil, errors.New("the files that it begins with are not whole")
	}
	return says, copied, nil
}

// extend gives a folder what it lacks of a copy.
func extend(c *Config, says *anew, copied []byte) error {
	change, err := accounts.Verify(c.Data)
	switch {
	case err != nil:
	case change > says.Change:
		err = fmt.Errorf("it has change %d, and the log was made anew from a folder that ends with change %d", change, says.Change)
	default:
		err = restore.Extend(c.Data, bytes.NewReader(copied))
		if err != nil && !errors.Is(err, restore.ErrNotBeginning) && !errors.Is(err, restore.ErrBackup) {
			return err // the disk's
		}
	}
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrUnfit, err)
	}
	return nil
}
