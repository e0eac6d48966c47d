package session_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// statement is the claims of a statement of revocations.
type statement struct {
	IssuedAt       int64            `json:"iat"`
	Expires        int64            `json:"exp"`
	Issuer         string           `json:"iss"`
	AccessLifetime int64            `json:"access_lifetime"`
	Sessions       string           `json:"sessions"`
	Users          map[string]int64 `json:"users"`
}

// readStatement reads one; the signature is package tokens' to test.
func readStatement(t *testing.T, s session.Statement) (read statement) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(string(s.Body), ".")[1])
	must(t, err)
	must(t, json.Unmarshal(raw, &read))
	return read
}

// refuses reports by what a service that verifies tokens itself would refuse one.
func (s statement) refuses(t *testing.T, a tokens.Access) string {
	t.Helper()
	short := func(id string) string { sum := sha256.Sum256([]byte(id)); return string(sum[:8]) }
	packed, err := base64.RawURLEncoding.DecodeString(s.Sessions)
	must(t, err)
	if len(packed)%8 != 0 {
		t.Fatalf("%d bytes of sessions", len(packed))
	}
	by := ""
	for i := 0; i < len(packed); i += 8 {
		if i > 0 && string(packed[i-8:i]) >= string(packed[i:i+8]) {
			t.Error("the sessions are not sorted, or one is there twice")
		}
		if string(packed[i:i+8]) == short(a.SessionID) {
			by += "session"
		}
	}
	if until, ok := s.Users[base64.RawURLEncoding.EncodeToString([]byte(short(a.UserID)))]; ok && a.IssuedAt.Unix() <= until {
		by += "user"
	}
	return by
}

// revocations states what was revoked, with the bench's clock.
func (b *bench) revocations(t *testing.T) *session.Revocations {
	t.Helper()
	r, err := session.NewRevocations(session.RevocationsConfig{
		Store: b.store, Signer: b.tokens, AccessLifetime: 5 * time.Minute, Leeway: 30 * time.Second,
		Interval: 5 * time.Second, MaxAge: 2 * time.Minute, Now: b.time,
	})
	must(t, err)
	return r
}

// TestRevocations ends sessions in every way there is, and asks a service that
// verifies tokens itself about tokens of before and of after, in the same second.
func TestRevocations(t *testing.T) {
	t.Parallel()
	holder := func(t *testing.T, b *bench, g session.Grant) repo.SessionUser {
		t.Helper()
		su, err := b.store.FindSession(t.Context(), g.SessionID)
		must(t, err)
		return su
	}
	tests := []struct {
		name                string
		end                 func(t *testing.T, b *bench, g session.Grant)
		wantOld, wantBeside string // by what the token is refused; and that of another session of the user
		gone                bool   // nobody can sign in afterwards
	}{
		{"nothing", func(*testing.T, *bench, session.Grant) {}, "", "", false},
		{"a logoff", func(t *testing.T, b *bench, g session.Grant) {
			parsed, err := b.Parse([]string{g.RefreshToken})
			must(t, err)
			must(t, b.LogOff(t.Context(), parsed, home))
		}, "session", "", false},
		{"a client's word", func(t *testing.T, b *bench, g session.Grant) {
			must(t, b.Revoke(t.Context(), g.AccessToken, repo.Client{}, home))
		}, "session", "", false},
		{"a stolen refresh token", func(t *testing.T, b *bench, g session.Grant) {
			again := g
			for range 2 {
				var err error
				again, err = b.refresh(t, again.RefreshToken)
				must(t, err)
			}
			if reason := outOf(t, second(b.refresh(t, g.RefreshToken))); reason != session.ReasonSuperseded {
				t.Error(reason)
			}
		}, "session", "", false},
		{"a new password, by itself", func(t *testing.T, b *bench, g session.Grant) {
			must(t, b.ChangePassword(t.Context(), holder(t, b, g), plain, plain, home))
		}, "", "session", false},
		{"a new password, by an administrator", func(t *testing.T, b *bench, g session.Grant) {
			su := holder(t, b, g)
			must(t, b.store.SetPassword(t.Context(), su.User.ID, "", su.User.Password, "", b.event("password_changed", su.User.ID)))
		}, "session", "session", false},
		{"sign out elsewhere", func(t *testing.T, b *bench, g session.Grant) {
			must(t, second(b.EndAll(t.Context(), holder(t, b, g), true, home)))
		}, "", "session", false},
		{"sign out everywhere", func(t *testing.T, b *bench, g session.Grant) {
			must(t, second(b.EndAll(t.Context(), holder(t, b, g), false, home)))
		}, "session", "session", false},
		{"a user who is disabled, and enabled again", func(t *testing.T, b *bench, g session.Grant) {
			u := holder(t, b, g).User.ID
			must(t, b.store.DisableUser(t.Context(), u, b.event("user_disabled", u)))
			must(t, b.store.EnableUser(t.Context(), u, b.event("user_enabled", u)))
		}, "session", "session", false},
		{"a user who is disabled", func(t *testing.T, b *bench, g session.Grant) {
			u := holder(t, b, g).User.ID
			must(t, b.store.DisableUser(t.Context(), u, b.event("user_disabled", u)))
		}, "session", "session", true},
		{"a user who is deleted", func(t *testing.T, b *bench, g session.Grant) {
			u := holder(t, b, g).User.ID
			must(t, b.store.DeleteUser(t.Context(), u, b.event("user_deleted", u)))
		}, "user", "user", true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.user(t, "alice")
			b.user(t, "bob")
			verified := func(g session.Grant) tokens.Access {
				access, err := b.tokens.VerifyAccess(g.AccessToken, b.time())
				must(t, err)
				return access
			}
			g := b.signedIn(t, "alice")
			old, beside, bob := verified(g), verified(b.signedIn(t, "alice")), verified(b.signedIn(t, "bob"))
			tc.end(t, b, g)
			var fresh tokens.Access
			if !tc.gone {
				fresh = verified(b.signedIn(t, "alice")) // in the same second
			}
			made, err := b.revocations(t).Statement(t.Context())
			must(t, err)
			s := readStatement(t, made)
			for name, token := range map[string]struct {
				tokens.Access
				want string
			}{"the token": {old, tc.wantOld}, "one beside it": {beside, tc.wantBeside}, "a fresh one": {fresh, ""}, "another user's": {bob, ""}} {
				if got := s.refuses(t, token.Access); got != token.want {
					t.Errorf("%s is refused by %q, want %q", name, got, token.want)
				}
			}
			if tc.wantOld == "user" { // a replica whose clock is ahead may have issued one with a later time
				old.IssuedAt = b.time().Add(30 * time.Second)
				if got := s.refuses(t, old); got != "user" {
					t.Errorf("one of a clock that is ahead is refused by %q", got)
				}
			}
		})
	}
}

