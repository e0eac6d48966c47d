package cognito_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// provider returns the verifier of an OpenID provider whose metadata is the
// pool's, changed by the test.
func provider(t *testing.T, p *cognitotest.Pool, change func(*cognito.Config)) *cognito.Verifier {
	t.Helper()
	return verifier(t, p, func(c *cognito.Config) {
		c.Name, c.JWKSURL, c.OIDC = "oidc", "", &cognito.OIDC{}
		if change != nil {
			change(c)
		}
	})
}

// defect spoils a token in one place.
type defect struct {
	name   string
	change claims
	want   error // nil: it is still good
}

// shape is what a provider's ID tokens look like.
type shape struct {
	issuer  string
	options cognito.OIDC
	claims  claims
	want    cognito.Identity // beside what all have
	defects []defect
}

const (
	tenant      = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
	otherTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
	entra       = "https://login.microsoftonline.com/"
)

// shapes are the claims of providers that many use, as their documentation has
// them, with what can be wrong with each.
var shapes = map[string]shape{
	"Google": {
		issuer: "https://accounts.google.com", options: cognito.OIDC{IssuerAliases: []string{"accounts.google.com"}},
		claims: claims{
			"azp": cognitotest.ClientID, "sub": "110169484474386276334", "hd": "example.test", "email": "jo@example.test", "email_verified": true,
			"name": "Jo Doe", "given_name": "Jo", "family_name": "Doe", "picture": "https://lh3.example.test/a", "locale": "en",
		},
		want: cognito.Identity{Subject: "110169484474386276334", Email: "jo@example.test", EmailVerified: cognito.Verified, GivenName: "Jo", FamilyName: "Doe"},
		defects: []defect{
			{"the issuer of old tokens", claims{"iss": "accounts.google.com"}, nil},
			{"the issuer over plain http", claims{"iss": "http://accounts.google.com"}, cognito.ErrIssuer},
			{"the issuer with a slash", claims{"iss": "https://accounts.google.com/"}, cognito.ErrIssuer},
			{"a host that ends like it", claims{"iss": "evil-accounts.google.com"}, cognito.ErrIssuer},
			{"an app of somebody else asked", claims{"azp": "somebody"}, cognito.ErrClient},
			{"the other app of ours asked", claims{"azp": "other"}, nil},
			{"nobody asked", claims{"azp": nil}, nil},
			{"an app that is a number asked", claims{"azp": 1}, cognito.ErrClient},
			{"an address that is not verified", claims{"email_verified": false}, cognito.ErrEmailNotVerified},
			{"an address of which nothing is said", claims{"email_verified": nil}, nil},
		},
	},
	"Entra": {
		issuer: entra + tenant + "/v2.0",
		claims: claims{
			"sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "tid": tenant, "oid": "00000000-0000-0000-66f3-3332eca7ea81", "ver": "2.0",
			"preferred_username": "abe@example.test", "name": "Abe Lincoln", "email": "abe@example.test", "aio": "x", "rh": "0.x", "uti": "y",
		},
		want: cognito.Identity{Subject: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", Username: "abe@example.test", Email: "abe@example.test", EmailVerified: cognito.Unknown},
		defects: []defect{
			{"an owner of the domain is no owner of the mailbox", claims{"xms_edov": true}, nil},
			{"the issuer of version 1", claims{"iss": "https://sts.windows.net/" + tenant + "/"}, cognito.ErrIssuer},
			{"another tenant", claims{"iss": entra + otherTenant + "/v2.0", "tid": otherTenant}, cognito.ErrIssuer},
			{"the template", claims{"iss": entra + "{tenantid}/v2.0"}, cognito.ErrIssuer},
			{"the tenant in other case", claims{"iss": entra + strings.ToUpper(tenant) + "/v2.0"}, cognito.ErrIssuer},
			{"the object instead of the subject", claims{"sub": nil}, cognito.ErrSubject},
			{"an API in the audience", claims{"aud": "api://" + cognitotest.ClientID}, cognito.ErrClient},
		},
	},
	"Entra, of several tenants": {
		issuer: entra + "{tenantid}/v2.0", options: cognito.OIDC{Tenants: []string{otherTenant, tenant}},
		claims: claims{
			"iss": entra + tenant + "/v2.0", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "tid": tenant, "email": "abe@example.test",
		},
		want: cognito.Identity{
			Issuer: entra + tenant + "/v2.0", Subject: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", Email: "abe@example.test",
		},
		defects: []defect{
			{"the other tenant", claims{"iss": entra + otherTenant + "/v2.0", "tid": otherTenant}, nil},
			{"a tenant that is not listed", claims{"iss": entra + "72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0", "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47"}, cognito.ErrIssuer},
			{"the template", claims{"iss": entra + "{tenantid}/v2.0", "tid": "{tenantid}"}, cognito.ErrIssuer},
			{"the issuer of all tenants", claims{"iss": entra + "common/v2.0", "tid": "common"}, cognito.ErrIssuer},
			{"a tenant that is not the issuer's", claims{"tid": otherTenant}, cognito.ErrIssuer},
			{"no tenant", claims{"tid": nil}, cognito.ErrIssuer},
		},
	},
	"Auth0": {
		issuer: "https://example.eu.auth0.com/",
		claims: claims{
			"sub": "auth0|5f7c8ec7c33c6c004bbafe82", "nickname": "jo", "name": "jo@example.test", "email": "jo@example.test", "email_verified": true,
			"updated_at": "2026-11-24T08:00:00.000Z", "sid": "x", "https://example.test/roles": []string{"admin"},
		},
		want: cognito.Identity{Subject: "auth0|5f7c8ec7c33c6c004bbafe82", Email: "jo@example.test", EmailVerified: cognito.Verified},
		defects: []defect{
			{"the issuer without its slash", claims{"iss": "https://example.eu.auth0.com"}, cognito.ErrIssuer},
			{"a tenant of another region", claims{"iss": "https://example.us.auth0.com/"}, cognito.ErrIssuer},
			{"the API's access token", claims{"aud": []string{"https://api.example.test", "https://example.eu.auth0.com/userinfo"}, "azp": cognitotest.ClientID, "scope": "openid"}, cognito.ErrClient},
			{"an audience that nobody trusts beside ours", claims{"aud": []string{cognitotest.ClientID, "https://api.example.test"}, "azp": cognitotest.ClientID}, cognito.ErrClient},
			{"an address that is not verified, as text", claims{"email_verified": "false"}, cognito.ErrEmailNotVerified},
		},
	},
	"Keycloak": {
		issuer: "https://sso.example.test/realms/people",
		claims: claims{
			"sub": "f0a3c2f0-5b0e-4c55-b2f5-2f2bd2b1b5f5", "typ": "ID", "azp": cognitotest.ClientID, "sid": "s", "acr": "1", "email_verified": false,
			"name": "Jo Doe", "preferred_username": "jo", "given_name": "Jo", "family_name": "Doe",
			"realm_access": map[string]any{"roles": []string{"offline_access", "admin"}},
		},
		want: cognito.Identity{Subject: "f0a3c2f0-5b0e-4c55-b2f5-2f2bd2b1b5f5", Username: "jo", EmailVerified: cognito.Unverified, GivenName: "Jo", FamilyName: "Doe"},
		defects: []defect{
			{"another realm", claims{"iss": "https://sso.example.test/realms/master"}, cognito.ErrIssuer},
			{"a realm below it", claims{"iss": "https://sso.example.test/realms/people/x"}, cognito.ErrIssuer},
			{"the access token", claims{"typ": "Bearer"}, cognito.ErrTokenUse},
			{"the refresh token", claims{"typ": "Refresh"}, cognito.ErrTokenUse},
			{"a logout token", claims{"typ": "Logout", "events": claims{"http://schemas.openid.net/event/backchannel-logout": claims{}}}, cognito.ErrTokenUse},
			{"an address that the realm has not verified", claims{"email": "jo@example.test"}, cognito.ErrEmailNotVerified},
			{"the account console in the audience", claims{"aud": []string{cognitotest.ClientID, "account"}}, cognito.ErrClient},
		},
	},
}

// TestShapes believes a good token of each provider, and none with one defect.
func TestShapes(t *testing.T) {
	t.Parallel()
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pool(t)
			v := provider(t, p, func(c *cognito.Config) {
				options := s.options
				options.AuthorizationEndpoint, options.TokenEndpoint = p.HostedUI+"/a", p.HostedUI+"/t"
				c.Issuer, c.JWKSURL, c.OIDC = s.issuer, p.JWKSURL, &options
			})
			good := p.IDToken("", now).With(claims{"iss": s.issuer}).With(s.claims)
			got, err := verdict(t, v, cognito.Pair{IDToken: p.Sign("kid-1", good), AccessToken: "an opaque one"})
			if err != nil {
				t.Fatal(err)
			}
			want := s.want
			want.Provider, want.ClientID, want.IssuedAt, want.ExpiresAt = "oidc", cognitotest.ClientID, now, now.Add(time.Hour)
			if want.Issuer == "" {
				want.Issuer = s.issuer
			}
			got.IDTokenDigest = [32]byte{}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
			for _, d := range append(s.defects, commonDefects...) {
				got, err := verdict(t, v, cognito.Pair{IDToken: p.Sign("kid-1", good.With(d.change)), AccessToken: "an opaque one"})
				if !errors.Is(err, d.want) || d.want == nil && err != nil {
					t.Errorf("%s: %v, want %v", d.name, err, d.want)
				}
				if err == nil && got.Issuer == "accounts.google.com" {
					t.Errorf("%s: two issuers for one", d.name)
				}
			}
			if got := p.Discoveries(); got != 0 {
				t.Errorf("%d fetches of metadata, which all is configured instead of", got)
			}
		})
	}
}

