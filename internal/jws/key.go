package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// The algorithms that can be verified (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	RS256 = "RS256"
	PS256 = "PS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// Errors of verifying.
var (
	ErrAlgorithm = errors.New("jws: algorithm is not the key's")
	ErrSignature = errors.New("jws: wrong signature")
)

const (
	minRSABits = 2048
	maxRSABits = 8192
)

// Key is a public key that was found fit for the one algorithm that it may be
// used with. The zero Key verifies nothing.
type Key struct {
	method jwt.SigningMethod
	public crypto.PublicKey
}

// NewKey pins a public key to the first of the algorithms that its type fits.
// A key that is weak, or dear to compute with, is an error.
func NewKey(public crypto.PublicKey, algorithms ...string) (Key, error) {
	for _, algorithm := range algorithms {
		method := methodFor(public, algorithm)
		if method == nil {
			continue
		}
		if err := check(public); err != nil {
			return Key{}, err
		}
		return Key{method, public}, nil
	}
	return Key{}, errors.New("it is of another algorithm")
}

// Algorithm is the one that the key may be used with.
func (k Key) Algorithm() string {
	if k.method == nil {
		return ""
	}
	return k.method.Alg()
}

// Verify checks a signature. The algorithm that the header names must be the
// key's. Errors: ErrAlgorithm, ErrSignature.
func (k Key) Verify(c Compact, algorithm string) error {
	if k.method == nil || algorithm != k.method.Alg() {
		return ErrAlgorithm
	}
	if k.method.Verify(c.Signed, c.Signature, k.public) != nil {
		return ErrSignature
	}
	return nil
}

// Known reports whether an algorithm is one of those above.
func Known(algorithm string) bool {
	return slices.Contains([]string{RS256, PS256, ES256, EdDSA}, algorithm)
}

// methodFor returns how an algorithm verifies, and nil where the key is of another type.
func methodFor(public crypto.PublicKey, algorithm string) jwt.SigningMethod {
	switch key := public.(type) {
	case *rsa.PublicKey:
		switch algorithm {
		case RS256:
			return jwt.SigningMethodRS256
		case PS256:
			// The salt is as long as the hash (RFC 7518 §3.5); the library would take any.
			strict := *jwt.SigningMethodPS256
			strict.VerifyOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return &strict
		}
	case *ecdsa.PublicKey:
		if algorithm == ES256 && key.Curve == elliptic.P256() {
			return jwt.SigningMethodES256
		}
	case ed25519.PublicKey:
		if algorithm == EdDSA {
			return jwt.SigningMethodEdDSA
		}
	}
	return nil
}

// check says why a key must not be believed.
func check(public crypto.PublicKey) error {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil // whoever has read a point has checked that it is one
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits || key.E < 3 || key.E%2 == 0 {
		return errors.New("it is too weak, or too large")
	}
	if isROCA(key.N) {
		return errors.New("it can be factored: CVE-2017-15361")
	}
	return nil
}

// isROCA reports whether a modulus has the fingerprint of the keys that
// Infineon's library made (Nemec et al., The Return of Coppersmith's Attack,
// 2017, §3.2): modulo each of these primes it is a power of 65537. By chance that
// happens to fewer than one in a hundred million.
func isROCA(n *big.Int) bool {
	for _, prime := range [...]uint64{
		11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
	} {
		residue := new(big.Int).Mod(n, new(big.Int).SetUint64(prime)).Uint64()
		power := uint64(1)
		for power != residue {
			if power = power * 65537 % prime; power == 1 {
				return false
			}
		}
	}
	return true
}
