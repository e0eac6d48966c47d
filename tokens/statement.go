package tokens

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// SignStatement signs claims of this service about something else than a user,
// as a JWT of the given "typ" (RFC 8725 §3.11), with the key that signs access
// tokens at now. The typ is what keeps one from being taken for the other: it must
// be none of those that access tokens have. "iss" is set. ErrNotReady without keys.
func (s *Service) SignStatement(typ string, claims map[string]any, now time.Time) (string, error) {
	if typ == "" || strings.EqualFold(typ, "JWT") || strings.EqualFold(typ, "at+jwt") {
		return "", fmt.Errorf("%w: a statement can't be a %q", ErrTokenType, typ)
	}
	issued := jwt.MapClaims{}
	maps.Copy(issued, claims)
	issued["iss"] = s.cfg.Issuer
	signed, err := s.sign(typ, issued, now)
	if err != nil {
		return "", fmt.Errorf("signing a statement: %w", err)
	}
	return signed, nil
}
