package sqlrepo

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/internal/batch"
	"github.com/jmoiron/sqlx"
)

const (
	// A session of a known user on Postgres is one statement, which finds the user too. Like startPostgres it locks the user first.
	startKnownPostgres = `WITH u AS (UPDATE users u SET last_login = $3 FROM identities i
			WHERE i.issuer = $10 AND i.subject = $11 AND u.id = i.user_id AND u.is_active RETURNING ` + userBeside + `),
		i AS (UPDATE identities SET last_seen_at = $3 WHERE issuer = $10 AND subject = $11 AND EXISTS (SELECT 1 FROM u)),
		s AS (INSERT INTO sessions (` + sessionColumns + `)
			SELECT $1, u.id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM u),
		x AS (INSERT INTO exchanges (digest, session_id, expires_at) SELECT $23::bytea, $1, $24::timestamptz FROM u),
		e AS (INSERT INTO audit_events (` + eventColumns + `) SELECT $16, $17, $18, u.id, $19, $20, $21, $22 FROM u)
		SELECT ` + userColumns + ` FROM u`
	// Many at once are one statement too, each value an array of texts. Like rotateManyPostgres it waits for nobody: a user whose
	// row another one holds it passes over, as it does with a token that was used before, and with the second session of one user.
	startManyPostgres = `WITH w AS MATERIALIZED (SELECT * FROM unnest(
			(SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::text[]), (SELECT $4::text[]), (SELECT $5::text[]), (SELECT $6::text[]),
			(SELECT $7::text[]), (SELECT $8::text[]), (SELECT $9::text[]), (SELECT $10::text[]), (SELECT $11::text[]), (SELECT $12::text[]),
			(SELECT $13::text[]), (SELECT $14::text[]), (SELECT $15::text[]), (SELECT $16::text[]), (SELECT $17::text[]), (SELECT $18::text[]),
			(SELECT $19::text[]), (SELECT $20::text[]), (SELECT $21::text[]), (SELECT $22::text[]), (SELECT $23::text[]), (SELECT $24::text[]))
		AS w (session_id, generation, created_at, rotated_at, idle_expires_at, expires_at, late_retries, forgiven_at, method, issuer,
			subject, user_agent, ip, revoked_at, revoke_reason, event_id, at, event, event_session, event_ip, event_agent, details,
			digest, ends)),
	known AS MATERIALIZED (SELECT DISTINCT ON (i.user_id) i.user_id, w.* FROM w
		JOIN identities i ON i.issuer = w.issuer AND i.subject = w.subject),
	held AS MATERIALIZED (SELECT u.ctid AS place, k.* FROM known k JOIN users u ON u.id = k.user_id AND u.is_active
		FOR NO KEY UPDATE OF u SKIP LOCKED),
	x AS (INSERT INTO exchanges (digest, session_id, expires_at)
		SELECT decode(digest, 'hex'), session_id, ends::timestamptz FROM held ON CONFLICT (digest) DO NOTHING RETURNING session_id),
	b AS (UPDATE users u SET last_login = h.created_at::timestamptz FROM held h JOIN x ON x.session_id = h.session_id
		WHERE u.ctid = h.place AND u.id = h.user_id RETURNING h.*, ` + userBeside + `),
	i AS (UPDATE identities i SET last_seen_at = b.created_at::timestamptz FROM b WHERE i.issuer = b.issuer AND i.subject = b.subject),
	s AS (INSERT INTO sessions (` + sessionColumns + `)
		SELECT session_id, user_id, generation::bigint, created_at::timestamptz, rotated_at::timestamptz, idle_expires_at::timestamptz,
			expires_at::timestamptz, late_retries::integer, NULLIF(forgiven_at, '')::timestamptz, method, issuer, subject, user_agent, ip,
			NULLIF(revoked_at, '')::timestamptz, revoke_reason FROM b),
	e AS (INSERT INTO audit_events (` + eventColumns + `)
		SELECT event_id, at::timestamptz, event, user_id, event_session, event_ip, event_agent, details FROM b)
	SELECT session_id, ` + userColumns + ` FROM b`
)

