package history

import (
	"runtime"
	"sync"
)

// headsAtOnce is how many heads a goroutine makes for one window before it looks whether another room has its turn.
const headsAtOnce = 8

// headWorkers make heads ahead on all cores: as many goroutines as run at once, while there is something to do. Rooms take
// turns. After each head the others of the program are let run, so that nobody waits for the many.
type headWorkers struct {
	mu      sync.Mutex        // guards what follows
	next    []*preparedWindow // that come next in their rooms, the one whose turn it is first
	spares  []*preparedWindow // that come after them: their turn is when there are none of the others
	running int
	closed  bool

	all sync.WaitGroup // the goroutines
}

// order has what the window lacks made, a spare later than what comes next. It may be ordered more than once.
func (w *headWorkers) order(p *preparedWindow, spare bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if spare {
		w.spares = append(w.spares, p)
	} else {
		w.next = append(w.next, p)
	}
	for w.running < runtime.GOMAXPROCS(0) { // one that finds nothing to do ends
		w.running++
		w.all.Go(w.work)
	}
}

// work makes heads until there are none to be made.
func (w *headWorkers) work() {
	for {
		p, t := w.take()
		if p == nil {
			return
		}
		p.do(t)
	}
}

// take is the next task; without one the goroutine is to end.
func (w *headWorkers) take() (*preparedWindow, headTask) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, queue := range []*[]*preparedWindow{&w.next, &w.spares} {
		for len(*queue) > 0 && !w.closed {
			p := (*queue)[0]
			*queue = (*queue)[1:]
			if t, ok := p.take(); ok {
				*queue = append(*queue, p) // behind the other rooms
				return p, t
			}
		}
	}
	w.running--
	return nil, headTask{}
}

// stop has the goroutines end when they have made the heads at hand: of a window that is dropped, one each.
func (w *headWorkers) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// wait returns when the goroutines have ended.
func (w *headWorkers) wait() { w.all.Wait() }
