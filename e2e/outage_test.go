package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// outage is what one operation answers while something is out of reach.
type outage struct {
	operation string
	request   func(t *testing.T, s *server, a outageActor) answer
	status    int    // while the database is out of reach
	code      string // of a 503
}

// outageActor is a signed-in user, and what one needs to act.
type outageActor struct {
	signedIn answer
	body     func() string // of a new exchange
	service  serviceClient
}

// session returns the headers of the actor's cookie and tokens.
func (a outageActor) session(t *testing.T) http.Header {
	t.Helper()
	return http.Header{
		"Content-Type": {"application/json"}, "Cookie": {"refresh_cookie=" + a.signedIn.cookie("refresh_cookie")},
		"X-Csrf-Token": {a.signedIn.text(t, "CSRF_token")}, "Authorization": {"Bearer " + a.signedIn.text(t, "access_token")},
	}
}

// outages is the contract: docs/outages.md says it in words.
func outages() []outage {
	send := func(method, path, body string) func(*testing.T, *server, outageActor) answer {
		return func(t *testing.T, s *server, a outageActor) answer {
			t.Helper()
			return s.send(t, method, path, body, a.session(t))
		}
	}
	const store = "store_unavailable"
	return []outage{
		{"sign-in", send("POST", "/auth/sign-in/", `{"username":"alice","password":"correct horse battery"}`), 503, store},
		{"exchange", func(t *testing.T, s *server, a outageActor) answer {
			t.Helper()
			return s.post(t, "/auth/social-exchange/", a.body())
		}, 503, store},
		{"refresh", send("POST", "/auth/refresh/", ""), 503, store},
		{"logoff", send("POST", "/auth/logoff/", ""), 503, store},
		{"me", send("GET", "/auth/me/", ""), 503, store},
		{"sessions", send("GET", "/auth/sessions/", ""), 503, store},
		{"end sessions", send("DELETE", "/auth/sessions/?scope=others", ""), 503, store},
		{"end session", send("DELETE", "/auth/sessions/x/", ""), 503, store},
		{"password", send("POST", "/auth/password/", `{"current_password":"x","new_password":"a much better one"}`), 503, store},
		{"introspect", func(t *testing.T, s *server, a outageActor) answer {
			t.Helper()
			return a.service.send(t, s, "/auth/introspect/", a.signedIn.text(t, "access_token"))
		}, 503, store},
		{"revoke", func(t *testing.T, s *server, a outageActor) answer {
			t.Helper()
			return a.service.send(t, s, "/auth/revoke/", a.signedIn.text(t, "access_token"))
		}, 503, store},
		{"forward", send("GET", "/auth/forward/", ""), 503, store},
		{"revocations", send("GET", "/auth/revocations/", ""), 503, store},
		{"metadata", send("GET", "/.well-known/oauth-authorization-server", ""), 200, ""},
		{"verify", func(t *testing.T, s *server, a outageActor) answer {
			t.Helper()
			return s.post(t, "/auth/verify/", `{"token":"`+a.signedIn.text(t, "access_token")+`"}`)
		}, 200, ""},
		{"keys", send("GET", "/.well-known/jwks.json", ""), 200, ""},
		{"health", send("GET", "/healthz", ""), 200, ""},
		{"readiness", send("GET", "/readyz", ""), 503, ""},
	}
}

// postgresThrough returns the connection string of a new database, by way of a
// proxy.
func postgresThrough(t *testing.T) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, u.Host)
	u.Host = p.address()
	return p, u.String()
}

// TestDatabaseOutages walks every operation through every fault of the way to the
// database: none signs anybody out, each says that it can be tried again, and all
// is well afterwards.
func TestDatabaseOutages(t *testing.T) {
	t.Parallel()
	p, dsn := postgresThrough(t)
	idp := newGoldenIDP(t)
	s := start(t, idp.settings(map[string]string{
		"GATEHOUSE_DATABASE_URL": dsn, "GATEHOUSE_SERVER_REQUEST_TIMEOUT": "1s", "GATEHOUSE_DATABASE_STATEMENT_TIMEOUT": "1s",
		"GATEHOUSE_THROTTLE_PER_ACCOUNT_AND_NETWORK": "10000", "GATEHOUSE_THROTTLE_PER_NETWORK": "10000", "GATEHOUSE_THROTTLE_PER_ACCOUNT": "10000",
	}), "--migrate")
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	billing := newServiceClient(t, s, "billing")
	exchange := recordings(t, "seed")
	first := exchange[slices.IndexFunc(exchange, func(r recorded) bool { return r.ID == "X01-new-user" })]
	n := 0
	actor := outageActor{service: billing, signedIn: s.signIn(t, "alice", "correct horse battery"), body: func() string {
		n++
		one := first
		one.Body = strings.Replace(first.Body, `"expires_in": 300`, `"expires_in": `+strconv.Itoa(300+n), 1)
		return idp.body(t, one)
	}}
	for name, f := range map[string]fault{"refused": refuses, "hanging": hangs} {
		p.set(f)
		for _, o := range outages() {
			checkOutage(t, name, o, o.request(t, s, actor))
		}
		p.set(passes)
		p.cutAll() // what hung is of no use any more
		recovered(t, s)
		actor.signedIn = mustRefresh(t, s, actor)
	}
	p.set(delays)
	actor.signedIn = mustRefresh(t, s, actor)
	p.set(passes)
	for range 20 { // connections that are cut in mid-work cost a retry at the most
		p.cutAll()
		actor.signedIn = mustRefresh(t, s, actor)
	}
}

