package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse/config"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := `
claims:
  - {name: a, attribute: attributes.a, default: [1, 2.5, "x", true, null, {k: 2026-11-24}]}
  - {name: b, expression: "user.attributes.b", default: null}
  - {name: c, webhook: https://billing.internal/claims}
webhooks:
  - {url: https://billing.internal/claims, secret_file: s, timeout: 500ms, deadline: 2s, attempts: 2, max_concurrent: 9}
tokens: {max_bytes: 2048}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.LoadOptions{Path: path, Environ: []string{"GATEHOUSE_SECRET=" + strings.Repeat("s", 32)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	want := []config.Claim{
		{Name: "a", Attribute: "attributes.a", Default: config.Value{JSON: []byte(`[1,2.5,"x",true,null,{"k":"2026-11-24"}]`)}},
		{Name: "b", Expression: "user.attributes.b", Default: config.Value{JSON: []byte("null")}},
		{Name: "c", Webhook: "https://billing.internal/claims"},
	}
	if diff := cmp.Diff(want, c.Claims); diff != "" {
		t.Error(diff)
	}
	hooks := []config.Webhook{{
		URL: "https://billing.internal/claims", SecretFile: "s", Timeout: 500 * time.Millisecond, Deadline: 2 * time.Second, Attempts: 2, MaxConcurrent: 9,
	}}
	if diff := cmp.Diff(hooks, c.Webhooks); diff != "" || c.Tokens.MaxBytes != 2048 {
		t.Error(diff, c.Tokens.MaxBytes)
	}
}

func TestDefaultsThatJSONHasNot(t *testing.T) {
	t.Parallel()
	for _, value := range []string{".nan", "{1: a}", "!!binary aGk=", "[&a 1, *a]", "{a: 1, a: 2}", "{<<: {a: 1}}"} {
		_, err := config.Load(config.LoadOptions{Environ: []string{`GATEHOUSE_CLAIMS=[{name: a, attribute: id, default: ` + value + `}]`}})
		if err == nil || !strings.Contains(err.Error(), "claims[0].default must be a value that JSON has") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestValidateClaims(t *testing.T) {
	t.Parallel()
	const url = "https://billing.internal/claims"
	hook := config.Webhook{URL: url, SecretFile: "s"}
	for name, tc := range map[string]struct {
		claim config.Claim
		hooks []config.Webhook
		want  string
	}{
		"no source":                       {config.Claim{Name: "a"}, nil, "claims[0] needs a name, and one of"},
		"two sources":                     {config.Claim{Name: "a", Attribute: "id", Expression: "1"}, nil, "claims[0] needs a name, and one of"},
		"no name":                         {config.Claim{Attribute: "id"}, nil, "claims[0] needs a name"},
		"a webhook":                       {config.Claim{Name: "a", Webhook: url}, []config.Webhook{hook}, ""},
		"a webhook that is not there":     {config.Claim{Name: "a", Webhook: url + "/"}, []config.Webhook{hook}, "did you mean " + `"` + url},
		"a webhook without a secret":      {config.Claim{Name: "a", Webhook: url}, []config.Webhook{{URL: url}}, "webhooks[0].secret_file is required"},
		"a webhook by http":               {config.Claim{Name: "a", Attribute: "id"}, []config.Webhook{{URL: "http://10.0.0.1/", SecretFile: "s"}}, "webhooks[0].url must be https"},
		"a webhook twice":                 {config.Claim{Name: "a", Attribute: "id"}, []config.Webhook{hook, hook}, "webhooks[1].url is given twice"},
		"a deadline beyond the request's": {config.Claim{Name: "a", Attribute: "id"}, []config.Webhook{{URL: url, SecretFile: "s", Deadline: time.Minute}}, "webhooks[0].deadline must be less"},
		"a deadline before the timeout":   {config.Claim{Name: "a", Attribute: "id"}, []config.Webhook{{URL: url, SecretFile: "s", Timeout: 2 * time.Second, Deadline: time.Second}}, "webhooks[0].deadline must not"},
		"a negative limit":                {config.Claim{Name: "a", Attribute: "id"}, []config.Webhook{{URL: url, SecretFile: "s", Attempts: -1}}, "webhooks[0]: no limit"},
	} {
		c := config.Default()
		c.Secret, c.Claims, c.Webhooks = strings.Repeat("s", 32), []config.Claim{tc.claim}, tc.hooks
		err := c.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	c := config.Default()
	c.Secret, c.Tokens.MaxBytes = strings.Repeat("s", 32), 100
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "tokens.max_bytes") {
		t.Errorf("a budget of 100 bytes: %v", err)
	}
}
