package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// RevokedByClient is the RevokeReason of a session that a registered service ended.
const RevokedByClient = "client"

// Introspection is what a token is now.
type Introspection struct {
	Active bool // false: nothing else is said
	Access tokens.Access
	User   repo.User
}

// Introspect says whether an access token is valid, its session alive and its
// user active (RFC 7662 §2.2). Any other token, a refresh token included, is not
// active, which is no error: those are repo.ErrUnavailable and tokens.ErrNotReady.
func (s *Service) Introspect(ctx context.Context, token string) (Introspection, error) {
	access, err := s.Tokens.VerifyAccess(token, s.now())
	if errors.Is(err, tokens.ErrInvalidToken) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, fmt.Errorf("verifying an access token: %w", err)
	}
	su, err := s.Authenticate(ctx, access)
	if errors.Is(err, ErrSessionOver) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	return Introspection{Active: true, Access: access, User: su.User}, nil
}

// Revoke ends the session of a refresh or access token that a client presents
// (RFC 7009 §2.1). A token that is not valid is no error, nor is a session that is
// over. ErrNotRevocable says that the token is valid and has no session here. It goes on
// when the client has gone away.
func (s *Service) Revoke(ctx context.Context, token string, by repo.Client, c Client) error {
	now := s.now()
	userID, sessionID := "", ""
	// An expired refresh token still says which session is meant; an expired access token is nothing any more.
	refresh, err := s.Tokens.ParseRefresh(token)
	if err == nil || errors.Is(err, tokens.ErrExpired) {
		userID, sessionID = refresh.UserID, refresh.SessionID
	} else {
		access, err := s.Tokens.VerifyAccess(token, now)
		switch {
		case errors.Is(err, tokens.ErrInvalidToken):
			return nil
		case err != nil:
			return fmt.Errorf("verifying an access token: %w", err)
		case access.SessionID == "":
			return ErrNotRevocable
		}
		userID, sessionID = access.UserID, access.SessionID
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	e := event("token_revoked", userID, sessionID, c, now, map[string]any{"client": by.Name, "client_id": by.ID})
	if _, err := s.Store.RevokeSession(ctx, sessionID, RevokedByClient, e); err != nil {
		return fmt.Errorf("revoking a session: %w", err)
	}
	return nil
}
