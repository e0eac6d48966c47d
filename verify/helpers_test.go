package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/verify"
	"github.com/golang-jwt/jwt/v5"
)

const (
	issuerURL = "https://auth.example.test"
	keysURL   = issuerURL + "/.well-known/jwks.json"
	revokeURL = issuerURL + "/auth/revocations/"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(start.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

type object = map[string]any

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// pair is a key pair of an issuer.
type pair struct {
	kid     string
	method  jwt.SigningMethod
	private crypto.Signer
}

func newPair(t testing.TB, kid, algorithm string) pair {
	t.Helper()
	p := pair{kid: kid, method: jwt.GetSigningMethod(algorithm)}
	var err error
	switch algorithm {
	case "ES256":
		p.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, p.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		p.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// jwk is the public half as it is published.
func (p pair) jwk(edits ...object) object {
	key := object{"kid": p.kid, "alg": p.method.Alg(), "use": "sig"}
	switch public := p.private.Public().(type) {
	case *ecdsa.PublicKey:
		raw, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		maps.Copy(key, object{"kty": "EC", "crv": "P-256", "x": b64(string(raw[1:33])), "y": b64(string(raw[33:]))})
	case ed25519.PublicKey:
		maps.Copy(key, object{"kty": "OKP", "crv": "Ed25519", "x": b64(string(public))})
	case *rsa.PublicKey:
		maps.Copy(key, object{"kty": "RSA", "n": b64(string(public.N.Bytes())), "e": "AQAB"})
	}
	for _, edit := range edits {
		maps.Copy(key, edit)
	}
	return key
}

// sign signs a header and a payload just as they are.
func (p pair) sign(header, payload string) string {
	signed := b64(header) + "." + b64(payload)
	signature, err := p.method.Sign(signed, p.private)
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(string(signature))
}

func (p pair) header(edits ...object) string {
	h := object{"alg": p.method.Alg(), "kid": p.kid, "typ": "JWT"}
	for _, edit := range edits {
		merge(h, edit)
	}
	return text(h)
}

// access signs a good access token, but for the edits of its claims; nil takes one away.
func (p pair) access(at time.Time, edits ...object) string {
	return p.sign(p.header(), text(accessClaims(at, edits...)))
}

func accessClaims(at time.Time, edits ...object) object {
	c := object{
		"iss": issuerURL, "aud": "api", "sub": "42", "user_id": 42, "sid": "session-1", "jti": "j", "token_type": "access",
		"iat": at.Unix(), "exp": at.Add(5 * time.Minute).Unix(), "plan": "gold",
	}
	for _, edit := range edits {
		merge(c, edit)
	}
	return c
}

func merge(into, edit object) {
	for name, value := range edit {
		if into[name] = value; value == nil {
			delete(into, name)
		}
	}
}

// world answers for an issuer, without a network.
type world struct {
	mu      sync.Mutex
	keys    string                               // the body of the key set; empty: it can't be reached
	state   func(r *http.Request) *http.Response // of revocations; nil: they can't be reached
	fetches map[string]int                       // by URL
	keyAge  string                               // Cache-Control of the key set
}

func newWorld(keys ...pair) *world {
	w := &world{fetches: map[string]int{}}
	w.publish(keys...)
	return w
}

func (w *world) publish(keys ...pair) {
	set := []object{}
	for _, k := range keys {
		set = append(set, k.jwk())
	}
	w.set(func() { w.keys = text(object{"keys": set}) })
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) fetched(url string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fetches[url]
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	url := r.URL.String()
	w.fetches[url]++
	switch {
	case url == keysURL && w.keys != "":
		return respond(http.StatusOK, http.Header{"Cache-Control": {w.keyAge}}, w.keys), nil
	case url == revokeURL && w.state != nil:
		return w.state(r), nil
	}
	return nil, errors.New("no network")
}

func respond(status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// verifier returns a verifier in a world.
func verifier(t testing.TB, w *world, now func() time.Time, edits ...func(*verify.Config)) *verify.Verifier {
	t.Helper()
	c := verify.Config{Issuer: issuerURL, Audience: "api", HTTPClient: &http.Client{Transport: w}, Now: now}
	for _, edit := range edits {
		edit(&c)
	}
	v, err := verify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
