package cognito_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// now is the time in these tests.
var now = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

type claims = cognitotest.Claims

// pool starts a pool for a test.
func pool(t testing.TB) *cognitotest.Pool {
	t.Helper()
	p := cognitotest.New()
	t.Cleanup(p.Close)
	return p
}

// verifier returns the verifier of a pool, changed by the test.
func verifier(t testing.TB, p *cognitotest.Pool, change func(*cognito.Config)) *cognito.Verifier {
	t.Helper()
	c := cognito.Config{
		Name: "cognito", Issuer: p.Issuer, JWKSURL: p.JWKSURL, ClientIDs: []string{"other", cognitotest.ClientID},
		Now: func() time.Time { return now },
	}
	if change != nil {
		change(&c)
	}
	v, err := cognito.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVectors holds VerifyID to the verdicts of the recorded tokens.
func TestVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/idtokens.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Issuer, Audience string
		PrivatePEM       map[string]string `json:"private_pem"`
		Vectors          []struct {
			Note, Token string
			Want        bool `json:"should_be_accepted"`
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 15 {
		t.Fatalf("%d vectors", len(file.Vectors))
	}
	p := pool(t)
	keys := map[string]*rsa.PrivateKey{}
	for _, kid := range []string{"kid-1", "kid-2"} {
		block, _ := pem.Decode([]byte(file.PrivatePEM[kid]))
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		keys[kid] = key.(*rsa.PrivateKey)
	}
	p.SetKeys(keys)
	v := verifier(t, p, func(c *cognito.Config) {
		c.Issuer, c.ClientIDs = file.Issuer, []string{file.Audience}
		c.Now = func() time.Time { return issuedAt(t, file.Vectors[0].Token).Add(time.Minute) }
	})
	for _, tc := range file.Vectors {
		if _, err := v.VerifyID(t.Context(), tc.Token); (err == nil) != tc.Want {
			t.Errorf("%s: %v, want it accepted: %t", tc.Note, err, tc.Want)
		}
	}
}

func issuedAt(t *testing.T, token string) time.Time {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ IAT int64 }
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return time.Unix(c.IAT, 0)
}

