package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// connect connects to one of the servers, and to another whenever that one does not answer for 4 s: nats.go's own times
// are minutes.
func connect(c *Config) (*nats.Conn, error) {
	o := []nats.Option{
		nats.Name("sshchat " + c.Node), nats.MaxReconnects(-1), nats.CustomReconnectDelay(reconnectDelay),
		nats.IgnoreAuthErrorAbort(), // a node that was locked out by mistake comes back by itself
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(2 * time.Second), nats.ReconnectBufSize(-1),
		nats.SyncQueueLen(2 * getAtOnce), // nats.go makes room for 65 536 messages at each look at the stream
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.Log.Warn("cluster: the connection to the NATS server is lost; trying the others", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { c.Log.Info("cluster: connected", "server", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(natsErrors(c.Log)),
	}
	if c.NKey != "" {
		key, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, fmt.Errorf("cluster-nkey %s: %w", c.NKey, err)
		}
		o = append(o, key)
	}
	if c.CA != "" {
		o = append(o, nats.RootCAs(c.CA))
	}
	nc, err := nats.Connect(strings.Join(c.Servers, ","), o...)
	switch {
	case errors.Is(err, nats.ErrNoServers):
		return nil, fmt.Errorf("%w at %s", errNoServer, strings.Join(c.Servers, ", "))
	case errors.Is(err, nats.ErrAuthorization):
		return nil, fmt.Errorf("the NATS servers refuse this node's nkey: %w; see deploy/nats/README.md", err)
	case isUntrusted(err):
		return nil, fmt.Errorf("connect to NATS at %s: %w; check cluster-ca, and the names in the servers' certificates", strings.Join(c.Servers, ", "), err)
	case err != nil:
		return nil, fmt.Errorf("connect to NATS at %s: %w", strings.Join(c.Servers, ", "), err)
	}
	return nc, nil
}

// reconnectDelay is how long to wait after all servers were tried so many times. Later it is longer: servers that refuse a node note each try.
func reconnectDelay(tries int) time.Duration {
	if tries > 50 {
		return time.Second
	}
	return 50*time.Millisecond + rand.N(20*time.Millisecond)
}

// mover has a node leave a NATS server that is connected to it, and through which it does not follow the log: that server may be cut off
// from the others, which the node reaches.
type mover struct {
	fenced int // for so many ticks
	limit  int // after which the node moves; 0: not known yet. It doubles once all servers were tried: there may be no better one
	moves  int
}

const mostFenced = time.Minute // until the node moves again

// tick is called once in pace.alive.
func (m *mover) tick(n *Node) {
	if _, is := fenced(n); !is || Cause(n) != nil || n.figures.unstored.Load() { // for another reason than the server
		*m = mover{}
		return
	}
	if m.limit == 0 {
		m.limit = ticks(n.c.pace.fence, n)
	}
	servers := len(n.nc.Servers())
	if m.fenced++; m.fenced < m.limit || servers < 2 {
		return
	}
	m.fenced = 0
	if m.moves++; m.moves%servers == 0 {
		m.limit = min(2*m.limit, ticks(mostFenced, n))
	}
	n.log.Warn("cluster: nothing of the log comes through this NATS server; trying another", "server", n.nc.ConnectedUrlRedacted())
	if err := n.nc.ForceReconnect(); err != nil { // the connection was closed
		n.log.Debug("cluster: cannot leave the NATS server", "err", err)
	}
}

// ticks is how often a node says that it is there in that time.
func ticks(d time.Duration, n *Node) int { return int(d / n.c.pace.alive) }

var errNoServer = errors.New("no NATS server answers")

// isUntrusted reports whether it is an error of a certificate.
func isUntrusted(err error) bool {
	certificate := (*tls.CertificateVerificationError)(nil)
	return errors.As(err, &certificate)
}

const awaitAgain = 500 * time.Millisecond

// Await waits until the NATS servers can be asked about the log: when all machines start at once, they need longer than a node. It returns nil
// as well if there is another reason why they cannot, which no time would change and Open reports. Errors: why not, after most, or when ctx
// has ended.
func Await(ctx context.Context, c Config, most time.Duration) error {
	return patiently(ctx, c.Log, awaitAgain, most, func() (again bool, err error) {
		err = awaited(ctx, &c)
		return err != nil, err
	})
}

// patiently does something again, after a pause and until most has passed, while it asks for that: as it fails for want of something that
// comes with time.
func patiently(ctx context.Context, log *slog.Logger, pause, most time.Duration, do func() (again bool, err error)) error {
	for began, warned := time.Now(), false; ; {
		again, err := do()
		if !again || ctx.Err() != nil || time.Since(began) > most {
			return err
		}
		if !warned {
			log.Warn("cluster: waiting for the NATS servers", "for", most, "err", err)
			warned = true
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// awaited returns an error if servers are not there yet, or do not know yet which of them leads.
func awaited(ctx context.Context, c *Config) error {
	nc, err := connect(c)
	if err == nil {
		defer nc.Close()
		_, err = (&stream{nc: nc}).info(ctx)
	}
	network, name := (*net.OpError)(nil), (*net.DNSError)(nil)
	if errors.Is(err, errNoServer) || errors.As(err, &network) || errors.As(err, &name) || unplaced(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) {
		return err
	}
	return nil
}

// refusedAgain is the least time between two lines of the log that say that the node is refused.
const refusedAgain = time.Minute

// natsErrors logs what happens on a connection by itself.
func natsErrors(log *slog.Logger) nats.ErrHandler {
	var refused atomic.Int64 // when that was logged last, in Unix nanoseconds
	return func(_ *nats.Conn, s *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrAuthorization) {
			now, before := time.Now().UnixNano(), refused.Load()
			if now-before > int64(refusedAgain) && refused.CompareAndSwap(before, now) {
				log.Error("cluster: the NATS servers refuse this node's nkey; trying again. Its line in users.conf is gone: see deploy/nats/README.md", "err", err)
			}
			return
		}
		subject := ""
		if s != nil {
			subject = s.Subject
		}
		log.Warn("cluster: NATS", "subject", subject, "err", err)
	}
}
