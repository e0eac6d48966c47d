package repotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
)

func cancelled() (context.Context, context.CancelFunc) {
	return context.WithCancel(context.Background())
}

func testSweeping(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	alive, idle, revoked, recently := newSession(u.ID), newSession(u.ID), newSession(u.ID), newSession(u.ID)
	idle.IdleExpiresAt = stored(at.Add(-time.Second))
	for _, s := range []repo.Session{alive, idle, revoked, recently} {
		must(t, r.StartSession(t.Context(), s, repo.Proof{}, event("sign_in", u.ID)))
	}
	for s, when := range map[string]time.Time{revoked.ID: at.Add(-time.Second), recently.ID: at} {
		e := event("logoff", u.ID)
		e.At = when
		_, err := r.RevokeSession(t.Context(), s, "logoff", e)
		must(t, err)
	}
	removed, steps := 0, 0
	for after := ""; ; steps++ {
		swept, err := r.SweepSessions(t.Context(), at, after, 3)
		must(t, err)
		removed += swept.Removed
		if after = swept.Next; after == "" {
			break
		}
	}
	if removed != 2 || steps != 1 {
		t.Errorf("%d sessions were removed, after %d full steps; want 2, 1", removed, steps)
	}
	find(t, r, alive.ID)
	find(t, r, recently.ID)
	if swept, err := r.SweepSessions(t.Context(), at, "", 100); err != nil || swept != (repo.Swept{}) {
		t.Errorf("a second sweep: %+v, %v", swept, err)
	}
	if swept, err := r.SweepSessions(t.Context(), at, "z", 100); err != nil || swept != (repo.Swept{}) {
		t.Errorf("a sweep behind the end: %+v, %v", swept, err)
	}
	for i := range 3 {
		s := newSession(u.ID)
		x := repo.Exchange{Digest: []byte{byte(i)}, SessionID: s.ID, ExpiresAt: at.Add(time.Duration(i-2) * time.Second)}
		must(t, r.StartSession(t.Context(), s, repo.Proof{Exchange: &x}, event("sign_in", u.ID)))
	}
	for _, want := range []int{1, 1, 0} {
		if n, err := r.SweepExchanges(t.Context(), at, 1); err != nil || n != want {
			t.Errorf("%d exchanges were removed, want %d, %v", n, want, err)
		}
	}
	_, err := r.AddAttempts(t.Context(), []string{"old"}, at.Add(-time.Hour), at.Add(-2*time.Hour))
	must(t, err)
	_, err = r.AddAttempts(t.Context(), []string{"new"}, at, at.Add(-time.Hour))
	must(t, err)
	if n, err := r.SweepThrottle(t.Context(), at, 10); err != nil || n != 1 {
		t.Errorf("%d windows were removed, want 1, %v", n, err)
	}
}

// testSweepersAtOnce sweeps with four at once while sessions are refreshed: each
// dead one is removed once, and no live one.
func testSweepersAtOnce(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	const dead = 60
	for range dead {
		s := newSession(u.ID)
		s.IdleExpiresAt = stored(at.Add(-time.Second))
		must(t, r.StartSession(t.Context(), s, repo.Proof{}, event("sign_in", u.ID)))
	}
	s := aSession(t, r, u.ID)
	var removed atomic.Int64
	errs := together(5, func(i int) error {
		if i == 0 {
			for g := range int64(20) {
				if _, err := r.RotateSession(background(), s.ID, g+1, at, at.Add(time.Hour)); err != nil {
					return err
				}
			}
			return nil
		}
		for after := ""; ; {
			swept, err := r.SweepSessions(background(), at, after, 10)
			if err != nil {
				return err
			}
			removed.Add(int64(swept.Removed))
			if after = swept.Next; after == "" {
				return nil
			}
		}
	})
	count(t, errs, func(error) bool { return false })
	// Whoever finds a row held by another passes over it: what is left, the next sweep takes.
	swept, err := r.SweepSessions(t.Context(), at, "", 1000)
	must(t, err)
	if total := removed.Load() + int64(swept.Removed); total != dead {
		t.Errorf("%d were removed, want %d", total, dead)
	}
	if got := find(t, r, s.ID).Session; got.Generation != 21 {
		t.Errorf("the live one has generation %d", got.Generation)
	}
}

