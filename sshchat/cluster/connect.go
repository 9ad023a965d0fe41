package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// connect connects to one of the servers, and to another whenever that one does not answer for 4 s: nats.go's own times
// are minutes.
func connect(c *Config) (*nats.Conn, error) {
	o := []nats.Option{
		nats.Name("sshchat " + c.Node), nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(20*time.Millisecond, 20*time.Millisecond),
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
		return nil, fmt.Errorf("no NATS server answers at %s", strings.Join(c.Servers, ", "))
	case errors.Is(err, nats.ErrAuthorization):
		return nil, fmt.Errorf("the NATS servers refuse this node's nkey: %w; see deploy/nats/README.md", err)
	case err != nil:
		return nil, fmt.Errorf("connect to NATS at %s: %w", strings.Join(c.Servers, ", "), err)
	}
	return nc, nil
}

// natsErrors logs what happens on a connection by itself.
func natsErrors(log *slog.Logger) nats.ErrHandler {
	return func(_ *nats.Conn, s *nats.Subscription, err error) {
		subject := ""
		if s != nil {
			subject = s.Subject
		}
		log.Warn("cluster: NATS", "subject", subject, "err", err)
	}
}
