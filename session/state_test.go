package session_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/session"
)

var (
	signedIn = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	rotated  = signedIn.Add(time.Hour)
	usual    = session.Policy{Grace: 30 * time.Second, LateRetries: 1, RefreshLifetime: 24 * time.Hour}
)

// alive is a session in its fifth generation.
func alive() session.State {
	return session.State{
		Exists: true, Generation: 5, RotatedAt: rotated, IdleExpiresAt: rotated.Add(24 * time.Hour),
		ExpiresAt: signedIn.Add(30 * 24 * time.Hour), UserActive: true,
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	same := session.Successor{Generation: 5, IssuedAt: rotated, ExpiresAt: rotated.Add(24 * time.Hour)}
	superseded := session.Outcome{Kind: session.Reuse, Reason: session.ReasonSuperseded}
	nearEnd := signedIn.Add(30*24*time.Hour - time.Minute)
	for _, c := range []struct {
		name   string
		change func(*session.State)
		gen    int64
		policy session.Policy
		now    time.Time
		want   session.Outcome
	}{
		{"the current token rotates", nil, 5, usual, rotated.Add(time.Hour), session.Outcome{
			Kind:      session.Rotate,
			Successor: session.Successor{Generation: 6, IssuedAt: rotated.Add(time.Hour), ExpiresAt: rotated.Add(25 * time.Hour)},
		}},
		{
			"the successor does not outlive the session",
			func(s *session.State) { s.IdleExpiresAt = s.ExpiresAt }, 5, usual, nearEnd,
			session.Outcome{
				Kind:      session.Rotate,
				Successor: session.Successor{Generation: 6, IssuedAt: nearEnd, ExpiresAt: signedIn.Add(30 * 24 * time.Hour)},
			},
		},
		{"the previous token gets the same successor at once", nil, 4, usual, rotated, session.Outcome{Kind: session.Retry, Successor: same}},
		{"and to the end of the grace", nil, 4, usual, rotated.Add(30*time.Second - 1), session.Outcome{Kind: session.Retry, Successor: same}},
		{"and from a replica whose clock is behind", nil, 4, usual, rotated.Add(-time.Second), session.Outcome{Kind: session.Retry, Successor: same}},
		{"at the end of the grace it costs a late retry", nil, 4, usual, rotated.Add(30 * time.Second), session.Outcome{Kind: session.LateRetry, Successor: same}},
		{"hours later too", nil, 4, usual, rotated.Add(23 * time.Hour), session.Outcome{Kind: session.LateRetry, Successor: same}},
		{
			"a late retry opens the grace again",
			func(s *session.State) { s.LateRetries, s.ForgivenAt = 1, rotated.Add(time.Hour) },
			4, usual, rotated.Add(time.Hour + 29*time.Second), session.Outcome{Kind: session.Retry, Successor: same},
		},
		{
			"for no longer than the grace",
			func(s *session.State) { s.LateRetries, s.ForgivenAt = 1, rotated.Add(time.Hour) },
			4, usual, rotated.Add(time.Hour + 30*time.Second), superseded,
		},
		{
			"a late retry of an earlier generation shortens no grace",
			func(s *session.State) { s.LateRetries, s.ForgivenAt = 1, rotated.Add(-time.Hour) },
			4, usual, rotated.Add(time.Second), session.Outcome{Kind: session.Retry, Successor: same},
		},
		{"a spent budget is reuse", func(s *session.State) { s.LateRetries = 1 }, 4, usual, rotated.Add(time.Hour), superseded},
		{"a budget that was lowered since is spent", func(s *session.State) { s.LateRetries = 3 }, 4, usual, rotated.Add(time.Hour), superseded},
		{"without a policy nothing is forgiven", nil, 4, session.Policy{}, rotated, superseded},
		{"the token before the previous one is reuse, grace or not", nil, 3, usual, rotated, superseded},
		{"so is the first", nil, 1, usual, rotated, superseded},
		{"and one that never was", nil, 0, usual, rotated, superseded},
		{
			"a token ahead of the store ends the session", nil, 6, usual, rotated,
			session.Outcome{Kind: session.Reuse, Reason: session.ReasonAhead},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := alive()
			if c.change != nil {
				c.change(&s)
			}
			got := session.Decide(s, session.Presented{Generation: c.gen}, c.policy, c.now)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDecideDead: a dead session says why, whatever is presented.
func TestDecideDead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*session.State)
		now    time.Time
		want   session.Outcome
	}{
		{"unknown", func(s *session.State) { *s = session.State{} }, rotated, session.Outcome{}},
		{
			"revoked, and by what", func(s *session.State) { s.RevokedAt, s.RevokeReason = rotated, "sign_out" },
			rotated, session.Outcome{Reason: session.ReasonRevoked, RevokeReason: "sign_out"},
		},
		{
			"revoked comes before everything else",
			func(s *session.State) { s.RevokedAt, s.RevokeReason, s.UserActive = rotated, "disabled", false },
			rotated.Add(1000 * time.Hour), session.Outcome{Reason: session.ReasonRevoked, RevokeReason: "disabled"},
		},
		{
			"a reason of revocation counts for nothing without its time",
			func(s *session.State) { s.RevokeReason, s.UserActive = "sign_out", false },
			rotated, session.Outcome{Reason: session.ReasonUserDisabled},
		},
		{"the user is disabled", func(s *session.State) { s.UserActive = false }, rotated, session.Outcome{Reason: session.ReasonUserDisabled}},
		{"idle, at the very moment", nil, rotated.Add(24 * time.Hour), session.Outcome{Reason: session.ReasonIdle}},
		{
			"at the absolute end", func(s *session.State) { s.IdleExpiresAt = s.ExpiresAt },
			signedIn.Add(30 * 24 * time.Hour), session.Outcome{Reason: session.ReasonExpired},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := alive()
			if c.change != nil {
				c.change(&s)
			}
			for gen := range int64(8) {
				got := session.Decide(s, session.Presented{Generation: gen}, usual, c.now)
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("generation %d (-want +got):\n%s", gen, diff)
				}
			}
		})
	}
}

