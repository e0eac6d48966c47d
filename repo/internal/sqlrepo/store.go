// Package sqlrepo is the queries of a repository, once for all engines. Where an
// engine needs a text of its own, the two stand side by side.
package sqlrepo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/migrations"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/internal/batch"
	"github.com/jmoiron/sqlx"
)

// Config is an engine, opened.
type Config struct {
	Dialect migrations.Dialect
	Write   *sqlx.DB
	Read    *sqlx.DB // may be the same
	// Classify turns a driver's error into one that wraps the sentinel of package repo that it means, if any.
	Classify func(error) error
	// Connections is how many the one pool has, where statements of every request are not watched; see unwatched. 0: all are.
	Connections int
	// StalePlan reports whether an error says that a prepared statement must be prepared anew.
	StalePlan func(error) bool
}

// Store fulfils repo.Repository.
type Store struct {
	Config
	statements sync.Map // by pool and text: *sqlx.Stmt
	places     chan struct{}
	rotations  *batch.Queue[*rotation]
	starts     *batch.Queue[*starting]
}

var _ repo.Repository = (*Store)(nil)

// New returns the store of an engine. It does no I/O.
func New(c Config) *Store {
	s := &Store{Config: c, places: make(chan struct{}, c.Connections)}
	s.rotations, s.starts = s.newRotations(), s.newStarts()
	return s
}

// Close closes the pools.
func (s *Store) Close() error {
	err := s.Write.Close()
	if s.Read != s.Write {
		err = errors.Join(err, s.Read.Close())
	}
	return err
}

// Migrate brings the schema to the latest version.
func (s *Store) Migrate(ctx context.Context) error {
	return s.fail(ctx, "migrating", migrations.Up(ctx, s.Write.DB, s.Dialect))
}

// MigrateDown takes the latest migration back.
func (s *Store) MigrateDown(ctx context.Context) error {
	return s.fail(ctx, "migrating down", migrations.Down(ctx, s.Write.DB, s.Dialect))
}

// MigrationStatus says where the schema stands.
func (s *Store) MigrationStatus(ctx context.Context) (migrations.Status, error) {
	status, err := migrations.StatusOf(ctx, s.Write.DB, s.Dialect)
	return status, s.fail(ctx, "reading the schema's version", err)
}

// Ping reports whether the store answers and has the schema.
func (s *Store) Ping(ctx context.Context) error {
	return s.fail(ctx, "asking the store", migrations.Check(ctx, s.Read.DB, s.Dialect))
}

func (s *Store) postgres() bool { return s.Dialect == migrations.Postgres }

