package jwks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
	"github.com/gatehouse-auth/gatehouse/internal/jws"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

var all = []string{jws.ES256, jws.RS256, jws.EdDSA, jws.PS256}

// publicJWK writes a public key as jwx does, with an id.
func publicJWK(t testing.TB, public any, edits ...map[string]any) map[string]any {
	t.Helper()
	key, err := jwk.Import(public)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	members["kid"] = "k1"
	for _, edit := range edits {
		maps.Copy(members, edit)
	}
	return members
}

func body(t testing.TB, keys ...any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// issuer answers, without a network.
type issuer struct {
	fetches atomic.Int64
	mu      sync.Mutex
	body    string // empty: it can't be reached
	header  http.Header
}

func (i *issuer) publish(body, cacheControl string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.body, i.header = body, http.Header{"Cache-Control": {cacheControl}}
}

func (i *issuer) RoundTrip(*http.Request) (*http.Response, error) {
	i.fetches.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.body == "" {
		return nil, errors.New("no network")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: i.header, Body: io.NopCloser(strings.NewReader(i.body))}, nil
}

func source(t testing.TB, i *issuer, edits ...func(*jwks.Config)) *jwks.Source {
	t.Helper()
	c := jwks.Config{URL: "https://issuer.test/jwks", Algorithms: all, Client: &http.Client{Transport: i}}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := jwks.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keys(t testing.TB) (*rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &r.PublicKey, &e.PublicKey, public
}

// TestPublishedKeys publishes keys one at a time: which are taken, and for which
// algorithm.
func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	r, e, ed := keys(t)
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	type edit = map[string]any
	twice := strings.Replace(strings.TrimSuffix(strings.TrimPrefix(body(t, publicJWK(t, e)), `{"keys":[`), `]}`), `{`, `{"kid":"k1",`, 1)
	padded := publicJWK(t, r)["n"].(string) + "=="
	for name, c := range map[string]struct {
		key       any
		algorithm string // empty: it is passed over
	}{
		"RSA":                    {publicJWK(t, r), jws.RS256},
		"RSA for PS256":          {publicJWK(t, r, edit{"alg": "PS256"}), jws.PS256},
		"RSA, padded":            {publicJWK(t, r, edit{"n": padded}), jws.RS256},
		"RSA for ES256":          {publicJWK(t, r, edit{"alg": "ES256"}), ""},
		"RSA for RS512":          {publicJWK(t, r, edit{"alg": "RS512"}), ""},
		"RSA for RSA-OAEP":       {publicJWK(t, r, edit{"alg": "RSA-OAEP"}), ""},
		"RSA without n":          {publicJWK(t, r, edit{"n": ""}), ""},
		"RSA, n a number":        {publicJWK(t, r, edit{"n": 5}), ""},
		"RSA, e beyond 32 bits":  {publicJWK(t, r, edit{"e": "AQAAAAAB"}), ""},
		"RSA, e even":            {publicJWK(t, r, edit{"e": "AQAA"}), ""},
		"RSA, n no base64":       {publicJWK(t, r, edit{"n": "*"}), ""},
		"RSA, of 24 bits":        {publicJWK(t, r, edit{"n": "AQAB"}), ""},
		"P-256":                  {publicJWK(t, e, edit{"use": "sig", "key_ops": []string{"verify"}}), jws.ES256},
		"P-256 for ES384":        {publicJWK(t, e, edit{"alg": "ES384"}), ""},
		"P-256 for HS256":        {publicJWK(t, e, edit{"alg": "HS256"}), ""},
		"P-256, alg null":        {publicJWK(t, e, edit{"alg": nil}), ""},
		"P-256, off the curve":   {publicJWK(t, e, edit{"x": publicJWK(t, e)["y"]}), ""},
		"P-256, cut short":       {publicJWK(t, e, edit{"x": "AAAA"}), ""},
		"P-384":                  {publicJWK(t, &wide.PublicKey), ""},
		"P-384, called P-256":    {publicJWK(t, &wide.PublicKey, edit{"crv": "P-256"}), ""},
		"Ed25519":                {publicJWK(t, ed), jws.EdDSA},
		"Ed25519, cut short":     {publicJWK(t, ed, edit{"x": "AAAA"}), ""},
		"X25519":                 {publicJWK(t, ed, edit{"crv": "X25519"}), ""},
		"a secret":               {edit{"kty": "oct", "kid": "k1", "k": "c2VjcmV0"}, ""},
		"a private key":          {publicJWK(t, private), ""},
		"for encryption":         {publicJWK(t, e, edit{"use": "enc"}), ""},
		"use a list":             {publicJWK(t, e, edit{"use": []string{"sig"}}), ""},
		"for signing only":       {publicJWK(t, e, edit{"key_ops": []string{"sign"}}), ""},
		"key_ops a text":         {publicJWK(t, e, edit{"key_ops": "verify"}), ""},
		"no kty":                 {publicJWK(t, e, edit{"kty": nil}), ""},
		"kid under another name": {publicJWK(t, e, edit{"kid": nil, "KID": "k1"}), ""},
		"kid too long":           {publicJWK(t, e, edit{"kid": strings.Repeat("k", 257)}), ""},
		"a member twice":         {json.RawMessage(twice), ""},
		"a number":               {1, ""},
		"null":                   {nil, ""},
	} {
		i := &issuer{}
		i.publish(body(t, publicJWK(t, e, edit{"kid": "good"}), c.key), "")
		s := source(t, i)
		if _, err := s.Key(t.Context(), "good"); err != nil {
			t.Fatalf("%s: the key beside it: %v", name, err)
		}
		key, err := s.Key(t.Context(), "k1")
		if key.Algorithm() != c.algorithm || (c.algorithm == "") != errors.Is(err, jwks.ErrUnknownKey) || (c.algorithm != "") != (err == nil) {
			t.Errorf("%s: pinned to %q, %v", name, key.Algorithm(), err)
		}
		if got, ignored := s.Stats().Ignored, map[bool]int{true: 1}[c.algorithm == ""]; got != ignored {
			t.Errorf("%s: %d are ignored", name, got)
		}
	}
}

// TestNamesAreExact has a set whose member is called KEYS.
func TestNamesAreExact(t *testing.T) {
	t.Parallel()
	_, e, _ := keys(t)
	i := &issuer{}
	i.publish(strings.Replace(body(t, publicJWK(t, e)), "keys", "KEYS", 1), "")
	if _, err := source(t, i).Key(t.Context(), "k1"); !errors.Is(err, jwks.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// FuzzKeys: a key is taken only if jwx reads it too, as a public key of the
// type that its algorithm asks for.
func FuzzKeys(f *testing.F) {
	r, e, ed := keys(f)
	for _, public := range []any{r, e, ed} {
		text, err := json.Marshal(publicJWK(f, public))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		i := &issuer{}
		i.publish(`{"keys":[`+text+`]}`, "")
		key, err := source(t, i).Key(t.Context(), "k1")
		if err != nil {
			return
		}
		parsed, err := jwk.ParseKey([]byte(text))
		if err != nil {
			t.Fatalf("jwx does not read %s: %v", text, err)
		}
		var public any
		if err := jwk.Export(parsed, &public); err != nil {
			t.Fatalf("jwx does not export %s: %v", text, err)
		}
		if _, err := jws.NewKey(public, key.Algorithm()); err != nil {
			t.Fatalf("%s is another key to jwx: %T", text, public)
		}
	})
}

// TestFreshness lets tokens alone cause the fetches: in the background once the
// answer has grown old, however often they come.
func TestFreshness(t *testing.T) {
	t.Parallel()
	_, e, _ := keys(t)
	set := body(t, publicJWK(t, e))
	for cacheControl, fresh := range map[string]time.Duration{
		"": 10 * time.Minute, "public, max-age=60": time.Minute, "Max-Age=60, must-revalidate": time.Minute, "max-age=86400": 10 * time.Minute,
		"max-age=0": 10 * time.Minute, "no-store": 10 * time.Minute, "max-age=-1": 10 * time.Minute, "max-age=x": 10 * time.Minute,
		"max-age=99999999999999999999": 10 * time.Minute, "s-maxage=5": 10 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			i := &issuer{}
			i.publish(set, cacheControl)
			s := source(t, i)
			expect := func(when string, want int64) {
				t.Helper()
				for range 3 {
					if _, err := s.Key(t.Context(), "k1"); err != nil {
						t.Fatalf("%q, %s: %v", cacheControl, when, err)
					}
				}
				synctest.Wait()
				if got := i.fetches.Load(); got != want {
					t.Errorf("%q, %s: %d fetches, want %d", cacheControl, when, got, want)
				}
			}
			expect("at first", 1)
			time.Sleep(fresh - time.Second)
			expect("while it is fresh", 1)
			time.Sleep(time.Second)
			expect("when it has grown old", 2)
			i.publish("", "")
			time.Sleep(fresh)
			expect("in an outage", 3)
			if s.Stats().Failures != 1 {
				t.Errorf("counted %+v", s.Stats())
			}
		})
	}
}

