package cognito_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/golang-jwt/jwt/v5"
)

// TestPairsWithOneDefect spoils one claim of a pair, in its value or in its type.
// Nil says that what is odd there is taken, on purpose.
func TestPairsWithOneDefect(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, nil)
	us := cognitotest.ClientID
	ofID := []defect{
		{"iss, with a zero-width space", claims{"iss": p.Issuer + "\u200b"}, cognito.ErrIssuer},
		{"iss, with NUL", claims{"iss": p.Issuer + "\x00"}, cognito.ErrIssuer},
		{"iss, in full-width letters", claims{"iss": strings.Replace(p.Issuer, "p", "ｐ", 1)}, cognito.ErrIssuer},
		{"iss, with an encoded letter", claims{"iss": strings.Replace(p.Issuer, "pool", "%70ool", 1)}, cognito.ErrIssuer},
		{"iss, with a dot segment", claims{"iss": strings.Replace(p.Issuer, "/pool", "/./pool", 1)}, cognito.ErrIssuer},
		{"iss, with a query", claims{"iss": p.Issuer + "?"}, cognito.ErrIssuer},
		{"iss, with a blank", claims{"iss": " " + p.Issuer}, cognito.ErrIssuer},
		{"iss, an object", claims{"iss": claims{"iss": p.Issuer}}, cognito.ErrIssuer},
		{"aud, ours in a list in a list", claims{"aud": []any{[]string{us}}}, cognito.ErrClient},
		{"aud, an object", claims{"aud": claims{us: true}}, cognito.ErrClient},
		{"aud, ours and a blank", claims{"aud": us + " "}, cognito.ErrClient},
		{"aud, ours among others in one text", claims{"aud": "x " + us}, cognito.ErrClient},
		{"aud, ours and a stranger, and azp is the stranger", claims{"aud": []string{us, "x"}, "azp": "x"}, cognito.ErrClient},
		{"azp, ours, and aud is a stranger", claims{"aud": "x", "azp": us}, cognito.ErrClient},
		{"azp, empty", claims{"azp": ""}, cognito.ErrClient},
		{"azp, a list", claims{"azp": []string{us}}, cognito.ErrClient},
		{"azp, a number", claims{"azp": 1}, cognito.ErrClient},
		{"client_id of a stranger: it means nothing in an ID token", claims{"client_id": "x"}, nil},
		{"token_use, a list", claims{"token_use": []string{"id"}}, cognito.ErrTokenUse},
		{"token_use, with a blank", claims{"token_use": "id "}, cognito.ErrTokenUse},
		{"token_use, both", claims{"token_use": "id access"}, cognito.ErrTokenUse},
		{"token_use, true", claims{"token_use": true}, cognito.ErrTokenUse},
		{"sub, a list", claims{"sub": []string{"111"}}, cognito.ErrSubject},
		{"sub, 256 letters of two bytes", claims{"sub": strings.Repeat("é", 256)}, cognito.ErrSubject},
		{"sub, with a line break", claims{"sub": "111\n"}, cognito.ErrSubject},
		{"sub, with a blank", claims{"sub": "111 "}, cognito.ErrPair},
		{"sub, composed otherwise", claims{"sub": "1\u030011"}, cognito.ErrPair},
		{"exp, a list", claims{"exp": []int64{now.Add(time.Hour).Unix()}}, cognito.ErrMalformed},
		{"exp, in milliseconds", claims{"exp": now.Add(time.Hour).UnixMilli()}, cognito.ErrMalformed},
		{"exp, 1e30", claims{"exp": 1e30}, cognito.ErrMalformed},
		{"exp, -1e30", claims{"exp": -1e30}, cognito.ErrMalformed},
		{"exp, 0", claims{"exp": 0}, cognito.ErrExpired},
		{"exp, a date", claims{"exp": now.Add(time.Hour).Format(time.RFC3339)}, cognito.ErrMalformed},
		{"iat, a list", claims{"iat": []int64{now.Unix()}}, cognito.ErrMalformed},
		{"iat, tomorrow", claims{"iat": now.Add(24 * time.Hour).Unix()}, cognito.ErrNotYetValid},
		{"nbf, an object", claims{"nbf": claims{}}, cognito.ErrMalformed},
		{"nbf, false", claims{"nbf": false}, cognito.ErrMalformed},
		{"at_hash, empty", claims{"at_hash": ""}, cognito.ErrAccessTokenHash},
		{"at_hash, a list", claims{"at_hash": []string{}}, cognito.ErrAccessTokenHash},
		{"origin_jti, a number", claims{"origin_jti": 7}, cognito.ErrPair},
		{"origin_jti, empty", claims{"origin_jti": ""}, cognito.ErrPair},
		{"origin_jti, a list", claims{"origin_jti": []string{"origin-111"}}, cognito.ErrPair},
		{"origin_jti, in capitals", claims{"origin_jti": "ORIGIN-111"}, cognito.ErrPair},
		{"origin_jti, none: the access token has one", claims{"origin_jti": nil}, nil},
		{"email_verified, \"TRUE\"", claims{"email_verified": "TRUE"}, cognito.ErrEmailNotVerified},
		{"email_verified, \"1\"", claims{"email_verified": "1"}, cognito.ErrEmailNotVerified},
		{"email_verified, \"true \"", claims{"email_verified": "true "}, cognito.ErrEmailNotVerified},
		{"email_verified, empty", claims{"email_verified": ""}, cognito.ErrEmailNotVerified},
		{"email_verified, a list", claims{"email_verified": []bool{true}}, cognito.ErrEmailNotVerified},
		{"email_verified, an object", claims{"email_verified": claims{"value": true}}, cognito.ErrEmailNotVerified},
		{"email, a list: there is no address", claims{"email": []string{"a@example.test"}}, nil},
		{"cognito:groups, a text: there are none", claims{"cognito:groups": "admins"}, nil},
		{"cognito:groups, more than a token has room for", claims{"cognito:groups": make([]int, 10_000)}, cognito.ErrMalformed},
	}
	for _, d := range ofID {
		id, access := p.Pair("111", now, d.change)
		_, err := verdict(t, v, cognito.Pair{IDToken: id, AccessToken: access})
		t.Run(d.name, func(t *testing.T) { refused(t, err, d.want) })
	}
	for _, d := range []defect{
		{"iss, the ID token's with a slash", claims{"iss": p.Issuer + "/"}, cognito.ErrIssuer},
		{"client_id, a list", claims{"client_id": []string{us}}, cognito.ErrClient},
		{"client_id, in capitals", claims{"client_id": strings.ToUpper(us)}, cognito.ErrClient},
		{"token_use, a list", claims{"token_use": []string{"access"}}, cognito.ErrTokenUse},
		{"token_use, refresh", claims{"token_use": "refresh"}, cognito.ErrTokenUse},
		{"sub, a number", claims{"sub": 111}, cognito.ErrSubject},
		{"sub, with NUL", claims{"sub": "111\x00"}, cognito.ErrSubject},
		{"exp, text", claims{"exp": "1795510800"}, cognito.ErrMalformed},
		{"iat, missing", claims{"iat": nil}, cognito.ErrMalformed},
		{"iat, tomorrow", claims{"iat": now.Add(24 * time.Hour).Unix()}, cognito.ErrNotYetValid},
		{"origin_jti, a number", claims{"origin_jti": 7}, cognito.ErrPair},
		{"origin_jti, empty", claims{"origin_jti": ""}, cognito.ErrPair},
		{"aud of a stranger: it means nothing in an access token", claims{"aud": "x"}, nil},
	} {
		pair := cognito.Pair{IDToken: p.Sign("kid-1", p.ID("111", now)), AccessToken: p.Sign("kid-1", p.Access("111", now).With(d.change))}
		_, err := verdict(t, v, pair)
		t.Run("access token, "+d.name, func(t *testing.T) { refused(t, err, d.want) })
	}
}