// TestDisabledLongAgo has tokens without a listed session, as an HS256 secret's other
// holder makes them: the cut-off refuses those of before, and no later one.
func TestDisabledLongAgo(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	u := b.user(t, "alice")
	must(t, b.store.DisableUser(t.Context(), u.ID, repo.AuditEvent{ID: "d", At: b.time(), Event: "user_disabled"}))
	made, err := b.revocations(t).Statement(t.Context())
	must(t, err)
	s := readStatement(t, made)
	for age, want := range map[time.Duration]string{time.Second: "user", 0: "", -time.Second: ""} {
		if got := s.refuses(t, tokens.Access{UserID: u.ID, IssuedAt: b.time().Add(-age)}); got != want {
			t.Errorf("issued %v before: refused by %q, want %q", age, got, want)
		}
	}
}

// TestRevocationsStatement reads what it says of itself, and when it is made anew.
func TestRevocationsStatement(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	u := b.user(t, "alice")
	r := b.revocations(t)
	state := func() (session.Statement, statement) {
		t.Helper()
		s, err := r.Statement(t.Context())
		must(t, err)
		return s, readStatement(t, s)
	}
	first, empty := state()
	if empty.Issuer != "https://auth.test" || empty.IssuedAt != b.time().Unix() || empty.Expires != empty.IssuedAt+120 ||
		empty.AccessLifetime != 300 || empty.Sessions != "" || empty.Users == nil || len(empty.Users) != 0 || first.MaxAge != 5*time.Second {
		t.Errorf("before anything was revoked: %+v", empty)
	}
	ended := b.signedIn(t, "alice")
	must(t, b.Revoke(t.Context(), ended.AccessToken, repo.Client{}, home))
	b.signedIn(t, "alice")
	must(t, b.store.DisableUser(t.Context(), u.ID, repo.AuditEvent{ID: "d", At: b.time(), Event: "user_disabled"}))
	b.advance(5*time.Second - time.Millisecond)
	if again, _ := state(); again.ETag != first.ETag || string(again.Body) != string(first.Body) {
		t.Error("within the interval it was made anew")
	}
	b.advance(time.Millisecond)
	later, full := state()
	if later.ETag == first.ETag || len(full.Sessions) != 22 || len(full.Users) != 1 {
		t.Errorf("after the interval: %+v", full)
	}
	b.advance(r.Window() - 5*time.Second)
	if _, last := state(); len(last.Sessions) != 22 || len(last.Users) != 1 {
		t.Errorf("at the end of the window: %+v", last)
	}
	b.advance(5 * time.Second)
	if _, over := state(); over.Sessions != "" || len(over.Users) != 0 {
		t.Errorf("after the window: %+v", over)
	}
	must(t, b.store.Close())
	b.advance(4 * time.Second)
	state() // what it has will do
	b.advance(time.Second)
	if _, err := r.Statement(t.Context()); err == nil {
		t.Error("without a store it states something")
	}
}

