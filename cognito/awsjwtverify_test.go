package cognito_test

import (
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/golang-jwt/jwt/v5"
)

// TestCasesOfAWSJWTVerify goes through what the unit tests of aws-jwt-verify ask
// of tokens, under their names (jwt-verifier, cognito-verifier). "Differs" marks
// those where the answer here is another one, on purpose: Cognito signs by RS256
// alone, a token must end, and there is one spelling of a token.
func TestCasesOfAWSJWTVerify(t *testing.T) {
	t.Parallel()
	p := pool(t)
	key := p.Key("kid-1")
	v := verifier(t, p, func(c *cognito.Config) {
		c.RequiredGroups, c.RequiredScopes = []string{"admin", "others"}, []string{"blah", "blah2"}
	})
	groups := claims{"cognito:groups": []string{"users", "others"}}
	id := func(change claims) string { return p.Sign("kid-1", p.ID("111", now).With(groups).With(change)) }
	access := func(change claims) string {
		return p.Sign("kid-1", p.Access("111", now).With(groups).With(claims{"scope": "blah2 openid"}).With(change))
	}
	header := func(h map[string]any) string {
		return cognitotest.Sign(key, mergeMaps(map[string]any{"kid": "kid-1"}, h), p.ID("111", now).With(groups))
	}
	raw := func(h, payload string) string { return rawToken(key, h, payload) }
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	const plain = `{"alg":"RS256","kid":"kid-1"}`
	for _, tc := range []struct {
		name, use, token string
		want             error
	}{
		{"happy flow with RS256 jwk", "id", id(nil), nil},
		{"happy flow with RS384 jwk (differs)", "id", signedBy(t, jwt.SigningMethodRS384, key, p.ID("111", now)), cognito.ErrAlgorithm},
		{"happy flow with RS512 jwk (differs)", "id", signedBy(t, jwt.SigningMethodRS512, key, p.ID("111", now)), cognito.ErrAlgorithm},
		{"happy flow with jwk - padded (differs)", "id", id(nil) + "==", cognito.ErrMalformed},
		{"happy flow JWT with multiple audience values", "id", id(claims{"aud": []string{"1234", cognitotest.ClientID}}), nil},
		{"happy flow with unicode characters in JWT", "id", id(claims{"hēłłœ": "wørłd"}), nil},
		{"error flow with wrong algorithm", "id", header(map[string]any{"alg": "RS384"}), cognito.ErrAlgorithm},
		{"unsupported signature algorithm", "id", signedBy(t, jwt.SigningMethodPS256, key, p.ID("111", now)), cognito.ErrAlgorithm},
		{"missing signature algorithm", "id", raw(`{"kid":"kid-1"}`, `{"iss":"`+p.Issuer+`"}`), cognito.ErrAlgorithm},
		{"JWT with alg that is not a string", "id", raw(`{"alg":12345,"kid":"kid-1"}`, `{"iss":"`+p.Issuer+`"}`), cognito.ErrAlgorithm},
		{"invalid signature", "id", cognitotest.Sign(cognitotest.NewKey(), map[string]any{"kid": "kid-1"}, p.ID("111", now)), cognito.ErrSignature},
		{"invalid audience", "id", id(claims{"aud": "actualAudience"}), cognito.ErrClient},
		{"missing issuer", "id", id(claims{"iss": nil}), cognito.ErrIssuer},
		{"empty JWT", "id", "", cognito.ErrMalformed},
		{"JWT with less than 3 parts", "id", "header.payload", cognito.ErrMalformed},
		{"JWT with more than 3 parts", "id", "header.payload.signature.other.garbage", cognito.ErrMalformed},
		{"JWT with header that is not JSON parseable", "id", raw(`abc`, `{}`), cognito.ErrMalformed},
		{"JWT with header that is not an object", "id", raw(`123`, `{}`), cognito.ErrMalformed},
		{"JWT with payload that is not JSON parseable", "id", raw(plain, `abc`), cognito.ErrMalformed},
		{"JWT with payload that is not an object", "id", raw(plain, `123`), cognito.ErrMalformed},
		{"JWT with iss that is not a string", "id", id(claims{"iss": 12345}), cognito.ErrIssuer},
		{"JWT with sub that is not a string", "id", id(claims{"sub": 12345}), cognito.ErrSubject},
		{"JWT with aud that is not a string", "id", id(claims{"aud": 12345}), cognito.ErrClient},
		{"JWT with aud that is not a string array", "id", id(claims{"aud": []any{"1234", 5678}}), cognito.ErrClient},
		{"JWT with iat that is not a number", "id", id(claims{"iat": "12345"}), cognito.ErrMalformed},
		{"JWT with scope that is not a string", "access", access(claims{"scope": 12345}), cognito.ErrScope},
		{"JWT with jti that is not a string (differs: it is not used)", "id", id(claims{"jti": 12345}), nil},
		{"expired jwt", "id", id(claims{"exp": at(-time.Minute)}), cognito.ErrExpired},
		{"jwt with nonsense exp", "id", id(claims{"exp": "Garbage"}), cognito.ErrMalformed},
		{"jwt with empty exp (differs)", "id", id(claims{"exp": nil}), cognito.ErrNoExpiry},
		{"expiry: just enough graceSeconds", "id", id(claims{"exp": at(-29 * time.Second)}), nil},
		{"expiry: just too little graceSeconds", "id", id(claims{"exp": at(-30 * time.Second)}), cognito.ErrExpired},
		{"not before", "id", id(claims{"nbf": at(100 * time.Second)}), cognito.ErrNotYetValid},
		{"invalid nbf", "id", id(claims{"nbf": "foobar"}), cognito.ErrMalformed},
		{"not before: just enough graceSeconds", "id", id(claims{"nbf": at(30 * time.Second)}), nil},
		{"not before: just too little graceSeconds", "id", id(claims{"nbf": at(31 * time.Second)}), cognito.ErrNotYetValid},
		{"happy flow allowing multiple scopes", "access", access(nil), nil},
		{"error flow allowing multiple scopes", "access", access(claims{"scope": "blah3 blah4"}), cognito.ErrScope},
		{"error flow jwt without scope", "access", access(claims{"scope": nil}), cognito.ErrScope},
		{"kid is not a string", "id", header(map[string]any{"kid": map[string]any{"foo": "bar"}}), cognito.ErrUnknownKey},
		{"kid not in jwks", "id", header(map[string]any{"kid": "abcd"}), cognito.ErrUnknownKey},
		{"jwt without kid claim", "id", cognitotest.Sign(key, nil, p.ID("111", now)), cognito.ErrUnknownKey},
		{"id token check", "access", id(nil), cognito.ErrTokenUse},
		{"access token check", "access", access(nil), nil},
		{"receive access token but id token expected", "id", access(nil), cognito.ErrTokenUse},
		{"missing token use", "access", access(claims{"token_use": nil}), cognito.ErrTokenUse},
		{"Cognito group check works: another group", "access", access(claims{"cognito:groups": []string{"users"}}), cognito.ErrGroup},
		{"Cognito group check works: no group", "access", access(claims{"cognito:groups": nil}), cognito.ErrGroup},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			verify := v.VerifyID
			if tc.use == "access" {
				verify = v.VerifyAccess
			}
			_, err := verify(t.Context(), tc.token)
			refused(t, err, tc.want)
		})
	}
}

