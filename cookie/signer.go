package cookie

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/mac"
)

// What a signed value is refused for.
var (
	// ErrBadSignature says that the value was not signed under any of the secrets for this cookie, or is not of the form.
	ErrBadSignature = errors.New("cookie: bad signature")
	// ErrExpired says that the value was signed longer ago than the caller allows.
	ErrExpired = errors.New("cookie: signature expired")
)

// Config is what a signature depends on. Name, salt and secret go into the key
// as Django puts them there: one after the other.
type Config struct {
	Name      string   // of the cookie; required
	Salt      string   // the salt of set_signed_cookie, COOKIE_SALT of django-rest-microservice; may be empty
	Secret    string   // SECRET_KEY; required
	Fallbacks []string // SECRET_KEY_FALLBACKS: they verify and never sign
}

// Signer signs values as Django does (django.core.signing.TimestampSigner, from
// 3.1 on: HMAC-SHA256). It is safe for concurrent use.
type Signer struct {
	keys []*mac.Key // the first one signs
}

// NewSigner checks the configuration and derives the keys.
func NewSigner(c Config) (*Signer, error) {
	if c.Name == "" || c.Secret == "" {
		return nil, errors.New("cookie: a name and a secret are required")
	}
	s := &Signer{}
	for _, secret := range append([]string{c.Secret}, c.Fallbacks...) {
		if secret == "" {
			return nil, errors.New("cookie: a fallback secret is empty")
		}
		key := sha256.Sum256([]byte(c.Name + c.Salt + "signer" + "django.http.cookies" + secret))
		s.keys = append(s.keys, mac.NewKey(key[:]))
	}
	return s, nil
}

// Sign returns value:time:signature. The time is kept in whole seconds.
func (s *Signer) Sign(value string, at time.Time) string {
	seconds := string(appendBase62(make([]byte, 0, maxBase62), at.Unix()))
	sum := s.keys[0].Sum(value, ":", seconds)
	b := make([]byte, 0, len(value)+2+maxBase62+signatureLength)
	b = append(append(append(append(b, value...), ':'), seconds...), ':')
	return string(base64.RawURLEncoding.AppendEncode(b, sum[:]))
}

// Unsign returns the value that was signed, and when. The error is
// ErrBadSignature.
func (s *Signer) Unsign(signed string) (value string, at time.Time, err error) {
	cut := strings.LastIndexByte(signed, ':')
	if cut < 0 {
		return "", time.Time{}, ErrBadSignature
	}
	body, signature := signed[:cut], signed[cut+1:]
	good := false
	for _, key := range s.keys {
		sum := key.Sum(body)
		want := base64.RawURLEncoding.AppendEncode(make([]byte, 0, signatureLength), sum[:])
		if subtle.ConstantTimeCompare([]byte(signature), want) == 1 {
			good = true
		}
	}
	cut = strings.LastIndexByte(body, ':')
	if !good || cut < 0 {
		return "", time.Time{}, ErrBadSignature
	}
	seconds, ok := parseBase62(body[cut+1:])
	if !ok {
		return "", time.Time{}, ErrBadSignature
	}
	return body[:cut], time.Unix(seconds, 0).UTC(), nil
}

// UnsignWithin is Unsign for a value that is good for maxAge: ErrExpired where it
// was signed earlier than that before now. One from the future is not expired.
func (s *Signer) UnsignWithin(signed string, maxAge time.Duration, now time.Time) (string, error) {
	value, at, err := s.Unsign(signed)
	if err != nil {
		return "", err
	}
	if now.Sub(at) > maxAge {
		return "", ErrExpired
	}
	return value, nil
}

// signatureLength is that of a signature, as text.
const signatureLength = (sha256.Size*8 + 5) / 6

const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// maxBase62 is how long a number can be, with its sign.
const maxBase62 = 12

// appendBase62 writes a number as Django's django.core.signing.b62_encode does.
func appendBase62(b []byte, n int64) []byte {
	if n == 0 {
		return append(b, '0')
	}
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	var digits [maxBase62]byte
	at := len(digits)
	for ; n > 0; n /= 62 {
		at--
		digits[at] = base62Digits[n%62]
	}
	return append(b, digits[at:]...)
}

// parseBase62 reads what appendBase62 has written; up to ten digits, which is beyond
// any time.
func parseBase62(s string) (n int64, ok bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 10 {
		return 0, false
	}
	for _, c := range []byte(digits) {
		i := strings.IndexByte(base62Digits, c)
		if i < 0 {
			return 0, false
		}
		n = n*62 + int64(i)
	}
	if digits != s {
		n = -n
	}
	return n, true
}