func testKeySets(t *testing.T, r repo.Repository) {
	const url = "https://idp.test/jwks.json"
	if _, _, err := r.LoadKeySet(t.Context(), url); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("keys that were never fetched: %v", err)
	}
	for _, save := range []struct {
		body string
		at   time.Time
		want string
	}{{"one", at, "one"}, {"two", at.Add(time.Second), "two"}, {"late", at, "two"}} {
		must(t, r.SaveKeySet(t.Context(), url, []byte(save.body), save.at))
		body, fetchedAt, err := r.LoadKeySet(t.Context(), url)
		if err != nil || string(body) != save.want || fetchedAt.Before(stored(save.at)) || fetchedAt.Location() != time.UTC {
			t.Errorf("after saving %q: %q of %v, %v", save.body, body, fetchedAt, err)
		}
	}
}

func testThrottle(t *testing.T, r repo.Repository) {
	add := func(now time.Time, keys ...string) []int {
		counts, err := r.AddAttempts(t.Context(), keys, now, now.Add(-time.Minute))
		must(t, err)
		return counts
	}
	for i, step := range []struct{ got, want []int }{
		{add(at, "b", "a"), []int{1, 1}},
		{add(at.Add(time.Second), "a"), []int{2}},
		{add(at.Add(time.Minute), "a", "b", "c"), []int{3, 2, 1}},
		{add(at.Add(time.Minute+time.Second), "a", "c"), []int{1, 2}},
	} {
		if !slices.Equal(step.got, step.want) {
			t.Errorf("step %d: counts %v, want %v", i, step.got, step.want)
		}
	}
	for range 3 {
		must(t, r.TakeBackAttempts(t.Context(), []string{"c", "a", "not there"}))
	}
	if got := add(at.Add(time.Minute+2*time.Second), "a", "c"); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("taken back below zero: %v", got)
	}
	if got := add(at.Add(time.Minute+3*time.Second), "a", "twice", "a", "twice"); !slices.Equal(got, []int{2, 1, 2, 1}) {
		t.Errorf("a key that is named twice is one attempt: %v", got)
	}
	must(t, r.TakeBackAttempts(t.Context(), []string{"a", "a"}))
	if got := add(at.Add(time.Minute+4*time.Second), "a"); !slices.Equal(got, []int{2}) {
		t.Errorf("taken back once, though it is named twice: %v", got)
	}
}

func testThrottleAtOnce(t *testing.T, r repo.Repository) {
	errs := together(40, func(i int) error {
		keys := []string{"one", "two", fmt.Sprint("own", i)}
		if i%2 == 0 {
			slices.Reverse(keys)
		}
		if _, err := r.AddAttempts(background(), keys, at, at.Add(-time.Minute)); err != nil {
			return err
		}
		if i%4 == 0 {
			return r.TakeBackAttempts(background(), keys)
		}
		return nil
	})
	count(t, errs, func(error) bool { return false })
	counts, err := r.AddAttempts(t.Context(), []string{"one", "two"}, at, at.Add(-time.Minute))
	must(t, err)
	if !slices.Equal(counts, []int{31, 31}) {
		t.Errorf("counts %v, want 31 each", counts)
	}
}

