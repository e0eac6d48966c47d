package tokens

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const accessType = "access"

// AccessSubject says for whom an access token is.
type AccessSubject struct {
	UserID    string         // required
	SessionID string         // required
	Custom    map[string]any // further claims; the values must be what encoding/json can write
}

// reservedName reports whether a claim of this name, in whatever case, is this package's to write, as a claim or in the
// header, with which sloppy readers mix claims up. Case matters in JSON, but not to every reader of it.
func reservedName(name string) bool {
	for _, r := range [...]string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "token_type", "kid", "alg", "typ", "crit"} {
		if strings.EqualFold(name, r) {
			return true
		}
	}
	return false
}

// IssueAccess signs an access token that begins at now and expires after
// Config.AccessLifetime, but never after notAfter, the end of its session. The
// returned time is its "exp", a whole second in UTC.
//
// Errors: ErrSubject, ErrReservedClaim, ErrSessionOver, ErrTooLarge,
// ErrNotReady, or that a custom claim can't be written as JSON.
func (s *Service) IssueAccess(u AccessSubject, now, notAfter time.Time) (token string, expires time.Time, err error) {
	// encoding/json would write what is not UTF-8 as another text, and so as another user.
	if u.UserID == "" || u.SessionID == "" || !utf8.ValidString(u.UserID) || !utf8.ValidString(u.SessionID) {
		return "", time.Time{}, ErrSubject
	}
	expires = now.Add(s.cfg.AccessLifetime)
	if notAfter.Before(expires) {
		expires = notAfter
	}
	expires = expires.UTC().Truncate(time.Second)
	if !expires.After(now) {
		return "", time.Time{}, ErrSessionOver
	}
	claims, err := s.accessClaims(u, now, expires)
	if err != nil {
		return "", time.Time{}, err
	}
	if token, err = s.sign("JWT", claims, now); err != nil {
		return "", time.Time{}, fmt.Errorf("signing an access token: %w", err)
	}
	if len(token) > s.cfg.MaxTokenBytes {
		return "", time.Time{}, s.tooLarge(len(token), u.Custom)
	}
	return token, expires, nil
}

func (s *Service) accessClaims(u AccessSubject, now, expires time.Time) (jwt.MapClaims, error) {
	for name := range u.Custom {
		if reservedName(name) || strings.EqualFold(name, s.cfg.UserIDClaim) {
			return nil, fmt.Errorf("%w: %q", ErrReservedClaim, name)
		}
	}
	claims := make(jwt.MapClaims, len(u.Custom)+9)
	maps.Copy(claims, u.Custom)
	claims["iss"] = s.cfg.Issuer
	claims["sub"] = u.UserID
	claims["iat"] = now.Unix()
	claims["exp"] = expires.Unix()
	claims["jti"] = rand.Text()
	claims["sid"] = u.SessionID
	claims["token_type"] = accessType
	if s.cfg.UserIDClaim != "sub" {
		claims[s.cfg.UserIDClaim] = s.userIDValue(u.UserID)
	}
	switch len(s.cfg.Audience) {
	case 0:
	case 1:
		claims["aud"] = s.cfg.Audience[0]
	default:
		claims["aud"] = s.cfg.Audience
	}
	return claims, nil
}

// userIDValue is the user id with the JSON type that other services expect.
func (s *Service) userIDValue(id string) any {
	if s.cfg.UserIDType == UserIDNumber {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil && strconv.FormatInt(n, 10) == id {
			return n
		}
	}
	return id
}

// sign signs with the key whose time it is. An HS256 token has no "kid": its verifiers know one secret.
func (s *Service) sign(typ string, claims jwt.Claims, now time.Time) (string, error) {
	set := s.set.Load()
	if s.hmac != nil {
		if set == nil {
			return "", ErrNotReady
		}
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
		token.Header["typ"] = typ
		return token.SignedString(s.hmac[0])
	}
	key, err := set.signer(s.cfg.Algorithm, now)
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(key.method, claims)
	token.Header["typ"], token.Header["kid"] = typ, key.id
	return token.SignedString(key.private)
}
