package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// slowly writes when it is let.
type slowly struct {
	let     chan struct{}
	written [][]byte
}

func (s *slowly) Write(p []byte) (int, error) {
	<-s.let
	s.written = append(s.written, bytes.Clone(p))
	return 0, errors.New("nobody hears it")
}

func TestLinesGather(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &slowly{let: make(chan struct{})}
		l := newLines(to)
		write := func(text string) <-chan struct{} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				if n, err := l.Write([]byte(text)); n != len(text) || err != nil {
					t.Errorf("%d of %q: %v", n, text, err)
				}
			}()
			synctest.Wait()
			return done
		}
		first := write("first\n")
		<-write("second\n") // does not wait for the first
		<-write("third\n")
		large := write(strings.Repeat("x", maxPending))
		<-large
		beyond := write("beyond the bound\n")
		select {
		case <-beyond:
			t.Error("the bound did not hold")
		default:
		}
		close(to.let)
		<-first
		<-beyond
		l.flush()
		if got := string(bytes.Join(to.written, nil)); !strings.HasPrefix(got, "first\nsecond\nthird\nx") || !strings.HasSuffix(got, "beyond the bound\n") {
			t.Errorf("wrote %.40q", got)
		}
		if string(to.written[0]) != "first\n" {
			t.Errorf("the first write was %.20q", to.written[0])
		}
	})
}

// TestLinesAreWhole writes from many goroutines: every line comes out once, whole,
// and those of one goroutine in order.
func TestLinesAreWhole(t *testing.T) {
	t.Parallel()
	const writers, each = 20, 500
	var out bytes.Buffer
	l := newLines(&out)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				_, _ = fmt.Fprintf(l, "%d %d\n", w, i)
			}
		})
	}
	all.Wait()
	l.flush()
	next := make([]int, writers)
	for line := range strings.Lines(out.String()) {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d\n", &w, &i); err != nil || next[w] != i {
			t.Fatalf("%q: %v", line, err)
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("%d lines of %d", n, w)
		}
	}
}
