package sshchat

import (
	"testing"

	"sshchat/sshchat/wake"

	gossh "golang.org/x/crypto/ssh"
)

// Whatever a client asks of its channel: nothing passes that the library could block on, sizes stay within bounds, a
// channel begins once, and what is kept of the environment is bounded.
func FuzzFilterJudge(f *testing.F) {
	pty := gossh.Marshal(struct {
		Term       string
		W, H, X, Y uint32
		Modes      string
	}{"xterm-256color", 1 << 31, 0, 1, 1, "\x01\x00\x00\x00\x00\x00"})
	size := gossh.Marshal(struct{ W, H, X, Y uint32 }{0, 65535, 0, 0})
	env := gossh.Marshal(struct{ Name, Value string }{"TZ", "Europe/Berlin"})
	f.Add("pty-req", pty, "window-change", size, "shell", []byte{})
	f.Add("env", env, "exec", gossh.Marshal(struct{ C string }{"whoami"}), "subsystem", gossh.Marshal(struct{ N string }{"sftp"}))
	f.Add("window-change", size, "signal", []byte("\x00\x00\x00\x03INT"), "break", []byte{0xff})
	f.Add("x11-req", pty[:7], "auth-agent-req@openssh.com", []byte{}, "exec", make([]byte, 2*maxExec))
	f.Fuzz(func(t *testing.T, t1 string, p1 []byte, t2 string, p2 []byte, t3 string, p3 []byte) {
		g := &channelFilter{
			conn: &conn{server: &Server{sourceCounts: newSourceCounts(DefaultLimits)}}, waker: wake.New(), env: make(map[string]string),
		}
		begun := 0
		for range 12 { // the same again must change nothing for the worse
			for _, req := range []*gossh.Request{{Type: t1, Payload: p1}, {Type: t2, Payload: p2}, {Type: t3, Payload: p3}} {
				req.Payload = append([]byte{}, req.Payload...)
				ok, pass := g.judge(req)
				switch req.Type {
				case "shell", "exec", "subsystem":
					if ok {
						begun++
					}
				case "pty-req":
				default:
					if pass {
						t.Fatalf("%q is passed on", req.Type)
					}
				}
				if pass && len(req.Payload) > maxExec+4 {
					t.Fatalf("%d bytes of %q are passed on", len(req.Payload), req.Type)
				}
			}
		}
		if begun > 1 {
			t.Fatalf("it begins %d times", begun)
		}
		if width, height, ok := g.size(); ok && (width < 1 || width > maxWidth || height < 1 || height > maxHeight) || len(g.terminal()) > maxTerm {
			t.Fatalf("%dx%d, TERM of %d bytes", width, height, len(g.terminal()))
		}
		total := 0
		for name, value := range g.env {
			total += len(name) + len(value)
		}
		if len(g.env) > DefaultLimits.Env || total > DefaultLimits.EnvBytes {
			t.Fatalf("%d variables of %d bytes are kept", len(g.env), total)
		}
	})
}
