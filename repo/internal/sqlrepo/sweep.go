package sqlrepo

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	// A sweep walks along the primary key, so that the columns that change with every refresh need no index.
	pageOfSessions = `SELECT count(*) AS n, max(id) AS last
		FROM (SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT $2) AS page`
	sweepSessionsPostgres = `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE id > $1 AND id <= $2
		AND (idle_expires_at < $3 OR revoked_at < $3) FOR UPDATE SKIP LOCKED)`
	sweepSessionsSQLite = `DELETE FROM sessions WHERE id > $1 AND id <= $2 AND (idle_expires_at < $3 OR revoked_at < $3)`

	// ANY (ARRAY(...)), since Postgres may plan IN as a join that runs the subquery, and so its LIMIT, again and again.
	sweepExchangesPostgres = `DELETE FROM exchanges WHERE digest = ANY (ARRAY(SELECT digest FROM exchanges WHERE expires_at < $1
		ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sweepExchangesSQLite = `DELETE FROM exchanges WHERE digest IN (SELECT digest FROM exchanges WHERE expires_at < $1
		ORDER BY expires_at LIMIT $2)`
	sweepThrottlePostgres = `DELETE FROM throttle WHERE key = ANY (ARRAY(SELECT key FROM throttle WHERE window_start < $1
		ORDER BY window_start LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sweepThrottleSQLite = `DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE window_start < $1
		ORDER BY window_start LIMIT $2)`

	// The keys are locked in the order of their column, here and where they are taken back, so that two callers with keys
	// in common can't block each other.
	addAttemptsPostgres = `INSERT INTO throttle (key, window_start, count)
		SELECT k, $2, 1 FROM unnest($1::text[]) AS k ORDER BY k COLLATE "C"
		ON CONFLICT (key) DO UPDATE SET
			count = CASE WHEN throttle.window_start < $3 THEN 1 ELSE throttle.count + 1 END,
			window_start = CASE WHEN throttle.window_start < $3 THEN $2 ELSE throttle.window_start END
		RETURNING key, count`
	addAttemptSQLite = `INSERT INTO throttle (key, window_start, count) VALUES ($1, $2, 1)
		ON CONFLICT (key) DO UPDATE SET
			count = CASE WHEN throttle.window_start < $3 THEN 1 ELSE throttle.count + 1 END,
			window_start = CASE WHEN throttle.window_start < $3 THEN $2 ELSE throttle.window_start END
		RETURNING key, count`
	takeBackPostgres = `UPDATE throttle SET count = count - 1 WHERE count > 0 AND key IN
		(SELECT key FROM throttle WHERE key = ANY($1::text[]) ORDER BY key FOR UPDATE)`
	takeBackSQLite = `UPDATE throttle SET count = count - 1 WHERE count > 0 AND key = $1`
)

// SweepSessions deletes the dead ones among the next sessions.
func (s *Store) SweepSessions(ctx context.Context, before time.Time, after string, limit int) (repo.Swept, error) {
	var page struct {
		N    int            `db:"n"`
		Last sql.NullString `db:"last"`
	}
	if err := s.get(ctx, &page, pageOfSessions, after, limit); err != nil {
		return repo.Swept{}, s.fail(ctx, "looking for dead sessions", err)
	}
	if page.N == 0 {
		return repo.Swept{}, nil
	}
	text := sweepSessionsSQLite
	if s.postgres() {
		text = sweepSessionsPostgres
	}
	n, err := s.change(ctx, text, after, page.Last.String, micro(before))
	if err != nil {
		return repo.Swept{}, s.fail(ctx, "sweeping sessions", err)
	}
	swept := repo.Swept{Removed: int(n)}
	if page.N == limit {
		swept.Next = page.Last.String
	}
	return swept, nil
}

// SweepExchanges deletes exchanges whose token has expired.
func (s *Store) SweepExchanges(ctx context.Context, before time.Time, limit int) (int, error) {
	text := sweepExchangesSQLite
	if s.postgres() {
		text = sweepExchangesPostgres
	}
	n, err := s.change(ctx, text, micro(before), limit)
	return int(n), s.fail(ctx, "sweeping exchanges", err)
}

// SweepThrottle deletes windows that are over.
func (s *Store) SweepThrottle(ctx context.Context, before time.Time, limit int) (int, error) {
	text := sweepThrottleSQLite
	if s.postgres() {
		text = sweepThrottlePostgres
	}
	n, err := s.change(ctx, text, micro(before), limit)
	return int(n), s.fail(ctx, "sweeping the throttle", err)
}

// attemptRow is a key's count.
type attemptRow struct {
	Key   string `db:"key"`
	Count int    `db:"count"`
}

// once is the keys, each of them once: Postgres refuses to change a row twice in
// one statement.
func once(keys []string) []string { return slices.Compact(slices.Sorted(slices.Values(keys))) }

// AddAttempts counts one attempt on each key.
func (s *Store) AddAttempts(ctx context.Context, keys []string, now, windowStart time.Time) ([]int, error) {
	if !storable(keys...) {
		return nil, s.fail(ctx, "counting attempts", repo.ErrText)
	}
	var rows []attemptRow
	var err error
	if s.postgres() {
		err = s.prepared(ctx, s.Write, addAttemptsPostgres, func(st *sqlx.Stmt) error {
			return st.SelectContext(ctx, &rows, once(keys), micro(now), micro(windowStart))
		})
	} else {
		err = s.inTx(ctx, func(tx *sqlx.Tx) error {
			for _, key := range once(keys) {
				var row attemptRow
				if err := tx.GetContext(ctx, &row, addAttemptSQLite, key, micro(now), micro(windowStart)); err != nil {
					return err
				}
				rows = append(rows, row)
			}
			return nil
		})
	}
	if err != nil {
		return nil, s.fail(ctx, "counting attempts", err)
	}
	byKey := map[string]int{}
	for _, row := range rows {
		byKey[row.Key] = row.Count
	}
	counts := make([]int, 0, len(keys))
	for _, key := range keys {
		counts = append(counts, byKey[key])
	}
	return counts, nil
}

// TakeBackAttempts takes one attempt back from each key.
func (s *Store) TakeBackAttempts(ctx context.Context, keys []string) error {
	var err error
	if s.postgres() {
		_, err = s.change(ctx, takeBackPostgres, once(keys))
	} else {
		err = s.inTx(ctx, func(tx *sqlx.Tx) error { return takeBackIn(ctx, tx, keys) })
	}
	return s.fail(ctx, "taking attempts back", err)
}

func takeBackIn(ctx context.Context, tx *sqlx.Tx, keys []string) error {
	for _, key := range once(keys) {
		if _, err := changeIn(ctx, tx, takeBackSQLite, key); err != nil {
			return err
		}
	}
	return nil
}
