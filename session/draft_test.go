package session_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/claims"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// watchedTokens counts the drafts, and those that come to be issued.
type watchedTokens struct {
	session.Tokens
	drafts, issued atomic.Int32
}

func (w *watchedTokens) DraftAccess(userID, sessionID string, now time.Time) *tokens.Draft {
	w.drafts.Add(1)
	return w.Tokens.DraftAccess(userID, sessionID, now)
}

func (w *watchedTokens) IssueAccess(u tokens.AccessSubject, now, notAfter time.Time) (string, time.Time, error) {
	if u.Draft != nil {
		w.issued.Add(1)
	}
	return w.Tokens.IssueAccess(u, now, notAfter)
}

func newWatched(t *testing.T, rules ...claims.Rule) (*bench, *watchedTokens) {
	t.Helper()
	set, err := claims.New(claims.Config{Rules: rules})
	must(t, err)
	w := &watchedTokens{}
	return newBench(t, func(c *session.Config) { w.Tokens = c.Tokens; c.Tokens, c.Claims = w, set }), w
}

// refreshed refreshes, and holds the access token to what it must say.
func (b *bench) refreshed(t *testing.T, token string, userID string) session.Grant {
	t.Helper()
	g, err := b.refresh(t, token)
	must(t, err)
	access, err := b.tokens.VerifyAccess(g.AccessToken, b.time())
	if err != nil || access.UserID != userID || access.SessionID != g.SessionID || !access.ExpiresAt.Equal(g.AccessExpires) || !g.AccessExpires.After(b.time()) {
		t.Errorf("the access token says %+v, %v; granted until %v", access, err, g.AccessExpires)
	}
	return g
}

// Without custom claims the access token is drafted while the store works: at a
// refresh, at its retry, and also where the session ends before the token would.
func TestRefreshDraftsTheToken(t *testing.T) {
	t.Parallel()
	b, w := newWatched(t)
	u := b.user(t, "alice")
	g := b.signedIn(t, "alice")
	if w.drafts.Load() != 0 {
		t.Error("the sign-in drafted")
	}
	next := b.refreshed(t, g.RefreshToken, u.ID)
	again := b.refreshed(t, g.RefreshToken, u.ID)
	if again.RefreshToken != next.RefreshToken || again.AccessToken == next.AccessToken {
		t.Error("a retry must get the same refresh token, and an access token of its own")
	}
	for range 30 {
		b.advance(23*time.Hour + 59*time.Minute)
		next = b.refreshed(t, next.RefreshToken, u.ID)
	}
	b.advance(next.SessionExpires.Sub(b.time()) - time.Minute)
	if next = b.refreshed(t, next.RefreshToken, u.ID); next.AccessExpires.After(next.SessionExpires) {
		t.Error("the token outlives its session")
	}
	if d, i := w.drafts.Load(), w.issued.Load(); d != 33 || i != d {
		t.Errorf("%d drafts, %d of them came to be issued", d, i)
	}
}

// What is refused has no token, drafted or not; an expired token is not drafted for.
func TestRefusedDrafts(t *testing.T) {
	t.Parallel()
	b, w := newWatched(t)
	u := b.user(t, "alice")
	g := b.signedIn(t, "alice")
	must(t, b.store.DisableUser(t.Context(), u.ID, repo.AuditEvent{ID: "e", At: b.time(), Event: "user_disabled", UserID: u.ID}))
	if refused, err := b.refresh(t, g.RefreshToken); err == nil || refused.AccessToken != "" {
		t.Errorf("of a user who is disabled: %v", err)
	}
	b.advance(48 * time.Hour)
	if refused, err := b.refresh(t, g.RefreshToken); err == nil || refused.AccessToken != "" {
		t.Errorf("expired: %v", err)
	}
	if d, i := w.drafts.Load(), w.issued.Load(); d != 1 || i != 0 {
		t.Errorf("%d drafts, %d of them came to be issued", d, i)
	}
}

// Custom claims are the user's as the store gives them: nothing is drafted.
func TestClaimsAreNotDrafted(t *testing.T) {
	t.Parallel()
	b, w := newWatched(t, claims.Rule{Name: "plan", Attribute: "attributes.plan"})
	u := b.user(t, "alice")
	b.refreshed(t, b.signedIn(t, "alice").RefreshToken, u.ID)
	if w.drafts.Load() != 0 {
		t.Error("drafted")
	}
}
