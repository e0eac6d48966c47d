package session

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// SweepStore is what a sweeper asks of a repository.
type SweepStore interface {
	SweepSessions(ctx context.Context, before time.Time, after string, limit int) (repo.Swept, error)
	SweepExchanges(ctx context.Context, before time.Time, limit int) (int, error)
	SweepThrottle(ctx context.Context, before time.Time, limit int) (int, error)
	SweepCutoffs(ctx context.Context, before time.Time, limit int) (int, error)
}

// SweeperConfig is how a sweeper works.
type SweeperConfig struct {
	Store    SweepStore       // required
	Every    time.Duration    // between two rounds over all that there is; 0: 10 minutes
	Pause    time.Duration    // between two batches, which leaves the database to the others; 0: 50 milliseconds
	Batch    int              // rows that one statement looks at; 0: 500
	Keep     time.Duration    // how long what has ended stays, to say why; 0: 24 hours
	Throttle time.Duration    // the window of the throttle; required
	Now      func() time.Time // nil: time.Now
	Logger   *slog.Logger     // nil: discards
}

// Sweeper removes what has ended, in small batches. Any number of replicas may
// sweep the same database.
type Sweeper struct {
	c       SweeperConfig
	removed [4]atomic.Int64
}

// SweepCounts is how many rows a sweeper has removed since its start.
type SweepCounts struct {
	Sessions, Exchanges, Throttle, Cutoffs int64
}

// NewSweeper checks the configuration and returns the sweeper. It does no I/O.
func NewSweeper(c SweeperConfig) (*Sweeper, error) {
	if c.Store == nil || c.Throttle <= 0 {
		return nil, errors.New("session: a sweeper needs a store and the window of the throttle")
	}
	if c.Every <= 0 {
		c.Every = 10 * time.Minute
	}
	if c.Pause <= 0 {
		c.Pause = 50 * time.Millisecond
	}
	if c.Batch <= 0 {
		c.Batch = 500
	}
	if c.Keep <= 0 {
		c.Keep = 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{c: c}, nil
}

// Counts returns what was removed so far.
func (s *Sweeper) Counts() SweepCounts {
	return SweepCounts{Sessions: s.removed[0].Load(), Exchanges: s.removed[1].Load(), Throttle: s.removed[2].Load(), Cutoffs: s.removed[3].Load()}
}

// Run sweeps until the context ends, and then returns its error. A fault of the
// store ends a round, is logged, and the next round begins anew.
func (s *Sweeper) Run(ctx context.Context) error {
	for {
		before := s.Counts()
		err := s.Round(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		if after := s.Counts(); err != nil {
			s.c.Logger.WarnContext(ctx, "sweeping", "error", err)
		} else if after != before {
			s.c.Logger.InfoContext(ctx, "swept", "sessions", after.Sessions-before.Sessions,
				"exchanges", after.Exchanges-before.Exchanges, "throttle", after.Throttle-before.Throttle, "cutoffs", after.Cutoffs-before.Cutoffs)
		}
		if err := wait(ctx, s.c.Every); err != nil {
			return err
		}
	}
}

// Round goes once over all that there is.
func (s *Sweeper) Round(ctx context.Context) error {
	now := s.c.Now()
	after := ""
	steps := []func() (removed int, more bool, err error){
		func() (int, bool, error) {
			swept, err := s.c.Store.SweepSessions(ctx, now.Add(-s.c.Keep), after, s.c.Batch)
			after = swept.Next
			return swept.Removed, after != "", err
		},
		func() (int, bool, error) {
			n, err := s.c.Store.SweepExchanges(ctx, now.Add(-s.c.Keep), s.c.Batch)
			return n, n == s.c.Batch, err
		},
		func() (int, bool, error) {
			n, err := s.c.Store.SweepThrottle(ctx, now.Add(-s.c.Throttle), s.c.Batch)
			return n, n == s.c.Batch, err
		},
		func() (int, bool, error) {
			n, err := s.c.Store.SweepCutoffs(ctx, now.Add(-s.c.Keep), s.c.Batch)
			return n, n == s.c.Batch, err
		},
	}
	for i, step := range steps {
		for {
			removed, more, err := step()
			if err != nil {
				return err
			}
			s.removed[i].Add(int64(removed))
			if !more {
				break
			}
			if err := wait(ctx, s.c.Pause); err != nil {
				return err
			}
		}
	}
	return nil
}

// wait passes time, or returns the context's error when that ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
