package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// Authenticate returns the user and the session behind a verified access token.
// ErrSessionOver where the session has ended since the token was issued: the
// token itself stays valid for those who don't ask.
func (s *Service) Authenticate(ctx context.Context, access tokens.Access) (repo.SessionUser, error) {
	su, err := s.Store.FindSession(ctx, access.SessionID)
	if errors.Is(err, repo.ErrNotFound) {
		return repo.SessionUser{}, ErrSessionOver
	}
	if err != nil {
		return repo.SessionUser{}, fmt.Errorf("finding a session: %w", err)
	}
	if _, dead := StateOf(su).dead(s.now()); dead || su.User.ID != access.UserID {
		return repo.SessionUser{}, ErrSessionOver
	}
	return su, nil
}

// List returns the user's sessions that are alive, the one used last first.
func (s *Service) List(ctx context.Context, su repo.SessionUser) ([]repo.Session, error) {
	sessions, err := s.Store.ListSessions(ctx, su.User.ID, s.now())
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return sessions, nil
}

// End ends one session of the user, and returns how many it ended: none where it was ended before.
// ErrNoSuchSession where the id is not one of the user's, whoever's it may be.
func (s *Service) End(ctx context.Context, su repo.SessionUser, id string, c Client) (int, error) {
	other, err := s.Store.FindSession(ctx, id)
	if errors.Is(err, repo.ErrNotFound) || err == nil && other.User.ID != su.User.ID {
		return 0, ErrNoSuchSession
	}
	if err != nil {
		return 0, fmt.Errorf("finding a session: %w", err)
	}
	e := event("session_ended", su.User.ID, id, c, s.now(), map[string]any{"by": su.Session.ID})
	ended, err := s.Store.RevokeSession(ctx, id, RevokedByUser, e)
	switch {
	case err != nil:
		return 0, fmt.Errorf("revoking a session: %w", err)
	case !ended:
		return 0, nil
	}
	return 1, nil
}

// EndAll ends the user's sessions, the current one too unless it is to be kept,
// and returns how many it ended.
func (s *Service) EndAll(ctx context.Context, su repo.SessionUser, keepCurrent bool, c Client) (int, error) {
	keep := ""
	if keepCurrent {
		keep = su.Session.ID
	}
	e := event("sessions_ended", su.User.ID, su.Session.ID, c, s.now(), nil)
	ended, err := s.Store.RevokeUserSessions(ctx, su.User.ID, keep, RevokedByUser, e)
	if err != nil {
		return 0, fmt.Errorf("revoking sessions: %w", err)
	}
	return ended, nil
}

// ChangePassword gives the user a new password and ends its other sessions in
// the same transaction. The current password must be right; a wrong one is
// ErrWrongPassword and counts like a failed sign-in. A new one that is not good
// enough is one of the errors of password.Check, and nothing is counted.
func (s *Service) ChangePassword(ctx context.Context, su repo.SessionUser, current, fresh string, c Client) error {
	if err := password.Check(fresh, su.User.Username, su.User.Email); err != nil {
		return fmt.Errorf("checking the new password: %w", err)
	}
	now := s.now()
	counted, err := s.countAttempt(ctx, su.User.Username, c, now)
	if err != nil {
		return err
	}
	result, err := s.Passwords.Verify(ctx, su.User.Password, current)
	if err == nil && !result.Match {
		s.record(ctx, event("password_change_failed", su.User.ID, su.Session.ID, c, now, nil))
		return ErrWrongPassword
	}
	s.takeBack(ctx, counted)
	if err != nil {
		return fmt.Errorf("verifying a password: %w", err)
	}
	encoded, err := s.Passwords.Hash(ctx, fresh)
	if err != nil {
		return fmt.Errorf("hashing a password: %w", err)
	}
	e := event("password_changed", su.User.ID, su.Session.ID, c, now, nil)
	err = s.Store.SetPassword(ctx, su.User.ID, su.User.Password, encoded, su.Session.ID, e)
	switch {
	case errors.Is(err, repo.ErrStale): // somebody was faster, an administrator perhaps: it is not the current one any more
		s.record(ctx, event("password_change_failed", su.User.ID, su.Session.ID, c, now, nil))
		return ErrWrongPassword
	case err != nil:
		return fmt.Errorf("storing a password: %w", err)
	}
	return nil
}
