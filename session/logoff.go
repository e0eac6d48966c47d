package session

import (
	"context"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// Why a session was revoked, as its RevokeReason and the audit events say it.
const (
	RevokedByLogOff = "logoff"
	RevokedByReuse  = "refresh_reuse"
	RevokedByUser   = "ended_by_user"
)

// LogOff ends the sessions of the presented refresh tokens. A session that is
// over already is no error: what the client wants is so. It goes on when the
// client has gone away.
func (s *Service) LogOff(ctx context.Context, presented []tokens.Refresh, c Client) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	now := s.now()
	for _, p := range presented {
		e := event("logoff", p.UserID, p.SessionID, c, now, nil)
		if _, err := s.Store.RevokeSession(ctx, p.SessionID, RevokedByLogOff, e); err != nil {
			return fmt.Errorf("revoking a session: %w", err)
		}
	}
	return nil
}
