package e2e_test

import (
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

	"github.com/google/go-cmp/cmp"
)

// nginx runs the configuration of docs/forward-auth.md, in front of the gatehouse
// and the service of these addresses, and returns where it listens.
func nginx(t *testing.T, gatehouse, service string) string {
	t.Helper()
	document, err := os.ReadFile("../docs/forward-auth.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(document), "```nginx\n")
	shown, _, found := strings.Cut(shown, "```")
	if !found {
		t.Fatal("docs/forward-auth.md shows no nginx")
	}
	dir, listen := t.TempDir(), "127.0.0.1:"+freePort(t)
	shown = strings.NewReplacer("127.0.0.1:8000", listen, "http://127.0.0.1:8080", gatehouse, "http://127.0.0.1:3000", service).Replace(shown)
	var paths strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths.WriteString(kind + "_temp_path " + filepath.Join(dir, kind) + ";\n")
	}
	user := ""
	if os.Getuid() == 0 { // else its workers could not read the directory
		user = "user root;\n"
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := user + "daemon off;\nworker_processes 1;\npid " + filepath.Join(dir, "pid") + ";\nerror_log stderr notice;\nevents {}\n" +
		"http {\naccess_log off;\n" + paths.String() + shown + "}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, exec.Command("/usr/sbin/nginx", "-p", dir, "-e", "stderr", "-c", conf), regexp.MustCompile(`start worker processes`))
	return "http://" + listen
}

// TestForwardAuth puts a real nginx before a service that knows nothing of tokens.
func TestForwardAuth(t *testing.T) {
	t.Parallel()
	store, dsn := postgresThrough(t)
	s := start(t, map[string]string{
		"GATEHOUSE_DATABASE_URL": dsn, "GATEHOUSE_DATABASE_STATEMENT_TIMEOUT": "1s",
		"GATEHOUSE_CLAIMS": `[{"name":"plan","attribute":"attributes.plan"}]`, "GATEHOUSE_FORWARD_HEADERS": `[{"header":"X-Plan","claim":"plan"}]`,
	}, "--migrate")
	s.command(t, "correct horse battery\n", "user", "add", "José", "--password-stdin", "--attributes", `{"plan":"pro"}`)
	s.command(t, "correct horse battery\n", "user", "add", "bob", "--password-stdin", "--email", "boss@example.test")
	var calls atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Seen", r.Method+" "+r.URL.RequestURI()+" "+string(body))
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-") {
				w.Header().Set("Seen-"+name, strings.Join(values, " AND "))
			}
		}
	}))
	t.Cleanup(service.Close)
	front := &server{url: nginx(t, s.url, service.URL)}
	seen := func(a answer) map[string]string {
		headers := map[string]string{}
		for name, values := range a.header {
			if to, ok := strings.CutPrefix(name, "Seen-"); ok {
				headers[to] = strings.Join(values, " AND ")
			}
		}
		return headers
	}
	// What a client sends to pass for somebody else.
	with := func(granted answer) http.Header {
		h := http.Header{
			"X-Auth-Request-User": {"1", "2"}, "X-Auth-Request-Preferred-Username": {"root"}, "X-Auth-Request-Email": {"boss@example.test"},
			"X-Plan": {"gold"}, "X_Plan": {"gold"}, "X_Auth_Request_User": {"1"}, "Content-Type": {"text/plain"},
		}
		if granted.body != nil {
			h.Set("Authorization", "Bearer "+granted.text(t, "access_token"))
		}
		return h
	}
	alice, bob := s.signIn(t, "José", "correct horse battery"), s.signIn(t, "bob", "correct horse battery")
	idOf := func(granted answer) string {
		me := s.send(t, http.MethodGet, "/auth/me/", "", http.Header{"Authorization": {"Bearer " + granted.text(t, "access_token")}})
		user, _ := me.json(t)["user"].(map[string]any)
		id, _ := user["id"].(string)
		return id
	}

	passed := front.send(t, http.MethodPost, "/orders/?a=b", "a body", with(alice))
	if passed.status != http.StatusOK || passed.header.Get("Seen") != "POST /orders/?a=b a body" {
		t.Errorf("a POST: %d, the service has seen %q", passed.status, passed.header.Get("Seen"))
	}
	want := map[string]string{"X-Auth-Request-User": idOf(alice), "X-Auth-Request-Preferred-Username": "Jos%C3%A9", "X-Plan": "pro"}
	if diff := cmp.Diff(want, seen(passed)); diff != "" {
		t.Errorf("the identity that the service has seen (-want +got):\n%s", diff)
	}
	// bob has no plan, and nobody has verified his address: what he sends himself goes, and nothing comes in its place.
	want = map[string]string{"X-Auth-Request-User": idOf(bob), "X-Auth-Request-Preferred-Username": "bob"}
	if diff := cmp.Diff(want, seen(front.send(t, http.MethodGet, "/", "", with(bob)))); diff != "" {
		t.Errorf("the identity that the service has seen (-want +got):\n%s", diff)
	}

	before := calls.Load()
	refused := func(name string, a answer, challenge string) {
		t.Helper()
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != challenge {
			t.Errorf("%s: %d, challenged by %q", name, a.status, a.header.Get("WWW-Authenticate"))
		}
	}
	refused("no token", front.send(t, http.MethodGet, "/", "", with(answer{})), `Bearer realm="api"`)
	spoiled := with(alice)
	spoiled.Set("Authorization", spoil(spoiled.Get("Authorization")))
	refused("a bad token", front.send(t, http.MethodDelete, "/orders/1", "", spoiled), `Bearer realm="api", error="invalid_token"`)
	s.send(t, http.MethodDelete, "/auth/sessions/?scope=all", "", http.Header{"Authorization": {"Bearer " + alice.text(t, "access_token")}})
	refused("at once after a logoff", front.send(t, http.MethodGet, "/", "", with(alice)), `Bearer realm="api", error="invalid_token"`)
	if a := front.send(t, http.MethodGet, "/_gatehouse", "", with(bob)); a.status != http.StatusNotFound {
		t.Errorf("the question itself, from outside: %d", a.status)
	}
	store.set(refuses)
	if a := front.send(t, http.MethodGet, "/", "", with(bob)); a.status != http.StatusServiceUnavailable {
		t.Errorf("without a database: %d", a.status)
	}
	store.set(passes)
	if calls.Load() != before {
		t.Errorf("the service has seen %d requests that were refused", calls.Load()-before)
	}
}
