package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/claims"
	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
)

type (
	ctx   = context.Context
	stamp = time.Time
)

func TestNamesAreFollowedWhereConfigured(t *testing.T) {
	t.Parallel()
	for _, follow := range []bool{false, true} {
		b := newBench(t, func(c *session.Config) {
			c.Providers = map[string]session.Provider{"cognito": {FollowNames: follow}}
		})
		_, err := b.comes(t, "111", nil)
		must(t, err)
		for _, tc := range []struct {
			given, family any
			want          string
		}{{"Ada", "Byron", "Ada Byron"}, {nil, "Lovelace", "Ada Lovelace"}, {"\x00", strings.Repeat("x", 151), "Ada Lovelace"}} {
			if !follow {
				tc.want = "Gina Gold"
			}
			g, err := b.comes(t, "111", cognitotest.Claims{"given_name": tc.given, "family_name": tc.family})
			must(t, err)
			kept, err := b.store.FindUser(t.Context(), g.User.ID)
			must(t, err)
			if got := kept.FirstName + " " + kept.LastName; got != tc.want || g.User.FirstName != kept.FirstName {
				t.Errorf("follow %t, the provider says %q %q: the store has %q", follow, tc.given, tc.family, got)
			}
		}
	}
}

// TestAddressOfWhichNothingIsSaid lets what is known of an address stand, where
// the provider no longer says anything of it.
func TestAddressOfWhichNothingIsSaid(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, func(c *cognito.Config) { c.UnverifiedEmail = cognito.AcceptUnverified }, nil)
	for _, tc := range []struct {
		email    string
		verified any
		want     bool
	}{
		{"one@example.test", true, true}, {"one@example.test", nil, true}, {"one@example.test", false, false},
		{"one@example.test", true, true}, {"two@example.test", nil, false},
	} {
		g, err := b.comes(t, "111", cognitotest.Claims{"email": tc.email, "email_verified": tc.verified})
		if err != nil || g.User.Email != tc.email || g.User.EmailVerified != tc.want {
			t.Errorf("%s, verified %v: %q %t, %v", tc.email, tc.verified, g.User.Email, g.User.EmailVerified, err)
		}
	}
}

func TestAttributesAreCopied(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, func(c *cognito.Config) {
		c.Claims.Attributes = map[string]string{"department": "custom:department", "level": "level", "big": "big"}
	}, nil)
	g, err := b.comes(t, "111", cognitotest.Claims{"custom:department": "R&D", "level": 12})
	must(t, err)
	u := g.User // the owner adds to it
	u.Attributes = json.RawMessage(fmt.Sprintf(`{"department": "R\u0026D", "level": 12, "exact": 12345678901234567890, "note": %q}`, strings.Repeat("x", 10_000)))
	must(t, b.store.UpdateUser(t.Context(), u))
	long := strings.Repeat("y", 1000)
	for _, tc := range []struct {
		claims       cognitotest.Claims
		want, absent string
	}{
		{cognitotest.Claims{"custom:department": "R&D"}, `"R\u0026D", "level": 12, `, "Sales"}, // not even written anew
		{cognitotest.Claims{"custom:department": "Sales", "level": nil}, `{"department":"Sales","exact":12345678901234567890,"level":12,"note":"xxx`, "R"},
		{cognitotest.Claims{"big": []string{long, long}}, `"big":["yyy`, "R"},
		{cognitotest.Claims{"big": []string{long, long, long, long, long, long, long}, "level": 13}, `"level":12`, `"level":13`}, // more than is kept
	} {
		g, err := b.comes(t, "111", tc.claims)
		must(t, err)
		kept, err := b.store.FindUser(t.Context(), g.User.ID)
		must(t, err)
		if got := string(kept.Attributes); !strings.Contains(got, tc.want) ||
			strings.Contains(got, tc.absent) || got != string(g.User.Attributes) {
			t.Errorf("the attributes are %.200s, want %s", got, tc.want)
		}
	}
}

// TestFollowingLosesNoChange changes a user between the look and the following.
func TestFollowingLosesNoChange(t *testing.T) {
	t.Parallel()
	var late *lateStore
	b := newBench(t, func(c *session.Config) { late = &lateStore{Store: c.Store}; c.Store = late })
	g, err := b.comes(t, "111", nil)
	must(t, err)
	b.advance(time.Second)
	late.meanwhile = func() {
		u := g.User
		u.FirstName, u.UpdatedAt = "Ada", b.time()
		must(t, b.store.UpdateUser(t.Context(), u))
	}
	b.advance(time.Second)
	g, err = b.comes(t, "111", cognitotest.Claims{"email": "new@example.test"})
	if err != nil || g.User.FirstName != "Ada" || g.User.Email != "new@example.test" {
		t.Errorf("%+v, %v", g.User, err)
	}
	late.meanwhile = func() {
		must(t, b.store.DeleteUser(t.Context(), g.User.ID, repo.AuditEvent{ID: "x", At: b.time(), Event: "user_deleted"}))
	}
	if _, err := b.comes(t, "111", cognitotest.Claims{"email": "newer@example.test"}); !errors.Is(err, session.ErrAccountDisabled) {
		t.Errorf("deleted meanwhile: %v", err)
	}
}

// brokenStore can't follow a profile.
type brokenStore struct{ session.Store }

