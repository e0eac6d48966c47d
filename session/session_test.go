package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/claims"
	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/sqlite"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

const plain = "correct horse battery"

// bench is the service over a real store, with a clock that the test moves.
type bench struct {
	*session.Service
	store  *sqlite.Store
	tokens *tokens.Service
	pool   *cognitotest.Pool
	hasher *password.Hasher

	mu  sync.Mutex
	now time.Time
}

var home = session.Client{IP: "203.0.113.7", UserAgent: "Test/1"}

func (b *bench) time() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// newBench builds the service; change may alter its configuration.
func newBench(t *testing.T, change func(*session.Config)) *bench {
	t.Helper()
	return newBenchOf(t, nil, change)
}

// newBenchOf also alters the configuration of the identity provider.
func newBenchOf(t *testing.T, provider func(*cognito.Config), change func(*session.Config)) *bench {
	t.Helper()
	b := &bench{now: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)}
	var err error
	if b.store, err = sqlite.Open(filepath.Join(t.TempDir(), "test.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.store.Close() })
	must(t, b.store.Migrate(t.Context()))
	b.tokens, err = tokens.New(tokens.Config{Issuer: "https://auth.test", Secret: strings.Repeat("s", 32), Keys: b.store, Now: b.time})
	must(t, err)
	must(t, b.tokens.Load(t.Context()))
	b.hasher, err = password.New(password.Config{Memory: 64, Time: 1, MaxQueue: 1000})
	must(t, err)
	b.pool = cognitotest.New()
	t.Cleanup(b.pool.Close)
	pool := cognito.Config{
		Name: "cognito", Issuer: b.pool.Issuer, JWKSURL: b.pool.JWKSURL, ClientIDs: []string{cognitotest.ClientID}, Now: b.time,
		App: &cognito.App{HostedUI: b.pool.HostedUI, ClientID: cognitotest.ClientID, RedirectURIs: []string{cognitotest.RedirectURI}},
	}
	if provider != nil {
		provider(&pool)
	}
	verifier, err := cognito.New(pool)
	must(t, err)
	idps, err := cognito.NewSet(verifier)
	must(t, err)
	custom, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "plan", Attribute: "attributes.plan"}}})
	must(t, err)
	c := session.Config{
		Store: b.store, Tokens: b.tokens, Passwords: b.hasher, IdentityProviders: idps, Claims: custom,
		Policy:          session.Policy{Grace: 30 * time.Second, LateRetries: 1, RefreshLifetime: 24 * time.Hour},
		SessionLifetime: 720 * time.Hour, Now: b.time,
		Limits: session.Limits{Window: 15 * time.Minute, PerAccountAndNetwork: 3, PerNetwork: 6, PerAccount: 5},
	}
	if change != nil {
		change(&c)
	}
	b.Service, err = session.New(c)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// user adds a user with the password.
func (b *bench) user(t *testing.T, name string) repo.User {
	t.Helper()
	encoded, err := b.hasher.Hash(t.Context(), plain)
	must(t, err)
	u := repo.User{ID: "id-" + name, Username: name, Password: encoded, IsActive: true, Attributes: json.RawMessage(`{"plan":"pro"}`), DateJoined: b.time(), UpdatedAt: b.time()}
	must(t, b.store.CreateUser(t.Context(), u))
	return u
}

// signedIn opens a session.
func (b *bench) signedIn(t *testing.T, name string) session.Grant {
	t.Helper()
	g, err := b.SignIn(t.Context(), name, plain, home)
	must(t, err)
	return g
}

// refresh presents refresh tokens.
func (b *bench) refresh(t *testing.T, presented ...string) (session.Grant, error) {
	t.Helper()
	parsed, err := b.Parse(presented)
	if err != nil {
		return session.Grant{}, err
	}
	return b.Refresh(t.Context(), parsed, home)
}

// outOf demands that an error says that the session is over, and returns why.
func outOf(t *testing.T, err error) session.Reason {
	t.Helper()
	out, ok := errors.AsType[*session.SignedOutError](err)
	if !ok {
		t.Fatalf("%v does not say that the session is over", err)
	}
	return out.Reason
}

// event is what a test does to a user beside the service.
func (b *bench) event(name, userID string) repo.AuditEvent {
	return repo.AuditEvent{ID: name + userID, At: b.time(), Event: name, UserID: userID}
}

