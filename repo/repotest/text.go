package repotest

import (
	"errors"
	"testing"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
)

// testUnstorable presents strings that Postgres can't hold. Every store answers
// alike: what is looked for by them is not there, and they can't be stored.
func testUnstorable(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	s := aSession(t, r, u.ID)
	for _, bad := range []string{"a\x00b", "\x00", "a\xffb", "\xed\xa0\x80"} {
		for what, tc := range map[string]struct{ got, want error }{
			"a user by id":          {second(r.FindUser(t.Context(), bad)), repo.ErrNotFound},
			"a user by name":        {second(r.FindUserByUsername(t.Context(), bad)), repo.ErrNotFound},
			"a user by identity":    {second(r.FindUserByIdentity(t.Context(), "https://idp.test", bad)), repo.ErrNotFound},
			"another profile":       {r.FollowProfile(t.Context(), repo.User{ID: u.ID, FirstName: bad}, u.UpdatedAt), repo.ErrText},
			"a session":             {second(r.FindSession(t.Context(), bad)), repo.ErrNotFound},
			"a refresh":             {second(r.RotateSession(t.Context(), bad, 1, at, at)), repo.ErrStale},
			"a late retry":          {r.ForgiveLateRetry(t.Context(), bad, 1, 1, event("x", u.ID)), repo.ErrStale},
			"a password":            {r.SetPassword(t.Context(), bad, "", "p", "", event("x", u.ID)), repo.ErrNotFound},
			"disabling":             {r.DisableUser(t.Context(), bad, event("x", u.ID)), repo.ErrNotFound},
			"deleting":              {r.DeleteUser(t.Context(), bad, event("x", u.ID)), repo.ErrNotFound},
			"a new user":            {r.CreateUser(t.Context(), repo.User{ID: newID(), Username: bad}), repo.ErrText},
			"another name":          {r.UpdateUser(t.Context(), repo.User{ID: u.ID, Username: bad}), repo.ErrText},
			"a user agent":          {r.StartSession(t.Context(), withAgent(u.ID, bad), repo.Proof{}, event("x", u.ID)), repo.ErrText},
			"a known user":          {second(r.StartKnownSession(t.Context(), repo.Session{Issuer: oneIssuer, Subject: bad}, repo.Exchange{}, event("x", ""))), repo.ErrNotFound},
			"a known user's agent":  {second(r.StartKnownSession(t.Context(), withAgent("", bad), repo.Exchange{}, event("x", ""))), repo.ErrText},
			"an event":              {r.RecordEvent(t.Context(), event(bad, u.ID)), repo.ErrText},
			"an attempt":            {second(r.AddAttempts(t.Context(), []string{"k", bad}, at, at)), repo.ErrText},
			"an attempt, back":      {r.TakeBackAttempts(t.Context(), []string{"k", bad}), repo.ErrText},
			"the event of a change": {r.DisableUser(t.Context(), u.ID, event(bad, u.ID)), repo.ErrText},
		} {
			if !errors.Is(tc.got, tc.want) {
				t.Errorf("%s with %q: %v, want %v", what, bad, tc.got, tc.want)
			}
		}
		if ended, err := r.RevokeSession(t.Context(), bad, "x", event("x", u.ID)); err != nil || ended {
			t.Errorf("ending session %q: %t, %v", bad, ended, err)
		}
		if n, err := r.RevokeUserSessions(t.Context(), bad, "", "x", event("x", u.ID)); err != nil || n != 0 {
			t.Errorf("ending the sessions of %q: %d, %v", bad, n, err)
		}
		if list, err := r.SessionAddresses(t.Context(), bad); err != nil || len(list) != 0 {
			t.Errorf("where %q came from: %q, %v", bad, list, err)
		}
		if list, err := r.ListSessions(t.Context(), bad, at); err != nil || len(list) != 0 {
			t.Errorf("the sessions of %q: %d, %v", bad, len(list), err)
		}
	}
	if got := find(t, r, s.ID); !got.User.IsActive || !got.Session.RevokedAt.IsZero() || got.Session.Generation != 1 {
		t.Errorf("something was done: %+v", got)
	}
	if names := events(t, r, u.ID); len(names) != 1 {
		t.Errorf("recorded: %q", names)
	}
}

func withAgent(userID, agent string) repo.Session {
	s := newSession(userID)
	s.UserAgent = agent
	return s
}

// testUnrecorded makes changes whose event can't be stored: the change is not made
// either.
func testUnrecorded(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	s := aSession(t, r, u.ID)
	taken := event("taken", u.ID)
	must(t, r.RecordEvent(t.Context(), taken))
	x := repo.Exchange{Digest: []byte("digest"), ExpiresAt: at}
	for what, err := range map[string]error{
		"a late retry":     r.ForgiveLateRetry(t.Context(), s.ID, 1, 1, taken),
		"ending a session": second(r.RevokeSession(t.Context(), s.ID, "x", taken)),
		"ending all":       second(r.RevokeUserSessions(t.Context(), u.ID, "", "x", taken)),
		"a sign-in":        r.StartSession(t.Context(), newSession(u.ID), repo.Proof{Exchange: &x}, taken),
		"a password":       r.SetPassword(t.Context(), u.ID, "", "new", "", taken),
		"disabling":        r.DisableUser(t.Context(), u.ID, taken),
		"deleting":         r.DeleteUser(t.Context(), u.ID, taken),
	} {
		if !errors.Is(err, repo.ErrConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	got := find(t, r, s.ID)
	u.LastLogin = s.CreatedAt
	if diff := cmp.Diff(repo.SessionUser{Session: s, User: u}, got); diff != "" {
		t.Errorf("something was done (-want +got):\n%s", diff)
	}
	if alive, err := r.ListSessions(t.Context(), u.ID, at); err != nil || len(alive) != 1 {
		t.Errorf("%d sessions, %v", len(alive), err)
	}
	if _, err := r.FindExchange(t.Context(), x.Digest); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("the token counts as used: %v", err)
	}
}
