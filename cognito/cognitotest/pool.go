// Package cognitotest plays a Cognito user pool for tests: it publishes keys,
// well or badly, and signs tokens, right or with any defect. Production code
// never imports it.
package cognitotest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Mode is how the pool answers for its keys.
type Mode int

// The modes.
const (
	Good     Mode = iota
	Down          // 503, with a JSON message
	HTML          // 200, with a page
	NoKeys        // a JSON object without "keys"
	Empty         // a set of no keys
	Huge          // a body without end
	Redirect      // to where the keys are
	Hang          // nothing at all, until the request is given up
	Reset         // the connection is cut
)

// ClientID is the app client of the tokens.
const ClientID = "abcdefg"

// Pool is a user pool. It is safe for concurrent use.
type Pool struct {
	// Issuer and JWKSURL are what the verifier's configuration takes.
	Issuer, JWKSURL string
	// HostedUI has the authorization and the token endpoint below it.
	HostedUI string

	server *httptest.Server
	mu     sync.Mutex
	mode   Mode
	keys   map[string]*rsa.PrivateKey
	extra  []json.RawMessage
	codes  map[string]issuedCode
	fetch  int

	metadata  Metadata
	discovery int
}

// New starts a pool with one key, "kid-1". Close ends it.
func New() *Pool {
	p := &Pool{keys: map[string]*rsa.PrivateKey{"kid-1": NewKey()}, codes: map[string]issuedCode{}}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	p.Issuer = p.server.URL + "/pool"
	p.JWKSURL = p.Issuer + "/.well-known/jwks.json"
	p.HostedUI = p.server.URL
	return p
}

// Close ends the pool.
func (p *Pool) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// NewKey makes a key as Cognito has them.
func NewKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// SetMode changes how the pool answers.
func (p *Pool) SetMode(m Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
}

// SetKeys changes the keys that are published and that sign, and publishes
// further JWKs beside them, as they are.
func (p *Pool) SetKeys(keys map[string]*rsa.PrivateKey, extra ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys, p.extra = maps.Clone(keys), nil
	for _, one := range extra {
		p.extra = append(p.extra, json.RawMessage(one))
	}
}

// Key returns a key that signs.
func (p *Pool) Key(kid string) *rsa.PrivateKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[kid]
}

// Fetches is how often the keys were asked for.
func (p *Pool) Fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetch
}

func (p *Pool) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
		p.discover(w, r)
		return
	}
	p.mu.Lock()
	mode := p.mode
	if strings.HasSuffix(r.URL.Path, "/.well-known/jwks.json") {
		p.fetch++
	}
	body := p.set()
	p.mu.Unlock()
	if mode == Good && r.URL.Path == "/oauth2/token" {
		p.token(w, r)
		return
	}
	if mode == Redirect && r.URL.Path == "/elsewhere" {
		mode = Good
	}
	answer(w, r, mode, body)
}

// answer answers with a document, well or badly.
func answer(w http.ResponseWriter, r *http.Request, mode Mode, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	switch mode {
	case Good:
		_, _ = w.Write(body)
	case Down:
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"message":"down"}`))
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>Maintenance</title>"))
	case NoKeys:
		_, _ = w.Write([]byte(`{"message":"hello"}`))
	case Empty:
		_, _ = w.Write([]byte(`{"keys":[]}`))
	case Huge:
		_, _ = w.Write([]byte(`{"keys":[`))
		for blank := []byte(strings.Repeat(" ", 64<<10)); ; {
			if _, err := w.Write(blank); err != nil {
				return
			}
		}
	case Redirect:
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case Hang:
		<-r.Context().Done()
	case Reset:
		panic(http.ErrAbortHandler)
	}
}

// set is the JWK Set.
func (p *Pool) set() []byte {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: p.extra}
	for kid, key := range p.keys {
		set.Keys = append(set.Keys, json.RawMessage(JWK(kid, &key.PublicKey)))
	}
	body, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return body
}

// JWK is a public key as Cognito publishes it, with other members on top.
func JWK(kid string, key *rsa.PublicKey, more ...string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty":"RSA","alg":"RS256","use":"sig","kid":%q,"n":%q,"e":%q%s}`,
		kid, b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes()), strings.Join(append([]string{""}, more...), ","))
}

// Claims are those of a token; a nil one is left out.
type Claims map[string]any

// With returns the claims with some changed.
func (c Claims) With(change Claims) Claims {
	all := maps.Clone(c)
	maps.Copy(all, change)
	return all
}

// ID returns the claims of an ID token of a verified user, issued at now.
func (p *Pool) ID(subject string, now time.Time) Claims {
	return Claims{
		"iss": p.Issuer, "sub": subject, "aud": ClientID, "token_use": "id", "iat": now.Unix(), "auth_time": now.Unix(),
		"exp": now.Add(time.Hour).Unix(), "jti": rand.Text(), "origin_jti": "origin-" + subject, "event_id": "event",
		"cognito:username": "user-" + subject, "email": subject + "@example.test", "email_verified": true,
		"given_name": "Gina", "family_name": "Gold",
	}
}

// Access returns the claims of an access token of the same sign-in.
func (p *Pool) Access(subject string, now time.Time) Claims {
	return Claims{
		"iss": p.Issuer, "sub": subject, "client_id": ClientID, "token_use": "access", "iat": now.Unix(), "auth_time": now.Unix(),
		"exp": now.Add(time.Hour).Unix(), "jti": rand.Text(), "origin_jti": "origin-" + subject, "event_id": "event",
		"username": "user-" + subject, "scope": "openid email",
	}
}

// Sign signs claims with the key of an id.
func (p *Pool) Sign(kid string, c Claims) string {
	return Sign(p.Key(kid), map[string]any{"kid": kid}, c)
}

// Sign signs claims by RS256 under a header with these members.
func Sign(key *rsa.PrivateKey, header map[string]any, c Claims) string {
	present := jwt.MapClaims{}
	for name, value := range c {
		if value != nil {
			present[name] = value
		}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, present)
	delete(token.Header, "typ")
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return signed
}

// Pair returns an ID token and its access token, with at_hash, as Cognito issues
// them; change is applied to the ID token's claims.
func (p *Pool) Pair(subject string, now time.Time, change Claims) (id, access string) {
	access = p.Sign("kid-1", p.Access(subject, now))
	sum := sha256.Sum256([]byte(access))
	hash := base64.RawURLEncoding.EncodeToString(sum[:16])
	return p.Sign("kid-1", p.ID(subject, now).With(Claims{"at_hash": hash}).With(change)), access
}
