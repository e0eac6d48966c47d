package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
)

func TestSweeper(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	ended, alive := b.signedIn(t, "alice"), b.signedIn(t, "alice")
	parsed, err := b.Parse([]string{ended.RefreshToken})
	must(t, err)
	must(t, b.LogOff(t.Context(), parsed, home))
	must(t, b.store.DisableUser(t.Context(), b.user(t, "mallory").ID, repo.AuditEvent{ID: "disabled", At: b.time(), Event: "user_disabled"}))
	id, access := b.pool.Pair("111", b.time(), nil)
	_, err = b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
	must(t, err)
	s, err := session.NewSweeper(session.SweeperConfig{
		Store: b.store, Throttle: 15 * time.Minute, Batch: 2, Pause: time.Nanosecond, Keep: time.Hour, Now: b.time,
	})
	must(t, err)
	must(t, s.Round(t.Context()))
	if got := s.Counts(); got != (session.SweepCounts{}) {
		t.Errorf("removed at once: %+v", got)
	}
	b.advance(3 * time.Hour)
	must(t, s.Round(t.Context()))
	if got := s.Counts(); got != (session.SweepCounts{Sessions: 1, Exchanges: 1, Throttle: 3, Cutoffs: 1}) {
		t.Errorf("removed after three hours: %+v", got)
	}
	if reason := outOf(t, second(b.refresh(t, ended.RefreshToken))); reason != session.ReasonUnknown {
		t.Errorf("the session that is gone: %v", reason)
	}
	if _, err := b.refresh(t, alive.RefreshToken); err != nil {
		t.Errorf("the one that lives: %v", err)
	}
}

// sweptStore counts rounds, and fails when it is told to.
type sweptStore struct {
	session.SweepStore
	rounds atomic.Int64
	fails  atomic.Bool
}

func (s *sweptStore) SweepSessions(context.Context, time.Time, string, int) (repo.Swept, error) {
	s.rounds.Add(1)
	if s.fails.Load() {
		return repo.Swept{}, repo.ErrUnavailable
	}
	return repo.Swept{Removed: 1}, nil
}

func (s *sweptStore) SweepExchanges(context.Context, time.Time, int) (int, error) { return 0, nil }
func (s *sweptStore) SweepThrottle(context.Context, time.Time, int) (int, error)  { return 0, nil }
func (s *sweptStore) SweepCutoffs(context.Context, time.Time, int) (int, error)   { return 0, nil }

// TestSweeperGoesOn sweeps in rounds, a failed one included, until it is told to
// stop.
func TestSweeperGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &sweptStore{}
		s, err := session.NewSweeper(session.SweeperConfig{Store: store, Throttle: time.Minute})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		for round := range int64(4) {
			synctest.Wait()
			if got := store.rounds.Load(); got != round+1 {
				t.Errorf("%d rounds, want %d", got, round+1)
			}
			store.fails.Store(round == 1)
			time.Sleep(10 * time.Minute)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		if got := s.Counts().Sessions; got != 4 {
			t.Errorf("%d removed", got)
		}
	})
	for i, c := range []session.SweeperConfig{{}, {Store: &sweptStore{}}, {Throttle: time.Minute}} {
		if _, err := session.NewSweeper(c); err == nil {
			t.Error(fmt.Sprint(i), "is accepted")
		}
	}
}
