package session_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
)

const address = "alice@example.test"

// linking builds a service that links by e-mail; change may alter its rules.
func linking(t *testing.T, change func(*session.Provider)) *bench {
	t.Helper()
	rules := session.Provider{LinkByEmail: true}
	if change != nil {
		change(&rules)
	}
	return newBench(t, func(c *session.Config) { c.Providers = map[string]session.Provider{"cognito": rules} })
}

// local stores the local user alice, who has proved her address; change may alter her.
func (b *bench) local(t *testing.T, change func(*repo.User)) repo.User {
	t.Helper()
	u := repo.User{ID: "1", Username: "alice", Email: address, EmailVerified: true, FirstName: "Alice", Password: "!", IsActive: true,
		DateJoined: b.time(), UpdatedAt: b.time()}
	if change != nil {
		change(&u)
	}
	must(t, b.store.CreateUser(t.Context(), u))
	return u
}

// comes lets a subject sign in at the provider, and here.
func (b *bench) comes(t *testing.T, subject string, claims cognitotest.Claims) (session.Grant, error) {
	t.Helper()
	id, access := b.pool.Pair(subject, b.time(), claims)
	return b.Exchange(t.Context(), session.IDPTokens{IDToken: id, AccessToken: access}, home)
}

// lastEvent returns the details of the newest event of a name.
func (b *bench) lastEvent(t *testing.T, name string) string {
	t.Helper()
	list, err := b.store.ListEvents(t.Context(), "", 1000)
	must(t, err)
	for _, e := range list {
		if e.Event == name {
			return string(e.Details)
		}
	}
	return ""
}

func TestLinkByEmail(t *testing.T) {
	t.Parallel()
	b := linking(t, nil)
	alice := b.local(t, nil)
	g, err := b.comes(t, "111", cognitotest.Claims{"email": "alice@EXAMPLE.test", "email_verified": "true"})
	must(t, err)
	if g.User.ID != alice.ID || g.User.Username != "alice" || g.User.FirstName != "Alice" {
		t.Errorf("signed in as %+v", g.User)
	}
	b.wantEvents(t, "identity_linked", "sign_in")
	if got := b.lastEvent(t, "identity_linked"); got != fmt.Sprintf(`{"issuer":%q,"method":"cognito","subject":"111"}`, b.pool.Issuer) {
		t.Errorf("recorded %s", got)
	}
	// From now on the subject says who it is, whatever becomes of the address.
	g, err = b.comes(t, "111", cognitotest.Claims{"email": "other@example.test"})
	if err != nil || g.User.ID != alice.ID {
		t.Errorf("later: %q, %v", g.User.ID, err)
	}
}

// TestLinkingRefused has the ways in which others' accounts were taken over by
// an e-mail address (better-auth#9578, keycloak#51004, amplify-js#3899), and
// those in which it is not certain whose the mailbox is. Each makes a user of its own.
func TestLinkingRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rules  func(*session.Provider)
		policy func(*cognito.Config)
		local  func(*repo.User)
		claims cognitotest.Claims
		why    string // the user that is made has another reason than none
	}{
		"linking is not configured":        {rules: func(p *session.Provider) { p.LinkByEmail = false }},
		"unverified at the provider":       {claims: cognitotest.Claims{"email_verified": false}, why: "the provider does not say"},
		"unverified, as text":              {claims: cognitotest.Claims{"email_verified": "false"}, why: "the provider does not say"},
		"the provider does not say":        {claims: cognitotest.Claims{"email_verified": nil}, why: "the provider does not say"},
		"the provider is trusted blindly":  {claims: cognitotest.Claims{"email_verified": nil}, policy: func(c *cognito.Config) { c.TrustEmail = true }, why: "the provider does not say"},
		"unverified locally":               {local: func(u *repo.User) { u.EmailVerified = false }, why: "not verified"},
		"staff":                            {local: func(u *repo.User) { u.IsStaff = true }, why: "staff"},
		"superuser":                        {local: func(u *repo.User) { u.IsSuperuser = true }, why: "staff"},
		"disabled, and unverified locally": {local: func(u *repo.User) { u.IsActive, u.EmailVerified = false, false }, why: "not verified"},
		"another local part":               {claims: cognitotest.Claims{"email": "Alice@example.test"}, why: "local part"},
		"another domain":                   {claims: cognitotest.Claims{"email": "alice@example.test.evil.test"}},
		"another script":                   {claims: cognitotest.Claims{"email": "аlice@example.test"}}, // a Cyrillic а
		"no address":                       {claims: cognitotest.Claims{"email": nil}},
		"no address on either side":        {claims: cognitotest.Claims{"email": nil}, local: func(u *repo.User) { u.Email = "" }},
		"an address in another claim":      {claims: cognitotest.Claims{"email": nil, "upn": address}, policy: func(c *cognito.Config) { c.Claims.Email = []string{"email", "upn"} }, why: "the provider does not say"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchOf(t, func(c *cognito.Config) {
				c.UnverifiedEmail = cognito.AcceptUnverified
				if tc.policy != nil {
					tc.policy(c)
				}
			}, func(c *session.Config) {
				rules := session.Provider{LinkByEmail: true}
				if tc.rules != nil {
					tc.rules(&rules)
				}
				c.Providers = map[string]session.Provider{"cognito": rules}
			})
			victim := b.local(t, tc.local)
			claims := cognitotest.Claims{"email": address}
			for name, value := range tc.claims {
				claims[name] = value
			}
			g, err := b.comes(t, "666", claims)
			if err != nil || g.User.ID == victim.ID {
				t.Fatalf("signed in as %+v, %v", g.User, err)
			}
			kept, err := b.store.FindUser(t.Context(), victim.ID)
			must(t, err)
			if kept.Email != victim.Email || kept.EmailVerified != victim.EmailVerified || kept.IsActive != victim.IsActive {
				t.Errorf("the local user became %+v", kept)
			}
			b.wantEvents(t, "user_created", "sign_in")
			got := b.lastEvent(t, "user_created")
			if (tc.why == "") == strings.Contains(got, "not_linked") || !strings.Contains(got, tc.why) {
				t.Errorf("recorded %s, want it to say %q", got, tc.why)
			}
		})
	}
}

