package repotest

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
)

func testIdentities(t *testing.T, r repo.Repository) {
	u := repo.User{ID: newID(), Username: "gina", Password: "!", IsActive: true, Attributes: json.RawMessage(`{}`), DateJoined: at, UpdatedAt: at}
	i := repo.Identity{Issuer: "https://idp.test", Subject: "111", UserID: u.ID, Provider: "cognito", CreatedAt: at, LastSeenAt: at}
	owner, created, err := r.CreateUserWithIdentity(t.Context(), u, i)
	if err != nil || !created || owner.ID != u.ID {
		t.Fatalf("the first time: %q, created %t, %v", owner.ID, created, err)
	}
	found, err := r.FindUserByIdentity(t.Context(), i.Issuer, i.Subject)
	must(t, err)
	if diff := cmp.Diff(owner, found); diff != "" {
		t.Errorf("found (-created +found):\n%s", diff)
	}
	for _, wrong := range [][2]string{{i.Issuer, "112"}, {"https://idp.test/", "111"}, {"HTTPS://IDP.TEST", "111"}} {
		if _, err := r.FindUserByIdentity(t.Context(), wrong[0], wrong[1]); !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("%v finds somebody: %v", wrong, err)
		}
	}
	again := u
	again.ID, again.Username = newID(), "gina2"
	owner, created, err = r.CreateUserWithIdentity(t.Context(), again, i)
	if err != nil || created || owner.ID != u.ID {
		t.Errorf("the second time: %q, created %t, %v", owner.ID, created, err)
	}
	if _, err := r.FindUserByUsername(t.Context(), "gina2"); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("the user that was not needed is there: %v", err)
	}
	other := i
	other.Subject = "222"
	again.Username = "gina"
	if _, _, err := r.CreateUserWithIdentity(t.Context(), again, other); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("a name that is taken: %v", err)
	}
	if _, err := r.FindUserByIdentity(t.Context(), other.Issuer, other.Subject); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("half of it stayed: %v", err)
	}
	must(t, r.DeleteUser(t.Context(), u.ID, event("user_deleted", u.ID)))
	if _, err := r.FindUserByIdentity(t.Context(), i.Issuer, i.Subject); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("an identity of a deleted user: %v", err)
	}
}

// testFirstSignIns lets one identity sign in for the first time fifty times at
// once: it becomes one user.
func testFirstSignIns(t *testing.T, r repo.Repository) {
	var mu sync.Mutex
	owners := map[string]int{}
	made := 0
	errs := together(50, func(int) error {
		u := repo.User{ID: newID(), Username: "gina", Password: "!", IsActive: true, DateJoined: at, UpdatedAt: at}
		owner, created, err := r.CreateUserWithIdentity(background(), u, repo.Identity{
			Issuer: "https://idp.test", Subject: "111", UserID: u.ID, Provider: "cognito", CreatedAt: at, LastSeenAt: at,
		})
		mu.Lock()
		defer mu.Unlock()
		owners[owner.ID]++
		if created {
			made++
		}
		return err
	})
	count(t, errs, func(error) bool { return false })
	if len(owners) != 1 || made != 1 {
		t.Errorf("%d users were made, and %d were returned", made, len(owners))
	}
}

// testFollowProfile stores what a provider says, and nothing over a change that
// its reader has not seen.
func testFollowProfile(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	other := aUser(t, r)
	seen := u.UpdatedAt
	u.Email, u.EmailVerified, u.FirstName, u.LastName = "new@example.test", true, "Gina", "Gold"
	u.Attributes, u.UpdatedAt = json.RawMessage(`{"department":"R&D"}`), stored(at.Add(time.Hour))
	changed := u
	changed.Username, changed.Password, changed.IsStaff, changed.IsActive = "x", "x", true, false
	must(t, r.FollowProfile(t.Context(), changed, seen))
	for _, want := range []repo.User{u, other} {
		found, err := r.FindUser(t.Context(), want.ID)
		must(t, err)
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("afterwards (-want +got):\n%s", diff)
		}
	}
	if err := r.FollowProfile(t.Context(), u, seen); !errors.Is(err, repo.ErrStale) {
		t.Errorf("over what was changed meanwhile: %v", err)
	}
	u.ID = newID()
	if err := r.FollowProfile(t.Context(), u, u.UpdatedAt); !errors.Is(err, repo.ErrStale) {
		t.Errorf("of nobody: %v", err)
	}
}

func testUsersByEmail(t *testing.T, r repo.Repository) {
	var want []string
	for _, email := range []string{"Gina@Example.test", "gina@example.TEST", "gina@example.test.", "ginä@example.test", "GINÄ@example.test", ""} {
		u := repo.User{ID: newID(), Username: newID(), Email: email, DateJoined: at, UpdatedAt: at}
		must(t, r.CreateUser(t.Context(), u))
		want = append(want, u.ID)
	}
	for _, tc := range []struct {
		email string
		limit int
		want  []string
	}{
		{"gina@example.test", 3, want[:2]}, {"GINA@EXAMPLE.TEST", 1, want[:1]}, {"ginä@EXAMPLE.test", 3, want[3:4]},
		{"nobody@example.test", 3, nil}, {"gina%", 3, nil}, {"gina\x00@example.test", 3, nil},
	} {
		found, err := r.FindUsersByEmail(t.Context(), tc.email, tc.limit)
		must(t, err)
		var got []string
		for _, u := range found {
			got = append(got, u.ID)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("the users of %q (-want +got):\n%s", tc.email, diff)
		}
	}
}

