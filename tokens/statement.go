package tokens

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// SignStatement signs claims of this service about something else than a user,
// as a JWT of the given "typ" (RFC 8725 §3.11), with the key that signs access
// tokens at now. The typ is what keeps one from being taken for the other: it must
// be none of those that access tokens have. "iss" is set. ErrNotReady without keys.
func (s *Service) SignStatement(typ string, claims map[string]any, now time.Time) (string, error) {
	if typ == "" || strings.EqualFold(typ, "JWT") || strings.EqualFold(typ, "at+jwt") {
		return "", fmt.Errorf("%w: a statement can't be a %q", ErrTokenType, typ)
	}
	issued := maps.Clone(claims)
	if issued == nil {
		issued = map[string]any{}
	}
	issued["iss"] = s.cfg.Issuer
	payload, err := json.Marshal(issued)
	if err != nil {
		return "", fmt.Errorf("encoding a statement: %w", err)
	}
	signed, err := s.sign(typ, payload, now)
	if err != nil {
		return "", fmt.Errorf("signing a statement: %w", err)
	}
	return signed, nil
}
