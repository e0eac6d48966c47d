package jwks

import (
	"context"
	"time"
)

// Run fetches the keys, and again when they are no longer fresh: after ten
// minutes, or sooner where the issuer says so. It returns the context's error
// when that ends. A failure is logged and tried again.
func (s *Source) Run(ctx context.Context) error {
	for {
		wait := refreshEvery
		if !s.cfg.Standby || s.hasFetched() {
			if !s.isFresh() { // a token may have come first
				_ = s.Refresh(ctx) // it was logged, and says when to try again
			}
			wait = s.untilNext()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Refresh fetches the keys now, or waits for the fetch that is under way.
func (s *Source) Refresh(ctx context.Context) error {
	s.mu.Lock()
	under := s.flight
	if under == nil {
		under = s.begin(ctx, "")
	}
	s.mu.Unlock()
	return under.Wait(ctx)
}

func (s *Source) isFresh() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures == 0 && s.cfg.Now().Before(s.freshUntil)
}

// untilNext is how long to wait before the next fetch.
func (s *Source) untilNext() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures > 0 {
		return min(maxBackoff, max(time.Second, s.notBefore.Sub(s.cfg.Now())))
	}
	return max(time.Second, s.freshUntil.Sub(s.cfg.Now()))
}

// Stats counts what happened since the start.
func (s *Source) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.statistics
	stats.Keys, stats.FetchedAt = len(s.keys), s.fetchedAt
	return stats
}

// URL is where the keys are.
func (s *Source) URL(ctx context.Context) (string, error) { return s.cfg.Locate(ctx) }
