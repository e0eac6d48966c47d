package impl

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// SignIn opens a session with a username and a password.
func (s *server) SignIn(ctx context.Context, req api.SignInRequestObject) (api.SignInResponseObject, error) {
	g, err := s.Sessions.SignIn(ctx, req.Body.Username, req.Body.Password, infoOf(ctx).client)
	if err != nil {
		return nil, fmt.Errorf("signing in: %w", err)
	}
	return s.grant(g), nil
}

// SocialExchange opens a session with an identity provider's tokens.
func (s *server) SocialExchange(ctx context.Context, req api.SocialExchangeRequestObject) (api.SocialExchangeResponseObject, error) {
	g, err := s.Sessions.Exchange(ctx, session.IDPTokens{
		IDToken: req.Body.IDToken, AccessToken: req.Body.AccessToken, Nonce: req.Body.Nonce,
	}, infoOf(ctx).client)
	if err != nil {
		return nil, fmt.Errorf("exchanging: %w", err)
	}
	return s.grant(g), nil
}

// CodeExchange opens a session with an identity provider's authorization code.
func (s *server) CodeExchange(ctx context.Context, req api.CodeExchangeRequestObject) (api.CodeExchangeResponseObject, error) {
	g, err := s.Sessions.ExchangeCode(ctx, session.AuthorizationCode{
		IDP: req.Body.Idp, Code: req.Body.Code, Verifier: req.Body.CodeVerifier, RedirectURI: req.Body.RedirectURI,
		Nonce: req.Body.Nonce, Issuer: req.Body.Iss,
	}, infoOf(ctx).client)
	if err != nil {
		return nil, fmt.Errorf("exchanging a code: %w", err)
	}
	return s.grant(g), nil
}

// GetAuthorizeURL says where the users of an identity provider sign in.
func (s *server) GetAuthorizeURL(ctx context.Context, req api.GetAuthorizeURLRequestObject) (api.GetAuthorizeURLResponseObject, error) {
	url, err := s.Sessions.AuthorizeURL(ctx, req.Params.Idp, req.Params.RedirectURI)
	if err != nil {
		return nil, fmt.Errorf("finding where to sign in: %w", err)
	}
	return api.GetAuthorizeURL200JSONResponse{
		Body:    api.AuthorizeURL{URL: url, Add: []string{"state", "nonce", "code_challenge", "code_challenge_method"}},
		Headers: api.GetAuthorizeURL200ResponseHeaders{CacheControl: &noStore},
	}, nil
}

// Refresh exchanges the refresh token in the cookie for a new access token and
// rotates the refresh token (RFC 6749 §6, RFC 9700 §4.14.2).
func (s *server) Refresh(ctx context.Context, req api.RefreshRequestObject) (api.RefreshResponseObject, error) {
	presented, err := s.presented(ctx, req.Body, req.Params.XCSRFToken)
	if err != nil {
		return nil, err
	}
	g, err := s.Sessions.Refresh(ctx, presented, infoOf(ctx).client)
	if err != nil {
		return nil, fmt.Errorf("refreshing: %w", err)
	}
	return s.grant(g), nil
}

// Logoff ends the session of the refresh token in the cookie.
func (s *server) Logoff(ctx context.Context, req api.LogoffRequestObject) (api.LogoffResponseObject, error) {
	presented, err := s.presented(ctx, req.Body, req.Params.XCSRFToken)
	if err != nil {
		return nil, err
	}
	if err := s.Sessions.LogOff(ctx, presented, infoOf(ctx).client); err != nil {
		return nil, fmt.Errorf("logging off: %w", err)
	}
	return loggedOff{s}, nil
}

// loggedOff deletes the cookies.
type loggedOff struct{ server *server }

func (l loggedOff) VisitLogoffResponse(w http.ResponseWriter) error {
	l.server.deleteCookies(w.Header())
	return api.Logoff200JSONResponse{
		Body: api.Empty{}, Headers: api.Logoff200ResponseHeaders{CacheControl: &noStore},
	}.VisitLogoffResponse(w)
}

// presented returns the refresh tokens of the request's cookies whose session
// the CSRF token belongs to.
func (s *server) presented(ctx context.Context, body *api.CSRF, header string) ([]tokens.Refresh, error) {
	h := infoOf(ctx).header
	found, err := s.Sessions.Parse(s.RefreshCookie.Read(h))
	if err != nil {
		return nil, fmt.Errorf("reading the refresh cookie: %w", err)
	}
	if s.CSRFByOrigin {
		return found, s.requireOrigin(h)
	}
	token := header
	if body != nil && body.CSRFToken != "" {
		token = body.CSRFToken
	}
	var matching []tokens.Refresh
	for _, r := range found {
		if s.CSRF.Check(token, r.SessionID) {
			matching = append(matching, r)
		}
	}
	if len(matching) == 0 {
		return nil, &requestError{problem: problemCSRF}
	}
	return matching, nil
}

// requireOrigin refuses a request of which no header says where it comes from.
// Whether a header that is there says something good, the router has checked.
func (s *server) requireOrigin(h http.Header) error {
	if h.Get("Sec-Fetch-Site") == "" && h.Get("Origin") == "" {
		return &requestError{problem: problemOrigin}
	}
	return nil
}

// deleteCookies takes both cookies away from a client whose session is over.
func (s *server) deleteCookies(h http.Header) {
	h.Add("Set-Cookie", s.RefreshCookie.Delete())
	h.Add("Set-Cookie", s.CSRFCookie.Delete())
}