// linkable stores a user who has proved an address, and returns it with an
// identity that is not there yet.
func linkable(t *testing.T, r repo.Repository) (repo.User, repo.Identity) {
	t.Helper()
	u := aUser(t, r)
	u.EmailVerified = true
	must(t, r.UpdateUser(t.Context(), u))
	return u, repo.Identity{Issuer: "https://idp.test", Subject: newID(), UserID: u.ID, Provider: "cognito", CreatedAt: at, LastSeenAt: at}
}

func testLinking(t *testing.T, r repo.Repository) {
	u, i := linkable(t, r)
	owner, linked, err := r.LinkIdentity(t.Context(), u, i, event("identity_linked", u.ID))
	if err != nil || !linked || owner.ID != u.ID {
		t.Fatalf("linked %t to %q, %v", linked, owner.ID, err)
	}
	found, err := r.FindUserByIdentity(t.Context(), i.Issuer, i.Subject)
	must(t, err)
	if diff := cmp.Diff(owner, found); diff != "" {
		t.Errorf("found (-linked +found):\n%s", diff)
	}
	if owner, linked, err = r.LinkIdentity(t.Context(), u, i, event("identity_linked", u.ID)); err != nil || linked || owner.ID != u.ID {
		t.Errorf("once more: linked %t to %q, %v", linked, owner.ID, err)
	}
	other, _ := linkable(t, r)
	if owner, linked, err = r.LinkIdentity(t.Context(), other, i, event("identity_linked", other.ID)); err != nil || linked || owner.ID != u.ID {
		t.Errorf("to another user: linked %t to %q, %v", linked, owner.ID, err)
	}
	second := i
	second.Subject = "222"
	if _, _, err := r.LinkIdentity(t.Context(), u, second, event("identity_linked", u.ID)); !errors.Is(err, repo.ErrStale) {
		t.Errorf("another subject of the issuer: %v", err)
	}
	second.Issuer = "https://tenant.test"
	if _, _, err := r.LinkIdentity(t.Context(), u, second, event("identity_linked", u.ID)); !errors.Is(err, repo.ErrStale) {
		t.Errorf("another issuer of the provider: %v", err)
	}
	second.Provider = "other"
	if _, linked, err := r.LinkIdentity(t.Context(), u, second, event("identity_linked", u.ID)); err != nil || !linked {
		t.Errorf("another provider: %t, %v", linked, err)
	}
	if got := events(t, r, u.ID); len(got) != 2 {
		t.Errorf("recorded %q", got)
	}
}

// testLinkingRefused changes the user between the look and the link.
func testLinkingRefused(t *testing.T, r repo.Repository) {
	for what, change := range map[string]func(u repo.User) error{
		"another address": func(u repo.User) error { u.Email = "x@example.test"; return r.UpdateUser(t.Context(), u) },
		"not verified":    func(u repo.User) error { u.EmailVerified = false; return r.UpdateUser(t.Context(), u) },
		"staff":           func(u repo.User) error { u.IsStaff = true; return r.UpdateUser(t.Context(), u) },
		"superuser":       func(u repo.User) error { u.IsSuperuser = true; return r.UpdateUser(t.Context(), u) },
		"disabled":        func(u repo.User) error { return r.DisableUser(t.Context(), u.ID, event("user_disabled", "")) },
		"deleted":         func(u repo.User) error { return r.DeleteUser(t.Context(), u.ID, event("user_deleted", "")) },
	} {
		u, i := linkable(t, r)
		must(t, change(u))
		if _, linked, err := r.LinkIdentity(t.Context(), u, i, event("identity_linked", u.ID)); !errors.Is(err, repo.ErrStale) || linked {
			t.Errorf("%s: linked %t, %v", what, linked, err)
		}
		if _, err := r.FindUserByIdentity(t.Context(), i.Issuer, i.Subject); !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("%s: the identity is there: %v", what, err)
		}
		if got := events(t, r, u.ID); len(got) != 0 {
			t.Errorf("%s: recorded %q", what, got)
		}
	}
}

// testLinksAtOnce links to one user, at once: one identity, twenty times; and
// twenty subjects of one issuer.
func testLinksAtOnce(t *testing.T, r repo.Repository) {
	const n = 20
	for what, tc := range map[string]struct {
		subject func(i int) string
		others  bool // the losers are told whose the identity is
	}{
		"one identity":  {func(int) string { return "111" }, true},
		"many subjects": {sprint, false},
	} {
		u, identity := linkable(t, r)
		identity.Issuer = "https://" + u.ID + ".test"
		var mu sync.Mutex
		made := 0
		errs := together(n, func(i int) error {
			mine := identity
			mine.Subject = tc.subject(i)
			owner, linked, err := r.LinkIdentity(background(), u, mine, event("identity_linked", u.ID))
			if err == nil && owner.ID != u.ID {
				err = errors.New("it is somebody else's")
			}
			mu.Lock()
			defer mu.Unlock()
			if linked {
				made++
			}
			return err
		})
		good, _ := count(t, errs, func(err error) bool { return errors.Is(err, repo.ErrStale) })
		if made != 1 || (good == n) != tc.others || !tc.others && good != 1 {
			t.Errorf("%s: %d links were made, %d calls succeeded", what, made, good)
		}
		if got := events(t, r, u.ID); len(got) != 1 {
			t.Errorf("%s: recorded %q", what, got)
		}
	}
}
