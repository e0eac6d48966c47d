package verify

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
	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// The algorithms that access tokens may be signed with (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	ES256 = jws.ES256
	RS256 = jws.RS256
	EdDSA = jws.EdDSA
)

// maxToken bounds what is read of a token, in bytes.
const maxToken = 16 << 10

// Store keeps key sets beyond the process, so that a start while the issuer
// can't be reached goes on with the last good ones. Whoever can write to it can
// choose the keys. It must be safe for concurrent use.
type Store interface {
	SaveKeySet(ctx context.Context, url string, body []byte, fetchedAt time.Time) error
	// LoadKeySet returns any error where it has none.
	LoadKeySet(ctx context.Context, url string) (body []byte, fetchedAt time.Time, err error)
}

// Config says whose tokens are believed, and for whom they must be.
type Config struct {
	Issuer   string // "iss", compared byte by byte; required
	Audience string // that "aud" must name; required
	// InsecureAnyAudience takes tokens whomever they are for, and those that name nobody. Not with Audience.
	InsecureAnyAudience bool

	Algorithms   []string // ES256, RS256, EdDSA; none: all three. Each key verifies by its own alone
	JWKSURL      string   // empty: "/.well-known/jwks.json" below the issuer
	InsecureHTTP bool     // JWKSURL and RevocationsURL may be plain http beyond loopback addresses, as inside a cluster
	UserIDClaim  string   // as the issuer's tokens.user_id_claim; empty: "user_id". Without such a claim the user is "sub"

	Revocations    Revocations   // zero: RevocationsOff
	RevocationsURL string        // empty: "/auth/revocations/" below the issuer
	Leeway         time.Duration // how far the issuer's clock may differ, for exp, nbf and iat; zero: 30 seconds; at most 2 minutes; negative: none

	Store      Store            // nil: keys are kept in memory alone
	HTTPClient *http.Client     // nil: one with timeouts; redirects are never followed
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: discards
}

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	config      Config
	keys        *jwks.Source
	revocations *revocations // nil: off
}

// New checks the configuration and returns the verifier. It does no I/O: what is
// needed is fetched by Run, or when the first token comes.
func New(c Config) (*Verifier, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	client := jwks.NoRedirects(c.HTTPClient)
	keys, err := jwks.New(jwks.Config{
		URL: c.JWKSURL, Algorithms: c.Algorithms, Store: c.Store, Client: client, Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v := &Verifier{config: c, keys: keys}
	if c.Revocations != RevocationsOff {
		v.revocations = &revocations{v: v, client: client}
	}
	return v, nil
}

func (c Config) withDefaults() Config {
	below := strings.TrimSuffix(c.Issuer, "/")
	if c.JWKSURL == "" {
		c.JWKSURL = below + "/.well-known/jwks.json"
	}
	if c.RevocationsURL == "" && c.Revocations != RevocationsOff {
		c.RevocationsURL = below + "/auth/revocations/"
	}
	if c.UserIDClaim == "" {
		c.UserIDClaim = "user_id"
	}
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
	c.Algorithms = slices.Clone(c.Algorithms)
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{ES256, RS256, EdDSA}
	}
	return c
}

func (c Config) check() error {
	for _, algorithm := range c.Algorithms {
		if !slices.Contains([]string{ES256, RS256, EdDSA}, algorithm) {
			return fmt.Errorf("verify: the algorithm %q is none of ES256, RS256, EdDSA", algorithm)
		}
	}
	switch {
	case c.Issuer == "":
		return errors.New("verify: the issuer is required")
	case c.Audience == "" && !c.InsecureAnyAudience:
		return errors.New("verify: the audience is required")
	case c.Audience != "" && c.InsecureAnyAudience:
		return errors.New("verify: either an audience or any")
	case c.Leeway > 2*time.Minute:
		return errors.New("verify: the leeway can't be more than 2 minutes")
	case c.Revocations < RevocationsOff || c.Revocations > RequireRevocations:
		return errors.New("verify: unknown mode of revocations")
	}
	for _, u := range [...]struct{ name, raw string }{{"JWKS", c.JWKSURL}, {"revocations", c.RevocationsURL}} {
		if c.InsecureHTTP {
			u.raw = strings.Replace(u.raw, "http://", "https://", 1)
		}
		if u.raw == "" {
			continue // RevocationsOff: nobody fetches from there
		}
		if err := jwks.CheckURL(u.raw); err != nil {
			return fmt.Errorf("verify: the %s URL %w", u.name, err)
		}
	}
	return nil
}

// Run fetches the keys, and again when they grow old, and does so with the
// revocations where they are asked for, until the context ends; it then returns
// the context's error. A failure is logged and tried again. Without Run, it is
// tokens that cause the fetches, and some wait for them.
func (v *Verifier) Run(ctx context.Context) error {
	if v.revocations == nil {
		return v.keys.Run(ctx)
	}
	done := make(chan error)
	go func() { done <- v.keys.Run(ctx) }()
	v.revocations.run(ctx)
	return <-done
}

// Verify verifies an access token: form, header, signature and claims, and
// whether it was revoked, where that is asked for. A refusal wraps
// ErrInvalidToken and one of the errors that say why. An error that wraps
// ErrUnavailable says that the token could not be judged.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	t, err := v.open(ctx, token, maxToken)
	if err != nil {
		return Claims{}, err
	}
	if !t.isAccessToken() {
		return Claims{}, ErrTokenType
	}
	claims, err := v.read(t.claims)
	if err != nil {
		return Claims{}, err
	}
	if v.revocations != nil {
		if err := v.revocations.check(ctx, claims); err != nil {
			return Claims{}, err
		}
	}
	return claims, nil
}

