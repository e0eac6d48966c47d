package cognito

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"golang.org/x/sync/singleflight"
)

// How the keys are kept.
const (
	fetchTimeout = 3 * time.Second  // for the whole fetch
	maxSetBytes  = 512 << 10        // of an answer
	maxKeys      = 100              // in an answer
	refreshEvery = 10 * time.Minute // so long at most is a withdrawn key believed, while the pool can be reached
	maxAge       = 24 * time.Hour   // so long at most are keys believed that can't be refreshed
	cooldown     = 10 * time.Second // between two fetches that unknown key ids cause
	maxBackoff   = 30 * time.Second // between two tries while the fetch fails
	minRSABits   = 2048
	maxRSABits   = 8192
)

// Store keeps key sets beyond the process, so that a start while a pool can't be
// reached goes on with the last good ones. It must be safe for concurrent use.
type Store interface {
	SaveKeySet(ctx context.Context, url string, body []byte, fetchedAt time.Time) error
	// LoadKeySet returns any error where it has none.
	LoadKeySet(ctx context.Context, url string) (body []byte, fetchedAt time.Time, err error)
}

// Stats counts what happened to a pool's keys.
type Stats struct {
	Fetches     int // begun
	Failures    int // of those
	UnknownKeys int // tokens that named a key that the pool does not have
	Keys        int // that are known now
}

// keySource keeps the keys of one pool.
type keySource struct {
	url    string
	kept   Store // may be nil
	client *http.Client
	now    func() time.Time
	logger *slog.Logger
	flight singleflight.Group

	mu         sync.Mutex
	keys       map[string]*rsa.PublicKey
	fetchedAt  time.Time // of keys; zero: never
	askedAt    time.Time // of the last fetch for an unknown key
	failures   int       // since the last success
	notBefore  time.Time // of the next fetch, while they fail
	statistics Stats
}

func newKeySource(url string, c Config) *keySource {
	client := c.HTTPClient
	if client == nil {
		client = &http.Client{Timeout: fetchTimeout}
	}
	own := *client
	// Whoever can redirect the fetch can choose the keys.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &keySource{url: url, kept: c.Store, client: &own, now: c.Now, logger: c.Logger}
}

// key returns the key of an id. An id that is not known causes a fetch, though
// not more often than the cooldown allows: whoever sends made-up ids must not be
// able to make us hammer the pool.
func (s *keySource) key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	if kid == "" {
		return nil, ErrUnknownKey
	}
	key, fresh, fetch := s.look(kid)
	if key != nil {
		return key, nil
	}
	if fetch {
		err := s.fetch(ctx)
		if key, fresh, _ = s.look(kid); key != nil {
			return key, nil
		}
		if err != nil {
			return nil, err
		}
	}
	if !fresh {
		return nil, ErrKeysUnavailable
	}
	return nil, ErrUnknownKey
}

// look returns a key that is known; else whether what is known can be relied on
// to tell that the key is none, and whether a fetch may be begun for it.
func (s *keySource) look(kid string) (key *rsa.PublicKey, fresh, fetch bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	usable := !s.fetchedAt.IsZero() && now.Sub(s.fetchedAt) < maxAge
	if key := s.keys[kid]; usable && key != nil {
		return key, true, false
	}
	if usable {
		s.statistics.UnknownKeys++
	}
	fresh = usable && s.failures == 0
	if now.Before(s.notBefore) {
		return nil, fresh, false
	}
	if !usable || s.failures > 0 {
		return nil, fresh, true
	}
	if now.Sub(s.askedAt) < cooldown {
		return nil, fresh, false
	}
	s.askedAt = now
	return nil, fresh, true
}

// fetch gets the keys: one fetch for all who ask at the same time, which goes on
// when one of them goes away.
func (s *keySource) fetch(ctx context.Context) error {
	done := s.flight.DoChan("", func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		body, err := s.get(own)
		var keys map[string]*rsa.PublicKey
		if err == nil {
			keys, err = s.parse(body)
		}
		at := s.now()
		s.store(keys, at, err)
		if err != nil {
			s.recall(own)
		} else if s.kept != nil {
			if err := s.kept.SaveKeySet(own, s.url, body, at); err != nil {
				s.logger.Warn("keeping the keys", "error", err)
			}
		}
		return nil, err
	})
	select {
	case result := <-done:
		if result.Err != nil {
			return fmt.Errorf("%w: %w", ErrKeysUnavailable, result.Err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrKeysUnavailable, ctx.Err())
	}
}

