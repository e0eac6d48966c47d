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
	// Gather is how long a batch waits, when a run has ended, for those who were answered lately to come again; less than
	// Patience. 0: it does not wait. Where few ask at once none waits. Who comes while it waits, waits with it, be it one alone.
	Gather time.Duration
	// Key names what no two things of a batch may share: the second one waits for the next batch.
	Key func(T) string
	// Run does a batch. What became of each thing it keeps there. Its context is that of who goes alone; a batch's does not end.
	Run func(ctx context.Context, things []T)

	mu      sync.Mutex
	running int       // how many runs are under way
	loops   int       // how many of them are batches that go on with those who wait
	started time.Time // the last run, or the last wait for company
	waiting []*member[T]
	inside  int           // how many things are under way
	crowd   int           // how many lately waited, or were under way, at once
	calm    int           // how many came since there was such a crowd
	enough  chan struct{} // closed when as many wait as a batch waits for; nil: none does
}

const (
	few    = 4  // fewer are not worth waiting for
	many   = 8  // to wait for more was measured to gain nothing
	memory = 64 // so many come before a crowd is thought to be smaller by one
)

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
		q.inside++
		q.started = time.Now()
		q.count()
		q.mu.Unlock()
		err := q.run(ctx, []T{thing})
		q.goOn()
		return err
	}
	m := &member[T]{thing: thing, done: make(chan error, 1)}
	if q.waiting = append(q.waiting, m); len(q.waiting) == 1 {
		time.AfterFunc(q.Patience, q.overdue)
	}
	q.count()
	q.mu.Unlock()
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		q.leave(m)
		return ctx.Err()
	}
}

// count keeps in mind how many there are at once, now that one has come.
func (q *Queue[T]) count() {
	if n := q.inside + len(q.waiting); n >= q.crowd {
		q.crowd, q.calm = n, 0
	} else if q.calm++; q.calm == memory {
		q.crowd, q.calm = q.crowd-1, 0
	}
	if q.enough != nil && len(q.waiting) >= q.worth() {
		close(q.enough)
		q.enough = nil
	}
}

// worth is how many a batch waits for: half of those who are here at once in these moments. Then one half is
// under way while the other one is answered, and comes again, and neither has to wait for a straggler of the other.
func (q *Queue[T]) worth() int {
	half := (q.crowd + 1) / 2
	if half < few {
		return 0
	}
	return min(half, many)
}

// gather waits for company, and lets go of the lock meanwhile. Where it waited in vain, the crowd has gone.
func (q *Queue[T]) gather() {
	if q.Gather == 0 || q.loops > 1 || len(q.waiting) >= q.worth() {
		return
	}
	enough := make(chan struct{})
	q.enough, q.started = enough, time.Now()
	q.mu.Unlock()
	late := time.NewTimer(q.Gather)
	select {
	case <-enough:
	case <-late.C:
	}
	late.Stop()
	q.mu.Lock()
	if q.enough = nil; len(q.waiting) < q.worth() {
		q.crowd, q.calm = q.inside+len(q.waiting), 0
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

// goOn lets those go who came while one was under way alone, unless a batch will. One
// that takes too long may hang.
func (q *Queue[T]) goOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inside--
	if len(q.waiting) == 0 || q.loops > 0 && time.Since(q.started) < q.Patience {
		q.running--
		return
	}
	q.loops++
	go q.loop()
}

// loop runs batches until nobody waits. It is a goroutine of its own, so that one
// batch can follow the other at once: who leads one has an answer to write.
func (q *Queue[T]) loop() {
	for answered := 0; ; {
		batch := q.next(answered)
		if batch == nil {
			return
		}
		answered = len(batch)
		things := make([]T, len(batch))
		for i, m := range batch {
			things[i] = m.thing
		}
		err := q.run(context.Background(), things)
		for _, m := range batch {
			m.done <- err
		}
	}
}

// next returns those who can go together, after a batch of so many. Where nobody waits the loop ends.
func (q *Queue[T]) next(answered int) []*member[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inside -= answered
	q.gather()
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
	q.inside += len(batch)
	return batch
}

func (q *Queue[T]) run(ctx context.Context, things []T) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanicked, fault, debug.Stack())
		}
	}()
	q.Run(ctx, things)
	return nil
}
