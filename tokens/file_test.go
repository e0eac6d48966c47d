package tokens_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// keySet is a JWK Set.
func keySet(t *testing.T, keys ...map[string]any) []byte {
	t.Helper()
	return jsonOf(t, map[string]any{"keys": keys})
}

func writeFile(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// The first private key of the algorithm that may sign does; the others are published and verify. A change of the file
// is taken at the next Load, and a bad one leaves what was there.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jwks.json")
	first, second, large := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()), generate(t, tokens.RS256)
	public := ecKey(t, elliptic.P256())
	one, two := jwkOf(t, first, map[string]any{"kid": "one"}), jwkOf(t, second, map[string]any{"kid": "two", "alg": "ES256"})
	idle := jwkOf(t, ecKey(t, elliptic.P256()), map[string]any{"kid": "idle", "key_ops": []string{"verify"}})
	rsaKey, onlyPublic := jwkOf(t, large, map[string]any{"kid": "rsa"}), jwkOf(t, &public.PublicKey, nil)
	_, thumbprint, err := tokens.PublicJWK(public, tokens.ES256)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	writeFile(t, path, keySet(t, onlyPublic, idle, rsaKey, one, two), 0o600)
	s := service(t, func(c *tokens.Config) {
		c.Keys, c.KeyFile, c.Logger = nil, path, slog.New(slog.NewTextHandler(&log, nil))
	})
	if kid := kidOf(t, issue(t, s, alice)); kid != "one" || !s.Ready() {
		t.Errorf("%q signs", kid)
	}
	body, etag := s.JWKS()
	for _, kid := range []string{"one", "two", "idle", "rsa", thumbprint} {
		if !strings.Contains(string(body), `"kid":"`+kid+`"`) {
			t.Errorf("%s is not published: %s", kid, body)
		}
	}
	for _, private := range []string{`"d"`, `"p"`, `"q"`, "key_ops"} {
		if strings.Contains(string(body), private) {
			t.Errorf("%s is published: %s", private, body)
		}
	}
	if strings.Contains(log.String(), "read by everybody") {
		t.Errorf("log %s", &log)
	}
	token := issue(t, s, alice)

	writeFile(t, path, keySet(t, two, one), 0o644)
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, changed := s.JWKS(); kidOf(t, issue(t, s, alice)) != "two" || changed == etag || !strings.Contains(log.String(), "read by everybody") {
		t.Errorf("after the change %q signs; log %s", kidOf(t, issue(t, s, alice)), &log)
	}
	if _, err := s.VerifyAccess(token, start); err != nil {
		t.Errorf("a token of before: %v", err)
	}
	writeFile(t, path, keySet(t, idle), 0o600)
	if err := s.Load(t.Context()); !errors.Is(err, tokens.ErrBadKey) || kidOf(t, issue(t, s, alice)) != "two" {
		t.Errorf("a file without a key that may sign: %v", err)
	}
	if _, err := s.ListKeys(t.Context()); !errors.Is(err, tokens.ErrBadKey) {
		t.Errorf("listing it: %v", err)
	}
}

