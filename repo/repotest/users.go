package repotest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
)

func testUsers(t *testing.T, r repo.Repository) {
	u := repo.User{
		ID: "42", Username: "alice", Email: "alice@example.test", EmailVerified: true, FirstName: "Alice", LastName: "Ng",
		Password: "encoded", IsActive: true, IsStaff: true, IsSuperuser: true, Attributes: json.RawMessage(`{"plan":"pro"}`),
		DateJoined: at, LastLogin: at.Add(time.Hour), UpdatedAt: at,
	}
	must(t, r.CreateUser(t.Context(), u))
	u.DateJoined, u.LastLogin, u.UpdatedAt = stored(u.DateJoined), stored(u.LastLogin), stored(u.UpdatedAt)
	for how, find := range map[string]func() (repo.User, error){
		"by id":   func() (repo.User, error) { return r.FindUser(t.Context(), "42") },
		"by name": func() (repo.User, error) { return r.FindUserByUsername(t.Context(), "alice") },
	} {
		got, err := find()
		must(t, err)
		if diff := cmp.Diff(u, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", how, diff)
		}
	}
	changed := u
	changed.Email, changed.EmailVerified, changed.FirstName, changed.LastName = "", false, "A", "N"
	changed.IsStaff, changed.IsSuperuser, changed.Attributes, changed.UpdatedAt = false, false, json.RawMessage(`{}`), stored(at.Add(time.Minute))
	changed.Username = "alice2"
	ignored := changed
	ignored.Password, ignored.IsActive, ignored.DateJoined, ignored.LastLogin = "x", false, at.Add(time.Hour), time.Time{}
	must(t, r.UpdateUser(t.Context(), ignored))
	got, err := r.FindUser(t.Context(), "42")
	must(t, err)
	if diff := cmp.Diff(changed, got); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	for what, err := range map[string]error{
		"finding":  second(r.FindUser(t.Context(), "43")),
		"updating": r.UpdateUser(t.Context(), repo.User{ID: "43", Username: "x"}),
	} {
		if !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("%s a user that is not there: %v", what, err)
		}
	}
}

// second drops a result.
func second[T any](_ T, err error) error { return err }

func testUserNames(t *testing.T, r repo.Repository) {
	first, other := aUser(t, r), aUser(t, r)
	twice := first
	twice.ID = newID()
	if err := r.CreateUser(t.Context(), twice); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("a name twice: %v", err)
	}
	twice = first
	twice.Username = "another name"
	if err := r.CreateUser(t.Context(), twice); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("an id twice: %v", err)
	}
	other.Username = first.Username
	if err := r.UpdateUser(t.Context(), other); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("changed to a name that is taken: %v", err)
	}
	for _, name := range []string{strings.ToUpper(first.Username), first.Username + " ", " " + first.Username, strings.Replace(first.Username, "e", "é", 1)} {
		if _, err := r.FindUserByUsername(t.Context(), name); !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("%q finds %q: %v", name, first.Username, err)
		}
		must(t, r.CreateUser(t.Context(), repo.User{ID: newID(), Username: name, DateJoined: at, UpdatedAt: at}))
	}
}

func testListUsers(t *testing.T, r repo.Repository) {
	for i := range 5 {
		must(t, r.CreateUser(t.Context(), repo.User{ID: sprint(i), Username: sprint(i), DateJoined: at, UpdatedAt: at}))
	}
	var got []string
	for after := ""; ; {
		page, err := r.ListUsers(t.Context(), after, 2)
		must(t, err)
		for _, u := range page {
			got = append(got, u.ID)
			after = u.ID
		}
		if len(page) < 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"0000", "0001", "0002", "0003", "0004"}, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func testAccounts(t *testing.T, r repo.Repository) {
	u, other := aUser(t, r), aUser(t, r)
	one, two, others := aSession(t, r, u.ID), aSession(t, r, u.ID), aSession(t, r, other.ID)
	must(t, r.DisableUser(t.Context(), u.ID, event("user_disabled", u.ID)))
	for _, s := range []repo.Session{one, two} {
		if got := find(t, r, s.ID); got.User.IsActive || got.Session.RevokedAt.IsZero() || got.Session.RevokeReason != "user_disabled" {
			t.Errorf("disabled: %+v", got)
		}
	}
	if got := find(t, r, others.ID); !got.Session.RevokedAt.IsZero() {
		t.Error("another user's session was ended too")
	}
	must(t, r.EnableUser(t.Context(), u.ID, event("user_enabled", u.ID)))
	if got := find(t, r, one.ID); !got.User.IsActive || got.Session.RevokedAt.IsZero() {
		t.Errorf("enabled: active %t, the session ended at %v", got.User.IsActive, got.Session.RevokedAt)
	}
	must(t, r.DeleteUser(t.Context(), u.ID, event("user_deleted", u.ID)))
	if _, err := r.FindSession(t.Context(), one.ID); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("a session of a deleted user: %v", err)
	}
	want := []string{"user_deleted", "user_enabled", "user_disabled", "sign_in", "sign_in"}
	if diff := cmp.Diff(want, events(t, r, u.ID)); diff != "" {
		t.Errorf("events, which stay (-want +got):\n%s", diff)
	}
	for what, err := range map[string]error{
		"disabling": r.DisableUser(t.Context(), u.ID, event("x", u.ID)), "enabling": r.EnableUser(t.Context(), u.ID, event("x", u.ID)),
		"deleting": r.DeleteUser(t.Context(), u.ID, event("x", u.ID)), "a password for": r.SetPassword(t.Context(), u.ID, "", "p", "", event("x", u.ID)),
	} {
		if !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("%s a user that is gone: %v", what, err)
		}
	}
	if diff := cmp.Diff(want, events(t, r, u.ID)); diff != "" {
		t.Errorf("what was not done is recorded (-want +got):\n%s", diff)
	}
}

func testPasswords(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	keep, end := aSession(t, r, u.ID), aSession(t, r, u.ID)
	must(t, r.UpgradePassword(t.Context(), u.ID, "!", "better", at))
	if err := r.UpgradePassword(t.Context(), u.ID, "!", "worse", at); !errors.Is(err, repo.ErrStale) {
		t.Errorf("an upgrade of a password that is gone: %v", err)
	}
	if got := find(t, r, end.ID); got.User.Password != "better" || !got.Session.RevokedAt.IsZero() {
		t.Errorf("upgraded: %q, the session ended at %v", got.User.Password, got.Session.RevokedAt)
	}
	if err := r.SetPassword(t.Context(), u.ID, "!", "stolen", keep.ID, event("password_changed", u.ID)); !errors.Is(err, repo.ErrStale) {
		t.Errorf("a change of a password that is gone: %v", err)
	}
	if got := find(t, r, end.ID); got.User.Password != "better" || !got.Session.RevokedAt.IsZero() {
		t.Errorf("after it: %q, the session ended at %v", got.User.Password, got.Session.RevokedAt)
	}
	must(t, r.SetPassword(t.Context(), u.ID, "better", "good", keep.ID, event("password_changed", u.ID)))
	must(t, r.SetPassword(t.Context(), u.ID, "", "new", keep.ID, event("password_changed", u.ID)))
	if got := find(t, r, keep.ID); got.User.Password != "new" || !got.Session.RevokedAt.IsZero() {
		t.Errorf("the session that stays: %+v", got)
	}
	if got := find(t, r, end.ID); got.Session.RevokedAt.IsZero() || got.Session.RevokeReason != "password_changed" {
		t.Errorf("the other session: %+v", got.Session)
	}
}
