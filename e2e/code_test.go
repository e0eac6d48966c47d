package e2e_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// callback is where the app's users come back to.
const callback = "https://app.example.test/callback"

// authorize goes where Gatehouse says with a challenge, signs in at the pool's
// page, and returns the code that comes back, and the verifier.
func (c cognitoLocal) authorize(t *testing.T, s *server, email string) (code, verifier string) {
	t.Helper()
	verifier = rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	a := s.send(t, http.MethodGet, "/auth/authorize-url/?redirect_uri="+url.QueryEscape(callback), "", nil)
	u, err := url.Parse(a.text(t, "url"))
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("where to sign in: %d %s", a.status, a.body)
	}
	form := u.Query()
	form.Set("state", "st")
	form.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	form.Set("code_challenge_method", "S256")
	u.RawQuery = form.Encode()
	if page := get(t, u.String()); !strings.Contains(page, "<form") {
		t.Fatalf("no page to sign in: %s", page)
	}
	form.Set("username", email)
	form.Set("password", "Pass-word-1")
	u.RawQuery = ""
	resp, err := client.PostForm(u.String(), form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only the header is read
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Query().Get("state") != "st" || back.Query().Get("code") == "" {
		t.Fatalf("the way back is %q, %v", resp.Header.Get("Location"), err)
	}
	return back.Query().Get("code"), verifier
}

// TestCodeExchangeAtARealCognitoProgram walks the authorization code flow with
// PKCE: the browser sees a code, and no token of the pool.
func TestCodeExchangeAtARealCognitoProgram(t *testing.T) {
	t.Parallel()
	cognito := startCognito(t)
	idps, err := json.Marshal([]map[string]any{{
		"name": "cognito", "type": "cognito", "client_ids": []string{cognito.client}, "hosted_ui": cognito.url,
		"issuer": cognito.url + "/" + cognito.pool, "jwks_url": cognito.url + "/" + cognito.pool + "/.well-known/jwks.json",
		"redirect_uris": []string{callback},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, map[string]string{"GATEHOUSE_IDPS": string(idps), "GATEHOUSE_USER_FIELDS": `["email"]`})
	cognito.signUp(t, "maria@example.test", true)
	exchange := func(code, verifier, redirect string) answer {
		body, err := json.Marshal(map[string]string{"code": code, "code_verifier": verifier, "redirect_uri": redirect, "idp": "cognito"})
		if err != nil {
			t.Fatal(err)
		}
		return s.post(t, "/auth/code-exchange/", string(body))
	}
	code, verifier := cognito.authorize(t, s, "maria@example.test")
	a := exchange(code, verifier, callback)
	if a.status != http.StatusOK || !strings.Contains(string(a.body), `"email":"maria@example.test"`) {
		t.Fatalf("the exchange: %d %s\n%s", a.status, a.body, s.log)
	}
	if r := s.refresh(t, a); r.status != http.StatusOK {
		t.Errorf("the session refreshes: %d %s", r.status, r.body)
	}
	for name, tc := range map[string]struct {
		spoil      func(code, verifier string) (string, string, string)
		status     int
		wantedCode string
	}{
		"another verifier":     {func(c, v string) (string, string, string) { return c, v + "x", callback }, 401, "idp_code_not_valid"},
		"another code":         {func(_, v string) (string, string, string) { return "x", v, callback }, 401, "idp_code_not_valid"},
		"another redirect URI": {func(c, v string) (string, string, string) { return c, v, callback + "x" }, 400, "invalid_request"},
		"no PKCE":              {func(c, _ string) (string, string, string) { return c, "", callback }, 400, "invalid_request"},
	} {
		a := exchange(tc.spoil(cognito.authorize(t, s, "maria@example.test")))
		if a.status != tc.status || a.text(t, "code") != tc.wantedCode {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if log := s.wholeLog(t); strings.Contains(log, code) || strings.Contains(log, verifier) {
		t.Error("the log has the code or its verifier")
	}
}
