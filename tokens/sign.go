package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// sign signs a payload with the key whose time it is. An HS256 token has no "kid": its verifiers know one secret.
func (s *Service) sign(typ string, payload []byte, now time.Time) (string, error) {
	set := s.set.Load()
	if s.hmac != nil {
		if set == nil {
			return "", ErrNotReady
		}
		return signCompact(jwt.SigningMethodHS256, s.hmac[0], header{algorithm: HS256}, typ, payload)
	}
	key, err := set.signer(s.cfg.Algorithm, now)
	if err != nil {
		return "", err
	}
	return signCompact(key.method, key.private, header{key.method.Alg(), key.id}, typ, payload)
}

// signCompact makes a JWS in compact serialization (RFC 7515 §7.1).
func signCompact(method jwt.SigningMethod, key any, h header, typ string, payload []byte) (string, error) {
	members := appendMember(make([]byte, 0, 128), "alg", h.algorithm)
	if h.keyID != "" {
		members = appendMember(members, "kid", h.keyID)
	}
	members = append(appendMember(members, "typ", typ), '}')
	token := make([]byte, 0, base64.RawURLEncoding.EncodedLen(len(members)+len(payload))+signatureRoom)
	token = appendSegment(base64.RawURLEncoding.AppendEncode(token, members), payload)
	signature, err := method.Sign(string(token), key)
	if err != nil {
		return "", err
	}
	return string(appendSegment(token, signature)), nil
}

// signatureRoom is what the signature, but RSA's, and the dots take of a token.
const signatureRoom = 96

// appendSegment adds a segment to those that a compact JWS has already.
func appendSegment(token, segment []byte) []byte {
	return base64.RawURLEncoding.AppendEncode(append(token, '.'), segment)
}

// appendMember adds a member with a text to a JSON object, which is still open;
// the first one opens it.
func appendMember(object []byte, name, text string) []byte {
	return appendText(appendName(object, name), text)
}

func appendName(object []byte, name string) []byte {
	opening := byte(',')
	if len(object) == 0 {
		opening = '{'
	}
	return append(appendText(append(object, opening), name), ':')
}

// appendText adds a JSON string. What needs no escape, as nearly all that is in
// a token, is copied; encoding/json writes the rest.
func appendText(b []byte, text string) []byte {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // of a string it can't fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// appendCustom adds members of any kind, sorted by their names.
func appendCustom(object []byte, custom map[string]any) ([]byte, error) {
	if len(custom) == 0 {
		return object, nil
	}
	names := make([]string, 0, len(custom))
	for name := range custom {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, err := json.Marshal(custom[name])
		if err != nil {
			return nil, fmt.Errorf("encoding the claim %q: %w", name, err)
		}
		object = append(appendName(object, name), value...)
	}
	return object, nil
}

// es256 is golang-jwt's method, but that it takes the signature out of its ASN.1
// without the numbers in between, which cost half as many allocations again as
// the signature itself.
type es256 struct{ *jwt.SigningMethodECDSA }

// Sign signs with an *ecdsa.PrivateKey on P-256 (RFC 7518 §3.4: r and s, 32 bytes each),
// deterministically, as RFC 8725 §3.2 advises and RFC 6979 describes: that depends on
// no random numbers, and costs a fifth less.
func (m es256) Sign(text string, key any) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	digest := sha256.Sum256([]byte(text))
	der, err := private.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var sequence cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&sequence, asn1.SEQUENCE) || !sequence.ReadASN1Integer(&r) || !sequence.ReadASN1Integer(&s) || len(r) > 32 || len(s) > 32 {
		return nil, errors.New("tokens: a signature that is none")
	}
	signature := make([]byte, 64)
	copy(signature[32-len(r):], r)
	copy(signature[64-len(s):], s)
	return signature, nil
}