// store keeps what a fetch brought; after a failure, what was known stays.
func (s *keySource) store(keys map[string]*rsa.PublicKey, at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statistics.Fetches++
	if err == nil {
		s.keys, s.fetchedAt, s.failures, s.notBefore = keys, at, 0, time.Time{}
		return
	}
	s.statistics.Failures++
	s.failures++
	if s.failures > 1 { // the second try may come at once
		wait := min(maxBackoff, time.Second<<min(s.failures-2, 10))
		s.notBefore = s.now().Add(wait)
	}
	s.logger.Warn("fetching the keys", "error", err, "failures", s.failures)
}

// recall takes the keys of an earlier process where this one has none yet.
func (s *keySource) recall(ctx context.Context) {
	s.mu.Lock()
	known := !s.fetchedAt.IsZero()
	s.mu.Unlock()
	if known || s.kept == nil {
		return
	}
	// The fetch may have used up its time; what is kept is near.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	body, at, err := s.kept.LoadKeySet(ctx, s.url)
	if err != nil {
		return // there is none, or the store has said why it can't be reached to whoever needs more of it
	}
	keys, err := s.parse(body)
	if err != nil {
		return
	}
	s.logger.Warn("going on with the keys of an earlier process", "fetched_at", at)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.fetchedAt = keys, at
}

// get does the fetch.
func (s *keySource) get(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // what was read is checked
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxSetBytes {
		return nil, errors.New("the answer is too large")
	}
	return body, nil
}

// parse reads a JWK Set (RFC 7517 §5). Keys that can't be used are passed over
// with a line in the log; a set without any that can is an error.
func (s *keySource) parse(body []byte) (map[string]*rsa.PublicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("the answer is not a JWK Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, errors.New("the answer has too many keys")
	}
	keys := map[string]*rsa.PublicKey{}
	for _, raw := range set.Keys {
		kid, key, err := usableKey(raw)
		if err == nil && keys[kid] != nil {
			err = errors.New("its id is there twice")
		}
		if err != nil {
			s.logger.Warn("a key is passed over", "kid", kid, "error", err)
			continue
		}
		keys[kid] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("the answer has no usable key")
	}
	return keys, nil
}

// usableKey reads one key, and says why it can't verify signatures.
func usableKey(raw []byte) (kid string, key *rsa.PublicKey, err error) {
	parsed, err := jwk.ParseKey(raw)
	if err != nil {
		return "", nil, errors.New("it is not a JWK")
	}
	kid, _ = parsed.KeyID()
	alg, hasAlg := parsed.Algorithm()
	use, hasUse := parsed.KeyUsage()
	ops, hasOps := parsed.KeyOps()
	switch {
	case kid == "" || len(kid) > 256:
		return "", nil, errors.New("it has no usable id")
	case hasAlg && alg.String() != algorithm:
		return kid, nil, errors.New("it is of another algorithm")
	case hasUse && use != "sig":
		return kid, nil, errors.New("it is not for signatures")
	case hasOps && !slices.Contains(ops, jwk.KeyOpVerify):
		return kid, nil, errors.New("it is not for verifying")
	}
	key = &rsa.PublicKey{}
	if err := jwk.Export(parsed, key); err != nil {
		return kid, nil, errors.New("it is not a public RSA key")
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits || key.E < 3 || key.E%2 == 0 {
		return kid, nil, errors.New("it is too weak, or too large")
	}
	return kid, key, nil
}

// run keeps the keys fresh.
func (s *keySource) run(ctx context.Context) error {
	for {
		wait := refreshEvery
		if err := s.fetch(ctx); err != nil {
			wait = s.backoff()
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

// backoff is how long to wait after a failure.
func (s *keySource) backoff() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(maxBackoff, max(time.Second, s.notBefore.Sub(s.now())))
}

// stats returns the counts.
func (s *keySource) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.statistics
	now.Keys = len(s.keys)
	return now
}