// TestLinkingToADisabledUser has somebody who was locked out come by another
// door, with a mailbox that both sides have proved.
func TestLinkingToADisabledUser(t *testing.T) {
	t.Parallel()
	b := linking(t, nil)
	alice := b.local(t, func(u *repo.User) { u.IsActive = false })
	claims := cognitotest.Claims{"email": address}
	if g, err := b.comes(t, "111", claims); !errors.Is(err, session.ErrAccountDisabled) {
		t.Fatalf("signed in as %+v, %v", g.User, err)
	}
	b.wantEvents(t, "sign_in_failed user_disabled")
	must(t, b.store.EnableUser(t.Context(), alice.ID, repo.AuditEvent{ID: "e", At: b.time(), Event: "user_enabled", UserID: alice.ID}))
	if g, err := b.comes(t, "111", claims); err != nil || g.User.ID != alice.ID {
		t.Errorf("enabled again: %+v, %v", g.User, err)
	}
}

func TestTwoLocalUsersOfOneAddress(t *testing.T) {
	t.Parallel()
	b := linking(t, nil)
	b.local(t, nil)
	// Not even proved, and in another case: still it is open whose the mailbox is.
	b.local(t, func(u *repo.User) {
		u.ID, u.Username, u.Email, u.EmailVerified = "2", "mallory", "ALICE@example.test", false
	})
	g, err := b.comes(t, "111", cognitotest.Claims{"email": address})
	if err != nil || g.User.ID == "1" || g.User.ID == "2" {
		t.Errorf("signed in as %+v, %v", g.User, err)
	}
	if got := b.lastEvent(t, "user_created"); !strings.Contains(got, "several users") {
		t.Errorf("recorded %s", got)
	}
}

func TestLinkStaff(t *testing.T) {
	t.Parallel()
	b := linking(t, func(p *session.Provider) { p.LinkStaff = true })
	admin := b.local(t, func(u *repo.User) { u.IsSuperuser = true })
	g, err := b.comes(t, "111", cognitotest.Claims{"email": address})
	if err != nil || g.User.ID != admin.ID {
		t.Errorf("signed in as %+v, %v", g.User, err)
	}
}

// TestAnotherSubjectOfTheIssuer signs in somebody to whom the provider gave an
// address that was another's before.
func TestAnotherSubjectOfTheIssuer(t *testing.T) {
	t.Parallel()
	b := linking(t, nil)
	alice := b.local(t, nil)
	claims := cognitotest.Claims{"email": address}
	if g, err := b.comes(t, "111", claims); err != nil || g.User.ID != alice.ID {
		t.Fatalf("the first: %+v, %v", g.User, err)
	}
	g, err := b.comes(t, "222", claims)
	if err != nil || g.User.ID == alice.ID {
		t.Errorf("the second signed in as %+v, %v", g.User, err)
	}
	if got := b.lastEvent(t, "user_created"); !strings.Contains(got, "another identity of the provider") {
		t.Errorf("recorded %s", got)
	}
}

