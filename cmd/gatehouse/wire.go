package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/claims"
	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/cookie"
	"github.com/gatehouse-auth/gatehouse/impl"
	"github.com/gatehouse-auth/gatehouse/migrations"
	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/postgres"
	"github.com/gatehouse-auth/gatehouse/repo/sqlite"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// sqlitePath returns the file of an embedded database, and whether the
// configuration has one.
func sqlitePath(c config.Config) (string, bool) {
	return strings.CutPrefix(c.DatabaseURL, "sqlite:")
}

// store is a repository whose schema can be changed.
type store interface {
	repo.Repository
	Migrate(ctx context.Context) error
	MigrateDown(ctx context.Context) error
	MigrationStatus(ctx context.Context) (migrations.Status, error)
}

func openStore(c config.Config) (store, error) {
	if path, ok := sqlitePath(c); ok {
		return sqlite.Open(path)
	}
	return postgres.Open(postgres.Config{
		DSN: c.DatabaseURL, MaxConnections: c.Database.MaxConnections, StatementTimeout: c.Database.StatementTimeout,
	})
}

// service is everything that a running server consists of.
type service struct {
	handler   http.Handler
	tokens    *tokens.Service
	claims    *claims.Set
	hasher    *password.Hasher
	verifiers []*cognito.Verifier
	keySets   *cognito.Set // nil: no identity provider
	sweeper   *session.Sweeper
}

