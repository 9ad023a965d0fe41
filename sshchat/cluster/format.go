package cluster

import (
	"errors"
	"fmt"
	"time"
)

// logFormat is the newest format of the log that this version knows, and it knows those before it. What an older version would refuse or
// misread needs a new one: kinds of messages, and of what is in batches. The leader writes it once all nodes that run know it, and names
// it where an epoch begins. Versions before 2 do not name any.
const logFormat = 1

// ErrNewer is wrapped where the log is in a format that this version does not know.
var ErrNewer = errors.New("upgrade this node: the log is in a newer format than its version knows")

// knows is the newest format that a node knows.
func (c *Config) knows() int { return max(c.newest, logFormat) }

// refuses returns an ErrNewer if the log is in a format that is not known here. by is the version that wrote it; empty: not known.
func (c *Config) refuses(format int, by string) error {
	if format <= c.knows() {
		return nil
	}
	if by != "" {
		by = " by version " + by
	}
	return fmt.Errorf("%w: it is in format %d%s, and this version knows none above %d", ErrNewer, format, by, c.knows())
}

// writes is the format in which this node would write the log: the newest that all nodes know that run, and never an older one than before.
func writes(n *Node, before int) int {
	return max(before, n.nodes.know(&n.c))
}

// know is the newest format that all nodes know that run, with this one; 1 until this node has listened for so long that it knows who runs.
func (l *nodes) know(c *Config) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.began) < aliveFor {
		return 1
	}
	format := c.knows()
	for name, h := range l.heard {
		if _, is := c.Accounts.View().Node(name); is && h.lately() {
			format = min(format, max(h.Format, 1))
		}
	}
	return format
}