// One file shared by replicas: one's token is the other's.
func TestKeyFileList(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jwks.json")
	writeFile(t, path, keySet(t, jwkOf(t, generate(t, tokens.EdDSA), map[string]any{"kid": "a"}), jwkOf(t, generate(t, tokens.EdDSA), map[string]any{"kid": "b"})), 0o600)
	s := service(t, algorithm(tokens.EdDSA), func(c *tokens.Config) { c.KeyFile = path })
	list, err := s.ListKeys(t.Context())
	if got := fmt.Sprint(list); err != nil || !strings.Contains(got, "{a EdDSA signing") || !strings.Contains(got, "{b EdDSA published") {
		t.Errorf("%s, %v", got, err)
	}
	for what, f := range map[string]func() error{
		"rotate": func() error { _, err := s.Rotate(t.Context(), false); return err },
		"import": func() error { _, err := s.Import(t.Context(), pemOf(t, generate(t, tokens.EdDSA)), false); return err },
		"retire": func() error { return s.Retire(t.Context(), "a", false) },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "keys.file") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestKeyFileRefuses(t *testing.T) {
	t.Parallel()
	good := func() map[string]any { return jwkOf(t, ecKey(t, elliptic.P256()), map[string]any{"kid": "good"}) }
	many := make([]map[string]any, 101)
	for i := range many {
		many[i] = jwkOf(t, ecKey(t, elliptic.P256()), nil)
	}
	for name, c := range map[string]struct {
		text []byte
		why  string
	}{
		"nothing":         {nil, "no JWK Set"},
		"text":            {[]byte(`hush "keys"`), "no JWK Set"},
		"no list":         {[]byte(`{"keys":"hush"}`), "no JWK Set"},
		"a list of texts": {[]byte(`{"keys":["hush"]}`), "key 1 of the key file"},
		"a lone key":      {jsonOf(t, good()), "no JWK Set"},
		"an empty set":    {[]byte(`{"keys":[]}`), "no private key for ES256"},
		"a public one":    {keySet(t, jwkOf(t, &ecKey(t, elliptic.P256()).PublicKey, nil)), "no private key for ES256"},
		"a symmetric one": {keySet(t, good(), map[string]any{"kty": "oct", "k": "aHVzaA", "kid": "bad"}), `key 2 of the key file (kid "bad"): it is of another algorithm`},
		"a weak one":      {keySet(t, good(), map[string]any{"kty": "RSA", "e": "AQAB", "n": tokens.Encode(string(weakRSA(t).N.Bytes())), "kid": "bad"}), `key 2 of the key file (kid "bad"): `},
		"one id twice":    {keySet(t, good(), good()), `kid "good" is there twice`},
		"a long id":       {keySet(t, jwkOf(t, ecKey(t, elliptic.P256()), map[string]any{"kid": strings.Repeat("k", 257)})), "its kid has more than 256 bytes"},
		"too many":        {keySet(t, many...), "more than 100 keys"},
		"too large":       {bytes.Repeat([]byte(" "), 1<<20+1), "more than 1048576 bytes"},
	} {
		path := filepath.Join(t.TempDir(), "jwks.json")
		writeFile(t, path, c.text, 0o600)
		s, err := tokens.New(config(func(c *tokens.Config) { c.KeyFile = path }))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "hush") || s.Ready() {
			t.Errorf("%s: %v", name, err)
		}
	}
	missing, err := tokens.New(config(func(c *tokens.Config) { c.KeyFile = filepath.Join(t.TempDir(), "none") }))
	if err != nil {
		t.Fatal(err)
	}
	if err := missing.Load(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := missing.ListKeys(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("listing no file: %v", err)
	}
	if _, err := tokens.New(config(algorithm(tokens.HS256), func(c *tokens.Config) { c.KeyFile = "x" })); err == nil {
		t.Error("a key file for HS256")
	}
}

// Run reads the file again every half of the max-age.
func TestKeyFileIsReloaded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jwks.json")
	one, two := jwkOf(t, ecKey(t, elliptic.P256()), map[string]any{"kid": "one"}), jwkOf(t, ecKey(t, elliptic.P256()), map[string]any{"kid": "two"})
	writeFile(t, path, keySet(t, one), 0o600)
	synctest.Test(t, func(t *testing.T) {
		s := service(t, func(c *tokens.Config) { c.KeyFile = path })
		writeFile(t, path, keySet(t, two, one), 0o600)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(s.MaxAge()/2 - time.Second) // the bubble's clock: no real time passes
		synctest.Wait()
		if kid, _ := s.SignerID(start); kid != "one" {
			t.Errorf("before its time %q signs", kid)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if kid, _ := s.SignerID(start); kid != "two" {
			t.Errorf("%q signs", kid)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
