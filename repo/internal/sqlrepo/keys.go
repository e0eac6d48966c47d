package sqlrepo

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	selectKeys     = `SELECT ` + keyColumns + ` FROM signing_keys ORDER BY created_at, kid`
	insertFirstKey = `INSERT INTO signing_keys (` + keyColumns + `) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
		WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE alg = $2 AND state <> 'retired')`
	insertKey  = `INSERT INTO signing_keys (` + keyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	retireKeys = `UPDATE signing_keys SET state = 'retired', retired_at = $1, remove_at = $2 WHERE state <> 'retired'`
	forgetKeys = `DELETE FROM signing_keys WHERE remove_at < $1`
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
		if err := s.lockKeys(ctx, tx); err != nil {
			return err
		}
		n, err := changeIn(ctx, tx, insertFirstKey, keyArgs(k)...)
		created = n > 0
		return err
	})
	return created, s.fail(ctx, "storing the first signing key", err)
}

// RotateSigningKey stores a key and retires the others.
func (s *Store) RotateSigningKey(ctx context.Context, k repo.SigningKey, removeAt time.Time) error {
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		err := s.lockKeys(ctx, tx)
		if err == nil {
			_, err = changeIn(ctx, tx, retireKeys, micro(k.SignsAt), micro(removeAt))
		}
		if err == nil {
			_, err = changeIn(ctx, tx, forgetKeys, micro(k.CreatedAt))
		}
		if err == nil {
			_, err = changeIn(ctx, tx, insertKey, keyArgs(k)...)
		}
		return err
	})
	return s.fail(ctx, "rotating the signing key", err)
}

func (s *Store) lockKeys(ctx context.Context, tx *sqlx.Tx) error {
	if !s.postgres() {
		return nil
	}
	_, err := tx.ExecContext(ctx, lockKeysPostgres)
	return err
}

func keyArgs(k repo.SigningKey) []any {
	return []any{
		k.KeyID, k.Algorithm, k.State, k.SealedPrivate, string(k.PublicJWK),
		micro(k.CreatedAt), micro(k.SignsAt), nullable(k.RetiredAt), nullable(k.RemoveAt),
	}
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
