package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/claims"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

var errBilling = errors.New("billing is out")

// newFailing returns a bench whose claims come from a function that fails while the switch is on. What is in meanwhile
// happens during each evaluation.
func newFailing(t *testing.T, change func(*session.Config)) (b *bench, fails *atomic.Bool, meanwhile *func()) {
	t.Helper()
	fails, meanwhile = new(atomic.Bool), new(func())
	set, err := claims.New(claims.Config{Function: func(_ context.Context, about claims.Subject) (map[string]any, error) {
		if fails.Load() {
			return nil, errBilling
		}
		if do := *meanwhile; do != nil {
			*meanwhile = nil
			do()
		}
		return map[string]any{"method": about.Session.Method, "session": about.Session.ID}, nil
	}})
	must(t, err)
	b = newBench(t, func(c *session.Config) {
		c.Claims = set
		if change != nil {
			change(c)
		}
	})
	return b, fails, meanwhile
}

// unavailable demands the error that says to try again, and that no session is over for it.
func unavailable(t *testing.T, err error) {
	t.Helper()
	out, isOut := errors.AsType[*session.SignedOutError](err)
	if !errors.Is(err, session.ErrClaimsUnavailable) || !errors.Is(err, errBilling) || isOut {
		t.Fatalf("got %v, %v", err, out)
	}
}

// sessions returns the user's sessions that are alive.
func (b *bench) sessions(t *testing.T, userID string) []repo.Session {
	t.Helper()
	list, err := b.store.ListSessions(t.Context(), userID, b.time())
	must(t, err)
	return list
}

// A sign-in whose claims fail has not happened: no session, no attempt counted, no event of one.
func TestClaimsThatFailAtSignIn(t *testing.T) {
	t.Parallel()
	b, fails, _ := newFailing(t, nil)
	u := b.user(t, "alice")
	fails.Store(true)
	for range 10 { // more than the throttle lets through of wrong ones
		_, err := b.SignIn(t.Context(), "alice", plain, home)
		unavailable(t, err)
	}
	if list, events := b.sessions(t, u.ID), b.events(t); len(list) != 0 || len(events) != 0 {
		t.Errorf("there are %v, and the events %q", list, events)
	}
	fails.Store(false)
	g := b.signedIn(t, "alice")
	access, err := b.tokens.VerifyAccess(g.AccessToken, b.time())
	must(t, err)
	if access.Claims["method"] != "password" || access.Claims["session"] != g.SessionID {
		t.Errorf("the claims are %v", access.Claims)
	}
}

// A pair whose claims failed can be exchanged again. A code can't be redeemed again: its session is there, and waits for
// the retry.
func TestClaimsThatFailAtExchange(t *testing.T) {
	t.Parallel()
	b, fails, _ := newFailing(t, nil)
	fails.Store(true)
	id, access := b.pool.Pair("111", b.time(), nil)
	pair := session.IDPTokens{IDToken: id, AccessToken: access}
	_, err := b.Exchange(t.Context(), pair, home)
	unavailable(t, err)
	u, err := b.store.FindUserByIdentity(t.Context(), b.pool.Issuer, "111")
	must(t, err)
	if list := b.sessions(t, u.ID); len(list) != 0 {
		t.Errorf("there are %v", list)
	}
	c := b.pool.Authorize("222", b.time(), cognitotest.Claims{"nonce": "n"})
	code := session.AuthorizationCode{Code: c.Code, Verifier: c.Verifier, RedirectURI: c.RedirectURI, Nonce: c.Nonce}
	for range 2 {
		_, err = b.ExchangeCode(t.Context(), code, home)
		unavailable(t, err)
	}
	u, err = b.store.FindUserByIdentity(t.Context(), b.pool.Issuer, "222")
	must(t, err)
	waiting := b.sessions(t, u.ID)
	if len(waiting) != 1 {
		t.Fatalf("there are %v", waiting)
	}
	fails.Store(false)
	if _, err := b.Exchange(t.Context(), pair, home); err != nil {
		t.Errorf("the pair again: %v", err)
	}
	g, err := b.ExchangeCode(t.Context(), code, home)
	if err != nil || g.SessionID != waiting[0].ID || !g.User.LastLogin.Equal(b.time()) {
		t.Errorf("the code again: %v, session %s", err, g.SessionID)
	}
}

