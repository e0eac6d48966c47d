package cognito_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/google/go-cmp/cmp"
)

// TestClaimNames reads identities by other claims than the usual.
func TestClaimNames(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		names  cognito.ClaimNames
		trust  bool
		claims claims
		want   cognito.Identity
	}{
		"usual": {claims: claims{"preferred_username": "p"},
			want: cognito.Identity{Username: "user-111", GivenName: "Gina", FamilyName: "Gold", Email: "111@example.test", EmailVerified: cognito.Verified}},
		"of an OpenID provider": {claims: claims{"cognito:username": nil, "preferred_username": "gina"},
			want: cognito.Identity{Username: "gina", GivenName: "Gina", FamilyName: "Gold", Email: "111@example.test", EmailVerified: cognito.Verified}},
		"the first that can be kept": {names: cognito.ClaimNames{Username: []string{"a", "b", "c", "d"}, GivenName: []string{"a", "name"}},
			claims: claims{"a": "x\x00", "b": 5, "c": "gina", "d": "other", "name": "Gina Gold"},
			want:   cognito.Identity{Username: "gina", GivenName: "Gina Gold", FamilyName: "Gold", Email: "111@example.test", EmailVerified: cognito.Verified}},
		"none": {names: cognito.ClaimNames{Username: []string{}, GivenName: []string{}, FamilyName: []string{}, Email: []string{}, EmailVerified: []string{}},
			want: cognito.Identity{}},
		"verified is said of the first address alone": {names: cognito.ClaimNames{Email: []string{"mail", "upn"}},
			claims: claims{"upn": "gina@example.test"}, want: cognito.Identity{Username: "user-111", GivenName: "Gina", FamilyName: "Gold", Email: "gina@example.test"}},
		"said in another claim": {names: cognito.ClaimNames{EmailVerified: []string{"xms_edov"}}, claims: claims{"xms_edov": true, "email_verified": nil},
			want: cognito.Identity{Username: "user-111", GivenName: "Gina", FamilyName: "Gold", Email: "111@example.test", EmailVerified: cognito.Verified}},
		"a provider that is trusted": {trust: true, claims: claims{"email_verified": nil},
			want: cognito.Identity{Username: "user-111", GivenName: "Gina", FamilyName: "Gold", Email: "111@example.test", EmailVerified: cognito.Trusted}},
		"a provider that is trusted, and says no": {trust: true, claims: claims{"email_verified": false},
			want: cognito.Identity{Username: "user-111", GivenName: "Gina", FamilyName: "Gold", Email: "111@example.test", EmailVerified: cognito.Unverified}},
		"an address that is none": {names: cognito.ClaimNames{Email: []string{"email", "mail"}}, claims: claims{"email": "gina", "mail": "Gina <g@example.test>"},
			want: cognito.Identity{Username: "user-111", GivenName: "Gina", FamilyName: "Gold", EmailVerified: cognito.Verified}},
		"attributes": {names: cognito.ClaimNames{Attributes: map[string]string{"department": "custom:department", "level": "l", "ok": "ok", "tags": "tags", "gone": "gone", "object": "address",
			"long": "long", "nul": "nul", "number": "number", "deep": "deep", "empty": "empty"}},
			claims: claims{"custom:department": "R&D", "l": 12, "ok": false, "tags": []any{"a", 1}, "gone": nil, "address": claims{"street": "x"}, "empty": "",
				"long": strings.Repeat("x", 1025), "nul": "a\x00", "number": json.Number("1" + strings.Repeat("0", 40)), "deep": []any{[]any{"a"}}},
			want: cognito.Identity{Username: "user-111", GivenName: "Gina", FamilyName: "Gold", Email: "111@example.test", EmailVerified: cognito.Verified,
				Attributes: map[string]any{"department": "R&D", "level": json.Number("12"), "ok": false, "tags": []any{"a", json.Number("1")}, "empty": ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pool(t)
			v := verifier(t, p, func(c *cognito.Config) {
				c.Claims, c.TrustEmail, c.UnverifiedEmail = tc.names, tc.trust, cognito.AcceptUnverified
			})
			id, _ := p.Pair("111", now, tc.claims)
			got, err := v.VerifyID(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			got = cognito.Identity{Username: got.Username, GivenName: got.GivenName, FamilyName: got.FamilyName, Email: got.Email,
				EmailVerified: got.EmailVerified, Attributes: got.Attributes}
			if tc.want.Email == "" {
				tc.want.EmailVerified = got.EmailVerified // of no address
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTrustedAddressIsNotRefused asks for addresses that are vouched for.
func TestTrustedAddressIsNotRefused(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, func(c *cognito.Config) { c.TrustEmail = true })
	id, _ := p.Pair("111", now, claims{"email_verified": nil})
	if i, err := v.VerifyID(t.Context(), id); err != nil || !i.EmailVerified.Counts() {
		t.Errorf("%v, %v", i.EmailVerified, err)
	}
	id, _ = p.Pair("111", now, claims{"email_verified": "no"})
	if _, err := v.VerifyID(t.Context(), id); err == nil {
		t.Error("one that the provider calls unverified is taken")
	}
}

func TestClaimNamesRefused(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 51 {
		many[strings.Repeat("x", i+1)] = "x"
	}
	for _, names := range []cognito.ClaimNames{
		{Username: []string{"a", ""}}, {EmailVerified: []string{""}}, {Attributes: many},
		{Attributes: map[string]string{"": "a"}}, {Attributes: map[string]string{"a": ""}},
	} {
		if _, err := cognito.New(cognito.Config{Name: "x", Issuer: "https://x.test", JWKSURL: "https://x.test/", ClientIDs: []string{"c"}, Claims: names}); err == nil {
			t.Errorf("%.100v is taken", names)
		}
	}
}

// TestOnePersonOfAllIssuersOfAPool signs in by each of them: a pool that changes
// its form of issuer, or fails over to a replica, makes no second user of anybody.
func TestOnePersonOfAllIssuersOfAPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, key := &cloud{}, cognitotest.NewKey()
		v := inCloud(t, c)
		for _, issuer := range []string{original, updated, replica} {
			c.publish(issuer, "kid-1", key)
			got, err := v.VerifyID(t.Context(), issue(issuer, "kid-1", key))
			if err != nil || got.Issuer != original || got.Subject != "111" {
				t.Errorf("by %s: %q of %q, %v", issuer, got.Subject, got.Issuer, err)
			}
		}
	})
}
