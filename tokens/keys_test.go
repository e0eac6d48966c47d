package tokens_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

func TestFirstKey(t *testing.T) {
	t.Parallel()
	for alg, kty := range map[string]string{tokens.ES256: "EC", tokens.RS256: "RSA", tokens.EdDSA: "OKP"} {
		keys := &store{}
		s := service(t, algorithm(alg), func(c *tokens.Config) { c.Keys = keys })
		k := keys.keys[0]
		if len(keys.keys) != 1 || k.Algorithm != alg || k.State != "signing" || k.SignsAt.After(start) || k.CreatedAt.Location() != time.UTC {
			t.Errorf("%s: stored %+v", alg, k)
		}
		var public map[string]any
		if err := json.Unmarshal(k.PublicJWK, &public); err != nil {
			t.Fatal(err)
		}
		if public["kty"] != kty || public["kid"] != k.KeyID || public["alg"] != alg || public["use"] != "sig" {
			t.Errorf("%s: public key %s", alg, k.PublicJWK)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, ok := public[private]; ok {
				t.Errorf("%s: the public key has %q", alg, private)
			}
		}
		body, etag := s.JWKS()
		if want := `{"keys":[` + string(k.PublicJWK) + `]}`; string(body) != want {
			t.Errorf("%s: published %s\nwant %s", alg, body, want)
		}
		if err := s.Load(t.Context()); err != nil || len(keys.keys) != 1 {
			t.Errorf("%s: after a second Load: %d keys, %v", alg, len(keys.keys), err)
		}
		if again, etag2 := s.JWKS(); !bytes.Equal(body, again) || etag != etag2 || !strings.HasPrefix(etag, `"`) {
			t.Errorf("%s: the key set changed: %s %s", alg, etag, etag2)
		}
	}
}

// Replicas that start together end with one key, and believe each other.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	keys := &store{}
	replicas := make([]*tokens.Service, 16)
	var group sync.WaitGroup
	for i := range replicas {
		group.Go(func() { replicas[i] = service(t, func(c *tokens.Config) { c.Keys = keys }) })
	}
	group.Wait()
	if len(keys.keys) != 1 {
		t.Fatalf("%d keys", len(keys.keys))
	}
	token := issue(t, replicas[3], alice)
	for i, r := range replicas {
		if _, err := r.VerifyAccess(token, start); err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
	}
}