func (brokenStore) FollowProfile(ctx, repo.User, stamp) error { return repo.ErrUnavailable }

// TestFollowingFails has a known user sign in whose profile can't be followed: the
// retry of the same pair gets the session that was opened.
func TestFollowingFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *session.Config) { c.Store = brokenStore{c.Store} })
	first, err := b.comes(t, "111", nil)
	must(t, err)
	b.advance(time.Second)
	id, access := b.pool.Pair("111", b.time(), cognitotest.Claims{"email": "new@example.test"})
	pair := session.IDPTokens{IDToken: id, AccessToken: access}
	if _, err := b.Exchange(t.Context(), pair, home); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("the address can't be followed: %v", err)
	}
	g, err := b.Exchange(t.Context(), pair, home)
	if err != nil || g.User.ID != first.User.ID || g.User.Email != "111@example.test" || len(b.sessions(t, g.User.ID)) != 2 {
		t.Errorf("again: %+v, %v", g.User, err)
	}
}

func TestNothingOfADisabledUserIsFollowed(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	g, err := b.comes(t, "111", nil)
	must(t, err)
	must(t, b.store.DisableUser(t.Context(), g.User.ID, repo.AuditEvent{ID: "x", At: b.time(), Event: "user_disabled"}))
	if _, err := b.comes(t, "111", cognitotest.Claims{"email": "new@example.test"}); !errors.Is(err, session.ErrAccountDisabled) {
		t.Errorf("signed in: %v", err)
	}
	kept, err := b.store.FindUser(t.Context(), g.User.ID)
	if err != nil || kept.Email != "111@example.test" {
		t.Errorf("the address is %q, %v", kept.Email, err)
	}
}

// TestNoClaimMakesStaff copies claims into attributes that are called as the
// columns are: attributes they stay.
func TestNoClaimMakesStaff(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, func(c *cognito.Config) {
		c.Claims.Attributes = map[string]string{"is_staff": "is_staff", "is_superuser": "is_superuser", "is_active": "is_active", "id": "id", "password": "password"}
	}, nil)
	said := cognitotest.Claims{"is_staff": true, "is_superuser": true, "is_active": false, "id": "1", "password": "x"}
	for range 2 { // made, and followed
		g, err := b.comes(t, "111", said)
		must(t, err)
		kept, err := b.store.FindUser(t.Context(), g.User.ID)
		must(t, err)
		if kept.IsStaff || kept.IsSuperuser || !kept.IsActive || kept.ID == "1" || kept.Password != "!" || !strings.Contains(string(kept.Attributes), `"is_staff":true`) {
			t.Errorf("the user became %+v", kept)
		}
	}
}

// TestAttributesThatAreNone has a user whose attributes are no object, as no
// command makes them: the sign-in neither fails nor overwrites them.
func TestAttributesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{`null`, `[]`, `"x"`} {
		b := newBenchOf(t, func(c *cognito.Config) { c.Claims.Attributes = map[string]string{"level": "level"} },
			func(c *session.Config) {
				none, err := claims.New(claims.Config{})
				must(t, err)
				c.Claims = none
			})
		g, err := b.comes(t, "111", nil)
		must(t, err)
		u := g.User
		u.Attributes = json.RawMessage(broken)
		must(t, b.store.UpdateUser(t.Context(), u))
		if g, err = b.comes(t, "111", cognitotest.Claims{"level": 1}); err != nil || string(g.User.Attributes) != broken {
			t.Errorf("%s: %s, %v", broken, g.User.Attributes, err)
		}
	}
}

// TestAUsedPairChangesNothing presents a pair again after the provider has said
// something else, and after its user was deleted.
func TestAUsedPairChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, func(c *cognito.Config) { c.Claims.Attributes = map[string]string{"role": "custom:role"} }, func(c *session.Config) {
		c.Providers = map[string]session.Provider{"cognito": {FollowNames: true}}
	})
	id, access := b.pool.Pair("111", b.time(), cognitotest.Claims{"custom:role": "admin", "email": "old@example.test", "given_name": "Old"})
	old := session.IDPTokens{IDToken: id, AccessToken: access}
	_, err := b.Exchange(t.Context(), old, home)
	must(t, err)
	g, err := b.comes(t, "111", cognitotest.Claims{"custom:role": "user", "email": "new@example.test", "given_name": "New"})
	must(t, err)
	b.advance(time.Minute)
	if _, err := b.Exchange(t.Context(), old, home); !errors.Is(err, session.ErrReplayed) {
		t.Errorf("again: %v", err)
	}
	kept, err := b.store.FindUser(t.Context(), g.User.ID)
	if err != nil || string(kept.Attributes) != `{"role":"user"}` || kept.Email != "new@example.test" || kept.FirstName != "New" {
		t.Errorf("the user became %+v, %v", kept, err)
	}
	must(t, b.store.DeleteUser(t.Context(), g.User.ID, repo.AuditEvent{ID: "x", At: b.time(), Event: "user_deleted"}))
	if _, err := b.Exchange(t.Context(), old, home); !errors.Is(err, session.ErrReplayed) {
		t.Errorf("after its user was deleted: %v", err)
	}
	if users, err := b.store.ListUsers(t.Context(), "", 10); err != nil || len(users) != 0 {
		t.Errorf("%d users came back, %v", len(users), err)
	}
}
