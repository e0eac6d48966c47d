package impl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/impl"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/google/go-cmp/cmp"
)

// problemIn reads the problem of an answer.
func problemIn(t *testing.T, resp *http.Response) api.Problem {
	t.Helper()
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q, not a problem's", got)
	}
	var p api.Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatalf("the answer is no problem: %v", err)
	}
	return p
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path string
		status             int
		code               api.ProblemCode
		allow              string
	}{
		{"a path that is not there", "GET", "/nope", 404, api.ProblemCodeNotFound, ""},
		{"the base path itself", "GET", "/auth/", 404, api.ProblemCodeNotFound, ""},
		{"something below an operation", "POST", "/auth/sign-in/x", 404, api.ProblemCodeNotFound, ""},
		{"a double slash is not cleaned up", "POST", "/auth//sign-in/", 404, api.ProblemCodeNotFound, ""},
		{"a dot is not cleaned up", "POST", "/auth/./sign-in/", 404, api.ProblemCodeNotFound, ""},
		{"another method", "GET", "/auth/sign-in/", 405, api.ProblemCodeMethodNotAllowed, "POST, OPTIONS"},
		{"another method without the slash", "PUT", "/auth/refresh", 405, api.ProblemCodeMethodNotAllowed, "POST, OPTIONS"},
		{"a method that nobody knows", "FOO", "/auth/sign-in/", 405, api.ProblemCodeMethodNotAllowed, "POST, OPTIONS"},
		{"a POST where only GET is", "POST", "/healthz", 405, api.ProblemCodeMethodNotAllowed, "GET, HEAD, OPTIONS"},
		{"HEAD goes with GET", "HEAD", "/healthz", 200, "", ""},
		{"OPTIONS tells the methods", "OPTIONS", "/auth/logoff/", 204, "", "POST, OPTIONS"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			resp := newHarness(t, nil).do(request{method: tc.method, path: tc.path})
			if resp.StatusCode != tc.status || resp.Header.Get("Allow") != tc.allow {
				t.Errorf("status %d, Allow %q; want %d, %q", resp.StatusCode, resp.Header.Get("Allow"), tc.status, tc.allow)
			}
			if tc.code != "" {
				if p := problemIn(t, resp); p.Code != tc.code {
					t.Errorf("the code is %q, want %q", p.Code, tc.code)
				}
			}
		})
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	field := func(pointer, detail string) []api.FieldError {
		return []api.FieldError{{Pointer: pointer, Detail: detail}}
	}
	tests := []struct {
		name, body, contentType string
		status                  int
		fields                  []api.FieldError
	}{
		{"both fields", credentials, "application/json", 200, nil},
		{"upper case in the type", credentials, "APPLICATION/JSON", 200, nil},
		{"a charset that is the only one", credentials, `application/json; charset="UTF-8"`, 200, nil},
		{"members that are not known", `{"username":"a","password":"b","next":"/"}`, "application/json", 200, nil},
		{"another charset", credentials, "application/json; charset=utf-16", 415, nil},
		{"a form", "username=a&password=b", "application/x-www-form-urlencoded", 415, nil},
		{"a vendor's JSON", credentials, "application/vnd.api+json", 415, nil},
		{"no type at all", credentials, "", 415, nil},
		{"no body", "", "", 400, []api.FieldError{
			{Pointer: "/username", Detail: "This field is required."}, {Pointer: "/password", Detail: "This field is required."}}},
		{"one field", `{"username":"a"}`, "application/json", 400, field("/password", "This field is required.")},
		{"a null", `{"username":"a","password":null}`, "application/json", 400, field("/password", "This field may not be null.")},
		{"a number", `{"username":"a","password":1}`, "application/json", 400, field("/password", "Not a valid string.")},
		{"an empty string", `{"username":"a","password":""}`, "application/json", 400, field("/password", "This field may not be blank.")},
		{"a name of white space", `{"username":" \t","password":"b"}`, "application/json", 400, field("/username", "This field may not be blank.")},
		{"a password of white space is a password", `{"username":"a","password":"  "}`, "application/json", 200, nil},
		{"NUL in a name", `{"username":"a\u0000","password":"b"}`, "application/json", 400, field("/username", "Null characters are not allowed.")},
		{"a name that is too long", `{"username":"` + strings.Repeat("a", 151) + `","password":"b"}`, "application/json", 400,
			field("/username", "Ensure this field has no more than 150 characters.")},
		{"a member twice", `{"username":"a","username":"b","password":"c"}`, "application/json", 400, nil},
		{"a member twice but for case", `{"username":"a","USERNAME":"b","password":"c"}`, "application/json", 400, nil},
		{"a member twice, deep inside", `{"username":"a","password":"c","x":[{"y":1,"y":2}]}`, "application/json", 400, nil},
		{"a member in the wrong case alone", `{"USERNAME":"a","password":"c"}`, "application/json", 400, field("/username", "This field is required.")},
		{"something behind the object", credentials + `{}`, "application/json", 400, nil},
		{"an array", `[]`, "application/json", 400, nil},
		{"a string", `"a"`, "application/json", 400, nil},
		{"null", `null`, "application/json", 400, nil},
		{"NaN", `{"username":"a","password":NaN}`, "application/json", 400, nil},
		{"an object that does not end", `{"username":"a"`, "application/json", 400, nil},
		{"an array that does not end", `{"username":["a"`, "application/json", 400, nil},
		{"bytes that are not UTF-8", "{\"username\":\"\xff\",\"password\":\"b\"}", "application/json", 400, nil},
		{"half a surrogate pair", `{"username":"\ud800","password":"b"}`, "application/json", 400, nil},
		{"half a pair as a name", `{"username":"a","password":"b","\udc00":1}`, "application/json", 400, nil},
		{"a whole pair", `{"username":"\ud83d\ude00","password":"b"}`, "application/json", 200, nil},
		{"the replacement character itself", "{\"username\":\"\\ufffd\uFFFD\",\"password\":\"b\"}", "application/json", 200, nil},
		{"a hundred thousand levels", `{"x":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}`, "application/json", 400, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := request{method: "POST", path: "/auth/sign-in/", body: tc.body}
			if tc.contentType != "" {
				r = r.with("Content-Type", tc.contentType)
			}
			resp := newHarness(t, nil).do(r)
			if resp.StatusCode != tc.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, tc.status)
			}
			if tc.status == http.StatusOK {
				return
			}
			if diff := cmp.Diff(tc.fields, problemIn(t, resp).Errors); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatCannotBeBound has what is right by the contract's schemas and still can't be read.
