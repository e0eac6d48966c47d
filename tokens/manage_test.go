package tokens_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// jwkOf is a key as a JWK, with members changed or added.
func jwkOf(t *testing.T, raw any, members map[string]any) map[string]any {
	t.Helper()
	key, err := jwk.Import(raw)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		m[name] = value
	}
	return m
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Every form that a private key comes in, of every algorithm, takes over.
func TestImport(t *testing.T) {
	t.Parallel()
	ec := ecKey(t, elliptic.P256())
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	large, ed := generate(t, tokens.RS256), generate(t, tokens.EdDSA)
	params := block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	for name, c := range map[string]struct {
		algorithm string
		text      []byte
		key       crypto.Signer
	}{
		"PKCS #8, P-256":              {tokens.ES256, pemOf(t, ec), ec},
		"PKCS #8, RSA":                {tokens.RS256, pemOf(t, large), large},
		"PKCS #8, Ed25519":            {tokens.EdDSA, pemOf(t, ed), ed},
		"PKCS #1":                     {tokens.RS256, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(large.(*rsa.PrivateKey))), large},
		"SEC 1, after its parameters": {tokens.ES256, append(params, block("EC PRIVATE KEY", sec1)...), ec},
		"a JWK, P-256":                {tokens.ES256, jsonOf(t, jwkOf(t, ec, map[string]any{"kid": "its own"})), ec},
		"a JWK, RSA":                  {tokens.RS256, append([]byte("\n "), jsonOf(t, jwkOf(t, large, map[string]any{"alg": "RS256", "use": "sig"}))...), large},
		"a JWK, Ed25519":              {tokens.EdDSA, jsonOf(t, jwkOf(t, ed, nil)), ed},
	} {
		keys := &store{}
		s := service(t, algorithm(c.algorithm), func(c *tokens.Config) { c.Keys = keys })
		first, _ := s.SignerID(start)
		k, err := s.Import(t.Context(), c.text, false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, want, err := tokens.PublicJWK(c.key, c.algorithm)
		if err != nil || k.KeyID != want || !k.SignsAt.Equal(start.Add(lead)) {
			t.Errorf("%s: %q signs at %v, want %q, %v", name, k.KeyID, k.SignsAt, want, err)
		}
		if now, _ := s.SignerID(start.Add(lead - 1)); now != first {
			t.Errorf("%s: %q signs before the lead is over", name, now)
		}
		if now, _ := s.SignerID(start.Add(lead)); now != want {
			t.Errorf("%s: %q signs after the lead", name, now)
		}
		if _, err := s.Import(t.Context(), c.text, false); !errors.Is(err, tokens.ErrKeyExists) {
			t.Errorf("%s, again: %v", name, err)
		}
	}
}

