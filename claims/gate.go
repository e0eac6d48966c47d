package claims

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// shutAfter is how many calls in a row that nobody answered shut a gate.
	shutAfter = 5
	// shutFor is how long it stays shut. The first call afterwards that is not answered shuts it again.
	shutFor = 5 * time.Second
)

// outcome is how a call ended.
type outcome int

const (
	answered outcome = iota
	unanswered
	abandoned // by its client, which says nothing of the other side
)

// outcomeOf says how a call ended with this context; silent is one without an answer.
func outcomeOf(ctx context.Context, silent bool) outcome {
	switch {
	case !silent:
		return answered
	case errors.Is(ctx.Err(), context.Canceled):
		return abandoned
	}
	return unanswered
}

// gate stands before something that may hang: it lets so many calls in at once,
// and none for a while after several were not answered.
type gate struct {
	slots chan struct{}
	now   func() time.Time

	mutex      sync.Mutex
	unanswered int // in a row
	shutUntil  time.Time
}

func newGate(slots int, now func() time.Time) *gate {
	return &gate{slots: make(chan struct{}, slots), now: now}
}

// enter waits for a slot until the context is done. Who entered leaves once.
func (g *gate) enter(ctx context.Context) error {
	if g.shut() {
		return errResting
	}
	select {
	case g.slots <- struct{}{}: // free: nobody is told that it is busy, however late it is
	default:
		select {
		case g.slots <- struct{}{}:
		case <-ctx.Done():
			return errBusy
		}
	}
	if g.shut() { // meanwhile
		<-g.slots
		return errResting
	}
	return nil
}

func (g *gate) shut() bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.now().Before(g.shutUntil)
}

func (g *gate) leave(how outcome) {
	<-g.slots
	g.mutex.Lock()
	defer g.mutex.Unlock()
	switch how {
	case answered:
		g.unanswered = 0
	case unanswered:
		if g.unanswered++; g.unanswered >= shutAfter {
			g.shutUntil = g.now().Add(shutFor)
		}
	}
}
