package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// The algorithms of access tokens, as in a JWS header (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
	HS256 = "HS256"
)

// The JSON types of the user-id claim.
const (
	UserIDString = "string"
	UserIDNumber = "number"
)

const (
	defaultAccessLifetime = 5 * time.Minute
	defaultJWKSMaxAge     = 5 * time.Minute
	defaultMaxTokenBytes  = 4096
	// maxPresentedBytes bounds what is read of a presented token. It does not follow the configured budget: tokens
	// that were issued under a wider one must stay valid.
	maxPresentedBytes = 16 << 10
	// minSecretBytes is the least that HS256 asks for (RFC 7518 §3.2).
	minSecretBytes = 32
)

// KeyStore keeps the signing keys; repo.SigningKeys is one.
type KeyStore interface {
	// ListSigningKeys returns all keys, the oldest first.
	ListSigningKeys(ctx context.Context) ([]repo.SigningKey, error)
	// SwapSigningKeys MUST make after all that the store holds where it holds exactly before, and otherwise change
	// nothing and return an error that is repo.ErrStale: of many replicas that decide on the same keys one succeeds.
	SwapSigningKeys(ctx context.Context, before, after []repo.SigningKey) error
}

// Config says how tokens are made and what is asked of them.
type Config struct {
	Issuer          string           // "iss" of access tokens, compared byte by byte; required
	Audience        []string         // "aud"; empty: none is written, and a token that has one is refused
	Algorithm       string           // ES256 (the default), RS256, EdDSA or HS256
	AccessLifetime  time.Duration    // of access tokens; zero: 5 minutes; at least a second
	Leeway          time.Duration    // how far clocks may differ, and so "nbf" and "iat" lie in the future; zero: not at all. Never applied to "exp"
	UserIDClaim     string           // the claim other services key on; empty: "user_id"; "sub" writes no second one
	UserIDType      string           // "string" (the default) or "number": an id that is a canonical decimal int64 becomes a JSON number, any other stays a string
	Secret          string           // from which all keys derive; the HS256 key as it is; required, at least 32 bytes
	SecretFallbacks []string         // earlier secrets, which open and verify but make nothing new
	Keys            KeyStore         // required unless Algorithm is HS256, or there is a KeyFile, which never use it
	KeyFile         string           // a file with a private JWK Set, whose keys are used in the place of those of Keys; empty: none
	MaxTokenBytes   int              // budget of an issued access token; zero: 4096; at most 16384
	JWKSMaxAge      time.Duration    // how long verifiers may cache the key set; zero: 5 minutes; at least a second
	RotateEvery     time.Duration    // how long a key signs before Load or Run makes the next; zero: until Rotate
	Now             func() time.Time // nil: time.Now
	Logger          *slog.Logger     // nil: nothing is logged
}

// withDefaults returns the configuration with every zero value replaced by what it stands for.
func (c Config) withDefaults() Config {
	if c.Algorithm == "" {
		c.Algorithm = ES256
	}
	if c.AccessLifetime == 0 {
		c.AccessLifetime = defaultAccessLifetime
	}
	if c.UserIDClaim == "" {
		c.UserIDClaim = "user_id"
	}
	if c.UserIDType == "" {
		c.UserIDType = UserIDString
	}
	if c.MaxTokenBytes == 0 {
		c.MaxTokenBytes = defaultMaxTokenBytes
	}
	if c.JWKSMaxAge == 0 {
		c.JWKSMaxAge = defaultJWKSMaxAge
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// check reports everything that is wrong with a configuration whose defaults are filled in.
func (c Config) check() error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("tokens: "+format, args...))
		}
	}
	refuse(c.Issuer == "", "an issuer is required")
	refuse(slices.Contains(c.Audience, ""), "an audience must not be empty")
	_, known := methodOf(c.Algorithm)
	refuse(!known, "unknown algorithm %q", c.Algorithm)
	refuse(c.Keys == nil && c.KeyFile == "" && c.Algorithm != HS256, "%s needs a key store", c.Algorithm)
	refuse(c.KeyFile != "" && c.Algorithm == HS256, "the key of HS256 is the secret: it has no use for a key file")
	refuse(c.AccessLifetime < time.Second, "access lifetime %v is shorter than a second", c.AccessLifetime)
	refuse(c.Leeway < 0, "leeway %v is negative", c.Leeway)
	refuse(c.JWKSMaxAge < time.Second, "JWKS max-age %v is shorter than a second", c.JWKSMaxAge)
	refuse(c.RotateEvery < 0, "rotation every %v", c.RotateEvery)
	refuse(c.MaxTokenBytes < 0 || c.MaxTokenBytes > maxPresentedBytes,
		"token budget of %d bytes is not between 1 and %d", c.MaxTokenBytes, maxPresentedBytes)
	refuse(len(c.Secret) < minSecretBytes, "the secret is shorter than %d bytes", minSecretBytes)
	for i, s := range c.SecretFallbacks {
		refuse(len(s) < minSecretBytes, "secret fallback %d is shorter than %d bytes", i+1, minSecretBytes)
	}
	refuse(c.UserIDClaim != "sub" && reservedName(c.UserIDClaim), "user-id claim %q is a registered claim", c.UserIDClaim)
	refuse(c.UserIDType != UserIDString && c.UserIDType != UserIDNumber, "unknown user-id type %q", c.UserIDType)
	// RFC 7519 §4.1.2: "sub" is a string.
	refuse(c.UserIDClaim == "sub" && c.UserIDType == UserIDNumber, `user-id claim "sub" can't be a number`)
	return errors.Join(errs...)
}