func TestWhatCannotBeBound(t *testing.T) {
	t.Parallel()
	const authorize = "/auth/authorize-url/?redirect_uri=https://a.test/"
	for _, tc := range []struct {
		name    string
		req     request
		pointer string
	}{
		{"two scopes", request{method: "DELETE", path: "/auth/sessions/?scope=others&scope=all"}, "scope"},
		{"two redirect URIs", request{method: "GET", path: authorize + "&redirect_uri=https://b.test/"}, "redirect_uri"},
		{"two providers", request{method: "GET", path: authorize + "&idp=a&idp=b"}, "idp"},
		{"two CSRF tokens", post("/auth/refresh/", "").with("X-Csrf-Token", "a").with("X-Csrf-Token", "b"), "X-CSRF-Token"},
		{"an integer with an exponent", post("/auth/social-exchange/", strings.Replace(idpTokens, "300", "1e3", 1)), "/expires_in"},
		{"one with a point", post("/auth/social-exchange/", strings.Replace(idpTokens, "300", "300.0", 1)), "/expires_in"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := problemIn(t, newHarness(t, nil).do(tc.req))
			want := []api.FieldError{{Pointer: tc.pointer, Detail: "Not a valid value."}}
			if diff := cmp.Diff(want, p.Errors); diff != "" || p.Code != api.ProblemCodeInvalidRequest {
				t.Errorf("%s, fields (-want +got):\n%s", p.Code, diff)
			}
		})
	}
}

