package repotest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
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
// with a token that was used, or are not active: each gets what it would alone.
func testExchangesAtOnce(t *testing.T, r repo.Repository) {
	const people, kinds = 40, 4
	off := aUser(t, r)
	must(t, r.DisableUser(t.Context(), off.ID, event("user_disabled", off.ID)))
	users := usersOfProvider(t, r, people)
	exchange := func(userID, digest string) error {
		s := newSession(userID)
		s.CreatedAt, s.Issuer, s.Subject = stored(at.Add(time.Minute)), "https://idp.test", userID
		return r.StartSession(background(), s, repo.Proof{Exchange: &repo.Exchange{
			Digest: []byte(digest), SessionID: s.ID, ExpiresAt: at.Add(time.Hour),
		}}, event("sign_in", userID))
	}
	must(t, exchange(users[0].ID, "used"))
	for i, err := range together(people*kinds, func(i int) error {
		u := users[i/kinds]
		switch i % kinds {
		case 2:
			if err := exchange(u.ID, "used"); !errors.Is(err, repo.ErrConflict) {
				return fmt.Errorf("with a used token: %w", err)
			}
			return nil
		case 3:
			if err := exchange(off.ID, fmt.Sprint(i)); !errors.Is(err, repo.ErrNotFound) {
				return fmt.Errorf("of a disabled user: %w", err)
			}
			return nil
		}
		return exchange(u.ID, fmt.Sprint(i))
	}) {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	for _, u := range users[1:] {
		alive, err := r.ListSessions(t.Context(), u.ID, at)
		must(t, err)
		found, err := r.FindUserByIdentity(t.Context(), "https://idp.test", u.ID)
		must(t, err)
		if names := events(t, r, u.ID); len(alive) != 2 || len(names) != 2 || !found.LastLogin.Equal(stored(at.Add(time.Minute))) {
			t.Errorf("%d sessions, %q, the last sign-in at %v, of one who exchanged twice", len(alive), names, found.LastLogin)
		}
	}
}

// usersOfProvider makes users with an identity, whose subject is the user's id.
func usersOfProvider(t *testing.T, r repo.Repository, n int) []repo.User {
	t.Helper()
	users := make([]repo.User, n)
	for i := range users {
		users[i] = repo.User{ID: newID(), Username: newID(), Password: "!", IsActive: true, DateJoined: at, UpdatedAt: at}
		_, _, err := r.CreateUserWithIdentity(t.Context(), users[i], repo.Identity{
			Issuer: "https://idp.test", Subject: users[i].ID, UserID: users[i].ID, Provider: "idp", CreatedAt: at, LastSeenAt: at,
		})
		must(t, err)
	}
	return users
}

// testLookupsAtOnce looks for many identities at once, each by several, among them
// some that nobody has: each finds whom it would find alone.
func testLookupsAtOnce(t *testing.T, r repo.Repository) {
	const people, searches = 40, 400
	users := usersOfProvider(t, r, people)
	for i, err := range together(searches, func(i int) error {
		u := users[i%people]
		for _, nobody := range [][2]string{{"https://idp.test", u.ID + "x"}, {"https://idp.test" + u.ID[:1], u.ID[1:]}, {u.ID, "{NULL,\"}"}} {
			if found, err := r.FindUserByIdentity(background(), nobody[0], nobody[1]); !errors.Is(err, repo.ErrNotFound) {
				return fmt.Errorf("%q is %q: %w", nobody, found.ID, err)
			}
		}
		found, err := r.FindUserByIdentity(background(), "https://idp.test", u.ID)
		if err == nil && (found.ID != u.ID || found.Username != u.Username) {
			err = fmt.Errorf("found %q instead of %q", found.ID, u.ID)
		}
		return err
	}) {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
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
			return r.SetPassword(background(), id, "new", "", e)
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
