package sshchat

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// pattern is data that shows where it was cut or changed.
func pattern(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(p) // never fails
	return p
}

// A large write is a packet for each chunk, but a system call for eight of them.
func TestLargeWritesAreFewSystemCalls(t *testing.T) {
	t.Parallel()
	for _, cipher := range []string{gossh.CipherChaCha20Poly1305, gossh.CipherAES128GCM, gossh.CipherAES256CTR} {
		w := newWire(t, cipher, 0)
		g, ch := w.open()
		go io.Copy(io.Discard, ch)
		for size, most := range map[int]int64{200: 1, 1 << 10: 1, writeChunk: 1, 3 << 10: 1, 8 << 10: 1, 40 << 10: 4} {
			fewest := int64(1 << 60)
			for range 20 { // a busy machine may take longer than outboxTime
				before := w.server.writes.Load()
				if _, err := g.Write(make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				fewest = min(fewest, w.server.writes.Load()-before)
			}
			if fewest > most {
				t.Errorf("%s: %d bytes are written in %d system calls", cipher, size, fewest)
			}
		}
	}
}

// What several channels, the error stream, and requests send at once arrives whole and in order, while keys are changed.
func TestOutboxKeepsOrder(t *testing.T) {
	t.Parallel()
	w := newWire(t, gossh.CipherAES128GCM, 200<<10)
	data := pattern(1 << 20)
	var all, requests sync.WaitGroup
	stop := make(chan struct{})
	requests.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, _, err := w.out.SendRequest("keepalive@openssh.com", true, nil); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range 3 {
		g, ch := w.open()
		sizes := rand.New(rand.NewPCG(3, uint64(i)))
		write := func(to io.Writer) {
			for left := data; len(left) > 0; {
				n, err := to.Write(left[:min(len(left), 1+sizes.IntN(30_000))])
				if err != nil {
					t.Error(err)
					return
				}
				left = left[n:]
			}
		}
		all.Go(func() {
			write(g)
			write(g.Stderr())
		})
		for _, from := range []io.Reader{ch, ch.Stderr()} {
			all.Go(func() {
				got := make([]byte, len(data))
				if _, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, data) {
					t.Errorf("what arrives is not what was sent: %v", err)
				}
			})
		}
	}
	all.Wait()
	close(stop)
	requests.Wait()
	if w.conn.out.held != nil {
		t.Error("something is still held back")
	}
}

// Who makes room in the window only when all of it was used gets all of it, though more would be gathered.
func TestFullWindowGetsWhatIsHeldBack(t *testing.T) {
	t.Parallel()
	const window = 24 << 10 // dropbear's
	for _, begun := range []int{0, 1, window % writeChunk, writeChunk, window%writeChunk + 2*writeChunk} {
		t.Run(fmt.Sprint(begun), func(t *testing.T) {
			t.Parallel()
			s, _ := bareServer()
			sock := newSocket(1 << 30)
			conn := &conn{Conn: sock, server: s}
			ch := newChannel(conn, window)
			data, ended := pattern(10*window), make(chan error, 1)
			go func() {
				g := newFilter(conn, ch)
				_, err := g.Write(data[:begun]) // so that full packets fill the window, or do not
				if err == nil {
					_, err = g.Write(data[begun:])
				}
				ended <- err
			}()
			var got []byte
			for used := window; used <= len(data); used += window {
				until(t, "the window to be used up", sock.is(func() bool {
					got = slices.Concat(sock.writes...)
					return len(got) == used
				}))
				ch.adjust(window)
			}
			if err := <-ended; err != nil || !bytes.Equal(got, data) {
				t.Errorf("what arrives is not what was sent: %v", err)
			}
		})
	}
}

// The same with x/crypto's window, of which the client reads nothing before it has all.
func TestWindowOfXCrypto(t *testing.T) {
	t.Parallel()
	const window = 2 << 20
	w := newWire(t, gossh.CipherAES128GCM, 0)
	g, ch := w.open()
	data, ended := pattern(window+window/2), make(chan error, 1)
	go func() {
		_, err := g.Write(data[:window%writeChunk]) // the rest of the window is full packets
		if err == nil {
			_, err = g.Write(data[window%writeChunk:])
		}
		ended <- err
	}()
	until(t, "the window to be used up", func() bool { return w.client.read.Load() >= window })
	got := make([]byte, len(data))
	if _, err := io.ReadFull(ch, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("what arrives is not what was sent: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A key exchange, a keepalive, a reply, and data of less than a chunk are not held back while a large write waits.
func TestShortPacketsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	s, _ := bareServer()
	sock := newSocket(1 << 30)
	conn := &conn{Conn: sock, server: s}
	full := make([]byte, writeChunk+40)
	conn.cork()
	conn.out.timer.Stop()
	for range 3 {
		conn.Write(full)
	}
	conn.Write([]byte("keepalive"))
	conn.Write(full)
	if err := conn.uncork(); err != nil {
		t.Fatal(err)
	}
	if want := []int{3*len(full) + len("keepalive"), len(full)}; !slices.Equal(sock.sizes(), want) {
		t.Errorf("written: %v, want %v", sock.sizes(), want)
	}
}

// A write that fails after a part of what was gathered has left fails for whoever writes next, too.
func TestOutboxFails(t *testing.T) {
	t.Parallel()
	s, _ := bareServer()
	sock := newSocket(5000)
	conn := &conn{Conn: sock, server: s}
	g := newFilter(conn, newChannel(conn, 1<<20))
	ended := make(chan error, 1)
	go func() {
		_, err := g.Write(make([]byte, 8000))
		ended <- err
	}()
	until(t, "the socket to be full", sock.is(func() bool { return sock.waiting > 0 }))
	conn.Close()
	if err := <-ended; err == nil {
		t.Error("nobody hears that the write has failed")
	}
	if _, err := g.Write([]byte("more")); err == nil {
		t.Error("more is written after a part is lost")
	}
	if conn.out.held != nil {
		t.Error("the buffer is kept")
	}
}

// Writing allocates nothing of ours.
func TestWriteAllocatesNothing(t *testing.T) {
	s, _ := bareServer()
	conn := &conn{Conn: discard{}, server: s}
	g := newFilter(conn, newChannel(conn, 1<<30))
	for _, size := range []int{100, 3000, 40_000} {
		p := make([]byte, size)
		write := func() {
			for _, w := range []io.Writer{g, g.Stderr()} {
				if _, err := w.Write(p); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := testing.AllocsPerRun(100, write); n != 0 && !underRace {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
	}
}

// discard is a connection that takes everything.
type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkFilterWrite shows how many system calls a write takes. What the client takes to read it counts as well.
func BenchmarkFilterWrite(b *testing.B) {
	for _, size := range []int{200, 1 << 10, 3 << 10, 8 << 10, 40 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := newWire(b, gossh.CipherChaCha20Poly1305, 0)
			g, ch := w.open()
			go io.Copy(io.Discard, ch)
			p := make([]byte, size)
			before := w.server.writes.Load()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Write(p); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(w.server.writes.Load()-before)/float64(b.N), "writes/op")
		})
	}
}
