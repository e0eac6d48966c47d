package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

const (
	// RevocationsType is the "typ" of the statement of revocations.
	RevocationsType = "revocations+jwt"
	// revocationsSlack is for how long an entry outstays the last token that it can refuse: replicas' clocks differ, and
	// a revocation is dated before it is committed.
	revocationsSlack = time.Minute
	// deletedSlack is how far the cut-off of a deleted user lies after the deletion, for the same reasons. Its sessions
	// are gone, so that nothing else refuses what was issued in the meantime; and nothing is issued
	// later, unless the user comes back.
	deletedSlack = 30 * time.Second
)

// RevocationStore is what the statement of revocations is made from.
type RevocationStore interface {
	RevokedSessions(ctx context.Context, since time.Time) ([]string, error)
	Cutoffs(ctx context.Context, since time.Time) ([]repo.Cutoff, error)
}

// Signer signs statements.
type Signer interface {
	SignStatement(typ string, claims map[string]any, now time.Time) (string, error)
}

// RevocationsConfig is how a statement of revocations is made. All is required
// that is not said to have a default.
type RevocationsConfig struct {
	Store          RevocationStore
	Signer         Signer
	AccessLifetime time.Duration    // of access tokens
	Leeway         time.Duration    // that verifiers grant; may be zero
	Interval       time.Duration    // how old the statement may be that is handed out
	MaxAge         time.Duration    // how long it may be relied on; longer than Interval
	Now            func() time.Time // nil: time.Now
}

// Revocations states which access tokens must be refused though they have not
// expired, for those who verify tokens without asking. It is safe for concurrent
// use.
type Revocations struct {
	c        RevocationsConfig
	last     atomic.Pointer[madeStatement]
	building chan struct{} // holds one while a statement is being made
}

// Statement is a signed statement of revocations.
type Statement struct {
	Body   []byte // a JWS in compact serialization
	ETag   string
	MaxAge time.Duration // how long it may be cached
}

type madeStatement struct {
	Statement
	at time.Time
}

// NewRevocations checks the configuration. It does no I/O.
func NewRevocations(c RevocationsConfig) (*Revocations, error) {
	switch {
	case c.Store == nil, c.Signer == nil:
		return nil, errors.New("session: revocations need a store and a signer")
	case c.AccessLifetime <= 0, c.Leeway < 0, c.Interval <= 0, c.MaxAge <= c.Interval:
		return nil, errors.New("session: the times of the revocations must be positive, and the maximum age more than the interval")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Revocations{c: c, building: make(chan struct{}, 1)}, nil
}

// Window is how far back the statement looks: what ended before can't be the end
// of a token that is alive. The store must keep what it is made from as long.
func (r *Revocations) Window() time.Duration {
	return r.c.AccessLifetime + r.c.Leeway + revocationsSlack
}

// Statement returns the statement, which is no older than the interval: whatever
// was revoked before that is in it. Of many callers one makes it, and the others
// wait. The error wraps repo.ErrUnavailable or tokens.ErrNotReady.
func (r *Revocations) Statement(ctx context.Context) (Statement, error) {
	if s, ok := r.fresh(); ok {
		return s, nil
	}
	select {
	case r.building <- struct{}{}:
		defer func() { <-r.building }()
	case <-ctx.Done():
		return Statement{}, fmt.Errorf("waiting for a statement: %w: %w", repo.ErrUnavailable, ctx.Err())
	}
	if s, ok := r.fresh(); ok {
		return s, nil
	}
	ctx, cancel := detached(ctx) // the others want it too
	defer cancel()
	return r.build(ctx)
}

// fresh returns the last statement where it will do.
func (r *Revocations) fresh() (Statement, bool) {
	last := r.last.Load()
	if last == nil {
		return Statement{}, false
	}
	age := r.c.Now().Sub(last.at)
	return last.Statement, age >= 0 && age < r.c.Interval
}

func (r *Revocations) build(ctx context.Context) (Statement, error) {
	now := r.c.Now() // before anything is read: what is committed later is not promised
	since := now.Add(-r.Window())
	// The cut-offs come second: a user who is deleted in between, with its sessions, is seen there.
	revoked, err := r.c.Store.RevokedSessions(ctx, since)
	if err != nil {
		return Statement{}, fmt.Errorf("listing revoked sessions: %w", err)
	}
	cutoffs, err := r.c.Store.Cutoffs(ctx, since)
	if err != nil {
		return Statement{}, fmt.Errorf("listing cut-offs: %w", err)
	}
	lifetime := (r.c.AccessLifetime + time.Second - 1) / time.Second // rounded up: exp and iat may lie as far apart
	body, err := r.c.Signer.SignStatement(RevocationsType, map[string]any{
		"iat": now.Unix(), "exp": now.Add(r.c.MaxAge).Unix(), "access_lifetime": int64(lifetime),
		"sessions": hashedSessions(revoked), "users": hashedUsers(cutoffs),
	}, now)
	if err != nil {
		return Statement{}, fmt.Errorf("signing the revocations: %w", err)
	}
	digest := sha256.Sum256([]byte(body))
	made := &madeStatement{at: now, Statement: Statement{
		Body: []byte(body), ETag: `"` + base64.RawURLEncoding.EncodeToString(digest[:18]) + `"`, MaxAge: r.c.Interval,
	}}
	r.last.Store(made)
	return made.Statement, nil
}

// shortHash is what stands for an id in the statement, which anybody may read. Of
// ten thousand entries and as many tokens in a second, two agree by chance once in
// five thousand years.
func shortHash(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}

// hashedSessions is the hashes of the sessions' ids, sorted, one behind the other.
func hashedSessions(ids []string) string {
	hashes := make([]uint64, 0, len(ids))
	for _, id := range ids {
		hashes = append(hashes, shortHash(id))
	}
	slices.Sort(hashes)
	packed := make([]byte, 0, 8*len(hashes))
	for _, hash := range slices.Compact(hashes) {
		packed = binary.BigEndian.AppendUint64(packed, hash)
	}
	return base64.RawURLEncoding.EncodeToString(packed)
}

// hashedUsers says of each user until when its tokens are refused: those of that
// second or before it.
func hashedUsers(cutoffs []repo.Cutoff) map[string]int64 {
	users := make(map[string]int64, len(cutoffs))
	for _, c := range cutoffs {
		// "iat" is in seconds. A user who is enabled again may sign in within the very second, and the new token must not
		// be refused; the sessions that this second has seen the end of are listed one by one.
		until := c.At.Unix() - 1
		if c.Deleted {
			until = c.At.Add(deletedSlack).Unix()
		}
		users[base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, shortHash(c.UserID)))] = until
	}
	return users
}
