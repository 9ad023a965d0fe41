package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/handover"
	"sshchat/sshchat/listen"
	"sshchat/sshchat/systemd"
	"sshchat/sshchat/text"
)

// A planned restart keeps what rooms have in memory. Either systemd starts the program again, and keeps the files of the
// handover meanwhile; or an admin asks for it, and the program is executed in place of itself, in the same process, with those
// files and the listeners open: clients wait a moment instead of being refused.

// replaceProcess and environment are the system's. In tests the process is not to be replaced, or has to stay what it is.
var (
	replaceProcess = handover.Exec
	environment    = os.Environ
)

// heritage is what the previous process has handed over.
type heritage struct {
	rooms       *handover.Sealed // nil: nothing
	fromSystemd bool             // which has rooms open as well
	sockets     *listen.Before
}

// inherit takes what the process before this one has left, and what systemd passes, once. Names tell what is which: systemd
// passes the sockets of a socket unit and the files that it has kept together.
func inherit() *heritage {
	h := &heritage{}
	passed := handover.Passed()
	given, sockets := handover.Given(systemd.Files())
	if h.rooms = handover.SealedOf(passed); h.rooms == nil {
		h.rooms, h.fromSystemd = given, given != nil
	} else if given != nil {
		given.Close()
	}
	h.sockets = listen.Opened(passed, sockets)
	return h
}

// close closes the files that were not used.
func (h *heritage) close() {
	h.sockets.Close()
	if h.rooms != nil {
		h.rooms.Close()
	}
}

// restore gives rooms the messages they had in memory. If that fails they start empty, as after a crash.
func (h *heritage) restore(hub *chat.Hub, logger *slog.Logger) {
	if h.rooms == nil {
		return
	}
	rooms, err := handover.Take(h.rooms, handover.Clock())
	h.rooms = nil
	if h.fromSystemd {
		if err := handover.Forget(); err != nil {
			logger.Warn("could not tell systemd to discard the rooms' memory", "err", err)
		}
	}
	if err != nil {
		logger.Warn("could not restore the rooms' memory; no stored message is lost", "err", err)
		return
	}
	n, messages := 0, 0
	for i, m := range rooms {
		rooms[i] = chat.RoomMemory{} // it is in memory once
		restored, err := hub.RestoreMemory(m)
		switch {
		case err != nil:
			logger.Warn("could not restore the memory of a room", "err", err)
		case restored:
			n++
			messages += len(m.Entries)
		}
	}
	logger.Info("restored the rooms' messages in memory after a restart", "rooms", n, "of", len(rooms), "messages", messages)
}

// restart is a restart that the server performs itself. As an error it reports that one was requested.
type restart struct {
	program string        // its path, as it was started
	asked   chan struct{} // holds a token once an admin has asked for it
	files   map[string]*os.File
}

func newRestart() *restart {
	return &restart{program: programPath(), asked: make(chan struct{}, 1)}
}

// programPath is where the program was found when it was started: a newer version is put there, or a link to it.
func programPath() string {
	path, err := exec.LookPath(os.Args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		path, _ = os.Executable() // if this fails too, ask reports that the program cannot be run
	}
	return path
}

func (r *restart) Error() string { return "the server restarts" }

// trialTime is how long the program may take to read its settings.
const trialTime = 20 * time.Second

// ask has the program that is to be executed check its settings, and returns what begins the restart. So a program that
// is damaged, or that does not know a setting, ends nobody's session.
func (r *restart) ask(ctx context.Context) (begin func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	trial := exec.CommandContext(ctx, r.program, append([]string{"config", "check"}, os.Args[1:]...)...)
	trial.Env = environment()
	var said bytes.Buffer
	trial.Stderr = &said
	if err := trial.Run(); err != nil {
		return nil, fmt.Errorf("%s config check: %w: %s", r.program, err, text.Clean(strings.TrimSpace(said.String()), 400))
	}
	return func() {
		select {
		case r.asked <- struct{}{}:
		default: // it was asked for already
		}
	}, nil
}

// begin keeps the listeners open for the next process. Clients that connect meanwhile wait in the listeners' queues.
func (r *restart) begin(listeners []*listen.Listener) { r.files = listen.Keep(listeners) }

// exec executes the program in place of this one. It returns only if that fails.
func (r *restart) exec() error {
	err := replaceProcess(r.program, os.Args, environment(), r.files)
	return fmt.Errorf("execute %s: %w", r.program, err)
}

// handOver hands over what rooms have in memory, after the hub has ended: to the program that is executed next, or to systemd.
func (r *restart) handOver(hub *chat.Hub, how sshchat.Ending, logger *slog.Logger) {
	if how == sshchat.Stops {
		return
	}
	sealed, figures, err := handover.Seal(hub.TakeMemory(), handover.Clock())
	switch {
	case errors.Is(err, handover.ErrUnsupported):
		logger.Info("the rooms' memory cannot be kept across this restart", "err", err)
		return
	case err != nil:
		logger.Warn("could not keep the rooms' memory across this restart", "err", err)
		return
	}
	logger.Info("handed over the rooms' memory", "rooms", figures.Rooms, "messages", figures.Messages, "rooms left out", figures.Left)
	if how == sshchat.Restarts {
		r.files[handover.MemoryFile], r.files[handover.KeyFile] = sealed.Memory, sealed.Key
		return
	}
	defer sealed.Close() // systemd has it
	if err := handover.Give(sealed); err != nil {
		logger.Warn("could not pass the rooms' memory to systemd; rooms may start empty", "err", err)
	}
}