func TestPair(t *testing.T) {
	t.Parallel()
	p := pool(t)
	id, access := p.Pair("111", now, claims{"cognito:groups": []string{"editors", "a\x00b"}})
	got, err := verifier(t, p, nil).VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access})
	if err != nil {
		t.Fatal(err)
	}
	want := cognito.Identity{
		Provider: "cognito", Issuer: p.Issuer, Subject: "111", ClientID: cognitotest.ClientID, Username: "user-111",
		Email: "111@example.test", EmailVerified: cognito.Verified, GivenName: "Gina", FamilyName: "Gold", Groups: []string{"editors"},
		IssuedAt: now, ExpiresAt: now.Add(time.Hour), IDTokenDigest: sha256.Sum256([]byte(id[:strings.LastIndexByte(id, '.')])),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

// TestOneDefect takes a good token and spoils one thing.
func TestOneDefect(t *testing.T) {
	t.Parallel()
	p := pool(t)
	p.SetKeys(map[string]*rsa.PrivateKey{"kid-1": p.Key("kid-1"), "kid-2": cognitotest.NewKey()})
	v := verifier(t, p, nil)
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	idTests := []struct {
		name   string
		change claims
		want   error // nil: it is still good
	}{
		{"nothing", nil, nil},
		{"iss: another pool's", claims{"iss": p.Issuer + "x"}, cognito.ErrIssuer},
		{"iss: in other case", claims{"iss": strings.ToUpper(p.Issuer)}, cognito.ErrIssuer},
		{"iss: with a slash behind", claims{"iss": p.Issuer + "/"}, cognito.ErrIssuer},
		{"iss: missing", claims{"iss": nil}, cognito.ErrIssuer},
		{"iss: a list", claims{"iss": []string{p.Issuer}}, cognito.ErrIssuer},
		{"aud: another client", claims{"aud": "somebody"}, cognito.ErrClient},
		{"aud: missing", claims{"aud": nil}, cognito.ErrClient},
		{"aud: empty", claims{"aud": ""}, cognito.ErrClient},
		{"aud: a list with ours", claims{"aud": []string{"somebody", cognitotest.ClientID}}, nil},
		{"aud: a list without", claims{"aud": []string{"somebody"}}, cognito.ErrClient},
		{"aud: an empty list", claims{"aud": []string{}}, cognito.ErrClient},
		{"aud: a number", claims{"aud": 1}, cognito.ErrClient},
		{"aud: ours in other case", claims{"aud": strings.ToUpper(cognitotest.ClientID)}, cognito.ErrClient},
		{"azp: another client", claims{"azp": "somebody"}, cognito.ErrClient},
		{"azp: ours", claims{"azp": cognitotest.ClientID}, nil},
		{"client_id instead of aud", claims{"aud": nil, "client_id": cognitotest.ClientID}, cognito.ErrClient},
		{"token_use: access", claims{"token_use": "access"}, cognito.ErrTokenUse},
		{"token_use: in other case", claims{"token_use": "ID"}, cognito.ErrTokenUse},
		{"token_use: missing", claims{"token_use": nil}, cognito.ErrTokenUse},
		{"sub: missing", claims{"sub": nil}, cognito.ErrSubject},
		{"sub: empty", claims{"sub": ""}, cognito.ErrSubject},
		{"sub: a number", claims{"sub": 1}, cognito.ErrSubject},
		{"sub: with NUL", claims{"sub": "a\x00"}, cognito.ErrSubject},
		{"sub: endless", claims{"sub": strings.Repeat("a", 256)}, cognito.ErrSubject},
		{"sub: another than the access token has", claims{"sub": "auth0|123"}, cognito.ErrPair},
		{"exp: missing", claims{"exp": nil}, cognito.ErrNoExpiry},
		{"exp: over, within the leeway", claims{"exp": at(-29 * time.Second)}, nil},
		{"exp: over", claims{"exp": at(-30 * time.Second)}, cognito.ErrExpired},
		{"exp: text", claims{"exp": fmt.Sprint(at(time.Hour))}, cognito.ErrMalformed},
		{"exp: a fraction", claims{"exp": float64(at(time.Hour)) + 0.5}, nil},
		{"exp: beyond all numbers", claims{"exp": 1e300}, cognito.ErrMalformed},
		{"exp: true", claims{"exp": true}, cognito.ErrMalformed},
		{"exp: negative", claims{"exp": -1}, cognito.ErrExpired},
		{"nbf: soon, within the leeway", claims{"nbf": at(30 * time.Second)}, nil},
		{"nbf: later", claims{"nbf": at(31 * time.Second)}, cognito.ErrNotYetValid},
		{"nbf: text", claims{"nbf": "x"}, cognito.ErrMalformed},
		{"iat: soon, within the leeway", claims{"iat": at(30 * time.Second)}, nil},
		{"iat: later", claims{"iat": at(31 * time.Second)}, cognito.ErrNotYetValid},
		{"iat: missing", claims{"iat": nil}, cognito.ErrMalformed},
		{"iat: text", claims{"iat": "x"}, cognito.ErrMalformed},
		{"email_verified: false", claims{"email_verified": false}, cognito.ErrEmailNotVerified},
		{"email_verified: \"false\"", claims{"email_verified": "false"}, cognito.ErrEmailNotVerified},
		{"email_verified: \"true\"", claims{"email_verified": "true"}, nil},
		{"email_verified: \"True\"", claims{"email_verified": "True"}, cognito.ErrEmailNotVerified},
		{"email_verified: 1", claims{"email_verified": 1}, cognito.ErrEmailNotVerified},
		{"email_verified: 0", claims{"email_verified": 0}, cognito.ErrEmailNotVerified},
		{"email_verified: missing", claims{"email_verified": nil}, cognito.ErrEmailNotVerified},
		{"email: missing", claims{"email": nil, "email_verified": nil}, nil},
		{"email: empty", claims{"email": "", "email_verified": false}, nil},
		{"email: no address", claims{"email": "not an address"}, nil},
		{"email: endless", claims{"email": strings.Repeat("a", 250) + "@example.test"}, nil},
		{"given_name: with NUL", claims{"given_name": "a\x00"}, nil},
		{"given_name: a number", claims{"given_name": 1}, nil},
		{"cognito:username: missing", claims{"cognito:username": nil}, nil},
	}
	for _, tc := range idTests {
		t.Run("ID token, "+tc.name, func(t *testing.T) {
			t.Parallel()
			id, access := p.Pair("111", now, tc.change)
			_, err := verdict(t, v, cognito.Pair{IDToken: id, AccessToken: access})
			refused(t, err, tc.want)
		})
	}
	accessTests := []struct {
		name   string
		change claims
		want   error
	}{
		{"nothing", nil, nil},
		{"token_use: id", claims{"token_use": "id", "aud": cognitotest.ClientID}, cognito.ErrTokenUse},
		{"client_id: another client", claims{"client_id": "somebody"}, cognito.ErrClient},
		{"client_id: another of ours", claims{"client_id": "other"}, cognito.ErrPair},
		{"client_id: missing, aud instead", claims{"client_id": nil, "aud": cognitotest.ClientID}, cognito.ErrClient},
		{"sub: another user", claims{"sub": "222"}, cognito.ErrPair},
		{"sub: missing", claims{"sub": nil}, cognito.ErrSubject},
		{"iss: another pool", claims{"iss": "https://evil.test"}, cognito.ErrIssuer},
		{"origin_jti: another sign-in", claims{"origin_jti": "x"}, cognito.ErrPair},
		{"origin_jti: missing", claims{"origin_jti": nil}, nil},
		{"exp: over", claims{"exp": at(-time.Hour)}, cognito.ErrExpired},
		{"exp: missing", claims{"exp": nil}, cognito.ErrNoExpiry},
		{"nbf: later", claims{"nbf": at(time.Hour)}, cognito.ErrNotYetValid},
	}
	for _, tc := range accessTests {
		t.Run("access token, "+tc.name, func(t *testing.T) {
			t.Parallel()
			id := p.Sign("kid-1", p.ID("111", now))
			_, err := verdict(t, v, cognito.Pair{IDToken: id, AccessToken: p.Sign("kid-1", p.Access("111", now).With(tc.change))})
			refused(t, err, tc.want)
		})
	}
	t.Run("at_hash is another access token's", func(t *testing.T) {
		t.Parallel()
		id, _ := p.Pair("111", now, nil)
		_, err := verdict(t, v, cognito.Pair{IDToken: id, AccessToken: p.Sign("kid-1", p.Access("111", now))})
		refused(t, err, cognito.ErrAccessTokenHash)
	})
	t.Run("at_hash is no text", func(t *testing.T) {
		t.Parallel()
		id, access := p.Pair("111", now, claims{"at_hash": 1})
		_, err := verdict(t, v, cognito.Pair{IDToken: id, AccessToken: access})
		refused(t, err, cognito.ErrAccessTokenHash)
	})
	t.Run("the ID token in the place of both", func(t *testing.T) {
		t.Parallel()
		id, _ := p.Pair("111", now, nil)
		_, err := verdict(t, v, cognito.Pair{IDToken: id, AccessToken: id})
		refused(t, err, cognito.ErrTokenUse)
	})
}

// TestRights asks for one of two groups and one of two scopes.
func TestRights(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, func(c *cognito.Config) {
		c.RequiredGroups, c.RequiredScopes = []string{"staff", "editors"}, []string{"api/read", "api/write"}
	})
	groups, scope := []string{"others", "editors"}, "openid api/write"
	for _, tc := range []struct {
		name                string
		idGroups, itsGroups any
		scope               any
		want                error
	}{
		{"one of each", groups, groups, scope, nil},
		{"no groups in the ID token", nil, groups, scope, cognito.ErrGroup},
		{"no groups in the access token", groups, nil, scope, cognito.ErrGroup},
		{"another group", []string{"Editors", "editors2"}, groups, scope, cognito.ErrGroup},
		{"an empty group", []string{""}, groups, scope, cognito.ErrGroup},
		{"a group that is no list", "editors", groups, scope, cognito.ErrGroup},
		{"a group in a list", []any{groups}, groups, scope, cognito.ErrGroup},
		{"no scope", groups, groups, nil, cognito.ErrScope},
		{"another scope", groups, groups, "openid API/write api/writer", cognito.ErrScope},
		{"a scope that is a list", groups, groups, []string{"api/write"}, cognito.ErrScope},
	} {
		id := p.Sign("kid-1", p.ID("111", now).With(claims{"cognito:groups": tc.idGroups}))
		access := p.Sign("kid-1", p.Access("111", now).With(claims{"cognito:groups": tc.itsGroups, "scope": tc.scope}))
		if _, err := v.VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access}); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	// Without the setting, nothing is asked.
	id, access := p.Pair("111", now, nil)
	_, err := verifier(t, p, nil).VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access})
	refused(t, err, nil)
}

