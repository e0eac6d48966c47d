package tokens

import (
	"crypto"
	"encoding/base64"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// SignRaw signs any header and payload with the key that signs at now.
func (s *Service) SignRaw(header, payload string, now time.Time) string {
	signed := Encode(header) + "." + Encode(payload)
	var sig []byte
	var err error
	if s.hmac != nil {
		sig, err = jwt.SigningMethodHS256.Sign(signed, s.hmac[0])
	} else {
		k, kerr := s.set.Load().signer(s.cfg.Algorithm, now)
		if kerr != nil {
			panic(kerr)
		}
		sig, err = k.method.Sign(signed, k.private)
	}
	if err != nil {
		panic(err)
	}
	return signed + "." + Encode(string(sig))
}

// SignRefreshRaw signs any payload as a refresh token.
func (s *Service) SignRefreshRaw(header, payload string) string {
	signed := Encode(header) + "." + Encode(payload)
	sig := s.refresh[0].sign.Sum(signed)
	return signed + "." + Encode(string(sig[:]))
}

// RefreshID is the jti of a session's generation.
func (s *Service) RefreshID(sessionID string, generation int64) string {
	return s.refresh[0].tokenID(sessionID, generation)
}

// Encode is base64url without padding.
func Encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// SignerID is the kid that signs at now, and its algorithm.
func (s *Service) SignerID(now time.Time) (kid, alg string) {
	k, err := s.set.Load().signer(s.cfg.Algorithm, now)
	if err != nil {
		return "", ""
	}
	return k.id, k.method.Alg()
}

// PublicKey is the key that verifies what is signed at now.
func (s *Service) PublicKey(now time.Time) crypto.PublicKey {
	k, err := s.set.Load().signer(s.cfg.Algorithm, now)
	if err != nil {
		panic(err)
	}
	return k.public
}

// VerifyUnder checks form, header and signature of a token under one key, without asking for "kid".
func VerifyUnder(token, algorithm string, public any) (payload string, err error) {
	c, ok := jws.Split(token, maxPresentedBytes)
	if !ok {
		return "", ErrMalformed
	}
	h, err := parseHeader(c.Header)
	if err != nil {
		return "", err
	}
	if secret, ok := public.([]byte); ok {
		return c.Payload, verifyHMAC(c, h.algorithm, [][]byte{secret})
	}
	method, ok := methodOf(algorithm)
	if !ok {
		return "", ErrAlgorithm
	}
	return c.Payload, (&signingKey{method: method, public: public}).verify(c, h.algorithm)
}

// VerifyClaims checks an encoded payload against rules, of which issuer and audience may be missing.
func VerifyClaims(payload, issuer string, audience []string, now time.Time) (Access, error) {
	claims, ok := jws.Object(payload)
	if !ok {
		return Access{}, ErrMalformed
	}
	return accessRules{issuer: issuer, audience: audience, userIDClaim: "user_id"}.verify(claims, now)
}

// Generate is the key function.
var Generate = generate

// ReadKey reads a private key as Import does.
func ReadKey(text []byte) (algorithm string, err error) {
	m, err := parsePrivate(text)
	return m.algorithm, err
}

// ReadKeyFile reads a JWK Set as Load does, and tells the keys that sign.
func ReadKeyFile(text []byte, algorithm string) (signers int, err error) {
	keys, err := parseKeyFile(text, algorithm)
	for _, k := range keys {
		if k.signs(longAgo) {
			signers++
		}
	}
	return signers, err
}

// PublicJWK is the public half of a key, and its id.
func PublicJWK(private crypto.Signer, algorithm string) (jwk.Key, string, error) {
	return publicJWK(private.Public(), algorithm)
}

// Sealed seals under a secret.
func Sealed(secret string, private []byte, keyID string) []byte {
	s, err := newSealer(secret)
	if err != nil {
		panic(err)
	}
	return s.seal(private, keyID)
}

// Signed reports whether somebody has signed the draft.
func (d *Draft) Signed() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}
