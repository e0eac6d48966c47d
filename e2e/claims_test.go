package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// startWithHook runs a server whose claim "plan" comes from a webhook, and adds a member of the staff.
func startWithHook(t *testing.T, hook string, settings map[string]string) *server {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"GATEHOUSE_CLAIMS":   fmt.Sprintf(`[{name: plan, webhook: %q}, {name: staff, expression: user.is_staff}]`, hook),
		"GATEHOUSE_WEBHOOKS": fmt.Sprintf(`[{url: %q, secret_file: %q, timeout: 300ms, deadline: 700ms}]`, hook, secret),
	}
	for name, value := range settings {
		all[name] = value
	}
	s := start(t, all)
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--staff", "--password-stdin")
	return s
}

// TestWebhookThatMisbehaves: whatever a webhook answers or does not, it costs nobody the session.
func TestWebhookThatMisbehaves(t *testing.T) {
	t.Parallel()
	var play atomic.Value
	well := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"plan": "pro", "more": 1}`)
	}
	play.Store(http.HandlerFunc(well))
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		play.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(hook.Close)
	// Without a grace the least that goes wrong with a rotation would end the session.
	s := startWithHook(t, hook.URL, map[string]string{"GATEHOUSE_SESSIONS_GRACE": "0s", "GATEHOUSE_SESSIONS_LATE_RETRIES": "0", "GATEHOUSE_METRICS_LISTEN": "127.0.0.1:0"})
	a := s.signIn(t, "alice", "correct horse battery")
	if c := payloadOf(t, a.text(t, "access_token")); c["plan"] != "pro" || c["staff"] != true || c["more"] != nil {
		t.Fatalf("the claims are %v", c)
	}
	asJSON := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}
	}
	for name, misbehave := range map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"500":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusPermanentRedirect)
		},
		"10 MB": asJSON(`{"plan": "` + strings.Repeat("x", 10<<20) + `"}`),
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html><body>hello</body></html>")
		},
		"a reserved name": asJSON(`{"plan": "pro", "SUB": "1"}`),
		"another claim":   asJSON(`{"plane": "pro"}`),
	} {
		play.Store(misbehave)
		credentials := `{"username": "alice", "password": "correct horse battery"}`
		for what, got := range map[string]answer{"refresh": s.refresh(t, a), "sign-in": s.post(t, "/auth/sign-in/", credentials)} {
			if p := got.json(t); got.status != http.StatusServiceUnavailable || p["code"] != "claims_unavailable" || p["retryable"] != true ||
				got.header.Get("Retry-After") == "" || len(got.header.Values("Set-Cookie")) != 0 {
				t.Errorf("%s at %s: %d %s %v", name, what, got.status, got.body, got.header)
			}
		}
		play.Store(http.HandlerFunc(well))
		if a = s.refresh(t, a); a.status != http.StatusOK {
			t.Fatalf("the session after %s: %d %s\n%s", name, a.status, a.body, s.log)
		}
	}
	const asked, failed = 22, 14 // with one to begin with
	for name, want := range map[string]int{"asked": asked, "failed": failed} {
		line := fmt.Sprintf("gatehouse_claims_%s_total{source=%q} %d\n", name, hook.URL, want)
		if body := get(t, metricsURL(t, s)); !strings.Contains(body, line) {
			t.Errorf("the metrics have no %s:\n%s", line, body)
		}
	}
	// All the rest goes on.
	play.Store(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	if v := s.post(t, "/auth/verify/", `{"token": "`+a.text(t, "access_token")+`"}`); v.status != http.StatusOK {
		t.Errorf("verify: %d %s", v.status, v.body)
	}
	if r := s.send(t, http.MethodGet, "/readyz", "", nil); r.status != http.StatusOK {
		t.Errorf("readiness: %d", r.status)
	}
	if log := s.wholeLog(t); strings.Contains(log, "MfKQ9r8G") || strings.Contains(log, "xxxxx") || !strings.Contains(log, "more than 65536 bytes") {
		t.Errorf("the log has too much in it, or too little:\n%.20000s", log)
	}
}

// TestDocumentedReceivers runs the receivers of docs/claims.md: they take what Gatehouse sends, and nothing else.
func TestDocumentedReceivers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/claims.md")
	if err != nil {
		t.Fatal(err)
	}
	for language, c := range map[string]struct {
		file    string
		command []string
	}{
		"python": {"receiver.py", []string{"python3"}}, "js": {"receiver.mjs", []string{"node"}}, "go": {"receiver.go", []string{"go", "run"}},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			_, rest, ok := strings.Cut(string(text), "\n```"+language+"\n")
			code, _, closed := strings.Cut(rest, "\n```\n")
			if !ok || !closed {
				t.Fatal("docs/claims.md has no receiver in it")
			}
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), c.command[0], append(c.command[1:], path)...)
			cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+hookSecret, "PORT=0")
			url := "http://127.0.0.1:" + program(t, cmd, regexp.MustCompile(`^listening on (\d+)$`)) + "/"
			s := startWithHook(t, url, nil)
			a := s.signIn(t, "alice", "correct horse battery")
			if claims := payloadOf(t, a.text(t, "access_token")); claims["plan"] != "pro" {
				t.Errorf("the claims are %v", claims)
			}
			forged := (&server{url: strings.TrimSuffix(url, "/")}).send(t, http.MethodPost, "/", `{"data":{"user":{"is_staff":true}}}`, http.Header{
				"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {"1614265330"}, "Webhook-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
			})
			if forged.status != http.StatusUnauthorized {
				t.Errorf("what is forged: %d %s", forged.status, forged.body)
			}
		})
	}
}

// TestTokenOverItsBudget: a user whose attributes are too large for a token gets none, and keeps the session.
func TestTokenOverItsBudget(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"GATEHOUSE_CLAIMS": `[{name: bio, attribute: attributes.bio}]`})
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	a := s.signIn(t, "alice", "correct horse battery")
	s.command(t, "", "user", "set", "alice", "--attributes", `{"bio": "`+strings.Repeat("secretive ", 500)+`"}`)
	got := s.refresh(t, a)
	if p := got.json(t); got.status != http.StatusInternalServerError || p["code"] != "claims_failed" || p["retryable"] != false ||
		len(got.header.Values("Set-Cookie")) != 0 {
		t.Errorf("over the budget: %d %s %v", got.status, got.body, got.header)
	}
	s.command(t, "", "user", "set", "alice", "--attributes", `{"bio": "short"}`)
	if again := s.refresh(t, a); again.status != http.StatusOK || payloadOf(t, again.text(t, "access_token"))["bio"] != "short" {
		t.Errorf("afterwards: %d %s", again.status, again.body)
	}
	if log := s.wholeLog(t); !strings.Contains(log, `the budget is 4096; the largest claims: \"bio\" 5009 bytes`) || strings.Contains(log, "secretive") {
		t.Errorf("the log:\n%.5000s", log)
	}
}