// TestNames: audit events, logs and documentation depend on these words.
func TestNames(t *testing.T) {
	t.Parallel()
	var kinds, reasons []string
	for k := range session.Reuse + 2 {
		kinds = append(kinds, k.String())
	}
	for r := range session.ReasonAhead + 2 {
		reasons = append(reasons, r.String())
	}
	if diff := cmp.Diff([]string{"signed_out", "rotate", "retry", "late_retry", "reuse", "invalid"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	want := []string{"unknown", "revoked", "user_disabled", "expired", "idle", "superseded", "ahead", "invalid"}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

// moment draws a time within some days of the rotation, close to it as often as not.
func moment(t *rapid.T, name string) time.Time {
	seconds := rapid.OneOf(rapid.Int64Range(-60, 120), rapid.Int64Range(-100_000, 3_000_000)).Draw(t, name)
	return rotated.Add(time.Duration(seconds) * time.Second)
}

func anyState(t *rapid.T) session.State {
	s := session.State{
		Exists:      rapid.IntRange(0, 9).Draw(t, "exists") > 0,
		Generation:  rapid.Int64Range(1, 9).Draw(t, "generation"),
		RotatedAt:   rotated,
		ExpiresAt:   moment(t, "expires"),
		LateRetries: rapid.IntRange(0, 3).Draw(t, "late retries"),
		UserActive:  rapid.IntRange(0, 9).Draw(t, "active") > 0,
	}
	s.IdleExpiresAt = s.ExpiresAt.Add(-time.Duration(rapid.Int64Range(0, 90_000).Draw(t, "idle")) * time.Second)
	if rapid.Bool().Draw(t, "forgiven") {
		s.ForgivenAt = moment(t, "forgiven at")
	}
	if rapid.IntRange(0, 9).Draw(t, "revoked") == 0 {
		s.RevokedAt, s.RevokeReason = moment(t, "revoked at"), "sign_out"
	}
	return s
}

func anyPolicy(t *rapid.T) session.Policy {
	return session.Policy{
		Grace:           time.Duration(rapid.Int64Range(0, 60).Draw(t, "grace")) * time.Second,
		LateRetries:     rapid.IntRange(0, 3).Draw(t, "budget"),
		RefreshLifetime: time.Duration(rapid.Int64Range(60, 90_000).Draw(t, "lifetime")) * time.Second,
	}
}

// TestDecideIsSound: of any state whatever, Decide says rotate exactly where the
// store's statement would rotate; what it grants succeeds what was presented and
// ends with the session; and what it refuses it gives a reason for.
func TestDecideIsSound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, policy, now := anyState(t), anyPolicy(t), moment(t, "now")
		p := session.Presented{Generation: rapid.Int64Range(0, 11).Draw(t, "presented")}
		out := session.Decide(s, p, policy, now)

		rotates := s.Exists && p.Generation == s.Generation && s.RevokedAt.IsZero() && s.UserActive &&
			now.Before(s.IdleExpiresAt) && now.Before(s.ExpiresAt)
		if rotates != (out.Kind == session.Rotate) {
			t.Fatalf("the statement rotates: %t; Decide: %v", rotates, out.Kind)
		}
		if !out.Granted() {
			if (out.Successor != session.Successor{}) {
				t.Fatalf("%v has a successor", out.Kind)
			}
			return
		}
		if out.Successor.Generation != p.Generation+1 {
			t.Fatalf("generation %d is succeeded by %d", p.Generation, out.Successor.Generation)
		}
		if out.Successor.ExpiresAt.After(s.ExpiresAt) {
			t.Fatalf("the successor expires at %v, the session at %v", out.Successor.ExpiresAt, s.ExpiresAt)
		}
		if out.Reason != 0 || out.RevokeReason != "" {
			t.Fatalf("%v has a reason: %v", out.Kind, out.Reason)
		}
	})
}