// commonDefects are those that any provider's token can have.
var commonDefects = []defect{
	{"another client", claims{"aud": "somebody", "azp": nil}, cognito.ErrClient},
	{"no client", claims{"aud": nil}, cognito.ErrClient},
	{"an empty audience", claims{"aud": []string{}}, cognito.ErrClient},
	{"an audience of lists", claims{"aud": []any{[]string{cognitotest.ClientID}}}, cognito.ErrClient},
	{"two clients of ours, and nobody asked", claims{"aud": []string{cognitotest.ClientID, "other"}, "azp": nil}, cognito.ErrClient},
	{"two clients of ours, one asked", claims{"aud": []string{cognitotest.ClientID, "other"}, "azp": "other"}, nil},
	{"one that asked and is nothing", claims{"azp": ""}, cognito.ErrClient},
	{"no subject", claims{"sub": nil}, cognito.ErrSubject},
	{"an endless subject", claims{"sub": strings.Repeat("1", 256)}, cognito.ErrSubject},
	{"no expiry", claims{"exp": nil}, cognito.ErrNoExpiry},
	{"expired", claims{"exp": now.Add(-time.Minute).Unix()}, cognito.ErrExpired},
	{"issued in a minute", claims{"iat": now.Add(time.Minute).Unix()}, cognito.ErrNotYetValid},
	{"not valid before a minute", claims{"nbf": now.Add(time.Minute).Unix()}, cognito.ErrNotYetValid},
	{"never issued", claims{"iat": nil}, cognito.ErrMalformed},
	{"a pool's access token", claims{"token_use": "access"}, cognito.ErrTokenUse},
	{"a kind that is a number", claims{"typ": 1}, cognito.ErrTokenUse},
	{"a logout", claims{"events": claims{}}, cognito.ErrTokenUse},
	{"an at_hash of no access token", claims{"at_hash": "x"}, cognito.ErrAccessTokenHash},
	{"an at_hash that is empty", claims{"at_hash": ""}, cognito.ErrAccessTokenHash},
	{"an address that NUL is in", claims{"email": "a\x00@example.test", "email_verified": nil}, nil},
}