// TestFreshForOfSeveralLines reads a list that proxies have spread over lines
// (RFC 9110 §5.3).
func TestFreshForOfSeveralLines(t *testing.T) {
	t.Parallel()
	for want, lines := range map[time.Duration][]string{
		time.Minute: {"public", "must-revalidate, max-age=60"}, 30 * time.Second: {"max-age=30", "max-age=60"}, 10 * time.Minute: {"public", ""},
	} {
		if got := jwks.FreshFor(http.Header{"Cache-Control": lines}, 10*time.Minute); got != want {
			t.Errorf("%q: %v, want %v", lines, got, want)
		}
	}
}

// TestRotationsInARow publishes one new key after the other, faster than the
// cooldown: who asks for what is there is never refused.
func TestRotationsInARow(t *testing.T) {
	t.Parallel()
	_, e, _ := keys(t)
	i := &issuer{}
	s := source(t, i)
	for _, kid := range []string{"a", "b", "c", "d"} {
		i.publish(body(t, publicJWK(t, e, map[string]any{"kid": kid})), "")
		if _, err := s.Key(t.Context(), kid); err != nil {
			t.Errorf("the key %s: %v", kid, err)
		}
	}
	if _, err := s.Key(t.Context(), "x"); !errors.Is(err, jwks.ErrUnknownKey) {
		t.Errorf("a made-up key: %v", err)
	}
	i.publish(body(t, publicJWK(t, e, map[string]any{"kid": "e"})), "")
	if _, err := s.Key(t.Context(), "e"); !errors.Is(err, jwks.ErrUnknownKey) {
		t.Errorf("within the cooldown that the made-up one caused: %v", err)
	}
	if got := i.fetches.Load(); got != 5 {
		t.Errorf("%d fetches", got)
	}
}

