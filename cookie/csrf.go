package cookie

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"strings"

	"github.com/gatehouse-auth/gatehouse/internal/mac"
)

const (
	csrfAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	secretLength = 32 // characters of the alphabet, as in Django
)

// ErrSecretLength says that a CSRF secret is not 32 characters of Django's
// alphabet.
var ErrSecretLength = errors.New("cookie: a CSRF secret is 32 letters and digits")

// CSRF makes CSRF tokens that belong to a session: the secret in the token is an
// HMAC of the session's id, so that none is kept anywhere and none of another
// session is good. It is safe for concurrent use.
type CSRF struct {
	keys []*mac.Key
}

// NewCSRF returns a CSRF that makes tokens with the first key and takes those of
// all. Keys are derived for this use alone; without any it panics.
func NewCSRF(keys ...[]byte) *CSRF {
	if len(keys) == 0 {
		panic("cookie: NewCSRF without a key")
	}
	c := &CSRF{}
	for _, key := range keys {
		c.keys = append(c.keys, mac.NewKey(key))
	}
	return c
}

// Token returns a token of the session: 64 letters and digits, other ones each
// time, so that compression can't give them away (BREACH).
func (c *CSRF) Token(sessionID string) string {
	token, err := Mask(secretOf(c.keys[0], sessionID))
	if err != nil {
		panic(err) // a secret of ours has the right form
	}
	return token
}

// Check reports whether a token belongs to the session.
func (c *CSRF) Check(token, sessionID string) bool {
	secret, ok := Unmask(token)
	if !ok {
		return false
	}
	good := false
	for _, key := range c.keys {
		if subtle.ConstantTimeCompare([]byte(secret), []byte(secretOf(key, sessionID))) == 1 {
			good = true
		}
	}
	return good
}

// secretOf maps an HMAC to the alphabet. Bytes that would make some characters
// more likely than others are passed over; another block follows where they run out.
func secretOf(key *mac.Key, sessionID string) string {
	out := make([]byte, 0, secretLength)
	for block := byte(0); ; block++ {
		sum := key.Sum(string([]byte{block}), sessionID)
		for _, b := range sum {
			if b < 4*byte(len(csrfAlphabet)) {
				if out = append(out, csrfAlphabet[int(b)%len(csrfAlphabet)]); len(out) == secretLength {
					return string(out)
				}
			}
		}
	}
}

// Mask hides a secret under a random mask, as Django does: the mask, and then
// each character of the secret moved on in the alphabet by the mask's.
func Mask(secret string) (string, error) {
	if len(secret) != secretLength {
		return "", ErrSecretLength
	}
	token := appendRandomText(make([]byte, 0, 2*secretLength))
	for i := range secretLength {
		s, m := strings.IndexByte(csrfAlphabet, secret[i]), strings.IndexByte(csrfAlphabet, token[i])
		if s < 0 {
			return "", ErrSecretLength
		}
		token = append(token, csrfAlphabet[(s+m)%len(csrfAlphabet)])
	}
	return string(token), nil
}

// Unmask returns the secret of a token, and false for whatever is not one.
func Unmask(token string) (secret string, ok bool) {
	if len(token) != 2*secretLength {
		return "", false
	}
	out := make([]byte, secretLength)
	for i := range secretLength {
		m, c := strings.IndexByte(csrfAlphabet, token[i]), strings.IndexByte(csrfAlphabet, token[secretLength+i])
		if m < 0 || c < 0 {
			return "", false
		}
		out[i] = csrfAlphabet[(c-m+len(csrfAlphabet))%len(csrfAlphabet)]
	}
	return string(out), true
}

// appendRandomText adds 32 random characters of the alphabet, each as likely as
// the other.
func appendRandomText(b []byte) []byte {
	end := len(b) + secretLength
	buf := make([]byte, 2*secretLength)
	for {
		_, _ = rand.Read(buf) // it never fails
		for _, r := range buf {
			if r < 4*byte(len(csrfAlphabet)) {
				if b = append(b, csrfAlphabet[int(r)%len(csrfAlphabet)]); len(b) == end {
					return b
				}
			}
		}
	}
}