// events returns the names of all events, the oldest first, each with its reason.
func (b *bench) events(t *testing.T) []string {
	t.Helper()
	list, err := b.store.ListEvents(t.Context(), "", 1000)
	must(t, err)
	var names []string
	for i := range list {
		e := list[len(list)-1-i]
		var details struct{ Reason string }
		must(t, json.Unmarshal(e.Details, &details))
		names = append(names, strings.TrimSuffix(e.Event+" "+details.Reason, " "))
	}
	return names
}

func (b *bench) wantEvents(t *testing.T, want ...string) {
	t.Helper()
	if got := b.events(t); strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	u := b.user(t, "alice")
	g, err := b.SignIn(t.Context(), " alice\n", plain, session.Client{IP: home.IP, UserAgent: "Test\x00/1" + strings.Repeat("ä", 600)})
	must(t, err)
	access, err := b.tokens.VerifyAccess(g.AccessToken, b.time())
	must(t, err)
	if access.UserID != u.ID || access.SessionID != g.SessionID || access.Claims["plan"] != "pro" {
		t.Errorf("the access token says %+v", access)
	}
	if !g.AccessExpires.Equal(b.time().Add(5*time.Minute)) || !g.RefreshExpires.Equal(b.time().Add(24*time.Hour)) || !g.SessionExpires.Equal(b.time().Add(720*time.Hour)) {
		t.Errorf("the lifetimes are %v, %v, %v", g.AccessExpires, g.RefreshExpires, g.SessionExpires)
	}
	su, err := b.store.FindSession(t.Context(), g.SessionID)
	must(t, err)
	if su.Session.Method != "password" || su.Session.IP != home.IP || len(su.Session.UserAgent) != 512 || !su.User.LastLogin.Equal(b.time()) || !g.User.LastLogin.Equal(b.time()) {
		t.Errorf("kept: %+v, last login %v", su.Session, su.User.LastLogin)
	}
	b.wantEvents(t, "sign_in")
}

// twiceStore does what a driver does whose connection breaks after a write was
// committed: it writes again.
type twiceStore struct{ session.Store }

func (s twiceStore) StartSession(ctx context.Context, begun repo.Session, p repo.Proof, e repo.AuditEvent) error {
	return errors.Join(s.Store.StartSession(ctx, begun, p, e), s.Store.StartSession(ctx, begun, p, e))
}

func (s twiceStore) StartKnownSession(ctx context.Context, begun repo.Session, x repo.Exchange, e repo.AuditEvent) (repo.User, error) {
	first, err := s.Store.StartKnownSession(ctx, begun, x, e)
	_, again := s.Store.StartKnownSession(ctx, begun, x, e)
	return first, errors.Join(err, again)
}

func (s twiceStore) RecordEvent(ctx context.Context, e repo.AuditEvent) error {
	return errors.Join(s.Store.RecordEvent(ctx, e), s.Store.RecordEvent(ctx, e))
}

func TestStoredTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *session.Config) { c.Store = twiceStore{c.Store} })
	b.user(t, "alice")
	g := b.signedIn(t, "alice")
	if _, err := b.refresh(t, g.RefreshToken); err != nil {
		t.Error(err)
	}
	for range 2 { // for the first time, and known
		b.advance(time.Second)
		g, err := b.comes(t, "111", nil)
		must(t, err)
		if _, err := b.refresh(t, g.RefreshToken); err != nil {
			t.Error(err)
		}
	}
	b.wantEvents(t, "sign_in", "user_created", "sign_in", "sign_in")
}

// changingStore changes the password of a user, once, between the moment it was
// verified and the moment the session starts.
type changingStore struct {
	session.Store
	change func()
}

func (s *changingStore) StartSession(ctx context.Context, begun repo.Session, p repo.Proof, e repo.AuditEvent) error {
	if change := s.change; change != nil {
		s.change = nil
		change()
	}
	return s.Store.StartSession(ctx, begun, p, e)
}

