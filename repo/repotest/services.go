package repotest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
)

func testClients(t *testing.T, r repo.Repository) {
	client := func(name string) repo.Client {
		return repo.Client{ID: newID(), Name: name, SecretHash: []byte{0, 255, 1}, CreatedAt: stored(at), RotatedAt: stored(at)}
	}
	billing, accounts := client("billing"), client("Accounts")
	must(t, r.CreateClient(t.Context(), billing, event("client_added", "")))
	must(t, r.CreateClient(t.Context(), accounts, event("client_added", "")))
	for _, taken := range []repo.Client{client("billing"), {ID: billing.ID, Name: "other", SecretHash: []byte{1}}} {
		if err := r.CreateClient(t.Context(), taken, event("client_added", "")); !errors.Is(err, repo.ErrConflict) {
			t.Errorf("a client that is there: %v", err)
		}
	}
	rotated := event("client_rotated", "")
	rotated.At = at.Add(time.Hour)
	must(t, r.RotateClientSecret(t.Context(), "billing", []byte{2}, rotated))
	billing.SecretHash, billing.RotatedAt = []byte{2}, stored(rotated.At)
	found, err := r.FindClient(t.Context(), billing.ID)
	must(t, err)
	if diff := cmp.Diff(billing, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	list, err := r.ListClients(t.Context())
	must(t, err)
	if diff := cmp.Diff([]repo.Client{accounts, billing}, list); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	must(t, r.DeleteClient(t.Context(), "billing", event("client_deleted", "")))
	for what, err := range map[string]error{
		"finding":  second(r.FindClient(t.Context(), billing.ID)),
		"rotating": r.RotateClientSecret(t.Context(), "billing", []byte{3}, event("x", "")),
		"deleting": r.DeleteClient(t.Context(), "billing", event("x", "")),
	} {
		if !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("%s a client that is gone: %v", what, err)
		}
	}
	if diff := cmp.Diff([]string{"client_deleted", "client_rotated", "client_added", "client_added"}, events(t, r, "")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func testRevocations(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	before, since, after, alive := aSession(t, r, u.ID), aSession(t, r, u.ID), aSession(t, r, u.ID), aSession(t, r, u.ID)
	for s, when := range map[string]time.Time{before.ID: at.Add(-time.Second), since.ID: at, after.ID: at.Add(time.Second)} {
		e := event("logoff", u.ID)
		e.At = when
		must(t, second(r.RevokeSession(t.Context(), s, "logoff", e)))
	}
	revoked, err := r.RevokedSessions(t.Context(), stored(at).In(time.FixedZone("", 5*3600)))
	must(t, err)
	slices.Sort(revoked)
	want := []string{since.ID, after.ID}
	slices.Sort(want)
	if diff := cmp.Diff(want, revoked); diff != "" {
		t.Errorf("revoked, without %s (-want +got):\n%s", alive.ID, diff)
	}
}

func testCutoffs(t *testing.T, r repo.Repository) {
	disabled, enabled, deleted, kept := aUser(t, r), aUser(t, r), aUser(t, r), aUser(t, r)
	for _, u := range []repo.User{disabled, enabled, deleted} {
		must(t, r.DisableUser(t.Context(), u.ID, event("user_disabled", u.ID)))
	}
	must(t, r.EnableUser(t.Context(), enabled.ID, event("user_enabled", enabled.ID)))
	gone := event("user_deleted", deleted.ID)
	gone.At = at.Add(time.Second)
	must(t, r.DeleteUser(t.Context(), deleted.ID, gone))
	must(t, r.SetPassword(t.Context(), kept.ID, "", "new", "", event("password_changed", kept.ID)))
	if err := r.DeleteUser(t.Context(), newID(), event("user_deleted", "")); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("deleting nobody: %v", err)
	}
	list := func(since time.Time) []repo.Cutoff {
		t.Helper()
		found, err := r.Cutoffs(t.Context(), since)
		must(t, err)
		slices.SortFunc(found, func(a, b repo.Cutoff) int { return a.At.Compare(b.At) })
		return found
	}
	want := []repo.Cutoff{{UserID: disabled.ID, At: stored(at)}, {UserID: deleted.ID, At: stored(gone.At), Deleted: true}}
	if diff := cmp.Diff(want, list(at)); diff != "" {
		t.Errorf("cut-offs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:], list(gone.At)); diff != "" {
		t.Errorf("cut-offs of a second later (-want +got):\n%s", diff)
	}
	for _, want := range []int{1, 0} {
		if n, err := r.SweepCutoffs(t.Context(), gone.At, 1); err != nil || n != want {
			t.Errorf("%d cut-offs were removed, want %d, %v", n, want, err)
		}
	}
	if diff := cmp.Diff(want[1:], list(time.Time{})); diff != "" {
		t.Errorf("cut-offs after a sweep (-want +got):\n%s", diff)
	}
	deleted.Username, deleted.DateJoined = newID(), gone.At.Add(time.Second)
	_, created, err := r.CreateUserWithIdentity(t.Context(), deleted, repo.Identity{Issuer: "https://idp.test", Subject: newID()})
	if err != nil || !created {
		t.Errorf("who comes back: %t, %v", created, err)
	}
	if diff := cmp.Diff([]repo.Cutoff{{UserID: deleted.ID, At: stored(deleted.DateJoined)}}, list(time.Time{})); diff != "" {
		t.Errorf("cut-offs when the user is back (-want +got):\n%s", diff)
	}
}
