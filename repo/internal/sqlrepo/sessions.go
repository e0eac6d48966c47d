package sqlrepo

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	// startSession on Postgres is one round trip. The update of the user comes first: it locks the row, so that a user
	// who is being disabled or deleted, or whose password is being changed, gets no session behind the change's back.
	startPostgres = `WITH u AS (UPDATE users SET last_login = $4 WHERE id = $2 AND is_active AND ($24 = '' OR password = $24) RETURNING id),
		i AS (UPDATE identities SET last_seen_at = $4 WHERE issuer = $11 AND subject = $12 AND EXISTS (SELECT 1 FROM u)),
		s AS (INSERT INTO sessions (` + sessionColumns + `)
			SELECT $1, u.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 FROM u),
		t AS (UPDATE throttle SET count = count - 1 WHERE count > 0 AND key IN
			(SELECT key FROM throttle WHERE key = ANY($25::text[]) ORDER BY key FOR UPDATE) AND EXISTS (SELECT 1 FROM u))
		INSERT INTO audit_events (` + eventColumns + `) SELECT $17, $18, $19, u.id, $20, $21, $22, $23 FROM u`
	startExchangePostgres = `WITH u AS (UPDATE users SET last_login = $4 WHERE id = $2 AND is_active AND ($24 = '' OR password = $24) RETURNING id),
		i AS (UPDATE identities SET last_seen_at = $4 WHERE issuer = $11 AND subject = $12 AND EXISTS (SELECT 1 FROM u)),
		s AS (INSERT INTO sessions (` + sessionColumns + `)
			SELECT $1, u.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 FROM u),
		x AS (INSERT INTO exchanges (digest, session_id, expires_at) SELECT $25::bytea, $1, $26::timestamptz FROM u)
		INSERT INTO audit_events (` + eventColumns + `) SELECT $17, $18, $19, u.id, $20, $21, $22, $23 FROM u`
	// On SQLite, whose WITH can't write, they are statements of one transaction.
	touchUser     = `UPDATE users SET last_login = $2 WHERE id = $1 AND is_active AND ($3 = '' OR password = $3)`
	touchIdentity = `UPDATE identities SET last_seen_at = $3 WHERE issuer = $1 AND subject = $2`
	insertSession = `INSERT INTO sessions (` + sessionColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`
	insertExchange = `INSERT INTO exchanges (digest, session_id, expires_at) VALUES ($1, $2, $3)`
	selectExchange = `SELECT digest, session_id, expires_at FROM exchanges WHERE digest = $1`

	selectJoined = `SELECT ` + joinedColumns + ` FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1`
	forgive      = `UPDATE sessions SET late_retries = late_retries + 1, forgiven_at = $4
		WHERE id = $1 AND generation = $2 AND late_retries < $3 AND revoked_at IS NULL`
	selectAddresses = `SELECT DISTINCT ip FROM sessions WHERE user_id = $1`

	selectAlive = `SELECT ` + sessionColumns + ` FROM sessions WHERE user_id = $1 AND revoked_at IS NULL AND idle_expires_at > $2
		ORDER BY rotated_at DESC, id DESC`
	revokeSession      = `UPDATE sessions SET revoked_at = $2, revoke_reason = $3 WHERE id = $1 AND revoked_at IS NULL`
	revokeUserSessions = `UPDATE sessions SET revoked_at = $3, revoke_reason = $4
		WHERE user_id = $1 AND id <> $2 AND revoked_at IS NULL`
)

// StartSession stores a new session with all that belongs to it.
func (s *Store) StartSession(ctx context.Context, begun repo.Session, p repo.Proof, e repo.AuditEvent) error {
	var err error
	if s.postgres() {
		err = s.startPostgres(ctx, begun, p, e)
	} else {
		err = s.inTx(ctx, func(tx *sqlx.Tx) error { return startIn(ctx, tx, begun, p, e) })
	}
	return s.fail(ctx, "starting a session", err)
}

func (s *Store) startPostgres(ctx context.Context, begun repo.Session, p repo.Proof, e repo.AuditEvent) error {
	args := append(sessionArgs(begun), e.ID, micro(e.At), e.Event, e.SessionID, e.IP, e.UserAgent, object(e.Details), p.Password)
	text := startPostgres
	if x := p.Exchange; x != nil {
		text = startExchangePostgres
		args = append(args, x.Digest, micro(x.ExpiresAt))
	} else {
		args = append(args, once(p.Attempts))
	}
	n, err := s.change(ctx, text, args...)
	if err == nil && n == 0 {
		err = repo.ErrNotFound
	}
	return err
}

func startIn(ctx context.Context, tx *sqlx.Tx, begun repo.Session, p repo.Proof, e repo.AuditEvent) error {
	n, err := changeIn(ctx, tx, touchUser, begun.UserID, micro(begun.CreatedAt), p.Password)
	if err == nil && n == 0 {
		err = repo.ErrNotFound
	}
	if err == nil && begun.Issuer != "" {
		_, err = changeIn(ctx, tx, touchIdentity, begun.Issuer, begun.Subject, micro(begun.CreatedAt))
	}
	if err == nil {
		_, err = changeIn(ctx, tx, insertSession, sessionArgs(begun)...)
	}
	if x := p.Exchange; err == nil && x != nil {
		_, err = changeIn(ctx, tx, insertExchange, x.Digest, begun.ID, micro(x.ExpiresAt))
	}
	if err == nil {
		err = takeBackIn(ctx, tx, p.Attempts)
	}
	if err == nil {
		_, err = changeIn(ctx, tx, insertEvent, eventArgs(e)...)
	}
	return err
}

// FindExchange returns the use of an ID token.
func (s *Store) FindExchange(ctx context.Context, digest []byte) (repo.Exchange, error) {
	var row struct {
		Digest    []byte    `db:"digest"`
		SessionID string    `db:"session_id"`
		ExpiresAt time.Time `db:"expires_at"`
	}
	if err := s.get(ctx, &row, selectExchange, digest); err != nil {
		return repo.Exchange{}, s.fail(ctx, "finding an exchange", err)
	}
	return repo.Exchange{Digest: row.Digest, SessionID: row.SessionID, ExpiresAt: micro(row.ExpiresAt)}, nil
}

// FindSession returns a session and its user.
func (s *Store) FindSession(ctx context.Context, id string) (repo.SessionUser, error) {
	var row joinedRow
	if err := s.row(ctx, row.fields(), selectJoined, id); err != nil {
		return repo.SessionUser{}, s.fail(ctx, "finding a session", err)
	}
	return row.record(), nil
}

// ForgiveLateRetry takes one of a session's late retries.
func (s *Store) ForgiveLateRetry(ctx context.Context, id string, generation int64, budget int, e repo.AuditEvent) error {
	_, err := s.withEvent(ctx, e, forgive, id, generation, budget, micro(e.At))
	if errors.Is(err, errNone) {
		err = repo.ErrStale
	}
	return s.fail(ctx, "forgiving a late retry", err)
}

// SessionAddresses lists where a user came from.
func (s *Store) SessionAddresses(ctx context.Context, userID string) ([]string, error) {
	var addresses []string
	err := s.list(ctx, &addresses, selectAddresses, userID)
	return addresses, s.fail(ctx, "listing the addresses of sessions", err)
}

// ListSessions lists a user's sessions that are alive.
func (s *Store) ListSessions(ctx context.Context, userID string, now time.Time) ([]repo.Session, error) {
	var rows []sessionRow
	if err := s.list(ctx, &rows, selectAlive, userID, micro(now)); err != nil {
		return nil, s.fail(ctx, "listing sessions", err)
	}
	sessions := make([]repo.Session, 0, len(rows))
	for _, row := range rows {
		sessions = append(sessions, row.record())
	}
	return sessions, nil
}

// RevokeSession ends a session.
func (s *Store) RevokeSession(ctx context.Context, id, reason string, e repo.AuditEvent) (bool, error) {
	n, err := s.withEvent(ctx, e, revokeSession, id, micro(e.At), reason)
	return n > 0, s.fail(ctx, "revoking a session", unlessNone(err))
}

// RevokeUserSessions ends a user's sessions but one.
func (s *Store) RevokeUserSessions(ctx context.Context, userID, keepSession, reason string, e repo.AuditEvent) (int, error) {
	n, err := s.withEvent(ctx, e, revokeUserSessions, userID, keepSession, micro(e.At), reason)
	return int(n), s.fail(ctx, "revoking sessions", unlessNone(err))
}
