package impl_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/impl"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/google/go-cmp/cmp"
)

// form is a POST of a form, by a service.
func form(path, body string) request {
	return request{method: http.MethodPost, path: path, body: body, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
}

func (r request) basic(id, secret string) request {
	req := r.build()
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return r.with("Authorization", req.Header.Get("Authorization"))
}

// serviceCases are the operations of registered services.
func serviceCases() []contractCase {
	store := fmt.Errorf("asking: %w", repo.ErrUnavailable)
	var cases []contractCase
	for _, name := range []string{"introspect", "revoke"} {
		path := "/auth/" + name + "/"
		good := form(path, "token=a.b.c").basic("id", "secret")
		fails := func(name string, err error, status int, code api.ProblemCode) contractCase {
			return contractCase{path + ": " + name, sends(good), func(f *fakes) { f.introspect, f.revoke = err, err }, status, code}
		}
		cases = append(cases,
			contractCase{path, sends(good), nil, 200, ""},
			contractCase{path + ": with credentials in the body", sends(form(path, "token=a&client_id=id&client_secret=secret")), nil, 200, ""},
			contractCase{path + ": no token", sends(form(path, "").basic("id", "secret")), nil, 400, api.ProblemCodeInvalidRequest},
			contractCase{path + ": a token in the URL", sends(form(path+"?token=a.b.c", "token=a").basic("id", "secret")), nil, 400, api.ProblemCodeInvalidRequest},
			contractCase{path + ": a parameter twice", sends(form(path, "token=a&token=b").basic("id", "secret")), nil, 400, api.ProblemCodeMalformedBody},
			contractCase{path + ": no credentials", sends(form(path, "token=a.b.c")), nil, 401, api.ProblemCodeInvalidClient},
			contractCase{path + ": wrong ones", sends(good), func(f *fakes) { f.client = session.ErrInvalidClient }, 401, api.ProblemCodeInvalidClient},
			contractCase{path + ": from another site", sends(good.with("Sec-Fetch-Site", "cross-site")), nil, 403, api.ProblemCodeOriginNotAllowed},
			contractCase{path + ": a body over the limit", sends(form(path, strings.Repeat("a", 70<<10))), nil, 413, api.ProblemCodeBodyTooLarge},
			contractCase{path + ": JSON", sends(post(path, `{"token":"a.b.c"}`)), nil, 415, api.ProblemCodeUnsupportedMediaType},
			contractCase{path + ": throttled", sends(good), func(f *fakes) { f.client = &session.ThrottledError{RetryAfter: 1} }, 429, api.ProblemCodeTooManyAttempts},
			fails("a fault", fault, 500, api.ProblemCodeInternalError),
			fails("no store", store, 503, api.ProblemCodeStoreUnavailable))
	}
	return append(cases,
		contractCase{"introspect: not active", sends(form("/auth/introspect/", "token=a.b.c").basic("id", "secret")), func(f *fakes) { f.inactive = true }, 200, ""},
		contractCase{"revoke: a token of nobody's session", sends(form("/auth/revoke/", "token=a.b.c").basic("id", "secret")),
			func(f *fakes) { f.revoke = session.ErrNotRevocable }, 400, api.ProblemCodeUnsupportedTokenType})
}

func TestIntrospectionMembers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ask := func() map[string]any {
		t.Helper()
		resp := h.do(form("/auth/introspect/", "token=a.b.c&token_type_hint=access_token").basic("id", "secret"))
		var members map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&members); err != nil || resp.Header.Get("Cache-Control") != "no-store" {
			t.Fatal(err, resp.Header)
		}
		return members
	}
	// A claim of the owner's, even one of these names, does not stand for what the answer says.
	want := map[string]any{"active": true, "iss": "https://auth.test", "sub": "42", "exp": 1795481772.0, "token_type": "Bearer", "plan": "pro", "username": "alice"}
	if diff := cmp.Diff(want, ask()); diff != "" {
		t.Errorf("an active token (-want +got):\n%s", diff)
	}
	h.inactive = true
	if diff := cmp.Diff(map[string]any{"active": false}, ask()); diff != "" {
		t.Errorf("any other (-want +got):\n%s", diff)
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	const path = "/auth/introspect/"
	tests := []struct {
		name   string
		req    request
		status int
		want   [2]string
	}{
		{"by the header", form(path, "token=a").basic("id", "secret"), 200, [2]string{"id", "secret"}},
		{"what must be encoded", form(path, "token=a").basic("i:d+ä", "s ecret%"), 200, [2]string{"i:d+ä", "s ecret%"}},
		{"by the body", form(path, "token=a&client_id=id&client_secret=s%2Bt"), 200, [2]string{"id", "s+t"}},
		{"by the header, named in the body too", form(path, "token=a&client_id=id").basic("id", "secret"), 200, [2]string{"id", "secret"}},
		{"named otherwise in the body", form(path, "token=a&client_id=other").basic("id", "secret"), 401, [2]string{}},
		{"by both", form(path, "token=a&client_id=id&client_secret=secret").basic("id", "secret"), 400, [2]string{}},
		{"a header that is not base64", form(path, "token=a").with("Authorization", "Basic ???"), 401, [2]string{}},
		{"a header that is not encoded as it must be", form(path, "token=a").with("Authorization", "Basic aWQ6JXp6"), 401, [2]string{}},
		{"an access token", form(path, "token=a").with("Authorization", "Bearer a.b.c"), 401, [2]string{}},
		{"two headers", form(path, "token=a").basic("id", "secret").with("Authorization", "Basic eDp5"), 401, [2]string{}},
		{"two headers, and the body", form(path, "token=a&client_id=id&client_secret=secret").with("Authorization", "").basic("x", "y"), 400, [2]string{}},
		{"no secret", form(path, "token=a&client_id=id"), 401, [2]string{}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			resp := h.do(tc.req)
			if resp.StatusCode != tc.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, tc.status)
			}
			if tc.status == 200 && (len(h.credentials) != 1 || h.credentials[0] != tc.want) {
				t.Errorf("asked for %q, want %q", h.credentials, tc.want)
			}
			if challenge := resp.Header.Get("WWW-Authenticate"); tc.status == 401 && challenge != `Basic realm="gatehouse", charset="UTF-8"` {
				t.Errorf("challenged by %q", challenge)
			}
		})
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	const path = "/auth/introspect/"
	for name, tc := range map[string]struct {
		req    request
		status int
		fields []api.FieldError
	}{
		"no body":                   {form(path, ""), 400, []api.FieldError{{Pointer: "/token", Detail: "This field is required."}}},
		"an empty token":            {form(path, "token="), 400, []api.FieldError{{Pointer: "/token", Detail: "This field may not be blank."}}},
		"a token that is too long":  {form(path, "token="+strings.Repeat("a", 16385)), 400, []api.FieldError{{Pointer: "/token", Detail: "Ensure this field has no more than 16384 characters."}}},
		"a token of digits is text": {form(path, "token=123"), 401, nil},
		"what nobody knows":         {form(path, "token=a&resource=x"), 401, nil},
		"a query":                   {form(path+"?x=1", "token=a"), 400, []api.FieldError{{Detail: "Nothing may stand in the query."}}},
		"bad escapes":               {form(path, "token=%zz"), 400, nil},
		"a semicolon":               {form(path, "token=a;b=c"), 400, nil},
		"no UTF-8":                  {form(path, "token=%ff"), 400, nil},
		"another charset":           {request{method: "POST", path: path, body: "token=a"}.with("Content-Type", "application/x-www-form-urlencoded; charset=latin1"), 415, nil},
		"no type":                   {request{method: "POST", path: path, body: "token=a"}, 415, nil},
	} {
		resp := newHarness(t, nil).do(tc.req)
		p := problemIn(t, resp)
		if diff := cmp.Diff(tc.fields, p.Errors); resp.StatusCode != tc.status || diff != "" {
			t.Errorf("%s: %d, want %d; fields (-want +got):\n%s", name, resp.StatusCode, tc.status, diff)
		}
		if tc.status == 415 && !strings.Contains(p.Detail, "x-www-form-urlencoded") {
			t.Errorf("%s: %q does not say which type", name, p.Detail)
		}
	}
}

