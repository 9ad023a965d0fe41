package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience is how long anything may take that should take no time.
const patience = 60 * time.Second

// process is a server in a process of its own.
type process struct {
	cmd   *exec.Cmd
	addr  string
	stats chan runtimeStats // filled by watch, which closes it at the end of the server's log
	last  *lastLines
}

// runtimeStats is what a server reports about itself on SIGUSR1. Sizes are in bytes.
type runtimeStats struct {
	Heap, Stacks, Goroutines float64
}

// startProcess starts a server and waits until it listens.
func startProcess(program string, args, env []string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), stats: make(chan runtimeStats, 1), last: &lastLines{}}
	p.cmd.Env = append(os.Environ(), env...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	listening := make(chan string, 1)
	go p.watch(stderr, listening)
	select {
	case p.addr = <-listening:
		if p.addr != "" {
			return p, nil
		}
	case <-time.After(patience):
	}
	p.stop()
	return nil, fmt.Errorf("%s does not listen; it says:\n%s", program, p.last)
}

// watch reads the server's log to its end.
func (p *process) watch(log io.Reader, listening chan<- string) {
	defer close(p.stats)
	defer close(listening)
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		line := lines.Text()
		if addr, ok := strings.CutPrefix(line, "listening on "); ok {
			listening <- addr
		} else if told, ok := strings.CutPrefix(line, "bench "); ok {
			var s runtimeStats
			if json.Unmarshal([]byte(told), &s) == nil {
				p.stats <- s
			}
		} else {
			p.last.add(line)
		}
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// look asks the server for its runtime's figures, after a garbage collection.
func (p *process) look() (runtimeStats, error) {
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return runtimeStats{}, err
	}
	select {
	case s, ok := <-p.stats:
		if ok {
			return s, nil
		}
	case <-time.After(patience):
	}
	return runtimeStats{}, fmt.Errorf("the server tells nothing of itself; it says:\n%s", p.last)
}

// profile begins a profile of a server that can make one, or ends it.
func (p *process) profile() error { return p.cmd.Process.Signal(syscall.SIGUSR2) }

func (p *process) port() (int, error) {
	a, err := net.ResolveTCPAddr("tcp", p.addr)
	if err != nil {
		return 0, err
	}
	return a.Port, nil
}

// stop ends the server: in order if it can, at once if it takes long.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	kill := time.AfterFunc(15*time.Second, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	for range p.stats { // until its log ends
	}
	err := p.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && !exit.Exited() {
		return nil // by our signal
	}
	return err
}