// TestNullIsNoAbsence has claims that are there and null: the pool's own are never.
func TestNullIsNoAbsence(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, nil)
	for name, want := range map[string]error{
		"azp": cognito.ErrClient, "nbf": cognito.ErrMalformed, "exp": cognito.ErrMalformed, "at_hash": cognito.ErrAccessTokenHash, "origin_jti": cognito.ErrPair,
	} {
		id, access := p.Pair("111", now, claims{name: new(any)}) // encoded as null
		_, err := verdict(t, v, cognito.Pair{IDToken: id, AccessToken: access})
		refused(t, err, want)
	}
}

// TestPairOfTwoRegions has a good token of each region of one pool: they are of
// two sign-ins.
func TestPairOfTwoRegions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, here, there := &cloud{}, cognitotest.NewKey(), cognitotest.NewKey()
		v := inCloud(t, c)
		keys := map[string]*rsa.PrivateKey{original: here, updated: here, replica: there}
		for issuer, key := range keys {
			c.publish(issuer, "kid-1", key)
		}
		access := func(issuer string, key *rsa.PrivateKey) string {
			return cognitotest.Sign(key, map[string]any{"kid": "kid-1"}, (&cognitotest.Pool{Issuer: issuer}).Access("111", time.Now()))
		}
		for of, key := range keys {
			for with, other := range keys {
				var want error
				if of != with {
					want = cognito.ErrPair
				}
				_, err := v.VerifyPair(t.Context(), cognito.Pair{IDToken: issue(of, "kid-1", key), AccessToken: access(with, other)})
				if !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("%s with %s: %v, want %v", of, with, err, want)
				}
			}
		}
		// The key of one region says nothing for the other, though its id is the same.
		_, err := v.VerifyID(t.Context(), issue(replica, "kid-1", here))
		refused(t, err, cognito.ErrSignature)
	})
}

// TestOneTokenHasOneDigest turns an ES256 signature into its twin, which anybody
// can who has it: both verify, and both are the same token.
func TestOneTokenHasOneDigest(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding
	p := pool(t)
	p.SetKeys(map[string]*rsa.PrivateKey{"kid-1": cognitotest.NewKey()},
		`{"kty":"EC","kid":"ec","crv":"P-256","x":"`+b64.EncodeToString(point[1:33])+`","y":"`+b64.EncodeToString(point[33:])+`"}`)
	v := provider(t, p, func(c *cognito.Config) { c.OIDC.Algorithms = []string{"ES256"} })
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(p.IDToken("111", now)))
	token.Header["kid"] = "ec"
	first, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	signed := first[:strings.LastIndexByte(first, '.')+1]
	rs, err := b64.DecodeString(first[len(signed):])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(rs[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(rs[32:])
	second := signed + b64.EncodeToString(rs)
	one, err := v.VerifyID(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	other, err := v.VerifyID(t.Context(), second)
	if err != nil || first == second || one.IDTokenDigest != other.IDTokenDigest {
		t.Errorf("the twin is another token: %v", err)
	}
}
