// Package batch lets what many ask for at once be done together, as a database
// does with the commits of many clients: who comes while a batch is under way
// waits for it, and goes with all who came meanwhile. Who comes alone goes at
// once.
package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrPanicked is what the others of a batch get where its run panicked.
var ErrPanicked = errors.New("batch: the run panicked")

// Queue does things in batches. Its fields are set before its first use and not
// changed afterwards.
type Queue[T any] struct {
	Size int // how many things a batch has at most; at least 1
	// One batch at a time is best, for then the next one is largest. But when those under way take longer than Patience,
	// they may hang, and who comes then starts another one, up to Runs, which is at least 1.
	Patience time.Duration
	Runs     int
	// Key names what no two things of a batch may share: the second one waits for the next batch.
	Key func(T) string
	// Run does a batch, in the goroutine and with the context of one of those who asked, whose end it does not see. What
	// became of each thing it keeps there.
	Run func(ctx context.Context, things []T)

	mu      sync.Mutex
	running int
	started time.Time // the last run
	waiting []*member[T]
}

// member is one who waits.
type member[T any] struct {
	thing T
	leads bool         // it is to run its batch; under the queue's lock
	turn  chan turn[T] // with room for one
}

// turn tells a member that its batch is done, or that it leads one.
type turn[T any] struct {
	batch []*member[T]
	err   error
}

// Do returns when a batch with the thing was run. The error is that of the
// context, where it ended before: then the thing may have been done, or be done
// yet, and must not be touched any more.
func (q *Queue[T]) Do(ctx context.Context, thing T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &member[T]{thing: thing, turn: make(chan turn[T], 1)}
	q.mu.Lock()
	q.waiting = append(q.waiting, m)
	if q.running == 0 || q.running < q.Runs && time.Since(q.started) > q.Patience {
		q.running++
		q.start()
	}
	q.mu.Unlock()
	select {
	case t := <-m.turn:
		return q.take(ctx, t)
	case <-ctx.Done():
		if q.leave(m) {
			return ctx.Err()
		}
		return q.take(ctx, <-m.turn) // others wait for this one
	}
}

func (q *Queue[T]) take(ctx context.Context, t turn[T]) error {
	if t.batch != nil {
		q.run(ctx, t.batch)
	}
	return t.err
}

// leave reports whether nobody depends on the member, which is gone then.
func (q *Queue[T]) leave(m *member[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(w *member[T]) bool { return w == m })
	return !m.leads
}

// run does the batch of its first member.
func (q *Queue[T]) run(ctx context.Context, batch []*member[T]) {
	err := ErrPanicked
	defer func() {
		q.next()
		for _, m := range batch[1:] {
			m.turn <- turn[T]{err: err}
		}
	}()
	things := make([]T, len(batch))
	for i, m := range batch {
		things[i] = m.thing
	}
	q.Run(context.WithoutCancel(ctx), things)
	err = nil
}

// next lets those who wait go.
func (q *Queue[T]) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running--
		return
	}
	q.start()
}

// start lets the first who waits lead those who can go along. The lock is held.
func (q *Queue[T]) start() {
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
	batch[0].leads = true
	batch[0].turn <- turn[T]{batch: batch}
}
