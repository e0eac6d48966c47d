package cognito

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// EmailPolicy says what becomes of an e-mail address that the pool does not
// vouch for.
type EmailPolicy int

// The policies. Without an e-mail address nothing is asked.
const (
	RefuseUnverified EmailPolicy = iota // ErrEmailNotVerified, for "email_verified" false or absent; the default
	AcceptUnverified                    // taken, and told as unverified or unknown
)

// Config is what is asked of a pool's tokens.
type Config struct {
	Name     string // tells the pool from others; required
	Region   string // with UserPool: where the issuer and the keys are
	UserPool string
	Issuer   string // instead of both, for an emulator; compared byte by byte
	JWKSURL  string // instead of the pool's; https, or http on a loopback address; required with Issuer

	App             *App          // what ExchangeCode and AuthorizeURL work with; nil: they are ErrNoApp
	ClientIDs       []string      // the app clients whose tokens are taken; at least one
	RequiredGroups  []string      // tokens whose "cognito:groups" has none of them are refused; none: not asked
	RequiredScopes  []string      // access tokens whose "scope" has none of them are refused; none: not asked
	UnverifiedEmail EmailPolicy   // zero: RefuseUnverified
	Leeway          time.Duration // how far the pool's clock may differ, for exp, nbf and iat; 0: 30 seconds; at most 2 minutes; negative: none

	Store      Store            // keeps the keys beyond this process; nil: they are kept in memory alone
	HTTPClient *http.Client     // fetches the keys; nil: one with timeouts, which follows no redirect
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: discards
}

// Verifier verifies the tokens of one pool. It is safe for concurrent use.
type Verifier struct {
	config  Config
	issuers []string
	keys    *keySource
}

// New checks the configuration and returns the verifier. It does no I/O: the
// keys are fetched by Run, or when the first token is verified.
func New(c Config) (*Verifier, error) {
	if c.Leeway == 0 {
		c.Leeway = 30 * time.Second
	}
	c.Leeway = max(0, c.Leeway)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("idp", c.Name)
	v := &Verifier{config: c}
	if err := v.locate(); err != nil {
		return nil, err
	}
	switch {
	case c.Name == "":
		return nil, errors.New("cognito: a name is required")
	case len(c.ClientIDs) == 0 || slices.Contains(c.ClientIDs, ""):
		return nil, errors.New("cognito: the app clients are required")
	case c.Leeway > 2*time.Minute:
		return nil, errors.New("cognito: the leeway can't be more than 2 minutes")
	}
	if err := checkApp(c); err != nil {
		return nil, err
	}
	return v, nil
}

// locate finds the issuers and the keys of the pool.
func (v *Verifier) locate() error {
	c := v.config
	jwks := c.JWKSURL
	switch {
	case c.Issuer != "" && c.JWKSURL == "":
		return errors.New("cognito: with an issuer the JWKS URL is required")
	case c.Issuer != "":
		v.issuers = []string{c.Issuer}
	case !isLabel(c.Region) || !isLabel(c.UserPool) || !strings.HasPrefix(c.UserPool, c.Region+"_"):
		return errors.New("cognito: a region and a user pool of it are required, or an issuer")
	default:
		suffix := "amazonaws.com"
		if strings.HasPrefix(c.Region, "cn-") {
			suffix = "amazonaws.com.cn"
		}
		for _, host := range []string{"cognito-idp", "issuer-cognito-idp"} {
			v.issuers = append(v.issuers, fmt.Sprintf("https://%s.%s.%s/%s", host, c.Region, suffix, c.UserPool))
		}
		if jwks == "" {
			jwks = v.issuers[0] + "/.well-known/jwks.json"
		}
	}
	if err := checkURL(jwks); err != nil {
		return err
	}
	v.keys = newKeySource(jwks, c)
	return nil
}

// isLabel reports whether s can stand in a host name or a path as it is.
func isLabel(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("cognito: the JWKS URL is not a URL")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("cognito: the JWKS URL must be https, but on a loopback address")
	}
	return nil
}

// Name returns Config.Name.
func (v *Verifier) Name() string { return v.config.Name }

