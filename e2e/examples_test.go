package e2e_test

import (
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// site is a server behind TLS, at the URL that it is the issuer of.
type site struct {
	*server
	issuer      string
	certificate string // a file
	settings    map[string]string
	front       *httptest.Server
	behind      *balancer
}

// balancer passes requests on, to each server in turn.
type balancer struct {
	httputil.ReverseProxy
	mu      sync.Mutex
	servers []*url.URL
	turn    int
}

func newBalancer() *balancer {
	b := &balancer{}
	b.ErrorLog = log.New(io.Discard, "", 0) // that a server is gone is what the test wants
	b.Rewrite = func(r *httputil.ProxyRequest) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.turn++
		r.SetURL(b.servers[b.turn%len(b.servers)])
	}
	return b
}

func (b *balancer) add(t *testing.T, s *server) {
	t.Helper()
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.servers = append(b.servers, at)
}

func startSite(t *testing.T, settings map[string]string, args ...string) site {
	t.Helper()
	behind := newBalancer()
	front := httptest.NewTLSServer(behind)
	t.Cleanup(front.Close)
	certificate := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(certificate, text, 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"GATEHOUSE_ISSUER": front.URL, "GATEHOUSE_TOKENS_AUDIENCE": `["billing", "orders"]`,
		"GATEHOUSE_CLAIMS": `[{"name":"department","attribute":"attributes.department"}]`,
	}
	maps.Copy(all, settings)
	s := start(t, all, args...)
	behind.add(t, s)
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin", "--attributes", `{"department":"sales"}`)
	return site{s, front.URL, certificate, all, front, behind}
}

// renumber gives the one user another id, as an imported user has.
func (s *server) renumber(t *testing.T, id string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "gatehouse.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // what was written is checked
	if _, err := db.ExecContext(t.Context(), "UPDATE users SET id = $1", id); err != nil {
		t.Fatal(err)
	}
}

// replica starts a second server of the same settings.
func (s site) replica(t *testing.T) *server {
	t.Helper()
	second := start(t, s.settings)
	s.behind.add(t, second)
	return second
}

// example starts a service of examples/ that believes the site.
func (s site) example(t *testing.T, name string, settings ...string) *server {
	t.Helper()
	env := append(os.Environ(), "ISSUER="+s.issuer, "AUDIENCE=orders", "SSL_CERT_FILE="+s.certificate, "NODE_EXTRA_CA_CERTS="+s.certificate,
		"LISTEN=127.0.0.1:0", "PYTHONDONTWRITEBYTECODE=1")
	var cmd *exec.Cmd
	switch name {
	case "go-service":
		path := filepath.Join(t.TempDir(), name)
		args := []string{"build", "-o", path}
		if dir := os.Getenv("GATEHOUSE_COVERDIR"); dir != "" {
			args, env = append(args, "-cover", "-coverpkg=github.com/gatehouse-auth/gatehouse/..."), append(env, "GOCOVERDIR="+dir)
		}
		if out, err := exec.CommandContext(t.Context(), "go", append(args, "../examples/go-service")...).CombinedOutput(); err != nil {
			t.Fatalf("building: %v\n%s", err, out)
		}
		cmd = exec.Command(path)
	case "django-service":
		cmd = exec.Command("/usr/bin/gunicorn", "--bind", "127.0.0.1:0", "--worker-tmp-dir", t.TempDir(), "wsgi:application")
		cmd.Dir = "../examples/django-service"
	case "node-service":
		cmd = exec.Command(node(t), "server.mjs")
		cmd.Dir = nodeService(t)
	default: // a changed copy of it
		cmd = exec.Command(node(t), "server.mjs")
		cmd.Dir = name
	}
	cmd.Env = append(env, settings...)
	return &server{url: program(t, cmd, regexp.MustCompile(`(?i)listening at:? (http://[0-9.:]+)`)), log: &logBuffer{}}
}

