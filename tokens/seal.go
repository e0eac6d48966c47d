package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
)

// What the secret is put to: one derived key for each use, so that none of them can stand in for another.
const (
	useSeal      = "gatehouse/seal/1"
	useRefresh   = "gatehouse/refresh/1"
	useRefreshID = "gatehouse/refresh-id/1"
)

// deriveKey returns HKDF-SHA256 (RFC 5869) of the secret for one use, 32 bytes.
func deriveKey(secret, use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, use, sha256.Size)
	if err != nil {
		panic("tokens: deriving a key: " + err.Error()) // only a length beyond 255 hashes, or a FIPS mode with a short secret
	}
	return key
}

// sealer encrypts private keys under one secret.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret string) (sealer, error) {
	block, err := aes.NewCipher(deriveKey(secret, useSeal))
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

// seal returns nonce and ciphertext; they open again only under the same key id.
func (s sealer) seal(private []byte, keyID string) []byte {
	return s.aead.Seal(nil, nil, private, []byte(keyID))
}

// open returns what was sealed under this key id by the first of the sealers that can, and which that is.
func open(sealers []sealer, sealed []byte, keyID string) (private []byte, by int, ok bool) {
	for i, s := range sealers {
		if private, err := s.aead.Open(nil, nil, sealed, []byte(keyID)); err == nil {
			return private, i, true
		}
	}
	return nil, 0, false
}
