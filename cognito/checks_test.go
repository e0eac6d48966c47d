package cognito_test

import (
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/google/go-cmp/cmp"
)

// verdict is VerifyPair, and holds Explain to the same: what it says failed first
// is why the pair was refused.
func verdict(t *testing.T, v *cognito.Verifier, p cognito.Pair) (cognito.Identity, error) {
	t.Helper()
	identity, err := v.VerifyPair(t.Context(), p)
	var first error
	for _, c := range v.Explain(t.Context(), p) {
		if !c.Reached && first == nil {
			t.Errorf("%s, %s: not reached, and nothing had failed", c.Of, c.Name)
		}
		if first == nil {
			first = c.Err
		}
	}
	if (err == nil) != (first == nil) || err != nil && !errors.Is(err, first) && !strings.HasSuffix(err.Error(), first.Error()) {
		t.Errorf("Explain says %v, VerifyPair %v", first, err)
	}
	return identity, err
}

// explained writes down what failed, and what was not reached.
func explained(found []cognito.Check) map[string]string {
	failed := map[string]string{}
	for _, c := range found {
		switch {
		case !c.Reached:
			failed[c.Of+": "+c.Name] = "not reached"
		case c.Err != nil:
			failed[c.Of+": "+c.Name] = strings.TrimPrefix(c.Err.Error(), "cognito: invalid token: ")
		}
	}
	return failed
}

func TestExplain(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, nil)
	for name, tc := range map[string]struct {
		id, access claims
		want       map[string]string
	}{
		"nothing": {want: map[string]string{}},
		"several at once": {
			id:     claims{"aud": "somebody", "sub": nil, "exp": now.Add(-time.Hour).Unix()},
			access: claims{"token_use": "id"},
			want: map[string]string{
				"ID token: client": "wrong client", "ID token: subject": "no usable subject", "ID token: times": "expired",
				"access token: kind of token": "wrong token_use",
				"pair: belong together":       "not reached", "pair: nonce": "not reached", "pair: e-mail address": "not reached",
			},
		},
		"another pool's": {id: claims{"iss": "https://x.test"}, want: map[string]string{
			"ID token: issuer": "wrong issuer", "ID token: signature": "not reached",
			"pair: belong together": "the ID and the access token do not belong together: iss",
		}},
		"what only the pair shows": {id: claims{"email_verified": false}, access: claims{"sub": "222"}, want: map[string]string{
			"pair: belong together": "the ID and the access token do not belong together: sub", "pair: e-mail address": "the e-mail address is not verified",
		}},
	} {
		found := v.Explain(t.Context(), cognito.Pair{
			IDToken: p.Sign("kid-1", p.ID("111", now).With(tc.id)), AccessToken: p.Sign("kid-1", p.Access("111", now).With(tc.access)),
		})
		if diff := cmp.Diff(tc.want, explained(found)); diff != "" || len(found) != 19 {
			t.Errorf("%s: of %d checks (-want +got):\n%s", name, len(found), diff)
		}
	}
	for name, n := range map[string]int{"": 19, "x.y.z": 19} {
		if found := explained(v.Explain(t.Context(), cognito.Pair{IDToken: name, AccessToken: name})); len(found) != n || found["ID token: form"] != "malformed" {
			t.Errorf("%q: %v", name, found)
		}
	}
}

func TestIssuerOfAToken(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, nil)
	set, err := cognito.NewSet(v)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := p.Pair("111", now, nil)
	if got, err := set.Issuer(id); err != nil || got != v {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := set.Issuer(p.Sign("kid-1", p.ID("111", now).With(claims{"iss": "x"}))); !errors.Is(err, cognito.ErrIssuer) {
		t.Errorf("another issuer: %v", err)
	}
	if _, err := set.Issuer("x"); !errors.Is(err, cognito.ErrMalformed) {
		t.Errorf("no token: %v", err)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	p := pool(t)
	p.SetKeys(map[string]*rsa.PrivateKey{"kid-1": p.Key("kid-1")}, `{"kty":"RSA","kid":"e","use":"enc","n":"AQAB","e":"AQAB"}`)
	v := verifier(t, p, nil)
	got := v.Probe(t.Context())
	if len(got) != 1 || got[0].Err != nil || got[0].URL != p.JWKSURL || got[0].Keys != 1 || got[0].Ignored != 1 || got[0].Standby {
		t.Errorf("%+v", got)
	}
	p.SetMode(cognitotest.Down)
	if got := v.Probe(t.Context()); !errors.Is(got[0].Err, cognito.ErrKeysUnavailable) || got[0].Keys != 1 {
		t.Errorf("down: %+v", got)
	}
}