// nodeService copies examples/node-service beside the packages that the test tools bring along.
func nodeService(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/node-service")); err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs("../test/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestNodeServiceNeedsAnAudience starts neither verifier without one, as it
// would take the tokens of other services.
func TestNodeServiceNeedsAnAudience(t *testing.T) {
	t.Parallel()
	dir := nodeService(t)
	for _, verifier := range []string{"jose", "aws-jwt-verify"} {
		for _, c := range []struct {
			issuer, audience string
			starts           bool
		}{{"https://auth.example.test", "orders", true}, {"https://auth.example.test", "", false}, {"", "orders", false}} {
			cmd := exec.CommandContext(t.Context(), node(t), "--input-type=module", "--eval", "await import('./"+verifier+".mjs')")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "ISSUER="+c.issuer, "AUDIENCE="+c.audience)
			if out, err := cmd.CombinedOutput(); (err == nil) != c.starts {
				t.Errorf("%s of issuer %q for audience %q: %v\n%s", verifier, c.issuer, c.audience, err, out)
			}
		}
	}
}

// me asks a service who is asking.
func (s *server) me(t *testing.T, token string) answer {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return s.send(t, http.MethodGet, "/me", "", header)
}

// examples are the services, by the library that they show.
var examples = map[string]struct {
	folder   string
	settings []string
}{
	"Go": {folder: "go-service"}, "Django": {folder: "django-service"}, "jose": {folder: "node-service"},
	"aws-jwt-verify": {folder: "node-service", settings: []string{"VERIFIER=aws-jwt-verify"}},
}

// TestExamples runs each example, and the libraries in it, beside a real server:
// it takes access tokens, and nothing that resembles them.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "RS256", "HS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			settings, id := map[string]string{"GATEHOUSE_TOKENS_ALGORITHM": algorithm}, ""
			if algorithm == "RS256" { // and with ids that other services have in integer columns
				settings["GATEHOUSE_TOKENS_USER_ID_TYPE"], id = "number", "42"
			}
			s := startSite(t, settings)
			if id != "" {
				s.renumber(t, id)
			}
			names := []string{"Django"}
			if algorithm != "HS256" { // whose key would have to be everywhere
				names = append(names, "Go", "aws-jwt-verify")
			}
			if algorithm == "ES256" { // which it is pinned to
				names = append(names, "jose")
			}
			services := map[string]*server{}
			for _, name := range names {
				example, settings := examples[name].folder, append(examples[name].settings, "ALGORITHM="+algorithm, "SECRET_KEY="+goldenSecret)
				services[name] = s.example(t, example, settings...)
			}
			granted := s.signIn(t, "alice", "correct horse battery")
			token := granted.text(t, "access_token")
			if algorithm == "ES256" {
				for _, name := range names {
					for what, setting := range map[string]string{"audience": "AUDIENCE=payments", "issuer": "ISSUER=" + s.issuer + "/"} {
						stranger := s.example(t, examples[name].folder, append(examples[name].settings, setting)...)
						if a := stranger.me(t, token); a.status != http.StatusUnauthorized {
							t.Errorf("%s: a token of another %s: %d %s", name, what, a.status, a.body)
						}
					}
				}
			}
			payload := strings.Split(token, ".")[1]
			for name, service := range services {
				for _, c := range []struct {
					sentence, token string
					status          int
				}{
					{"an access token is accepted", token, http.StatusOK},
					{"no token is refused", "", http.StatusUnauthorized},
					{"a token with a changed signature is refused", spoil(token), http.StatusUnauthorized},
					{"a refresh token is no access token", granted.cookie("refresh_cookie"), http.StatusUnauthorized},
					{"an unsigned token is refused", "eyJhbGciOiJub25lIn0." + payload + ".", http.StatusUnauthorized},
				} {
					a := service.me(t, c.token)
					if a.status != c.status {
						t.Errorf("%s: %s: %d %s", name, c.sentence, a.status, a.body)
					}
					if a.status == http.StatusUnauthorized && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
						t.Errorf("%s: %s: the challenge is %q", name, c.sentence, a.header.Get("WWW-Authenticate"))
					}
					if a.status != http.StatusOK {
						continue
					}
					var me struct{ ID, Department string }
					if err := json.Unmarshal(a.body, &me); err != nil || me.ID == "" || id != "" && me.ID != id || me.Department != "sales" {
						t.Errorf("%s: %s: it sees %+v, %v", name, c.sentence, me, err)
					}
				}
			}
		})
	}
}