// TestAddressChangedToAVictims changes the address at the provider, after the
// link, to that of another local user.
func TestAddressChangedToAVictims(t *testing.T) {
	t.Parallel()
	b := linking(t, nil)
	mallory := b.local(t, func(u *repo.User) { u.ID, u.Username, u.Email = "2", "mallory", "mallory@example.test" })
	victim := b.local(t, nil)
	if g, err := b.comes(t, "666", cognitotest.Claims{"email": mallory.Email}); err != nil || g.User.ID != mallory.ID {
		t.Fatalf("the attacker's own link: %+v, %v", g.User, err)
	}
	g, err := b.comes(t, "666", cognitotest.Claims{"email": address})
	if err != nil || g.User.ID != mallory.ID || g.User.Username != "mallory" {
		t.Errorf("with the victim's address, signed in as %+v, %v", g.User, err)
	}
	// The victim comes for the first time: nobody can tell any more whose the mailbox is.
	g, err = b.comes(t, "111", cognitotest.Claims{"email": address})
	if err != nil || g.User.ID == mallory.ID || g.User.ID == victim.ID {
		t.Errorf("the victim signed in as %+v, %v", g.User, err)
	}
}

// TestFirstSignInsLinkedAtOnce lets one identity come for the first time ten
// times at once.
func TestFirstSignInsLinkedAtOnce(t *testing.T) {
	t.Parallel()
	b := linking(t, nil)
	alice := b.local(t, nil)
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			g, err := b.comes(t, "111", cognitotest.Claims{"email": address})
			if err != nil || g.User.ID != alice.ID {
				t.Errorf("signed in as %q, %v", g.User.ID, err)
			}
		})
	}
	wait.Wait()
	links := 0
	for _, name := range b.events(t) {
		switch name {
		case "identity_linked":
			links++
		case "user_created":
			t.Error("a user was made")
		}
	}
	if links != 1 {
		t.Errorf("%d links were recorded", links)
	}
}

// lateStore changes a user between the look for it and the link, or between the
// look and the following.
type lateStore struct {
	session.Store
	meanwhile func()
	fail      error
}

func (s *lateStore) LinkIdentity(ctx ctx, u repo.User, i repo.Identity, e repo.AuditEvent) (repo.User, bool, error) {
	s.act()
	if s.fail != nil {
		return repo.User{}, false, s.fail
	}
	return s.Store.LinkIdentity(ctx, u, i, e)
}

func (s *lateStore) FollowProfile(ctx ctx, u repo.User, seen stamp) error {
	s.act()
	if s.fail != nil {
		return s.fail
	}
	return s.Store.FollowProfile(ctx, u, seen)
}

func (s *lateStore) FindUsersByEmail(ctx ctx, email string, limit int) ([]repo.User, error) {
	if s.fail != nil && s.meanwhile == nil {
		return nil, s.fail
	}
	return s.Store.FindUsersByEmail(ctx, email, limit)
}

func (s *lateStore) act() {
	if s.meanwhile != nil {
		s.meanwhile()
		s.meanwhile = nil
	}
}

func TestMadeStaffMeanwhile(t *testing.T) {
	t.Parallel()
	var late *lateStore
	b := newBench(t, func(c *session.Config) {
		late = &lateStore{Store: c.Store}
		c.Store, c.Providers = late, map[string]session.Provider{"cognito": {LinkByEmail: true}}
	})
	alice := b.local(t, nil)
	late.meanwhile = func() {
		alice.IsStaff = true
		must(t, b.store.UpdateUser(t.Context(), alice))
	}
	g, err := b.comes(t, "111", cognitotest.Claims{"email": address})
	if err != nil || g.User.ID == alice.ID {
		t.Errorf("signed in as %+v, %v", g.User, err)
	}
}

func TestStoreFailsWhileLinking(t *testing.T) {
	t.Parallel()
	for _, meanwhile := range []func(){nil, func() {}} { // at the look, and at the link
		var late *lateStore
		b := newBench(t, func(c *session.Config) {
			late = &lateStore{Store: c.Store, fail: repo.ErrUnavailable, meanwhile: meanwhile}
			c.Store, c.Providers = late, map[string]session.Provider{"cognito": {LinkByEmail: true}}
		})
		b.local(t, nil)
		if _, err := b.comes(t, "111", cognitotest.Claims{"email": address}); !errors.Is(err, repo.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
}