func TestPasswordChangesDuringSignIn(t *testing.T) {
	t.Parallel()
	var store *changingStore
	b := newBench(t, func(c *session.Config) {
		store = &changingStore{Store: c.Store}
		c.Store = store
	})
	u := b.user(t, "alice")
	again, err := b.hasher.Hash(t.Context(), plain)
	must(t, err)
	store.change = func() { must(t, b.store.UpgradePassword(t.Context(), u.ID, u.Password, again, b.time())) }
	if _, err := b.SignIn(t.Context(), "alice", plain, home); err != nil {
		t.Errorf("encoded anew: %v", err)
	}
	other, err := b.hasher.Hash(t.Context(), "another long password")
	must(t, err)
	store.change = func() {
		must(t, b.store.SetPassword(t.Context(), u.ID, "", other, "", repo.AuditEvent{ID: "x", At: b.time(), Event: "password_changed", UserID: u.ID}))
	}
	if _, err := b.SignIn(t.Context(), "alice", plain, home); !errors.Is(err, session.ErrNoActiveAccount) {
		t.Errorf("changed: %v", err)
	}
	if alive, err := b.store.ListSessions(t.Context(), u.ID, b.time()); err != nil || len(alive) != 0 {
		t.Errorf("%d sessions of the old password, %v", len(alive), err)
	}
	b.wantEvents(t, "sign_in", "sign_in_failed wrong_password", "password_changed")
}

func TestSignInRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *session.Config) { c.Limits.PerAccountAndNetwork, c.Limits.PerNetwork = 100, 100 })
	b.user(t, "alice")
	disabled := b.user(t, "bob")
	must(t, b.store.DisableUser(t.Context(), disabled.ID, repo.AuditEvent{ID: "x", At: b.time(), Event: "user_disabled"}))
	idp := repo.User{ID: "idp", Username: "gina", Password: "!", IsActive: true, DateJoined: b.time(), UpdatedAt: b.time()}
	must(t, b.store.CreateUser(t.Context(), idp))
	for _, tc := range [][2]string{
		{"alice", "wrong"}, {"Alice", plain}, {"nobody", plain}, {"bob", plain}, {"bob", "wrong"}, {"gina", "!"}, {"gina", ""}, {"alice", plain + " "},
	} {
		_, err := b.SignIn(t.Context(), tc[0], tc[1], home)
		if !errors.Is(err, session.ErrNoActiveAccount) || err.Error() != session.ErrNoActiveAccount.Error() {
			t.Errorf("%q with %q: %v", tc[0], tc[1], err)
		}
	}
	b.wantEvents(t, "sign_in_failed wrong_password", "sign_in_failed unknown_user", "sign_in_failed unknown_user", "sign_in_failed user_disabled",
		"sign_in_failed wrong_password", "sign_in_failed wrong_password", "sign_in_failed wrong_password", "sign_in_failed wrong_password", "user_disabled")
}