// refused holds an error to the one that is wanted, and to the umbrella.
func refused(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%v, want %v", err, want)
	}
	if err != nil && !errors.Is(err, cognito.ErrInvalidToken) {
		t.Errorf("%v does not say that the token is at fault", err)
	}
}

// TestForged is tokens whose form, header or signature is wrong.
func TestForged(t *testing.T) {
	t.Parallel()
	p := pool(t)
	key, evil := p.Key("kid-1"), cognitotest.NewKey()
	p.SetKeys(map[string]*rsa.PrivateKey{"kid-1": key, "kid-2": cognitotest.NewKey()})
	v := verifier(t, p, nil)
	body := p.ID("111", now)
	good := cognitotest.Sign(key, map[string]any{"kid": "kid-1"}, body)
	parts := strings.Split(good, ".")
	header := func(h map[string]any) string {
		return cognitotest.Sign(key, mergeMaps(map[string]any{"kid": "kid-1"}, h), body)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, token string
		want        error
	}{
		{"good", good, nil},
		{"with a type in the header", header(map[string]any{"typ": "JWT"}), nil},
		{"another member in the header", header(map[string]any{"x": 1}), nil},
		{"crit", header(map[string]any{"crit": []string{"x"}, "x": 1}), cognito.ErrHeader},
		{"a key in the header", header(map[string]any{"jwk": map[string]any{}}), cognito.ErrHeader},
		{"the place of a key", header(map[string]any{"jku": "https://evil.test"}), cognito.ErrHeader},
		{"the place of a certificate", header(map[string]any{"x5u": "https://evil.test"}), cognito.ErrHeader},
		{"a certificate", header(map[string]any{"x5c": []string{}}), cognito.ErrHeader},
		{"an unencoded payload", header(map[string]any{"b64": false}), cognito.ErrHeader},
		{"a key that is not there", header(map[string]any{"kid": "kid-evil"}), cognito.ErrUnknownKey},
		{"a key that is a path", header(map[string]any{"kid": "../../etc/passwd"}), cognito.ErrUnknownKey},
		{"no key", header(map[string]any{"kid": ""}), cognito.ErrUnknownKey},
		{"a key that is a number", header(map[string]any{"kid": 1}), cognito.ErrUnknownKey},
		{"the other key's id", header(map[string]any{"kid": "kid-2"}), cognito.ErrSignature},
		{"signed by somebody else", cognitotest.Sign(evil, map[string]any{"kid": "kid-1"}, body), cognito.ErrSignature},
		{"alg none", unsigned(t, map[string]any{"alg": "none", "kid": "kid-1"}, body) + ".", cognito.ErrAlgorithm},
		{"alg nOnE", unsigned(t, map[string]any{"alg": "nOnE", "kid": "kid-1"}, body) + ".", cognito.ErrAlgorithm},
		{"no alg", unsigned(t, map[string]any{"kid": "kid-1"}, body) + "." + parts[2], cognito.ErrAlgorithm},
		{"an alg that is a list", unsigned(t, map[string]any{"alg": []string{"RS256"}, "kid": "kid-1"}, body) + "." + parts[2], cognito.ErrAlgorithm},
		{"HS256 by the public key", signedBy(t, jwt.SigningMethodHS256, publicPEM, body), cognito.ErrAlgorithm},
		{"PS256 by the right key", signedBy(t, jwt.SigningMethodPS256, key, body), cognito.ErrAlgorithm},
		{"RS512 by the right key", signedBy(t, jwt.SigningMethodRS512, key, body), cognito.ErrAlgorithm},
		{"ES256 by somebody", signedBy(t, jwt.SigningMethodES256, ec, body), cognito.ErrAlgorithm},
		{"PS256 that calls itself RS256", relabelled(t, key, body), cognito.ErrSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", cognito.ErrSignature},
		{"a signature that is cut", good[:len(good)-2], cognito.ErrSignature},
		{"another payload", parts[0] + "." + strings.Split(cognitotest.Sign(key, nil, body.With(claims{"sub": "222"})), ".")[1] + "." + parts[2], cognito.ErrSignature},
		{"padding", good + "=", cognito.ErrMalformed},
		{"bits behind the signature's end", good[:len(good)-1] + nextLetter(good[len(good)-1]), cognito.ErrMalformed},
		{"a line break inside", good[:len(good)-5] + "\n" + good[len(good)-5:], cognito.ErrMalformed},
		{"a line break behind", good + "\n", cognito.ErrMalformed},
		{"a blank before", " " + good, cognito.ErrMalformed},
		{"two parts", parts[0] + "." + parts[1], cognito.ErrMalformed},
		{"four parts", good + ".x", cognito.ErrMalformed},
		{"not a token", "garbage", cognito.ErrMalformed},
		{"nothing", "", cognito.ErrMalformed},
		{"characters beyond ASCII", "ä.ö.ü", cognito.ErrMalformed},
		{"an endless one", good + strings.Repeat("a", 16<<10), cognito.ErrMalformed},
		{"a header that is a list", rawToken(key, `["RS256"]`, `{}`), cognito.ErrMalformed},
		{"a payload that is a list", rawToken(key, `{"alg":"RS256","kid":"kid-1"}`, `[]`), cognito.ErrMalformed},
		{"a payload that is no JSON", rawToken(key, `{"alg":"RS256","kid":"kid-1"}`, `xx`), cognito.ErrMalformed},
		{"a payload with more behind it", rawToken(key, `{"alg":"RS256","kid":"kid-1"}`, `{}{}`), cognito.ErrMalformed},
		{"a claim twice", rawToken(key, `{"alg":"RS256","kid":"kid-1"}`, `{"sub":"a","sub":"b"}`), cognito.ErrMalformed},
		{"a member of the header twice", rawToken(key, `{"alg":"none","alg":"RS256","kid":"kid-1"}`, `{}`), cognito.ErrMalformed},
		{"bytes that are not UTF-8", rawToken(key, `{"alg":"RS256","kid":"kid-1"}`, "{\"sub\":\"\xff\"}"), cognito.ErrMalformed},
		{"a thousand levels", rawToken(key, `{"alg":"RS256","kid":"kid-1"}`, `{"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`), cognito.ErrMalformed},
		{"NaN", rawToken(key, `{"alg":"RS256","kid":"kid-1"}`, `{"exp":NaN}`), cognito.ErrMalformed},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := v.VerifyID(t.Context(), tc.token)
			refused(t, err, tc.want)
			if err != nil && len(tc.token) > 20 && strings.Contains(err.Error(), tc.token[:20]) {
				t.Error("the error quotes the token")
			}
		})
	}
}

