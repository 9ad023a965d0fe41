package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sshchat/hostkeys"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/store/audit"

	"golang.org/x/crypto/ssh"
)

// auditKey is the host keys, as the audit log's tip is signed by them. It implements audit.Signer.
type auditKey struct{ *hostkeys.Ring }

// auditNamespace keeps such a signature from being one of anything else.
const auditNamespace = "sshchat-audit"

func (k auditKey) Sign(message []byte) ([]byte, error) { return k.Ring.Sign(auditNamespace, message) }

func (k auditKey) Signed(message, signature []byte) (fingerprint string, err error) {
	by, err := hostkeys.Verify(auditNamespace, message, signature)
	if err != nil {
		return "", err
	}
	keys, err := k.List()
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		if bytes.Equal(key.Public.Marshal(), by.Marshal()) {
			return ssh.FingerprintSHA256(by), nil
		}
	}
	return "", fmt.Errorf("it is signed by %s, which was never a host key of this server", ssh.FingerprintSHA256(by))
}

// signedLog is the audit log as the commands see it.
type signedLog struct {
	*audit.Log
	key audit.Signer
}

// Signed implements command.Audit.
func (l signedLog) Signed() (command.SignedTip, error) {
	tip, _, err := l.CheckTip(l.key)
	return command.SignedTip{Lines: tip.N, Hash: tip.Hash, By: tip.By, At: tip.At, When: tip.When}, err
}

// sharedLog is the audit log of a node of a cluster: each line goes through the cluster's log, so that all nodes have it in the
// same place.
type sharedLog struct {
	signedLog
	hub       *chat.Hub
	noted     chan chat.AuditEntry
	log       *slog.Logger
	appending *sync.Mutex // held while lines of noted are appended
}

const (
	mostNoted = 1024            // lines of strangers that wait
	noteEvery = time.Second     // so long they do
	appendIn  = 5 * time.Second // or a line counts as lost
)

// share has the lines of the audit log go through the hub, and those of strangers wait for each other, until ctx ends.
func (l signedLog) share(ctx context.Context, hub *chat.Hub, logger *slog.Logger) sharedLog {
	s := sharedLog{l, hub, make(chan chat.AuditEntry, mostNoted), logger, new(sync.Mutex)}
	go every(ctx, noteEvery, s.appendNoted)
	return s
}

// appendNoted appends the lines that wait.
func (l sharedLog) appendNoted() {
	l.appending.Lock()
	defer l.appending.Unlock()
	var lines sync.WaitGroup // together, so that they share a batch
	for range len(l.noted) {
		entry := <-l.noted
		lines.Go(func() {
			if err := l.Append(entry); err != nil {
				l.log.Error("the audit log cannot be written", "do", entry.Do, "err", err)
			}
		})
	}
	lines.Wait()
}

// Append implements command.Audit. The line is about something that changes no State: Expire, from the server, decides nothing but what
// is due anyway.
func (l sharedLog) Append(entry chat.AuditEntry) error {
	ctx, cancel := context.WithTimeout(context.Background(), appendIn)
	defer cancel()
	return l.hub.Decide(ctx, chat.TheServer, chat.Expire{}, &entry)
}

// Note implements command.Audit.
func (l sharedLog) Note(entry chat.AuditEntry) error {
	select {
	case l.noted <- entry:
		return nil
	default:
		return errors.New("too many lines wait for the cluster's log")
	}
}

// begin looks whether the log goes on from what was signed, and signs it as it is now. What does not fit is for the
// operator and for the log itself: it was changed while no server ran, or is that of another server.
func (l signedLog) begin(logger *slog.Logger, shared bool) error {
	if _, _, err := l.CheckTip(l.key); err != nil {
		logger.Warn("the audit log does not match its signature", "err", err)
		if shared { // other nodes would not have the line
			return l.sign(audit.Start, logger)
		}
		if err := l.Append(chat.AuditEntry{Do: "audit check", Text: err.Error(), Result: "failed"}); err != nil {
			return err
		}
	}
	return l.sign(audit.Start, logger)
}

// end signs the log as it is when the server stops. A tip signed before is as true, so a failure ends nothing.
func (l signedLog) end(logger *slog.Logger) {
	if err := l.sign(audit.Stop, logger); err != nil {
		logger.Error("the audit log's last line cannot be signed", "err", err)
	}
}

// sign tells the operator's log of the tip, too: kept elsewhere it shows that the audit log was taken back to an older one.
func (l signedLog) sign(when string, logger *slog.Logger) error {
	tip, err := l.SignTip(l.key, when)
	if err == nil {
		logger.Info("audit log signed", "when", when, "lines", tip.N, "hash", tip.Hash)
	}
	return err
}
