package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// lead is how long a key is published before it signs. A replica that runs reads the store every half JWKSMaxAge, and a
// verifier keeps what it was given for the whole: after one and a half everybody has the key, and half is to spare.
func (s *Service) lead() time.Duration { return 2 * s.cfg.JWKSMaxAge }

// Rotate makes a signing key of the configured algorithm and retires all
// others. The new one signs after twice JWKSMaxAge, when every verifier that
// keeps to it knows the key; until then the others go on, and they are published
// until the last of their tokens has expired. It returns the new key, as stored.
//
// It loads the keys first: under a secret that does not open them, nothing
// changes. The replicas that run learn of it by themselves. HS256 has no such keys and is
// an error: its key is the secret.
func (s *Service) Rotate(ctx context.Context) (repo.SigningKey, error) {
	if s.cfg.Algorithm == HS256 {
		return repo.SigningKey{}, errors.New("tokens: the key of HS256 is the secret")
	}
	if err := s.Load(ctx); err != nil {
		return repo.SigningKey{}, err
	}
	now := s.cfg.Now().UTC().Truncate(time.Microsecond)
	k, err := newKeyRecord(s.cfg.Algorithm, s.sealers[0], now, now.Add(s.lead()))
	if err != nil {
		return repo.SigningKey{}, err
	}
	if err := s.cfg.Keys.RotateSigningKey(ctx, k, k.SignsAt.Add(s.cfg.AccessLifetime+s.lead())); err != nil {
		return repo.SigningKey{}, fmt.Errorf("rotating the signing key: %w", err)
	}
	return k, nil
}
