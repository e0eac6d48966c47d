package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// TestServicesOfOthers has a library of somebody else find the endpoints, introspect
// and revoke.
func TestServicesOfOthers(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:" + freePort(t)
	for _, path := range []string{"", "/gatehouse"} {
		s := start(t, map[string]string{"GATEHOUSE_LISTEN": address, "GATEHOUSE_ISSUER": "http://" + address + path, "GATEHOUSE_BASE_PATH": path + "/auth"})
		s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
		billing := newServiceClient(t, s, "billing")
		signedIn := s.post(t, path+"/auth/sign-in/", `{"username":"alice","password":"correct horse battery"}`)
		dir := t.TempDir()
		modules, err := filepath.Abs("../test/node_modules")
		if err != nil {
			t.Fatal(err)
		}
		script, err := os.ReadFile("testdata/oauth4webapi.mjs")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Symlink(modules, filepath.Join(dir, "node_modules")), os.WriteFile(filepath.Join(dir, "service.mjs"), script, 0o600)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), node(t), "service.mjs")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "ISSUER=http://"+address+path, "CLIENT_ID="+billing.ID, "CLIENT_SECRET="+billing.Secret, "TOKEN="+signedIn.text(t, "access_token"))
		output, err := cmd.CombinedOutput()
		endpoint := "http://" + address + path + "/auth/introspect/"
		want := `{"oauth2":"` + endpoint + `","oidc":"` + endpoint + `","introspected":["true alice Bearer","true alice Bearer"],"afterwards":false,"refused":"OAUTH_WWW_AUTHENTICATE_CHALLENGE basic"}`
		if err != nil || strings.TrimSpace(string(output)) != want {
			t.Errorf("issuer %s: %v\n%s\nwant\n%s", path, err, output, want)
		}
		s.stop(t)
	}
}