// fail classifies an error and says what was being done.
func (s *Store) fail(ctx context.Context, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		err = repo.ErrNotFound
	case errors.Is(err, repo.ErrNotFound), errors.Is(err, repo.ErrStale), errors.Is(err, repo.ErrConflict),
		errors.Is(err, repo.ErrText):
	case ctx.Err() != nil:
		// The drivers have errors of their own for a context that is done.
		err = fmt.Errorf("%w: %w", repo.ErrUnavailable, ctx.Err())
	default:
		err = s.Classify(err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// statementKey names a prepared statement.
type statementKey struct {
	pool *sqlx.DB
	text string
}

// enter waits under the context until there is a connection, for who is not
// watched would wait for one without end in database/sql. It is for all who ask the
// pool, but for migrations and Ping. leave follows where there is no error.
func (s *Store) enter(ctx context.Context) error {
	if s.Connections == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() {
	if s.Connections > 0 {
		<-s.places
	}
}

// prepared runs f with the statement, which is prepared once for each pool. A
// statement whose plan no longer fits the schema is prepared anew, once.
func (s *Store) prepared(ctx context.Context, pool *sqlx.DB, text string, f func(*sqlx.Stmt) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.preparedWithin(ctx, pool, text, f)
}

// preparedWithin is prepared for who has entered.
func (s *Store) preparedWithin(ctx context.Context, pool *sqlx.DB, text string, f func(*sqlx.Stmt) error) error {
	key := statementKey{pool, text}
	for try := 0; ; try++ {
		found, ok := s.statements.Load(key)
		if !ok {
			fresh, err := pool.PreparexContext(ctx, text)
			if err != nil {
				return err
			}
			var lost bool
			if found, lost = s.statements.LoadOrStore(key, fresh); lost {
				_ = fresh.Close() // another was faster
			}
		}
		statement, _ := found.(*sqlx.Stmt)
		err := f(statement)
		if err == nil || try > 0 || !s.StalePlan(err) {
			return err
		}
		s.statements.CompareAndDelete(key, found) // others may be at it still, so that it ends with its connections
	}
}

// unwatched is a context that nobody waits for. To watch one, database/sql and
// lib/pq start a goroutine each for every statement, a tenth of what a refresh costs
// the process. Its deadline still bounds the making of a connection.
type unwatched struct{ context.Context } //nolint:containedctx // it is one

// Done is nil: it is never done.
func (unwatched) Done() <-chan struct{} { return nil }

// preparedUnwatched is prepared for the statements of every request. Under the
// context it waits for a connection; the statement itself is bounded by
// Postgres, and by how long its connection waits for an answer.
func (s *Store) preparedUnwatched(ctx context.Context, pool *sqlx.DB, text string, f func(context.Context, *sqlx.Stmt) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	within := ctx
	if s.Connections > 0 {
		within = unwatched{ctx}
	}
	return s.preparedWithin(within, pool, text, func(st *sqlx.Stmt) error { return f(within, st) })
}

// row reads one row for a reader of every request.
func (s *Store) row(ctx context.Context, into []any, text string, args ...any) error {
	if !storable(args...) {
		return sql.ErrNoRows // what can't be stored is not there
	}
	return s.preparedUnwatched(ctx, s.Read, text, func(ctx context.Context, st *sqlx.Stmt) error {
		return st.QueryRowContext(ctx, args...).Scan(into...)
	})
}

// rows runs a statement for a batch, whose values are arrays, and calls scan at each of its rows.
func (s *Store) rows(ctx context.Context, pool *sqlx.DB, text string, args []any, scan func(*sql.Rows) error) error {
	return s.preparedUnwatched(ctx, pool, text, func(ctx context.Context, st *sqlx.Stmt) error {
		rows, err := st.QueryContext(ctx, args...)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // rows.Err says it
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// get reads one row for a reader.
func (s *Store) get(ctx context.Context, into any, text string, args ...any) error {
	if !storable(args...) {
		return sql.ErrNoRows // what can't be stored is not there
	}
	return s.prepared(ctx, s.Read, text, func(st *sqlx.Stmt) error { return st.GetContext(ctx, into, args...) })
}

// list reads rows for a reader.
func (s *Store) list(ctx context.Context, into any, text string, args ...any) error {
	if !storable(args...) {
		return nil
	}
	return s.prepared(ctx, s.Read, text, func(st *sqlx.Stmt) error { return st.SelectContext(ctx, into, args...) })
}

// change runs one statement that writes, and returns how many rows it wrote.
func (s *Store) change(ctx context.Context, text string, args ...any) (n int64, err error) {
	if !storable(args...) {
		return 0, repo.ErrText
	}
	err = s.prepared(ctx, s.Write, text, func(st *sqlx.Stmt) error {
		result, err := st.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}

// inTx runs f in a transaction, which is committed where f returns nil.
func (s *Store) inTx(ctx context.Context, f func(tx *sqlx.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	tx, err := s.Write.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // f's error says more
		return err
	}
	return tx.Commit()
}

// changeIn runs a statement in a transaction, and returns how many rows it wrote.
func changeIn(ctx context.Context, tx *sqlx.Tx, text string, args ...any) (int64, error) {
	if !storable(args...) {
		return 0, repo.ErrText
	}
	result, err := tx.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// storable reports whether every text among the values is UTF-8 without NUL.
// SQLite would keep others; but what is refused must not depend on the engine.
func storable[T any](values ...T) bool {
	return !slices.ContainsFunc(values, func(value T) bool {
		text, ok := any(value).(string)
		return ok && (strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text))
	})
}

// micro is a time as the store keeps it: UTC, cut to microseconds.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// nullable is a time that may be zero, which the store keeps as NULL.
func nullable(t time.Time) sql.NullTime { return sql.NullTime{Time: micro(t), Valid: !t.IsZero()} }

// fromNull is the way back.
func fromNull(t sql.NullTime) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return micro(t.Time)
}

// object is a JSON object as the store keeps it.
func object(raw []byte) string {
	if len(raw) == 0 {
		return "{}"
	}
	return string(raw)
}
