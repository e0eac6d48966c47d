package tokens

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const accessType = "access"

// AccessSubject says for whom an access token is.
type AccessSubject struct {
	UserID    string         // required
	SessionID string         // required
	Custom    map[string]any // further claims; the values must be what encoding/json can write
	Draft     *Draft         // of DraftAccess, which may be the token already; it serves once. nil: none
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
	expires = s.accessEnd(now)
	if notAfter.Before(expires) {
		expires = notAfter.UTC().Truncate(time.Second)
	}
	if !expires.After(now) {
		return "", time.Time{}, ErrSessionOver
	}
	token, drafted := u.Draft.issue(u, now, expires)
	if !drafted {
		u.Draft.Drop()
		if token, err = s.signAccess(u, now, expires); err != nil {
			return "", time.Time{}, err
		}
	}
	if len(token) > s.cfg.MaxTokenBytes {
		return "", time.Time{}, s.tooLarge(len(token), u.Custom)
	}
	return token, expires, nil
}

// accessEnd is when an access token expires that begins now, but for the end of its session.
func (s *Service) accessEnd(now time.Time) time.Time {
	return now.Add(s.cfg.AccessLifetime).UTC().Truncate(time.Second)
}

func (s *Service) signAccess(u AccessSubject, now, expires time.Time) (string, error) {
	payload, err := s.accessPayload(u, now, expires)
	if err != nil {
		return "", err
	}
	token, err := s.sign("JWT", payload, now)
	if err != nil {
		return "", fmt.Errorf("signing an access token: %w", err)
	}
	return token, nil
}

// accessPayload writes the claims as JSON.
func (s *Service) accessPayload(u AccessSubject, now, expires time.Time) ([]byte, error) {
	for name := range u.Custom {
		if reservedName(name) || strings.EqualFold(name, s.cfg.UserIDClaim) {
			return nil, fmt.Errorf("%w: %q", ErrReservedClaim, name)
		}
	}
	b := make([]byte, 0, 512) // the members in the order of their names
	if len(s.cfg.Audience) == 1 {
		b = appendMember(b, "aud", s.cfg.Audience[0])
	} else if len(s.cfg.Audience) > 1 {
		audience, _ := json.Marshal(s.cfg.Audience) // of strings it can't fail
		b = append(appendName(b, "aud"), audience...)
	}
	b = strconv.AppendInt(appendName(b, "exp"), expires.Unix(), 10)
	b = strconv.AppendInt(appendName(b, "iat"), now.Unix(), 10)
	b = appendMember(b, "iss", s.cfg.Issuer)
	b = appendMember(b, "jti", rand.Text())
	b = appendMember(b, "sid", u.SessionID)
	b = appendMember(b, "sub", u.UserID)
	b = appendMember(b, "token_type", accessType)
	if s.cfg.UserIDClaim != "sub" {
		b = s.appendUserID(appendName(b, s.cfg.UserIDClaim), u.UserID)
	}
	b, err := appendCustom(b, u.Custom)
	return append(b, '}'), err
}

// appendUserID adds the user id with the JSON type that other services expect.
func (s *Service) appendUserID(b []byte, id string) []byte {
	if s.cfg.UserIDType == UserIDNumber {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil && strconv.FormatInt(n, 10) == id {
			return append(b, id...)
		}
	}
	return appendText(b, id)
}
