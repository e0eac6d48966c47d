package tokens

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// retryInterval is how often Run tries to load keys as long as there are none.
const retryInterval = 5 * time.Second

// Service issues and verifies tokens. It is safe for concurrent use.
type Service struct {
	cfg     Config
	rules   accessRules
	sealers []sealer     // the secret's, then the fallbacks'
	refresh []refreshKey // in the same order
	hmac    [][]byte     // HS256 keys in the same order; nil for the other algorithms
	loading sync.Mutex   // so that a slow Load does not put an older set over a newer; it guards file and resealed too
	set     atomic.Pointer[keySet]
	file    keyFile // what was read of Config.KeyFile
	drafts  chan *Draft
	// resealed is set once no key is left that only a fallback opens.
	resealed bool
}

// New returns a service that has no keys yet. It does no I/O; every fault of
// the configuration is reported.
func New(c Config) (*Service, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Service{cfg: c, drafts: make(chan *Draft, maxDrafts), rules: accessRules{
		issuer: c.Issuer, audience: c.Audience, userIDClaim: c.UserIDClaim, leeway: c.Leeway,
	}}
	for _, secret := range append([]string{c.Secret}, c.SecretFallbacks...) {
		sealer, err := newSealer(secret)
		if err != nil {
			return nil, fmt.Errorf("tokens: making the seal: %w", err)
		}
		s.sealers = append(s.sealers, sealer)
		s.refresh = append(s.refresh, newRefreshKey(secret))
		if c.Algorithm == HS256 {
			s.hmac = append(s.hmac, []byte(secret))
		}
	}
	return s, nil
}

// Run loads the keys at half of JWKSMaxAge, so that this replica knows every
// key before another signs with it, and signs drafts, until the context is done;
// it then returns nil. In this way it also rotates the keys, with
// Config.RotateEvery. A failure is logged, and the keys loaded before stay in
// use. As long as there are none it tries every five seconds.
func (s *Service) Run(ctx context.Context) error {
	var signers sync.WaitGroup
	defer signers.Wait()
	for range runtime.GOMAXPROCS(0) {
		signers.Go(func() { s.signDrafts(ctx) })
	}
	for {
		wait := s.cfg.JWKSMaxAge / 2
		if !s.Ready() {
			wait = min(wait, retryInterval)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := s.Load(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "signing keys not reloaded", "error", err)
		}
	}
}

// Ready reports whether access tokens can be issued now.
func (s *Service) Ready() bool {
	set := s.set.Load()
	if s.cfg.Algorithm == HS256 {
		return set != nil
	}
	_, err := set.signer(s.cfg.Algorithm, s.cfg.Now())
	return err == nil
}

// JWKS returns the public keys as a JWK Set (RFC 7517 §5), the oldest first,
// and an entity tag, quotes included, that changes exactly when the body does.
// The body must not be changed. It is an empty set for HS256, whose key is the
// secret, and before Load.
func (s *Service) JWKS() (body []byte, etag string) {
	set := s.set.Load()
	if set == nil {
		set, _ = newKeySet(nil) // an empty set can't fail to be encoded
	}
	return set.body, set.etag
}

// MaxAge is how long the answer of JWKS may be cached.
func (s *Service) MaxAge() time.Duration { return s.cfg.JWKSMaxAge }

// DeriveKey returns 32 bytes of HKDF-SHA256 of the secret for one use, which
// info names. The same secret and info give the same key; names that begin
// with "gatehouse/seal/" or "gatehouse/refresh" are taken.
func (s *Service) DeriveKey(info string) []byte { return deriveKey(s.cfg.Secret, info) }

// DeriveKeys returns the key of DeriveKey and then those that the fallback
// secrets give: what was made under an earlier secret still verifies.
func (s *Service) DeriveKeys(info string) [][]byte {
	keys := [][]byte{s.DeriveKey(info)}
	for _, secret := range s.cfg.SecretFallbacks {
		keys = append(keys, deriveKey(secret, info))
	}
	return keys
}