// checkOutage holds an answer to the contract.
func checkOutage(t *testing.T, fault string, o outage, a answer) {
	t.Helper()
	if a.status != o.status {
		t.Errorf("%s, the database %s: status %d, want %d: %s", o.operation, fault, a.status, o.status, a.body)
		return
	}
	if len(a.header["Set-Cookie"]) != 0 {
		t.Errorf("%s, the database %s: the cookies are touched: %q", o.operation, fault, a.header["Set-Cookie"])
	}
	if o.code == "" {
		return
	}
	problem := a.json(t)
	after, err := strconv.Atoi(a.header.Get("Retry-After"))
	if problem["code"] != o.code || problem["retryable"] != true || err != nil || after < 1 {
		t.Errorf("%s, the database %s: %s, Retry-After %q", o.operation, fault, a.body, a.header.Get("Retry-After"))
	}
}

// recovered waits until the server says that it can do its work.
func recovered(t *testing.T, s *server) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		a := s.send(t, http.MethodGet, "/readyz", "", nil)
		if a.status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not recover: %s", a.body)
		}
	}
}

// mustRefresh refreshes as a client does that reads Retry-After: a 503 is no
// reason to give up.
func mustRefresh(t *testing.T, s *server, actor outageActor) answer {
	t.Helper()
	for range 50 {
		a := s.send(t, http.MethodPost, "/auth/refresh/", "", actor.session(t))
		if a.status == http.StatusOK {
			return a
		}
		if a.status != http.StatusServiceUnavailable {
			t.Fatalf("refreshing after an outage: %d %s", a.status, a.body)
		}
	}
	t.Fatal("refreshing after an outage: always 503")
	return answer{}
}

// TestBusyHashing fills the queue of passwords.
func TestBusyHashing(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{
		"GATEHOUSE_PASSWORDS_MEMORY": "65536", "GATEHOUSE_PASSWORDS_TIME": "4", "GATEHOUSE_PASSWORDS_MAX_CONCURRENT": "1", "GATEHOUSE_PASSWORDS_MAX_QUEUE": "1",
		"GATEHOUSE_THROTTLE_PER_NETWORK": "10000",
	})
	answers := make(chan answer, 12)
	for i := range cap(answers) {
		go func() {
			answers <- s.post(t, "/auth/sign-in/", fmt.Sprintf(`{"username":"nobody%d","password":"x"}`, i))
		}()
	}
	busy := 0
	for range cap(answers) {
		switch a := <-answers; a.status {
		case http.StatusUnauthorized:
		case http.StatusServiceUnavailable:
			busy++
			checkOutage(t, "well", outage{operation: "sign-in", status: 503, code: "hashing_busy"}, a)
		default:
			t.Errorf("a sign-in among many: %d %s", a.status, a.body)
		}
	}
	if busy == 0 {
		t.Error("twelve sign-ins at once, one place and one in the queue, and none was turned away")
	}
	if a := s.post(t, "/auth/verify/", `{"token":"x"}`); a.status != http.StatusUnauthorized {
		t.Errorf("others are not served: %d", a.status)
	}
}

// TestRestartDuringAnIDPOutage starts the server anew while the identity provider
// is down: the keys that it fetched before serve.
func TestRestartDuringAnIDPOutage(t *testing.T) {
	t.Parallel()
	idp := newGoldenIDP(t)
	all := recordings(t, "seed")
	at := slices.IndexFunc(all, func(r recorded) bool { return r.ID == "X01-new-user" })
	first := start(t, idp.settings(nil))
	if a := first.post(t, "/auth/social-exchange/", idp.body(t, all[at])); a.status != http.StatusOK {
		t.Fatalf("with the provider there: %d %s", a.status, a.body)
	}
	withStore(t, first.dir, func(ctx context.Context, store repo.Repository) { // they are kept a moment after they are used
		for deadline := time.Now().Add(30 * time.Second); ; {
			if _, _, err := store.LoadKeySet(ctx, idp.server.URL+"/jwks.json"); err == nil {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("the keys are not kept: %v", err)
			}
		}
	})
	first.stop(t)
	idp.breaks(func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	again := all[at]
	again.Body = strings.Replace(again.Body, `"expires_in": 300`, `"expires_in": 301`, 1)
	second := startIn(t, first.dir, idp.settings(nil))
	if a := second.post(t, "/auth/social-exchange/", idp.body(t, again)); a.status != http.StatusOK && a.status != http.StatusConflict {
		t.Errorf("after a restart, with the provider gone: %d %s\n%s", a.status, a.body, second.log)
	}
	if a := start(t, idp.settings(nil)).post(t, "/auth/social-exchange/", idp.body(t, again)); a.status != http.StatusServiceUnavailable {
		t.Errorf("a server that never had its keys: %d %s", a.status, a.body)
	}
}
