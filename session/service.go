package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-auth/gatehouse/claims"
	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"
)

// Store is what the use cases ask of a repository.
type Store interface {
	repo.Users
	repo.Identities
	repo.Sessions
	repo.Throttle
	FindClient(ctx context.Context, id string) (repo.Client, error)
	ListSessions(ctx context.Context, userID string, now time.Time) ([]repo.Session, error)
	RevokeSession(ctx context.Context, id, reason string, e repo.AuditEvent) (bool, error)
	RevokeUserSessions(ctx context.Context, userID, keepSession, reason string, e repo.AuditEvent) (int, error)
	SetPassword(ctx context.Context, userID, oldEncoded, newEncoded, keepSession string, e repo.AuditEvent) error
	RecordEvent(ctx context.Context, e repo.AuditEvent) error
}

// Tokens is what the use cases ask of the token service.
type Tokens interface {
	DraftAccess(userID, sessionID string, now time.Time) *tokens.Draft
	IssueAccess(subject tokens.AccessSubject, now, notAfter time.Time) (token string, expires time.Time, err error)
	IssueRefresh(r tokens.Refresh) (string, error)
	ParseRefresh(token string) (tokens.Refresh, error)
	VerifyAccess(token string, now time.Time) (tokens.Access, error)
}

// Passwords is what the use cases ask of the password hasher.
type Passwords interface {
	Hash(ctx context.Context, plain string) (string, error)
	Verify(ctx context.Context, encoded, plain string) (password.Result, error)
	VerifyNone(ctx context.Context, plain string) error
}

// IdentityProviders verifies what identity providers issued, and finds those that
// sign users in here.
type IdentityProviders interface {
	VerifyPair(ctx context.Context, pair IDPTokens) (cognito.Identity, error)
	App(name string) (*cognito.Verifier, error)
}

// Claims computes the custom claims of an access token.
type Claims interface {
	Evaluate(ctx context.Context, about claims.Subject) (map[string]any, error)
	// None reports whether Evaluate returns no claims, of whoever it is.
	None() bool
	// MayFail reports whether Evaluate asks others, or can fail otherwise on a user who is as the store keeps it. A
	// session is then only advanced when its claims are there.
	MayFail() bool
}

// Config is what a Service works with. Every interface is required but
// IdentityProviders: nil refuses every exchange.
type Config struct {
	Store             Store
	Tokens            Tokens
	Passwords         Passwords
	IdentityProviders IdentityProviders
	Claims            Claims

	Policy          Policy
	SessionLifetime time.Duration // from the sign-in to the absolute end; at least Policy.RefreshLifetime
	Limits          Limits

	// Providers is what becomes of the users of an identity provider, by its name; the zero value for those that are not
	// there.
	Providers map[string]Provider

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discards
}

// Provider is what becomes of the users of an identity provider.
type Provider struct {
	UserIDFromSubject bool // new users take the subject as their id; the others' get a new UUIDv7
	FollowNames       bool // the names change with the provider's, as the e-mail address always does
	// LinkByEmail ties a new identity to the local user who has its e-mail address, where the provider and the user both
	// have proved it. Staff and superusers are linked with LinkStaff alone.
	LinkByEmail bool
	LinkStaff   bool
}

// Service carries out the use cases. It is safe for concurrent use.
type Service struct {
	Config
	clients clients
	codes   singleflight.Group // the authorization codes that are being exchanged
}

