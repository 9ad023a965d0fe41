//go:build goexperiment.runtimesecret && linux && (amd64 || arm64)

package agesplit

import (
	"runtime"
	"runtime/secret"
	"sync"
	"time"
)

// Erases reports whether this build erases the keys and passwords it is done with from memory. That takes
// GOEXPERIMENT=runtimesecret, on Linux, on amd64 or arm64.
const Erases = true

// InSecret runs f. What f leaves on its stack and in registers is erased when it returns, also by a panic; what it
// allocates, once the garbage collector finds it unused, which is made to come soon. f must not start goroutines, and
// what it returns for keeping is better copied outside, or it too is tracked and erased.
func InSecret(f func()) {
	defer eraseSoon()
	secret.Do(f)
}

// The garbage collector is made to run at most once a second, and for at most a fiftieth of the time.
const (
	eraseEvery = time.Second
	eraseShare = 50
)

var erasing struct {
	sync.Mutex
	due  bool // it will run
	next time.Time
}

// eraseSoon has the garbage collector run once, some time after this call.
func eraseSoon() {
	erasing.Lock()
	defer erasing.Unlock()
	if erasing.due {
		return
	}
	erasing.due = true
	time.AfterFunc(time.Until(erasing.next), erase)
}

func erase() {
	erasing.Lock()
	erasing.due = false // later requests may be too late for this run
	erasing.next = time.Now().Add(eraseEvery)
	erasing.Unlock()
	begun := time.Now()
	runtime.GC()
	took := time.Since(begun)
	erasing.Lock()
	defer erasing.Unlock()
	if next := time.Now().Add(eraseShare * took); next.After(erasing.next) {
		erasing.next = next
	}
}
