package cognito

import (
	"context"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// How the keys are kept.
const (
	fetchTimeout = 3 * time.Second  // for the whole fetch
	refreshEvery = 10 * time.Minute // so long at most is a withdrawn key believed, while the pool can be reached
	maxAge       = 24 * time.Hour   // so long at most are keys believed that can't be refreshed
	cooldown     = 10 * time.Second // between two fetches that unknown key ids cause
	maxBackoff   = 30 * time.Second // between two tries while the fetch fails
)

// Store keeps key sets beyond the process, so that a start while a pool can't be
// reached goes on with the last good ones. It must be safe for concurrent use.
type Store interface {
	SaveKeySet(ctx context.Context, url string, body []byte, fetchedAt time.Time) error
	// LoadKeySet returns any error where it has none.
	LoadKeySet(ctx context.Context, url string) (body []byte, fetchedAt time.Time, err error)
}

// Stats counts what happened to a pool's keys, of all its issuers together.
type Stats struct {
	Fetches     int       // begun
	Failures    int       // of those
	UnknownKeys int       // tokens that named a key that the pool does not have
	Keys        int       // that are known now
	Ignored     int       // keys that the pool publishes and that can't be used
	FetchedAt   time.Time // when the oldest set that is in use was fetched; zero: there is none
}

// keySource keeps one key set of a pool.
type keySource struct {
	url     string
	locate  func(ctx context.Context) (string, error) // instead of url; nil: url
	standby bool                                      // not kept fresh before a token has asked for it
	kept    Store                                     // may be nil
	client  *http.Client
	now     func() time.Time
	logger  *slog.Logger

	mu         sync.Mutex
	keys       map[string]*rsa.PublicKey
	fetchedAt  time.Time // of keys; zero: never
	askAfter   time.Time // before it, an unknown key causes no fetch
	failures   int       // since the last success
	notBefore  time.Time // of the next fetch, while they fail
	flight     *flight   // the fetch that is under way; nil: none
	statistics Stats
}

// flight is a fetch, which any number may wait for.
type flight struct {
	asked string        // the key id that caused it; empty: none
	done  chan struct{} // closed at the end
	err   error         // to be read after it
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// key returns the key of an id. An id that is not known causes a fetch, though
// not more often than the cooldown allows: whoever sends made-up ids must not be
// able to make us hammer the pool.
func (s *keySource) key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	if kid == "" {
		return nil, ErrUnknownKey
	}
	// The fetch that is under way may have begun before the key was published; the one after it has not.
	for range 2 {
		key, under, err := s.look(ctx, kid)
		if under == nil {
			return key, err
		}
		if err := under.wait(ctx); err != nil {
			if key, _ := s.known(kid); key != nil {
				return key, nil
			}
			return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
		}
	}
	return s.known(kid)
}

// known returns a key without a fetch.
func (s *keySource) known(kid string) (*rsa.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.judge(kid, s.now())
}

// look returns a key that is known, or the fetch to wait for that may bring it,
// or why there is neither.
func (s *keySource) look(ctx context.Context, kid string) (*rsa.PublicKey, *flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if key := s.keys[kid]; key != nil && s.usable(now) {
		return key, nil, nil
	}
	switch {
	case s.flight != nil:
		return nil, s.flight, nil
	case now.Before(s.notBefore), s.usable(now) && now.Before(s.askAfter):
		key, err := s.judge(kid, now)
		return key, nil, err
	case s.usable(now):
		s.askAfter = now.Add(cooldown)
	}
	return nil, s.begin(ctx, kid), nil
}

func (s *keySource) usable(now time.Time) bool {
	return !s.fetchedAt.IsZero() && now.Sub(s.fetchedAt) < maxAge
}

// judge says what is known of a key now. While the fetch fails, a key that is not
// known may be a new one: that is the network's fault, and not the token's.
func (s *keySource) judge(kid string, now time.Time) (*rsa.PublicKey, error) {
	key := s.keys[kid]
	switch {
	case !s.usable(now), key == nil && s.failures > 0:
		return nil, ErrKeysUnavailable
	case key == nil:
		s.statistics.UnknownKeys++
		return nil, ErrUnknownKey
	}
	return key, nil
}

// begin starts the fetch, which goes on when the one that caused it goes away.
// The lock must be held.
func (s *keySource) begin(ctx context.Context, asked string) *flight {
	s.flight = &flight{asked: asked, done: make(chan struct{})}
	s.statistics.Fetches++
	go s.fly(context.WithoutCancel(ctx), s.flight)
	return s.flight
}

func (s *keySource) fly(ctx context.Context, f *flight) {
	set, err := s.fetch(ctx)
	at := s.now()
	s.accept(f.asked, set, at, err)
	if err != nil {
		s.recall(ctx)
	} else {
		s.keep(ctx, set, at)
	}
	s.mu.Lock()
	s.flight = nil
	s.mu.Unlock()
	f.err = err
	close(f.done)
}

// accept takes what a fetch brought; after a failure, what was known stays.
func (s *keySource) accept(asked string, set keySet, at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if asked != "" && set.keys[asked] == nil {
			s.askAfter = at.Add(cooldown) // a made-up id caused even the first fetch; the next one need not
		}
		s.keys, s.fetchedAt, s.failures, s.notBefore = set.keys, at, 0, time.Time{}
		s.statistics.Ignored = set.ignored
		return
	}
	s.statistics.Failures++
	s.failures++
	if s.failures > 1 { // the second try may come at once
		s.notBefore = at.Add(min(maxBackoff, time.Second<<min(s.failures-2, 10)))
	}
	s.logger.Warn("fetching the keys", "url", s.url, "error", err, "failures", s.failures)
}

