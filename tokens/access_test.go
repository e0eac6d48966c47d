package tokens_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*tokens.Config){
		"no issuer":                         func(c *tokens.Config) { c.Issuer = "" },
		"an empty audience":                 func(c *tokens.Config) { c.Audience = []string{"api", ""} },
		"an algorithm that is no signature": func(c *tokens.Config) { c.Algorithm = "none" },
		"an algorithm that we don't sign":   func(c *tokens.Config) { c.Algorithm = "RS512" },
		"no key store":                      func(c *tokens.Config) { c.Keys = nil },
		"no secret":                         func(c *tokens.Config) { c.Secret = "" },
		"a short secret":                    func(c *tokens.Config) { c.Secret = secret[:31] },
		"a short fallback":                  func(c *tokens.Config) { c.SecretFallbacks = []string{secret, ""} },
		"a negative lifetime":               func(c *tokens.Config) { c.AccessLifetime = -time.Minute },
		"a lifetime below a second":         func(c *tokens.Config) { c.AccessLifetime = time.Millisecond },
		"a negative leeway":                 func(c *tokens.Config) { c.Leeway = -1 },
		"a max-age below a second":          func(c *tokens.Config) { c.JWKSMaxAge = 1 },
		"a negative budget":                 func(c *tokens.Config) { c.MaxTokenBytes = -1 },
		"a budget no server would read":     func(c *tokens.Config) { c.MaxTokenBytes = 1 << 20 },
		"a registered user-id claim":        func(c *tokens.Config) { c.UserIDClaim = "jti" },
		"an unknown user-id type":           func(c *tokens.Config) { c.UserIDType = "int" },
		"a numeric sub":                     func(c *tokens.Config) { c.UserIDClaim, c.UserIDType = "sub", "number" },
	} {
		s, err := tokens.New(config(edit))
		if err == nil || s != nil {
			t.Errorf("%s is accepted", name)
		} else if strings.Contains(err.Error(), secret[:31]) {
			t.Errorf("%s: the error quotes the secret", name)
		}
	}
}

// What a token of each algorithm holds, and that a stranger verifies it with the published keys.
func TestIssueAccess(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{tokens.ES256, tokens.RS256, tokens.EdDSA, tokens.HS256} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			s := service(t, algorithm(alg), func(c *tokens.Config) { c.Audience = []string{"api"} })
			subject := alice
			subject.Custom = map[string]any{"is_staff": false, "plan": nil}
			token, expires, err := s.IssueAccess(subject, start, start.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			claims := decode(t, strings.Split(token, ".")[1])
			jti, _ := claims["jti"].(string)
			want := map[string]any{
				"iss": issuer, "sub": "42", "aud": "api", "iat": json.Number("1795510800"), "exp": json.Number("1795511100"),
				"jti": jti, "sid": "0193-session", "token_type": "access", "user_id": "42", "is_staff": false, "plan": nil,
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Error(diff)
			}
			if len(jti) < 26 {
				t.Errorf("jti %q has less than 128 bits", jti)
			}
			head := decode(t, strings.Split(token, ".")[0])
			kid, _ := s.SignerID(start)
			wantHead := map[string]any{"alg": alg, "typ": "JWT"}
			if alg != tokens.HS256 {
				wantHead["kid"] = kid
			}
			if diff := cmp.Diff(wantHead, head); diff != "" {
				t.Error(diff)
			}
			a, err := s.VerifyAccess(token, start.Add(299*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			wantAccess := tokens.Access{
				UserID: "42", SessionID: "0193-session", ID: jti,
				IssuedAt: start.Truncate(time.Second), ExpiresAt: expires, Claims: want,
			}
			if diff := cmp.Diff(wantAccess, a); diff != "" {
				t.Error(diff)
			}
			verifyAsStranger(t, s, alg, token)
			if _, err := s.VerifyAccess(token, expires); !errors.Is(err, tokens.ErrExpired) {
				t.Errorf("at the second of exp: got %v", err)
			}
		})
	}
}

