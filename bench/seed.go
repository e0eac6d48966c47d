package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/cookie"
	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/tokens"

	_ "github.com/lib/pq"  // the two engines that sessions are generated in
	_ "modernc.org/sqlite" // the other
)

const (
	issuer    = "http://localhost"
	plain     = "correct horse battery staple" // the password of every user
	firstID   = 100_000_000_000                // ids are a prefix and twelve digits, as long as a UUID
	sessionIs = "0193a000-0000-7000-8000-"
	userIs    = "0193a000-0000-7000-9000-"
)

func sessionID(i int) string  { return sessionIs + strconv.Itoa(firstID+i) }
func userID(i int) string     { return userIs + strconv.Itoa(firstID+i) }
func usernameOf(i int) string { return "user" + strconv.Itoa(firstID+i) }
func emailOf(i int) string    { return usernameOf(i) + "@example.com" }
func subjectOf(i int) string  { return "subject-" + strconv.Itoa(firstID+i) }

// world is what all servers of a run share: the secret, and what follows from it.
type world struct {
	secret string
	idp    *idp
	mint   *tokens.Service // makes the refresh tokens of seeded sessions
	signer *cookie.Signer
	csrf   *cookie.CSRF
	hash   string // of the password
}

func newWorld(ctx context.Context, secret string) (*world, error) {
	if secret == "" {
		secret = rand.Text() + rand.Text()
	}
	w := &world{secret: secret}
	var err error
	// Refresh tokens do not depend on the algorithm of access tokens; with HS256 no key store is needed.
	if w.mint, err = tokens.New(tokens.Config{Issuer: issuer, Algorithm: tokens.HS256, Secret: secret}); err != nil {
		return nil, err
	}
	if w.signer, err = cookie.NewSigner(cookie.Config{Name: refreshCookie, Salt: "extra", Secret: secret}); err != nil {
		return nil, err
	}
	w.csrf = cookie.NewCSRF(w.mint.DeriveKeys("gatehouse/csrf/1")...)
	hasher, err := password.New(password.Config{})
	if err != nil {
		return nil, err
	}
	if w.hash, err = hasher.Hash(ctx, plain); err != nil {
		return nil, err
	}
	w.idp, err = newIDP(ctx)
	return w, err
}

// cookieOf makes the refresh cookie of a seeded session's generation, as the
// server would.
func (w *world) cookieOf(session, users int, generation int64, now time.Time) (string, error) {
	token, err := w.mint.IssueRefresh(tokens.Refresh{
		SessionID: sessionID(session), Generation: generation, UserID: userID(session % users), IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour),
	})
	if err != nil {
		return "", err
	}
	return w.signer.Sign(token, now), nil
}

// The statements that generate rows, for both engines. A user has several
// sessions, the last of which are not near the first.
const (
	seedUsers = `WITH RECURSIVE n(i) AS (SELECT CAST($1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < CAST($2 AS bigint))
		INSERT INTO users (id, username, email, email_verified, first_name, last_name, password, is_active, is_staff,
			is_superuser, attributes, date_joined, updated_at)
		SELECT '` + userIs + `' || i, 'user' || i, 'user' || i || '@example.com', true, 'Given', 'Family', $3, true, false, false,
			'{}', CAST($4 AS timestamptz), CAST($4 AS timestamptz) FROM n`
	seedIdentities = `WITH RECURSIVE n(i) AS (SELECT CAST($1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < CAST($2 AS bigint))
		INSERT INTO identities (issuer, subject, user_id, provider, created_at, last_seen_at)
		SELECT $3, 'subject-' || i, '` + userIs + `' || i, 'cognito', CAST($4 AS timestamptz), CAST($4 AS timestamptz) FROM n`
	seedSessions = `WITH RECURSIVE n(i) AS (SELECT CAST($1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < CAST($2 AS bigint))
		INSERT INTO sessions (id, user_id, generation, created_at, rotated_at, idle_expires_at, expires_at, late_retries, method,
			issuer, subject, user_agent, ip, revoke_reason)
		SELECT '` + sessionIs + `' || i, '` + userIs + `' || (CAST($1 AS bigint) + (i - CAST($1 AS bigint)) % CAST($3 AS bigint)), 1,
			CAST($4 AS timestamptz), CAST($4 AS timestamptz), CAST($5 AS timestamptz), CAST($6 AS timestamptz), 0, 'password', '', '',
			'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '192.0.2.1', '' FROM n`
)

// seed fills a migrated database with users and sessions.
func (w *world) seed(ctx context.Context, e *engine) error {
	now := e.seededAt
	last := func(n int) int { return firstID + n - 1 }
	for _, s := range []struct {
		text string
		args []any
	}{
		{seedUsers, []any{firstID, last(e.users), w.hash, now}},
		{seedIdentities, []any{firstID, last(e.users), w.idp.issuer, now}},
		{seedSessions, []any{firstID, last(e.sessions), e.users, now, now.Add(24 * time.Hour), now.Add(720 * time.Hour)}},
	} {
		if _, err := e.db.ExecContext(ctx, s.text, s.args...); err != nil {
			return fmt.Errorf("seeding: %w", err)
		}
	}
	return nil
}
