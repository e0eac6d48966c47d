package cognito

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// Store keeps key sets beyond the process, so that a start while a pool can't be
// reached goes on with the last good ones. It must be safe for concurrent use.
type Store interface {
	SaveKeySet(ctx context.Context, url string, body []byte, fetchedAt time.Time) error
	// LoadKeySet returns any error where it has none.
	LoadKeySet(ctx context.Context, url string) (body []byte, fetchedAt time.Time, err error)
}

// Stats counts what happened to a provider's keys, of all its issuers together,
// and to its metadata.
type Stats struct {
	Fetches     int       // begun
	Failures    int       // of those
	UnknownKeys int       // tokens that named a key that the pool does not have
	Keys        int       // that are known now
	Ignored     int       // keys that the pool publishes and that can't be used
	FetchedAt   time.Time // when the oldest set that is in use was fetched; zero: there is none

	MetadataFetches  int // begun; of a pool none
	MetadataFailures int // of those
}

// source returns a source of keys of this provider.
func (v *Verifier) source(c jwks.Config) (*jwks.Source, error) {
	c.Algorithms, c.Store, c.Client = v.allowed(), v.config.Store, v.client
	c.Now, c.Logger = v.config.Now, v.config.Logger
	return jwks.New(c)
}

// add adds the counts of one key set.
func (sum *Stats) add(one jwks.Stats) {
	sum.Fetches += one.Fetches
	sum.Failures += one.Failures
	sum.UnknownKeys += one.UnknownKeys
	sum.Ignored += one.Ignored
	sum.Keys += one.Keys
	if at := one.FetchedAt; !at.IsZero() && (sum.FetchedAt.IsZero() || at.Before(sum.FetchedAt)) {
		sum.FetchedAt = at
	}
}

// keyOf returns a key of the pool, with the errors of this package.
func keyOf(ctx context.Context, source *jwks.Source, kid string) (jws.Key, error) {
	key, err := source.Key(ctx, kid)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey):
		return jws.Key{}, ErrUnknownKey
	case err != nil:
		return jws.Key{}, fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
	}
	return key, nil
}
