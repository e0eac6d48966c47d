// Package batch lets what many ask for at once be done together, as a database
// does with the commits of many clients: who comes while others are under way
// waits for them, and goes with all who came meanwhile. Who comes alone, or among
// very few, goes at once.
package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// ErrPanicked is what all of a batch get where its run panicked.
var ErrPanicked = errors.New("batch: the run panicked")

// Queue does things in batches. Its fields are set before its first use and not
// changed afterwards.
type Queue[T any] struct {
	Size int // how many things a batch has at most; at least 1
	// Alone is how many are under way at once, each by itself, before the next one waits; at least 1. Where so few ask, to wait
	// takes longer than a batch saves. Once one waits, all do, until a batch ends and nobody does.
	Alone int
	// One batch at a time is best, for then the next one is largest. But when those under way take longer than Patience,
	// they may hang, and who waits goes without them, in up to Runs at once, which is at least 1.
	Patience time.Duration
	Runs     int
	// Key names what no two things of a batch may share: the second one waits for the next batch.
	Key func(T) string
	// Run does a batch. What became of each thing it keeps there. Its context does not end.
	Run func(ctx context.Context, things []T)

	mu      sync.Mutex
	running int       // how many runs are under way
	loops   int       // how many of them are batches that go on with those who wait
	started time.Time // the last run
	waiting []*member[T]
}

// member is one who waits.
type member[T any] struct {
	thing T
	done  chan error // with room for one
}

// Do returns when a batch with the thing was run. The error is ErrPanicked, or that
// of the context, where it ended before: then the thing may have been done, or be
// done yet, and must not be touched any more.
func (q *Queue[T]) Do(ctx context.Context, thing T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	if len(q.waiting) == 0 && q.loops == 0 && q.running < q.Alone {
		q.running++
		q.started = time.Now()
		q.mu.Unlock()
		err := q.run([]T{thing})
		q.goOn()
		return err
	}
	m := &member[T]{thing: thing, done: make(chan error, 1)}
	if q.waiting = append(q.waiting, m); len(q.waiting) == 1 {
		time.AfterFunc(q.Patience, q.overdue)
	}
	q.mu.Unlock()
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		q.leave(m)
		return ctx.Err()
	}
}

func (q *Queue[T]) leave(m *member[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(w *member[T]) bool { return w == m })
}

// overdue lets those go who wait for a run that takes too long.
func (q *Queue[T]) overdue() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && q.running < q.Runs && time.Since(q.started) >= q.Patience {
		q.running++
		q.loops++
		go q.loop()
	}
}

// goOn lets those go who came while one was under way alone.
func (q *Queue[T]) goOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.loops > 0 {
		q.running--
		return
	}
	q.loops++
	go q.loop()
}

// loop runs batches until nobody waits. It is a goroutine of its own, so that one
// batch follows the other at once: who leads one has an answer to write.
func (q *Queue[T]) loop() {
	for {
		batch := q.next()
		if batch == nil {
			return
		}
		things := make([]T, len(batch))
		for i, m := range batch {
			things[i] = m.thing
		}
		err := q.run(things)
		for _, m := range batch {
			m.done <- err
		}
	}
}

// next returns those who can go together. Where nobody waits the loop ends.
func (q *Queue[T]) next() []*member[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running--
		q.loops--
		return nil
	}
	q.started = time.Now()
	var batch []*member[T]
	keys := make(map[string]bool, len(q.waiting))
	q.waiting = slices.DeleteFunc(q.waiting, func(m *member[T]) bool {
		key := q.Key(m.thing)
		if len(batch) == q.Size || keys[key] {
			return false
		}
		keys[key] = true
		batch = append(batch, m)
		return true
	})
	if len(q.waiting) > 0 {
		time.AfterFunc(q.Patience, q.overdue)
	}
	return batch
}

func (q *Queue[T]) run(things []T) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanicked, fault, debug.Stack())
		}
	}()
	q.Run(context.Background(), things)
	return nil
}
