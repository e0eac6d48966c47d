package jwks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// How the keys are kept.
const (
	fetchTimeout = 3 * time.Second  // for the whole fetch
	refreshEvery = 10 * time.Minute // so long at most is a withdrawn key believed, while the issuer publishes others
	maxAge       = 24 * time.Hour   // so long at most are keys believed that can't be refreshed
	cooldown     = 10 * time.Second // between two fetches that unknown key ids cause
	maxBackoff   = 30 * time.Second // between two tries while the fetch fails
)

// Why there is no key.
var (
	// ErrUnknownKey says that the issuer has no such key.
	ErrUnknownKey = errors.New("jwks: unknown key")
	// ErrUnavailable says that the issuer can't be asked: the key may be there.
	ErrUnavailable = errors.New("jwks: no keys can be had")
)

// Store keeps key sets beyond the process, so that a start while an issuer can't
// be reached goes on with the last good ones. It must be safe for concurrent use.
type Store interface {
	SaveKeySet(ctx context.Context, url string, body []byte, fetchedAt time.Time) error
	// LoadKeySet returns any error where it has none.
	LoadKeySet(ctx context.Context, url string) (body []byte, fetchedAt time.Time, err error)
}

// Config says which keys are kept, and how.
type Config struct {
	URL string // of the JWK Set; see CheckURL
	// Locate finds out where the set is, before each fetch. Nil: at URL.
	Locate     func(ctx context.Context) (url string, err error)
	Algorithms []string // of the keys that are taken, as jws has them; at least one
	Standby    bool     // not kept fresh before a token has asked for it

	Store  Store            // nil: keys are kept in memory alone
	Client *http.Client     // nil: one with timeouts; redirects are never followed
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discards
}

// Stats counts what happened to a key set.
type Stats struct {
	Fetches     int       // begun
	Failures    int       // of those
	UnknownKeys int       // tokens that named a key that the issuer does not have
	Keys        int       // that are known now
	Ignored     int       // keys that the issuer publishes and that can't be used
	FetchedAt   time.Time // when the set that is in use was fetched; zero: there is none
}

// Source keeps one key set. It is safe for concurrent use.
type Source struct {
	cfg    Config
	client *http.Client

	keeping    sync.Mutex // one set at a time is handed to the store
	mu         sync.Mutex
	keys       map[string]jws.Key
	fetchedAt  time.Time // of keys; zero: never
	freshUntil time.Time // from then on, whoever asks causes a fetch, and does not wait for it
	askAfter   time.Time // before it, an unknown key causes no fetch
	failures   int       // since the last success
	notBefore  time.Time // of the next fetch, while they fail
	flight     *Flight   // the fetch that is under way; nil: none
	statistics Stats
}