// TestRevocationsOfPartsOfASecond states a lifetime that none of the tokens is
// longer than by its own times.
func TestRevocationsOfPartsOfASecond(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for lifetime, want := range map[time.Duration]int64{
		90 * time.Second: 90, 90*time.Second + 1: 91, 90500 * time.Millisecond: 91, 91*time.Second - 1: 91, time.Millisecond: 1,
	} {
		r, err := session.NewRevocations(session.RevocationsConfig{
			Store: b.store, Signer: b.tokens, AccessLifetime: lifetime, Interval: 5 * time.Second, MaxAge: time.Minute, Now: b.time,
		})
		must(t, err)
		made, err := r.Statement(t.Context())
		must(t, err)
		if got := readStatement(t, made).AccessLifetime; got != want {
			t.Errorf("of %v it states %d s, want %d", lifetime, got, want)
		}
	}
}

// slowStore answers when it is told to.
type slowStore struct {
	asked  atomic.Int64
	answer chan error
}

func (s *slowStore) RevokedSessions(context.Context, time.Time) ([]string, error) {
	s.asked.Add(1)
	return nil, <-s.answer
}

func (s *slowStore) Cutoffs(context.Context, time.Time) ([]repo.Cutoff, error) { return nil, nil }

type signer struct{ err error }

func (s signer) SignStatement(string, map[string]any, time.Time) (string, error) {
	return "a.b.c", s.err
}

// TestRevocationsAreMadeOnce lets many ask at once, of whom some go away: one
// statement is made, also when whom it was begun for is gone.
func TestRevocationsAreMadeOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{answer: make(chan error)}
		r, err := session.NewRevocations(session.RevocationsConfig{
			Store: store, Signer: signer{}, AccessLifetime: time.Minute, Interval: 5 * time.Second, MaxAge: time.Minute,
		})
		must(t, err)
		ask := func(ctx context.Context, done chan<- error) {
			_, err := r.Statement(ctx)
			done <- err
		}
		gone, leave := context.WithCancel(t.Context())
		left, stayed := make(chan error, 2), make(chan error, 20)
		go ask(gone, left) // begins it
		synctest.Wait()
		go ask(gone, left) // waits
		for range 20 {
			go ask(t.Context(), stayed)
		}
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, repo.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("who waited and went away: %v", err)
		}
		store.answer <- nil
		must(t, <-left)
		for range 20 {
			must(t, <-stayed)
		}
		if n := store.asked.Load(); n != 1 {
			t.Errorf("%d statements were made", n)
		}
		time.Sleep(5 * time.Second)
		go ask(t.Context(), stayed)
		synctest.Wait()
		store.answer <- repo.ErrUnavailable
		if err := <-stayed; !errors.Is(err, repo.ErrUnavailable) {
			t.Errorf("a store that fails: %v", err)
		}
	})
	good := session.RevocationsConfig{Store: &slowStore{}, Signer: signer{}, AccessLifetime: 1, Interval: 1, MaxAge: 2}
	for name, change := range map[string]func(*session.RevocationsConfig){
		"no store": func(c *session.RevocationsConfig) { c.Store = nil }, "no signer": func(c *session.RevocationsConfig) { c.Signer = nil },
		"no lifetime": func(c *session.RevocationsConfig) { c.AccessLifetime = 0 }, "no interval": func(c *session.RevocationsConfig) { c.Interval = 0 },
		"an age that is over at once": func(c *session.RevocationsConfig) { c.MaxAge = 1 }, "negative leeway": func(c *session.RevocationsConfig) { c.Leeway = -1 },
	} {
		c := good
		change(&c)
		if _, err := session.NewRevocations(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	must(t, second(session.NewRevocations(good)))
}

func TestRevocationsUnsigned(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r, err := session.NewRevocations(session.RevocationsConfig{
		Store: b.store, Signer: signer{tokens.ErrNotReady}, AccessLifetime: time.Minute, Interval: time.Second, MaxAge: time.Minute, Now: b.time,
	})
	must(t, err)
	if _, err := r.Statement(t.Context()); !errors.Is(err, tokens.ErrNotReady) {
		t.Errorf("without keys: %v", err)
	}
}
