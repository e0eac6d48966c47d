package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// Claims is what a verified access token says.
type Claims struct {
	UserID    string // whatever its JSON type
	SessionID string // "sid"; may be empty
	Issuer    string
	Subject   string
	Audience  []string
	ID        string // "jti"; may be empty
	IssuedAt  time.Time
	ExpiresAt time.Time

	all map[string]any
}

// Decode reads the claims, custom ones too, into a struct or a map, as
// encoding/json does, but for names: they must be equal, and not but for case.
func (c Claims) Decode(into any) error {
	exact, err := json.Marshal(exactly(c.all, into))
	if err != nil {
		return fmt.Errorf("verify: decoding claims: %w", err)
	}
	if err := json.Unmarshal(exact, into); err != nil {
		return fmt.Errorf("verify: decoding claims: %w", err)
	}
	return nil
}

type contextKey struct{}

// FromContext returns the claims of the token that the request was let through
// with. ok is false where no Middleware has seen it.
func FromContext(ctx context.Context) (claims Claims, ok bool) {
	claims, ok = ctx.Value(contextKey{}).(Claims)
	return claims, ok
}

// NewContext returns a context from which FromContext returns the claims: for
// tests of handlers, and for servers that are not net/http.
func NewContext(ctx context.Context, claims Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, claims)
}

// read checks the claims of an access token that the issuer has signed.
func (v *Verifier) read(claims map[string]any) (Claims, error) {
	c := Claims{all: claims}
	c.Issuer, _ = claims["iss"].(string)
	if c.Issuer != v.config.Issuer {
		return Claims{}, ErrIssuer
	}
	var ok bool
	if c.Audience, ok = audience(claims["aud"]); !ok || !v.config.InsecureAnyAudience && !slices.Contains(c.Audience, v.config.Audience) {
		return Claims{}, ErrAudience
	}
	if err := v.readTimes(&c); err != nil {
		return Claims{}, err
	}
	for name, into := range map[string]*string{"sub": &c.Subject, "sid": &c.SessionID, "jti": &c.ID} {
		if value, there := claims[name]; there {
			if *into, ok = value.(string); !ok {
				return Claims{}, fmt.Errorf("%w: %s", ErrMalformed, name)
			}
		}
	}
	c.UserID = c.Subject
	if id, there := claims[v.config.UserIDClaim]; there {
		if c.UserID, ok = jws.ID(id); !ok {
			return Claims{}, ErrNoUser
		}
	}
	if c.UserID == "" || c.Subject != "" && c.Subject != c.UserID {
		return Claims{}, ErrNoUser
	}
	return c, nil
}

// readTimes checks exp, nbf and iat.
func (v *Verifier) readTimes(c *Claims) error {
	var notBefore time.Time
	for name, into := range map[string]*time.Time{"exp": &c.ExpiresAt, "nbf": &notBefore, "iat": &c.IssuedAt} {
		value, there := c.all[name]
		if !there {
			continue
		}
		at, ok := jws.NumericDate(value)
		if !ok {
			return fmt.Errorf("%w: %s", ErrMalformed, name)
		}
		*into = at
	}
	now := v.config.Now()
	latest := now.Add(v.config.Leeway)
	switch {
	case c.all["exp"] == nil:
		return ErrNoExpiry
	case !now.Before(c.ExpiresAt.Add(v.config.Leeway)):
		return ErrExpired
	case notBefore.After(latest), c.IssuedAt.After(latest):
		return ErrNotYetValid
	}
	return nil
}

// audience reads "aud": a string, or a list of strings (RFC 7519 §4.1.3).
func audience(value any) (all []string, ok bool) {
	switch value := value.(type) {
	case nil:
		return nil, true
	case string:
		return []string{value}, true
	case []any:
		for _, one := range value {
			text, isText := one.(string)
			if !isText {
				return nil, false
			}
			all = append(all, text)
		}
		return all, true
	}
	return nil, false
}