// New checks the configuration and returns the service. It does no I/O.
func New(c Config) (*Service, error) {
	switch {
	case c.Store == nil, c.Tokens == nil, c.Passwords == nil, c.Claims == nil:
		return nil, errors.New("session: Store, Tokens, Passwords and Claims are required")
	case c.Policy.RefreshLifetime <= 0, c.SessionLifetime < c.Policy.RefreshLifetime:
		return nil, errors.New("session: the refresh lifetime must be positive and no longer than the session's")
	case c.Policy.Grace < 0, c.Policy.LateRetries < 0:
		return nil, errors.New("session: the grace and the late retries can't be negative")
	}
	if err := c.Limits.check(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{Config: c}, nil
}

// Client is who asks, as far as the transport knows.
type Client struct {
	IP        string
	UserAgent string
}

// maxUserAgent bounds what is kept of a User-Agent header, in bytes.
const maxUserAgent = 512

// Grant is what a client gets: an access token, and the refresh token that
// follows the one it used. All times are those of the request.
type Grant struct {
	SessionID      string
	AccessToken    string
	AccessExpires  time.Time
	RefreshToken   string
	RefreshExpires time.Time
	SessionExpires time.Time
	User           repo.User
	Now            time.Time
}

// grant mints the tokens for a session whose current generation is the
// successor's; draft may be its access token, or nil. It changes nothing in the store.
func (s *Service) grant(ctx context.Context, su repo.SessionUser, next Successor, draft *tokens.Draft, now time.Time) (Grant, error) {
	custom, err := s.Claims.Evaluate(ctx, claims.Subject{User: ClaimsUser(su.User), Session: claims.Session{
		ID: su.Session.ID, Method: su.Session.Method, CreatedAt: su.Session.CreatedAt,
	}})
	if err != nil {
		return Grant{}, claimsError(su.User.ID, err)
	}
	access, accessExpires, err := s.Tokens.IssueAccess(tokens.AccessSubject{
		UserID: su.User.ID, SessionID: su.Session.ID, Custom: custom, Draft: draft,
	}, now, su.Session.ExpiresAt)
	if errors.Is(err, tokens.ErrSessionOver) { // it ends within the second
		return Grant{}, &SignedOutError{Reason: ReasonExpired}
	}
	if errors.Is(err, tokens.ErrTooLarge) {
		return Grant{}, claimsError(su.User.ID, err)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("issuing an access token: %w", err)
	}
	refresh, err := s.Tokens.IssueRefresh(tokens.Refresh{
		SessionID: su.Session.ID, Generation: next.Generation, UserID: su.User.ID,
		IssuedAt: next.IssuedAt, ExpiresAt: next.ExpiresAt,
	})
	if err != nil {
		return Grant{}, fmt.Errorf("issuing a refresh token: %w", err)
	}
	return Grant{
		SessionID: su.Session.ID, AccessToken: access, AccessExpires: accessExpires,
		RefreshToken: refresh, RefreshExpires: next.ExpiresAt, SessionExpires: su.Session.ExpiresAt,
		User: su.User, Now: now,
	}, nil
}

// newSession returns the first generation of a session that begins now.
func (s *Service) newSession(userID, method string, c Client, now time.Time) repo.Session {
	return repo.Session{
		ID: newID(), UserID: userID, Generation: 1, CreatedAt: now, RotatedAt: now,
		IdleExpiresAt: earlier(now.Add(s.Policy.RefreshLifetime), now.Add(s.SessionLifetime)),
		ExpiresAt:     now.Add(s.SessionLifetime),
		Method:        method, UserAgent: truncate(c.UserAgent, maxUserAgent), IP: c.IP,
	}
}

// current is the successor that a session's state stands for.
func current(s repo.Session) Successor {
	return Successor{Generation: s.Generation, IssuedAt: s.RotatedAt, ExpiresAt: s.IdleExpiresAt}
}

// event returns an audit event of this client.
func event(name, userID, sessionID string, c Client, now time.Time, details map[string]any) repo.AuditEvent {
	e := repo.AuditEvent{
		ID: newID(), At: now, Event: name, UserID: userID, SessionID: sessionID,
		IP: c.IP, UserAgent: truncate(c.UserAgent, maxUserAgent),
	}
	if len(details) > 0 {
		e.Details, _ = json.Marshal(details) // strings and numbers only: it can't fail
	}
	return e
}

// now is the time of a request: one for all that it does, as the store keeps it.
func (s *Service) now() time.Time {
	return s.Now().UTC().Truncate(time.Microsecond)
}

// detachedTimeout bounds what goes on when its client has gone away.
const detachedTimeout = 5 * time.Second

// detached returns a context for what must be done although the client may be
// gone: a browser that leaves the page gives up the request that logs it off.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), detachedTimeout)
}

// staying returns a context that goes on when the client goes away, until the deadline.
func staying(ctx context.Context) (context.Context, context.CancelFunc) {
	stays := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(stays, deadline)
	}
	return context.WithCancel(stays)
}

// newID returns a UUIDv7, which sorts by the time of its making.
func newID() string {
	return uuid.Must(uuid.NewV7()).String() // fails only where crypto/rand does, which ends the program
}

// claimsError says whether it is worth trying again.
func claimsError(userID string, err error) error {
	kind := ErrClaims
	if errors.Is(err, claims.ErrUnavailable) {
		kind = ErrClaimsUnavailable
	}
	return fmt.Errorf("%w: user %s: %w", kind, userID, err)
}

// ClaimsUser is a user as the rules for claims see it.
func ClaimsUser(u repo.User) claims.User {
	return claims.User{
		ID: u.ID, Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified,
		FirstName: u.FirstName, LastName: u.LastName,
		IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser,
		DateJoined: u.DateJoined, LastLogin: u.LastLogin, Attributes: u.Attributes,
	}
}