// verifyAsStranger uses the published key set and the standard library alone.
func verifyAsStranger(t *testing.T, s *tokens.Service, alg, token string) {
	t.Helper()
	cut := strings.LastIndexByte(token, '.')
	signed := []byte(token[:cut])
	signature, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(signed)
	ok := false
	if alg == tokens.HS256 {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(signed)
		ok = hmac.Equal(mac.Sum(nil), signature)
	} else {
		body, _ := s.JWKS()
		set, err := jwk.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		kid, _ := decode(t, strings.Split(token, ".")[0])["kid"].(string)
		key, found := set.LookupKeyID(kid)
		if !found {
			t.Fatalf("kid %q is not published", kid)
		}
		public, err := jwk.PublicRawKeyOf(key)
		if err != nil {
			t.Fatal(err)
		}
		switch public := public.(type) {
		case *ecdsa.PublicKey:
			ok = ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
		case *rsa.PublicKey:
			ok = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
		case ed25519.PublicKey:
			ok = ed25519.Verify(public, signed, signature)
		}
	}
	if !ok {
		t.Error("a stranger can't verify the signature")
	}
}

func TestUserIDClaim(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim, kind, id string
		want            any
	}{
		"text by default":                            {"", "", "42", "42"},
		"a number where asked for":                   {"", "number", "42", json.Number("42")},
		"the largest int64":                          {"", "number", "9223372036854775807", json.Number("9223372036854775807")},
		"a negative number":                          {"", "number", "-7", json.Number("-7")},
		"beyond int64 stays text":                    {"", "number", "9223372036854775808", "9223372036854775808"},
		"a leading zero stays text":                  {"", "number", "042", "042"},
		"a plus sign stays text":                     {"", "number", "+42", "+42"},
		"minus zero stays text":                      {"", "number", "-0", "-0"},
		"a UUID stays text":                          {"", "number", "0193a5e0-0000-7000-8000-000000000000", "0193a5e0-0000-7000-8000-000000000000"},
		"a space stays text":                         {"", "number", " 42", " 42"},
		"under another name":                         {"uid", "number", "42", json.Number("42")},
		"sub alone, where sub is the user-id claim":  {"sub", "", "42", "42"},
		"quotes, controls and non-ASCII are encoded": {"", "", "\"ß\x01</script>\u2028", "\"ß\x01</script>\u2028"},
	} {
		s := service(t, func(cfg *tokens.Config) { cfg.UserIDClaim, cfg.UserIDType = c.claim, c.kind })
		token := issue(t, s, tokens.AccessSubject{UserID: c.id, SessionID: "s"})
		claims := decode(t, strings.Split(token, ".")[1])
		claim := c.claim
		if claim == "" {
			claim = "user_id"
		}
		if claims[claim] != c.want || claims["sub"] != c.id {
			t.Errorf("%s: %s is %#v, sub is %#v", name, claim, claims[claim], claims["sub"])
		}
		if a, err := s.VerifyAccess(token, start); err != nil || a.UserID != c.id {
			t.Errorf("%s: verified as %q, %v", name, a.UserID, err)
		}
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	with := func(aud ...string) func(*tokens.Config) {
		return func(c *tokens.Config) {
			c.Algorithm, c.Audience = tokens.HS256, aud
		}
	}
	raw := func(aud string) string {
		return service(t, with()).SignRaw(`{"alg":"HS256"}`, goodPayload(`"jti"`, `"aud":`+aud+`,"jti"`), start)
	}
	none, one, two := service(t, with()), service(t, with("a")), service(t, with("b", "a"))
	for name, c := range map[string]struct {
		verifier *tokens.Service
		token    string
		want     error
	}{
		"none where none is wanted":     {none, issue(t, none, alice), nil},
		"some where none is wanted":     {none, issue(t, one, alice), tokens.ErrAudience},
		"an empty list, none wanted":    {none, raw(`[]`), tokens.ErrAudience},
		"none where one is wanted":      {one, issue(t, none, alice), tokens.ErrAudience},
		"the one":                       {one, issue(t, one, alice), nil},
		"two, of which one is wanted":   {one, issue(t, two, alice), nil},
		"one of two":                    {two, issue(t, one, alice), nil},
		"in another case":               {one, raw(`"A"`), tokens.ErrAudience},
		"a list with a number in it":    {one, raw(`["a",1]`), tokens.ErrAudience},
		"an object":                     {one, raw(`{"a":"a"}`), tokens.ErrAudience},
		"an empty list":                 {one, raw(`[]`), tokens.ErrAudience},
		"text that contains the wanted": {one, raw(`"a b"`), tokens.ErrAudience},
	} {
		if _, err := c.verifier.VerifyAccess(c.token, start); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	aud := decode(t, strings.Split(issue(t, two, alice), ".")[1])["aud"]
	if diff := cmp.Diff([]any{"b", "a"}, aud); diff != "" {
		t.Error(diff)
	}
}

func TestIssueAccessRefuses(t *testing.T) {
	t.Parallel()
	end := start.Add(time.Hour)
	custom := func(name string, v any) tokens.AccessSubject {
		return tokens.AccessSubject{UserID: "42", SessionID: "s", Custom: map[string]any{name: v}}
	}
	for name, c := range map[string]struct {
		subject tokens.AccessSubject
		end     time.Time
		want    error
	}{
		"no user":                          {tokens.AccessSubject{SessionID: "s"}, end, tokens.ErrSubject},
		"a user that is not UTF-8":         {tokens.AccessSubject{UserID: "\xff", SessionID: "s"}, end, tokens.ErrSubject},
		"a session that is not UTF-8":      {tokens.AccessSubject{UserID: "42", SessionID: "\xff"}, end, tokens.ErrSubject},
		"no session":                       {tokens.AccessSubject{UserID: "42"}, end, tokens.ErrSubject},
		"a session that is over":           {alice, start.Add(-time.Second), tokens.ErrSessionOver},
		"a session that ends now":          {alice, start, tokens.ErrSessionOver},
		"a session that ends this second":  {alice, start.Add(700 * time.Millisecond), tokens.ErrSessionOver},
		"no end of the session":            {alice, time.Time{}, tokens.ErrSessionOver},
		"a custom exp":                     {custom("exp", 1), end, tokens.ErrReservedClaim},
		"a custom token_type":              {custom("token_type", "refresh"), end, tokens.ErrReservedClaim},
		"a custom user id":                 {custom("user_id", "1"), end, tokens.ErrReservedClaim},
		"a custom sub in another case":     {custom("SUB", "1"), end, tokens.ErrReservedClaim},
		"a custom iss with a long s":       {custom("iſs", "x"), end, tokens.ErrReservedClaim},
		"a custom kid":                     {custom("Kid", "x"), end, tokens.ErrReservedClaim},
		"a custom alg":                     {custom("alg", "none"), end, tokens.ErrReservedClaim},
		"a custom typ":                     {custom("typ", "JWT"), end, tokens.ErrReservedClaim},
		"a custom nbf, which we don't use": {custom("nbf", 1), end, tokens.ErrReservedClaim},
		"more than the budget":             {custom("x", strings.Repeat("y", 4000)), end, tokens.ErrTooLarge},
	} {
		token, _, err := service(t).IssueAccess(c.subject, start, c.end)
		if !errors.Is(err, c.want) || token != "" {
			t.Errorf("%s: got %q, %v; want %v", name, token, err, c.want)
		}
	}
	if _, _, err := service(t).IssueAccess(custom("x", math.NaN()), start, end); err == nil {
		t.Error("NaN is accepted")
	}
}

// No token outlives its session: exp is the earlier of the two ends, rounded down.
func TestAccessEndsWithItsSession(t *testing.T) {
	t.Parallel()
	s := service(t)
	for _, left := range []time.Duration{800 * time.Millisecond, time.Second, 90*time.Second + 999*time.Millisecond, 5 * time.Minute, time.Hour} {
		end := start.Add(left)
		token, expires, err := s.IssueAccess(alice, start, end)
		if err != nil {
			t.Fatalf("%v: %v", left, err)
		}
		if expires.After(end) || expires.After(start.Add(5*time.Minute)) || expires.Nanosecond() != 0 || expires.Location() != time.UTC {
			t.Errorf("%v: expires at %v, the session at %v", left, expires, end)
		}
		if a, err := s.VerifyAccess(token, start); err != nil || !a.ExpiresAt.Equal(expires) {
			t.Errorf("%v: exp %v, answered %v, %v", left, a.ExpiresAt, expires, err)
		}
	}
}

// A budget holds to the byte.
func TestBudget(t *testing.T) {
	t.Parallel()
	size := len(issue(t, service(t, algorithm(tokens.HS256)), alice))
	for budget, want := range map[int]error{size: nil, size - 1: tokens.ErrTooLarge} {
		s := service(t, algorithm(tokens.HS256), func(c *tokens.Config) { c.MaxTokenBytes = budget })
		if _, _, err := s.IssueAccess(alice, start, start.Add(time.Hour)); !errors.Is(err, want) {
			t.Errorf("budget %d for a token of %d bytes: %v", budget, size, err)
		}
	}
}

// A Django that shares the secret: its tokens verify under the secret and the fallbacks, ours under the plain secret.
func TestSharedSecret(t *testing.T) {
	t.Parallel()
	s := service(t, algorithm(tokens.HS256), func(c *tokens.Config) { c.SecretFallbacks = []string{otherSecret}; c.Keys = nil })
	for key, want := range map[string]error{secret: nil, otherSecret: nil, issuer + issuer: tokens.ErrSignature} {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"iss": issuer, "token_type": "access", "user_id": 42, "jti": "j", "exp": start.Unix() + 300, "iat": start.Unix(),
		}).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.VerifyAccess(token, start)
		if !errors.Is(err, want) || err == nil && (a.UserID != "42" || a.SessionID != "") {
			t.Errorf("signed under %q: got %+v, %v", key, a, err)
		}
	}
	parsed, err := jwt.Parse(issue(t, s, alice), func(*jwt.Token) (any, error) { return []byte(secret), nil },
		jwt.WithTimeFunc(func() time.Time { return start }))
	if err != nil || !parsed.Valid {
		t.Errorf("under the plain secret: %v", err)
	}
	if body, etag := s.JWKS(); string(body) != `{"keys":[]}` || etag == "" {
		t.Errorf("the key set of a shared secret is %s", body)
	}
}

