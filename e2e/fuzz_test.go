package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"pgregory.net/rapid"
)

// anyText is text that people and attackers send.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"alice", "correct horse battery", "", " ", "\x00", "a\x00b", "😀", "\ufffd", "ä", "../../etc/passwd", "' OR 1=1 --", "<script>",
		strings.Repeat("a", 151), strings.Repeat("a", 5000), "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "null",
	}))
}

// anyJSON is a JSON value, a few levels deep.
func anyJSON(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Map(anyText(), func(s string) any { return s }), rapid.Map(rapid.Float64(), func(f float64) any { return f }),
		rapid.Map(rapid.Int64(), func(i int64) any { return i }), rapid.Just[any](nil), rapid.Just[any](true),
	}
	if depth > 0 {
		leaves = append(leaves,
			rapid.Map(rapid.SliceOfN(anyJSON(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(anyText(), anyJSON(depth-1), 0, 3), func(m map[string]any) any { return m }))
	}
	return rapid.OneOf(leaves...)
}

// anyBody is the body of a request: mostly an object with the names of the
// contract, sometimes another value, sometimes no JSON at all.
func anyBody() *rapid.Generator[string] {
	names := rapid.SampledFrom([]string{
		"username", "password", "id_token", "access_token", "refresh_token", "expires_in", "token_type", "CSRF_token", "token",
		"current_password", "new_password", "USERNAME", "x",
	})
	encode := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			return "NaN" // JSON has none
		}
		return string(raw)
	}
	return rapid.OneOf(
		rapid.Map(rapid.MapOfN(names, anyJSON(2), 0, 6), func(m map[string]any) string { return encode(m) }),
		rapid.Map(rapid.MapOfN(names, anyText(), 2, 6), func(m map[string]string) string { return encode(m) }),
		rapid.Map(anyJSON(3), encode), rapid.String(), rapid.Just(""), rapid.Just(strings.Repeat("[", 5000)))
}

// anyForm is the body of a form, sometimes no form at all.
func anyForm(tokens ...string) *rapid.Generator[string] {
	names := rapid.SampledFrom([]string{"token", "token", "token_type_hint", "client_id", "client_secret", "x"})
	values := rapid.OneOf(anyText(), rapid.SampledFrom(tokens))
	return rapid.OneOf(
		rapid.Map(rapid.MapOfN(names, values, 0, 4), func(m map[string]string) string {
			form := url.Values{}
			for name, value := range m {
				form.Set(name, value)
			}
			return form.Encode()
		}),
		rapid.StringMatching(`(token=)?[ -~]{0,80}`), rapid.Just("token=a&token=b"), rapid.Just(""))
}

// TestAnyRequest sends whatever comes: no answer is a fault of the service, and
// each is what the contract says of its operation.
func TestAnyRequest(t *testing.T) {
	t.Parallel()
	idp := newGoldenIDP(t)
	s := goldenServer(t, idp.settings(nil))
	signedIn := s.signIn(t, "alice", "correct horse battery")
	billing := newServiceClient(t, s, "billing")
	bodies := rapid.OneOf(anyBody(), anyForm(signedIn.text(t, "access_token"), billing.ID, billing.Secret))
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	methods := rapid.SampledFrom([]string{"GET", "POST", "POST", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO"})
	paths := rapid.SampledFrom([]string{
		"/auth/sign-in/", "/auth/social-exchange/", "/auth/refresh/", "/auth/logoff/", "/auth/verify/", "/auth/sessions/", "/auth/sessions/x/",
		"/auth/sessions/%00/", "/auth/sessions/a%2Fb/", "/auth/me/", "/auth/password/", "/auth/introspect/", "/auth/introspect/",
		"/auth/revoke/", "/auth/revocations/", "/auth/forward/", "/auth/forward/a%00/../x", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/healthz", "/readyz", "/openapi.yaml",
		"/auth/", "/", "/auth/../auth/me/", "/auth/sign-in/x", "/%ff",
	})
	headers := map[string]*rapid.Generator[string]{
		"Content-Type":    rapid.SampledFrom([]string{"application/json", "application/json", "application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded", "text/plain", "a/b;;", ""}),
		"X-Csrf-Token":    rapid.OneOf(rapid.Just(""), rapid.Just(signedIn.text(t, "CSRF_token")), rapid.StringMatching(`[ -~]{0,80}`)),
		"Authorization":   rapid.OneOf(rapid.Just(""), rapid.Just("Bearer "+signedIn.text(t, "access_token")), rapid.Just(billing.header()), rapid.StringMatching(`((Bearer|Basic) )?[ -~]{0,80}`)),
		"Cookie":          rapid.OneOf(rapid.Just(""), rapid.Just("refresh_cookie="+signedIn.cookie("refresh_cookie")), rapid.StringMatching(`(refresh_cookie=)?[ -~]{0,80}`)),
		"Origin":          rapid.SampledFrom([]string{"", "", "", s.url, "https://evil.test", "null", "x"}),
		"Sec-Fetch-Site":  rapid.SampledFrom([]string{"", "", "same-origin", "cross-site", "x"}),
		"If-None-Match":   rapid.SampledFrom([]string{"", "*", `"x"`, "x"}),
		"X-Request-Id":    rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[ -~]{0,80}`)),
		"X-Forwarded-For": rapid.SampledFrom([]string{"", "1.2.3.4", "x, y", "::1"}),
	}
	rapid.Check(t, func(rt *rapid.T) {
		path := paths.Draw(rt, "path")
		if rapid.Bool().Draw(rt, "without the slash") && path != "/" {
			path = strings.TrimSuffix(path, "/")
		}
		if query := rapid.SampledFrom([]string{"", "?scope=others", "?scope=x", "?x=%zz"}).Draw(rt, "query"); query != "" {
			path += query
		}
		req, err := http.NewRequestWithContext(t.Context(), methods.Draw(rt, "method"), s.url+path, strings.NewReader(bodies.Draw(rt, "body")))
		if err != nil {
			return // no request at all
		}
		for name, values := range headers {
			if value := values.Draw(rt, name); value != "" {
				req.Header.Set(name, value)
			}
		}
		checkAnswer(rt, router, req)
	})
}

// checkAnswer sends a request and holds the answer to the contract.
func checkAnswer(t *rapid.T, router routers.Router, req *http.Request) {
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		t.Fatalf("%s %s is answered %d: %s", req.Method, req.URL, resp.StatusCode, body)
	}
	if resp.StatusCode >= http.StatusBadRequest && req.Method != http.MethodHead && resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%s %s is answered %d without a problem: %s", req.Method, req.URL, resp.StatusCode, body)
	}
	slashed := req.Clone(req.Context())
	if !strings.HasSuffix(slashed.URL.Path, "/") && strings.HasPrefix(slashed.URL.Path, "/auth/") {
		slashed.URL.Path += "/"
	}
	route, params, err := router.FindRoute(slashed)
	if err != nil || resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
		return // no operation of the contract
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: slashed, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Fatalf("%s %s: the answer %d breaks the contract: %v\n%s", req.Method, req.URL, resp.StatusCode, err, body)
	}
}
