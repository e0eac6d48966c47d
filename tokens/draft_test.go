package tokens_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// sameTwice issues twice with one draft, and reports whether both are the draft: the ids of all other tokens differ.
func sameTwice(t *testing.T, s *tokens.Service, u tokens.AccessSubject, now, notAfter time.Time) bool {
	t.Helper()
	var issued [2]string
	for i := range issued {
		token, expires, err := s.IssueAccess(u, now, notAfter)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.VerifyAccess(token, now)
		if err != nil || got.UserID != u.UserID || got.SessionID != u.SessionID || !got.ExpiresAt.Equal(expires) || expires.After(notAfter) {
			t.Errorf("issued until %v for %+v: %+v, %v", expires, u, got, err)
		}
		issued[i] = token
	}
	return issued[0] == issued[1]
}

func TestDraft(t *testing.T) {
	t.Parallel()
	end := start.Add(time.Hour)
	tests := map[string]struct {
		subject  tokens.AccessSubject
		now, end time.Time
		want     bool
	}{
		"as drafted":            {alice, start, end, true},
		"the time elsewhere":    {alice, start.In(time.FixedZone("", 3600)), end, true},
		"another user":          {tokens.AccessSubject{UserID: "bob", SessionID: alice.SessionID}, start, end, false},
		"another session":       {tokens.AccessSubject{UserID: alice.UserID, SessionID: "another"}, start, end, false},
		"later":                 {alice, start.Add(time.Nanosecond), end, false},
		"the session ends soon": {alice, start, start.Add(time.Minute), false},
		"custom claims": {tokens.AccessSubject{
			UserID: alice.UserID, SessionID: alice.SessionID, Custom: map[string]any{"plan": "pro"},
		}, start, end, false},
	}
	for _, alg := range []string{tokens.ES256, tokens.RS256} {
		s := service(t, algorithm(alg))
		for name, test := range tests {
			test.subject.Draft = s.DraftAccess(alice.UserID, alice.SessionID, start)
			if got := sameTwice(t, s, test.subject, test.now, test.end); got != test.want {
				t.Errorf("%s, %s: the draft was issued: %v", alg, name, got)
			}
			test.subject.Draft.Drop() // of one that was issued or passed over it changes nothing
		}
	}
	if d := service(t, algorithm(tokens.HS256)).DraftAccess(alice.UserID, alice.SessionID, start); d != nil {
		t.Error("a draft for HS256")
	}
}

func TestDraftDropped(t *testing.T) {
	t.Parallel()
	s := service(t)
	u := alice
	u.Draft = s.DraftAccess(alice.UserID, alice.SessionID, start)
	u.Draft.Drop()
	if sameTwice(t, s, u, start, start.Add(time.Hour)) {
		t.Error("a draft was issued that had been dropped")
	}
}

// A draft that failed is not the last word.
func TestDraftThatFailed(t *testing.T) {
	t.Parallel()
	s, err := tokens.New(config())
	if err != nil {
		t.Fatal(err)
	}
	u := alice
	u.Draft = s.DraftAccess(alice.UserID, alice.SessionID, start)
	if _, _, err := s.IssueAccess(u, start, start.Add(time.Hour)); err == nil {
		t.Fatal("signed without keys")
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sameTwice(t, s, u, start, start.Add(time.Hour)) {
		t.Error("the draft was issued")
	}
}

// While Run runs drafts are signed before anybody asks, but not those that were dropped before.
func TestRunSignsDrafts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := service(t)
		dropped := s.DraftAccess(alice.UserID, alice.SessionID, start)
		dropped.Drop()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		d := s.DraftAccess(alice.UserID, alice.SessionID, start)
		synctest.Wait()
		if !d.Signed() || dropped.Signed() {
			t.Errorf("signed: %v; signed though dropped: %v", d.Signed(), dropped.Signed())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		late := s.DraftAccess(alice.UserID, alice.SessionID, start)
		synctest.Wait()
		if late.Signed() {
			t.Error("signed after the end of Run")
		}
		u := alice
		if u.Draft = late; !sameTwice(t, s, u, start, start.Add(time.Hour)) {
			t.Error("nobody signs it after the end of Run")
		}
	})
}

// More drafts than anybody signs, and than can wait, are issued and dropped from all sides.
func TestManyDrafts(t *testing.T) {
	t.Parallel()
	s := service(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running, clients sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	for i := range 500 {
		clients.Go(func() {
			u := alice
			u.Draft = s.DraftAccess(alice.UserID, alice.SessionID, start)
			if i%3 == 0 {
				u.Draft.Drop()
			}
			token, _, err := s.IssueAccess(u, start, start.Add(time.Hour))
			if err == nil {
				_, err = s.VerifyAccess(token, start)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	cancel()
	running.Wait()
}
