package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// idpSettings is the environment of a server with these identity providers.
func idpSettings(t *testing.T, idps ...map[string]any) map[string]string {
	t.Helper()
	raw, err := json.Marshal(idps)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"GATEHOUSE_IDPS": string(raw), "GATEHOUSE_USER_FIELDS": `["id","email","email_verified","first_name"]`}
}

// bothWays signs a user in and exchanges the code here, and again and exchanges
// the tokens; it demands that both are the same user, and returns it.
func bothWays(t *testing.T, p openIDProvider, s *server, idp, clientID, user string) map[string]any {
	t.Helper()
	code := s.postJSON(t, "/auth/code-exchange/", p.signIn(t, s, idp, user))
	if code.status != http.StatusOK {
		t.Fatalf("the code: %d %s\n%s", code.status, code.body, s.log)
	}
	if r := s.refresh(t, code); r.status != http.StatusOK {
		t.Errorf("its session refreshes: %d %s", r.status, r.body)
	}
	tokens := p.redeem(t, clientID, p.signIn(t, s, idp, user))
	pair := s.postJSON(t, "/auth/social-exchange/", tokens)
	if pair.status != http.StatusOK {
		t.Fatalf("the tokens: %d %s\n%s", pair.status, pair.body, s.log)
	}
	first, _ := code.json(t)["user"].(map[string]any)
	second, _ := pair.json(t)["user"].(map[string]any)
	if first["id"] == nil || first["id"] != second["id"] {
		t.Errorf("two users: %v and %v", first, second)
	}
	for _, secret := range []any{tokens["id_token"], tokens["access_token"], tokens["nonce"]} {
		if strings.Contains(s.log.String(), secret.(string)) {
			t.Error("the log has what the provider issued")
		}
	}
	return first
}

// TestOIDCProvider walks the authorization code flow with PKCE at oidc-provider,
// with each kind of client and of signature.
func TestOIDCProvider(t *testing.T) {
	t.Parallel()
	p := startOIDCProvider(t, freePort(t), "")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a+secret: of/ours%\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	idp := func(name string, more map[string]any) map[string]any {
		all := map[string]any{"name": name, "type": "oidc", "issuer": p.issuer, "client_ids": []string{name}, "redirect_uris": []string{callback}}
		maps.Copy(all, more)
		return all
	}
	for name, more := range map[string]map[string]any{
		"spa":   {"require_nonce": true},
		"es256": {"algorithms": []string{"ES256"}},
		"ps256": {"algorithms": []string{"PS256", "RS256"}},
		"eddsa": {"algorithms": []string{"EdDSA"}},
		"basic": {"client_secret_file": secret},
		"post":  {"client_secret_file": secret, "token_endpoint_auth": "client_secret_post"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, idpSettings(t, idp(name, more)))
			if more["client_secret_file"] == nil {
				user := bothWays(t, p, s, name, name, "maria")
				if user["email"] != "maria@example.test" || user["email_verified"] != true || user["first_name"] != "María" {
					t.Errorf("the user is %v", user)
				}
				return
			}
			a := s.postJSON(t, "/auth/code-exchange/", p.signIn(t, s, name, "maria"))
			if a.status != http.StatusOK || strings.Contains(s.log.String(), "of/ours") {
				t.Errorf("the code: %d %s\n%s", a.status, a.body, s.log)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		s := start(t, idpSettings(t, idp("spa", map[string]any{"require_nonce": true})))
		refuse := func(name string, a answer, status int, code string) {
			t.Helper()
			if a.status != status || a.text(t, "code") != code {
				t.Errorf("%s: %d %s\n%s", name, a.status, a.body, s.log)
			}
		}
		for _, tc := range []struct {
			name, member, value string
			status              int
			code                string
		}{
			{"another verifier", "code_verifier", strings.Repeat("x", 43), 401, "idp_code_not_valid"},
			{"another code", "code", "x", 401, "idp_code_not_valid"},
			{"another nonce", "nonce", "x", 401, "idp_token_not_valid"},
			{"no nonce", "nonce", "", 401, "idp_token_not_valid"},
			{"another issuer that answered", "iss", "https://evil.test", 401, "idp_token_not_valid"},
			{"another redirect URI", "redirect_uri", callback + "x", 400, "invalid_request"},
			{"another provider", "idp", "x", 400, "invalid_request"},
		} {
			body := p.signIn(t, s, "spa", "maria")
			body[tc.member] = tc.value
			refuse(tc.name, s.postJSON(t, "/auth/code-exchange/", body), tc.status, tc.code)
		}
		refuse("an address that is not verified", s.postJSON(t, "/auth/code-exchange/", p.signIn(t, s, "spa", "unverified")), 403, "email_not_verified")

		tokens := p.redeem(t, "spa", p.signIn(t, s, "spa", "maria"))
		others := p.redeem(t, "spa", p.signIn(t, s, "spa", "maria"))
		change := func(member string, value any) map[string]any {
			all := maps.Clone(tokens)
			all[member] = value
			return all
		}
		refuse("the nonce of another sign-in", s.postJSON(t, "/auth/social-exchange/", change("nonce", others["nonce"])), 401, "idp_token_not_valid")
		refuse("the access token in both places", s.postJSON(t, "/auth/social-exchange/", change("id_token", tokens["access_token"])), 401, "idp_token_not_valid")
		used := s.postJSON(t, "/auth/social-exchange/", tokens)
		if used.status != http.StatusOK {
			t.Errorf("the pair itself: %d %s", used.status, used.body)
		}
		s.refresh(t, used)
		refuse("the pair again, after its session has gone on", s.postJSON(t, "/auth/social-exchange/", tokens), 409, "exchange_replayed")

		elsewhere := start(t, idpSettings(t, idp("other", nil)))
		a := elsewhere.postJSON(t, "/auth/social-exchange/", others)
		if a.status != http.StatusUnauthorized {
			t.Errorf("tokens of another client: %d %s", a.status, a.body)
		}
	})
}