// keep hands a set on for the next process.
func (s *keySource) keep(ctx context.Context, set keySet, at time.Time) {
	if s.kept == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if err := s.kept.SaveKeySet(ctx, set.url, set.body, at); err != nil {
		s.logger.Warn("keeping the keys", "error", err)
	}
}

// recall takes the keys of an earlier process where this one has none yet.
func (s *keySource) recall(ctx context.Context) {
	if s.kept == nil || s.hasFetched() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	url, err := s.where(ctx)
	if err != nil {
		return
	}
	body, at, err := s.kept.LoadKeySet(ctx, url)
	if err != nil {
		return // there is none, or the store has said why it can't be reached to whoever needs more of it
	}
	set, err := s.parse(body)
	if err != nil {
		return
	}
	s.logger.Warn("going on with the keys of an earlier process", "url", url, "fetched_at", at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); at.After(now) {
		at = now // by another clock; keys from the future would never grow old
	}
	s.keys, s.fetchedAt, s.statistics.Ignored = set.keys, at, set.ignored
}

// where says where the keys are.
func (s *keySource) where(ctx context.Context) (string, error) {
	if s.locate == nil {
		return s.url, nil
	}
	return s.locate(ctx)
}

func (s *keySource) hasFetched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.fetchedAt.IsZero()
}

// run keeps the keys fresh.
func (s *keySource) run(ctx context.Context) error {
	for {
		wait := refreshEvery
		if !s.standby || s.hasFetched() {
			if err := s.refresh(ctx); err != nil {
				wait = s.backoff()
			}
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

func (s *keySource) refresh(ctx context.Context) error {
	s.mu.Lock()
	under := s.flight
	if under == nil {
		under = s.begin(ctx, "")
	}
	s.mu.Unlock()
	return under.wait(ctx)
}

// backoff is how long to wait after a failure.
func (s *keySource) backoff() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(maxBackoff, max(time.Second, s.notBefore.Sub(s.now())))
}

// addTo adds the counts.
func (s *keySource) addTo(sum *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum.Fetches += s.statistics.Fetches
	sum.Failures += s.statistics.Failures
	sum.UnknownKeys += s.statistics.UnknownKeys
	sum.Ignored += s.statistics.Ignored
	sum.Keys += len(s.keys)
	if at := s.fetchedAt; !at.IsZero() && (sum.FetchedAt.IsZero() || at.Before(sum.FetchedAt)) {
		sum.FetchedAt = at
	}
}