func TestPasswordIsUpgraded(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	old := "md5$saltsalt$93847d3421eb1d1886ecf543199d5dc6"
	must(t, b.store.CreateUser(t.Context(), repo.User{ID: "1", Username: "m", Password: old, IsActive: true, DateJoined: b.time(), UpdatedAt: b.time()}))
	for range 2 {
		if _, err := b.SignIn(t.Context(), "m", "md5-pass", home); err != nil {
			t.Fatal(err)
		}
		u, err := b.store.FindUser(t.Context(), "1")
		if err != nil || !strings.HasPrefix(u.Password, "argon2$argon2id$") {
			t.Errorf("the password is encoded as %.20q, %v", u.Password, err)
		}
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	u := b.user(t, "alice")
	g := b.signedIn(t, "alice")
	u.Attributes = json.RawMessage(`{"plan":"free"}`)
	must(t, b.store.UpdateUser(t.Context(), u))
	for i := range 3 {
		b.advance(time.Hour)
		next, err := b.refresh(t, g.RefreshToken)
		must(t, err)
		access, err := b.tokens.VerifyAccess(next.AccessToken, b.time())
		must(t, err)
		if access.Claims["plan"] != "free" || access.SessionID != g.SessionID || next.RefreshToken == g.RefreshToken {
			t.Errorf("refresh %d: %+v", i, access)
		}
		if !next.RefreshExpires.Equal(b.time().Add(24*time.Hour)) || !next.SessionExpires.Equal(g.SessionExpires) {
			t.Errorf("refresh %d: the ends are %v, %v", i, next.RefreshExpires, next.SessionExpires)
		}
		g = next
	}
}

// TestRace presents one token many times at once: all get the same successor.
func TestRace(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	g := b.signedIn(t, "alice")
	got := make(chan string, 30)
	var wait sync.WaitGroup
	for range cap(got) {
		wait.Go(func() {
			next, err := b.refresh(t, g.RefreshToken)
			if err != nil {
				t.Error(err)
			}
			got <- next.RefreshToken
		})
	}
	wait.Wait()
	close(got)
	first := <-got
	for token := range got {
		if token != first {
			t.Error("two successors of one token")
		}
	}
	if next, err := b.refresh(t, first); err != nil || next.RefreshToken == first {
		t.Errorf("the successor: %v", err)
	}
}

func TestGraceAndLateRetry(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	old := b.signedIn(t, "alice")
	lost, err := b.refresh(t, old.RefreshToken)
	must(t, err)
	b.advance(29 * time.Second)
	if again, err := b.refresh(t, old.RefreshToken); err != nil || again.RefreshToken != lost.RefreshToken || !again.RefreshExpires.Equal(lost.RefreshExpires) {
		t.Errorf("within the grace: %v", err)
	}
	b.advance(20 * time.Hour)
	for range 3 { // the first pays, the tabs that wake up with it do not
		if again, err := b.refresh(t, old.RefreshToken); err != nil || again.RefreshToken != lost.RefreshToken {
			t.Errorf("a late retry: %v", err)
		}
	}
	b.advance(time.Minute)
	if reason := outOf(t, second(b.refresh(t, old.RefreshToken))); reason != session.ReasonSuperseded {
		t.Errorf("a second late retry: %v", reason)
	}
	if reason := outOf(t, second(b.refresh(t, lost.RefreshToken))); reason != session.ReasonRevoked {
		t.Errorf("the current token afterwards: %v", reason)
	}
	b.wantEvents(t, "sign_in", "refresh_late_retry", "refresh_reuse superseded")
}

// TestTabsThatWakeUpTogether loses one answer, and lets several tabs retry it at
// once, much later: one of them pays.
func TestTabsThatWakeUpTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *session.Config) { c.Policy.LateRetries = 3 })
	b.user(t, "alice")
	old := b.signedIn(t, "alice")
	lost, err := b.refresh(t, old.RefreshToken)
	must(t, err)
	b.advance(time.Hour)
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			if again, err := b.refresh(t, old.RefreshToken); err != nil || again.RefreshToken != lost.RefreshToken {
				t.Errorf("a tab: %v", err)
			}
		})
	}
	wait.Wait()
	su, err := b.store.FindSession(t.Context(), old.SessionID)
	must(t, err)
	if su.Session.LateRetries != 1 {
		t.Errorf("%d late retries were paid for one lost answer", su.Session.LateRetries)
	}
}

func second[T any](_ T, err error) error { return err }

func TestReuse(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	stolen := b.signedIn(t, "alice")
	one, err := b.refresh(t, stolen.RefreshToken)
	must(t, err)
	two, err := b.refresh(t, one.RefreshToken)
	must(t, err)
	if reason := outOf(t, second(b.refresh(t, stolen.RefreshToken))); reason != session.ReasonSuperseded {
		t.Errorf("a token that was superseded twice: %v", reason)
	}
	if reason := outOf(t, second(b.refresh(t, two.RefreshToken))); reason != session.ReasonRevoked {
		t.Errorf("the victim's: %v", reason)
	}
}

