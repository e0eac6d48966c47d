package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
	"github.com/gatehouse-auth/gatehouse/repo"
)

// rsaBits is the size of new RSA keys. A larger modulus leaves the fast path of crypto/rsa: verifying with 3072 bits
// takes five times as long.
const rsaBits = 2048

// A key's states in the store.
const (
	statePublished = "published"
	stateSigning   = "signing"
	stateRetired   = "retired"
)

// methodOf returns the signing method of an algorithm that this package knows.
func methodOf(algorithm string) (jwt.SigningMethod, bool) {
	switch algorithm {
	case ES256:
		return es256{jwt.SigningMethodES256}, true
	case RS256:
		return jwt.SigningMethodRS256, true
	case EdDSA:
		return jwt.SigningMethodEdDSA, true
	case HS256:
		return jwt.SigningMethodHS256, true
	}
	return nil, false
}

// signingKey is a key pair, unsealed and checked.
type signingKey struct {
	id       string
	method   jwt.SigningMethod
	private  crypto.Signer
	public   crypto.PublicKey
	jwk      jwk.Key
	signsAt  time.Time
	retireAt time.Time // from when it may sign no more; zero: not decided
	removeAt time.Time // from when it verifies no more; zero: not decided
}

// signs reports whether the key may sign at this time.
func (k *signingKey) signs(now time.Time) bool {
	return !k.signsAt.After(now) && before(now, k.retireAt) && k.verifies(now)
}

// verifies reports whether a token signed by this key may still be believed.
func (k *signingKey) verifies(now time.Time) bool {
	return before(now, k.removeAt)
}

// verify checks the signature. The algorithm is the key's; the header's must be the same.
func (k *signingKey) verify(c jws.Compact, algorithm string) error {
	if algorithm != k.method.Alg() {
		return ErrAlgorithm
	}
	if k.method.Verify(c.Signed, c.Signature, k.public) != nil {
		return ErrSignature
	}
	return nil
}

// before is true too where the end is not decided.
func before(now, end time.Time) bool {
	return end.IsZero() || now.Before(end)
}

// generate makes a private key for an asymmetric algorithm.
func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("tokens: no key pair for algorithm %q", algorithm)
}

// publicJWK returns the public half as it is published (RFC 7517 §4); its "kid" is the RFC 7638 thumbprint.
func publicJWK(public crypto.PublicKey, algorithm string) (jwk.Key, string, error) {
	key, err := jwk.Import(public)
	if err != nil {
		return nil, "", fmt.Errorf("importing the public key: %w", err)
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, "", fmt.Errorf("computing the thumbprint: %w", err)
	}
	alg, ok := jwa.LookupSignatureAlgorithm(algorithm)
	if !ok {
		return nil, "", fmt.Errorf("tokens: no key pair for algorithm %q", algorithm)
	}
	id := base64.RawURLEncoding.EncodeToString(thumbprint)
	return key, id, errors.Join(
		key.Set(jwk.KeyIDKey, id), key.Set(jwk.AlgorithmKey, alg), key.Set(jwk.KeyUsageKey, jwk.ForSignature))
}

// newKeyRecord makes a key pair and seals it. It signs from signsAt on. Its id does not begin with a dash, so that no
// command line takes it for an option.
func newKeyRecord(algorithm string, s sealer, now, signsAt time.Time) (repo.SigningKey, error) {
	for {
		private, err := generate(algorithm)
		if err != nil {
			return repo.SigningKey{}, fmt.Errorf("generating a key: %w", err)
		}
		k, err := keyRecord(private, algorithm, s, now, signsAt)
		if err != nil || k.KeyID[0] != '-' {
			return k, err
		}
	}
}

// keyRecord seals a key pair.
func keyRecord(private crypto.Signer, algorithm string, s sealer, now, signsAt time.Time) (repo.SigningKey, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return repo.SigningKey{}, fmt.Errorf("encoding a key: %w", err)
	}
	key, id, err := publicJWK(private.Public(), algorithm)
	if err != nil {
		return repo.SigningKey{}, err
	}
	public, err := json.Marshal(key)
	if err != nil {
		return repo.SigningKey{}, fmt.Errorf("encoding a public key: %w", err)
	}
	state := stateSigning
	if signsAt.After(now) {
		state = statePublished
	}
	return repo.SigningKey{
		KeyID: id, Algorithm: algorithm, State: state, SealedPrivate: s.seal(der, id), PublicJWK: public,
		CreatedAt: now, SignsAt: signsAt,
	}, nil
}

// openKey unseals a key of the store. All of it derives from the sealed private half, whose id is checked: who can
// write to the store, but has not the secret, can't bring in a key of his own.
func openKey(r repo.SigningKey, sealers []sealer) (*signingKey, error) {
	der, _, ok := open(sealers, r.SealedPrivate, r.KeyID)
	if !ok {
		return nil, fmt.Errorf("%w: kid %q was sealed under a secret that is neither the secret nor a fallback", ErrSealed, r.KeyID)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: kid %q: not a private key", ErrSealed, r.KeyID) // the cause might quote key material
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: kid %q can't sign", ErrSealed, r.KeyID)
	}
	method, ok := methodOf(r.Algorithm) // of another version it may be one that is not known here
	if _, err := jws.NewKey(private.Public(), r.Algorithm); err != nil || !ok {
		return nil, fmt.Errorf("%w: kid %q is no key for %q", ErrSealed, r.KeyID, r.Algorithm)
	}
	key, id, err := publicJWK(private.Public(), r.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("%w: kid %q: %w", ErrSealed, r.KeyID, err)
	}
	if id != r.KeyID {
		return nil, fmt.Errorf("%w: kid %q holds another key", ErrSealed, r.KeyID)
	}
	return &signingKey{
		id: id, method: method, private: private, public: private.Public(), jwk: key,
		signsAt: r.SignsAt, retireAt: r.RetiredAt, removeAt: r.RemoveAt,
	}, nil
}
