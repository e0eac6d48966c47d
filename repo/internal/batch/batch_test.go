package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo/internal/batch"
)

// recorder runs batches of names, each as long as its gate is closed.
type recorder struct {
	mu   sync.Mutex
	runs [][]string
	gate chan struct{}
}

func (r *recorder) run(_ context.Context, names []string) {
	r.mu.Lock()
	r.runs = append(r.runs, slices.Clone(names))
	r.mu.Unlock()
	if names[0] == "panics" {
		panic("as told")
	}
	<-r.gate
}

func newQueue(size, runs int) (*batch.Queue[string], *recorder) {
	r := &recorder{gate: make(chan struct{})}
	key := func(name string) string { return name }
	return &batch.Queue[string]{Size: size, Alone: 1, Runs: runs, Patience: time.Second, Key: key, Run: r.run}, r
}

// do asks for a thing in a goroutine, and returns when all goroutines stand still.
func do(ctx context.Context, q *batch.Queue[string], name string) <-chan error {
	result := make(chan error, 1)
	go func() { result <- q.Do(ctx, name) }()
	synctest.Wait()
	return result
}

// asked are those who were asked for, in a queue.
type asked struct {
	t       *testing.T
	q       *batch.Queue[string]
	r       *recorder
	results []<-chan error
}

// ask asks for one thing after the other.
func (a *asked) ask(names ...string) {
	for _, name := range names {
		a.results = append(a.results, do(a.t.Context(), a.q, name))
	}
}

// end lets all runs end, and wants all that was asked for done.
func (a *asked) end() {
	a.t.Helper()
	close(a.r.gate)
	for _, result := range a.results {
		if err := <-result; err != nil {
			a.t.Error(err)
		}
	}
	time.Sleep(a.q.Gather) // nobody comes: the queue is at rest
}

func want(t *testing.T, r *recorder, runs ...[]string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.EqualFunc(r.runs, runs, slices.Equal) {
		t.Fatalf("ran %q, want %q", r.runs, runs)
	}
}

func TestTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(3, 1)
		a := asked{t: t, q: q, r: r}
		a.ask("a", "b", "b", "c", "d", "e")
		want(t, r, []string{"a"}) // who comes alone goes at once, and the others wait
		r.gate <- struct{}{}
		want(t, r, []string{"a"}, []string{"b", "c", "d"}) // as many as a batch has, the second b not beside the first
		r.gate <- struct{}{}
		want(t, r, []string{"a"}, []string{"b", "c", "d"}, []string{"b", "e"})
		a.end()
		if err := <-do(t.Context(), q, "f"); err != nil {
			t.Error(err)
		}
		want(t, r, []string{"a"}, []string{"b", "c", "d"}, []string{"b", "e"}, []string{"f"})
	})
}

// TestAlone has two under way by themselves: the third one waits, and those who
// come then wait too, until nobody does.
func TestAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(3, 1)
		q.Alone = 2
		a := asked{t: t, q: q, r: r}
		a.ask("a", "b", "c", "d")
		want(t, r, []string{"a"}, []string{"b"})
		r.gate <- struct{}{}
		want(t, r, []string{"a"}, []string{"b"}, []string{"c", "d"})
		r.gate <- struct{}{} // the other one alone: those who wait have somebody to go on with them
		a.ask("e", "f")
		want(t, r, []string{"a"}, []string{"b"}, []string{"c", "d"})
		r.gate <- struct{}{}
		want(t, r, []string{"a"}, []string{"b"}, []string{"c", "d"}, []string{"e", "f"})
		r.gate <- struct{}{}
		synctest.Wait() // nobody waits any more
		a.ask("g", "h", "i")
		want(t, r, []string{"a"}, []string{"b"}, []string{"c", "d"}, []string{"e", "f"}, []string{"g"}, []string{"h"})
		a.end()
	})
}

