package sqlrepo

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	insertEvent  = `INSERT INTO audit_events (` + eventColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	selectEvents = `SELECT ` + eventColumns + ` FROM audit_events ORDER BY id DESC LIMIT $1`
	// A text of its own: no plan for both, made once, could use the index.
	selectUserEvents = `SELECT ` + eventColumns + ` FROM audit_events WHERE user_id = $1 ORDER BY id DESC LIMIT $2`
)

// RecordEvent stores an event.
func (s *Store) RecordEvent(ctx context.Context, e repo.AuditEvent) error {
	_, err := s.change(ctx, insertEvent, eventArgs(e)...)
	return s.fail(ctx, "recording an event", err)
}

// ListEvents lists events, the newest first.
func (s *Store) ListEvents(ctx context.Context, userID string, limit int) ([]repo.AuditEvent, error) {
	var rows []eventRow
	text, args := selectUserEvents, []any{userID, limit}
	if userID == "" {
		text, args = selectEvents, []any{limit}
	}
	if err := s.list(ctx, &rows, text, args...); err != nil {
		return nil, s.fail(ctx, "listing events", err)
	}
	events := make([]repo.AuditEvent, 0, len(rows))
	for _, row := range rows {
		events = append(events, row.record())
	}
	return events, nil
}

// errNone says that a change found nothing to change.
var errNone = errors.New("sqlrepo: nothing to change")

// withEvent makes a change and records its event in one transaction, on Postgres
// in one statement, and returns how many rows it changed. errNone where it was
// none; then nothing is recorded.
func (s *Store) withEvent(ctx context.Context, e repo.AuditEvent, text string, args ...any) (n int64, err error) {
	if !storable(args...) {
		return 0, errNone // nothing has such a key
	}
	values := eventArgs(e)
	if s.postgres() && storable(values...) {
		err = s.preparedUnwatched(ctx, s.Write, eventWith(text, len(args)), func(ctx context.Context, st *sqlx.Stmt) error {
			return st.QueryRowContext(ctx, append(args, values...)...).Scan(&n)
		})
		if err == nil && n == 0 {
			err = errNone
		}
		return n, err
	}
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if n, err = changeIn(ctx, tx, text, args...); err != nil {
			return err
		}
		if n == 0 {
			return errNone
		}
		_, err = changeIn(ctx, tx, insertEvent, values...)
		return err
	})
	return n, err
}

// eventWith is a statement that has so many values, with an event where it
// changes a row. It returns how many it changed.
func eventWith(text string, values int) string {
	b := []byte("WITH c AS (" + text + " RETURNING 1), e AS (INSERT INTO audit_events (" + eventColumns + ") SELECT ")
	for i := range eventValues {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(append(b, '$'), int64(values+i+1), 10)
	}
	return string(append(b, " WHERE EXISTS (SELECT 1 FROM c)) SELECT count(*) FROM c"...))
}

// unlessNone drops errNone.
func unlessNone(err error) error {
	if errors.Is(err, errNone) {
		return nil
	}
	return err
}

// staleIfNone makes ErrStale of a RETURNING without rows.
func staleIfNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return repo.ErrStale
	}
	return err
}
