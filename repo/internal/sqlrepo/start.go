package sqlrepo

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/internal/batch"
)

// startManyPostgres is startExchangePostgres for many at once, each value an
// array of texts. Like rotateManyPostgres it waits for nobody: a user whose row
// another one holds it passes over, as it does with a token that was used before.
const startManyPostgres = `WITH w AS MATERIALIZED (SELECT * FROM unnest(
			(SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::text[]), (SELECT $4::text[]), (SELECT $5::text[]), (SELECT $6::text[]),
			(SELECT $7::text[]), (SELECT $8::text[]), (SELECT $9::text[]), (SELECT $10::text[]), (SELECT $11::text[]), (SELECT $12::text[]),
			(SELECT $13::text[]), (SELECT $14::text[]), (SELECT $15::text[]), (SELECT $16::text[]), (SELECT $17::text[]), (SELECT $18::text[]),
			(SELECT $19::text[]), (SELECT $20::text[]), (SELECT $21::text[]), (SELECT $22::text[]), (SELECT $23::text[]), (SELECT $24::text[]),
			(SELECT $25::text[]))
		AS w (` + sessionColumns + `, event_id, at, event, event_session, event_ip, event_agent, details, digest, ends)),
	held AS MATERIALIZED (SELECT u.ctid AS place, w.* FROM w JOIN users u ON u.id = w.user_id AND u.is_active
		FOR NO KEY UPDATE OF u SKIP LOCKED),
	x AS (INSERT INTO exchanges (digest, session_id, expires_at)
		SELECT decode(digest, 'hex'), id, ends::timestamptz FROM held ON CONFLICT (digest) DO NOTHING RETURNING session_id),
	b AS (UPDATE users u SET last_login = h.created_at::timestamptz FROM held h JOIN x ON x.session_id = h.id
		WHERE u.ctid = h.place AND u.id = h.user_id RETURNING h.*),
	i AS (UPDATE identities i SET last_seen_at = b.created_at::timestamptz FROM b WHERE i.issuer = b.issuer AND i.subject = b.subject),
	s AS (INSERT INTO sessions (` + sessionColumns + `)
		SELECT id, user_id, generation::bigint, created_at::timestamptz, rotated_at::timestamptz, idle_expires_at::timestamptz,
			expires_at::timestamptz, late_retries::integer, NULLIF(forgiven_at, '')::timestamptz, method, issuer, subject, user_agent, ip,
			NULLIF(revoked_at, '')::timestamptz, revoke_reason FROM b),
	e AS (INSERT INTO audit_events (` + eventColumns + `)
		SELECT event_id, at::timestamptz, event, user_id, event_session, event_ip, event_agent, details FROM b)
	SELECT id FROM b`

// startValues is how many values startManyPostgres has.
const startValues = 25

// starting is a session that begins with an exchange, and what became of it.
type starting struct {
	session repo.Session
	use     repo.Exchange
	event   repo.AuditEvent
	err     error
	alone   bool // it was passed over, and must be tried alone
}

func (b *starting) values() []any {
	return append(sessionArgs(b.session), b.event.ID, micro(b.event.At), b.event.Event, b.event.SessionID, b.event.IP,
		b.event.UserAgent, object(b.event.Details), b.use.Digest, micro(b.use.ExpiresAt))
}

// newStarts makes the queue of those who exchange; see newRotations.
func (s *Store) newStarts() *batch.Queue[*starting] {
	return &batch.Queue[*starting]{
		Size: maxBatch, Patience: batchPatience, Runs: max(1, s.Connections),
		Key: func(b *starting) string { return b.session.UserID }, Run: s.startMany,
	}
}

// startTogether starts a session with those that others start at the same time.
func (s *Store) startTogether(ctx context.Context, begun repo.Session, use repo.Exchange, e repo.AuditEvent) error {
	b := &starting{session: begun, use: use, event: e}
	if !storable(b.values()...) {
		return repo.ErrText
	}
	if err := s.starts.Do(ctx, b); err != nil {
		return err
	}
	if b.alone {
		return s.startAlone(ctx, begun, repo.Proof{Exchange: &use}, e)
	}
	return b.err
}

func (s *Store) startMany(ctx context.Context, batch []*starting) {
	if len(batch) == 1 {
		b := batch[0]
		b.err = s.startAlone(ctx, b.session, repo.Proof{Exchange: &b.use}, b.event)
		return
	}
	columns := make([][]string, startValues)
	byID := make(map[string]*starting, len(batch))
	for _, b := range batch {
		for i, value := range b.values() {
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
		err := rows.Scan(&id)
		if err == nil {
			byID[id].alone = false
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
