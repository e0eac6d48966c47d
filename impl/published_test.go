package impl_test

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/impl"
)

// metadata fetches a metadata document.
func (h *harness) metadata(t *testing.T, path string) map[string]any {
	t.Helper()
	resp := h.do(request{method: "GET", path: path})
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", path, resp.StatusCode)
	}
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	const inserted, appended = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	tests := []struct {
		name, issuer string
		paths        []string
		keys         string
	}{
		{"an issuer that is a host", "https://auth.test", []string{inserted, appended}, "https://auth.test/.well-known/jwks.json"},
		{"one with a slash at its end", "https://auth.test/", []string{inserted, appended}, "https://auth.test/.well-known/jwks.json"},
		{"one with a path", "https://test/a/b", []string{inserted, appended, inserted + "/a/b", "/a/b" + appended}, "https://test/a/b/.well-known/jwks.json"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, func(c *impl.Config) { c.Issuer = tc.issuer })
			for _, path := range tc.paths {
				if m := h.metadata(t, path); m["issuer"] != tc.issuer || m["jwks_uri"] != tc.keys {
					t.Errorf("%s says %v", path, m)
				}
			}
			_, path, _ := strings.Cut(strings.TrimPrefix(tc.keys, "https://"), "/")
			h.metadata(t, "/"+path)
		})
	}
}

func TestMetadataAlgorithms(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ keys, algorithms string }{
		"the keys' algorithms, each once": {`{"keys":[{"alg":"RS256"},{"alg":"ES256"},{"alg":"ES256"}]}`, `["RS256","ES256"]`},
		"a shared secret":                 {`{"keys":[]}`, `["HS256"]`},
	} {
		h := newHarness(t, nil)
		h.keys = tc.keys
		m := h.metadata(t, "/.well-known/openid-configuration")
		if got, _ := json.Marshal(m["id_token_signing_alg_values_supported"]); string(got) != tc.algorithms {
			t.Errorf("%s: %s, want %s", name, got, tc.algorithms)
		}
		if _, has := m["jwks_uri"]; has != (name != "a shared secret") {
			t.Errorf("%s: jwks_uri is %v", name, m["jwks_uri"])
		}
		for member, value := range m {
			if list, ok := value.([]any); ok && len(list) == 0 {
				t.Errorf("%s: %s is an empty list, which RFC 8414 wants left out", name, member)
			}
		}
	}
}

// TestDocs demands of the page for people that it has every operation at its path, and
// that it loads nothing.
func TestDocs(t *testing.T) {
	t.Parallel()
	resp := newHarness(t, func(c *impl.Config) { c.BasePath = "/sso" }).do(request{method: "GET", path: "/docs"})
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || resp.Header.Get("Content-Type") != "text/html" {
		t.Errorf("%v", resp.Header)
	}
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if at := method + " " + strings.Replace(path, "/auth/", "/sso/", 1) + "</code>"; !strings.Contains(string(body), at) {
				t.Errorf("%s is not at %s", op.OperationID, at)
			}
		}
	}
	for _, loaded := range []string{"<script", "<style", "<img", "<link", "src="} {
		if strings.Contains(string(body), loaded) {
			t.Errorf("the page has %s", loaded)
		}
	}
}

// TestNewRefuses leaves out what is required, and gives what can't be read: no
// server comes of it.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	whole := newHarness(t, nil).config
	for _, name := range []string{
		"Sessions", "Tokens", "Store", "Revocations", "RefreshCookie", "CSRFCookie", "CSRF", "Issuer", "BasePath", "MaxBody", "RequestTimeout",
		"JWKSMaxAge", "Contract", "Now", "Logger",
	} {
		c := whole
		reflect.ValueOf(&c).Elem().FieldByName(name).SetZero()
		if _, err := impl.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if _, err := impl.NewContract([]byte("openapi: [")); err == nil {
		t.Error("a contract that is none was taken")
	}
	empty, err := impl.NewContract([]byte("openapi: 3.0.3\ninfo: {title: t, version: v}\npaths: {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*impl.Config){
		"a contract without the operations": func(c *impl.Config) { c.Contract = empty },
		"an origin with a path":             func(c *impl.Config) { c.Origins = []string{"https://app.test/path"} },
	} {
		c := whole
		spoil(&c)
		if _, err := impl.New(c); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}
