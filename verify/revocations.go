package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
)

// Revocations says what becomes of tokens whose sessions have ended, or whose
// users were deleted or disabled: the issuer states them all the time.
type Revocations int

// The modes.
const (
	// RevocationsOff asks for no statement. A token is good until it expires.
	RevocationsOff Revocations = iota
	// PreferRevocations refuses what the statement names. While there is none that has not expired, tokens are taken
	// all the same, which is logged and counted.
	PreferRevocations
	// RequireRevocations takes no token while there is none that has not expired: they are ErrRevocationsUnavailable.
	RequireRevocations
)

// How the statement is kept. Its exp bounds how long it is relied on.
const (
	maxFresh   = time.Minute      // between two fetches, whatever the issuer says
	maxBackoff = 30 * time.Second // between two tries while the fetch fails
)

// RevocationStats counts what happened to the statements.
type RevocationStats struct {
	StatementFetches  int       // begun
	StatementFailures int       // of those; statements that were not believed are among them
	StatementIssuedAt time.Time // of the one that is known; zero: none
	SessionsRevoked   int       // that it names
	UsersRevoked      int       // that it names
	TokensRevoked     int       // that were refused for it
	TokensUnchecked   int       // that were taken without one, with PreferRevocations
}

// revocations keeps the issuer's statement.
type revocations struct {
	v      *Verifier
	client *http.Client

	mu         sync.Mutex
	known      *statement // nil: none yet
	etag       string     // of known
	fresh      time.Duration
	freshUntil time.Time
	failures   int          // since the last success
	notBefore  time.Time    // of the next fetch, while they fail
	flight     *jwks.Flight // the fetch that is under way; nil: none
	unchecked  bool         // since known came, a token was taken without a statement
	counts     RevocationStats
}

var errUnstated = errors.New("none says whether the token was revoked")

// check refuses claims that the statement names, or that it comes too late to name.
func (r *revocations) check(ctx context.Context, c Claims) error {
	s, err := r.statement(ctx)
	named, covered := s != nil && s.names(c), s != nil && s.covers(c)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case named:
		r.counts.TokensRevoked++
		return ErrRevoked
	case s != nil && s.isAfter(c): // whatever the leeway: taken as one without a statement, it would be good again
		return ErrExpired
	case covered:
		return nil
	case err == nil:
		err = errUnstated
	}
	if r.v.config.Revocations == RequireRevocations {
		return fmt.Errorf("%w: %w", ErrRevocationsUnavailable, err)
	}
	r.counts.TokensUnchecked++
	if !r.unchecked { // once for each statement, and not for every token
		r.v.config.Logger.WarnContext(ctx, "tokens are taken without a statement of revocations", "error", err)
	}
	r.unchecked = true
	return nil
}

// statement returns one that has not expired, and nil where there is none. It
// waits for the fetch where that may bring one that is needed: where the one that
// is known is older than twice the time that it may be cached.
func (r *revocations) statement(ctx context.Context) (*statement, error) {
	r.mu.Lock()
	now := r.v.config.Now()
	current := r.current(now)
	if current != nil && now.Before(r.freshUntil) || r.flight == nil && now.Before(r.notBefore) {
		r.mu.Unlock()
		return current, nil
	}
	under := r.join(ctx)
	canWait := current != nil && (r.failures > 0 || now.Before(r.freshUntil.Add(r.fresh)))
	r.mu.Unlock()
	if canWait {
		return current, nil
	}
	err := under.Wait(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current(r.v.config.Now()), err
}

// current returns what is known and has not expired. The lock must be held.
func (r *revocations) current(now time.Time) *statement {
	if r.known == nil || !now.Before(r.known.expiresAt) {
		return nil
	}
	return r.known
}

// join returns the fetch that is under way, or begins one, which goes on when
// the one that caused it goes away. The lock must be held.
func (r *revocations) join(ctx context.Context) *jwks.Flight {
	if r.flight == nil {
		r.flight = jwks.NewFlight()
		r.counts.StatementFetches++
		etag := ""
		if r.current(r.v.config.Now()) != nil {
			etag = r.etag
		}
		go r.fly(context.WithoutCancel(ctx), r.flight, etag)
	}
	return r.flight
}

func (r *revocations) fly(ctx context.Context, f *jwks.Flight, etag string) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	got, err := r.v.fetchStatement(ctx, r.client, etag)
	now := r.v.config.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flight = nil
	if err == nil && got.statement != nil && r.known != nil && got.statement.issuedAt.Before(r.known.issuedAt) {
		// Of another replica, or played back: what is known is newer, and goes on until it expires.
		got.statement = nil
		r.v.config.Logger.DebugContext(ctx, "an older statement of revocations is passed over")
	}
	if err != nil {
		r.counts.StatementFailures++
		r.failures++
		r.notBefore = now.Add(min(maxBackoff, time.Second<<min(r.failures-1, 10)))
		r.v.config.Logger.WarnContext(ctx, "fetching the revocations", "url", r.v.config.RevocationsURL, "error", err, "failures", r.failures)
	} else {
		r.failures, r.notBefore, r.fresh, r.freshUntil = 0, time.Time{}, got.fresh, now.Add(got.fresh)
		if got.statement != nil {
			r.known, r.etag, r.unchecked = got.statement, got.etag, false
		}
	}
	f.Land(err)
}

// run keeps the statement fresh until the context ends.
func (r *revocations) run(ctx context.Context) {
	for {
		r.mu.Lock()
		under := r.join(ctx)
		r.mu.Unlock()
		_ = under.Wait(ctx) // it was logged, and says when to try again
		r.mu.Lock()
		next := r.freshUntil
		if r.failures > 0 {
			next = r.notBefore
		}
		r.mu.Unlock()
		timer := time.NewTimer(max(time.Second, next.Sub(r.v.config.Now())))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (r *revocations) stats() RevocationStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.counts
	if r.known != nil {
		s.StatementIssuedAt, s.SessionsRevoked, s.UsersRevoked = r.known.issuedAt, len(r.known.sessions)/hashBytes, len(r.known.users)
	}
	return s
}