// The bytes of a token are fixed by its input and the random source. Each
// golden has a test of its own as the source is shared by the whole process.
func TestGoldenHS256(t *testing.T) {
	golden(t, tokens.HS256, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")
}

func TestGoldenEdDSA(t *testing.T) { golden(t, tokens.EdDSA, "") }

func golden(t *testing.T, alg, wantHeader string) {
	t.Helper()
	var made [2]string
	for i := range made {
		cryptotest.SetGlobalRandom(t, 7)
		made[i] = issue(t, service(t, algorithm(alg)), alice)
	}
	if made[0] != made[1] {
		t.Errorf("two tokens of one input differ:\n%s\n%s", made[0], made[1])
	}
	parts := strings.Split(made[0], ".")
	if wantHeader != "" && parts[0] != wantHeader {
		t.Errorf("header %s", parts[0])
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	jti, _ := decode(t, parts[1])["jti"].(string)
	want := `{"exp":1795511100,"iat":1795510800,"iss":"https://auth.example.test","jti":"` + jti +
		`","sid":"0193-session","sub":"42","token_type":"access","user_id":"42"}`
	if string(payload) != want {
		t.Errorf("payload %s\nwant    %s", payload, want)
	}
}

func TestNotLoaded(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{tokens.ES256, tokens.HS256} {
		s, err := tokens.New(config(algorithm(alg)))
		if err != nil {
			t.Fatal(err)
		}
		if s.Ready() {
			t.Errorf("%s: ready before Load", alg)
		}
		if _, _, err := s.IssueAccess(alice, start, start.Add(time.Hour)); !errors.Is(err, tokens.ErrNotReady) {
			t.Errorf("%s: got %v", alg, err)
		}
		_, err = s.VerifyAccess(issue(t, service(t), alice), start)
		if !errors.Is(err, tokens.ErrNotReady) || errors.Is(err, tokens.ErrInvalidToken) {
			t.Errorf("%s: got %v: it is not the token's fault", alg, err)
		}
		if body, _ := s.JWKS(); string(body) != `{"keys":[]}` {
			t.Errorf("%s: %s", alg, body)
		}
		if err := s.Load(t.Context()); err != nil || !s.Ready() {
			t.Errorf("%s: after Load: %v", alg, err)
		}
	}
}

func decode(t *testing.T, segment string) map[string]any {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(b)))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}
