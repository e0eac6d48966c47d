package tokens

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// maxHeaderBytes bounds a header, which is read before anything is known of who wrote it.
const maxHeaderBytes = 1024

// Access is what a verified access token says.
type Access struct {
	UserID    string
	SessionID string // empty where the token was issued by another holder of an HS256 secret
	ID        string // "jti"
	IssuedAt  time.Time
	ExpiresAt time.Time
	Claims    map[string]any // all claims, as decoded; numbers are json.Number
}

// VerifyAccess verifies an access token: form, header, signature and claims.
// A refusal wraps ErrInvalidToken and one of the errors that say why;
// ErrNotReady says that no keys are loaded and the token was not looked at.
//
// A token is expired from the second of "exp" on, without leeway: one service
// signs and verifies. The leeway is for "nbf" and "iat", as replicas' clocks
// differ. Whether the session still lives is not asked.
func (s *Service) VerifyAccess(token string, now time.Time) (Access, error) {
	payload, err := s.verifySignature(token, now)
	if err != nil {
		return Access{}, err
	}
	claims, ok := jws.Object(payload)
	if !ok {
		return Access{}, ErrMalformed
	}
	return s.rules.verify(claims, now)
}

// verifySignature returns the payload, still encoded, of a token that was signed by a key of ours.
func (s *Service) verifySignature(token string, now time.Time) (payload string, err error) {
	set := s.set.Load()
	if set == nil {
		return "", ErrNotReady
	}
	c, ok := jws.Split(token, maxPresentedBytes)
	if !ok {
		return "", ErrMalformed
	}
	header, err := parseHeader(c.Header)
	if err != nil {
		return "", err
	}
	if s.hmac != nil {
		// "kid" is not asked for: a Django service that shares the secret writes none.
		return c.Payload, verifyHMAC(c, header.algorithm, s.hmac)
	}
	key, err := set.verifier(header.keyID, now)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(token))
	if set.seen.has(digest) {
		return c.Payload, nil
	}
	if err := key.verify(c, header.algorithm); err != nil {
		return "", err
	}
	set.seen.add(digest)
	return c.Payload, nil
}

// verifyHMAC checks an HS256 signature under each key in turn.
func verifyHMAC(c jws.Compact, algorithm string, keys [][]byte) error {
	if algorithm != HS256 {
		return ErrAlgorithm
	}
	for _, key := range keys {
		if jwt.SigningMethodHS256.Verify(c.Signed, c.Signature, key) == nil {
			return nil
		}
	}
	return ErrSignature
}

// header is what a header of ours may hold.
type header struct{ algorithm, keyID string }

// parseHeader refuses every parameter but alg, kid and typ: there is none among the others that a token of ours has,
// and several that have made verifiers believe the attacker's key.
func parseHeader(segment string) (header, error) {
	if len(segment) > maxHeaderBytes {
		return header{}, ErrMalformed
	}
	members, ok := jws.Object(segment)
	if !ok {
		return header{}, ErrMalformed
	}
	var h header
	for name, value := range members {
		text, isText := value.(string)
		switch {
		case name == "alg":
			h.algorithm = text // what is no string is no algorithm
		case name == "kid" && isText:
			h.keyID = text
		case name == "kid":
			return header{}, ErrUnknownKey
		case name != "typ":
			return header{}, ErrHeader
		case !strings.EqualFold(text, "JWT") && !strings.EqualFold(text, "at+jwt"):
			return header{}, ErrTokenType
		}
	}
	if h.algorithm == "" {
		return header{}, ErrAlgorithm
	}
	return h, nil
}

// accessRules is what an access token's claims must fulfil.
type accessRules struct {
	issuer      string
	audience    []string
	userIDClaim string
	leeway      time.Duration
}

// verify checks the claims of a token whose signature is right.
func (r accessRules) verify(claims map[string]any, now time.Time) (Access, error) {
	if kind, _ := claims["token_type"].(string); kind != accessType {
		return Access{}, ErrTokenType
	}
	if issuer, _ := claims["iss"].(string); issuer != r.issuer {
		return Access{}, ErrIssuer
	}
	if !r.forUs(claims["aud"]) {
		return Access{}, ErrAudience
	}
	a := Access{Claims: claims}
	if err := r.verifyTimes(&a, now); err != nil {
		return Access{}, err
	}
	var ok bool
	// Text or number, whatever is configured: tokens from before a change of the setting stay valid.
	if a.UserID, ok = jws.ID(claims[r.userIDClaim]); !ok {
		return Access{}, ErrNoUser
	}
	if subject, present := claims["sub"]; present && subject != a.UserID {
		return Access{}, ErrNoUser
	}
	if a.ID, _ = claims["jti"].(string); a.ID == "" {
		return Access{}, ErrNoID
	}
	if session, present := claims["sid"]; present {
		if a.SessionID, ok = session.(string); !ok {
			return Access{}, ErrMalformed
		}
	}
	return a, nil
}

// verifyTimes checks exp, iat and nbf, and sets the times of a.
func (r accessRules) verifyTimes(a *Access, now time.Time) error {
	expires, present, err := numericDate(a.Claims, "exp")
	if err != nil {
		return err
	}
	if !present {
		return ErrNoExpiry
	}
	issued, _, err := numericDate(a.Claims, "iat")
	if err != nil {
		return err
	}
	notBefore, _, err := numericDate(a.Claims, "nbf")
	if err != nil {
		return err
	}
	if !now.Before(expires) {
		return ErrExpired
	}
	if latest := now.Add(r.leeway); issued.After(latest) || notBefore.After(latest) {
		return ErrNotYetValid
	}
	a.IssuedAt, a.ExpiresAt = issued, expires
	return nil
}

// forUs reports whether "aud" (RFC 7519 §4.1.3: a string or an array of strings) names one of our audiences. Where
// we have none it must be absent, as it would name somebody else.
func (r accessRules) forUs(aud any) bool {
	switch aud := aud.(type) {
	case nil:
		return len(r.audience) == 0
	case string:
		return slices.Contains(r.audience, aud)
	case []any:
		found := false
		for _, one := range aud {
			text, ok := one.(string)
			if !ok {
				return false
			}
			found = found || slices.Contains(r.audience, text)
		}
		return found
	}
	return false
}

// numericDate reads a claim that is a NumericDate.
func numericDate(claims map[string]any, name string) (t time.Time, present bool, err error) {
	value, present := claims[name]
	if !present {
		return time.Time{}, false, nil
	}
	t, ok := jws.NumericDate(value)
	if !ok {
		return time.Time{}, true, ErrMalformed
	}
	return t, true, nil
}