func TestImportSignsNow(t *testing.T) {
	t.Parallel()
	keys, django := &store{}, generate(t, tokens.RS256)
	s := service(t, algorithm(tokens.RS256), func(c *tokens.Config) { c.Keys = keys })
	if _, err := s.Import(t.Context(), pemOf(t, django), true); err != nil {
		t.Fatal(err)
	}
	_, want, err := tokens.PublicJWK(django, tokens.RS256)
	if err != nil || kidOf(t, issue(t, s, alice)) != want {
		t.Errorf("it does not sign at once; %v", err)
	}
	// The way back, for verifiers that turn out to know no other.
	if _, err := s.Rotate(t.Context(), true); err != nil || kidOf(t, issue(t, s, alice)) == want {
		t.Fatal("it has not retired", err)
	}
	if _, err := s.Import(t.Context(), pemOf(t, django), true); err != nil || kidOf(t, issue(t, s, alice)) != want || len(keys.keys) != 3 {
		t.Errorf("it does not sign again: %v, %d keys", err, len(keys.keys))
	}
	// A rotation that has not taken effect is undone: it goes on, without a pause.
	if _, err := s.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(t.Context(), pemOf(t, django), false); err != nil {
		t.Fatal(err)
	}
	for after := time.Duration(0); after < time.Hour; after += time.Minute {
		if kid, _ := s.SignerID(start.Add(after)); kid != want {
			t.Fatalf("after %v %q signs", after, kid)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	ec, large := ecKey(t, elliptic.P256()), generate(t, tokens.RS256)
	dh, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	unfit := *ec
	unfit.PublicKey = ecKey(t, elliptic.P256()).PublicKey
	halves := jwkOf(t, ec, nil)
	halves["x"], halves["y"] = jwkOf(t, &unfit.PublicKey, nil)["x"], jwkOf(t, &unfit.PublicKey, nil)["y"]
	wrongRSA := jwkOf(t, large, nil)
	wrongRSA["d"] = jwkOf(t, generate(t, tokens.RS256), nil)["d"]
	legacy := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("hush")})
	for name, c := range map[string]struct {
		text []byte
		why  string
	}{
		"nothing":                   {nil, "no private key in it"},
		"text":                      {[]byte("hush"), "no private key in it"},
		"a certificate":             {block("CERTIFICATE", []byte("hush")), "no private key in it"},
		"a public key":              {jsonOf(t, jwkOf(t, &ec.PublicKey, nil)), "a public key"},
		"junk in PEM":               {block("PRIVATE KEY", []byte("hush")), "can't be read as PRIVATE KEY"},
		"junk as PKCS #1":           {block("RSA PRIVATE KEY", []byte("hush")), "can't be read as RSA"},
		"encrypted":                 {block("ENCRYPTED PRIVATE KEY", []byte("hush")), "decrypt it first"},
		"encrypted as of old":       {legacy, "decrypt it first"},
		"a JWK without a key":       {[]byte(`{"kty":"hush"}`), "no JWK"},
		"a JWK Set":                 {[]byte(`{"keys":[]}`), "no JWK"},
		"a symmetric JWK":           {[]byte(`{"kty":"oct","k":"aHVzaGh1c2hodXNoaHVzaGh1c2hodXNoaHVzaGh1c2g"}`), "wanted is one for ES256"},
		"P-384":                     {pemOf(t, ecKey(t, elliptic.P384())), "wanted is one for ES256"},
		"two keys":                  {append(pemOf(t, ec), pemOf(t, ec)...), "more than one"},
		"a key of agreement":        {pemOf(t, dh), "wanted is one for ES256"},
		"RSA of 1024 bits":          {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(weakRSA(t))), "too weak"},
		"another algorithm":         {pemOf(t, large), "it is for RS256, and the configured algorithm is ES256"},
		"alg of another":            {jsonOf(t, jwkOf(t, ec, map[string]any{"alg": "ES384"})), "alg is not ES256"},
		"for encryption":            {jsonOf(t, jwkOf(t, ec, map[string]any{"use": "enc"})), "use is not sig"},
		"halves of two keys":        {jsonOf(t, halves), "halves"},
		"halves of two keys of RSA": {jsonOf(t, wrongRSA), "halves"},
	} {
		keys := &store{}
		s := service(t, func(c *tokens.Config) { c.Keys = keys })
		_, err := s.Import(t.Context(), c.text, true)
		if !errors.Is(err, tokens.ErrBadKey) || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
		if len(keys.keys) != 1 {
			t.Errorf("%s: %d keys", name, len(keys.keys))
		}
	}
}