// signed is a JWT of the issuer.
type signed struct{ header, claims map[string]any }

// open verifies form, header and signature of what a key of the issuer may have
// signed. What it is, and whether it is still good, is not asked.
func (v *Verifier) open(ctx context.Context, token string, limit int) (signed, error) {
	c, ok := jws.Split(token, limit)
	if !ok {
		return signed{}, ErrMalformed
	}
	header, ok := jws.Object(c.Header)
	if !ok {
		return signed{}, ErrMalformed
	}
	algorithm, _ := header["alg"].(string)
	switch {
	case !slices.Contains(v.config.Algorithms, algorithm):
		return signed{}, ErrAlgorithm
	case !jws.IsPlain(header):
		return signed{}, ErrHeader
	}
	kid, _ := header["kid"].(string)
	key, err := v.keys.Key(ctx, kid)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey):
		return signed{}, ErrUnknownKey
	case err != nil:
		return signed{}, fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
	}
	switch err := key.Verify(c, algorithm); {
	case errors.Is(err, jws.ErrAlgorithm):
		return signed{}, ErrAlgorithm
	case err != nil:
		return signed{}, ErrSignature
	}
	// What the issuer has signed is read after that: nobody else can make us.
	claims, ok := jws.Object(c.Payload)
	if !ok {
		return signed{}, ErrMalformed
	}
	return signed{header, claims}, nil
}

// isAccessToken reports whether a JWT says that it is one, so that nothing else
// that the issuer signs is taken for it (RFC 8725 §3.11).
func (t signed) isAccessToken() bool {
	if value, there := t.header["typ"]; there {
		typ, _ := value.(string)
		if !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "at+jwt") {
			return false
		}
	}
	return t.claims["token_type"] == "access"
}

// Stats counts what happened since the start.
type Stats struct {
	KeyFetches      int       // begun
	KeyFailures     int       // of those
	UnknownKeys     int       // tokens that named a key that the issuer does not have
	Keys            int       // that are known now
	KeysIgnored     int       // that the issuer publishes and that can't be used
	KeysFetchedAt   time.Time // zero: never
	RevocationStats           // zero with RevocationsOff
}

// Stats returns the counts.
func (v *Verifier) Stats() Stats {
	k := v.keys.Stats()
	s := Stats{
		KeyFetches: k.Fetches, KeyFailures: k.Failures, UnknownKeys: k.UnknownKeys,
		Keys: k.Keys, KeysIgnored: k.Ignored, KeysFetchedAt: k.FetchedAt,
	}
	if v.revocations != nil {
		s.RevocationStats = v.revocations.stats()
	}
	return s
}