// New returns a source that has fetched nothing yet.
func New(c Config) (*Source, error) {
	if len(c.Algorithms) == 0 {
		return nil, errors.New("jwks: the algorithms are required")
	}
	for _, algorithm := range c.Algorithms {
		if !jws.Known(algorithm) {
			return nil, fmt.Errorf("jwks: unknown algorithm %q", algorithm)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Locate == nil {
		c.Locate = func(context.Context) (string, error) { return c.URL, nil }
	}
	c.Algorithms = slices.Clone(c.Algorithms)
	return &Source{cfg: c, client: NoRedirects(c.Client)}, nil
}

// Key returns the key of an id. An id that is not known causes a fetch, though
// not more often than the cooldown allows: whoever sends made-up ids must not be
// able to make us hammer the issuer. Errors: ErrUnknownKey; ErrUnavailable, with
// its cause.
func (s *Source) Key(ctx context.Context, kid string) (jws.Key, error) {
	if kid == "" {
		return jws.Key{}, ErrUnknownKey
	}
	// The fetch that is under way may have begun before the key was published; the one after it has not.
	for range 2 {
		key, under, err := s.look(ctx, kid)
		if under == nil {
			return key, err
		}
		if err := under.Wait(ctx); err != nil {
			if key, err := s.known(kid); err == nil {
				return key, nil
			}
			return jws.Key{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return s.known(kid)
}

// known returns a key without a fetch.
func (s *Source) known(kid string) (jws.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.judge(kid, s.cfg.Now())
}

// look returns a key that is known, or the fetch to wait for that may bring it,
// or why there is neither.
func (s *Source) look(ctx context.Context, kid string) (jws.Key, *Flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	if key, there := s.keys[kid]; there && s.usable(now) {
		if !now.Before(s.freshUntil) && !now.Before(s.notBefore) && s.flight == nil {
			s.begin(ctx, "") // nobody runs, or Run is a moment late
		}
		return key, nil, nil
	}
	switch {
	case s.flight != nil:
		return jws.Key{}, s.flight, nil
	case now.Before(s.notBefore), s.usable(now) && now.Before(s.askAfter):
		key, err := s.judge(kid, now)
		return key, nil, err
	case s.usable(now):
		s.askAfter = now.Add(cooldown)
	}
	return jws.Key{}, s.begin(ctx, kid), nil
}

func (s *Source) usable(now time.Time) bool {
	return !s.fetchedAt.IsZero() && now.Sub(s.fetchedAt) < maxAge
}

// judge says what is known of a key now. While the fetch fails, a key that is not
// known may be a new one: that is the network's fault, and not the token's.
func (s *Source) judge(kid string, now time.Time) (jws.Key, error) {
	key, there := s.keys[kid]
	switch {
	case !s.usable(now), !there && s.failures > 0:
		return jws.Key{}, ErrUnavailable
	case !there:
		s.statistics.UnknownKeys++
		return jws.Key{}, ErrUnknownKey
	}
	return key, nil
}

// begin starts the fetch, which goes on when the one that caused it goes away.
// The lock must be held.
func (s *Source) begin(ctx context.Context, asked string) *Flight {
	s.flight = NewFlight()
	s.statistics.Fetches++
	go s.fly(context.WithoutCancel(ctx), s.flight, asked)
	return s.flight
}

func (s *Source) fly(ctx context.Context, f *Flight, asked string) {
	set, err := s.fetch(ctx)
	at := s.cfg.Now()
	s.accept(asked, set, at, err)
	if err != nil {
		s.recall(ctx)
	}
	s.mu.Lock()
	s.flight = nil
	s.mu.Unlock()
	f.Land(err)
	if err == nil {
		s.keep(ctx, set, at) // nobody who waits for keys waits for the store
	}
}

// accept takes what a fetch brought; after a failure, what was known stays.
func (s *Source) accept(asked string, set keySet, at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if _, found := set.keys[asked]; found {
			s.askAfter = time.Time{} // it was no made-up id
		} else if asked != "" {
			s.askAfter = at.Add(cooldown) // a made-up id caused even the first fetch; the next one need not
		}
		s.keys, s.fetchedAt, s.freshUntil, s.failures, s.notBefore = set.keys, at, at.Add(set.fresh), 0, time.Time{}
		s.statistics.Ignored = set.ignored
		return
	}
	s.statistics.Failures++
	s.failures++
	if s.failures > 1 { // the second try may come at once
		s.notBefore = at.Add(min(maxBackoff, time.Second<<min(s.failures-2, 10)))
	}
	s.cfg.Logger.Warn("fetching the keys", "url", set.url, "error", err, "failures", s.failures)
}

// keep hands a set on for the next process, one at a time, so that none replaces a newer one.
func (s *Source) keep(ctx context.Context, set keySet, at time.Time) {
	if s.cfg.Store == nil {
		return
	}
	s.keeping.Lock()
	defer s.keeping.Unlock()
	if s.Stats().FetchedAt.After(at) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if err := s.cfg.Store.SaveKeySet(ctx, set.url, set.body, at); err != nil {
		s.cfg.Logger.Warn("keeping the keys", "error", err)
	}
}

// recall takes the keys of an earlier process where this one has none yet.
func (s *Source) recall(ctx context.Context) {
	if s.cfg.Store == nil || s.hasFetched() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	url, err := s.cfg.Locate(ctx)
	if err != nil {
		return
	}
	body, at, err := s.cfg.Store.LoadKeySet(ctx, url)
	if err != nil {
		return // there is none, or the store has said why it can't be reached to whoever needs more of it
	}
	set, err := s.parse(body)
	if err != nil {
		return
	}
	s.cfg.Logger.Warn("going on with the keys of an earlier process", "url", url, "fetched_at", at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.cfg.Now(); at.After(now) {
		at = now // by another clock; keys from the future would never grow old
	}
	s.keys, s.fetchedAt, s.statistics.Ignored = set.keys, at, set.ignored
}

func (s *Source) hasFetched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.fetchedAt.IsZero()
}
