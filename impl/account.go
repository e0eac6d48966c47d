package impl

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// ListSessions lists the sessions of whoever holds the access token.
func (s *server) ListSessions(ctx context.Context, _ api.ListSessionsRequestObject) (api.ListSessionsResponseObject, error) {
	su, err := s.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := s.Sessions.List(ctx, su)
	if err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	body := api.Sessions{Sessions: make([]api.Session, 0, len(sessions))}
	for _, one := range sessions {
		body.Sessions = append(body.Sessions, toSession(one, su.Session.ID))
	}
	return api.ListSessions200JSONResponse{Body: body, Headers: api.ListSessions200ResponseHeaders{CacheControl: &noStore}}, nil
}

// DeleteSessions ends the other sessions, or all.
func (s *server) DeleteSessions(ctx context.Context, req api.DeleteSessionsRequestObject) (api.DeleteSessionsResponseObject, error) {
	su, err := s.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	keepCurrent := req.Params.Scope == api.Others
	count, err := s.Sessions.EndAll(ctx, su, keepCurrent, infoOf(ctx).client)
	if err != nil {
		return nil, fmt.Errorf("ending sessions: %w", err)
	}
	return ended{s, count, !keepCurrent}, nil
}

// DeleteSession ends one session.
func (s *server) DeleteSession(ctx context.Context, req api.DeleteSessionRequestObject) (api.DeleteSessionResponseObject, error) {
	su, err := s.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	count, err := s.Sessions.End(ctx, su, req.ID, infoOf(ctx).client)
	if err != nil {
		return nil, fmt.Errorf("ending a session: %w", err)
	}
	return ended{s, count, req.ID == su.Session.ID}, nil
}

// GetMe tells who holds the access token.
func (s *server) GetMe(ctx context.Context, _ api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	su, err := s.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	fields := s.UserFields
	if len(fields) == 0 {
		fields = []string{"id", "username", "email", "first_name", "last_name"}
	}
	body := api.Me{User: s.user(su.User, fields), Session: toSession(su.Session, su.Session.ID)}
	return api.GetMe200JSONResponse{Body: body, Headers: api.GetMe200ResponseHeaders{CacheControl: &noStore}}, nil
}

// ChangePassword gives whoever holds the access token, and knows the current
// password, a new one.
func (s *server) ChangePassword(ctx context.Context, req api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject, error) {
	su, err := s.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Sessions.ChangePassword(ctx, su, req.Body.CurrentPassword, req.Body.NewPassword, infoOf(ctx).client); err != nil {
		return nil, fmt.Errorf("changing a password: %w", err)
	}
	return api.ChangePassword200JSONResponse{Body: api.Empty{}, Headers: api.ChangePassword200ResponseHeaders{CacheControl: &noStore}}, nil
}

// authenticate returns who holds the access token in the Authorization header.
func (s *server) authenticate(ctx context.Context) (repo.SessionUser, error) {
	_, su, err := s.bearer(ctx)
	return su, err
}

// bearer returns the access token in the Authorization header (RFC 6750 §2.1) and
// who holds it, where its session is alive.
func (s *server) bearer(ctx context.Context) (tokens.Access, repo.SessionUser, error) {
	scheme, token, _ := strings.Cut(authorization(infoOf(ctx).header), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return tokens.Access{}, repo.SessionUser{}, fmt.Errorf("no bearer token: %w", tokens.ErrInvalidToken)
	}
	access, err := s.Tokens.VerifyAccess(strings.TrimSpace(token), s.Now())
	if err != nil {
		return tokens.Access{}, repo.SessionUser{}, fmt.Errorf("verifying: %w", err)
	}
	su, err := s.Sessions.Authenticate(ctx, access)
	if err != nil {
		return tokens.Access{}, repo.SessionUser{}, fmt.Errorf("authenticating: %w", err)
	}
	return access, su, nil
}

// ended says how many sessions were ended, and takes the cookies away where the
// current one is among them.
type ended struct {
	server  *server
	count   int
	current bool
}

func (e ended) body(w http.ResponseWriter) api.Ended {
	if e.current {
		e.server.deleteCookies(w.Header())
	}
	return api.Ended{Ended: e.count}
}

func (e ended) VisitDeleteSessionsResponse(w http.ResponseWriter) error {
	return api.DeleteSessions200JSONResponse{
		Body: e.body(w), Headers: api.DeleteSessions200ResponseHeaders{CacheControl: &noStore},
	}.VisitDeleteSessionsResponse(w)
}

func (e ended) VisitDeleteSessionResponse(w http.ResponseWriter) error {
	return api.DeleteSession200JSONResponse{
		Body: e.body(w), Headers: api.DeleteSession200ResponseHeaders{CacheControl: &noStore},
	}.VisitDeleteSessionResponse(w)
}

// toSession translates a session.
func toSession(r repo.Session, current string) api.Session {
	return api.Session{
		ID: r.ID, CreatedAt: r.CreatedAt, LastUsedAt: r.RotatedAt, ExpiresAt: r.ExpiresAt, Method: r.Method,
		UserAgent: r.UserAgent, IP: r.IP, Current: r.ID == current,
	}
}
