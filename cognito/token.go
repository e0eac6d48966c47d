package cognito

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

const (
	maxToken  = 16 << 10 // bytes
	useID     = "id"
	useAccess = "access"
)

// token is a JWT, taken apart.
type token struct {
	raw     string
	compact jws.Compact
	header  map[string]any
	claims  map[string]any
	use     string // what it is to be: useID or useAccess
	client  string // that it was issued to; set by verify
}

// parse takes a token apart, strictly, and verifies nothing.
func parse(raw string) (token, error) {
	t := token{raw: raw}
	err := t.parse()
	return t, err
}

func (t *token) parse() error {
	c, ok := jws.Split(t.raw, maxToken)
	if !ok {
		return ErrMalformed
	}
	header, okHeader := jws.Object(c.Header)
	claims, okClaims := jws.Object(c.Payload)
	if !okHeader || !okClaims {
		return ErrMalformed
	}
	t.compact, t.header, t.claims = c, header, claims
	return nil
}

// text returns a claim that is text; what is not has no text.
func (t token) text(name string) string {
	s, _ := t.claims[name].(string)
	return s
}

// time returns a claim that is a NumericDate (RFC 7519 §2), and false where it is
// something else; an absent one is the zero time.
func (t token) time(name string) (time.Time, bool) {
	value, there := t.claims[name]
	if !there {
		return time.Time{}, true
	}
	return jws.NumericDate(value)
}

// checkUse checks that a token is of the kind that is asked for.
func (v *Verifier) checkUse(t token, use string) error {
	switch {
	case v.config.OIDC != nil && use == useID:
		return v.checkIDToken(t)
	case v.config.OIDC != nil, t.text("token_use") != use:
		return ErrTokenUse
	}
	return nil
}

// checkRights asks for one of the groups, and of an access token for one of the
// scopes (RFC 9068 §2.2.3).
func (v *Verifier) checkRights(t token, use string) error {
	groups, _ := t.claims[v.config.GroupsClaim].([]any)
	inGroup := func(group string) bool { return slices.Contains(groups, any(group)) }
	if need := v.config.RequiredGroups; len(need) > 0 && !slices.ContainsFunc(need, inGroup) {
		return ErrGroup
	}
	scopes := strings.Split(t.text("scope"), " ")
	hasScope := func(scope string) bool { return slices.Contains(scopes, scope) }
	if need := v.config.RequiredScopes; use == useAccess && len(need) > 0 && !slices.ContainsFunc(need, hasScope) {
		return ErrScope
	}
	return nil
}

// checkSignature takes the key that the header names, and lets it verify with
// its own algorithm alone.
func (t token) checkSignature(ctx context.Context, keys *jwks.Source, allowed []string) error {
	algorithm, _ := t.header["alg"].(string)
	if !slices.Contains(allowed, algorithm) {
		return ErrAlgorithm
	}
	if !jws.IsPlain(t.header) {
		return ErrHeader
	}
	kid, _ := t.header["kid"].(string)
	key, err := keyOf(ctx, keys, kid)
	if err != nil {
		return err
	}
	switch err := key.Verify(t.compact, algorithm); {
	case errors.Is(err, jws.ErrAlgorithm):
		return ErrAlgorithm
	case err != nil:
		return ErrSignature
	}
	return nil
}

// clientOf returns the configured client that a token was issued to, or "". An ID
// token names it in "aud", which may be a list, and then in "azp" where that is
// there (OpenID Connect Core §3.1.3.7); an access token in "client_id".
func (v *Verifier) clientOf(t token, use string) string {
	if v.config.OIDC != nil {
		return v.audienceClient(t)
	}
	known := func(client string) bool { return client != "" && slices.Contains(v.config.ClientIDs, client) }
	if use == useAccess {
		if client := t.text("client_id"); known(client) {
			return client
		}
		return ""
	}
	audience := []any{t.claims["aud"]}
	if list, ok := t.claims["aud"].([]any); ok {
		audience = list
	}
	azp, hasAZP := t.claims["azp"]
	for _, entry := range audience {
		client, _ := entry.(string)
		if known(client) && (!hasAZP || azp == client) {
			return client
		}
	}
	return ""
}

// checkTimes checks exp, nbf and iat.
func (v *Verifier) checkTimes(t token) error {
	now := v.config.Now()
	latest := now.Add(v.config.Leeway)
	exp, ok := t.time("exp")
	if !ok {
		return fmt.Errorf("%w: exp", ErrMalformed)
	}
	if exp.IsZero() {
		return ErrNoExpiry
	}
	for _, name := range []string{"nbf", "iat"} {
		at, ok := t.time(name)
		switch {
		case !ok || name == "iat" && at.IsZero():
			return fmt.Errorf("%w: %s", ErrMalformed, name)
		case at.After(latest):
			return fmt.Errorf("%w: %s", ErrNotYetValid, name)
		}
	}
	if !now.Before(exp.Add(v.config.Leeway)) {
		return ErrExpired
	}
	return nil
}

// belongsWith checks that an ID token and an access token come from one sign-in.
func (t token) belongsWith(access token) error {
	for _, name := range []string{"iss", "sub"} {
		if t.text(name) != access.text(name) {
			return fmt.Errorf("%w: %s", ErrPair, name)
		}
	}
	if t.client != access.client {
		return fmt.Errorf("%w: client", ErrPair)
	}
	// Pools without token revocation have none.
	origin, there := t.claims["origin_jti"]
	other, alsoThere := access.claims["origin_jti"]
	if there && !isText(origin) || alsoThere && !isText(other) || there && alsoThere && origin != other {
		return fmt.Errorf("%w: origin_jti", ErrPair)
	}
	if !t.hashFits(access.raw) {
		return ErrAccessTokenHash
	}
	return nil
}

// isText reports whether a claim is text, and not empty.
func isText(claim any) bool {
	text, _ := claim.(string)
	return text != ""
}

// hasNonce reports whether the token was asked for with this nonce, and with any.
func (t token) hasNonce(nonce string) bool {
	return nonce != "" && subtle.ConstantTimeCompare([]byte(t.text("nonce")), []byte(nonce)) == 1
}

// hashFits reports whether at_hash, where it is there, is the access token's: the
// left half of its digest, by the hash of the ID token's algorithm (OpenID Connect
// Core §3.1.3.6).
func (t token) hashFits(accessToken string) bool {
	claim, there := t.claims["at_hash"]
	if !there {
		return true
	}
	text, _ := claim.(string)
	sum := sha256.Sum256([]byte(accessToken))
	half := sum[:sha256.Size/2]
	if t.header["alg"] == jws.EdDSA { // Ed25519's (RFC 8032 §5.1)
		sum := sha512.Sum512([]byte(accessToken))
		half = sum[:sha512.Size/2]
	}
	want := base64.RawURLEncoding.EncodeToString(half)
	return subtle.ConstantTimeCompare([]byte(text), []byte(want)) == 1
}