func mergeMaps(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// unsigned is header and payload.
func unsigned(t *testing.T, header map[string]any, c claims) string {
	t.Helper()
	var parts []string
	for _, part := range []any{header, c} {
		raw, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	return strings.Join(parts, ".")
}

func signedBy(t *testing.T, method jwt.SigningMethod, key any, c claims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(c))
	token.Header["kid"] = "kid-1"
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// relabelled is a PSS signature under a header that says PKCS #1.
func relabelled(t *testing.T, key *rsa.PrivateKey, c claims) string {
	t.Helper()
	text := unsigned(t, map[string]any{"alg": "RS256", "kid": "kid-1"}, c)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// rawToken signs any text.
func rawToken(key *rsa.PrivateKey, header, payload string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	signature, err := jwt.SigningMethodRS256.Sign(text, key)
	if err != nil {
		panic(err)
	}
	return text + "." + b64(signature)
}

// nextLetter is the following letter of the base64url alphabet: the same
// bytes, for a decoder that does not look.
func nextLetter(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)+1])
}

func TestUnverifiedEmailCanBeTaken(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, func(c *cognito.Config) { c.UnverifiedEmail = cognito.AcceptUnverified })
	for value, want := range map[any]cognito.EmailStatus{
		true: cognito.Verified, "true": cognito.Verified, false: cognito.Unverified, "false": cognito.Unverified, 0: cognito.Unverified, nil: cognito.Unknown,
	} {
		id, access := p.Pair("111", now, claims{"email_verified": value})
		got, err := v.VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access})
		if err != nil || got.EmailVerified != want || got.Email == "" {
			t.Errorf("email_verified %v: %q %v, %v; want %v", value, got.Email, got.EmailVerified, err, want)
		}
	}
}