// errReader breaks off in the middle of a body.
type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	req := httptest.NewRequestWithContext(context.Background(), "POST", "/auth/sign-in/", errReader{})
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	if w.Code != http.StatusBadRequest {
		t.Errorf("a body that breaks off is the client's fault, not a %d", w.Code)
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	allow := func(c *impl.Config) { c.Origins = []string{"https://app.example.test"} }
	tests := []struct {
		name   string
		header map[string]string
		status int
	}{
		{"no header at all: not a browser", nil, 200},
		{"the same origin", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{"typed by the user", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}, 403},
		{"the same site is not the same origin", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://www.example.test"}, 403},
		{"an old browser from another origin", map[string]string{"Origin": "https://evil.test"}, 403},
		{"an old browser from the same origin", map[string]string{"Origin": "http://example.com"}, 200},
		{"a sandboxed page", map[string]string{"Origin": "null"}, 403},
		{"an origin that is allowed", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.test"}, 200},
		{"an origin that only begins like it", map[string]string{"Origin": "https://app.example.test.evil.test"}, 403},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := post("/auth/sign-in/", credentials)
			for name, value := range tc.header {
				r = r.with(name, value)
			}
			if got := newHarness(t, allow).do(r).StatusCode; got != tc.status {
				t.Errorf("status %d, want %d", got, tc.status)
			}
		})
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(c *impl.Config) { c.Origins = []string{"https://app.example.test"} })
	preflight := request{method: "OPTIONS", path: "/auth/refresh/"}.
		with("Access-Control-Request-Method", "POST").with("Access-Control-Request-Headers", "content-type,x-csrf-token")
	allowed := h.do(preflight.with("Origin", "https://app.example.test"))
	if got := allowed.Header.Get("Access-Control-Allow-Origin"); got != "https://app.example.test" {
		t.Errorf("the page may not come: Access-Control-Allow-Origin is %q", got)
	}
	if got := allowed.Header.Get("Access-Control-Allow-Credentials"); got != "true" {
		t.Errorf("the cookies may not come: Access-Control-Allow-Credentials is %q", got)
	}
	if got := h.do(preflight.with("Origin", "https://evil.test")).Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("a foreign page may come: %q", got)
	}
	if got := newHarness(t, nil).do(preflight.with("Origin", "https://app.example.test")).Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("without configuration a page may come: %q", got)
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trust := func(c *impl.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.0.0.0/8")}
	}
	tests := []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"a client that connects itself", "203.0.113.7:1234", nil, "203.0.113.7"},
		{"a header from somebody who is not trusted", "203.0.113.7:1234", []string{"1.2.3.4"}, "203.0.113.7"},
		{"one trusted proxy", "192.0.2.1:1", []string{"203.0.113.7"}, "203.0.113.7"},
		{"two, and a forged address before them", "192.0.2.1:1", []string{"6.6.6.6, 203.0.113.7, 10.1.1.1"}, "203.0.113.7"},
		{"several header lines are one list", "192.0.2.1:1", []string{"6.6.6.6", "203.0.113.7", "10.1.1.1"}, "203.0.113.7"},
		{"trusted proxies all the way", "192.0.2.1:1", []string{"10.1.1.1"}, "10.1.1.1"},
		{"a port behind the address", "192.0.2.1:1", []string{"203.0.113.7:1234"}, "203.0.113.7"},
		{"a port behind an IPv6 address", "192.0.2.1:1", []string{"[2001:db8::1]:44"}, "2001:db8::1"},
		{"ports, and a forged address before them", "192.0.2.1:1", []string{"6.6.6.6:1, 203.0.113.7:1234, 10.1.1.1:80"}, "203.0.113.7"},
		{"a name with a port", "192.0.2.1:1", []string{"203.0.113.7, client.test:80"}, "192.0.2.1"},
		{"a port that is none", "192.0.2.1:1", []string{"203.0.113.7:http"}, "192.0.2.1"},
		{"rubbish in the header", "192.0.2.1:1", []string{"203.0.113.7, unknown"}, "192.0.2.1"},
		{"no header from the proxy", "192.0.2.1:1", nil, "192.0.2.1"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:1", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{"IPv6 with a zone", "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"no address", "@", nil, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, trust)
			req := post("/auth/sign-in/", credentials).build()
			req.RemoteAddr, req.Header["X-Forwarded-For"] = tc.remote, tc.forwarded
			req.Header.Set("User-Agent", "Test/1")
			h.handler.ServeHTTP(httptest.NewRecorder(), req)
			if diff := cmp.Diff([]session.Client{{IP: tc.want, UserAgent: "Test/1"}}, h.clients); diff != "" {
				t.Errorf("client (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, sent string
		kept       bool
	}{
		{"a well-formed one is kept", "abc-123._Z", true},
		{"none is made", "", false},
		{"one with a line break in it is replaced", "a\nb", false},
		{"one that is too long is replaced", strings.Repeat("a", 65), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			h.signIn = fault
			got := h.do(post("/auth/sign-in/", credentials).with("X-Request-Id", tc.sent)).Header.Get("X-Request-ID")
			if got == "" || (got == tc.sent) != tc.kept {
				t.Errorf("sent %q, got %q", tc.sent, got)
			}
			if lines := strings.Count(h.logged.String(), `"request_id":"`+got+`"`); lines != 2 {
				t.Errorf("%d log lines have the id, want the error's and the request's:\n%s", lines, h.logged.String())
			}
			if !strings.Contains(h.logged.String(), fault.Error()) {
				t.Error("the log does not tell the cause")
			}
		})
	}
}

