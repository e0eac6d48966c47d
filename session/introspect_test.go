package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

func TestIntrospect(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	alice := b.user(t, "alice")
	active := func(token string) bool {
		t.Helper()
		found, err := b.Introspect(t.Context(), token)
		must(t, err)
		if !found.Active && (found.Access.UserID != "" || found.User.ID != "") {
			t.Errorf("of a token that is not active it says %+v", found)
		}
		return found.Active
	}
	g := b.signedIn(t, "alice")
	found, err := b.Introspect(t.Context(), g.AccessToken)
	must(t, err)
	if !found.Active || found.Access.SessionID != g.SessionID || found.User.Username != "alice" || found.Access.Claims["plan"] != "pro" {
		t.Errorf("a good token: %+v", found)
	}
	if active(g.RefreshToken) || active("rubbish") || active("") {
		t.Error("what is no access token is active")
	}
	must(t, b.LogOff(t.Context(), []tokens.Refresh{{SessionID: g.SessionID, UserID: alice.ID}}, home))
	if active(g.AccessToken) {
		t.Error("after a logoff it is active")
	}
	g = b.signedIn(t, "alice")
	b.advance(5 * time.Minute)
	if active(g.AccessToken) {
		t.Error("after its end it is active")
	}
	g = b.signedIn(t, "alice")
	must(t, b.store.DisableUser(t.Context(), alice.ID, repo.AuditEvent{ID: "disabled", At: b.time(), Event: "user_disabled"}))
	must(t, b.store.EnableUser(t.Context(), alice.ID, repo.AuditEvent{ID: "enabled", At: b.time(), Event: "user_enabled"}))
	if active(g.AccessToken) {
		t.Error("after its user was disabled, and enabled again, it is active")
	}
	g = b.signedIn(t, "alice")
	must(t, b.store.DeleteUser(t.Context(), alice.ID, repo.AuditEvent{ID: "deleted", At: b.time(), Event: "user_deleted"}))
	if active(g.AccessToken) {
		t.Error("after its user was deleted it is active")
	}
	must(t, b.store.Close())
	if found, err := b.Introspect(t.Context(), g.AccessToken); err == nil || found.Active {
		t.Errorf("without a store: %+v, %v", found, err)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	billing := repo.Client{ID: "id-of-billing", Name: "billing"}
	revoke := func(token string) {
		t.Helper()
		must(t, b.Revoke(t.Context(), token, billing, home))
	}
	byAccess, byRefresh, late, untouched := b.signedIn(t, "alice"), b.signedIn(t, "alice"), b.signedIn(t, "alice"), b.signedIn(t, "alice")
	revoke(byAccess.AccessToken)
	revoke(byAccess.AccessToken) // again is no event
	revoke(byRefresh.RefreshToken)
	revoke("rubbish")
	revoke("")
	for name, g := range map[string]session.Grant{"access": byAccess, "refresh": byRefresh} {
		out, ok := errors.AsType[*session.SignedOutError](second(b.refresh(t, g.RefreshToken)))
		if !ok || out.Reason != session.ReasonRevoked || out.RevokeReason != session.RevokedByClient {
			t.Errorf("by the %s token: %v", name, out)
		}
	}
	b.advance(5 * time.Minute)
	revoke(untouched.AccessToken) // it has expired
	if _, err := b.refresh(t, untouched.RefreshToken); err != nil {
		t.Errorf("by an access token that has expired: %v", err)
	}
	b.advance(24 * time.Hour)
	revoke(late.RefreshToken) // it names its session still
	b.wantEvents(t, "sign_in", "sign_in", "sign_in", "sign_in", "token_revoked", "token_revoked", "token_revoked")
	must(t, b.store.Close())
	if err := b.Revoke(t.Context(), late.RefreshToken, billing, home); err == nil {
		t.Error("without a store nothing is revoked")
	}
}

// otherTokens are those of another holder of an HS256 secret, who knows no sessions.
type otherTokens struct {
	session.Tokens
	err error
}

func (o otherTokens) VerifyAccess(string, time.Time) (tokens.Access, error) {
	return tokens.Access{UserID: "42"}, o.err
}

func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	var others *otherTokens
	b := newBench(t, func(c *session.Config) {
		others = &otherTokens{Tokens: c.Tokens}
		c.Tokens = others
	})
	if err := b.Revoke(t.Context(), "a.b.c", repo.Client{}, home); !errors.Is(err, session.ErrNotRevocable) {
		t.Errorf("revoking: %v", err)
	}
	if found, err := b.Introspect(t.Context(), "a.b.c"); err != nil || found.Active {
		t.Errorf("introspecting: %+v, %v", found, err)
	}
	others.err = tokens.ErrNotReady
	if err := b.Revoke(t.Context(), "a.b.c", repo.Client{}, home); !errors.Is(err, tokens.ErrNotReady) {
		t.Errorf("revoking without keys: %v", err)
	}
	if _, err := b.Introspect(t.Context(), "a.b.c"); !errors.Is(err, tokens.ErrNotReady) {
		t.Errorf("introspecting without keys: %v", err)
	}
}
