package config_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/google/go-cmp/cmp"
)

func TestUsersOfIdentityProviders(t *testing.T) {
	t.Parallel()
	got, err := config.Load(config.LoadOptions{Path: write(t, `
idps:
  - name: a
    link_by_email: true
    claims: {username: [preferred_username, email], first_name: given, last_name: []}
    attributes: {department: "custom:department"}
`)})
	if err != nil {
		t.Fatal(err)
	}
	want := []config.IDP{{
		Name: "a", LinkByEmail: true, Attributes: map[string]string{"department": "custom:department"},
		Claims: config.IDPClaims{Username: config.Names{"preferred_username", "email"}, FirstName: config.Names{"given"}, LastName: config.Names{}},
	}}
	if diff := cmp.Diff(want, got.IDPs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for file, wrong := range map[string]string{
		"claims: {usrname: x}":       `unknown key "idps[0].claims.usrname" (did you mean "username"?)`,
		"claims: {username: {a: b}}": "idps[0].claims.username must be the name of a claim, or a list of names",
		"claims: {username: [[a]]}":  "idps[0].claims.username must be",
		"attributes: [a]":            "idps[0].attributes must be names and their claims",
		"attributes: {a: [b]}":       "idps[0].attributes must be names and their claims",
		"attributes: {a: b, a: c}":   "idps[0].attributes must be names and their claims",
		"attributes: {a: }":          "idps[0].attributes must be names and their claims",
	} {
		_, err := config.Load(config.LoadOptions{Path: write(t, "idps: [{name: a, "+file+"}]")})
		if err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", file, err, wrong)
		}
	}
}

func TestUsersOfIdentityProvidersRefused(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 51 {
		many[strings.Repeat("x", i+1)] = "x"
	}
	for want, p := range map[string]config.IDP{
		"link_staff needs link_by_email":         {LinkStaff: true},
		"claims: a claim needs a name":           {Claims: config.IDPClaims{Email: config.Names{"a", ""}}},
		"an attribute and its claim need a name": {Attributes: map[string]string{"a": ""}},
		"attributes can't be more than 50":       {Attributes: many},
	} {
		p.Name, p.Type, p.Issuer, p.JWKSURL, p.ClientIDs = "a", "cognito", "https://x.test", "https://x.test/keys", []string{"c"}
		c := config.Default()
		c.Secret, c.IDPs = secret, []config.IDP{p}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