func TestRetire(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	keys, now := &store{}, start
	s := service(t, func(c *tokens.Config) {
		c.Keys, c.Now, c.Logger = keys, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil))
	})
	first, _ := s.SignerID(now)
	token := issue(t, s, alice)
	if err := s.Retire(t.Context(), first, false); !errors.Is(err, tokens.ErrLastSigner) || keys.keys[0].State != "signing" {
		t.Errorf("the only one: %v", err)
	}
	if err := s.Retire(t.Context(), "other", false); !errors.Is(err, tokens.ErrNoSuchKey) {
		t.Errorf("one that is not there: %v", err)
	}
	second, err := s.Rotate(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Retire(t.Context(), first, true); !errors.Is(err, tokens.ErrLastSigner) {
		t.Errorf("before the second signs: %v", err)
	}
	// The successor is retired before it begins: the first goes on.
	if err := s.Retire(t.Context(), second.KeyID, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `msg="signing key goes on" kid=`+first) || strings.Contains(log.String(), "0001-01-01") {
		t.Errorf("logged:\n%s", &log)
	}
	for after := time.Duration(0); after < time.Hour; after += time.Minute {
		if kid, _ := s.SignerID(start.Add(after)); kid != first {
			t.Fatalf("after %v %q signs", after, kid)
		}
	}
	third, err := s.Rotate(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	now = start.Add(lead)
	if err := s.Retire(t.Context(), first, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.VerifyAccess(token, start); err != nil {
		t.Errorf("a token of the retired key: %v", err)
	}
	if err := s.Retire(t.Context(), first, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.VerifyAccess(token, start); !errors.Is(err, tokens.ErrUnknownKey) {
		t.Errorf("a token of the compromised key: %v", err)
	}
	if body, _ := s.JWKS(); strings.Contains(string(body), first) || !strings.Contains(string(body), third.KeyID) {
		t.Errorf("published %s", body)
	}
}

// A store that can't be written to keeps nothing from being signed, and the rotation is made up for.
func TestRotationFails(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	keys, now := &store{}, start
	s := service(t, func(c *tokens.Config) {
		c.Keys, c.RotateEvery, c.Logger = keys, time.Hour, slog.New(slog.NewTextHandler(&log, nil))
		c.Now = func() time.Time { return now }
	})
	first, _ := s.SignerID(now)
	keys.failChanges(errFault)
	now = start.Add(2 * time.Hour)
	if err := s.Load(t.Context()); err != nil || len(keys.keys) != 1 || !strings.Contains(log.String(), "signing keys not changed") {
		t.Errorf("Load: %v, %d keys, log %s", err, len(keys.keys), &log)
	}
	if kid, _ := s.SignerID(now); kid != first {
		t.Errorf("%q signs", kid)
	}
	keys.failChanges(nil)
	if err := s.Load(t.Context()); err != nil || len(keys.keys) != 2 {
		t.Errorf("Load: %v, %d keys", err, len(keys.keys))
	}
	if kid, _ := s.SignerID(now.Add(lead)); kid == first {
		t.Error("the first signs for ever")
	}
	now = now.Add(24 * time.Hour)
	if err := s.Load(t.Context()); err != nil || keys.keys[0].KeyID == first {
		t.Errorf("Load: %v; what is over is not deleted", err)
	}
}

// Whoever is overtaken each time gives up, and changes nothing.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	keys := &store{}
	s := service(t, func(c *tokens.Config) { c.Keys = keys })
	keys.failChanges(repo.ErrStale)
	if _, err := s.Rotate(t.Context(), false); !errors.Is(err, repo.ErrStale) || len(keys.keys) != 1 {
		t.Errorf("%v, %d keys", err, len(keys.keys))
	}
	none, err := tokens.New(config(func(c *tokens.Config) { c.Keys = &store{makeErr: repo.ErrStale} }))
	if err != nil {
		t.Fatal(err)
	}
	if err := none.Load(t.Context()); !errors.Is(err, repo.ErrStale) {
		t.Errorf("the first key: %v", err)
	}
}

// Another secret, in the order that docs/keys.md gives: each server knows the new one before another uses it.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	keys := &store{}
	with := func(secret string, fallbacks ...string) *tokens.Service {
		return service(t, func(c *tokens.Config) { c.Keys, c.Secret, c.SecretFallbacks = keys, secret, fallbacks })
	}
	sealedBy := func(s *tokens.Service) string {
		t.Helper()
		list, err := s.ListKeys(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].SealedBy
	}
	before := with(otherSecret)
	token := issue(t, before, alice)
	knows := with(otherSecret, secret)
	if got := sealedBy(knows); got != tokens.SealedByCurrent {
		t.Errorf("where both know the old secret first: %s", got)
	}
	uses := with(secret, otherSecret)
	if got := sealedBy(uses); got != tokens.SealedByCurrent {
		t.Errorf("once the new one is first: %s", got)
	}
	if got := sealedBy(knows); got != tokens.SealedByFallback {
		t.Errorf("for who has the old one first: %s", got)
	}
	if got := sealedBy(before); got != tokens.SealedByOther {
		t.Errorf("for who does not know the new one: %s", got)
	}
	for range 2 {
		for _, s := range []*tokens.Service{knows, uses} { // no turns
			if err := s.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := sealedBy(uses); got != tokens.SealedByCurrent {
				t.Errorf("after one has loaded again: %s", got)
			}
		}
	}
	if _, err := with(secret).VerifyAccess(token, start); err != nil {
		t.Errorf("without the old secret: %v", err)
	}
}

// Keys of other versions, and what is damaged, are left alone.
func TestForeignKeysStay(t *testing.T) {
	t.Parallel()
	keys := &store{}
	s := service(t, func(c *tokens.Config) { c.Keys, c.RotateEvery = keys, time.Hour })
	foreign := repo.SigningKey{KeyID: "pq", Algorithm: "ML-DSA-44", State: "lying idle", SealedPrivate: []byte("x"), CreatedAt: start.Add(-time.Hour), SignsAt: start.Add(-24 * time.Hour)}
	keys.change(func(k []repo.SigningKey) []repo.SigningKey { return append(k, foreign) })
	if first, _ := s.SignerID(start); !errors.Is(s.Retire(t.Context(), first, false), tokens.ErrLastSigner) {
		t.Error("a key that nobody here can open is taken for one that signs")
	}
	if _, err := s.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := s.ListKeys(t.Context())
	if err != nil || len(list) != 3 || list[0].KeyID != "pq" || !list[0].RetiredAt.IsZero() || list[0].SealedBy != tokens.SealedByOther {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestListKeysFails(t *testing.T) {
	t.Parallel()
	s := service(t)
	keys := &store{listErr: errFault}
	if s, err := tokens.New(config(func(c *tokens.Config) { c.Keys = keys })); err != nil {
		t.Fatal(err)
	} else if _, err := s.ListKeys(t.Context()); !errors.Is(err, errFault) {
		t.Error(err)
	} else if _, err := s.Rotate(t.Context(), false); !errors.Is(err, errFault) {
		t.Error(err)
	}
	if list, err := service(t, algorithm(tokens.HS256), func(c *tokens.Config) { c.Keys = nil }).ListKeys(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := s.Retire(t.Context(), "", false); !errors.Is(err, tokens.ErrNoSuchKey) {
		t.Error(err)
	}
}
