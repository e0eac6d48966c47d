package repotest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
)

func testSessions(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	s := newSession(u.ID)
	s.CreatedAt, s.RotatedAt, s.Issuer, s.Subject = at.Add(time.Hour), at.Add(time.Hour), "https://idp.test", "111"
	e := event("sign_in", u.ID)
	e.IP, e.UserAgent, e.SessionID, e.Details = "203.0.113.7", "Test/1", s.ID, []byte(`{"method":"cognito"}`)
	must(t, r.StartSession(t.Context(), s, repo.Proof{}, e))
	s.CreatedAt, s.RotatedAt = stored(s.CreatedAt), stored(s.RotatedAt)
	u.LastLogin = s.CreatedAt
	if diff := cmp.Diff(repo.SessionUser{Session: s, User: u}, find(t, r, s.ID)); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	list, err := r.ListEvents(t.Context(), u.ID, 10)
	must(t, err)
	if diff := cmp.Diff([]repo.AuditEvent{e}, list); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	if err := r.StartSession(t.Context(), s, repo.Proof{}, event("sign_in", u.ID)); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("an id twice: %v", err)
	}
	if _, err := r.FindSession(t.Context(), newID()); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("a session that is not there: %v", err)
	}
	again, elsewhere := newSession(u.ID), newSession(u.ID)
	elsewhere.IP = "2001:db8::1"
	for _, s := range []repo.Session{again, elsewhere} {
		must(t, r.StartSession(t.Context(), s, repo.Proof{}, event("sign_in", u.ID)))
	}
	addresses, err := r.SessionAddresses(t.Context(), u.ID)
	must(t, err)
	slices.Sort(addresses)
	if !slices.Equal(addresses, []string{"2001:db8::1", s.IP}) {
		t.Errorf("came from %q", addresses)
	}
}

func testSessionsOfNobody(t *testing.T, r repo.Repository) {
	if err := r.StartSession(t.Context(), newSession(newID()), repo.Proof{}, event("sign_in", "")); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("a session of nobody: %v", err)
	}
	u := aUser(t, r)
	must(t, r.DisableUser(t.Context(), u.ID, event("user_disabled", u.ID)))
	x := &repo.Exchange{Digest: []byte("digest"), ExpiresAt: at}
	if err := r.StartSession(t.Context(), newSession(u.ID), repo.Proof{Exchange: x}, event("sign_in", u.ID)); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("a session of somebody who is disabled: %v", err)
	}
	if _, err := r.FindExchange(t.Context(), x.Digest); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("its exchange stayed: %v", err)
	}
	if got := events(t, r, u.ID); len(got) != 1 {
		t.Errorf("it is recorded: %q", got)
	}
}

func testKnownUsers(t *testing.T, r repo.Repository) {
	u := aUserOfTwo(t, r)
	s := newSession("")
	s.Issuer, s.Subject = otherIssuer, u.ID
	x := repo.Exchange{Digest: []byte("digest"), SessionID: s.ID, ExpiresAt: stored(at)}
	e := beginning(s)
	e.Details = []byte(`{"method":"other"}`)
	got, err := r.StartKnownSession(t.Context(), s, x, e)
	must(t, err)
	s.UserID, e.UserID, got.LastLogin, u.LastLogin = u.ID, u.ID, s.CreatedAt, s.CreatedAt
	if diff := cmp.Diff([]repo.SessionUser{{Session: s, User: u}, {Session: s, User: u}}, []repo.SessionUser{{Session: s, User: got}, find(t, r, s.ID)}); diff != "" {
		t.Errorf("returned and found (-want +got):\n%s", diff)
	}
	if use, err := r.FindExchange(t.Context(), x.Digest); err != nil || cmp.Diff(x, use) != "" {
		t.Errorf("the use is %+v, %v", use, err)
	}
	list, err := r.ListEvents(t.Context(), u.ID, 10)
	must(t, err)
	if diff := cmp.Diff(e, list[0]); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	again := newSession("")
	again.Issuer, again.Subject = oneIssuer, u.ID
	if _, err := r.StartKnownSession(t.Context(), again, x, beginning(again)); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("a token twice: %v", err)
	}
	x.Digest = []byte("another")
	for _, of := range []repo.Session{{Issuer: oneIssuer, Subject: newID()}, {Issuer: "https://idp.test/", Subject: u.ID}, {}} {
		again.Issuer, again.Subject = of.Issuer, of.Subject
		if _, err := r.StartKnownSession(t.Context(), again, x, beginning(again)); !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("of somebody who is not known, %+v: %v", of, err)
		}
	}
	if sessions, err := r.ListSessions(t.Context(), u.ID, at); err != nil || len(sessions) != 1 || len(events(t, r, u.ID)) != 2 {
		t.Errorf("%d sessions, %q, %v", len(sessions), events(t, r, u.ID), err)
	}
	if _, err := r.FindExchange(t.Context(), x.Digest); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("the use of what opened nothing: %v", err)
	}
}