// testCountedSignIns: a session that starts takes its attempt back; one that does
// not start leaves it.
func testCountedSignIns(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	other := aUser(t, r)
	counts := func(keys ...string) []int {
		got, err := r.AddAttempts(t.Context(), keys, at, at.Add(-time.Minute))
		must(t, err)
		return got
	}
	errs := together(40, func(i int) error {
		keys, s, p := []string{"one", "two"}, newSession(u.ID), repo.Proof{}
		switch i % 4 {
		case 0:
			slices.Reverse(keys)
			s.UserID = other.ID
		case 1:
			p.Password = "not theirs"
		}
		if _, err := r.AddAttempts(background(), keys, at, at.Add(-time.Minute)); err != nil {
			return err
		}
		p.Attempts = append(keys, keys[0])
		return r.StartSession(background(), s, p, event("sign_in", s.UserID))
	})
	if n, _ := count(t, errs, func(err error) bool { return errors.Is(err, repo.ErrNotFound) }); n != 30 {
		t.Errorf("%d sessions started, want 30", n)
	}
	if got := counts("one", "two"); !slices.Equal(got, []int{11, 11}) {
		t.Errorf("counts %v, want 11 each", got)
	}
	s := newSession(u.ID)
	must(t, r.StartSession(t.Context(), s, repo.Proof{}, event("sign_in", u.ID)))
	if err := r.StartSession(t.Context(), s, repo.Proof{Attempts: []string{"one"}}, event("sign_in", u.ID)); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("an id twice: %v", err)
	}
	if got := counts("one"); !slices.Equal(got, []int{12}) {
		t.Errorf("what did not start took its attempt back: %v", got)
	}
}

func testAuditEvents(t *testing.T, r repo.Repository) {
	for i := range 3 {
		e := event(fmt.Sprint("event", i), "42")
		e.Details = nil
		must(t, r.RecordEvent(t.Context(), e))
	}
	must(t, r.RecordEvent(t.Context(), event("other", "43")))
	if diff := cmp.Diff([]string{"event2", "event1", "event0"}, events(t, r, "42")); diff != "" {
		t.Errorf("a user's (-want +got):\n%s", diff)
	}
	if got := events(t, r, ""); len(got) != 4 || got[0] != "other" {
		t.Errorf("everybody's: %q", got)
	}
	if list, err := r.ListEvents(t.Context(), "42", 1); err != nil || len(list) != 1 || string(list[0].Details) != "{}" {
		t.Errorf("one: %+v, %v", list, err)
	}
	e := event("x", "42")
	must(t, r.RecordEvent(t.Context(), e))
	if err := r.RecordEvent(t.Context(), e); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("an event twice: %v", err)
	}
}

// testText stores what people have for names, and refuses alike on every engine
// what PostgreSQL can't hold.
func testText(t *testing.T, r repo.Repository) {
	for _, name := range []string{"weiß", "ä", "a\u0308", "名前", "😀", "a'b\"c\\d%e_f;--", "line\nbreak", "\u202e"} {
		must(t, r.CreateUser(t.Context(), repo.User{ID: newID(), Username: name, DateJoined: at, UpdatedAt: at}))
		if got, err := r.FindUserByUsername(t.Context(), name); err != nil || got.Username != name {
			t.Errorf("%q comes back as %q, %v", name, got.Username, err)
		}
	}
	u := aUser(t, r)
	for _, bad := range []string{"a\x00b", "a\xffb", "\xed\xa0\x80"} {
		if _, err := r.FindUserByUsername(t.Context(), bad); !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("finding %q: %v", bad, err)
		}
		s := newSession(u.ID)
		s.UserAgent = bad
		for what, err := range map[string]error{
			"a user":    r.CreateUser(t.Context(), repo.User{ID: newID(), Username: bad, DateJoined: at, UpdatedAt: at}),
			"a session": r.StartSession(t.Context(), s, repo.Proof{}, event("sign_in", u.ID)),
			"an event":  r.RecordEvent(t.Context(), event(bad, u.ID)),
			"a key":     second(r.AddAttempts(t.Context(), []string{"a", bad}, at, at)),
		} {
			if !errors.Is(err, repo.ErrText) {
				t.Errorf("%s with %q: %v", what, bad, err)
			}
		}
	}
	if got := events(t, r, u.ID); len(got) != 0 {
		t.Errorf("what was refused is recorded: %q", got)
	}
}