func TestHowSessionsEnd(t *testing.T) {
	t.Parallel()
	event := func(b *bench) repo.AuditEvent { return repo.AuditEvent{ID: "x", At: b.time(), Event: "by_the_test"} }
	tests := []struct {
		name string
		end  func(t *testing.T, b *bench, u repo.User, g session.Grant)
		want session.Reason
	}{
		{"logged off", func(t *testing.T, b *bench, _ repo.User, g session.Grant) {
			t.Helper()
			for range 2 { // twice is once
				parsed, err := b.Parse([]string{g.RefreshToken})
				must(t, err)
				must(t, b.LogOff(t.Context(), parsed, home))
			}
		}, session.ReasonRevoked},
		{"idle", func(_ *testing.T, b *bench, _ repo.User, _ session.Grant) { b.advance(24 * time.Hour) }, session.ReasonIdle},
		{"at its end", func(t *testing.T, b *bench, _ repo.User, g session.Grant) {
			t.Helper()
			for range 29 * 24 {
				b.advance(time.Hour)
				var err error
				if g, err = b.refresh(t, g.RefreshToken); err != nil {
					t.Fatal(err)
				}
			}
			b.advance(24*time.Hour - time.Second)
			last, err := b.refresh(t, g.RefreshToken)
			must(t, err)
			if !last.AccessExpires.Equal(g.SessionExpires) || !last.RefreshExpires.Equal(g.SessionExpires) {
				t.Errorf("the last tokens outlive their session: %v, %v, %v", last.AccessExpires, last.RefreshExpires, g.SessionExpires)
			}
			b.advance(time.Second)
		}, session.ReasonExpired},
		{"disabled", func(t *testing.T, b *bench, u repo.User, _ session.Grant) {
			t.Helper()
			must(t, b.store.DisableUser(t.Context(), u.ID, event(b)))
		}, session.ReasonRevoked},
		{"deleted", func(t *testing.T, b *bench, u repo.User, _ session.Grant) {
			t.Helper()
			must(t, b.store.DeleteUser(t.Context(), u.ID, event(b)))
		}, session.ReasonUnknown},
		{"password changed", func(t *testing.T, b *bench, u repo.User, _ session.Grant) {
			t.Helper()
			must(t, b.store.SetPassword(t.Context(), u.ID, "", "!", "", event(b)))
		}, session.ReasonRevoked},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			u := b.user(t, "alice")
			g := b.signedIn(t, "alice")
			tc.end(t, b, u, g)
			if reason := outOf(t, second(b.refresh(t, g.RefreshToken))); reason != tc.want {
				t.Errorf("signed out for %v, want %v", reason, tc.want)
			}
		})
	}
}

// TestSeveralCookies presents what a browser with left-over cookies does.
func TestSeveralCookies(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	dead := b.signedIn(t, "alice")
	parsed, err := b.Parse([]string{dead.RefreshToken})
	must(t, err)
	must(t, b.LogOff(t.Context(), parsed, home))
	b.advance(time.Minute)
	first := b.signedIn(t, "alice")
	second, err := b.refresh(t, first.RefreshToken)
	must(t, err)
	third, err := b.refresh(t, second.RefreshToken)
	must(t, err)
	next, err := b.refresh(t, "garbage", dead.RefreshToken, first.RefreshToken, third.RefreshToken)
	if err != nil || next.SessionID != first.SessionID {
		t.Errorf("an old cookie of the same session kills it: %v", err)
	}
	if reason := outOf(t, func() error { _, err := b.refresh(t, dead.RefreshToken); return err }()); reason != session.ReasonRevoked {
		t.Errorf("a dead one alone: %v", reason)
	}
	for _, presented := range [][]string{nil, {""}, {"garbage"}, {next.AccessToken}} {
		if _, err := b.Parse(presented); !errors.Is(err, session.ErrNotARefreshToken) {
			t.Errorf("%q: %v", presented, err)
		}
	}
	if _, err := b.Refresh(t.Context(), nil, home); !errors.Is(err, session.ErrNotARefreshToken) {
		t.Errorf("nothing presented: %v", err)
	}
}

func TestExchange(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "user-111") // the name is taken
	id, access := b.pool.Pair("111", b.time(), nil)
	g, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
	must(t, err)
	if !strings.HasPrefix(g.User.Username, "user-111-") || g.User.Email != "111@example.test" || !g.User.EmailVerified || g.User.FirstName != "Gina" || g.User.Password != "!" {
		t.Errorf("the new user is %+v", g.User)
	}
	su, err := b.store.FindSession(t.Context(), g.SessionID)
	must(t, err)
	if su.Session.Method != "cognito" || su.Session.Issuer != b.pool.Issuer || su.Session.Subject != "111" {
		t.Errorf("the session is %+v", su.Session)
	}
	if _, err := b.refresh(t, g.RefreshToken); err != nil {
		t.Error(err)
	}
	id, access = b.pool.Pair("111", b.time(), nil)
	again, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
	if err != nil || again.User.ID != g.User.ID || again.SessionID == g.SessionID {
		t.Errorf("the second sign-in: user %q and %q, %v", g.User.ID, again.User.ID, err)
	}
	b.wantEvents(t, "user_created", "sign_in", "sign_in")
}

// TestEmailIsFollowed changes the address at the provider.
func TestEmailIsFollowed(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, tc := range []struct{ email, want any }{
		{"one@example.test", "one@example.test"}, {"two@example.test", "two@example.test"}, {nil, "two@example.test"}, {"no address", "two@example.test"},
	} {
		id, access := b.pool.Pair("111", b.time(), cognitotest.Claims{"email": tc.email})
		g, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
		must(t, err)
		kept, err := b.store.FindUser(t.Context(), g.User.ID)
		must(t, err)
		if g.User.Email != tc.want || kept.Email != tc.want || !kept.EmailVerified {
			t.Errorf("the provider says %v: the grant has %q, the store %q", tc.email, g.User.Email, kept.Email)
		}
	}
}