// TestEndpointURLs puts the service at the root of its issuer and below it, behind
// proxies that take the issuer's path away and that don't.
func TestEndpointURLs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ issuer, base, want string }{
		{"https://auth.test", "/auth", "https://auth.test/auth/introspect/"},
		{"https://auth.test/", "/auth", "https://auth.test/auth/introspect/"},
		{"https://test/auth", "/auth", "https://test/auth/introspect/"},
		{"https://test/auth", "/auth/v1", "https://test/auth/v1/introspect/"},
		{"https://test/auth", "/authority", "https://test/auth/authority/introspect/"},
		{"https://test/gatehouse", "/auth", "https://test/gatehouse/auth/introspect/"},
	} {
		h := newHarness(t, func(c *impl.Config) { c.Issuer, c.BasePath = tc.issuer, tc.base })
		if got := h.metadata(t, "/.well-known/openid-configuration")["introspection_endpoint"]; got != tc.want {
			t.Errorf("issuer %s, base path %s: %v, want %s", tc.issuer, tc.base, got, tc.want)
		}
	}
}

func TestChallenges(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	me := request{method: "GET", path: "/auth/me/"}
	if got := h.do(me).Header.Get("WWW-Authenticate"); got != `Bearer realm="api"` {
		t.Errorf("without a token: %q", got)
	}
	for _, other := range []string{"Bearer a.b.c", "Bearer d.e.f", "Basic eDp5"} {
		two := h.do(me.with("Authorization", "Bearer a.b.c").with("Authorization", other))
		if got := two.Header.Get("WWW-Authenticate"); two.StatusCode != http.StatusUnauthorized || got != `Bearer realm="api", error="invalid_token"` {
			t.Errorf("with a second header %q: %d, %q", other, two.StatusCode, got)
		}
	}
	h.authenticate = session.ErrSessionOver
	if got := h.do(me.with("Authorization", "Bearer a.b.c")).Header.Get("WWW-Authenticate"); got != `Bearer realm="api", error="invalid_token"` {
		t.Errorf("with one that is refused: %q", got)
	}
}
