package tokens

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
	"github.com/gatehouse-auth/gatehouse/internal/mac"
)

const (
	refreshType = "refresh"
	// refreshHeader is {"alg":"HS256","typ":"JWT"}, the one header that a refresh token has.
	refreshHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
	// maxRefreshBytes keeps the token, signed once more and with its attributes, inside the 4 KiB of a cookie.
	maxRefreshBytes = 2048
)

// Refresh is what a refresh token says.
type Refresh struct {
	SessionID  string
	Generation int64 // from 1 on
	UserID     string
	IssuedAt   time.Time // whole seconds are kept
	ExpiresAt  time.Time // whole seconds are kept
}

// refreshKey is what one secret gives for refresh tokens.
type refreshKey struct{ sign, id *mac.Key }

func newRefreshKey(secret string) refreshKey {
	return refreshKey{sign: mac.NewKey(deriveKey(secret, useRefresh)), id: mac.NewKey(deriveKey(secret, useRefreshID))}
}

// tokenID derives "jti" from session and generation, so that every replica makes the same successor.
func (k refreshKey) tokenID(sessionID string, generation int64) string {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(generation)) // #nosec G115 -- bijective, and never negative
	sum := k.id.Sum(string(n[:]), sessionID)             // the number first, as its length is fixed
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// refreshClaims fixes the order of the members, and with it the bytes.
type refreshClaims struct {
	TokenType  string `json:"token_type"`
	SessionID  string `json:"sid"`
	Generation int64  `json:"gen"`
	ID         string `json:"jti"`
	UserID     string `json:"user_id"`
	Subject    string `json:"sub"`
	IssuedAt   int64  `json:"iat"`
	ExpiresAt  int64  `json:"exp"`
}

// IssueRefresh makes the refresh token of a session's generation. It reads no
// clock and no randomness: the same input gives the same bytes, always.
//
// Errors: ErrSubject where an id is missing or not UTF-8, or the generation is
// below 1; ErrSessionOver where ExpiresAt is not a second after IssuedAt;
// ErrTooLarge.
func (s *Service) IssueRefresh(r Refresh) (string, error) {
	if r.SessionID == "" || r.UserID == "" || r.Generation < 1 || !utf8.ValidString(r.SessionID) || !utf8.ValidString(r.UserID) {
		return "", ErrSubject
	}
	issued, expires := r.IssuedAt.Unix(), r.ExpiresAt.Unix()
	if expires <= issued {
		return "", ErrSessionOver
	}
	key := s.refresh[0]
	payload, err := json.Marshal(refreshClaims{
		TokenType: refreshType, SessionID: r.SessionID, Generation: r.Generation,
		ID: key.tokenID(r.SessionID, r.Generation), UserID: r.UserID, Subject: r.UserID,
		IssuedAt: issued, ExpiresAt: expires,
	})
	if err != nil {
		return "", fmt.Errorf("encoding a refresh token: %w", err)
	}
	token := make([]byte, 0, len(refreshHeader)+base64.RawURLEncoding.EncodedLen(len(payload))+signatureRoom)
	token = appendSegment(append(token, refreshHeader...), payload)
	sum := key.sign.Sum(string(token))
	if token = appendSegment(token, sum[:]); len(token) > maxRefreshBytes {
		return "", ErrTooLarge
	}
	return string(token), nil
}

// ParseRefresh checks that a presented token is a refresh token that this
// service has made, and returns what it says. Whether it is the current one,
// and its session alive, only the session can tell.
//
// For a token whose time has come it returns ErrExpired together with what the
// token says, so that the caller can look up why. Every other refusal returns
// no Refresh; all wrap ErrInvalidToken.
func (s *Service) ParseRefresh(token string) (Refresh, error) {
	c, ok := jws.Split(token, maxRefreshBytes)
	if !ok {
		return Refresh{}, ErrMalformed
	}
	if c.Header != refreshHeader {
		return Refresh{}, ErrHeader
	}
	key, ok := s.refreshSigner(c)
	if !ok {
		return Refresh{}, ErrSignature
	}
	claims, ok := jws.Object(c.Payload)
	if !ok {
		return Refresh{}, ErrMalformed
	}
	r, err := key.read(claims)
	if err != nil {
		return Refresh{}, err
	}
	if !s.cfg.Now().Before(r.ExpiresAt) {
		return r, ErrExpired
	}
	return r, nil
}

// refreshSigner returns the key, of the secret or of a fallback, that signed.
func (s *Service) refreshSigner(c jws.Compact) (refreshKey, bool) {
	for _, k := range s.refresh {
		if k.sign.Verify(c.Signature, c.Signed) {
			return k, true
		}
	}
	return refreshKey{}, false
}

// read takes the claims of a token that this key signed.
func (k refreshKey) read(claims map[string]any) (Refresh, error) {
	if kind, _ := claims["token_type"].(string); kind != refreshType {
		return Refresh{}, ErrTokenType
	}
	var r Refresh
	r.SessionID, _ = claims["sid"].(string)
	r.UserID, _ = claims["user_id"].(string)
	generation, ok := wholeNumber(claims["gen"])
	issued, okIssued := wholeNumber(claims["iat"])
	expires, okExpires := wholeNumber(claims["exp"])
	if r.SessionID == "" || !ok || generation < 1 || !okIssued || !okExpires {
		return Refresh{}, ErrMalformed
	}
	if r.UserID == "" || claims["sub"] != r.UserID {
		return Refresh{}, ErrNoUser
	}
	id, _ := claims["jti"].(string)
	if !hmac.Equal([]byte(id), []byte(k.tokenID(r.SessionID, generation))) {
		return Refresh{}, ErrNoID
	}
	r.Generation, r.IssuedAt, r.ExpiresAt = generation, time.Unix(issued, 0).UTC(), time.Unix(expires, 0).UTC()
	return r, nil
}

func wholeNumber(v any) (int64, bool) {
	number, _ := v.(json.Number)
	n, err := strconv.ParseInt(number.String(), 10, 64)
	return n, err == nil
}
