package config_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/config"
)

func TestValidateOpenIDProviders(t *testing.T) {
	t.Parallel()
	const entra = "https://login.microsoftonline.com/{tenantid}/v2.0"
	for _, tc := range []struct {
		name   string
		change func(*config.IDP)
		want   string // in the error; empty: it is good
	}{
		{"an issuer and a client", func(*config.IDP) {}, ""},
		{"no issuer", func(p *config.IDP) { p.Issuer = "" }, "idps[0].issuer"},
		{"plain http", func(p *config.IDP) { p.Issuer = "http://idp.test" }, "idps[0].issuer must be https"},
		{"plain http on this machine", func(p *config.IDP) { p.Issuer = "http://localhost:9000/" }, ""},
		{"an issuer with a query", func(p *config.IDP) { p.Issuer += "?x" }, "idps[0].issuer"},
		{"a pool", func(p *config.IDP) { p.UserPool = "us-west-2_a" }, "user_pool"},
		{"a hosted UI", func(p *config.IDP) { p.HostedUI = "https://idp.test" }, "hosted_ui"},
		{"scopes of the access token", func(p *config.IDP) { p.RequiredScopes = []string{"x"} }, "required_scopes"},
		{"endpoints with a query", func(p *config.IDP) {
			p.DiscoveryURL, p.AuthorizationEndpoint, p.TokenEndpoint, p.JWKSURL = "https://a.test/?p=x", "https://b.test/?p", "https://c.test/", "https://d.test/?p=x"
		}, ""},
		{"an endpoint with a fragment", func(p *config.IDP) { p.TokenEndpoint = "https://a.test/?a#b" }, "idps[0].token_endpoint"},
		{"an endpoint over plain http", func(p *config.IDP) { p.DiscoveryURL = "http://a.test/" }, "idps[0].discovery_url"},
		{"algorithms", func(p *config.IDP) { p.Algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"} }, ""},
		{"no signature", func(p *config.IDP) { p.Algorithms = []string{"RS256", "none"} }, "idps[0].algorithms"},
		{"a shared key", func(p *config.IDP) { p.Algorithms = []string{"HS256"} }, "idps[0].algorithms"},
		{"a secret in the form", func(p *config.IDP) { p.TokenEndpointAuth = "client_secret_post" }, ""},
		{"a secret by assertion", func(p *config.IDP) { p.TokenEndpointAuth = "private_key_jwt" }, "token_endpoint_auth"},
		{"scopes without openid", func(p *config.IDP) { p.Scopes = []string{"email"} }, "scopes must have openid"},
		{"tenants", func(p *config.IDP) { p.Issuer, p.Tenants = entra, []string{"a", "b"} }, ""},
		{"any tenant", func(p *config.IDP) { p.Issuer = entra }, "tenants"},
		{"tenants of one issuer", func(p *config.IDP) { p.Tenants = []string{"a"} }, "tenants"},
		{"an empty tenant", func(p *config.IDP) { p.Issuer, p.Tenants = entra, []string{""} }, "empty"},
		{"an alias", func(p *config.IDP) { p.IssuerAliases = []string{"accounts.google.com"} }, ""},
		{"an empty alias", func(p *config.IDP) { p.IssuerAliases = []string{""} }, "empty"},
		{"tenants and an alias", func(p *config.IDP) { p.Issuer, p.Tenants, p.IssuerAliases = entra, []string{"a"}, []string{"b"} }, "issuer_aliases"},
		{"a pool with metadata", func(p *config.IDP) {
			*p = config.IDP{Name: "p", Type: "cognito", Region: "us-west-2", UserPool: "us-west-2_a", ClientIDs: []string{"c"}, DiscoveryURL: "https://a.test"}
		}, "discovery_url"},
	} {
		c := config.Default()
		p := config.IDP{Name: "google", Type: "oidc", Issuer: "https://accounts.google.com", ClientIDs: []string{"c"}}
		tc.change(&p)
		c.Secret, c.IDPs = secret, []config.IDP{p}
		err := c.Validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// TestDocumentedProviders loads what docs/cognito.md and docs/oidc.md tell people
// to write.
func TestDocumentedProviders(t *testing.T) {
	t.Parallel()
	found := 0
	for _, path := range []string{"../docs/cognito.md", "../docs/oidc.md"} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1) {
			found++
			c, err := config.Load(config.LoadOptions{Path: write(t, string(block[1])), Environ: []string{"GATEHOUSE_SECRET=" + secret}})
			if err == nil {
				err = c.Validate()
			}
			if err != nil || len(c.IDPs) == 0 {
				t.Errorf("%s: %v in\n%s", path, err, block[1])
			}
		}
	}
	if found < 4 {
		t.Errorf("%d examples found", found)
	}
}
