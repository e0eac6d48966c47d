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
// others. The new one signs after twice JWKSMaxAge and the leeway, when every
// verifier that keeps to it knows the key; until then the others go on, and they
// are published until the last of their tokens has expired. It returns the new
// key, as stored.
//
// With signsNow it signs at once: for when no other key may sign any longer.
// Verifiers that have cached the key set refuse its tokens until they fetch it
// anew.
//
// It loads the keys first: under a secret that does not open them nothing
// changes. The replicas that run learn of it by themselves. HS256 has no such
// keys and is an error, as its key is the secret; so is a Config.KeyFile.
func (s *Service) Rotate(ctx context.Context, signsNow bool) (repo.SigningKey, error) {
	return s.takeOver(ctx, signsNow, func(now, signsAt time.Time) (repo.SigningKey, error) {
		return newKeyRecord(s.cfg.Algorithm, s.sealers[0], now, signsAt)
	})
}

// Import is Rotate with a private key from outside, PEM (PKCS #8, PKCS #1, SEC 1)
// or a JWK. Its id is the RFC 7638 thumbprint, whatever id it came with. With
// signsNow it signs at once: for taking over from a service whose verifiers have
// it already. One that has retired, or would, signs again.
//
// Errors: ErrBadKey where it is no private key of the configured algorithm, or a
// weak one; ErrKeyExists where it signs, or will, and does not retire.
func (s *Service) Import(ctx context.Context, text []byte, signsNow bool) (repo.SigningKey, error) {
	m, err := parsePrivate(text)
	if err != nil {
		return repo.SigningKey{}, err
	}
	if m.algorithm != s.cfg.Algorithm {
		return repo.SigningKey{}, fmt.Errorf("%w: it is for %s, and the configured algorithm is %s", ErrBadKey, m.algorithm, s.cfg.Algorithm)
	}
	return s.takeOver(ctx, signsNow, func(now, signsAt time.Time) (repo.SigningKey, error) {
		return keyRecord(m.private, m.algorithm, s.sealers[0], now, signsAt)
	})
}

// takeOver makes a key that signs after the lead, or now, and retires all others then.
func (s *Service) takeOver(
	ctx context.Context, signsNow bool, fresh func(now, signsAt time.Time) (repo.SigningKey, error),
) (k repo.SigningKey, err error) {
	err = s.change(ctx, func(h held) ([]repo.SigningKey, error) {
		signsAt := h.now.Add(s.cfg.lead())
		if signsNow {
			signsAt = h.now
		}
		if k, err = fresh(h.now, signsAt); err != nil {
			return nil, err
		}
		keys := slices.Clone(h.records)
		i := indexOf(keys, k.KeyID)
		switch {
		case i < 0:
		case keys[i].RetiredAt.IsZero():
			return nil, fmt.Errorf("%w: %q", ErrKeyExists, k.KeyID)
		default:
			if signsIn(keys[i], h.now) { // it goes on
				k.SignsAt, k.State = h.now, stateSigning
			}
			keys = slices.Delete(keys, i, i+1)
		}
		return s.policy().takeOver(keys, k), nil
	})
	return k, err
}

// Retire lets a key sign no more from now on; it is published until its last
// token has expired. With compromised it is forgotten, and published no more, so
// that its tokens are refused: by this service within half of JWKSMaxAge, by
// others when their caches end.
//
// Errors: ErrNoSuchKey; ErrLastSigner where no other can sign now.
func (s *Service) Retire(ctx context.Context, id string, compromised bool) error {
	return s.change(ctx, func(h held) ([]repo.SigningKey, error) {
		if !slices.ContainsFunc(h.keys, func(k *signingKey) bool { return k.id != id && k.signs(h.now) }) && indexOf(h.records, id) >= 0 {
			return nil, fmt.Errorf("%w: %q", ErrLastSigner, id)
		}
		return s.policy().retireKey(h.records, id, h.now, compromised)
	})
}

// takeOver retires all others when the key begins to sign, but those of algorithms that only another version knows.
func (p policy) takeOver(keys []repo.SigningKey, by repo.SigningKey) []repo.SigningKey {
	keys = slices.Clone(keys)
	for i := range keys {
		if _, known := methodOf(keys[i].Algorithm); known && before(by.SignsAt, keys[i].RetiredAt) {
			p.retire(&keys[i], by.SignsAt)
		}
	}
	return append(keys, by)
}

// retireKey lets the key sign no more from now on; compromised, it is published no more either. That another can sign is
// for the caller to know.
func (p policy) retireKey(keys []repo.SigningKey, id string, now time.Time, compromised bool) ([]repo.SigningKey, error) {
	keys = slices.Clone(keys)
	i := indexOf(keys, id)
	if i < 0 || !before(now, keys[i].RemoveAt) {
		return nil, fmt.Errorf("%w: %q", ErrNoSuchKey, id)
	}
	if before(now, keys[i].RetiredAt) {
		p.retire(&keys[i], now)
	}
	if compromised {
		keys[i].RemoveAt = now
	}
	return keys, nil
}
