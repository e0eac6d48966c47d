package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/postgres"
	"github.com/gatehouse-auth/gatehouse/repo/sqlite"
)

const (
	stressClients = 150
	stressFor     = 12 * time.Second // of load, with something killed about every second
)

// stress is a run: a server that is killed and restarted, its clients, and what
// they saw.
type stress struct {
	seed   uint64
	server *server
	url    string // the same for every server of the run
	store  repo.Repository
	until  time.Time

	mu         sync.Mutex
	successors map[string]string // by presented refresh token, the one that came for it
	dead       []stressSession   // whose end was acknowledged
	refreshes  int
	retries    int
	violations []string
	faults     []string // what the servers logged as their own
}

// stressSession is what a client holds.
type stressSession struct {
	user, cookie, csrf string
}

func (s *stress) violated(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

// TestStress lets hundreds of clients refresh, lose answers, race, log off and be
// disabled, while the server and its database are killed and connections cut. It
// then holds what was seen to the promises: no honest client is signed out, no
// acknowledged end is undone, and no refresh token has two successors.
func TestStress(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("GATEHOUSE_TEST_SEED"), 10, 64); err == nil {
		seed = given
	}
	settings := func(more map[string]string) map[string]string {
		all := map[string]string{
			"GATEHOUSE_LISTEN": "127.0.0.1:" + freePort(t), "GATEHOUSE_SERVER_REQUEST_TIMEOUT": "3s",
			"GATEHOUSE_DATABASE_STATEMENT_TIMEOUT": "3s", "GATEHOUSE_PASSWORDS_MAX_QUEUE": "1000",
			"GATEHOUSE_THROTTLE_PER_ACCOUNT_AND_NETWORK": "1000000", "GATEHOUSE_THROTTLE_PER_NETWORK": "1000000", "GATEHOUSE_THROTTLE_PER_ACCOUNT": "1000000",
		}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	t.Run("postgres", func(t *testing.T) {
		c := newCluster(t)
		p := newProxy(t, "127.0.0.1:"+c.port)
		s := start(t, settings(map[string]string{"GATEHOUSE_DATABASE_URL": strings.Replace(c.dsn(), "127.0.0.1:"+c.port, p.address(), 1)}), "--migrate")
		store, err := postgres.Open(postgres.Config{DSN: c.dsn()})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close() //nolint:errcheck // the test ends
		run(t, &stress{seed: seed, server: s, store: store}, p.cutAll, func() {
			c.kill(t)
			c.start(t)
		})
	})
	t.Run("sqlite", func(t *testing.T) {
		s := start(t, settings(nil))
		store, err := sqlite.Open(filepath.Join(s.dir, "gatehouse.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close() //nolint:errcheck // the test ends
		run(t, &stress{seed: seed, server: s, store: store})
	})
}

// run loads the server while the faults happen, and checks what was seen.
func run(t *testing.T, s *stress, faults ...func()) {
	t.Helper()
	t.Logf("seed %d; GATEHOUSE_TEST_SEED repeats it", s.seed)
	s.successors, s.url, s.until = map[string]string{}, s.server.url, time.Now().Add(stressFor)
	for i := range stressClients {
		s.addUser(t, i)
	}
	faults = append(faults, func() { s.crash(t) })
	var wait sync.WaitGroup
	held := make([]stressSession, stressClients)
	for i := range held {
		wait.Go(func() { held[i] = s.client(i) })
	}
	r := rand.New(rand.NewPCG(s.seed, 0))
	crashes := 0
	for time.Now().Before(s.until) {
		time.Sleep(time.Duration(200+r.IntN(1200)) * time.Millisecond) // how often something breaks, not a wait for anything
		faults[r.IntN(len(faults))]()
		crashes++
	}
	wait.Wait()
	s.check(t, held)
	t.Logf("%d clients, %d refreshes, %d of them again after a fault, %d faults, %d sessions ended", stressClients, s.refreshes, s.retries, crashes, len(s.dead))
	s.noteFaults()
	for i, violation := range append(s.violations, s.faults...) {
		if i < 20 {
			t.Error(violation)
		}
	}
}

func (s *stress) addUser(t *testing.T, i int) {
	t.Helper()
	now := time.Now()
	err := s.store.CreateUser(t.Context(), repo.User{
		ID: fmt.Sprint("id", i), Username: fmt.Sprint("user", i), Password: "md5$$228c70bfc5589c58c044e03fff0e17eb", // "legacy"
		IsActive: true, DateJoined: now, UpdatedAt: now,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// crash kills the server and starts it again at once, on the same port.
func (s *stress) crash(t *testing.T) {
	t.Helper()
	if err := s.server.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-s.server.done
	s.noteFaults()
	env := map[string]string{}
	for _, entry := range s.server.env {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "GATEHOUSE_") {
			env[name] = value
		}
	}
	s.server = startIn(t, s.server.dir, env)
}

// noteFaults keeps what a server logged as a fault of its own.
func (s *stress) noteFaults() {
	for line := range strings.Lines(s.server.log.String()) {
		if strings.Contains(line, `"problem":"internal_error"`) {
			s.faults = append(s.faults, line)
		}
	}
}

// send sends a request as often as it takes to be answered. It returns false
// where the run is over first.
func (s *stress) send(path, body string, session stressSession) (answer, bool) {
	for try := 0; ; try++ {
		if try > 0 {
			s.mu.Lock()
			s.retries++
			s.mu.Unlock()
			time.Sleep(20 * time.Millisecond) // as a client does
		}
		if time.Now().After(s.until.Add(40 * time.Second)) {
			s.violated("%s was not answered in forty seconds", path)
			return answer{}, false
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.url+path, strings.NewReader(body))
		if err != nil {
			s.violated("%v", err)
			return answer{}, false
		}
		req.Header.Set("Content-Type", "application/json")
		if session.cookie != "" {
			req.Header.Set("Cookie", "refresh_cookie="+session.cookie)
			req.Header.Set("X-CSRF-Token", session.csrf)
		}
		resp, err := client.Do(req)
		if err != nil {
			continue // the server is down
		}
		read, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode == http.StatusServiceUnavailable {
			continue
		}
		if resp.StatusCode >= http.StatusInternalServerError {
			s.violated("%s is answered %d: %s", path, resp.StatusCode, read)
		}
		return answer{status: resp.StatusCode, header: resp.Header, body: read}, true
	}
}

// held reads what an answer leaves in a browser.
func (a answer) held(user string) stressSession {
	var grant struct {
		CSRF string `json:"CSRF_token"`
	}
	_ = json.Unmarshal(a.body, &grant)
	return stressSession{user: user, cookie: a.cookie("refresh_cookie"), csrf: grant.CSRF}
}

// client is one user's browser: it works until the run is over, and returns the
// session that it then holds.
func (s *stress) client(i int) stressSession {
	r := rand.New(rand.NewPCG(s.seed, uint64(i)+1))
	user := fmt.Sprint("user", i)
	session, ok := s.signIn(user)
	for ok && time.Now().Before(s.until) {
		switch n := r.IntN(100); {
		case n < 2:
			if _, ok = s.send("/auth/logoff/", "", session); ok {
				s.end(session)
				session, ok = s.signIn(user)
			}
		case n < 3:
			session, ok = s.disabled(i, session)
		case n < 20:
			session, ok = s.race(session)
		case n < 35: // the answer is lost
			_, ok = s.refresh(session)
		default:
			session, ok = s.refresh(session)
		}
	}
	if !ok {
		return stressSession{}
	}
	return session
}

func (s *stress) signIn(user string) (stressSession, bool) {
	a, ok := s.send("/auth/sign-in/", `{"username":"`+user+`","password":"legacy"}`, stressSession{})
	if ok && a.status != http.StatusOK {
		s.violated("%s can't sign in: %d %s", user, a.status, a.body)
		return stressSession{}, false
	}
	return a.held(user), ok
}

// refresh presents a session's token, and notes the successor: one token has one.
func (s *stress) refresh(session stressSession) (stressSession, bool) {
	a, ok := s.send("/auth/refresh/", "", session)
	if !ok {
		return session, false
	}
	if a.status != http.StatusOK {
		s.violated("%s, honest, is signed out: %d %s", session.user, a.status, a.body)
		return session, false
	}
	next := a.held(session.user)
	presented, successor := tokenOf(session), tokenOf(next)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshes++
	if before := s.successors[presented]; before != "" && before != successor {
		s.violations = append(s.violations, session.user+": one refresh token has two successors")
	}
	s.successors[presented] = successor
	return next, true
}

// tokenOf is the refresh token in a cookie.
func tokenOf(session stressSession) string {
	token, _, _ := strings.Cut(session.cookie, ":")
	return token
}

// race lets three tabs refresh at once.
func (s *stress) race(session stressSession) (stressSession, bool) {
	var wait sync.WaitGroup
	var tabs [3]stressSession
	var good [3]bool
	for i := range tabs {
		wait.Go(func() { tabs[i], good[i] = s.refresh(session) })
	}
	wait.Wait()
	return tabs[0], good[0] && good[1] && good[2]
}

// end notes that a session's end was acknowledged.
func (s *stress) end(session stressSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = append(s.dead, session)
}

// disabled disables the user, which ends the session, and lets it come back.
func (s *stress) disabled(i int, session stressSession) (stressSession, bool) {
	id := fmt.Sprint("id", i)
	change := func(do func(context.Context, string, repo.AuditEvent) error) bool {
		for time.Now().Before(s.until.Add(40 * time.Second)) {
			e := repo.AuditEvent{ID: fmt.Sprint(id, "-", time.Now().UnixNano()), At: time.Now(), Event: "by_the_test", UserID: id}
			if do(context.Background(), id, e) == nil {
				return true
			}
		}
		return false
	}
	if !change(s.store.DisableUser) {
		return session, false
	}
	s.end(session)
	if a, ok := s.send("/auth/refresh/", "", session); ok && a.status != http.StatusUnauthorized {
		s.violated("%s is disabled, and refreshes: %d", session.user, a.status)
	}
	if !change(s.store.EnableUser) {
		return session, false
	}
	return s.signIn(session.user)
}

// check asks once more for everything, with all faults gone.
func (s *stress) check(t *testing.T, held []stressSession) {
	t.Helper()
	recovered(t, s.server)
	for _, session := range s.dead {
		if a, ok := s.send("/auth/refresh/", "", session); ok && a.status != http.StatusUnauthorized {
			s.violated("%s: an end that was acknowledged is undone: %d", session.user, a.status)
		}
	}
	for _, session := range held {
		if session != (stressSession{}) { // else its client has said why
			s.refresh(session)
		}
	}
	if s.refreshes < stressClients || len(s.dead) == 0 {
		s.violated("the run was too short to show anything: %d refreshes, %d sessions ended", s.refreshes, len(s.dead))
	}
}