// beginning is the event of a session's start.
func beginning(s repo.Session) repo.AuditEvent {
	e := event("sign_in", s.UserID)
	e.At, e.SessionID, e.IP, e.UserAgent = s.CreatedAt, s.ID, s.IP, s.UserAgent
	return e
}

func testExchanges(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	x := repo.Exchange{Digest: []byte{0, 1, 255, 128}, ExpiresAt: at.Add(time.Hour)}
	errs := together(20, func(int) error {
		s, mine := newSession(u.ID), x
		mine.SessionID = s.ID
		return r.StartSession(background(), s, repo.Proof{Exchange: &mine}, event("sign_in", u.ID))
	})
	good, conflicts := count(t, errs, func(err error) bool { return errors.Is(err, repo.ErrConflict) })
	if good != 1 || conflicts != 19 {
		t.Errorf("one token opened %d sessions, and %d were refused", good, conflicts)
	}
	sessions, err := r.ListSessions(t.Context(), u.ID, at)
	must(t, err)
	got, err := r.FindExchange(t.Context(), x.Digest)
	must(t, err)
	if len(sessions) != 1 || got.SessionID != sessions[0].ID || !got.ExpiresAt.Equal(stored(x.ExpiresAt)) {
		t.Errorf("%d sessions; the exchange is %+v", len(sessions), got)
	}
	if _, err := r.FindExchange(t.Context(), []byte("x")); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("an exchange that is not there: %v", err)
	}
}