func TestWhatIsDropped(t *testing.T) {
	t.Parallel()
	p := pool(t)
	id, access := p.Pair("111", now, claims{
		"given_name": "a\x00", "family_name": strings.Repeat("g", 151), "email": "not an address", "cognito:username": "a b/<script>",
	})
	got, err := verifier(t, p, nil).VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access})
	if err != nil || got.GivenName != "" || got.FamilyName != "" || got.Email != "" || got.Username != "a b/<script>" {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = verifier(t, p, nil).VerifyAccess(t.Context(), access)
	if err != nil || got.Username != "user-111" || got.Subject != "111" {
		t.Errorf("an access token by itself: %+v, %v", got, err)
	}
}

func TestIssuers(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"us-west-2": {"https://cognito-idp.us-west-2.amazonaws.com/us-west-2_a", "https://issuer-cognito-idp.us-west-2.amazonaws.com/us-west-2_a"},
		"cn-north-1": {"https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_a",
			"https://issuer-cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_a"},
		"us-gov-west-1": {"https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_a",
			"https://issuer-cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_a"},
	}
	for region, want := range tests {
		v, err := cognito.New(cognito.Config{Name: "c", Region: region, UserPool: region + "_a", ClientIDs: []string{"x"}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, v.Issuers()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", region, diff)
		}
	}
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	good := cognito.Config{Name: "c", Region: "us-west-2", UserPool: "us-west-2_a", ClientIDs: []string{"x"}}
	tests := map[string]func(*cognito.Config){
		"no name":                     func(c *cognito.Config) { c.Name = "" },
		"no client":                   func(c *cognito.Config) { c.ClientIDs = nil },
		"an empty client":             func(c *cognito.Config) { c.ClientIDs = []string{"x", ""} },
		"no pool":                     func(c *cognito.Config) { c.UserPool = "" },
		"a pool of another region":    func(c *cognito.Config) { c.UserPool = "eu-west-1_a" },
		"a region that is a host":     func(c *cognito.Config) { c.Region, c.UserPool = "a.evil.test/", "a.evil.test/_a" },
		"an issuer without its keys":  func(c *cognito.Config) { c.Issuer = "http://localhost/p" },
		"keys over plain http":        func(c *cognito.Config) { c.JWKSURL = "http://10.0.0.1/jwks.json" },
		"keys that are no URL":        func(c *cognito.Config) { c.JWKSURL = "jwks.json" },
		"keys behind a password":      func(c *cognito.Config) { c.JWKSURL = "https://u:p@a.test/jwks.json" },
		"an hour of leeway":           func(c *cognito.Config) { c.Leeway = time.Hour },
		"keys that are in a database": func(c *cognito.Config) { c.JWKSURL = "file:///etc/jwks.json" },
	}
	for name, change := range tests {
		c := good
		change(&c)
		if _, err := cognito.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	a, err := cognito.New(good)
	if err != nil {
		t.Fatal(err)
	}
	other := good
	other.Name = "d"
	b, err := cognito.New(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cognito.NewSet(a, a); err == nil {
		t.Error("a name twice is accepted")
	}
	if _, err := cognito.NewSet(a, b); err == nil {
		t.Error("an issuer twice is accepted")
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	one, two := pool(t), pool(t)
	two.SetKeys(map[string]*rsa.PrivateKey{"kid-1": cognitotest.NewKey()})
	s, err := cognito.NewSet(verifier(t, one, nil), verifier(t, two, func(c *cognito.Config) { c.Name = "two" }))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*cognitotest.Pool{"cognito": one, "two": two} {
		id, access := p.Pair("111", now, nil)
		got, err := s.VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access})
		if err != nil || got.Provider != name {
			t.Errorf("%s: %q, %v", name, got.Provider, err)
		}
	}
	id, access := one.Pair("111", now, claims{"iss": two.Issuer})
	_, err = s.VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access})
	refused(t, err, cognito.ErrSignature)
	id, access = one.Pair("111", now, claims{"iss": "https://evil.test"})
	_, err = s.VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access})
	refused(t, err, cognito.ErrIssuer)
	_, err = s.VerifyPair(t.Context(), cognito.Pair{IDToken: "x", AccessToken: access})
	refused(t, err, cognito.ErrMalformed)
}

