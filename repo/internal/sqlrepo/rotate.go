package sqlrepo

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/internal/batch"
	"github.com/jmoiron/sqlx"
)

const (
	// Rotation on Postgres is one statement. Where another one holds the row it waits, and looks at the condition again.
	rotatePostgres = `UPDATE sessions s SET generation = s.generation + 1, rotated_at = $3,
			idle_expires_at = LEAST($4::timestamptz, s.expires_at)
		FROM users u WHERE s.id = $1 AND s.generation = $2 AND s.revoked_at IS NULL AND s.expires_at > $3
			AND s.idle_expires_at > $3 AND u.id = s.user_id AND u.is_active
		RETURNING ` + joinedColumns
	// Many at once are one statement too. It waits for nobody: a row that another one holds it passes over. The SELECTs
	// around the arrays hide their lengths, so that Postgres does not plan anew for each. The id stands beside the row's place,
	// which a partitioned table has once in each of its parts.
	rotateManyPostgres = `WITH held AS MATERIALIZED (SELECT s.ctid AS place, s.id, w.now, w.idle
			FROM unnest((SELECT $1::text[]), (SELECT $2::bigint[]), (SELECT $3::timestamptz[]), (SELECT $4::timestamptz[]))
				AS w (id, generation, now, idle)
			JOIN sessions s ON s.id = w.id AND s.generation = w.generation AND s.revoked_at IS NULL AND s.expires_at > w.now
				AND s.idle_expires_at > w.now
			FOR NO KEY UPDATE OF s SKIP LOCKED)
		UPDATE sessions s SET generation = s.generation + 1, rotated_at = h.now, idle_expires_at = LEAST(h.idle, s.expires_at)
		FROM held h, users u WHERE s.ctid = h.place AND s.id = h.id AND u.id = s.user_id AND u.is_active
		RETURNING ` + joinedColumns
	// SQLite's RETURNING can't see a second table: the row is read in the same transaction, with the one writer.
	rotateSQLite = `UPDATE sessions SET generation = generation + 1, rotated_at = $3, idle_expires_at = MIN($4, expires_at)
		WHERE id = $1 AND generation = $2 AND revoked_at IS NULL AND expires_at > $3 AND idle_expires_at > $3
			AND EXISTS (SELECT 1 FROM users u WHERE u.id = sessions.user_id AND u.is_active)`
)

// A batch is as large as what came during the one before, or within batchGather after it, and rarely takes longer than
// batchPatience, unless its connection hangs. Two refreshes go each by itself: to wait takes longer than a batch of two saves. More would make
// smaller batches. To wait longer for larger ones gained no more.
const (
	maxBatch      = 64
	maxAlone      = 2
	batchPatience = 5 * time.Millisecond
	batchGather   = 1500 * time.Microsecond
)

// rotation is one that was asked for, and what became of it.
type rotation struct {
	id         string
	generation int64
	now, idle  time.Time
	row        joinedRow
	err        error
	alone      bool // it was passed over, and must be tried alone
}

func (r *rotation) args() []any { return []any{r.id, r.generation, r.now, r.idle} }

// newRotations makes the queue of those who refresh. All who ask while others
// are under way share a statement and a commit: it is the commit, and the
// message, that cost.
func (s *Store) newRotations() *batch.Queue[*rotation] {
	q := &batch.Queue[*rotation]{
		Size: maxBatch, Alone: 1, Patience: batchPatience, Runs: 1, Key: func(r *rotation) string { return r.id }, Run: s.rotateManySQLite,
	}
	if s.postgres() {
		q.Runs, q.Run, q.Gather = max(1, s.Connections), s.rotateMany, batchGather
		q.Alone = min(maxAlone, q.Runs)
	}
	return q
}

// RotateSession advances a session.
func (s *Store) RotateSession(ctx context.Context, id string, generation int64, now, idleExpiresAt time.Time) (repo.SessionUser, error) {
	r := &rotation{id: id, generation: generation, now: micro(now), idle: micro(idleExpiresAt)}
	if err := s.rotateOne(ctx, r); err != nil {
		return repo.SessionUser{}, s.fail(ctx, "rotating a session", staleIfNone(err))
	}
	return r.row.record(), nil
}

func (s *Store) rotateOne(ctx context.Context, r *rotation) error {
	if !storable(r.id) {
		return repo.ErrStale
	}
	if err := s.rotations.Do(ctx, r); err != nil {
		return err
	}
	if r.alone {
		return s.rotateAlone(ctx, r)
	}
	return r.err
}

func (s *Store) rotateAlone(ctx context.Context, r *rotation) error {
	return s.preparedUnwatched(ctx, s.Write, rotatePostgres, func(ctx context.Context, st *sqlx.Stmt) error {
		return st.QueryRowContext(ctx, r.args()...).Scan(r.row.fields()...)
	})
}

// rotateMany rotates in one statement. What it can't is left to a
// statement of its own: the row may be held by another one, or not be there.
func (s *Store) rotateMany(ctx context.Context, batch []*rotation) {
	if len(batch) == 1 {
		batch[0].err = s.rotateAlone(ctx, batch[0])
		return
	}
	n := len(batch)
	ids, generations, nows, idles := make([]string, n), make([]int64, n), make([]string, n), make([]string, n)
	byID := make(map[string]*rotation, n)
	for i, r := range batch {
		ids[i], generations[i], nows[i], idles[i] = r.id, r.generation, r.now.Format(time.RFC3339Nano), r.idle.Format(time.RFC3339Nano)
		byID[r.id], r.alone = r, true
	}
	var row joinedRow
	fields := row.fields()
	err := s.rows(ctx, s.Write, rotateManyPostgres, []any{ids, generations, nows, idles}, func(rows *sql.Rows) error {
		err := rows.Scan(fields...)
		if r := byID[row.Session.ID]; err == nil {
			r.row, r.alone = row, false
		}
		return err
	})
	if err == nil {
		return
	}
	for _, r := range batch {
		r.err, r.alone = err, s.mayBeOnes(err)
	}
}

// mayBeOnes reports whether the error of a batch may be the fault of one of it,
// for which the others must not suffer.
func (s *Store) mayBeOnes(err error) bool { return !errors.Is(s.Classify(err), repo.ErrUnavailable) }

// rotateManySQLite rotates in one transaction, with statements that are prepared
// before it begins, for it has the one connection. It is not watched, as on Postgres: another
// process is waited for as long as the engine waits.
func (s *Store) rotateManySQLite(ctx context.Context, batch []*rotation) {
	ctx = context.WithoutCancel(ctx)
	err := s.prepared(ctx, s.Write, rotateSQLite, func(rotate *sqlx.Stmt) error {
		return s.prepared(ctx, s.Write, selectJoined, func(find *sqlx.Stmt) error {
			return s.inTx(ctx, func(tx *sqlx.Tx) error {
				rotate, find := tx.StmtxContext(ctx, rotate), tx.StmtxContext(ctx, find)
				for _, r := range batch {
					result, err := rotate.ExecContext(ctx, r.args()...)
					if err != nil {
						return err
					}
					switch n, err := result.RowsAffected(); {
					case err != nil:
						return err
					case n == 0:
						r.err = repo.ErrStale
					default:
						if err := find.QueryRowContext(ctx, r.id).Scan(r.row.fields()...); err != nil {
							return err
						}
					}
				}
				return nil
			})
		})
	})
	if err == nil {
		return
	}
	for _, r := range batch {
		r.err = err
	}
}