// TestRevokedTokens ends a session, and asks the Go service until it refuses the
// session's token. Then the site goes away, and the token of another session
// is not refused for it: it can't be judged.
func TestRevokedTokens(t *testing.T) {
	t.Parallel()
	s := startSite(t, map[string]string{"GATEHOUSE_REVOCATIONS_INTERVAL": "1s", "GATEHOUSE_REVOCATIONS_MAX_AGE": "5s"})
	service := s.example(t, "go-service", "REVOCATIONS=require")
	plain := s.example(t, "go-service")
	ended := s.signIn(t, "alice", "correct horse battery").text(t, "access_token")
	other := s.signIn(t, "alice", "correct horse battery").text(t, "access_token")
	if a := service.me(t, ended); a.status != http.StatusOK {
		t.Fatalf("before the end: %d %s", a.status, a.body)
	}
	began := time.Now()
	sid := s.send(t, http.MethodGet, "/auth/sessions/", "", http.Header{"Authorization": {"Bearer " + ended}})
	if a := s.send(t, http.MethodDelete, "/auth/sessions/"+current(t, sid)+"/", "", http.Header{"Authorization": {"Bearer " + ended}}); a.status != http.StatusOK && a.status != http.StatusNoContent {
		t.Fatalf("ending the session: %d %s", a.status, a.body)
	}
	until(t, "the token of the ended session is refused", func() bool { return service.me(t, ended).status == http.StatusUnauthorized })
	t.Logf("refused %v after the end, with statements of a second", time.Since(began).Round(time.Millisecond))
	if a := service.me(t, other); a.status != http.StatusOK {
		t.Errorf("another session: %d %s", a.status, a.body)
	}
	s.command(t, "correct horse battery\n", "user", "add", "bob", "--password-stdin", "--attributes", `{"department":7}`)
	if a := plain.me(t, s.signIn(t, "bob", "correct horse battery").text(t, "access_token")); a.status != http.StatusInternalServerError {
		t.Errorf("a claim of another form: %d %s", a.status, a.body)
	}
	if a := plain.me(t, ended); a.status != http.StatusOK {
		t.Errorf("a service that does not ask: %d %s", a.status, a.body)
	}
	s.stop(t)
	until(t, "nothing can be said of a token", func() bool { return service.me(t, other).status == http.StatusServiceUnavailable })
	if a := plain.me(t, other); a.status != http.StatusOK {
		t.Errorf("a service that does not ask, without the site: %d %s", a.status, a.body)
	}
}

// TestExamplesInAnOutage asks services that have no keys and can't get them: the
// token may be good, so it is not refused, but by simplejwt, which knows no other
// answer.
func TestExamplesInAnOutage(t *testing.T) {
	t.Parallel()
	s := startSite(t, nil)
	token := s.signIn(t, "alice", "correct horse battery").text(t, "access_token")
	s.stop(t)
	for name, want := range map[string]int{
		"Go": http.StatusServiceUnavailable, "jose": http.StatusServiceUnavailable, "aws-jwt-verify": http.StatusServiceUnavailable,
		"Django": http.StatusUnauthorized,
	} {
		service := s.example(t, examples[name].folder, examples[name].settings...)
		if a := service.me(t, token); a.status != want || want == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, want)
		}
	}
}

// current is the id of the session that asked for the list.
func current(t *testing.T, list answer) string {
	t.Helper()
	var found struct {
		Sessions []struct {
			ID      string
			Current bool
		}
	}
	if err := json.Unmarshal(list.body, &found); err != nil {
		t.Fatal(err)
	}
	for _, one := range found.Sessions {
		if one.Current {
			return one.ID
		}
	}
	t.Fatalf("no session is current: %s", list.body)
	return ""
}

// until waits for what must come.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for range 3000 {
		if happened() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("it never comes to this: %s", what)
}

// spoil changes a character in the middle of a token's signature.
func spoil(token string) string {
	b := []byte(token)
	i := len(b) - 10
	if b[i]++; b[i] > 'y' || b[i] < 'a' {
		b[i] = 'a'
	}
	return string(b)
}