func ExampleVerifier_VerifyPair() {
	v, err := cognito.New(cognito.Config{
		Name: "cognito", Region: "us-west-2", UserPool: "us-west-2_abcdefg", ClientIDs: []string{"my-app-client"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = v.VerifyPair(context.Background(), cognito.Pair{IDToken: "an ID token", AccessToken: "an access token"})
	fmt.Println(errors.Is(err, cognito.ErrInvalidToken))
	// Output: true
}

func FuzzVerifyID(f *testing.F) {
	p := pool(f)
	v := verifier(f, p, nil)
	good := p.Sign("kid-1", p.ID("111", now))
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := v.VerifyID(t.Context(), token); err == nil && token != good {
			t.Errorf("a forged token is taken: %q", token)
		}
	})
}

func BenchmarkVerifyID(b *testing.B) {
	p := pool(b)
	v := verifier(b, p, nil)
	token := p.Sign("kid-1", p.ID("111", now))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.VerifyID(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyPair(b *testing.B) {
	p := pool(b)
	set, err := cognito.NewSet(verifier(b, p, nil))
	if err != nil {
		b.Fatal(err)
	}
	pair := cognito.Pair{IDToken: p.Sign("kid-1", p.ID("111", now)), AccessToken: p.Sign("kid-1", p.Access("111", now))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := set.VerifyPair(b.Context(), pair); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareRSA(b *testing.B) {
	key := cognitotest.NewKey()
	sum := sha256.Sum256([]byte("x"))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}