// TestZitadel walks the flow at the provider of zitadel/oidc, which puts no
// e-mail address into ID tokens, and ends its issuer with a slash.
func TestZitadel(t *testing.T) {
	t.Parallel()
	p := startZitadel(t)
	s := start(t, idpSettings(t, map[string]any{
		"name": "zitadel", "type": "oidc", "issuer": p.issuer, "client_ids": []string{"native"}, "redirect_uris": []string{callback},
	}))
	user := bothWays(t, p, s, "zitadel", "native", "test-user2")
	if user["email"] != nil && user["email"] != "" {
		t.Errorf("the user is %v", user)
	}
	tokens := p.redeem(t, "native", p.signIn(t, s, "zitadel", "test-user2"))
	tokens["access_token"] = p.redeem(t, "native", p.signIn(t, s, "zitadel", "test-user2"))["access_token"]
	a := s.postJSON(t, "/auth/social-exchange/", tokens)
	if a.status != http.StatusUnauthorized || a.text(t, "code") != "idp_token_not_valid" {
		t.Errorf("the access token of another sign-in: %d %s\n%s", a.status, a.body, s.log)
	}
}

// TestOpenIDProviderOutage starts before its provider can be reached, works when
// it can, and goes on with what it knows when it no longer can, through a restart.
func TestOpenIDProviderOutage(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	network := newProxy(t, "127.0.0.1:"+port)
	network.set(refuses)
	p := startOIDCProvider(t, port, "http://"+network.address())
	dir, settings := t.TempDir(), idpSettings(t, map[string]any{
		"name": "op", "type": "oidc", "issuer": p.issuer, "client_ids": []string{"spa"}, "redirect_uris": []string{callback},
	})
	s := startIn(t, dir, settings)
	where := "/auth/authorize-url/?redirect_uri=" + url.QueryEscape(callback)
	a := s.send(t, http.MethodGet, where, "", nil)
	if a.status != http.StatusServiceUnavailable || a.text(t, "code") != "idp_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("before it can be reached: %d %s", a.status, a.body)
	}
	network.set(passes)
	deadline := time.Now().Add(time.Minute)
	for s.send(t, http.MethodGet, where, "", nil).status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatalf("it can be reached, and nobody tries:\n%s", s.log)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if a := s.postJSON(t, "/auth/social-exchange/", p.redeem(t, "spa", p.signIn(t, s, "op", "maria"))); a.status != http.StatusOK {
		t.Fatalf("when it can be reached: %d %s\n%s", a.status, a.body, s.log)
	}
	tokens, late := p.redeem(t, "spa", p.signIn(t, s, "op", "maria")), p.signIn(t, s, "op", "maria")
	network.set(refuses)
	s.stop(t)
	s = startIn(t, dir, settings)
	if a := s.postJSON(t, "/auth/social-exchange/", tokens); a.status != http.StatusOK {
		t.Errorf("a pair after a restart during the outage: %d %s\n%s", a.status, a.body, s.log)
	}
	if a := s.send(t, http.MethodGet, where, "", nil); a.status != http.StatusOK {
		t.Errorf("where to sign in: %d %s", a.status, a.body)
	}
	a = s.postJSON(t, "/auth/code-exchange/", late)
	if a.status != http.StatusServiceUnavailable || a.text(t, "code") != "idp_unavailable" {
		t.Errorf("a code: %d %s", a.status, a.body)
	}
	network.set(passes)
	if a := s.postJSON(t, "/auth/code-exchange/", late); a.status != http.StatusOK {
		t.Errorf("the same code afterwards: %d %s\n%s", a.status, a.body, s.log)
	}
}
