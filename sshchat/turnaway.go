package sshchat

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

const (
	// turnAwayTime is how long a connection that is turned away has to read why.
	turnAwayTime = 2 * time.Second
	// maxTurningAway is how many of them are kept for that at once; more are closed without a word.
	maxTurningAway = 64
)

// turnAway tells a connection that is not served why, in a way that every SSH client shows: a disconnect message, which may
// come before any keys are agreed on (RFC 4253, 11.1). It costs a write and no cryptography. The caller closes.
func (s *Server) turnAway(nc net.Conn, why string) {
	select {
	case s.turningAway <- struct{}{}:
	default:
		return
	}
	defer func() { <-s.turningAway }()
	nc.SetDeadline(time.Now().Add(turnAwayTime)) // where it fails, so does the write
	if _, err := nc.Write(disconnect(why)); err != nil {
		return
	}
	// Closed with unread bytes of the client, the connection would be reset, and the words lost with it.
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.Copy(io.Discard, io.LimitReader(nc, 64<<10))
	}
}

// disconnect is a version line and the message.
func disconnect(why string) []byte {
	const tooManyConnections = 12 // SSH_DISCONNECT_TOO_MANY_CONNECTIONS
	payload := gossh.Marshal(struct {
		Reason         uint32 `sshtype:"1"`
		Text, Language string
	}{tooManyConnections, why, ""})
	padding := 8 - (5+len(payload))%8
	if padding < 4 {
		padding += 8
	}
	packet := append([]byte("SSH-2.0-"+version+"\r\n"), binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))...)
	packet = append(packet, byte(padding))
	packet = append(packet, payload...)
	return append(packet, make([]byte, padding)...)
}

// approx is a time as people say it, rounded up.
func approx(d time.Duration) string {
	for _, unit := range []struct {
		is, until time.Duration
		name      string
	}{{time.Second, 100 * time.Second, "second"}, {time.Minute, 100 * time.Minute, "minute"}, {time.Hour, 1 << 62, "hour"}} {
		if d > unit.until {
			continue
		}
		n := max((d+unit.is-1)/unit.is, 1)
		if n == 1 {
			return "1 " + unit.name
		}
		return fmt.Sprintf("%d %ss", n, unit.name)
	}
	return "a long time"
}