// TestGather has a crowd: a batch waits until half of it is there again, and not
// longer than it may.
func TestGather(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(64, 1)
		q.Gather = time.Millisecond
		a := asked{t: t, q: q, r: r}
		runs := [][]string{{"a"}}
		a.ask("a", "b", "c", "d", "e", "f", "g", "h") // eight at once
		want(t, r, runs...)
		r.gate <- struct{}{}
		runs = append(runs, []string{"b", "c", "d", "e", "f", "g", "h"})
		want(t, r, runs...)
		a.ask("i", "j") // nine
		r.gate <- struct{}{}
		a.ask("k", "l")
		want(t, r, runs...)
		a.ask("m") // the fifth of nine
		runs = append(runs, []string{"i", "j", "k", "l", "m"})
		want(t, r, runs...)
		a.ask("n")
		r.gate <- struct{}{}
		time.Sleep(q.Gather - time.Nanosecond)
		want(t, r, runs...)
		time.Sleep(time.Nanosecond)
		runs = append(runs, []string{"n"})
		want(t, r, runs...)
		a.ask("o", "p")
		r.gate <- struct{}{}
		runs = append(runs, []string{"o", "p"}) // the crowd is gone, and not waited for again
		want(t, r, runs...)
		a.end()
	})
}

// TestGatherOrHang has a crowd and a slow run. Who waits for company when patience is over does so to the end;
// who waits for the run goes without it, and waits for nobody more.
func TestGatherOrHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(64, 2)
		q.Gather = time.Millisecond
		a := asked{t: t, q: q, r: r}
		a.ask("a", "b", "c", "d", "e", "f", "g", "h")
		r.gate <- struct{}{}
		runs := [][]string{{"a"}, {"b", "c", "d", "e", "f", "g", "h"}}
		want(t, r, runs...)
		a.ask("i")
		time.Sleep(q.Patience - q.Gather/2)
		r.gate <- struct{}{}
		time.Sleep(q.Gather - time.Nanosecond)
		want(t, r, runs...)
		time.Sleep(time.Nanosecond)
		runs = append(runs, []string{"i"})
		want(t, r, runs...)
		a.ask("a", "b", "c", "d", "e", "f", "g")
		r.gate <- struct{}{}
		runs = append(runs, []string{"a", "b", "c", "d", "e", "f", "g"})
		want(t, r, runs...)
		a.ask("j")
		time.Sleep(q.Patience)
		want(t, r, append(runs, []string{"j"})...)
		a.end()
	})
}

// TestForget has a crowd, and then so many fewer that it is not waited for any more.
func TestForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(64, 1)
		q.Gather = time.Millisecond
		crowd := []string{"b", "c", "d", "e", "f", "g", "h", "i"}
		a := asked{t: t, q: q, r: r}
		a.ask("a")
		a.ask(crowd...)
		r.gate <- struct{}{}
		synctest.Wait()
		r.gate <- struct{}{}
		synctest.Wait()
		for range 64/4 - 1 {
			gone, end := context.WithCancel(t.Context())
			for _, name := range crowd[:4] { // one fewer than half of nine
				do(gone, q, name)
			}
			want(t, r, []string{"a"}, crowd)
			end()
			synctest.Wait()
		}
		a.ask(crowd[:4]...) // the last of them is the 64th: half of eight
		want(t, r, []string{"a"}, crowd, crowd[:4])
		a.end()
	})
}

// TestLeave ends the contexts of some who wait: for their turn, and for a batch
// that is under way.
func TestLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(3, 1)
		ended, end := context.WithCancel(t.Context())
		running := do(ended, q, "running")
		first := do(t.Context(), q, "first")
		gone := do(ended, q, "gone")
		end()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who waited: %v", err)
		}
		if err := <-do(ended, q, "late"); !errors.Is(err, context.Canceled) {
			t.Errorf("who came too late: %v", err)
		}
		ended, end = context.WithCancel(t.Context())
		beside := do(ended, q, "beside")
		r.gate <- struct{}{}
		want(t, r, []string{"running"}, []string{"first", "beside"})
		if err := <-running; err != nil {
			t.Errorf("who ran when its context ended: %v", err)
		}
		end()
		if err := <-beside; !errors.Is(err, context.Canceled) {
			t.Errorf("who was in the batch: %v", err)
		}
		close(r.gate)
		if err := <-first; err != nil {
			t.Errorf("who stayed: %v", err)
		}
	})
}

func TestPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(3, 1)
		running, panics, beside := do(t.Context(), q, "running"), do(t.Context(), q, "panics"), do(t.Context(), q, "beside")
		close(r.gate)
		if err := <-running; err != nil {
			t.Error(err)
		}
		for _, result := range []<-chan error{panics, beside, do(t.Context(), q, "panics")} {
			if err := <-result; !errors.Is(err, batch.ErrPanicked) || !strings.Contains(err.Error(), "as told") {
				t.Errorf("the panic became %v", err)
			}
		}
		if err := <-do(t.Context(), q, "later"); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

// TestHanging has runs that do not end: who waits goes without them when patience
// is over, but in no more runs than there may be.
func TestHanging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(2, 3)
		a := asked{t: t, q: q, r: r}
		a.ask("hangs", "a", "b", "c")
		time.Sleep(q.Patience - time.Nanosecond)
		want(t, r, []string{"hangs"})
		time.Sleep(time.Nanosecond)
		want(t, r, []string{"hangs"}, []string{"a", "b"})
		time.Sleep(q.Patience)
		want(t, r, []string{"hangs"}, []string{"a", "b"}, []string{"c"}) // who was left over
		a.ask("d")
		time.Sleep(2 * q.Patience)
		want(t, r, []string{"hangs"}, []string{"a", "b"}, []string{"c"}) // there are three
		a.end()
		want(t, r, []string{"hangs"}, []string{"a", "b"}, []string{"c"}, []string{"d"})
	})
}

// TestEachOnce asks for many things from many goroutines: each is done exactly
// once before it is said to be.
func TestEachOnce(t *testing.T) {
	t.Parallel()
	const askers, each = 50, 200
	type thing struct {
		key  int
		done int
	}
	q := &batch.Queue[*thing]{
		Size: 8, Alone: 2, Runs: 3, Patience: time.Microsecond,
		Key: func(th *thing) string { return fmt.Sprint(th.key) },
		Run: func(_ context.Context, things []*thing) {
			keys := map[int]bool{}
			for _, th := range things {
				th.done++
				keys[th.key] = true
			}
			if len(keys) != len(things) || len(things) > 8 {
				t.Errorf("%d things of %d keys", len(things), len(keys))
			}
		},
	}
	var all sync.WaitGroup
	for i := range askers {
		all.Go(func() {
			for j := range each {
				th := &thing{key: (i + j) % 20}
				if err := q.Do(t.Context(), th); err != nil || th.done != 1 {
					t.Errorf("done %d times: %v", th.done, err)
				}
			}
		})
	}
	all.Wait()
}

// TestOneHangs has the batch hang while one that is under way alone ends: who waits goes with that one's run.
func TestOneHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gates := map[string]chan struct{}{"alone": make(chan struct{}), "hangs": make(chan struct{})}
		q := &batch.Queue[string]{Size: 3, Alone: 1, Runs: 2, Patience: time.Second, Key: func(name string) string { return name }}
		q.Run = func(_ context.Context, names []string) {
			if gate := gates[names[0]]; gate != nil {
				<-gate
			}
		}
		alone, hangs := do(t.Context(), q, "alone"), do(t.Context(), q, "hangs")
		time.Sleep(q.Patience) // the second one goes without the first
		synctest.Wait()
		waits := do(t.Context(), q, "waits")
		time.Sleep(q.Patience) // two are all that may be under way
		synctest.Wait()
		close(gates["alone"])
		for _, result := range []<-chan error{alone, waits, do(t.Context(), q, "later")} {
			if err := <-result; err != nil {
				t.Error(err)
			}
		}
		select {
		case <-hangs:
			t.Error("it did not hang")
		default:
		}
		close(gates["hangs"])
		synctest.Wait()
	})
}

// TestAloneHasItsContext ends the context of one that goes alone.
func TestAloneHasItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(3, 1)
		q.Run = func(ctx context.Context, _ []string) { <-ctx.Done() }
		ctx, cancel := context.WithCancel(t.Context())
		alone := do(ctx, q, "a")
		cancel()
		if err := <-alone; err != nil {
			t.Errorf("what becomes of it is what its run says, not %v", err)
		}
	})
}