// slowStore keeps the last set that is saved, and is slow about the first.
type slowStore struct {
	free chan struct{} // the first is saved when it is closed
	mu   sync.Mutex
	last string
	once bool
}

func (s *slowStore) SaveKeySet(ctx context.Context, _ string, body []byte, _ time.Time) error {
	s.mu.Lock()
	first := !s.once
	s.once = true
	s.mu.Unlock()
	if first {
		select {
		case <-s.free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = string(body)
	return nil
}

func (s *slowStore) LoadKeySet(context.Context, string) ([]byte, time.Time, error) {
	return nil, time.Time{}, errors.New("nothing is kept")
}

// TestNobodyWaitsForTheStore has a store that hangs: keys are there when they
// were fetched, and the newest ones are kept in the end.
func TestNobodyWaitsForTheStore(t *testing.T) {
	t.Parallel()
	_, e, _ := keys(t)
	synctest.Test(t, func(t *testing.T) {
		i, kept := &issuer{}, &slowStore{free: make(chan struct{})}
		s := source(t, i, func(c *jwks.Config) { c.Store = kept })
		var newest string
		for _, kid := range []string{"a", "b"} {
			time.Sleep(time.Second)
			begun := time.Now()
			newest = body(t, publicJWK(t, e, map[string]any{"kid": kid}))
			i.publish(newest, "")
			if _, err := s.Key(t.Context(), kid); err != nil || time.Since(begun) > 0 {
				t.Errorf("the key %s after %v: %v", kid, time.Since(begun), err)
			}
		}
		close(kept.free)
		synctest.Wait()
		if kept.last != newest {
			t.Errorf("kept is %s", kept.last)
		}
	})
}

// TestLocate finds out where the keys are before it fetches them.
func TestLocate(t *testing.T) {
	t.Parallel()
	_, e, _ := keys(t)
	i := &issuer{}
	i.publish(body(t, publicJWK(t, e)), "")
	lost := errors.New("nobody knows")
	err := lost
	s := source(t, i, func(c *jwks.Config) {
		c.Locate = func(context.Context) (string, error) { return "https://elsewhere.test/keys", err }
	})
	if _, err := s.Key(t.Context(), "k1"); !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, lost) || i.fetches.Load() != 0 {
		t.Errorf("got %v, %d fetches", err, i.fetches.Load())
	}
	err = nil
	if _, err := s.Key(t.Context(), "k1"); err != nil {
		t.Error(err)
	}
	if _, err := s.Key(t.Context(), ""); !errors.Is(err, jwks.ErrUnknownKey) {
		t.Errorf("no id: %v", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, algorithms := range [][]string{nil, {"HS256"}, {"none"}, {jws.ES256, ""}} {
		if _, err := jwks.New(jwks.Config{URL: "https://issuer.test", Algorithms: algorithms}); err == nil {
			t.Errorf("%q are taken", algorithms)
		}
	}
	for url, good := range map[string]bool{
		"https://a.test/x": true, "http://127.0.0.1:1/x": true, "http://[::1]/": true, "http://localhost/": true,
		"http://a.test/": false, "ftp://a.test/": false, "https://u:p@a.test/": false, "a.test": false, "": false, "https:///x": false, ":": false,
	} {
		if err := jwks.CheckURL(url); (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		}
	}
}
