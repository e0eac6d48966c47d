package main

import (
	"io"
	"sync"
	"time"
)

// maxPending bounds the lines that wait to be written, in bytes. Beyond it, who
// has another one waits too: a log that nobody takes must not fill the memory.
const maxPending = 1 << 20

// lastLines is how long the end of the program waits for a log that takes nothing.
const lastLines = time.Second

// within does what may never end, and reports whether it has ended in time.
func within(limit time.Duration, do func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}

// lines gathers lines of the log while one is being written. Every request has
// one, and would otherwise wait for those of all others before it is answered.
// Who finds nothing being written writes by itself, at once.
type lines struct {
	to io.Writer

	mu      sync.Mutex
	free    sync.Cond // a write has ended
	pending []byte
	spare   []byte
	writing bool
}

func newLines(to io.Writer) *lines {
	l := &lines{to: to}
	l.free.L = &l.mu
	return l
}

// Write takes whole lines. An error of the writer below it is nobody's: the log
// is the only place to say it.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.writing && len(l.pending) >= maxPending {
		l.free.Wait()
	}
	l.pending = append(l.pending, p...)
	if l.writing {
		return len(p), nil
	}
	l.writing = true
	l.writePending()
	if len(l.pending) > 0 {
		go l.drain() // others' lines, which this one must not wait for
		return len(p), nil
	}
	l.writing = false
	return len(p), nil
}

// writePending writes what is there, with the lock held before and after.
func (l *lines) writePending() {
	p := l.pending
	l.pending = l.spare[:0]
	l.mu.Unlock()
	_, _ = l.to.Write(p)
	l.mu.Lock()
	l.spare = p
	l.free.Broadcast()
}

func (l *lines) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.pending) > 0 {
		l.writePending()
	}
	l.writing = false
	l.free.Broadcast()
}

// flush returns when all lines that were given are written.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.writing {
		l.free.Wait()
	}
}
