package cognito

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
)

// EmailPolicy says what becomes of an e-mail address that the pool does not
// vouch for.
type EmailPolicy int

// The policies. Without an e-mail address nothing is asked.
const (
	// RefuseUnverified is ErrEmailNotVerified where the provider says that the address is not verified, and where a
	// Cognito pool says nothing. It is the default.
	RefuseUnverified EmailPolicy = iota
	// AcceptUnverified takes it, and tells it as unverified or unknown.
	AcceptUnverified
)

// Config is what is asked of a provider's tokens: of a Cognito pool's, or with
// OIDC of any OpenID provider's.
type Config struct {
	Name     string // tells the provider from others; required
	Region   string // with UserPool: where the issuer and the keys are
	UserPool string
	Issuer   string // instead of both, for an emulator; compared byte by byte; required with OIDC
	JWKSURL  string // instead of the pool's or the metadata's; https, or http on a loopback address; required with Issuer, but not with OIDC
	OIDC     *OIDC  // nil: the provider is a Cognito pool
	// ReplicaRegions are where the pool is replicated to, where it has the original issuer: each has an issuer and keys of
	// its own. The updated issuer ("issuer-cognito-idp") is the same in all regions. Not with Issuer.
	ReplicaRegions []string

	App             *App          // what ExchangeCode and AuthorizeURL work with; nil: they are ErrNoApp
	ClientIDs       []string      // the app clients whose tokens are taken; at least one
	RequiredGroups  []string      // tokens that have none of them are refused; none: not asked
	GroupsClaim     string        // where the groups are; empty: "cognito:groups", with OIDC "groups"
	RequiredScopes  []string      // access tokens whose "scope" has none of them are refused; none: not asked
	RequireNonce    bool          // refuse ID tokens that were not asked for with a nonce
	UnverifiedEmail EmailPolicy   // zero: RefuseUnverified
	TrustEmail      bool          // an address of which the provider does not say whether it is verified counts as verified
	Claims          ClaimNames    // where names, address and attributes are read from; zero: the usual claims
	Leeway          time.Duration // how far the pool's clock may differ, for exp, nbf and iat; 0: 30 seconds; at most 2 minutes; negative: none

	Store      Store            // keeps the keys beyond this process; nil: they are kept in memory alone
	HTTPClient *http.Client     // fetches the keys; nil: one with timeouts, which follows no redirect
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: discards
}

// Verifier verifies the tokens of one provider. It is safe for concurrent use.
type Verifier struct {
	config    Config
	client    *http.Client
	issuers   []string                // each exactly as "iss" must be
	keys      map[string]*jwks.Source // by issuer
	sources   []*jwks.Source          // each of them once
	discovery *discovery              // nil: all is configured
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
	if c.GroupsClaim == "" {
		c.GroupsClaim = "cognito:groups"
		if c.OIDC != nil {
			c.GroupsClaim = "groups"
		}
	}
	c.ClientIDs = slices.Clone(c.ClientIDs)
	var err error
	if c.Claims, err = c.Claims.withDefaults(); err != nil {
		return nil, err
	}
	v := &Verifier{config: c, client: jwks.NoRedirects(c.HTTPClient), keys: map[string]*jwks.Source{}}
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
	case c.OIDC != nil:
		return c.OIDC.locate(v)
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
		if err := jwks.CheckURL(from); err != nil {
			return fmt.Errorf("cognito: the JWKS URL %w", err)
		}
		// A pool has one of its issuers, and only the owner knows which; the others' keys are fetched when they are asked for.
		s, err := v.source(jwks.Config{URL: from, Standby: i > 0})
		if err != nil {
			return err
		}
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

// Name returns Config.Name.
func (v *Verifier) Name() string { return v.config.Name }

// canonical is the issuer that "iss" stands for: all issuers of a pool, and the
// aliases of an OpenID provider's, know the same subjects. Tenants are issuers of
// their own.
func (v *Verifier) canonical(iss string) string {
	if o := v.config.OIDC; o == nil || slices.Contains(o.IssuerAliases, iss) {
		return v.issuers[0]
	}
	return iss
}

// Run fetches the keys, and again every ten minutes, until the context ends; it
// then returns the context's error. A failure is logged and tried again. Those of
// the updated issuer and of replicas are kept fresh from their first token on.
// The metadata of an OpenID provider is fetched every hour.
func (v *Verifier) Run(ctx context.Context) error {
	var runs []func(context.Context) error
	for _, s := range v.sources {
		runs = append(runs, s.Run)
	}
	if v.discovery != nil {
		runs = append(runs, v.discovery.run)
	}
	_ = runAll(ctx, runs) // each ends with the context
	return ctx.Err()
}

// Stats counts what happened to the keys since the start.
func (v *Verifier) Stats() Stats {
	var sum Stats
	for _, s := range v.sources {
		sum.add(s.Stats())
	}
	if v.discovery != nil {
		sum.MetadataFetches, sum.MetadataFailures = v.discovery.counts()
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

// Pair is an ID token and the access token that was issued with it.
type Pair struct {
	IDToken     string
	AccessToken string
	Nonce       string // that they were asked for with; empty: not checked, but for Config.RequireNonce
}

// VerifyPair verifies an ID token and the access token that was issued with it,
// and that they belong together: of a pool, the same subject, client, issuer and
// sign-in, and at_hash where it is there; of an OpenID provider, at_hash, or the
// same subject where it is not there and the access token can be read.
// ErrExpired says that one of them is genuine and over, and nothing of the other;
// ErrKeysUnavailable, that the network is at fault.
func (v *Verifier) VerifyPair(ctx context.Context, p Pair) (Identity, error) {
	return v.verifyPair(ctx, p, token{raw: p.IDToken})
}

// verifyPair is VerifyPair for an ID token that may be taken apart already.
func (v *Verifier) verifyPair(ctx context.Context, p Pair, id token) (Identity, error) {
	id, err := v.check(ctx, id, useID)
	if err != nil {
		return Identity{}, fmt.Errorf("%s: %w", ofID, err)
	}
	together := presented{Pair: p, id: id}
	if v.config.OIDC == nil {
		if together.access, err = v.verify(ctx, p.AccessToken, useAccess); err != nil {
			return Identity{}, fmt.Errorf("%s: %w", ofAccess, err)
		}
	}
	for _, c := range pairChecks {
		if err := c.run(v, &together); err != nil {
			return Identity{}, err
		}
	}
	return together.identity, nil
}
