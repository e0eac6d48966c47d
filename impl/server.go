package impl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/cookie"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// Sessions is what the handlers ask of package session.
type Sessions interface {
	SignIn(ctx context.Context, username, password string, c session.Client) (session.Grant, error)
	Exchange(ctx context.Context, pair session.IDPTokens, c session.Client) (session.Grant, error)
	ExchangeCode(ctx context.Context, code session.AuthorizationCode, c session.Client) (session.Grant, error)
	AuthorizeURL(ctx context.Context, idp, redirectURI string) (string, error)
	Parse(presented []string) ([]tokens.Refresh, error)
	Refresh(ctx context.Context, presented []tokens.Refresh, c session.Client) (session.Grant, error)
	LogOff(ctx context.Context, presented []tokens.Refresh, c session.Client) error

	Authenticate(ctx context.Context, access tokens.Access) (repo.SessionUser, error)
	List(ctx context.Context, su repo.SessionUser) ([]repo.Session, error)
	End(ctx context.Context, su repo.SessionUser, id string, c session.Client) (int, error)
	EndAll(ctx context.Context, su repo.SessionUser, keepCurrent bool, c session.Client) (int, error)
	ChangePassword(ctx context.Context, su repo.SessionUser, current, fresh string, c session.Client) error

	AuthenticateClient(ctx context.Context, id, secret string, c session.Client) (repo.Client, error)
	Introspect(ctx context.Context, token string) (session.Introspection, error)
	Revoke(ctx context.Context, token string, by repo.Client, c session.Client) error
}

// AccessTokens is what the handlers ask of package tokens.
type AccessTokens interface {
	VerifyAccess(token string, now time.Time) (tokens.Access, error)
	JWKS() (body []byte, etag string)
	Ready() bool
}

// Revocations is what the handlers ask for the statement of revocations.
type Revocations interface {
	Statement(ctx context.Context) (session.Statement, error)
}

// Store is what the readiness asks of the repository.
type Store interface {
	Ping(ctx context.Context) error
}

// Config is what the HTTP service works with. All is required that is not said
// to have a default.
type Config struct {
	Sessions    Sessions
	Tokens      AccessTokens
	Store       Store
	Revocations Revocations

	RefreshCookie *cookie.Jar
	CSRFCookie    *cookie.Jar
	CSRF          *cookie.CSRF
	CSRFByOrigin  bool // true: no CSRF token is asked for, and a browser's request must prove its origin

	Issuer         string          // of access tokens
	BasePath       string          // with a slash in front and none behind
	Origins        []string        // whose pages may use the service from another origin; nil: none
	TrustedProxies []netip.Prefix  // whose X-Forwarded-For is believed; nil: nobody's
	MaxBody        int64           // bytes
	RequestTimeout time.Duration   // for the work on a request; what is not done then is 503
	JWKSMaxAge     time.Duration   // how long verifiers may keep the keys
	UserFields     []string        // the members of `user` in the answers; nil: no `user`
	UserIDNumber   bool            // the id of `user` is a JSON number where it can be
	ForwardHeaders []ForwardHeader // claims that proxies get; nil: none

	Contract *Contract
	Version  string
	// Closing ends when the server stops accepting work; readiness then says so. nil: never.
	Closing context.Context //nolint:containedctx // a signal, not a deadline
	Now     func() time.Time
	Logger  *slog.Logger
	// Observe is told of every answer: the pattern of its operation ("" where there is none), the status (499: a client
	// that went away), and how long it took. nil: nobody is.
	Observe func(operation string, status int, took time.Duration)
}

// server fulfils api.StrictServerInterface. Its methods are in the file of
// their group.
type server struct {
	Config
	origin *http.CrossOriginProtection
	docs   []byte // the page of the contract
}

var _ api.StrictServerInterface = (*server)(nil)

// New returns the handler of the whole service.
func New(c Config) (http.Handler, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Closing == nil {
		c.Closing = context.Background()
	}
	if c.Observe == nil {
		c.Observe = func(string, int, time.Duration) {}
	}
	s := &server{Config: c, origin: http.NewCrossOriginProtection()}
	for _, origin := range c.Origins {
		if err := s.origin.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("impl: an origin: %w", err)
		}
	}
	s.docs = s.renderDocs(c.Contract.doc)
	rt := newRouter(s, c.Contract.doc)
	strict := api.NewStrictHandlerWithOptions(s, []api.StrictMiddlewareFunc{requireResponse}, api.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: s.bindingError, ResponseErrorHandlerFunc: s.writeProblem,
	})
	api.HandlerWithOptions(strict, api.StdHTTPServerOptions{BaseRouter: rt, ErrorHandlerFunc: s.bindingError})
	if rt.err != nil {
		return nil, rt.err
	}
	return s.wrap(rt), nil
}

func (c Config) check() error {
	switch {
	case c.Sessions == nil, c.Tokens == nil, c.Store == nil, c.Revocations == nil:
		return errors.New("impl: Sessions, Tokens, Store and Revocations are required")
	case c.RefreshCookie == nil, c.CSRFCookie == nil, c.CSRF == nil:
		return errors.New("impl: RefreshCookie, CSRFCookie and CSRF are required")
	case c.Issuer == "", c.BasePath == "", c.MaxBody <= 0, c.RequestTimeout <= 0, c.JWKSMaxAge <= 0, c.Contract == nil, c.Now == nil, c.Logger == nil:
		return errors.New("impl: Issuer, BasePath, MaxBody, RequestTimeout, JWKSMaxAge, Contract, Now and Logger are required")
	}
	return nil
}

// requireResponse turns a handler that answers nothing into a fault: the
// generated code would send an empty 200.
func requireResponse(next api.StrictHandlerFunc, operationID string) api.StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		response, err := next(ctx, w, r, request)
		if err == nil && response == nil {
			err = fmt.Errorf("operation %s answered nothing", operationID)
		}
		return response, err
	}
}