// TestKeyCasesOfAWSJWTVerify goes through what they ask of key sets
// (jwt-verifier, jwk): each member, published under the token's id.
func TestKeyCasesOfAWSJWTVerify(t *testing.T) {
	t.Parallel()
	key := cognitotest.NewKey()
	published := cognitotest.JWK("kid-1", &key.PublicKey)
	without := func(member string) string {
		before, rest, _ := strings.Cut(published, `"`+member+`":"`)
		_, after, _ := strings.Cut(rest, `"`)
		return strings.Replace(strings.TrimSuffix(before, ",")+after, "{,", "{", 1)
	}
	for _, tc := range []struct {
		name string
		jwk  string
		want error
	}{
		{"happy flow with jwks", published, nil},
		{"happy flow with jwk without alg", without("alg"), nil},
		{"missing JWK use", without("use"), nil},
		{"wrong signature algorithm", strings.Replace(published, "RS256", "RS384", 1), cognito.ErrUnknownKey},
		{"wrong JWK use", strings.Replace(published, `"sig"`, `"notsig"`, 1), cognito.ErrUnknownKey},
		{"missing modulus on JWK", without("n"), cognito.ErrUnknownKey},
		{"missing exponent on JWK", without("e"), cognito.ErrUnknownKey},
		{"missing kty on JWK", without("kty"), cognito.ErrUnknownKey},
		{"kid empty", without("kid"), cognito.ErrUnknownKey},
		{"empty JWK", `""`, cognito.ErrUnknownKey},
		{"JWK is not an object", `"foobar"`, cognito.ErrUnknownKey},
		{"mixed JWKS that includes unsupported keys", `{"kty":"RSA","alg":"PS256","use":"sig","kid":"somekid"},` + published +
			`,{"kty":"EC","alg":"ES256","use":"sig","hasNoKid":"test"},{"kty":"EC","crv":"P-256","alg":"ES256","kid":"x"}`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := pool(t)
			var beside []string
			for jwk := range strings.SplitSeq(strings.ReplaceAll(tc.jwk, "},{", "}\n{"), "\n") {
				beside = append(beside, jwk)
			}
			p.SetKeys(map[string]*rsa.PrivateKey{"another": p.Key("kid-1")}, beside...)
			_, err := verifier(t, p, nil).VerifyID(t.Context(), cognitotest.Sign(key, map[string]any{"kid": "kid-1"}, p.ID("111", now)))
			refused(t, err, tc.want)
		})
	}
	for _, tc := range []struct {
		name, body string
	}{
		{"no jwks", ``}, {"jwks is not an object", `"foo"`}, {"no keys", `{}`}, {"keys not an array", `{"keys":123}`},
		{"keys that are a key", `{"keys":` + published + `}`}, {"a list of keys", `[` + published + `]`}, {"an empty list", `{"keys":[]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := answering(t, tc.body).VerifyID(t.Context(), issue(original, "kid-1", key))
			if !errors.Is(err, cognito.ErrKeysUnavailable) || errors.Is(err, cognito.ErrInvalidToken) {
				t.Errorf("%v, want %v", err, cognito.ErrKeysUnavailable)
			}
		})
	}
}

// TestPoolCasesOfAWSJWTVerify goes through what they ask of pools and of the cache
// of keys (cognito-verifier, jwk).
func TestPoolCasesOfAWSJWTVerify(t *testing.T) {
	t.Parallel()
	config := func(change func(*cognito.Config)) error {
		c := cognito.Config{Name: "c", Region: "us-east-1", UserPool: "us-east-1_123456", ClientIDs: []string{"client1"}}
		change(&c)
		_, err := cognito.New(c)
		return err
	}
	t.Run("parseUserPoolId", func(t *testing.T) {
		t.Parallel()
		if err := config(func(*cognito.Config) {}); err != nil {
			t.Error(err)
		}
	})
	for name, change := range map[string]func(*cognito.Config){
		"Invalid User Pool ID": func(c *cognito.Config) { c.UserPool = "foo-central-bar_cfE3xfsaf" },
		"clientId undefined":   func(c *cognito.Config) { c.ClientIDs = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := config(change); err == nil {
				t.Error("it is taken")
			}
		})
	}
	for name, issuer := range map[string]string{"verify JWT with region issuer format": original, "verify JWT with global issuer format": updated} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := cognitotest.NewKey()
			synctest.Test(t, func(t *testing.T) {
				c := &cloud{}
				v := inCloud(t, c)
				c.publish(issuer, "kid-1", key)
				if _, err := v.VerifyID(t.Context(), issue(issuer, "kid-1", key)); err != nil {
					t.Error(err)
				}
			})
		})
	}
	t.Run("Simple JWKS cache throws error if wait time did not yet pass", func(t *testing.T) {
		t.Parallel()
		key := cognitotest.NewKey()
		synctest.Test(t, func(t *testing.T) {
			c := &cloud{}
			v := inCloud(t, c)
			c.publish(original, "kid-1", key)
			for _, step := range []struct {
				kid     string
				after   time.Duration
				want    error
				fetches int
			}{
				{"otherkid", 0, cognito.ErrUnknownKey, 1},
				{"otherkid2", 0, cognito.ErrUnknownKey, 1},               // no second fetch yet
				{"kid-1", 0, nil, 1},                                     // what is known is known meanwhile
				{"otherkid", 11 * time.Second, cognito.ErrUnknownKey, 2}, // after the wait
			} {
				time.Sleep(step.after)
				if _, err := v.VerifyID(t.Context(), issue(original, step.kid, key)); !errors.Is(err, step.want) || step.want == nil && err != nil {
					t.Errorf("%s: %v, want %v", step.kid, err, step.want)
				}
				if got := c.fetched(original); got != step.fetches {
					t.Errorf("%s: %d fetches, want %d", step.kid, got, step.fetches)
				}
			}
		})
	})
}
