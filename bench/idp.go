package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// idp is an identity provider: its keys on a loopback listener, and tokens that
// are signed before anything is measured.
type idp struct {
	issuer, clientID string
	key              *rsa.PrivateKey
	keys             []byte // the JWK Set
	pairs            []pair
}

// pair is what an app gets of the provider for one sign-in.
type pair struct{ id, access string }

const idpKeyID = "bench-1"

func newIDP(ctx context.Context) (*idp, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &idp{issuer: "http://" + l.Addr().String() + "/pool", clientID: "bench-client", key: key}
	p.keys, err = json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "kid": idpKeyID, "alg": "RS256", "use": "sig",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}}})
	if err != nil {
		return nil, err
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(p.keys)
	})}
	go func() { _ = s.Serve(l) }()
	return p, nil
}

func (p *idp) jwksURL() string { return p.issuer + "/.well-known/jwks.json" }

// config is the server's setting for this provider.
func (p *idp) config() string {
	b, _ := json.Marshal([]any{map[string]any{ // text alone: it can't fail
		"name": "cognito", "type": "cognito", "issuer": p.issuer, "jwks_url": p.jwksURL(), "client_ids": []string{p.clientID},
	}})
	return string(b)
}

// mint signs n pairs for so many users, a user's access token once: 700 µs each.
func (p *idp) mint(n, users int) error {
	p.pairs = make([]pair, n)
	access := make([]string, min(n, users))
	now := time.Now()
	if err := inParallel(len(access), func(i int) (err error) {
		access[i], err = p.sign(i, now, jwt.MapClaims{"token_use": "access", "client_id": p.clientID, "scope": "openid profile email", "jti": rand.Text()})
		return err
	}); err != nil {
		return err
	}
	return inParallel(n, func(i int) (err error) {
		user := i % users
		p.pairs[i].access = access[user]
		p.pairs[i].id, err = p.sign(user, now, jwt.MapClaims{
			"token_use": "id", "aud": p.clientID, "email": emailOf(user), "email_verified": true, "cognito:username": usernameOf(user),
			"given_name": "Given", "family_name": "Family", "event_id": rand.Text(), "jti": rand.Text(),
		})
		return err
	})
}

// sign signs the claims for a user, with those that both tokens have.
func (p *idp) sign(user int, now time.Time, claims jwt.MapClaims) (string, error) {
	claims["iss"], claims["sub"], claims["origin_jti"] = p.issuer, subjectOf(user), fmt.Sprint("origin-", user)
	claims["auth_time"], claims["iat"], claims["exp"] = now.Unix(), now.Unix(), now.Add(24*time.Hour).Unix()
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	t.Header["kid"] = idpKeyID
	return t.SignedString(p.key)
}

// inParallel calls f for 0 to n-1 on all cores, and returns one of its errors.
func inParallel(n int, f func(i int) error) error {
	cores := runtime.GOMAXPROCS(0)
	errs := make([]error, cores)
	var wg sync.WaitGroup
	for core := range cores {
		wg.Go(func() {
			for i := core; i < n && errs[core] == nil; i += cores {
				errs[core] = f(i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