func testRotation(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	s := aSession(t, r, u.ID)
	later := at.Add(time.Hour)
	got, err := r.RotateSession(t.Context(), s.ID, 1, later, later.Add(24*time.Hour))
	must(t, err)
	want := s
	want.Generation, want.RotatedAt, want.IdleExpiresAt = 2, stored(later), stored(later.Add(24*time.Hour))
	u.LastLogin = s.CreatedAt
	if diff := cmp.Diff(repo.SessionUser{Session: want, User: u}, got); diff != "" {
		t.Errorf("rotated (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(got, find(t, r, s.ID)); diff != "" {
		t.Errorf("found afterwards (-returned +found):\n%s", diff)
	}
	got, err = r.RotateSession(t.Context(), s.ID, 2, later, s.ExpiresAt.Add(time.Hour))
	must(t, err)
	if !got.Session.IdleExpiresAt.Equal(s.ExpiresAt) {
		t.Errorf("the idle end is %v, beyond the absolute %v", got.Session.IdleExpiresAt, s.ExpiresAt)
	}
}

func testRotationRefused(t *testing.T, r repo.Repository) {
	u, disabled := aUser(t, r), aUser(t, r)
	s, revoked, theirs := aSession(t, r, u.ID), aSession(t, r, u.ID), aSession(t, r, disabled.ID)
	_, err := r.RevokeSession(t.Context(), revoked.ID, "logoff", event("logoff", u.ID))
	must(t, err)
	must(t, r.DisableUser(t.Context(), disabled.ID, event("user_disabled", disabled.ID)))
	must(t, r.EnableUser(t.Context(), disabled.ID, event("user_enabled", disabled.ID)))
	for name, tc := range map[string]struct {
		id         string
		generation int64
		now        time.Time
	}{
		"an older generation": {s.ID, 0, at}, "a newer one": {s.ID, 2, at}, "one that is not there": {newID(), 1, at},
		"revoked": {revoked.ID, 1, at}, "disabled, though enabled again": {theirs.ID, 1, at},
		"at the idle end": {s.ID, 1, s.IdleExpiresAt}, "after the absolute end": {s.ID, 1, s.ExpiresAt.Add(time.Second)},
	} {
		if _, err := r.RotateSession(t.Context(), tc.id, tc.generation, tc.now, tc.now.Add(time.Hour)); !errors.Is(err, repo.ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := find(t, r, s.ID); got.Session.Generation != 1 || !got.Session.RotatedAt.Equal(s.RotatedAt) {
		t.Errorf("it was changed: %+v", got.Session)
	}
}

// testRotationsAtOnce lets a hundred present the same generation: one is current.
func testRotationsAtOnce(t *testing.T, r repo.Repository) {
	s := aSession(t, r, aUser(t, r).ID)
	errs := together(100, func(int) error {
		_, err := r.RotateSession(background(), s.ID, 1, at, at.Add(time.Hour))
		return err
	})
	good, stale := count(t, errs, func(err error) bool { return errors.Is(err, repo.ErrStale) })
	if good != 1 || stale != 99 || find(t, r, s.ID).Session.Generation != 2 {
		t.Errorf("%d rotated, %d were late, the generation is %d", good, stale, find(t, r, s.ID).Session.Generation)
	}
}

// testRotateAndDisable refreshes without a pause while the user is disabled: once
// that has returned, no rotation is acknowledged.
func testRotateAndDisable(t *testing.T, r repo.Repository) {
	for range 10 {
		u := aUser(t, r)
		s := aSession(t, r, u.ID)
		var disabled atomic.Bool
		var wait sync.WaitGroup
		started := make(chan struct{})
		wait.Go(func() {
			for generation := int64(1); ; generation++ {
				before := disabled.Load()
				_, err := r.RotateSession(background(), s.ID, generation, at, at.Add(time.Hour))
				if err != nil {
					if !errors.Is(err, repo.ErrStale) {
						t.Errorf("rotating: %v", err)
					}
					return
				}
				if before {
					t.Error("a disabled user's session went on")
					return
				}
				if generation == 3 {
					close(started)
				}
			}
		})
		<-started
		must(t, r.DisableUser(t.Context(), u.ID, event("user_disabled", u.ID)))
		disabled.Store(true)
		wait.Wait()
		if got := find(t, r, s.ID); got.Session.RevokedAt.IsZero() {
			t.Error("the session of a disabled user is not ended")
		}
	}
}

func testLateRetries(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	s := aSession(t, r, u.ID)
	e := event("refresh_late_retry", u.ID)
	e.At = stored(at.Add(time.Hour))
	errs := together(20, func(int) error {
		mine := e
		mine.ID = newID()
		return r.ForgiveLateRetry(background(), s.ID, 1, 2, mine)
	})
	good, stale := count(t, errs, func(err error) bool { return errors.Is(err, repo.ErrStale) })
	got := find(t, r, s.ID).Session
	if good != 2 || stale != 18 || got.LateRetries != 2 || !got.ForgivenAt.Equal(e.At) {
		t.Errorf("%d forgiven, %d not; the session has %d, the last at %v", good, stale, got.LateRetries, got.ForgivenAt)
	}
	if names := events(t, r, u.ID); len(names) != 3 {
		t.Errorf("recorded: %q", names)
	}
	other := aSession(t, r, u.ID)
	if err := r.ForgiveLateRetry(t.Context(), other.ID, 2, 2, event("x", u.ID)); !errors.Is(err, repo.ErrStale) {
		t.Errorf("of another generation: %v", err)
	}
	_, err := r.RevokeSession(t.Context(), other.ID, "logoff", event("logoff", u.ID))
	must(t, err)
	if err := r.ForgiveLateRetry(t.Context(), other.ID, 1, 2, event("x", u.ID)); !errors.Is(err, repo.ErrStale) {
		t.Errorf("of a session that has ended: %v", err)
	}
}

func testEndingSessions(t *testing.T, r repo.Repository) {
	u, other := aUser(t, r), aUser(t, r)
	one, two, three, theirs := aSession(t, r, u.ID), aSession(t, r, u.ID), aSession(t, r, u.ID), aSession(t, r, other.ID)
	_, err := r.RotateSession(t.Context(), two.ID, 1, at.Add(time.Minute), at.Add(time.Hour))
	must(t, err)
	alive := func() (ids []string) {
		list, err := r.ListSessions(t.Context(), u.ID, at)
		must(t, err)
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		return ids
	}
	if diff := cmp.Diff([]string{two.ID, three.ID, one.ID}, alive()); diff != "" {
		t.Errorf("alive, the one used last first (-want +got):\n%s", diff)
	}
	if list, err := r.ListSessions(t.Context(), u.ID, at.Add(2*time.Hour)); err != nil || len(list) != 2 {
		t.Errorf("%d are alive when one has been idle for too long, %v", len(list), err)
	}
	e := event("logoff", u.ID)
	e.At = stored(at.Add(time.Hour))
	for i, want := range []bool{true, false} {
		mine := e
		mine.ID = newID()
		if ended, err := r.RevokeSession(t.Context(), one.ID, "logoff", mine); err != nil || ended != want {
			t.Errorf("ended the %d. time: %t, %v", i+1, ended, err)
		}
	}
	if ended, err := r.RevokeSession(t.Context(), newID(), "logoff", event("logoff", u.ID)); err != nil || ended {
		t.Errorf("ended one that is not there: %t, %v", ended, err)
	}
	if got := find(t, r, one.ID).Session; !got.RevokedAt.Equal(e.At) || got.RevokeReason != "logoff" {
		t.Errorf("ended: %+v", got)
	}
	if n, err := r.RevokeUserSessions(t.Context(), u.ID, two.ID, "ended_by_user", event("sessions_ended", u.ID)); err != nil || n != 1 {
		t.Errorf("ended %d of the others, %v", n, err)
	}
	if diff := cmp.Diff([]string{two.ID}, alive()); diff != "" {
		t.Errorf("alive (-want +got):\n%s", diff)
	}
	if n, err := r.RevokeUserSessions(t.Context(), u.ID, "", "ended_by_user", event("sessions_ended", u.ID)); err != nil || n != 1 || len(alive()) != 0 {
		t.Errorf("ended %d of all, %v; alive are %q", n, err, alive())
	}
	if n, err := r.RevokeUserSessions(t.Context(), u.ID, "", "ended_by_user", event("sessions_ended", u.ID)); err != nil || n != 0 {
		t.Errorf("ended %d of none, %v", n, err)
	}
	if got := find(t, r, theirs.ID).Session; !got.RevokedAt.IsZero() {
		t.Error("another user's session was ended")
	}
	want := []string{"sessions_ended", "sessions_ended", "logoff", "sign_in", "sign_in", "sign_in"}
	if diff := cmp.Diff(want, events(t, r, u.ID)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// testZones asks in other time zones: what is compared is the instant.
func testZones(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("east", 14*3600), time.FixedZone("west", -12*3600)} {
		s := newSession(u.ID)
		s.IdleExpiresAt = s.IdleExpiresAt.In(zone)
		must(t, r.StartSession(t.Context(), s, repo.Proof{}, event("sign_in", u.ID)))
		for _, other := range []*time.Location{time.UTC, zone} {
			before, end := s.IdleExpiresAt.Add(-time.Microsecond).In(other), s.IdleExpiresAt.In(other)
			if _, err := r.RotateSession(t.Context(), s.ID, 1, end, end); !errors.Is(err, repo.ErrStale) {
				t.Errorf("%s, asked in %s, at its end: %v", zone, other, err)
			}
			if list, err := r.ListSessions(t.Context(), u.ID, before); err != nil || len(list) == 0 {
				t.Errorf("%s, asked in %s, before its end: %d, %v", zone, other, len(list), err)
			}
		}
		got, err := r.RotateSession(t.Context(), s.ID, 1, s.IdleExpiresAt.Add(-time.Microsecond).In(zone), at.Add(48*time.Hour).In(zone))
		must(t, err)
		if got.Session.RotatedAt.Location() != time.UTC || !got.Session.IdleExpiresAt.Equal(stored(at.Add(48*time.Hour))) {
			t.Errorf("%s comes back as %v, %v", zone, got.Session.RotatedAt, got.Session.IdleExpiresAt)
		}
	}
}

func testContext(t *testing.T, r repo.Repository) {
	u := aUser(t, r)
	s := aSession(t, r, u.ID)
	ctx, cancel := cancelled()
	cancel()
	for what, err := range map[string]error{
		"finding": second(r.FindUser(ctx, u.ID)), "rotating": second(r.RotateSession(ctx, s.ID, 1, at, at)),
		"starting": r.StartSession(ctx, newSession(u.ID), repo.Proof{}, event("x", u.ID)), "listing": second(r.ListSessions(ctx, u.ID, at)),
		"ending": second(r.RevokeSession(ctx, s.ID, "x", event("x", u.ID))), "counting": second(r.AddAttempts(ctx, []string{"k"}, at, at)),
		"asking": r.Ping(ctx), "disabling": r.DisableUser(ctx, u.ID, event("x", u.ID)),
	} {
		if !errors.Is(err, repo.ErrUnavailable) || !errors.Is(err, ctx.Err()) {
			t.Errorf("%s after the end of the context: %v", what, err)
		}
	}
	if got := find(t, r, s.ID); got.Session.Generation != 1 || !got.User.IsActive {
		t.Errorf("something was done: %+v", got)
	}
	must(t, r.Ping(t.Context()))
}
