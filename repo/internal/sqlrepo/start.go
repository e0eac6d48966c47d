package sqlrepo

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/internal/batch"
	"github.com/jmoiron/sqlx"
)

const (
	// A session of a known user on Postgres is one statement, which finds the user too. Like startPostgres it locks the user first.
	startKnownPostgres = `WITH u AS (UPDATE users u SET last_login = $2 FROM identities i
			WHERE i.issuer = $6 AND i.subject = $7 AND u.id = i.user_id AND u.is_active RETURNING ` + userBeside + `),
		i AS (UPDATE identities SET last_seen_at = $2 WHERE issuer = $6 AND subject = $7 AND EXISTS (SELECT 1 FROM u)),
		s AS (INSERT INTO sessions (` + sessionColumns + `)
			SELECT $1, u.id, 1, $2, $2, $3, $4, 0, NULL, $5, $6, $7, $8, $9, NULL, '' FROM u),
		x AS (INSERT INTO exchanges (digest, session_id, expires_at) SELECT $13::bytea, $1, $14::timestamptz FROM u),
		e AS (INSERT INTO audit_events (` + eventColumns + `) SELECT $10, $2, $11, u.id, $1, $9, $8, $12 FROM u)
		SELECT ` + userColumns + ` FROM u`
	// Many at once are one statement too, each value an array. Like rotateManyPostgres it waits for nobody: a user whose
	// row another one holds it passes over, as it does with a token that was used before, and with the second session of one
	// user. From step to step it hands each one's place in the arrays (n): a row of all values would be copied at each.
	// It finds the users that it holds again by their ids: by the place (ctid) of the row it would not see one that another
	// one has changed since it began, and the token would be used without a session.
	startManyPostgres = `WITH known AS MATERIALIZED (SELECT DISTINCT ON (i.user_id) i.user_id, w.id, w.n
			FROM unnest((SELECT $1::text[]), (SELECT $6::text[]), (SELECT $7::text[])) WITH ORDINALITY AS w (id, issuer, subject, n)
			JOIN identities i ON i.issuer = w.issuer AND i.subject = w.subject),
	held AS MATERIALIZED (SELECT k.* FROM known k JOIN users u ON u.id = k.user_id AND u.is_active
		FOR NO KEY UPDATE OF u SKIP LOCKED),
	x AS (INSERT INTO exchanges (digest, session_id, expires_at)
		SELECT decode(($13::text[])[n], 'hex'), id, ($14::timestamptz[])[n] FROM held
		ON CONFLICT (digest) DO NOTHING RETURNING session_id),
	b AS (UPDATE users u SET last_login = ($2::timestamptz[])[h.n] FROM held h JOIN x ON x.session_id = h.id
		WHERE u.id = h.user_id RETURNING h.n, ` + userBeside + `),
	i AS (UPDATE identities i SET last_seen_at = ($2::timestamptz[])[b.n] FROM b
		WHERE i.issuer = ($6::text[])[b.n] AND i.subject = ($7::text[])[b.n]),
	s AS (INSERT INTO sessions (` + sessionColumns + `)
		SELECT ($1::text[])[n], id, 1, ($2::timestamptz[])[n], ($2::timestamptz[])[n], ($3::timestamptz[])[n],
			($4::timestamptz[])[n], 0, NULL, ($5::text[])[n], ($6::text[])[n], ($7::text[])[n], ($8::text[])[n], ($9::text[])[n],
			NULL, '' FROM b),
	e AS (INSERT INTO audit_events (` + eventColumns + `)
		SELECT ($10::text[])[n], ($2::timestamptz[])[n], ($11::text[])[n], id, ($1::text[])[n], ($9::text[])[n], ($8::text[])[n],
			($12::text[])[n] FROM b)
	SELECT n, ` + userColumns + ` FROM b`
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
	args := []any{
		begun.ID, micro(begun.CreatedAt), micro(begun.IdleExpiresAt), micro(begun.ExpiresAt), begun.Method, begun.Issuer, begun.Subject,
		begun.UserAgent, begun.IP, e.ID, e.Event, object(e.Details), use.Digest, micro(use.ExpiresAt),
	}
	return &starting{session: begun, use: use, event: e, args: args}
}

// An exchange writes five rows where a refresh writes one. With batchPatience its batches were often given up on while
// they worked, and two of half the size cost Postgres more.
const startPatience = 20 * time.Millisecond

// newStarts makes the queue of those who exchange; see newRotations.
func (s *Store) newStarts() *batch.Queue[*starting] {
	return &batch.Queue[*starting]{
		Size: maxBatch, Alone: 1, Patience: startPatience, Runs: max(1, s.Connections),
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
	for _, b := range batch {
		for i, value := range b.args {
			columns[i] = append(columns[i], asText(value))
		}
		b.alone = true
	}
	args := make([]any, len(columns))
	for i := range columns {
		args[i] = columns[i]
	}
	err := s.rows(ctx, s.Write, startManyPostgres, args, func(rows *sql.Rows) error {
		var n int // counted from 1, as in the arrays
		var user userRow
		err := rows.Scan(append([]any{&n}, user.fields()...)...)
		if err == nil {
			batch[n-1].user, batch[n-1].alone = user, false
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

// asText is a value as Postgres reads it in an array of texts.
func asText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case []byte:
		return hex.EncodeToString(v)
	}
	return fmt.Sprint(value)
}