// TestKindsOfToken refuses JWTs that say in their header that they are no ID
// tokens.
func TestKindsOfToken(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := provider(t, p, nil)
	for typ, want := range map[any]error{
		"JWT": nil, "jwt": nil, "at+jwt": cognito.ErrTokenUse, "application/at+jwt": cognito.ErrTokenUse,
		"logout+jwt": cognito.ErrTokenUse, "": cognito.ErrTokenUse, 1: cognito.ErrTokenUse,
	} {
		token := cognitotest.Sign(p.Key("kid-1"), map[string]any{"kid": "kid-1", "typ": typ}, p.IDToken("111", now))
		_, err := v.VerifyID(t.Context(), token)
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("typ %v: %v, want %v", typ, err, want)
		}
	}
	_, err := v.VerifyAccess(t.Context(), p.Sign("kid-1", p.Access("111", now)))
	refused(t, err, cognito.ErrTokenUse)
	stranger := cognitotest.Sign(cognitotest.NewKey(), map[string]any{"kid": "kid-1"}, p.IDToken("111", now))
	_, err = v.VerifyID(t.Context(), stranger)
	refused(t, err, cognito.ErrSignature)
}

// TestAccessTokensOfProviders presents what a provider may issue beside its ID
// token.
func TestAccessTokensOfProviders(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := provider(t, p, nil)
	access := func(c claims) string {
		return cognitotest.Sign(cognitotest.NewKey(), nil, claims{"iss": p.Issuer, "sub": "111", "aud": "https://api.test"}.With(c))
	}
	signed, other := access(nil), access(claims{"sub": "222"})
	for _, tc := range []struct {
		name   string
		id     claims
		access string
		want   error
	}{
		{"opaque", nil, "ya29.a0AfH6", nil},
		{"a JWT of the same user, by a key of its own", nil, signed, nil},
		{"a JWT of another user", nil, other, cognito.ErrPair},
		{"a JWT of another issuer", nil, access(claims{"iss": "https://sts.windows.net/x/", "sub": "222"}), nil},
		{"a JWT without a user", nil, access(claims{"sub": nil}), nil},
		{"of one user with two names", claims{"oid": "o"}, access(claims{"sub": "222", "oid": "o"}), nil},
		{"of two users with two names", claims{"oid": "o"}, access(claims{"sub": "222", "oid": "x"}), cognito.ErrPair},
		{"at_hash fits", claims{"at_hash": halfHash(signed)}, signed, nil},
		{"at_hash fits an opaque one", claims{"at_hash": halfHash("ya29.a0AfH6")}, "ya29.a0AfH6", nil},
		{"at_hash fits, and says all", claims{"at_hash": halfHash(other)}, other, nil},
		{"at_hash is another's", claims{"at_hash": halfHash(other)}, signed, cognito.ErrAccessTokenHash},
	} {
		_, err := v.VerifyPair(t.Context(), cognito.Pair{IDToken: p.Sign("kid-1", p.IDToken("111", now).With(tc.id)), AccessToken: tc.access})
		if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// TestAlgorithms takes the algorithms that are configured, each by a key of its own
// kind, whatever the token says.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	p := pool(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	first := p.Key("kid-1")
	p.SetKeys(map[string]*rsa.PrivateKey{"RS256": cognitotest.NewKey()},
		strings.Replace(cognitotest.JWK("PS256", &first.PublicKey), `"RS256"`, `"PS256"`, 1),
		`{"kty":"EC","kid":"ES256","crv":"P-256","x":"`+b64(point[1:33])+`","y":"`+b64(point[33:])+`"}`,
		`{"kty":"OKP","kid":"EdDSA","crv":"Ed25519","x":"`+b64(public)+`"}`)
	sign := func(method jwt.SigningMethod, kid string, key any, c claims) string {
		token := jwt.NewWithClaims(method, jwt.MapClaims(c))
		token.Header["kid"] = kid
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	long := sha512.Sum512([]byte("an access token"))
	short := sha256.Sum256([]byte("an access token"))
	for alg, tc := range map[string]struct {
		method jwt.SigningMethod
		key    any
		hash   []byte
	}{
		"RS256": {jwt.SigningMethodRS256, p.Key("RS256"), short[:16]},
		"PS256": {jwt.SigningMethodPS256, first, short[:16]},
		"ES256": {jwt.SigningMethodES256, ec, short[:16]},
		"EdDSA": {jwt.SigningMethodEdDSA, ed, long[:32]},
	} {
		good := p.IDToken("111", now).With(claims{"at_hash": b64(tc.hash)})
		token := sign(tc.method, alg, tc.key, good)
		for _, allowed := range [][]string{nil, {"RS256"}, {"PS256"}, {"ES256"}, {"EdDSA"}, {"RS256", "PS256", "ES256", "EdDSA"}} {
			want := cognito.ErrAlgorithm
			if slices.Contains(allowed, alg) || allowed == nil && alg == "RS256" {
				want = nil
			}
			v := provider(t, p, func(c *cognito.Config) { c.OIDC.Algorithms = allowed })
			_, err := v.VerifyPair(t.Context(), cognito.Pair{IDToken: token, AccessToken: "an access token"})
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s where %v are allowed: %v, want %v", alg, allowed, err, want)
			}
		}
		v := provider(t, p, func(c *cognito.Config) { c.OIDC.Algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"} })
		_, err := v.VerifyPair(t.Context(), cognito.Pair{IDToken: token, AccessToken: "another"})
		refused(t, err, cognito.ErrAccessTokenHash)
		for _, kid := range []string{"RS256", "PS256", "ES256", "EdDSA"} { // the key of another algorithm
			if kid != alg {
				_, err := v.VerifyID(t.Context(), sign(tc.method, kid, tc.key, good))
				refused(t, err, cognito.ErrAlgorithm)
			}
		}
	}
}

// halfHash is the at_hash of an access token, by the algorithms that SHA-256 goes
// with.
func halfHash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// TestNonce holds a pair to the nonce that it was asked for with, of a pool and of
// another provider alike.
func TestNonce(t *testing.T) {
	t.Parallel()
	p := pool(t)
	for _, kind := range []func(*testing.T, *cognitotest.Pool, func(*cognito.Config)) *cognito.Verifier{
		provider, func(t *testing.T, p *cognitotest.Pool, c func(*cognito.Config)) *cognito.Verifier {
			return verifier(t, p, c)
		},
	} {
		for _, tc := range []struct {
			name     string
			token    any
			given    string
			required bool
			want     error
		}{
			{"none anywhere", nil, "", false, nil},
			{"one that nobody asks after", "n", "", false, nil},
			{"the right one", "n", "n", false, nil},
			{"another", "n", "m", false, cognito.ErrNonce},
			{"the beginning", "nonce", "non", false, cognito.ErrNonce},
			{"none in the token", nil, "n", false, cognito.ErrNonce},
			{"one that is a number", 1, "1", false, cognito.ErrNonce},
			{"required, and right", "n", "n", true, nil},
			{"required, and not given", "n", "", true, cognito.ErrNonce},
			{"required, and nowhere", nil, "", true, cognito.ErrNonce},
			{"required, and empty", "", "", true, cognito.ErrNonce},
		} {
			v := kind(t, p, func(c *cognito.Config) { c.RequireNonce = tc.required })
			id, access := p.Pair("111", now, claims{"nonce": tc.token})
			_, err := v.VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access, Nonce: tc.given})
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("%s, %s: %v, want %v", v.Name(), tc.name, err, tc.want)
			}
		}
	}
}