// Issuers returns the issuers whose tokens are taken, each exactly as "iss" must
// be.
func (v *Verifier) Issuers() []string { return slices.Clone(v.issuers) }

// Run fetches the keys, and again every ten minutes, until the context ends; it
// then returns the context's error. A failure is logged and tried again.
func (v *Verifier) Run(ctx context.Context) error { return v.keys.run(ctx) }

// Stats counts what happened to the keys since the start.
func (v *Verifier) Stats() Stats { return v.keys.stats() }

// VerifyID verifies an ID token by itself. Whether at_hash is right, only
// VerifyPair can tell.
func (v *Verifier) VerifyID(ctx context.Context, token string) (Identity, error) {
	t, err := v.verify(ctx, token, useID)
	if err != nil {
		return Identity{}, err
	}
	return v.identity(t)
}

// VerifyAccess verifies an access token by itself. It has no e-mail and no
// names.
func (v *Verifier) VerifyAccess(ctx context.Context, token string) (Identity, error) {
	t, err := v.verify(ctx, token, useAccess)
	if err != nil {
		return Identity{}, err
	}
	return v.identity(t)
}

// VerifyPair verifies an ID token and the access token that was issued with it,
// and that they belong together: the same subject, client, issuer and sign-in,
// and at_hash where it is there. ErrExpired says that all is well but the time
// of one; errors.Is with ErrKeysUnavailable, that the network is at fault.
func (v *Verifier) VerifyPair(ctx context.Context, idToken, accessToken string) (Identity, error) {
	id, err := v.verify(ctx, idToken, useID)
	if err != nil {
		return Identity{}, fmt.Errorf("ID token: %w", err)
	}
	access, err := v.verify(ctx, accessToken, useAccess)
	if err != nil {
		return Identity{}, fmt.Errorf("access token: %w", err)
	}
	origin, accessOrigin := id.text("origin_jti"), access.text("origin_jti")
	switch {
	case id.text("sub") != access.text("sub"), id.client != access.client, id.text("iss") != access.text("iss"),
		origin != "" && accessOrigin != "" && origin != accessOrigin:
		return Identity{}, ErrPair
	case !id.hashFits(accessToken):
		return Identity{}, ErrAccessTokenHash
	}
	return v.identity(id)
}

// Set is the verifiers of several pools. It is safe for concurrent use.
type Set struct {
	all      []*Verifier
	byIssuer map[string]*Verifier
}

// NewSet joins verifiers. Two of one name, or of one issuer, are an error: which
// of them should a token go to?
func NewSet(verifiers ...*Verifier) (*Set, error) {
	s := &Set{all: verifiers, byIssuer: map[string]*Verifier{}}
	names := map[string]bool{}
	for _, v := range verifiers {
		if names[v.config.Name] {
			return nil, fmt.Errorf("cognito: the name %q is given twice", v.config.Name)
		}
		names[v.config.Name] = true
		for _, issuer := range v.issuers {
			if s.byIssuer[issuer] != nil {
				return nil, fmt.Errorf("cognito: the issuer %q is given twice; one pool takes several clients", issuer)
			}
			s.byIssuer[issuer] = v
		}
	}
	return s, nil
}

// VerifyPair verifies a pair with the pool that its ID token names. What the
// token says there is not believed: that pool alone then verifies it.
func (s *Set) VerifyPair(ctx context.Context, idToken, accessToken string) (Identity, error) {
	t, err := parse(idToken)
	if err != nil {
		return Identity{}, fmt.Errorf("ID token: %w", err)
	}
	v := s.byIssuer[t.text("iss")]
	if v == nil {
		return Identity{}, fmt.Errorf("ID token: %w", ErrIssuer)
	}
	return v.VerifyPair(ctx, idToken, accessToken)
}

// Run keeps the keys of all pools fresh until the context ends.
func (s *Set) Run(ctx context.Context) error {
	done := make(chan error, len(s.all))
	for _, v := range s.all {
		go func() { done <- v.Run(ctx) }()
	}
	var err error
	for range s.all {
		err = errors.Join(err, <-done)
	}
	return err
}
