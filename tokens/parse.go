package tokens

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// maxKeyID is how long a kid may be: it is in each token, and verify ignores longer ones.
const maxKeyID = 256

// material is a key from outside, found fit for one algorithm. The errors on the way to it say what is wrong, and never
// quote what was read.
type material struct {
	id        string        // "kid" where it was given, else the RFC 7638 thumbprint
	private   crypto.Signer // nil: the key only verifies
	public    crypto.PublicKey
	jwk       jwk.Key // as it is published
	algorithm string
	ops       jwk.KeyOperationList
}

// newMaterial takes a private or a public key.
func newMaterial(raw any) (m material, err error) {
	public := raw
	if signer, ok := raw.(crypto.Signer); ok {
		m.private, public = signer, signer.Public()
	}
	key, err := jws.NewKey(public, ES256, RS256, EdDSA)
	if err != nil {
		return material{}, fmt.Errorf("%w; wanted is one for ES256 (P-256), RS256 or EdDSA (Ed25519)", err)
	}
	m.algorithm = key.Algorithm()
	if err := m.prove(key); err != nil {
		return material{}, err
	}
	m.public = public
	m.jwk, m.id, err = publicJWK(public, m.algorithm)
	return m, err
}

// prove signs, and verifies with the public half: of a key that somebody has put together the halves may not fit.
func (m material) prove(public jws.Key) error {
	if m.private == nil {
		return nil
	}
	unfit := errors.New("its halves do not belong together")
	if k, ok := m.private.(*rsa.PrivateKey); ok && k.Validate() != nil {
		return unfit
	}
	const probe = "gatehouse"
	method, _ := methodOf(m.algorithm)
	signature, err := method.Sign(probe, m.private)
	if err != nil || public.Verify(jws.Compact{Signed: probe, Signature: signature}, m.algorithm) != nil {
		return unfit
	}
	return nil
}

// parsePrivate reads one private key: PEM (PKCS #8, PKCS #1 or SEC 1) or a JWK.
func parsePrivate(text []byte) (material, error) {
	m, err := parseMaterial(text)
	if err == nil && m.private == nil {
		err = errors.New("it is a public key")
	}
	if err != nil {
		return material{}, fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	return m, nil
}

func parseMaterial(text []byte) (material, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJWK(trimmed)
	}
	var found any
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		raw, known, err := fromPEM(block)
		switch {
		case err != nil:
			return material{}, err
		case known && found != nil:
			return material{}, errors.New("there is more than one private key in it")
		case known:
			found = raw
		}
	}
	if found == nil {
		return material{}, errors.New("there is no private key in it: PEM (PKCS #8, PKCS #1, SEC 1) or a JWK is wanted")
	}
	return newMaterial(found)
}

// fromPEM passes over blocks of other kinds, such as EC PARAMETERS.
func fromPEM(block *pem.Block) (key any, known bool, err error) {
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, true, errEncrypted
	default:
		return nil, false, nil
	}
	if block.Headers["DEK-Info"] != "" {
		return nil, true, errEncrypted
	}
	if err != nil {
		return nil, true, errors.New("it can't be read as " + block.Type)
	}
	return key, true, nil
}

var errEncrypted = errors.New("it is encrypted: decrypt it first (openssl pkey -in FILE)")

// parseJWK reads a private or a public JWK, whose "alg", "use" and "kid" count where they are given.
func parseJWK(text []byte) (material, error) {
	key, err := jwk.ParseKey(text)
	var raw any
	if err == nil {
		err = jwk.Export(key, &raw)
	}
	if err != nil { // the cause may quote it
		return material{}, errors.New("it is no JWK of a key that can be used")
	}
	m, err := newMaterial(raw)
	if err != nil {
		return material{}, err
	}
	if alg, ok := key.Algorithm(); ok && alg.String() != m.algorithm {
		return material{}, fmt.Errorf("its alg is not %s", m.algorithm)
	}
	if use, ok := key.KeyUsage(); ok && use != string(jwk.ForSignature) {
		return material{}, errors.New("its use is not sig")
	}
	m.ops, _ = key.KeyOps()
	if id, ok := key.KeyID(); ok && id != "" {
		if len(id) > maxKeyID {
			return material{}, fmt.Errorf("its kid has more than %d bytes", maxKeyID)
		}
		m.id = id
		return m, m.jwk.Set(jwk.KeyIDKey, id)
	}
	return m, nil
}