// wire builds the service from the configuration. It does no I/O but what the
// signing keys need.
func wire(
	ctx context.Context, c config.Config, store repo.Repository, contract reading, logger *slog.Logger, m *metrics, closing context.Context,
) (*service, error) {
	issuer, err := newTokens(c, store, logger)
	if err != nil {
		return nil, err
	}
	custom, err := newClaims(c, issuer, logger)
	if err != nil {
		return nil, err
	}
	if err := issuer.Load(ctx); err != nil {
		return nil, err
	}
	svc := &service{tokens: issuer, claims: custom}
	if svc.hasher, err = newHasher(c); err != nil {
		return nil, err
	}
	if svc.verifiers, svc.keySets, err = identityProviders(c, store, logger, nil); err != nil {
		return nil, err
	}
	revocations, err := newRevocations(c, store, issuer)
	if err != nil {
		return nil, err
	}
	svc.sweeper, err = session.NewSweeper(session.SweeperConfig{
		Store: store, Throttle: c.Throttle.Window, Keep: max(keepEnded, revocations.Window()), Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	sessions, err := newSessions(c, store, svc, logger)
	if err != nil {
		return nil, err
	}
	svc.handler, err = newHandler(c, store, contract, issuer, sessions, revocations, logger, m, closing)
	return svc, err
}

// errNoSecret stands before what its packages say of an empty one.
var errNoSecret = errors.New("the secret of the server is required: GATEHOUSE_SECRET_FILE=FILE or GATEHOUSE_SECRET, or `secret` in the configuration file " +
	"(`serve --development` keeps it in gatehouse.db.secret)")

func newTokens(c config.Config, keys tokens.KeyStore, logger *slog.Logger) (*tokens.Service, error) {
	if c.Secret == "" {
		return nil, errNoSecret
	}
	return tokens.New(tokens.Config{
		Issuer: c.Issuer, Audience: c.Tokens.Audience, Algorithm: c.Tokens.Algorithm,
		AccessLifetime: c.Tokens.AccessLifetime, Leeway: c.Tokens.Leeway,
		UserIDClaim: c.Tokens.UserIDClaim, UserIDType: c.Tokens.UserIDType, MaxTokenBytes: c.Tokens.MaxBytes,
		Secret: c.Secret, SecretFallbacks: c.SecretFallbacks, Keys: keys, JWKSMaxAge: c.Keys.JWKSMaxAge, RotateEvery: c.Keys.RotateEvery, KeyFile: c.Keys.File, Logger: logger,
	})
}

func newHasher(c config.Config) (*password.Hasher, error) {
	return password.New(password.Config{
		Memory: c.Passwords.Memory, Time: c.Passwords.Time, Threads: c.Passwords.Threads,
		MaxConcurrent: c.Passwords.MaxConcurrent, MaxQueue: c.Passwords.MaxQueue,
	})
}

// identityProviders returns no set where none is configured. The client may be
// nil, and so may the store.
func identityProviders(c config.Config, store repo.KeySets, logger *slog.Logger, client *http.Client) ([]*cognito.Verifier, *cognito.Set, error) {
	if len(c.IDPs) == 0 {
		return nil, nil, nil
	}
	verifiers := make([]*cognito.Verifier, 0, len(c.IDPs))
	leeway := c.Tokens.Leeway
	if leeway == 0 {
		leeway = -1 // none, where zero stands for the default
	}
	for _, p := range c.IDPs {
		policy := cognito.RefuseUnverified
		if p.UnverifiedEmail == "accept" {
			policy = cognito.AcceptUnverified
		}
		app, err := identityProviderApp(p)
		if err != nil {
			return nil, nil, err
		}
		v, err := cognito.New(cognito.Config{
			App: app, Store: store,
			Name: p.Name, Region: p.Region, UserPool: p.UserPool, ReplicaRegions: p.ReplicaRegions, Issuer: p.Issuer, JWKSURL: p.JWKSURL,
			ClientIDs: p.ClientIDs, RequiredGroups: p.RequiredGroups, RequiredScopes: p.RequiredScopes, Leeway: leeway, UnverifiedEmail: policy, Logger: logger,
			OIDC: openIDProvider(p), RequireNonce: p.RequireNonce, GroupsClaim: p.GroupsClaim,
			HTTPClient: client, TrustEmail: p.TrustEmail, Claims: claimNames(p),
		})
		if err != nil {
			return nil, nil, fmt.Errorf("identity provider %q: %w", p.Name, err)
		}
		verifiers = append(verifiers, v)
	}
	set, err := cognito.NewSet(verifiers...)
	return verifiers, set, err
}

func newSessions(c config.Config, store repo.Repository, svc *service, logger *slog.Logger) (*session.Service, error) {
	sc := session.Config{
		Store: store, Tokens: svc.tokens, Passwords: svc.hasher, Claims: svc.claims,
		Policy: policyOf(c), SessionLifetime: c.Tokens.SessionLifetime,
		Limits: session.Limits{
			Window: c.Throttle.Window, PerAccountAndNetwork: c.Throttle.PerAccountAndNetwork,
			PerNetwork: c.Throttle.PerNetwork, PerAccount: c.Throttle.PerAccount,
		},
		Providers: userPolicies(c),
		Logger:    logger,
	}
	if svc.keySets != nil {
		sc.IdentityProviders = svc.keySets
	}
	return session.New(sc)
}

func newHandler(
	c config.Config, store repo.Repository, contract reading, issuer *tokens.Service, sessions *session.Service, revocations *session.Revocations,
	logger *slog.Logger, m *metrics, closing context.Context,
) (http.Handler, error) {
	refresh, csrf, err := cookieJars(c)
	if err != nil {
		return nil, err
	}
	doc, err := contract()
	if err != nil {
		return nil, err
	}
	return impl.New(impl.Config{
		Sessions: sessions, Tokens: issuer, Store: store, Revocations: revocations,
		RefreshCookie: refresh, CSRFCookie: csrf, CSRF: cookie.NewCSRF(issuer.DeriveKeys("gatehouse/csrf/1")...), CSRFByOrigin: c.CSRF == "origin",
		Issuer: c.Issuer, BasePath: c.BasePath, Origins: c.CORS.Origins, TrustedProxies: c.TrustedProxies,
		MaxBody: c.Server.MaxBody, RequestTimeout: c.Server.RequestTimeout, JWKSMaxAge: c.Keys.JWKSMaxAge,
		UserFields: c.UserFields, UserIDNumber: c.Tokens.UserIDType == "number", ForwardHeaders: forwardHeaders(c),
		Contract: doc, Version: buildVersion(), Closing: closing, Now: time.Now, Logger: logger, Observe: m.observe,
	})
}

// reading waits for the contract, which is being read.
type reading func() (*impl.Contract, error)

// readContract begins to read the contract: that takes a quarter of the start, the
// database a sixth, and neither needs the other.
func readContract() reading {
	read := sync.OnceValues(func() (*impl.Contract, error) { return impl.NewContract(gatehouse.OpenAPI) })
	go read() //nolint:errcheck // whoever waits for it gets the error
	return read
}

// prepareStore brings the schema up to date where that is wanted, or is the
// custom (the embedded database), and otherwise demands that it is.
func prepareStore(ctx context.Context, c config.Config, store store, migrate bool) error {
	if _, embedded := sqlitePath(c); embedded || migrate {
		if err := store.Migrate(ctx); err != nil {
			return err
		}
	}
	if err := store.Ping(ctx); err != nil {
		return fmt.Errorf("the database is not ready (`gatehouse migrate up` brings its schema up to date): %w", err)
	}
	return nil
}

// cookieJars returns the cookies of the refresh token and of the CSRF token.
func cookieJars(c config.Config) (refresh, csrf *cookie.Jar, err error) {
	if c.Secret == "" {
		return nil, nil, errNoSecret
	}
	o := c.Cookies
	attributes := cookie.Attributes{
		Path: o.Path, Domain: o.Domain, Secure: o.Secure,
		SameSite: map[string]http.SameSite{
			"strict": http.SameSiteStrictMode, "lax": http.SameSiteLaxMode, "none": http.SameSiteNoneMode,
		}[o.SameSite],
	}
	prefix := ""
	switch {
	case o.Profile == "hardened":
		prefix, attributes.Path = "__Host-", "/"
	case o.Path == "":
		attributes.Path = c.BasePath
	}
	jar := func(key, name string) (*cookie.Jar, error) {
		j, err := cookie.NewJar(cookie.JarConfig{
			Config:     cookie.Config{Name: prefix + name, Salt: o.Salt, Secret: c.Secret, Fallbacks: c.SecretFallbacks},
			Attributes: attributes,
		})
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", key, prefix+name, err)
		}
		return j, nil
	}
	if refresh, err = jar("cookies.refresh_name", o.RefreshName); err != nil {
		return nil, nil, err
	}
	csrf, err = jar("cookies.csrf_name", o.CSRFName)
	return refresh, csrf, err
}
