package verify_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/verify"
)

// FuzzVerify: no input panics, and what passes is what the key has signed.
func FuzzVerify(f *testing.F) {
	key := newPair(f, "k1", "ES256")
	v := verifier(f, newWorld(key), newClock().now)
	good := key.access(start)
	f.Add(good)
	f.Add(good + "=")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(key.statement(statementClaims(start, nil)))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := v.Verify(t.Context(), token); (err == nil) != (token == good) || err != nil && !errors.Is(err, verify.ErrInvalidToken) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

// FuzzClaims: what the key has signed is read without a panic, as claims and as
// a statement, and passes only with what it must have.
func FuzzClaims(f *testing.F) {
	key := newPair(f, "k1", "EdDSA")
	w := newWorld(key)
	v := verifier(f, w, newClock().now, mode(verify.RequireRevocations))
	f.Add(text(accessClaims(start)), text(statementClaims(start, []string{"a", "b"})))
	f.Add(`{"exp":1e308,"a":{"a":[[]]}}`, `{"users":{"AAAAAAAAAAA":-1e300},"sessions":"AAAAAAAAAAA"}`)
	f.Fuzz(func(t *testing.T, claims, statement string) {
		w.answers(func(*http.Request) *http.Response {
			return respond(http.StatusOK, http.Header{"Content-Type": {"application/jwt"}}, key.sign(key.header(object{"typ": "revocations+jwt"}), statement))
		})
		got, err := v.Verify(t.Context(), key.sign(key.header(), claims))
		if err != nil && !errors.Is(err, verify.ErrInvalidToken) && !errors.Is(err, verify.ErrUnavailable) {
			t.Fatal(err)
		}
		if err == nil && (got.UserID == "" || got.Issuer != issuerURL || !got.ExpiresAt.After(start)) {
			t.Fatalf("%q passes as %+v", claims, got)
		}
	})
}
