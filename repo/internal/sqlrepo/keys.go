package sqlrepo

import (
	"bytes"
	"context"
	"maps"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	selectKeys = `SELECT ` + keyColumns + ` FROM signing_keys ORDER BY created_at, kid`
	insertKey  = `INSERT INTO signing_keys (` + keyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	updateKey  = `UPDATE signing_keys SET alg = $2, state = $3, sealed_private = $4, public_jwk = $5, created_at = $6,
		signs_at = $7, retired_at = $8, remove_at = $9 WHERE kid = $1`
	deleteKey = `DELETE FROM signing_keys WHERE kid = $1`
	// Two replicas that change the keys at once would both read those of before: on Postgres the second waits for the
	// first here, readers for nobody. SQLite has one writer anyway.
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
	return keyRecords(rows), nil
}

func keyRecords(rows []keyRow) []repo.SigningKey {
	keys := make([]repo.SigningKey, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, row.record())
	}
	return keys
}

// SwapSigningKeys is a compare-and-swap of all keys.
func (s *Store) SwapSigningKeys(ctx context.Context, before, after []repo.SigningKey) error {
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := s.lockKeys(ctx, tx); err != nil {
			return err
		}
		var rows []keyRow
		if err := tx.SelectContext(ctx, &rows, selectKeys); err != nil {
			return err
		}
		held, expected := keysByID(keyRecords(rows)), keysByID(before)
		if len(before) != len(expected) || !maps.EqualFunc(held, expected, sameKey) {
			return repo.ErrStale
		}
		return writeKeys(ctx, tx, held, after)
	})
	return s.fail(ctx, "changing the signing keys", err)
}

// writeKeys makes after of what is held.
func writeKeys(ctx context.Context, tx *sqlx.Tx, held map[string]repo.SigningKey, after []repo.SigningKey) error {
	stay := keysByID(after)
	if len(stay) != len(after) {
		return repo.ErrConflict
	}
	for id := range held {
		if _, ok := stay[id]; ok {
			continue
		}
		if _, err := changeIn(ctx, tx, deleteKey, id); err != nil {
			return err
		}
	}
	for _, k := range after {
		old, there := held[k.KeyID]
		if there && sameKey(old, k) {
			continue
		}
		text := insertKey
		if there {
			text = updateKey
		}
		if _, err := changeIn(ctx, tx, text, keyArgs(k)...); err != nil {
			return err
		}
	}
	return nil
}

func keysByID(keys []repo.SigningKey) map[string]repo.SigningKey {
	byID := make(map[string]repo.SigningKey, len(keys))
	for _, k := range keys {
		byID[k.KeyID] = k
	}
	return byID
}

// sameKey compares two keys as the store keeps them.
func sameKey(a, b repo.SigningKey) bool {
	return a.KeyID == b.KeyID && a.Algorithm == b.Algorithm && a.State == b.State &&
		bytes.Equal(a.SealedPrivate, b.SealedPrivate) && bytes.Equal(a.PublicJWK, b.PublicJWK) &&
		sameTime(a.CreatedAt, b.CreatedAt) && sameTime(a.SignsAt, b.SignsAt) &&
		sameTime(a.RetiredAt, b.RetiredAt) && sameTime(a.RemoveAt, b.RemoveAt)
}

// sameTime takes zero, which is stored as NULL, for itself alone.
func sameTime(a, b time.Time) bool { return a.IsZero() == b.IsZero() && micro(a).Equal(micro(b)) }

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
