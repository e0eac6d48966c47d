package impl_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/impl"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/google/go-cmp/cmp"
)

// identity returns the headers by which a proxy learns who it is.
func identity(h http.Header) map[string]string {
	found := map[string]string{}
	for name, values := range h {
		if strings.HasPrefix(name, "X-") && name != "X-Request-Id" && name != "X-Content-Type-Options" {
			found[name] = strings.Join(values, " AND ")
		}
	}
	return found
}

func TestForwardHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		user   repo.User
		claims map[string]any
		want   map[string]string
	}{
		{"a user as most are", repo.User{ID: "42", Username: "alice", Email: "alice@example.test", EmailVerified: true}, nil,
			map[string]string{"X-Auth-Request-User": "42", "X-Auth-Request-Preferred-Username": "alice", "X-Auth-Request-Email": "alice@example.test"}},
		{"an address that nobody has verified", repo.User{ID: "42", Username: "alice", Email: "boss@example.test"}, nil,
			map[string]string{"X-Auth-Request-User": "42", "X-Auth-Request-Preferred-Username": "alice"}},
		{"a name that would break out of its header", repo.User{ID: "42", Username: "a\r\nX-Auth-Request-User: 1"}, nil,
			map[string]string{"X-Auth-Request-User": "42", "X-Auth-Request-Preferred-Username": "a%0D%0AX-Auth-Request-User: 1"}},
		{"a name of other letters, with blanks", repo.User{ID: "42", Username: " José 100% "}, nil,
			map[string]string{"X-Auth-Request-User": "42", "X-Auth-Request-Preferred-Username": "%20Jos%C3%A9 100%25%20"}},
		{"claims of every kind, and one that is not asked for", repo.User{ID: "42", Username: "alice"},
			map[string]any{"plan": "pro\n", "groups": []any{"a", "ü"}, "level": json.Number("7"), "staff": true, "none": nil, "secret": "x"},
			map[string]string{
				"X-Auth-Request-User": "42", "X-Auth-Request-Preferred-Username": "alice",
				"X-Plan": "pro%0A", "X-Groups": `["a","%C3%BC"]`, "X-Level": "7", "X-Staff": "true",
			}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, func(c *impl.Config) {
				c.ForwardHeaders = []impl.ForwardHeader{{"X-Plan", "plan"}, {"X-Groups", "groups"}, {"X-Level", "level"}, {"X-Staff", "staff"}, {"X-None", "none"}}
			})
			h.user, h.claims = tc.user, tc.claims
			resp := h.do(request{method: "GET", path: "/auth/forward/"}.with("Authorization", "Bearer a.b.c").with("X-Auth-Request-User", "1").with("X-Plan", "free"))
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "no-store" {
				t.Fatal(resp.Status, resp.Header)
			}
			got := identity(resp.Header)
			for _, always := range []string{"X-Auth-Request-Email", "X-Plan", "X-Groups", "X-Level", "X-Staff", "X-None"} {
				tc.want[always] += "" // empty where there is nothing, and never left out: a client's own would pass
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if name, err := url.PathUnescape(got["X-Auth-Request-Preferred-Username"]); err != nil || name != tc.user.Username {
				t.Errorf("read again it is %q, %v", name, err)
			}
		})
	}
}

// TestForwardAsProxiesAsk asks with the method and the path of the request that
// the proxy holds.
func TestForwardAsProxiesAsk(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PURGE"} {
		for _, path := range []string{"/auth/forward/", "/auth/forward/api/orders?token=x", "/auth/forward//a/../b/%2e%2e/", "/auth/forward/auth/sign-in/"} {
			h := newHarness(t, func(c *impl.Config) { c.Origins = []string{"https://app.example.test"} })
			ask := request{method: method, path: path}.with("Content-Type", "text/plain").with("Sec-Fetch-Site", "cross-site").
				with("Origin", "https://app.example.test").with("Access-Control-Request-Method", "POST")
			if got := h.do(ask); got.StatusCode != http.StatusUnauthorized || got.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
				t.Errorf("%s %s without a token: %d %v", method, path, got.StatusCode, got.Header)
			}
			if got := h.do(ask.with("Authorization", "Bearer a.b.c")); got.StatusCode != http.StatusOK || got.Header.Get("X-Auth-Request-User") != "42" {
				t.Errorf("%s %s with one: %d %v", method, path, got.StatusCode, got.Header)
			}
			if strings.Contains(h.logged.String(), "orders") {
				t.Errorf("what the proxy holds is logged:\n%s", h.logged.String())
			}
		}
	}
	h := newHarness(t, nil)
	h.authenticate = session.ErrSessionOver
	refused := h.do(request{method: "GET", path: "/auth/forward/"}.with("Authorization", "Bearer a.b.c"))
	if got := refused.Header.Get("WWW-Authenticate"); got != `Bearer realm="api", error="invalid_token"` || len(identity(refused.Header)) != 0 {
		t.Errorf("refused by %q, with %v", got, identity(refused.Header))
	}
	if got := h.do(request{method: "GET", path: "/auth/forwarder/"}).StatusCode; got != http.StatusNotFound {
		t.Errorf("a path that only begins like it: %d", got)
	}
}