// starting is a session that begins with an exchange, and what became of it.
type starting struct {
	session repo.Session
	use     repo.Exchange
	event   repo.AuditEvent
	args    []any // all of it but the id of the user, who is yet to be found
	user    userRow
	err     error
	alone   bool // it was passed over, and must be tried alone
}

func newStarting(begun repo.Session, use repo.Exchange, e repo.AuditEvent) *starting {
	args := slices.Delete(sessionArgs(begun), 1, 2)
	args = append(args, slices.Delete(eventArgs(e), 3, 4)...)
	args = append(args, use.Digest, micro(use.ExpiresAt))
	return &starting{session: begun, use: use, event: e, args: args}
}

// newStarts makes the queue of those who exchange; see newRotations.
func (s *Store) newStarts() *batch.Queue[*starting] {
	return &batch.Queue[*starting]{
		Size: maxBatch, Patience: batchPatience, Runs: max(1, s.Connections),
		Key: func(b *starting) string { return b.session.Issuer + "\x00" + b.session.Subject }, Run: s.startMany,
	}
}

// StartKnownSession starts a session of the user behind its issuer and subject.
func (s *Store) StartKnownSession(ctx context.Context, begun repo.Session, use repo.Exchange, e repo.AuditEvent) (repo.User, error) {
	b := newStarting(begun, use, e)
	var err error
	switch {
	case !storable(begun.Issuer, begun.Subject):
		err = sql.ErrNoRows // nobody is behind what can't be stored
	case !storable(b.args...):
		err = repo.ErrText
	case s.postgres():
		err = s.startTogether(ctx, b)
	default:
		err = s.startFound(ctx, b)
	}
	if err != nil {
		return repo.User{}, s.fail(ctx, "starting a known user's session", err)
	}
	return b.user.record(), nil
}

// startFound looks for the user before the transaction, and so before the one
// writer is taken: who is disabled or deleted in between gets no session.
func (s *Store) startFound(ctx context.Context, b *starting) error {
	if err := s.row(ctx, b.user.fields(), selectUserByIdentity, b.session.Issuer, b.session.Subject); err != nil {
		return err
	}
	b.session.UserID, b.event.UserID = b.user.ID, b.user.ID
	return s.inTx(ctx, func(tx *sqlx.Tx) error { return startIn(ctx, tx, b.session, repo.Proof{Exchange: &b.use}, b.event) })
}

// startTogether starts a session with those that others start at the same time.
func (s *Store) startTogether(ctx context.Context, b *starting) error {
	if err := s.starts.Do(ctx, b); err != nil {
		return err
	}
	if b.alone {
		return s.startKnown(ctx, b)
	}
	return b.err
}

func (s *Store) startKnown(ctx context.Context, b *starting) error {
	return s.preparedUnwatched(ctx, s.Write, startKnownPostgres, func(ctx context.Context, st *sqlx.Stmt) error {
		return st.QueryRowContext(ctx, b.args...).Scan(b.user.fields()...)
	})
}

func (s *Store) startMany(ctx context.Context, batch []*starting) {
	if len(batch) == 1 {
		batch[0].err = s.startKnown(ctx, batch[0])
		return
	}
	columns := make([][]string, len(batch[0].args))
	byID := make(map[string]*starting, len(batch))
	for _, b := range batch {
		for i, value := range b.args {
			columns[i] = append(columns[i], asText(value))
		}
		byID[b.session.ID], b.alone = b, true
	}
	args := make([]any, len(columns))
	for i := range columns {
		args[i] = columns[i]
	}
	err := s.rows(ctx, s.Write, startManyPostgres, args, func(rows *sql.Rows) error {
		var id string
		var user userRow
		err := rows.Scan(append([]any{&id}, user.fields()...)...)
		if b := byID[id]; err == nil {
			b.user, b.alone = user, false
		}
		return err
	})
	if err == nil {
		return
	}
	for _, b := range batch {
		b.err, b.alone = err, s.mayBeOnes(err)
	}
}

// asText is a value as Postgres reads it; a time that is NULL is "".
func asText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case sql.NullTime:
		if !v.Valid {
			return ""
		}
		return v.Time.Format(time.RFC3339Nano)
	case []byte:
		return hex.EncodeToString(v)
	}
	return fmt.Sprint(value)
}
