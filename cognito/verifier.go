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
	// ReplicaRegions are where the pool is replicated to, where it has the original issuer: each has an issuer and keys of
	// its own. The updated issuer ("issuer-cognito-idp") is the same in all regions. Not with Issuer.
	ReplicaRegions []string

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
	client  *http.Client
	issuers []string
	keys    map[string]*keySource // by issuer
	sources []*keySource          // each of them once
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
	c.ClientIDs = slices.Clone(c.ClientIDs)
	v := &Verifier{config: c, client: noRedirects(c.HTTPClient), keys: map[string]*keySource{}}
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
	switch {
	case c.Issuer != "" && c.JWKSURL == "":
		return errors.New("cognito: with an issuer the JWKS URL is required")
	case c.Issuer != "" && len(c.ReplicaRegions) > 0:
		return errors.New("cognito: replica regions are those of a pool, and not of an issuer")
	case c.Issuer != "":
		v.issuers = []string{c.Issuer}
	default:
		issuers, err := issuersOf(c)
		if err != nil {
			return err
		}
		v.issuers = issuers
	}
	for i, issuer := range v.issuers {
		if c.JWKSURL != "" && i > 0 {
			v.keys[issuer] = v.sources[0]
			continue
		}
		from := c.JWKSURL
		if from == "" {
			from = issuer + "/.well-known/jwks.json"
		}
		if err := checkURL(from); err != nil {
			return err
		}
		// A pool has one of its issuers, and only the owner knows which; the others' keys are fetched when they are asked for.
		s := &keySource{url: from, standby: i > 0, kept: c.Store, client: v.client, now: c.Now, logger: c.Logger}
		v.keys[issuer], v.sources = s, append(v.sources, s)
	}
	return nil
}

// issuersOf returns the issuers of a pool: the original one first, then the
// updated one, then those of the replicas.
func issuersOf(c Config) ([]string, error) {
	if !isLabel(c.Region) || !isLabel(c.UserPool) || !strings.HasPrefix(c.UserPool, c.Region+"_") {
		return nil, errors.New("cognito: a region and a user pool of it are required, or an issuer")
	}
	issuers := []string{issuerAt("cognito-idp", c.Region, c.UserPool), issuerAt("issuer-cognito-idp", c.Region, c.UserPool)}
	for _, region := range c.ReplicaRegions {
		issuer := issuerAt("cognito-idp", region, c.UserPool)
		if !isLabel(region) || slices.Contains(issuers, issuer) {
			return nil, fmt.Errorf("cognito: the replica region %q is none, or is there already", region)
		}
		issuers = append(issuers, issuer)
	}
	return issuers, nil
}

func issuerAt(host, region, pool string) string {
	suffix := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		suffix = "amazonaws.com.cn"
	}
	return fmt.Sprintf("https://%s.%s.%s/%s", host, region, suffix, pool)
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
// then returns the context's error. A failure is logged and tried again. Those of
// the updated issuer and of replicas are kept fresh from their first token on.
func (v *Verifier) Run(ctx context.Context) error {
	_ = runAll(ctx, v.sources, (*keySource).run) // each ends with the context
	return ctx.Err()
}

// Stats counts what happened to the keys since the start.
func (v *Verifier) Stats() Stats {
	var sum Stats
	for _, s := range v.sources {
		s.addTo(&sum)
	}
	return sum
}

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
// and at_hash where it is there. ErrExpired says that one of them is genuine and
// over, and nothing of the other; ErrKeysUnavailable, that the network is at
// fault.
func (v *Verifier) VerifyPair(ctx context.Context, idToken, accessToken string) (Identity, error) {
	id, err := v.verify(ctx, idToken, useID)
	if err != nil {
		return Identity{}, fmt.Errorf("ID token: %w", err)
	}
	access, err := v.verify(ctx, accessToken, useAccess)
	if err != nil {
		return Identity{}, fmt.Errorf("access token: %w", err)
	}
	if err := id.belongsWith(access); err != nil {
		return Identity{}, err
	}
	return v.identity(id)
}