// However long the claims fail, a session does not move, and its token stays good: nothing is forgiven that would run out.
func TestClaimsThatFailAtRefresh(t *testing.T) {
	t.Parallel()
	b, fails, _ := newFailing(t, func(c *session.Config) { c.Policy.Grace, c.Policy.LateRetries = 0, 0 })
	u := b.user(t, "alice")
	g := b.signedIn(t, "alice")
	before := b.sessions(t, u.ID)
	fails.Store(true)
	for range 5 {
		b.advance(time.Hour)
		_, err := b.refresh(t, g.RefreshToken)
		unavailable(t, err)
	}
	if after := b.sessions(t, u.ID); len(after) != 1 || after[0].Generation != 1 || !after[0].RotatedAt.Equal(before[0].RotatedAt) {
		t.Errorf("the session has moved: %+v", after)
	}
	fails.Store(false)
	next, err := b.refresh(t, g.RefreshToken)
	if err != nil || next.SessionID != g.SessionID || next.RefreshToken == g.RefreshToken {
		t.Fatalf("afterwards: %v", err)
	}
	if _, err := b.refresh(t, next.RefreshToken); err != nil {
		t.Errorf("and once more: %v", err)
	}
}

// A late retry is paid for when its tokens are there.
func TestClaimsThatFailAtALateRetry(t *testing.T) {
	t.Parallel()
	b, fails, _ := newFailing(t, nil)
	u := b.user(t, "alice")
	g := b.signedIn(t, "alice")
	lost, err := b.refresh(t, g.RefreshToken)
	must(t, err)
	b.advance(time.Hour)
	fails.Store(true)
	for range 3 {
		_, err := b.refresh(t, g.RefreshToken)
		unavailable(t, err)
	}
	if list := b.sessions(t, u.ID); len(list) != 1 || list[0].LateRetries != 0 {
		t.Errorf("there are %+v", list)
	}
	fails.Store(false)
	if again, err := b.refresh(t, g.RefreshToken); err != nil || again.RefreshToken != lost.RefreshToken {
		t.Errorf("afterwards: %v", err)
	}
}

// What happens while the claims are asked for counts.
func TestWhatHappensDuringClaims(t *testing.T) {
	t.Parallel()
	b, _, meanwhile := newFailing(t, nil)
	u := b.user(t, "alice")
	g := b.signedIn(t, "alice")
	var other session.Grant
	*meanwhile = func() {
		var err error
		other, err = b.refresh(t, g.RefreshToken)
		if err != nil {
			t.Error(err)
		}
	}
	next, err := b.refresh(t, g.RefreshToken)
	if err != nil || next.RefreshToken != other.RefreshToken {
		t.Errorf("another tab was faster: %v", err)
	}
	*meanwhile = func() {
		must(t, b.store.DisableUser(t.Context(), u.ID, repo.AuditEvent{ID: "e", At: b.time(), Event: "user_disabled", UserID: u.ID}))
	}
	if _, err := b.refresh(t, next.RefreshToken); outOf(t, err) != session.ReasonRevoked && outOf(t, err) != session.ReasonUserDisabled {
		t.Errorf("the user was disabled: %v", err)
	}
}

// What can't be made for this user is no outage: it is said which claim it is and how large, and not what is in it.
func TestClaimsThatCantBeMade(t *testing.T) {
	t.Parallel()
	set, err := claims.New(claims.Config{Rules: []claims.Rule{
		{Name: "services", Attribute: "attributes.services"}, {Name: "first", Expression: "user.attributes.services.filter(s, true)[0]"},
	}})
	must(t, err)
	b := newBench(t, func(c *session.Config) { c.Claims = set })
	u := b.user(t, "alice")
	services := func(text string) {
		t.Helper()
		u.Attributes = json.RawMessage(`{"services":` + text + `}`)
		must(t, b.store.UpdateUser(t.Context(), u))
	}
	services(`["mail"]`)
	g := b.signedIn(t, "alice")
	b.advance(time.Hour)
	for text, want := range map[string]error{`["` + strings.Repeat("secret-value", 400) + `"]`: tokens.ErrTooLarge, `"secret-value"`: claims.ErrEvaluation} {
		services(text)
		_, refreshed := b.refresh(t, g.RefreshToken)
		_, signedIn := b.SignIn(t.Context(), "alice", plain, home)
		for _, err := range []error{refreshed, signedIn} {
			if !errors.Is(err, session.ErrClaims) || !errors.Is(err, want) || errors.Is(err, session.ErrClaimsUnavailable) || strings.Contains(err.Error(), "secret-value") {
				t.Errorf("got %v", err)
			}
			if want == tokens.ErrTooLarge && !strings.Contains(err.Error(), `"services" 4816 bytes, "first" 4811 bytes`) {
				t.Errorf("the error does not say what is so large: %v", err)
			}
		}
	}
	if list := b.sessions(t, u.ID); len(list) != 1 || list[0].Generation != 1 {
		t.Errorf("there are %+v", list)
	}
	services(`["wiki"]`)
	if _, err := b.refresh(t, g.RefreshToken); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
