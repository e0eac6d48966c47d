package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// Parse returns what the presented strings say that are refresh tokens of this
// service, one for each session: a browser may hold several cookies of one name
// (of another path or domain, left by an earlier set-up), and of two tokens of
// one session only the newer can be the one that its client means. The newest
// comes first. ErrNotARefreshToken where there is none.
//
// Whether a session is alive it does not say: an expired token parses too.
func (s *Service) Parse(presented []string) ([]tokens.Refresh, error) {
	var found []tokens.Refresh
	for _, token := range presented {
		r, err := s.Tokens.ParseRefresh(token)
		if err != nil && !errors.Is(err, tokens.ErrExpired) {
			continue
		}
		same := slices.IndexFunc(found, func(f tokens.Refresh) bool { return f.SessionID == r.SessionID })
		switch {
		case same < 0:
			found = append(found, r)
		case found[same].Generation < r.Generation:
			found[same] = r
		}
	}
	if len(found) == 0 {
		return nil, ErrNotARefreshToken
	}
	slices.SortStableFunc(found, func(a, b tokens.Refresh) int { return b.IssuedAt.Compare(a.IssuedAt) })
	return found, nil
}

// Refresh grants new tokens for the first of the presented refresh tokens whose
// session is alive (RFC 6749 §6), and rotates it (RFC 9700 §4.14.2). Where none
// is, the error is the *SignedOutError of the first. Any other error leaves
// every session as it was, as far as the client can tell: the same token may be
// presented again.
func (s *Service) Refresh(ctx context.Context, presented []tokens.Refresh, c Client) (Grant, error) {
	now := s.now()
	first := ErrNotARefreshToken
	for i, p := range presented {
		grant, err := s.refresh(ctx, renewal{Refresh: p, client: c, now: now, draft: s.draft(p, now)})
		if err == nil {
			return grant, nil
		}
		var out *SignedOutError
		if !errors.As(err, &out) {
			return Grant{}, err
		}
		if i == 0 {
			first = err
		}
	}
	return Grant{}, first
}

// renewal is the refresh of one session that a client asks for.
type renewal struct {
	tokens.Refresh
	client Client
	now    time.Time
	draft  *tokens.Draft // of the access token, or nil
}

// draft begins the access token that the presented token gives if its session is alive, for the signature takes as
// long as the store. What the token says must be all that there is to know for it.
func (s *Service) draft(p tokens.Refresh, now time.Time) *tokens.Draft {
	if !s.Claims.None() || !now.Before(p.ExpiresAt) {
		return nil
	}
	return s.Tokens.DraftAccess(p.UserID, p.SessionID, now)
}

// maxTries bounds how often a refresh looks again because another one of the
// same session was faster. Each try that fails means that another succeeded.
const maxTries = 4

// refresh is the common path in one statement, and the slow one where that
// found nothing to advance. Where the claims may fail it is the slow one at
// once: a client that gets no answer for a long time, because others give none,
// must find its token still current.
func (s *Service) refresh(ctx context.Context, r renewal) (Grant, error) {
	defer r.draft.Drop()
	for range maxTries {
		if !s.Claims.MayFail() {
			su, err := s.rotate(ctx, r)
			if err == nil {
				return s.grant(ctx, su, current(su.Session), r.draft, r.now)
			}
			if !errors.Is(err, repo.ErrStale) {
				return Grant{}, err
			}
		}
		grant, err := s.refreshSlowly(ctx, r)
		if !errors.Is(err, repo.ErrStale) {
			return grant, err
		}
	}
	return Grant{}, fmt.Errorf("refreshing a session that never holds still: %w", repo.ErrUnavailable)
}

func (s *Service) rotate(ctx context.Context, r renewal) (repo.SessionUser, error) {
	su, err := s.Store.RotateSession(ctx, r.SessionID, r.Generation, r.now, r.now.Add(s.Policy.RefreshLifetime))
	if err != nil {
		return repo.SessionUser{}, fmt.Errorf("rotating a session: %w", err)
	}
	return su, nil
}

// refreshSlowly reads the session, decides, makes the tokens and then carries
// out: where the tokens can't be made, the session has not moved. ErrStale means that
// the session has moved on meanwhile.
func (s *Service) refreshSlowly(ctx context.Context, r renewal) (Grant, error) {
	su, err := s.Store.FindSession(ctx, r.SessionID)
	if err != nil && !errors.Is(err, repo.ErrNotFound) {
		return Grant{}, fmt.Errorf("finding a session: %w", err)
	}
	state := StateOf(su)
	out := Decide(state, Presented{Generation: r.Generation}, s.Policy, r.now)
	switch out.Kind {
	case Rotate:
		grant, err := s.grant(ctx, su, out.Successor, r.draft, r.now)
		if err != nil {
			return Grant{}, err
		}
		if _, err := s.rotate(ctx, r); err != nil {
			return Grant{}, err
		}
		return grant, nil
	case Retry:
		return s.grant(ctx, su, out.Successor, r.draft, r.now)
	case LateRetry:
		grant, err := s.grant(ctx, su, out.Successor, r.draft, r.now)
		if err != nil {
			return Grant{}, err
		}
		e := event("refresh_late_retry", su.User.ID, r.SessionID, r.client, r.now, map[string]any{"generation": r.Generation})
		// One more than was seen: of two tabs that retry together the second finds it spent, looks again, and need not pay.
		if err := s.Store.ForgiveLateRetry(ctx, r.SessionID, state.Generation, state.LateRetries+1, e); err != nil {
			return Grant{}, fmt.Errorf("forgiving a late retry: %w", err)
		}
		return grant, nil
	case Reuse:
		e := event("refresh_reuse", su.User.ID, r.SessionID, r.client, r.now, map[string]any{
			"reason": out.Reason.String(), "presented": r.Generation, "current": state.Generation,
		})
		if _, err := s.Store.RevokeSession(ctx, r.SessionID, RevokedByReuse, e); err != nil {
			return Grant{}, fmt.Errorf("revoking a session: %w", err)
		}
	}
	return Grant{}, &SignedOutError{Kind: out.Kind, Reason: out.Reason, RevokeReason: out.RevokeReason}
}

// StateOf is what Decide is told of a session; the zero SessionUser is one that
// does not exist.
func StateOf(su repo.SessionUser) State {
	r := su.Session
	return State{
		Exists: r.ID != "", Generation: r.Generation, RotatedAt: r.RotatedAt, IdleExpiresAt: r.IdleExpiresAt,
		ExpiresAt: r.ExpiresAt, LateRetries: r.LateRetries, ForgivenAt: r.ForgivenAt, RevokedAt: r.RevokedAt, RevokeReason: r.RevokeReason,
		UserActive: su.User.IsActive,
	}
}