// TestReuseStaysReuse: nothing that happens between the decision and the
// revocation that it asks for would have made it another one, so the revocation
// needs no condition.
func TestReuseStaysReuse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, policy, now := anyState(t), anyPolicy(t), moment(t, "now")
		s.Exists, s.UserActive, s.RevokedAt = true, true, time.Time{}
		s.IdleExpiresAt, s.ExpiresAt = now.Add(time.Hour), now.Add(2*time.Hour)
		p := session.Presented{Generation: rapid.Int64Range(0, s.Generation).Draw(t, "presented")}
		if session.Decide(s, p, policy, now).Kind != session.Reuse {
			return
		}
		for range rapid.IntRange(1, 6).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "seconds")) * time.Second)
			other := session.Presented{Generation: rapid.Int64Range(0, s.Generation).Draw(t, "other")}
			switch out := session.Decide(s, other, policy, now); out.Kind {
			case session.Rotate:
				s.Generation, s.RotatedAt, s.IdleExpiresAt = out.Successor.Generation, now, out.Successor.ExpiresAt
			case session.LateRetry:
				s.LateRetries, s.ForgivenAt = s.LateRetries+1, now
			case session.Reuse:
				s.RevokedAt = now
			}
			if out := session.Decide(s, p, policy, now); out.Granted() {
				t.Fatalf("reuse turned into %v", out.Kind)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	s := alive()
	policy := session.Policy{Grace: 30 * time.Second, LateRetries: 1, RefreshLifetime: 24 * time.Hour}
	b.ReportAllocs()
	for b.Loop() {
		if !session.Decide(s, session.Presented{Generation: s.Generation}, policy, s.RotatedAt).Granted() {
			b.Fatal("refused")
		}
	}
}
