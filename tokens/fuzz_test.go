package tokens_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// FuzzVerifyAccess: no input panics. What passes under the key pair is, byte
// for byte, what it has signed; what passes under the shared secret is what the
// secret makes of the same header and payload, in the one spelling there is.
func FuzzVerifyAccess(f *testing.F) {
	ec, shared := service(f), service(f, algorithm(tokens.HS256))
	kid, _ := ec.SignerID(start)
	ours := issue(f, ec, alice)
	for _, token := range []string{ours, issue(f, shared, alice)} {
		f.Add(token)
		f.Add(token + "=")
		f.Add(strings.Replace(token, ".", "..", 1))
	}
	f.Add(tokens.Encode(`{"alg":"none"}`) + "." + tokens.Encode(goodPayload()) + ".")
	f.Add(ec.SignRaw(header(kid), `{"exp":1e308,"a":{"a":[[]]}}`, start))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		for _, s := range []*tokens.Service{ec, shared} {
			a, err := s.VerifyAccess(token, start)
			if err != nil {
				if !errors.Is(err, tokens.ErrInvalidToken) || a.Claims != nil {
					t.Fatalf("got %+v, %v", a, err)
				}
				continue
			}
			if s == ec && token != ours || s == shared && token != resigned(t, s, token) {
				t.Fatalf("a forged token passes as user %q", a.UserID)
			}
		}
	})
}

// resigned makes the token anew from what it decodes to.
func resigned(t *testing.T, s *tokens.Service, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return s.SignRaw(string(head), string(payload), start)
}

// FuzzClaims: what a key of ours has signed is read without a panic, whatever
// it is, and passes only with the claims that it must have.
func FuzzClaims(f *testing.F) {
	s := service(f, algorithm(tokens.HS256))
	f.Add(goodPayload())
	f.Add(goodPayload(`"jti"`, `"nbf":0.5,"aud":["a",1],"jti"`))
	f.Add(`{"exp":-1e-400,"a":"\ud800","\u0061":1}`)
	f.Add(`{"a":{"b":[{}]},"a":1}`)
	f.Fuzz(func(t *testing.T, payload string) {
		a, err := s.VerifyAccess(s.SignRaw(`{"alg":"HS256"}`, payload, start), start)
		if err != nil && !errors.Is(err, tokens.ErrInvalidToken) {
			t.Fatal(err)
		}
		if err == nil && (a.UserID == "" || a.ID == "" || !a.ExpiresAt.After(start) || a.Claims["token_type"] != "access" || a.Claims["iss"] != issuer) {
			t.Fatalf("%q passes as %+v", payload, a)
		}
	})
}

// FuzzParseRefresh: no input panics, and what passes is what IssueRefresh
// makes of its claims again.
func FuzzParseRefresh(f *testing.F) {
	s := service(f)
	good := issueRefresh(f, s, current)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(strings.Replace(good, ".", "", 1))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		r, err := s.ParseRefresh(token)
		if err == nil {
			if again, err := s.IssueRefresh(r); err != nil || again != token {
				t.Fatalf("a forged token passes as %+v", r)
			}
		} else if !errors.Is(err, tokens.ErrInvalidToken) {
			t.Fatal(err)
		}
	})
}

// FuzzIssueRefresh: every refresh token that is issued is read back as it was.
func FuzzIssueRefresh(f *testing.F) {
	s := service(f, func(c *tokens.Config) { c.Now = func() time.Time { return time.Unix(0, 0) } })
	f.Add("s", "42", int64(1), int64(1795510800), int64(1795597200))
	f.Add("\u2028", "<ß>", int64(1<<62), int64(1), int64(2))
	f.Fuzz(func(t *testing.T, sid, user string, generation, issued, expires int64) {
		if issued < 0 || expires > 1<<40 {
			return // outside of what time.Time and a clock can mean
		}
		want := tokens.Refresh{
			SessionID: sid, UserID: user, Generation: generation,
			IssuedAt: time.Unix(issued, 0).UTC(), ExpiresAt: time.Unix(expires, 0).UTC(),
		}
		token, err := s.IssueRefresh(want)
		if err != nil {
			return
		}
		if got, err := s.ParseRefresh(token); err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

// FuzzKeys: whatever is imported, or is in a key file, is refused as such, or is a key that signs.
func FuzzKeys(f *testing.F) {
	f.Add(pemOf(f, generate(f, tokens.ES256)))
	f.Add(pemOf(f, generate(f, tokens.EdDSA)))
	f.Add([]byte(`{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"},{"kty":"RSA","n":"AA","e":"AA","d":"AA"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if alg, err := tokens.ReadKey(text); err != nil && !errors.Is(err, tokens.ErrBadKey) || err == nil && alg == "" {
			t.Fatalf("%q, %v", alg, err)
		}
		if signers, err := tokens.ReadKeyFile(text, tokens.EdDSA); err != nil && !errors.Is(err, tokens.ErrBadKey) || err == nil && signers != 1 {
			t.Fatalf("%d keys sign, %v", signers, err)
		}
	})
}
