package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// errHMAC says that there is nothing to change.
var errHMAC = errors.New("tokens: the key of HS256 is the secret")

// Rotate makes a signing key of the configured algorithm and retires all
// others. The new one signs after twice JWKSMaxAge and the leeway, when every verifier that
// keeps to it knows the key; until then the others go on, and they are published
// until the last of their tokens has expired. It returns the new key, as stored.
//
// With signsNow it signs at once: for when no other key may sign any longer. Verifiers
// that have cached the key set refuse its tokens until they fetch it anew.
//
// It loads the keys first. Under a secret that does not open the keys nothing changes. The replicas that run learn of it by
// themselves. HS256 has no such keys and is an error: its key is the secret.
func (s *Service) Rotate(ctx context.Context, signsNow bool) (repo.SigningKey, error) {
	if s.cfg.Algorithm == HS256 {
		return repo.SigningKey{}, errHMAC
	}
	var fresh repo.SigningKey
	err := s.change(ctx, func(keys []repo.SigningKey, now time.Time) ([]repo.SigningKey, error) {
		signsAt := now.Add(s.cfg.lead())
		if signsNow {
			signsAt = now
		}
		var err error
		fresh, err = newKeyRecord(s.cfg.Algorithm, s.sealers[0], now, signsAt)
		return s.policy().takeOver(keys, fresh), err
	})
	return fresh, err
}

// takeOver retires all others when the key begins to sign.
func (p policy) takeOver(keys []repo.SigningKey, by repo.SigningKey) []repo.SigningKey {
	keys = slices.Clone(keys)
	for i := range keys {
		if before(by.SignsAt, keys[i].RetiredAt) {
			p.retire(&keys[i], by.SignsAt)
		}
	}
	return append(keys, by)
}

// retireKey lets the key sign no more from now on, where another can; compromised, it is published no more either.
func (p policy) retireKey(keys []repo.SigningKey, id string, now time.Time, compromised bool) ([]repo.SigningKey, error) {
	keys = slices.Clone(keys)
	i := indexOf(keys, id)
	if i < 0 || !before(now, keys[i].RemoveAt) {
		return nil, fmt.Errorf("%w: %q", ErrNoSuchKey, id)
	}
	if before(now, keys[i].RetiredAt) {
		p.retire(&keys[i], now)
	}
	if !slices.ContainsFunc(keys, func(k repo.SigningKey) bool { return signsIn(k, now) }) {
		return nil, fmt.Errorf("%w: %q", ErrLastSigner, id)
	}
	if compromised {
		keys[i].RemoveAt = now
	}
	return keys, nil
}