// TestNobodyIsFoundByEmail signs in with the administrator's address.
func TestNobodyIsFoundByEmail(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	admin := repo.User{ID: "1", Username: "admin", Email: "admin@example.test", EmailVerified: true, Password: "!", IsActive: true, IsSuperuser: true, DateJoined: b.time(), UpdatedAt: b.time()}
	must(t, b.store.CreateUser(t.Context(), admin))
	ids := map[string]bool{admin.ID: true}
	for _, subject := range []string{"222", "333"} {
		id, access := b.pool.Pair(subject, b.time(), cognitotest.Claims{"email": admin.Email})
		g, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
		must(t, err)
		if ids[g.User.ID] || g.User.IsSuperuser {
			t.Errorf("the subject %s became %+v", subject, g.User)
		}
		ids[g.User.ID] = true
	}
}

func TestExchangeAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	id, access := b.pool.Pair("111", b.time(), nil)
	g, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
	must(t, err)
	b.advance(time.Second)
	if again, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home); err != nil || again.SessionID != g.SessionID || again.RefreshToken != g.RefreshToken {
		t.Errorf("the same client's retry: %q, want %q, %v", again.SessionID, g.SessionID, err)
	}
	if _, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, session.Client{IP: "198.51.100.1", UserAgent: home.UserAgent}); !errors.Is(err, session.ErrReplayed) {
		t.Errorf("from elsewhere: %v", err)
	}
	b.advance(time.Minute)
	if _, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home); !errors.Is(err, session.ErrReplayed) {
		t.Errorf("later: %v", err)
	}
	_, err = b.refresh(t, g.RefreshToken)
	must(t, err)
	must(t, b.store.DeleteUser(t.Context(), g.User.ID, repo.AuditEvent{ID: "x", At: b.time(), Event: "user_deleted"}))
	if _, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home); !errors.Is(err, session.ErrReplayed) {
		t.Errorf("after its user was deleted: %v", err)
	}
}

// TestExchangesAtOnce retries one pair ten times at once, and ten new users sign in.
func TestExchangesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	id, access := b.pool.Pair("111", b.time(), nil)
	got := make(chan session.Grant, 10)
	var wait sync.WaitGroup
	for range cap(got) {
		wait.Go(func() {
			g, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
			if err != nil {
				t.Error(err)
			}
			got <- g
		})
	}
	wait.Wait()
	close(got)
	first := <-got
	for g := range got {
		if g.SessionID != first.SessionID || g.RefreshToken != first.RefreshToken || g.User.ID != first.User.ID {
			t.Error("one pair opened two sessions")
		}
	}
}

func TestExchangeRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	id, access := b.pool.Pair("111", b.time(), nil)
	g, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
	must(t, err)
	must(t, b.store.DisableUser(t.Context(), g.User.ID, repo.AuditEvent{ID: "x", At: b.time(), Event: "user_disabled"}))
	id, access = b.pool.Pair("111", b.time(), nil)
	if _, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home); !errors.Is(err, session.ErrAccountDisabled) {
		t.Errorf("somebody who is disabled: %v", err)
	}
	b.wantEvents(t, "user_created", "sign_in", "sign_in_failed user_disabled", "user_disabled")
	if _, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: "garbage", AccessToken: access}, home); !errors.Is(err, cognito.ErrInvalidToken) {
		t.Errorf("garbage: %v", err)
	}
	without := newBench(t, func(c *session.Config) { c.IdentityProviders = nil })
	if _, err := without.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home); !errors.Is(err, cognito.ErrInvalidToken) {
		t.Errorf("without any identity provider: %v", err)
	}
}