// TestUnverifiedEmail is what each kind of provider may say of an address.
func TestUnverifiedEmail(t *testing.T) {
	t.Parallel()
	p := pool(t)
	said := map[string]any{"true": true, "false": false, "nothing": nil}
	accept := func(c *cognito.Config) { c.UnverifiedEmail = cognito.AcceptUnverified }
	for name, tc := range map[string]struct {
		v       *cognito.Verifier
		refused []string
	}{
		"a pool":               {verifier(t, p, nil), []string{"false", "nothing"}},
		"a pool, accepted":     {verifier(t, p, accept), nil},
		"a provider":           {provider(t, p, nil), []string{"false"}},
		"a provider, accepted": {provider(t, p, accept), nil},
	} {
		for what, value := range said {
			id, _ := p.Pair("111", now, claims{"email_verified": value})
			got, err := tc.v.VerifyID(t.Context(), id)
			var want error
			for _, r := range tc.refused {
				if r == what {
					want = cognito.ErrEmailNotVerified
				}
			}
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s that says %s: %v, want %v", name, what, err, want)
			}
			if want == nil && (got.EmailVerified == cognito.Verified) != (what == "true") {
				t.Errorf("%s that says %s: %v", name, what, got.EmailVerified)
			}
		}
	}
}

func TestProviderConfigurations(t *testing.T) {
	t.Parallel()
	good := cognito.Config{Name: "c", Issuer: "https://idp.test", ClientIDs: []string{"x"}, App: &cognito.App{ClientID: "x"}}
	for name, change := range map[string]func(*cognito.Config){
		"nothing wrong":                  func(*cognito.Config) {},
		"no issuer":                      func(c *cognito.Config) { c.Issuer = "" },
		"an issuer over plain http":      func(c *cognito.Config) { c.Issuer = "http://idp.test" },
		"an issuer with a query":         func(c *cognito.Config) { c.Issuer += "?a=b" },
		"a region":                       func(c *cognito.Config) { c.Region = "us-east-1" },
		"scopes of its access tokens":    func(c *cognito.Config) { c.RequiredScopes = []string{"x"} },
		"a hosted UI":                    func(c *cognito.Config) { c.App.HostedUI = "https://idp.test" },
		"scopes without openid":          func(c *cognito.Config) { c.App.Scopes = []string{"email"} },
		"an algorithm that is none":      func(c *cognito.Config) { c.OIDC.Algorithms = []string{"none"} },
		"an algorithm with a shared key": func(c *cognito.Config) { c.OIDC.Algorithms = []string{"RS256", "HS256"} },
		"tenants of no template":         func(c *cognito.Config) { c.OIDC.Tenants = []string{tenant} },
		"a template of any tenant":       func(c *cognito.Config) { c.Issuer = entra + "{tenantid}/v2.0" },
		"a tenant that is a path":        func(c *cognito.Config) { c.Issuer, c.OIDC.Tenants = entra+"{tenantid}/v2.0", []string{"../x"} },
		"a tenant twice":                 func(c *cognito.Config) { c.Issuer, c.OIDC.Tenants = entra+"{tenantid}/v2.0", []string{tenant, tenant} },
		"tenants with an alias": func(c *cognito.Config) {
			c.Issuer, c.OIDC.Tenants, c.OIDC.IssuerAliases = entra+"{tenantid}/v2.0", []string{tenant}, []string{"x"}
		},
		"an alias that is empty":        func(c *cognito.Config) { c.OIDC.IssuerAliases = []string{""} },
		"an alias that is the issuer":   func(c *cognito.Config) { c.OIDC.IssuerAliases = []string{c.Issuer} },
		"a secret shown by assertion":   func(c *cognito.Config) { c.OIDC.TokenEndpointAuth = "private_key_jwt" },
		"metadata over plain http":      func(c *cognito.Config) { c.OIDC.DiscoveryURL = "http://idp.test" },
		"a token endpoint that is none": func(c *cognito.Config) { c.OIDC.TokenEndpoint = "/token" },
		"a page with a fragment":        func(c *cognito.Config) { c.OIDC.AuthorizationEndpoint = "https://idp.test/a#b" },
		"keys over plain http":          func(c *cognito.Config) { c.JWKSURL = "http://idp.test/keys" },
	} {
		c, app := good, *good.App
		c.App, c.OIDC = &app, &cognito.OIDC{}
		change(&c)
		if _, err := cognito.New(c); (err == nil) != (name == "nothing wrong") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
