package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

// serviceClient is a registered service.
type serviceClient struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// newServiceClient registers a service.
func newServiceClient(t *testing.T, s *server, name string) (c serviceClient) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.command(t, "", "client", "add", name, "--json")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// send presents a token.
func (c serviceClient) send(t *testing.T, s *server, path, token string) answer {
	t.Helper()
	return s.send(t, http.MethodPost, path, url.Values{"token": {token}}.Encode(), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {c.header()},
	})
}

// header is the Authorization header.
func (c serviceClient) header() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.ID+":"+c.Secret))
}

// TestServices has registered services introspect and revoke, as docs/services.md
// says.
func TestServices(t *testing.T) {
	t.Parallel()
	const issuer = "https://auth.example.test"
	s := start(t, map[string]string{
		"GATEHOUSE_ISSUER": issuer, "GATEHOUSE_CLAIMS": `[{"name":"plan","attribute":"attributes.plan"}]`,
	})
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin", "--attributes", `{"plan":"pro"}`)
	billing := newServiceClient(t, s, "billing")
	granted := s.signIn(t, "alice", "correct horse battery")
	token := granted.text(t, "access_token")

	metadata := s.send(t, http.MethodGet, "/.well-known/oauth-authorization-server", "", nil).json(t)
	if metadata["issuer"] != issuer || metadata["introspection_endpoint"] != issuer+"/auth/introspect/" || metadata["jwks_uri"] != issuer+"/.well-known/jwks.json" {
		t.Errorf("the metadata say %v", metadata)
	}
	found := billing.send(t, s, "/auth/introspect/", token).json(t)
	if found["active"] != true || found["username"] != "alice" || found["plan"] != "pro" || found["iss"] != issuer || found["token_type"] != "Bearer" {
		t.Errorf("a good token: %v", found)
	}
	for name, other := range map[string]string{"a refresh token": granted.cookie("refresh_cookie"), "a spoiled one": spoil(token)} {
		if found := billing.send(t, s, "/auth/introspect/", other).json(t); len(found) != 1 || found["active"] != false {
			t.Errorf("%s: %v", name, found)
		}
	}
	if a := (serviceClient{ID: billing.ID, Secret: "wrong"}).send(t, s, "/auth/introspect/", token); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong secret: %d", a.status)
	}
	if a := billing.send(t, s, "/auth/revoke/", token); a.status != http.StatusOK {
		t.Errorf("revoking: %d %s", a.status, a.body)
	}
	if found := billing.send(t, s, "/auth/introspect/", token).json(t); found["active"] != false {
		t.Errorf("after it was revoked: %v", found)
	}
	if a := s.refresh(t, granted); a.status != http.StatusUnauthorized || a.text(t, "type") != "urn:gatehouse:problem:session_revoked" {
		t.Errorf("a refresh after it: %d %s", a.status, a.body)
	}
}