func TestExchangeCode(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	authorize := func(subject string) session.AuthorizationCode {
		c := b.pool.Authorize(subject, b.time(), cognitotest.Claims{"nonce": "n"})
		return session.AuthorizationCode{Code: c.Code, Verifier: c.Verifier, RedirectURI: c.RedirectURI, Nonce: c.Nonce}
	}
	code := authorize("111")
	g, err := b.ExchangeCode(t.Context(), code, home)
	must(t, err)
	if g.User.Email != "111@example.test" {
		t.Errorf("the user is %+v", g.User)
	}
	if again, err := b.ExchangeCode(t.Context(), named(code, "cognito"), home); err != nil || again.SessionID != g.SessionID || again.RefreshToken != g.RefreshToken {
		t.Errorf("the same client's retry, though the pool has taken the code: %v", err)
	}
	if _, err := b.ExchangeCode(t.Context(), code, session.Client{IP: "198.51.100.1"}); !errors.Is(err, session.ErrReplayed) {
		t.Errorf("somebody else's retry: %v", err)
	}
	// Somebody behind the same address saw the code go by, and has not the verifier.
	guess := code
	guess.Verifier = authorize("111").Verifier
	if _, err := b.ExchangeCode(t.Context(), guess, home); !errors.Is(err, cognito.ErrCode) {
		t.Errorf("a retry without the verifier: %v", err)
	}
	for name, tc := range map[string]struct {
		change func(c *session.AuthorizationCode)
		want   error
	}{
		"another verifier":     {func(c *session.AuthorizationCode) { c.Verifier += "x" }, cognito.ErrCode},
		"another code":         {func(c *session.AuthorizationCode) { c.Code = "x" }, cognito.ErrCode},
		"another nonce":        {func(c *session.AuthorizationCode) { c.Nonce = "x" }, cognito.ErrNonce},
		"another redirect URI": {func(c *session.AuthorizationCode) { c.RedirectURI = "https://evil.test/" }, cognito.ErrRedirectURI},
	} {
		other := authorize("222")
		tc.change(&other)
		if _, err := b.ExchangeCode(t.Context(), other, home); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := b.ExchangeCode(t.Context(), named(code, "google"), home); !errors.Is(err, cognito.ErrNoApp) {
		t.Errorf("another provider: %v", err)
	}
	if url, err := b.AuthorizeURL(t.Context(), "", cognitotest.RedirectURI); err != nil || !strings.HasPrefix(url, b.pool.HostedUI+"/oauth2/authorize?client_id=") {
		t.Errorf("where to sign in: %q, %v", url, err)
	}
	without := newBench(t, func(c *session.Config) { c.IdentityProviders = nil })
	if _, err := without.AuthorizeURL(t.Context(), "", cognitotest.RedirectURI); !errors.Is(err, cognito.ErrNoApp) {
		t.Errorf("without any provider: %v", err)
	}
	if _, err := without.ExchangeCode(t.Context(), code, home); !errors.Is(err, cognito.ErrNoApp) {
		t.Errorf("without any provider: %v", err)
	}
}

// named is a code of the provider of a name.
func named(code session.AuthorizationCode, idp string) session.AuthorizationCode {
	code.IDP = idp
	return code
}

func TestUserIDFromSubject(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *session.Config) {
		c.Providers = map[string]session.Provider{"cognito": {UserIDFromSubject: true}}
	})
	for _, subject := range []string{"11111111-1111-4111-8111-111111111111", "auth0|123"} {
		id, access := b.pool.Pair(subject, b.time(), cognitotest.Claims{"cognito:username": nil})
		g, err := b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
		if err != nil || g.User.ID != subject || g.User.Username != subject {
			t.Errorf("the user is %q, %q, %v", g.User.ID, g.User.Username, err)
		}
	}
}

