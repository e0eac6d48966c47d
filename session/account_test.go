package session_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/session"
)

func TestChangePassword(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	mine, other := b.signedIn(t, "alice"), b.signedIn(t, "alice")
	su, err := b.store.FindSession(t.Context(), mine.SessionID)
	must(t, err)
	const fresh = "an even better one"
	for _, tc := range []struct {
		current, fresh string
		want           error
	}{
		{plain, "short", password.ErrTooShort}, {plain, "password1", password.ErrCommon}, {"wrong", fresh, session.ErrWrongPassword}, {plain, fresh, nil},
	} {
		if err := b.ChangePassword(t.Context(), su, tc.current, tc.fresh, home); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("from %q to %q: %v, want %v", tc.current, tc.fresh, err, tc.want)
		}
	}
	if reason := outOf(t, second(b.refresh(t, other.RefreshToken))); reason != session.ReasonRevoked {
		t.Errorf("the other session: %v", reason)
	}
	if _, err := b.refresh(t, mine.RefreshToken); err != nil {
		t.Errorf("one's own session: %v", err)
	}
	if _, err := b.SignIn(t.Context(), "alice", plain, home); !errors.Is(err, session.ErrNoActiveAccount) {
		t.Errorf("the former password: %v", err)
	}
	if _, err := b.SignIn(t.Context(), "alice", fresh, home); err != nil {
		t.Errorf("the new password: %v", err)
	}
	su, err = b.store.FindSession(t.Context(), mine.SessionID)
	must(t, err)
	for range 3 {
		_ = b.ChangePassword(t.Context(), su, "wrong", plain, home)
	}
	if _, ok := errors.AsType[*session.ThrottledError](b.ChangePassword(t.Context(), su, fresh, plain, home)); !ok {
		t.Error("the current password can be guessed for ever")
	}
}

// TestPasswordIsResetDuringChange has an administrator reset the password while its holder changes it: the reset holds.
func TestPasswordIsResetDuringChange(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	u := b.user(t, "alice")
	su, err := b.store.FindSession(t.Context(), b.signedIn(t, "alice").SessionID)
	must(t, err)
	reset, err := b.hasher.Hash(t.Context(), "what the administrator set")
	must(t, err)
	must(t, b.store.SetPassword(t.Context(), u.ID, "", reset, "", b.event("password_changed", u.ID)))
	if err := b.ChangePassword(t.Context(), su, plain, "an even better one", home); !errors.Is(err, session.ErrWrongPassword) {
		t.Errorf("the change: %v", err)
	}
	if now, err := b.store.FindUser(t.Context(), u.ID); err != nil || now.Password != reset {
		t.Errorf("the reset is gone: %v", err)
	}
	must(t, b.store.DeleteUser(t.Context(), u.ID, b.event("user_deleted", u.ID)))
	if err := b.ChangePassword(t.Context(), su, plain, "an even better one", home); !errors.Is(err, session.ErrWrongPassword) {
		t.Errorf("a user who is gone: %v", err)
	}
	b.wantEvents(t, "sign_in", "password_change_failed", "password_change_failed", "password_changed", "user_deleted") // those of the test come last
}
