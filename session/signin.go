package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo"
)

// MethodPassword is the Method of a session that began with a password.
const MethodPassword = "password"

// SignIn opens a session for the user who has this username and password. White
// space around the username does not count.
//
// The errors are ErrNoActiveAccount, *ThrottledError, password.ErrBusy and
// repo.ErrUnavailable. An unknown user costs as much work as a wrong password.
func (s *Service) SignIn(ctx context.Context, username, plain string, c Client) (Grant, error) {
	now := s.now()
	username = strings.TrimSpace(username)
	counted, err := s.countAttempt(ctx, username, c, now)
	if err != nil {
		var throttled *ThrottledError
		if errors.As(err, &throttled) && throttled.first {
			s.record(ctx, event("sign_in_throttled", "", "", c, now, nil))
		}
		return Grant{}, err
	}
	grant, err := s.prove(ctx, counted, plain, c, now)
	if errors.Is(err, repo.ErrNotFound) { // the account, or its password, was changed in the meantime
		grant, err = s.prove(ctx, counted, plain, c, now)
	}
	if errors.Is(err, repo.ErrNotFound) {
		err = ErrNoActiveAccount
	}
	if err != nil && !errors.Is(err, ErrNoActiveAccount) {
		s.takeBack(ctx, counted)
	}
	return grant, err
}

// prove verifies the credentials and starts the session, with which the attempt
// is taken back. repo.ErrNotFound says that they were true, and are not any more
// or only in another encoding.
func (s *Service) prove(ctx context.Context, counted attempt, plain string, c Client, now time.Time) (Grant, error) {
	user, err := s.authenticate(ctx, counted.username, plain, c, now)
	if err != nil {
		return Grant{}, err
	}
	p := repo.Proof{Password: user.Password, Attempts: counted.keys}
	return s.start(ctx, user, s.newSession(user.ID, MethodPassword, c, now), p, c, now)
}

// authenticate returns the user of these credentials. Every way out but a fault
// has done the work of one verification, and records why it failed.
func (s *Service) authenticate(ctx context.Context, username, plain string, c Client, now time.Time) (repo.User, error) {
	user, err := s.Store.FindUserByUsername(ctx, username)
	if errors.Is(err, repo.ErrNotFound) {
		if err := s.Passwords.VerifyNone(ctx, plain); err != nil {
			return repo.User{}, fmt.Errorf("verifying a password: %w", err)
		}
		return repo.User{}, s.refuse(ctx, "", "unknown_user", c, now)
	}
	if err != nil {
		return repo.User{}, fmt.Errorf("finding a user by name: %w", err)
	}
	result, err := s.Passwords.Verify(ctx, user.Password, plain)
	switch {
	case err != nil:
		return repo.User{}, fmt.Errorf("verifying a password: %w", err)
	case !result.Match:
		return repo.User{}, s.refuse(ctx, user.ID, "wrong_password", c, now)
	case !user.IsActive:
		return repo.User{}, s.refuse(ctx, user.ID, "user_disabled", c, now)
	}
	user.Password = s.upgradePassword(ctx, user, plain, result, now)
	return user, nil
}

// refuse records a failed sign-in with its reason and returns the error that
// has none.
func (s *Service) refuse(ctx context.Context, userID, reason string, c Client, now time.Time) error {
	s.record(ctx, event("sign_in_failed", userID, "", c, now, map[string]any{"reason": reason}))
	return ErrNoActiveAccount
}

// upgradePassword encodes a proved password anew where its encoding is old, and
// returns the encoding that holds now. The sign-in does not depend on it: the
// next one tries again.
func (s *Service) upgradePassword(ctx context.Context, user repo.User, plain string, result password.Result, now time.Time) string {
	if !result.NeedsUpgrade {
		return user.Password
	}
	encoded, err := s.Passwords.Hash(ctx, plain)
	if err == nil {
		err = s.Store.UpgradePassword(ctx, user.ID, user.Password, encoded, now)
	}
	if err == nil {
		return encoded
	}
	if !errors.Is(err, repo.ErrStale) {
		s.Logger.WarnContext(ctx, "upgrading a password's encoding", "user_id", user.ID, "error", err)
	}
	return user.Password
}

// start stores the session and grants its first tokens. repo.ErrNotFound says
// that the user was disabled, deleted or given another password a moment ago.
func (s *Service) start(
	ctx context.Context, user repo.User, begun repo.Session, p repo.Proof, c Client, now time.Time,
) (Grant, error) {
	// The tokens come first: where they can't be made, nothing has happened.
	user.LastLogin = now
	grant, err := s.grant(ctx, repo.SessionUser{Session: begun, User: user}, current(begun), nil, now)
	if err != nil {
		return Grant{}, err
	}
	if err := s.open(ctx, begun, p, c, now); err != nil {
		return Grant{}, err
	}
	return grant, nil
}

// open stores the session.
func (s *Service) open(ctx context.Context, begun repo.Session, p repo.Proof, c Client, now time.Time) error {
	err := s.Store.StartSession(ctx, begun, p, signedIn(begun, c, now))
	switch {
	case errors.Is(err, repo.ErrConflict) && p.Exchange == nil:
		// The id is new: it was this very session that was stored, and the connection broke before the answer. The driver
		// then tries again by itself.
		return nil
	case err != nil:
		return fmt.Errorf("starting a session: %w", err)
	}
	return nil
}

// signedIn is the event of a session's begin.
func signedIn(begun repo.Session, c Client, now time.Time) repo.AuditEvent {
	return event("sign_in", begun.UserID, begun.ID, c, now, map[string]any{"method": begun.Method})
}

// record stores an event about something that has been decided already. That it
// can't be stored does not change the decision, so it is only logged.
func (s *Service) record(ctx context.Context, e repo.AuditEvent) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := s.Store.RecordEvent(ctx, e); err != nil && !errors.Is(err, repo.ErrConflict) { // tried again, as above
		s.Logger.ErrorContext(ctx, "recording an audit event", "event", e.Event, "error", err)
	}
}