// TestSubjectThatIsSomebodysID lets a subject come that a local user has for an
// id: it becomes somebody else.
func TestSubjectThatIsSomebodysID(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *session.Config) {
		c.Providers = map[string]session.Provider{"cognito": {UserIDFromSubject: true}}
	})
	alice := b.user(t, "alice")
	g, err := b.comes(t, alice.ID, nil)
	if err != nil || g.User.ID == alice.ID || g.User.ID == "" {
		t.Errorf("the user is %q, %v", g.User.ID, err)
	}
	if got := b.lastEvent(t, "user_created"); !strings.Contains(got, "id_taken") {
		t.Errorf("recorded %s", got)
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	b.user(t, "bob")
	one, two, bobs := b.signedIn(t, "alice"), b.signedIn(t, "alice"), b.signedIn(t, "bob")
	authenticate := func(g session.Grant) (repo.SessionUser, error) {
		access, err := b.tokens.VerifyAccess(g.AccessToken, b.time())
		must(t, err)
		return b.Authenticate(t.Context(), access)
	}
	su, err := authenticate(one)
	must(t, err)
	if sessions, err := b.List(t.Context(), su); err != nil || len(sessions) != 2 {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
	for _, id := range []string{bobs.SessionID, "nothing"} {
		if _, err := b.End(t.Context(), su, id, home); !errors.Is(err, session.ErrNoSuchSession) {
			t.Errorf("ending %q: %v", id, err)
		}
	}
	for _, want := range []int{1, 0} {
		if n, err := b.End(t.Context(), su, two.SessionID, home); err != nil || n != want {
			t.Errorf("ended %d, want %d, %v", n, want, err)
		}
	}
	if _, err := authenticate(two); !errors.Is(err, session.ErrSessionOver) {
		t.Errorf("with a session that was ended: %v", err)
	}
	b.signedIn(t, "alice")
	if n, err := b.EndAll(t.Context(), su, true, home); err != nil || n != 1 {
		t.Errorf("ended %d others, %v", n, err)
	}
	if n, err := b.EndAll(t.Context(), su, false, home); err != nil || n != 1 {
		t.Errorf("ended %d, %v", n, err)
	}
	if _, err := authenticate(one); !errors.Is(err, session.ErrSessionOver) {
		t.Errorf("after signing out everywhere: %v", err)
	}
	if _, err := b.Authenticate(t.Context(), tokens.Access{SessionID: "nothing"}); !errors.Is(err, session.ErrSessionOver) {
		t.Errorf("with a session that never was: %v", err)
	}
	if _, err := b.Authenticate(t.Context(), tokens.Access{SessionID: bobs.SessionID, UserID: "id-alice"}); !errors.Is(err, session.ErrSessionOver) {
		t.Errorf("with somebody else's session: %v", err)
	}
	_, err = authenticate(bobs)
	must(t, err)
}

// TestLogOffOfWhoLeaves logs off a client that has gone away.
func TestLogOffOfWhoLeaves(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	g := b.signedIn(t, "alice")
	parsed, err := b.Parse([]string{g.RefreshToken})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, b.LogOff(ctx, parsed, home))
	if reason := outOf(t, second(b.refresh(t, g.RefreshToken))); reason != session.ReasonRevoked {
		t.Errorf("afterwards: %v", reason)
	}
}

// TestStoreThatFails takes the store away: every use case says so, and none that the
// session is over.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	g := b.signedIn(t, "alice")
	su, err := b.store.FindSession(t.Context(), g.SessionID)
	must(t, err)
	parsed, err := b.Parse([]string{g.RefreshToken})
	must(t, err)
	id, access := b.pool.Pair("111", b.time(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = b.Exchange(ctx, session.IDPTokens{IDToken: id, AccessToken: access}, home) // fetches the keys
	must(t, err)
	id, access = b.pool.Pair("222", b.time(), nil)
	cancel()
	for name, err := range map[string]error{
		"sign-in": second(b.SignIn(ctx, "alice", plain, home)), "exchange": second(b.Exchange(ctx, session.IDPTokens{IDToken: id, AccessToken: access}, home)),
		"refresh":      second(b.Refresh(ctx, parsed, home)),
		"authenticate": second(b.Authenticate(ctx, tokens.Access{SessionID: g.SessionID})), "list": second(b.List(ctx, su)),
		"end": second(b.End(ctx, su, g.SessionID, home)), "end all": second(b.EndAll(ctx, su, false, home)),
		"password": b.ChangePassword(ctx, su, plain, "another good one", home),
	} {
		if !errors.Is(err, repo.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.refresh(t, g.RefreshToken); err != nil {
		t.Errorf("with the store back: %v", err)
	}
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for name, change := range map[string]func(*session.Config){
		"no store":               func(c *session.Config) { c.Store = nil },
		"no refresh lifetime":    func(c *session.Config) { c.Policy.RefreshLifetime = 0 },
		"a session that is less": func(c *session.Config) { c.SessionLifetime = time.Hour },
		"a negative grace":       func(c *session.Config) { c.Policy.Grace = -1 },
		"no limits":              func(c *session.Config) { c.Limits = session.Limits{} },
	} {
		c := b.Config
		change(&c)
		if _, err := session.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	c := b.Config
	c.Now, c.Logger = nil, nil
	if _, err := session.New(c); err != nil {
		t.Error(err)
	}
}
