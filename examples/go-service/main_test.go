package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/verify"
)

// The handler needs no Gatehouse to be tested: its claims are put into the
// context. e2e/ runs the whole beside a real one.
func TestMe(t *testing.T) {
	t.Parallel()
	ctx := verify.NewContext(t.Context(), verify.Claims{UserID: "42"})
	got := httptest.NewRecorder()
	me(got, httptest.NewRequestWithContext(ctx, http.MethodGet, "/me", nil))
	if want := `{"department":"","id":"42"}`; strings.TrimSpace(got.Body.String()) != want {
		t.Errorf("%d %s, want %s", got.Code, got.Body, want)
	}
}

// A mistyped mode is refused, lest it leave ended sessions in.
func TestRevocationModes(t *testing.T) {
	t.Parallel()
	for mode, ok := range map[string]bool{"": true, "prefer": true, "require": true, "required": false, "Require": false, "off": false} {
		env := map[string]string{"ISSUER": "https://127.0.0.1:1", "AUDIENCE": "api", "REVOCATIONS": mode}
		if _, err := service(t.Context(), func(name string) string { return env[name] }); (err == nil) != ok {
			t.Errorf("REVOCATIONS=%s: %v", mode, err)
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	env := map[string]string{"LISTEN": "127.0.0.1:0"}
	if err := run(t.Context(), func(name string) string { return env[name] }); err == nil || !strings.Contains(err.Error(), "issuer") {
		t.Errorf("without an issuer: %v", err)
	}
	env = map[string]string{"LISTEN": "nowhere", "ISSUER": "https://auth.example.test", "AUDIENCE": "api"}
	if err := run(t.Context(), func(name string) string { return env[name] }); err == nil {
		t.Error("it listens nowhere")
	}
}