// waiting is a service whose sign-in waits for a database that does not answer.
type waiting struct{ *fakes }

func (waiting) SignIn(ctx context.Context, _, _ string, _ session.Client) (session.Grant, error) {
	<-ctx.Done()
	return session.Grant{}, fmt.Errorf("%w: %w", repo.ErrUnavailable, ctx.Err())
}

func TestClientThatGoesAway(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		gone    bool
		timeout time.Duration
		status  int
		logged  string
	}{
		{"a client that goes away is no outage", true, time.Minute, 499, `"level":"INFO","msg":"the client went away","status":499,"error"`},
		{"a deadline that passes is one", false, 1, 503, `"level":"ERROR","msg":"request refused","status":503,"problem":"store_unavailable"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var counted []int
			h := newHarness(t, func(c *impl.Config) {
				c.Sessions, c.RequestTimeout = waiting{}, tc.timeout
				c.Observe = func(_ string, status int, _ time.Duration) { counted = append(counted, status) }
			})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if tc.gone {
				leave()
			}
			h.handler.ServeHTTP(httptest.NewRecorder(), post("/auth/sign-in/", credentials).build().WithContext(ctx))
			if diff := cmp.Diff([]int{tc.status}, counted); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			line := fmt.Sprintf(`"msg":"request","method":"POST","path":"/auth/sign-in/","status":%d,`, tc.status)
			if got := h.logged.String(); !strings.Contains(got, tc.logged) || !strings.Contains(got, line) || tc.gone && strings.Contains(got, "ERROR") {
				t.Errorf("logged %s", got)
			}
		})
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	const word = "hunter2-hunter2"
	h.do(post("/auth/sign-in/?password="+word, `{"username":"`+word+`","password":"`+word+`"}`))
	h.do(post("/auth/sign-in/", `{"username":1,"password":"`+word+`"`))
	h.do(post("/auth/sign-in/", `{"username":["`+word+`"],"password":{"x":"`+word+`"}}`))
	h.do(post("/auth/refresh/", `{"CSRF_token":"`+word+`"}`).with("Cookie", "refresh_cookie="+word).with("Authorization", "Bearer "+word))
	h.do(post("/auth/refresh/", `{}`).with("X-CSRF-Token", word).with("X-Csrf-Token", word))
	h.do(post("/auth/verify/", `{"token":"`+word+`"}`))
	if strings.Contains(h.logged.String(), word) {
		t.Errorf("the log has what a client sent:\n%s", h.logged.String())
	}
}

func TestLoggedPaths(t *testing.T) {
	t.Parallel()
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
	for _, tc := range []struct{ name, method, path, logged string }{
		{"a path that is not there", "GET", "/auth/nope/", "/auth/nope/"},
		{"a session's id", "DELETE", "/auth/sessions/" + sessionID + "/", "/auth/sessions/" + sessionID + "/"},
		{"a token behind an operation", "GET", "/auth/verify/" + token, "/auth/verify/…"},
		{"one with what comes behind it", "GET", "/" + token + "/x/", "/…/x/"},
		{"one in place of an id", "DELETE", "/auth/sessions/" + token + "/", "/auth/sessions/…/"},
		{"one with an escape in it", "GET", "/auth/verify/%65" + token[1:], "/auth/verify/…"},
		{"one behind a double slash", "GET", "/auth//" + token, "/auth//…"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			h.do(request{method: tc.method, path: tc.path})
			if got := h.logged.String(); !strings.Contains(got, `"path":"`+tc.logged+`"`) {
				t.Errorf("logged %s, want the path %s", got, tc.logged)
			}
		})
	}
}
