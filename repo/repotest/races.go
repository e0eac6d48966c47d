package repotest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
)

// testRotateAndRevoke refreshes without a pause while the session is ended: once
// that has returned, no rotation is acknowledged, and the end stays.
func testRotateAndRevoke(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	for range 10 {
		s := aSession(t, r, u.ID)
		var revoked atomic.Bool
		errs := together(2, func(i int) error {
			if i == 0 {
				ended, err := r.RevokeSession(background(), s.ID, "logoff", event("logoff", u.ID))
				if err == nil && !ended {
					err = errors.New("it was not ended")
				}
				revoked.Store(true)
				return err
			}
			for generation := int64(1); ; generation++ {
				before := revoked.Load()
				_, err := r.RotateSession(background(), s.ID, generation, at, at.Add(time.Hour))
				if errors.Is(err, repo.ErrStale) {
					return nil
				}
				if err == nil && before {
					err = errors.New("a rotation after the end")
				}
				if err != nil {
					return err
				}
			}
		})
		for _, err := range errs {
			must(t, err)
		}
		if got := find(t, r, s.ID).Session; got.RevokedAt.IsZero() || got.RevokeReason != "logoff" {
			t.Errorf("the end is undone: %+v", got)
		}
	}
}

// testRotateMany rotates many sessions of several users again and again, while
// others ask for what can't be: each gets what it would get alone.
func testRotateMany(t *testing.T, r repo.Repository) {
	const people, generations = 60, 5
	gone := aUser(t, r)
	ofGone := aSession(t, r, gone.ID)
	must(t, r.DisableUser(t.Context(), gone.ID, event("disabled", gone.ID)))
	sessions := make([]repo.Session, people)
	for i := range sessions {
		sessions[i] = aSession(t, r, aUser(t, r).ID)
	}
	refused := []string{ofGone.ID, "nobody's", "with \"quotes\", {braces}, \\ and NULL", sessions[0].ID}
	errs := together(people+len(refused), func(i int) error {
		for n := range int64(generations) {
			moment := at.Add(time.Duration(n)*time.Second + time.Duration(i)*time.Microsecond)
			if i >= people {
				if _, err := r.RotateSession(background(), refused[i-people], 99, moment, moment); !errors.Is(err, repo.ErrStale) {
					return fmt.Errorf("%s: %w", refused[i-people], err)
				}
				continue
			}
			s := sessions[i]
			got, err := r.RotateSession(background(), s.ID, n+1, moment, moment.Add(time.Minute))
			if err != nil {
				return err
			}
			if got.Session.ID != s.ID || got.User.ID != s.UserID || got.Session.Generation != n+2 ||
				!got.Session.RotatedAt.Equal(stored(moment)) || !got.Session.IdleExpiresAt.Equal(stored(moment.Add(time.Minute))) {
				return fmt.Errorf("asked for %s of %s, generation %d at %v, and got %+v", s.ID, s.UserID, n+2, moment, got.Session)
			}
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
}

// testExchangesAtOnce lets many exchange at once, among them some who come twice,
// by another provider, with a token that was used, or are not active: each gets what it
// would alone, and what it began is stored as it was given.
func testExchangesAtOnce(t *testing.T, r repo.Repository) {
	const people, kinds = 40, 4
	users := make([]repo.User, people+1)
	for i := range users {
		users[i] = aUserOfTwo(t, r)
	}
	off := users[people]
	must(t, r.DisableUser(t.Context(), off.ID, event("user_disabled", off.ID)))
	var begun, recorded sync.Map // session id: repo.Session, repo.AuditEvent
	exchange := func(issuer, userID, digest string) error {
		s := newSession("")
		s.CreatedAt, s.Issuer, s.Subject, s.UserAgent = stored(at.Add(time.Minute)), issuer, userID, "{\"\\,NULL}"
		s.RotatedAt = s.CreatedAt
		x := repo.Exchange{Digest: []byte(digest), SessionID: s.ID, ExpiresAt: at.Add(time.Hour)}
		e := beginning(s)
		u, err := r.StartKnownSession(background(), s, x, e)
		if err == nil && u.ID != userID {
			err = fmt.Errorf("%q came as %q", userID, u.ID)
		}
		s.UserID, e.UserID = userID, userID
		begun.Store(s.ID, s)
		recorded.Store(s.ID, e)
		return err
	}
	must(t, exchange(oneIssuer, users[0].ID, "used"))
	for i, err := range together(people*kinds, func(i int) error {
		u := users[i/kinds]
		switch i % kinds {
		case 1:
			return exchange(otherIssuer, u.ID, fmt.Sprint(i))
		case 2:
			if err := exchange(oneIssuer, u.ID, "used"); !errors.Is(err, repo.ErrConflict) {
				return fmt.Errorf("with a used token: %w", err)
			}
			return nil
		case 3:
			if err := exchange(oneIssuer, off.ID, fmt.Sprint(i)); !errors.Is(err, repo.ErrNotFound) {
				return fmt.Errorf("of a disabled user: %w", err)
			}
			return nil
		}
		return exchange(oneIssuer, u.ID, fmt.Sprint(i))
	}) {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	for i, u := range users[1:people] {
		alive, err := r.ListSessions(t.Context(), u.ID, at)
		must(t, err)
		found, err := r.FindUserByIdentity(t.Context(), otherIssuer, u.ID)
		must(t, err)
		if names := events(t, r, u.ID); len(alive) != 2 || len(names) != 3 || !found.LastLogin.Equal(stored(at.Add(time.Minute))) {
			t.Errorf("%d: %d sessions, %q, the last sign-in at %v, of one who was linked and exchanged twice", i, len(alive), names, found.LastLogin)
		}
		for _, s := range alive {
			want, _ := begun.Load(s.ID)
			if diff := cmp.Diff(want, any(s)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		}
		list, err := r.ListEvents(t.Context(), u.ID, 2)
		must(t, err)
		for _, e := range list {
			want, _ := recorded.Load(e.SessionID)
			if diff := cmp.Diff(want, any(e)); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
		}
	}
}

// testExchangesOfOne lets one user exchange again and again at once: each gets a
// session, whoever else holds the user's row or has just changed it.
func testExchangesOfOne(t *testing.T, r repo.Repository) {
	const n = 200
	u := aUserOfTwo(t, r)
	for _, err := range together(n, func(i int) error {
		s := newSession("")
		s.Issuer, s.Subject = []string{oneIssuer, otherIssuer}[i%2], u.ID
		x := repo.Exchange{Digest: []byte(fmt.Sprint("one", i)), SessionID: s.ID, ExpiresAt: at.Add(time.Hour)}
		_, err := r.StartKnownSession(background(), s, x, beginning(s))
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	alive, err := r.ListSessions(t.Context(), u.ID, at)
	must(t, err)
	if len(alive) != n {
		t.Errorf("%d sessions of %d", len(alive), n)
	}
}

// The issuers of aUserOfTwo.
const oneIssuer, otherIssuer = "https://idp.test", "https://other.test"

// aUserOfTwo makes a user with an identity at each of two issuers, where the
// subject is the user's id.
func aUserOfTwo(t *testing.T, r repo.Repository) repo.User {
	t.Helper()
	u := repo.User{ID: newID(), Username: newID(), Password: "!", IsActive: true, DateJoined: at, UpdatedAt: at}
	i := repo.Identity{Issuer: oneIssuer, Subject: u.ID, UserID: u.ID, Provider: "one", CreatedAt: at, LastSeenAt: at}
	_, _, err := r.CreateUserWithIdentity(t.Context(), u, i)
	must(t, err)
	i.Issuer, i.Provider = otherIssuer, "other"
	u, _, err = r.LinkIdentity(t.Context(), u, i, event("identity_linked", u.ID))
	must(t, err)
	return u
}

// testStartAndEnd signs somebody in while the account is disabled or deleted, or
// is given another password: whichever comes first, no session that this ends is
// alive afterwards.
func testStartAndEnd(t *testing.T, r repo.Repository) {
	for what, tc := range map[string]struct {
		end   func(id string, e repo.AuditEvent) error
		after error // of a sign-in with what holds then
	}{
		"disabled": {func(id string, e repo.AuditEvent) error { return r.DisableUser(background(), id, e) }, repo.ErrNotFound},
		"deleted":  {func(id string, e repo.AuditEvent) error { return r.DeleteUser(background(), id, e) }, repo.ErrNotFound},
		"another password": {func(id string, e repo.AuditEvent) error {
			return r.SetPassword(background(), id, "", "new", "", e)
		}, nil},
	} {
		for range 10 {
			u := aUser(t, r)
			errs := together(5, func(i int) error {
				if i == 0 {
					return tc.end(u.ID, event("ended", u.ID))
				}
				err := r.StartSession(background(), newSession(u.ID), repo.Proof{Password: u.Password}, event("sign_in", u.ID))
				if errors.Is(err, repo.ErrNotFound) {
					return nil
				}
				return err
			})
			for _, err := range errs {
				must(t, err)
			}
			alive, err := r.ListSessions(t.Context(), u.ID, at)
			must(t, err)
			if len(alive) != 0 {
				t.Errorf("%s, and has %d sessions", what, len(alive))
			}
			err = r.StartSession(t.Context(), newSession(u.ID), repo.Proof{Password: "new"}, event("sign_in", u.ID))
			if !errors.Is(err, tc.after) {
				t.Errorf("%s, and then: %v, want %v", what, err, tc.after)
			}
		}
	}
}

// testSignInsAtOnce lets fifty people sign in at once, each twice.
func testSignInsAtOnce(t *testing.T, r repo.Repository) {
	const people = 50
	users := make([]repo.User, people)
	for i := range users {
		users[i] = aUser(t, r)
	}
	for _, err := range together(2*people, func(i int) error {
		id := users[i%people].ID
		return r.StartSession(background(), newSession(id), repo.Proof{}, event("sign_in", id))
	}) {
		must(t, err)
	}
	for _, u := range users {
		alive, err := r.ListSessions(t.Context(), u.ID, at)
		must(t, err)
		if names := events(t, r, u.ID); len(alive) != 2 || len(names) != 2 {
			t.Errorf("%d sessions and %d events of one who signed in twice", len(alive), len(names))
		}
	}
}