// Replicas that find at once that a rotation is due make one key.
func TestReplicasRotateOnce(t *testing.T) {
	t.Parallel()
	keys, now := &store{}, start
	replicas := make([]*tokens.Service, 16)
	for i := range replicas {
		replicas[i] = service(t, func(c *tokens.Config) {
			c.Keys, c.RotateEvery, c.Now = keys, time.Hour, func() time.Time { return now }
		})
	}
	for round := range 3 {
		now = now.Add(time.Hour)
		var group sync.WaitGroup
		for _, r := range replicas {
			group.Go(func() {
				if err := r.Load(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := len(keys.keys); n > 3 || keys.keys[n-1].CreatedAt != now || keys.keys[n-2].CreatedAt.Equal(now) {
			t.Errorf("round %d: %d keys: %+v", round, n, keys.keys)
		}
	}
}

func TestSealing(t *testing.T) {
	t.Parallel()
	keys := &store{}
	old := service(t, func(c *tokens.Config) { c.Keys, c.Secret = keys, otherSecret })
	token, sealed := issue(t, old, alice), slices.Clone(keys.keys)

	rotated := service(t, func(c *tokens.Config) { c.Keys, c.SecretFallbacks = keys, []string{otherSecret} })
	if _, err := rotated.VerifyAccess(token, start); err != nil {
		t.Errorf("with the old secret as a fallback: %v", err)
	}

	// It is sealed under the new secret now, so that the old one can be dropped.
	if _, err := service(t, func(c *tokens.Config) { c.Keys = keys }).VerifyAccess(token, start); err != nil {
		t.Errorf("after the old secret was dropped: %v", err)
	}
	// Who still has the old secret first does not undo it at its next Load, and is told at its next start.
	if err := old.Load(t.Context()); !errors.Is(err, tokens.ErrSealed) {
		t.Errorf("with the old secret alone: %v", err)
	}

	lost, err := tokens.New(config(func(c *tokens.Config) { c.Keys = &store{keys: sealed} }))
	if err != nil {
		t.Fatal(err)
	}
	kid := keys.keys[0].KeyID
	if err := lost.Load(t.Context()); !errors.Is(err, tokens.ErrSealed) || !strings.Contains(err.Error(), kid) {
		t.Errorf("without the old secret: %v", err)
	}
	if lost.Ready() {
		t.Error("ready without a key")
	}
}

// What is found under a seal must be the key that its id names, and fit for its algorithm.
func TestUnsealedKeyIsChecked(t *testing.T) {
	t.Parallel()
	p256, p384, weak, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), weakRSA(t), ecKey(t, elliptic.P256())
	dh, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, kid, err := tokens.PublicJWK(p256, tokens.ES256)
	if err != nil {
		t.Fatal(err)
	}
	record := func(alg, sealedFor string, private any) repo.SigningKey {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return repo.SigningKey{
			KeyID: kid, Algorithm: alg, State: "signing", CreatedAt: start, SignsAt: start,
			SealedPrivate: tokens.Sealed(secret, der, sealedFor),
		}
	}
	// named has the id that belongs to the key, so that nothing but its kind is wrong.
	named := func(alg string, private crypto.Signer) repo.SigningKey {
		_, id, err := tokens.PublicJWK(private, alg)
		if err != nil {
			t.Fatal(err)
		}
		r := record(alg, id, private)
		r.KeyID = id
		return r
	}
	junk := record(tokens.ES256, kid, p256)
	junk.SealedPrivate = tokens.Sealed(secret, []byte("junk"), kid)
	short := junk
	short.SealedPrivate = []byte("short")
	for name, c := range map[string]struct {
		key repo.SigningKey
		ok  bool
	}{
		"the key":                  {record(tokens.ES256, kid, p256), true},
		"another key under its id": {record(tokens.ES256, kid, other), false},
		"sealed for another id":    {record(tokens.ES256, "other", p256), false},
		"a key of another curve":   {named(tokens.ES256, p384), false},
		"an EC key for RS256":      {named(tokens.RS256, p256), false},
		"an EC key for EdDSA":      {named(tokens.EdDSA, p256), false},
		"an RSA key for ES256":     {record(tokens.ES256, kid, weak), false},
		"an RSA key of 1024 bits":  {record(tokens.RS256, kid, weak), false},
		"a key that can't sign":    {record(tokens.ES256, kid, dh), false},
		"no key":                   {junk, false},
		"less than a nonce":        {short, false},
	} {
		s, err := tokens.New(config(algorithm(c.key.Algorithm), func(cfg *tokens.Config) {
			cfg.Keys = &store{keys: []repo.SigningKey{c.key}}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Load(t.Context()); (err == nil) != c.ok || err != nil && !errors.Is(err, tokens.ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeyForAnotherAlgorithm stores a key for an algorithm that tokens are not
// signed with here, though its signatures could be verified: it is left out.
func TestKeyForAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	keys := &store{}
	token := issue(t, service(t, algorithm(tokens.RS256), func(c *tokens.Config) { c.Keys = keys }), alice)
	keys.change(func(k []repo.SigningKey) []repo.SigningKey { k[0].Algorithm = "PS256"; return k })
	s := service(t, func(c *tokens.Config) { c.Keys = keys })
	if _, alg := s.SignerID(start); alg != tokens.ES256 {
		t.Errorf("%q signs", alg)
	}
	if body, _ := s.JWKS(); strings.Contains(string(body), "PS256") {
		t.Errorf("published %s", body)
	}
	if _, err := s.VerifyAccess(token, start); !errors.Is(err, tokens.ErrUnknownKey) {
		t.Errorf("its token: %v", err)
	}
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// weakRSA has 1024 bits, which crypto/rsa makes no more but still reads.
func weakRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	for {
		p, err := rand.Prime(rand.Reader, 512)
		if err != nil {
			t.Fatal(err)
		}
		q, err := rand.Prime(rand.Reader, 512)
		if err != nil {
			t.Fatal(err)
		}
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(big.NewInt(65537), phi)
		if d == nil {
			continue
		}
		k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		k.Precompute()
		return k
	}
}

// A key's life: published before it signs, verifying until it is removed.
func TestTimeline(t *testing.T) {
	t.Parallel()
	keys, now := &store{}, start
	s := service(t, func(c *tokens.Config) { c.Keys, c.Now = keys, func() time.Time { return now } })
	first, _ := s.SignerID(now)
	firstToken := issue(t, s, alice)

	second := &store{}
	service(t, func(c *tokens.Config) { c.Keys = second })
	keys.change(func(k []repo.SigningKey) []repo.SigningKey {
		next := second.keys[0]
		next.State, next.SignsAt = "published", start.Add(10*time.Minute)
		k[0].RetiredAt, k[0].RemoveAt = start.Add(10*time.Minute), start.Add(2*time.Hour)
		return append(k, next)
	})
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	body, _ := s.JWKS()
	next := second.keys[0].KeyID
	if a, b := strings.Index(string(body), first), strings.Index(string(body), next); a < 0 || b < a {
		t.Errorf("published %s", body)
	}
	for _, c := range []struct {
		after    time.Duration
		signer   string
		oldLives bool
	}{
		{0, first, true}, {10*time.Minute - 1, first, true}, {10 * time.Minute, next, true},
		{time.Hour, next, true}, {2*time.Hour - 1, next, true}, {2 * time.Hour, next, false},
	} {
		at := start.Add(c.after)
		if kid, _ := s.SignerID(at); kid != c.signer {
			t.Errorf("after %v %q signs", c.after, kid)
		}
		_, err := s.VerifyAccess(firstToken, at)
		if known := !errors.Is(err, tokens.ErrUnknownKey); known != c.oldLives {
			t.Errorf("after %v the first key's token: %v", c.after, err)
		}
	}
	now = start.Add(2 * time.Hour)
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body, _ := s.JWKS(); strings.Contains(string(body), first) {
		t.Error("a removed key is published")
	}
}

// Where nobody may sign, Load makes a key that does at once; one that is published only signs before its time.
func TestNobodySigns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*repo.SigningKey)
		keys int
	}{
		"the key begins later": {func(k *repo.SigningKey) { k.SignsAt = start.Add(time.Hour) }, 1},
		"the key is retired":   {func(k *repo.SigningKey) { k.RetiredAt, k.RemoveAt = start, start.Add(time.Hour) }, 2},
		"the key is removed":   {func(k *repo.SigningKey) { k.RetiredAt, k.RemoveAt = start, start }, 1},
	} {
		keys := &store{}
		s := service(t, func(c *tokens.Config) { c.Keys = keys })
		keys.change(func(k []repo.SigningKey) []repo.SigningKey { c.edit(&k[0]); return k })
		if err := s.Load(t.Context()); err != nil || !s.Ready() || len(keys.keys) != c.keys {
			t.Errorf("%s: %v, ready: %v, %d keys", name, err, s.Ready(), len(keys.keys))
		}
		if _, err := s.VerifyAccess(issue(t, s, alice), start); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// lead is how long a key is published before it signs: twice the max-age and the leeway.
const lead = 10*time.Minute + 30*time.Second

// A change of algorithm: verifiers that have the old key set cached see nothing that they can't verify.
func TestAlgorithmChange(t *testing.T) {
	t.Parallel()
	keys := &store{}
	old := service(t, func(c *tokens.Config) { c.Keys = keys })
	before := issue(t, old, alice)
	changed := service(t, algorithm(tokens.EdDSA), func(c *tokens.Config) { c.Keys = keys })
	if _, err := changed.VerifyAccess(before, start); err != nil {
		t.Errorf("a token from before: %v", err)
	}
	for after, want := range map[time.Duration]string{0: tokens.ES256, lead - 1: tokens.ES256, lead: tokens.EdDSA} {
		if _, alg := changed.SignerID(start.Add(after)); alg != want {
			t.Errorf("after %v signs %s", after, alg)
		}
	}
	if keys.keys[1].State != "published" {
		t.Errorf("state %q", keys.keys[1].State)
	}
	// And back: the first key is published still, so it can sign at once.
	later := func(c *tokens.Config) { c.Keys, c.Now = keys, func() time.Time { return start.Add(time.Hour) } }
	if _, alg := service(t, later).SignerID(start.Add(time.Hour)); alg != tokens.ES256 || len(keys.keys) != 2 {
		t.Errorf("back: %s signs, %d keys", alg, len(keys.keys))
	}
	// Retired keys of another algorithm are in nobody's way.
	keys.change(func(k []repo.SigningKey) []repo.SigningKey { k[0].RetiredAt, k[1].RetiredAt = start, start; return k })
	if _, alg := service(t, algorithm(tokens.EdDSA), func(c *tokens.Config) { c.Keys = keys }).SignerID(start); alg != tokens.EdDSA {
		t.Errorf("%q signs", alg)
	}
}

func TestLoadFails(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for name, keys := range map[string]*store{
		"the list":   {listErr: down},
		"the making": {makeErr: down},
	} {
		s, err := tokens.New(config(func(c *tokens.Config) { c.Keys = keys }))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Load(t.Context()); !errors.Is(err, down) {
			t.Errorf("%s: %v", name, err)
		}
	}
	keys := &store{}
	s := service(t, func(c *tokens.Config) { c.Keys = keys })
	token := issue(t, s, alice)
	keys.change(func(k []repo.SigningKey) []repo.SigningKey { return append(k, k[0]) })
	if err := s.Load(t.Context()); err == nil {
		t.Error("one key twice is accepted")
	}
	if _, err := s.VerifyAccess(token, start); err != nil {
		t.Errorf("after a failed Load: %v", err)
	}
}

// Run keeps the keys fresh, survives an outage, and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		keys := &store{listErr: errors.New("down")}
		s, err := tokens.New(config(func(c *tokens.Config) {
			c.Keys, c.Now, c.Logger = keys, time.Now, slog.New(slog.NewJSONHandler(&log, nil))
		}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() } // the bubble's clock: no real time passes

		wait(6 * time.Second)
		if s.Ready() || !strings.Contains(log.String(), "down") {
			t.Errorf("ready %v, log %s", s.Ready(), &log)
		}
		keys.fail(nil)
		wait(5 * time.Second)
		if !s.Ready() {
			t.Fatal("not ready after the store came back")
		}
		before, _ := s.JWKS()
		extra := &store{}
		service(t, algorithm(tokens.EdDSA), func(c *tokens.Config) { c.Keys = extra })
		keys.change(func(k []repo.SigningKey) []repo.SigningKey { return append(k, extra.keys[0]) })
		wait(s.MaxAge() / 2)
		if after, _ := s.JWKS(); bytes.Equal(before, after) {
			t.Error("a new key is not seen after half of the max-age")
		}
		keys.fail(errors.New("down again"))
		wait(time.Hour)
		if !s.Ready() || !strings.Contains(log.String(), "down again") {
			t.Errorf("after an outage: ready %v, log %s", s.Ready(), &log)
		}
		if strings.Contains(log.String(), secret) {
			t.Error("the secret is in the log")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestDeriveKey(t *testing.T) {
	t.Parallel()
	s := service(t, func(c *tokens.Config) { c.SecretFallbacks = []string{otherSecret} })
	old := service(t, func(c *tokens.Config) { c.Secret = otherSecret })
	keys := s.DeriveKeys("gatehouse/csrf/1")
	if len(keys) != 2 || len(keys[0]) != 32 {
		t.Fatalf("%d keys of %d bytes", len(keys), len(keys[0]))
	}
	if !bytes.Equal(keys[0], s.DeriveKey("gatehouse/csrf/1")) || !bytes.Equal(keys[1], old.DeriveKey("gatehouse/csrf/1")) {
		t.Error("the keys are not those of the secret and its fallback, in this order")
	}
	if bytes.Equal(keys[0], s.DeriveKey("gatehouse/csrf/2")) || bytes.Equal(keys[0], keys[1]) {
		t.Error("two uses or two secrets have one key")
	}
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	if _, err := tokens.Generate("HS256"); err == nil {
		t.Error("a key pair for HS256")
	}
	if _, _, err := tokens.PublicJWK(ecKey(t, elliptic.P256()), "XS256"); err == nil {
		t.Error("a JWK for an unknown algorithm")
	}
}
