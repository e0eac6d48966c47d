package sqlrepo

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	selectKeys = `SELECT ` + keyColumns + ` FROM signing_keys ORDER BY created_at, kid`
	insertKey  = `INSERT INTO signing_keys (` + keyColumns + `) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
		WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE alg = $2 AND state <> 'retired')`
	// Two replicas that start at once would both see no key: on Postgres the second waits for the first here. SQLite has
	// one writer anyway.
	lockKeysPostgres = `LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE`

	saveKeySet = `INSERT INTO key_sets (url, body, fetched_at) VALUES ($1, $2, $3)
		ON CONFLICT (url) DO UPDATE SET body = $2, fetched_at = $3 WHERE key_sets.fetched_at < $3`
	selectKeySet = `SELECT body, fetched_at FROM key_sets WHERE url = $1`
)

// ListSigningKeys lists the keys, the oldest first.
func (s *Store) ListSigningKeys(ctx context.Context) ([]repo.SigningKey, error) {
	var rows []keyRow
	if err := s.list(ctx, &rows, selectKeys); err != nil {
		return nil, s.fail(ctx, "listing signing keys", err)
	}
	keys := make([]repo.SigningKey, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, row.record())
	}
	return keys, nil
}

// CreateFirstSigningKey stores the first key of an algorithm.
func (s *Store) CreateFirstSigningKey(ctx context.Context, k repo.SigningKey) (created bool, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if s.postgres() {
			if _, err := tx.ExecContext(ctx, lockKeysPostgres); err != nil {
				return err
			}
		}
		n, err := changeIn(ctx, tx, insertKey, k.KeyID, k.Algorithm, k.State, k.SealedPrivate, string(k.PublicJWK),
			micro(k.CreatedAt), micro(k.SignsAt), nullable(k.RetiredAt), nullable(k.RemoveAt))
		created = n > 0
		return err
	})
	return created, s.fail(ctx, "storing the first signing key", err)
}

// SaveKeySet stores an identity provider's keys.
func (s *Store) SaveKeySet(ctx context.Context, url string, body []byte, fetchedAt time.Time) error {
	_, err := s.change(ctx, saveKeySet, url, string(body), micro(fetchedAt))
	return s.fail(ctx, "saving a key set", err)
}

// LoadKeySet returns an identity provider's keys.
func (s *Store) LoadKeySet(ctx context.Context, url string) (body []byte, fetchedAt time.Time, err error) {
	var row struct {
		Body      string    `db:"body"`
		FetchedAt time.Time `db:"fetched_at"`
	}
	if err := s.get(ctx, &row, selectKeySet, url); err != nil {
		return nil, time.Time{}, s.fail(ctx, "loading a key set", err)
	}
	return []byte(row.Body), micro(row.FetchedAt), nil
}
