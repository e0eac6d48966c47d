package impl_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/impl"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/google/go-cmp/cmp"
)

func TestGrant(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	resp := h.do(post("/auth/sign-in/", credentials))
	var got map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	csrf, _ := got["CSRF_token"].(string)
	want := map[string]any{
		"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 300.0, "expires": float64(now.Add(5 * time.Minute).Unix()),
		"refresh_expires_in": 86400.0, "session_expires_in": 2592000.0, "CSRF_token": csrf,
		"user": map[string]any{
			"id": "42", "username": "alice", "email": "alice@example.test", "email_verified": false, "first_name": "", "last_name": "",
			"is_active": true, "is_staff": false, "is_superuser": false, "date_joined": "2026-11-24T08:00:00Z", "last_login": nil,
			"attributes": map[string]any{},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	if !h.csrf.Check(csrf, sessionID) {
		t.Error("the CSRF token does not belong to the session")
	}
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	cookies := resp.Cookies()
	if len(cookies) != 2 {
		t.Fatalf("%d cookies, want 2", len(cookies))
	}
	for i, name := range []string{"CSRF_token", "refresh_cookie"} {
		c := cookies[i]
		if c.Name != name || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/auth" || c.MaxAge != 2592000 {
			t.Errorf("cookie %q is %+v", name, c)
		}
	}
}

func TestGrantWithoutUser(t *testing.T) {
	t.Parallel()
	resp := newHarness(t, func(c *impl.Config) { c.UserFields = nil }).do(post("/auth/sign-in/", credentials))
	var got map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if user, there := got["user"]; there {
		t.Errorf("no field is configured, and there is a user: %v", user)
	}
}

func TestUserID(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, id string
		want     any
	}{
		{"a number is one", "42", 42.0},
		{"a UUID stays text", "0193a1b2-0000-7000-8000-000000000001", "0193a1b2-0000-7000-8000-000000000001"},
		{"leading zeros are not a number's", "042", "042"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, func(c *impl.Config) { c.UserIDNumber, c.UserFields = true, []string{"id", "last_login"} })
			h.user = repo.User{ID: tc.id, LastLogin: now}
			var got struct{ User map[string]any }
			if err := json.NewDecoder(h.do(post("/auth/sign-in/", credentials)).Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]any{"id": tc.want, "last_login": "2026-11-24T08:00:00Z"}, got.User); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCookieIsDeletedOnlyWithItsSession goes through every error that refresh
// and logoff can answer.
func TestCookieIsDeletedOnlyWithItsSession(t *testing.T) {
	t.Parallel()
	for _, c := range contractCases() {
		h := newHarness(t, nil)
		if c.fail != nil {
			c.fail(h.fakes)
		}
		resp := h.do(c.req(h))
		_, dead := h.refreshError().(*session.SignedOutError)
		loggedOff := c.name == "logoff" || c.name == "end all"
		if deleted := deletes(resp, "refresh_cookie") && deletes(resp, "CSRF_token"); deleted != (dead || loggedOff) {
			t.Errorf("%s: both cookies deleted: %t, session over: %t", c.name, deleted, dead || loggedOff)
		}
		if resp.StatusCode >= 400 && !dead && len(resp.Cookies()) != 0 {
			t.Errorf("%s: an error touches the cookies: %v", c.name, resp.Header["Set-Cookie"])
		}
	}
}

func (f *fakes) refreshError() error { return f.refresh }

// deletes reports whether an answer deletes a cookie with the attributes it was
// set with: a browser ignores the deletion of any other.
func deletes(resp *http.Response, name string) bool {
	for _, c := range resp.Cookies() {
		if c.Name == name && c.MaxAge < 0 && c.Path == "/auth" && c.Secure && c.HttpOnly && c.SameSite == http.SameSiteStrictMode {
			return true
		}
	}
	return false
}

func TestSignedOutReasons(t *testing.T) {
	t.Parallel()
	want := map[session.Reason]string{
		session.ReasonUnknown: "session_unknown", session.ReasonRevoked: "session_revoked", session.ReasonUserDisabled: "user_disabled",
		session.ReasonExpired: "session_expired", session.ReasonIdle: "session_idle",
		session.ReasonSuperseded: "session_reused", session.ReasonAhead: "session_reused",
	}
	for reason, name := range want {
		h := newHarness(t, nil)
		h.fakes.refresh = &session.SignedOutError{Reason: reason}
		p := problemIn(t, h.do(h.signed(post("/auth/refresh/", ""))))
		if p.Type != "urn:gatehouse:problem:"+name || p.Code != api.ProblemCodeTokenNotValid || p.Retryable {
			t.Errorf("%s is told as %+v", reason, p)
		}
	}
}

func TestCSRF(t *testing.T) {
	t.Parallel()
	other := "0193a1b2-0000-7000-8000-00000000000f"
	tests := []struct {
		name         string
		body, header func(h *harness) string // the CSRF token there
		byOrigin     bool
		origin       string
		status       int
	}{
		{"in the body", own, nil, false, "", 200},
		{"in the header", nil, own, false, "", 200},
		{"nowhere", nil, nil, false, "", 403},
		{"of another session", func(h *harness) string { return h.csrf.Token(other) }, nil, false, "", 403},
		{"rubbish", func(*harness) string { return "rubbish" }, nil, false, "", 403},
		{"rubbish in the body, though the header is good", func(*harness) string { return "rubbish" }, own, false, "", 403},
		{"by origin: the browser says so", nil, nil, true, "same-origin", 200},
		{"by origin: nothing says so", nil, nil, true, "", 403},
	}
	for _, tc := range tests {
		for _, path := range []string{"/auth/refresh/", "/auth/logoff/"} {
			t.Run(tc.name+" "+path, func(t *testing.T) {
				t.Parallel()
				h := newHarness(t, func(c *impl.Config) { c.CSRFByOrigin = tc.byOrigin })
				r := post(path, "").with("Cookie", "refresh_cookie="+h.refresh.Sign("r.s.t", now))
				if tc.body != nil {
					r.body = `{"CSRF_token":"` + tc.body(h) + `"}`
				}
				if tc.header != nil {
					r = r.with("X-Csrf-Token", tc.header(h))
				}
				if tc.origin != "" {
					r = r.with("Sec-Fetch-Site", tc.origin)
				}
				if got := h.do(r).StatusCode; got != tc.status {
					t.Errorf("status %d, want %d", got, tc.status)
				}
			})
		}
	}
}

func own(h *harness) string { return h.csrf.Token(sessionID) }

func TestBasePathMoves(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(c *impl.Config) { c.BasePath = "/api/v1/session" })
	for path, want := range map[string]int{
		"/api/v1/session/sign-in/": 200, "/api/v1/session/sign-in": 200, "/auth/sign-in/": 404, "/auth/sign-in": 404,
	} {
		if got := h.do(post(path, credentials)).StatusCode; got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
}

func TestKeysAreCached(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	keys := func(header string) *http.Response {
		return h.do(request{method: "GET", path: "/.well-known/jwks.json"}.with("If-None-Match", header))
	}
	for header, want := range map[string]int{`"tag"`: 304, `W/"tag"`: 304, `"x", "tag"`: 304, "*": 304, `"x"`: 200, "": 200} {
		resp := keys(header)
		if resp.StatusCode != want || resp.Header.Get("ETag") != `"tag"` || resp.Header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("If-None-Match %s: status %d, want %d, headers %v", header, resp.StatusCode, want, resp.Header)
		}
		if body, _ := io.ReadAll(resp.Body); want == 304 && len(body) > 0 {
			t.Errorf("a 304 has a body: %s", body)
		}
	}
}
