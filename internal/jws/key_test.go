package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
	"github.com/golang-jwt/jwt/v5"
)

var all = []string{jws.RS256, jws.PS256, jws.ES256, jws.EdDSA}

type pair struct {
	private crypto.Signer
	methods map[string]jwt.SigningMethod // of the algorithms that it can sign with
}

func pairs(t *testing.T) map[string]pair {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]pair{
		"RSA": {r, map[string]jwt.SigningMethod{jws.RS256: jwt.SigningMethodRS256, jws.PS256: jwt.SigningMethodPS256}},
		"EC":  {e, map[string]jwt.SigningMethod{jws.ES256: jwt.SigningMethodES256}},
		"OKP": {ed, map[string]jwt.SigningMethod{jws.EdDSA: jwt.SigningMethodEdDSA}},
	}
}

func sign(t *testing.T, method jwt.SigningMethod, key any) jws.Compact {
	t.Helper()
	signed := b64(`{"alg":"x"}`) + "." + b64(`{}`)
	signature, err := method.Sign(signed, key)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := jws.Split(signed+"."+b64(string(signature)), 4096)
	if !ok {
		t.Fatal("it is no token")
	}
	return c
}

// TestPinning signs with every key by every algorithm that it can, and verifies
// under every pin: only the one that is meant takes it.
func TestPinning(t *testing.T) {
	t.Parallel()
	for kind, p := range pairs(t) {
		for algorithm, method := range p.methods {
			c := sign(t, method, p.private)
			for _, pinned := range all {
				key, err := jws.NewKey(p.private.Public(), pinned)
				if (err == nil) != (p.methods[pinned] != nil) {
					t.Errorf("a key of type %s for %s: %v", kind, pinned, err)
				}
				if err != nil {
					continue
				}
				if key.Algorithm() != pinned {
					t.Errorf("it is pinned to %s", key.Algorithm())
				}
				for _, named := range append([]string{"", "none", "HS256", "es256"}, all...) {
					err := key.Verify(c, named)
					switch {
					case named != pinned && !errors.Is(err, jws.ErrAlgorithm),
						named == pinned && pinned != algorithm && !errors.Is(err, jws.ErrSignature),
						named == pinned && pinned == algorithm && err != nil:
						t.Errorf("%s signed, pinned to %s, named %q: %v", algorithm, pinned, named, err)
					}
				}
			}
			c.Signed += "x"
			if key, _ := jws.NewKey(p.private.Public(), algorithm); !errors.Is(key.Verify(c, algorithm), jws.ErrSignature) {
				t.Errorf("%s: another text is taken", algorithm)
			}
		}
	}
	var zero jws.Key
	if zero.Algorithm() != "" || !errors.Is(zero.Verify(jws.Compact{}, ""), jws.ErrAlgorithm) {
		t.Error("the zero key verifies")
	}
	if jws.Known("HS256") || jws.Known("none") || !jws.Known("EdDSA") {
		t.Error("Known is wrong")
	}
}

// TestFirstFit pins a key that names no algorithm.
func TestFirstFit(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"RSA": jws.PS256, "EC": jws.ES256, "OKP": jws.EdDSA} {
		key, err := jws.NewKey(pairs(t)[kind].private.Public(), jws.PS256, jws.RS256, jws.ES256, jws.EdDSA)
		if err != nil || key.Algorithm() != want {
			t.Errorf("%s: %q, %v", kind, key.Algorithm(), err)
		}
	}
}

// TestSaltLength has PSS signatures whose salt is not as long as the hash
// (RFC 7518 §3.5).
func TestSaltLength(t *testing.T) {
	t.Parallel()
	private := pairs(t)["RSA"].private
	key, err := jws.NewKey(private.Public(), jws.PS256)
	if err != nil {
		t.Fatal(err)
	}
	c := jws.Compact{Signed: "a.b"}
	digest := sha256.Sum256([]byte(c.Signed))
	for length, want := range map[int]error{32: nil, 20: jws.ErrSignature, 64: jws.ErrSignature, rsa.PSSSaltLengthAuto: jws.ErrSignature} {
		c.Signature, err = private.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: length, Hash: crypto.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		if err := key.Verify(c, jws.PS256); !errors.Is(err, want) {
			t.Errorf("a salt of %d bytes: %v, want %v", length, err, want)
		}
	}
}

// TestKeysThatAreRefused has keys under which a signature would be worth nothing.
func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	good := pairs(t)["RSA"].private.Public().(*rsa.PublicKey)
	short := new(big.Int).Rsh(good.N, 1)
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.PublicKey{
		"2047 bits": &rsa.PublicKey{N: short, E: 65537}, "8193 bits": &rsa.PublicKey{N: new(big.Int).Lsh(good.N, 8193-2048), E: 65537},
		"e is 1": &rsa.PublicKey{N: good.N, E: 1}, "e is even": &rsa.PublicKey{N: good.N, E: 4}, "e is negative": &rsa.PublicKey{N: good.N, E: -1},
		"another curve": &wide.PublicKey, "no key": nil, "a secret": []byte("secret"),
		"ROCA": &rsa.PublicKey{N: infineon(t), E: 65537},
	} {
		if got, err := jws.NewKey(key, all...); err == nil || got.Algorithm() != "" {
			t.Errorf("%s is taken", name)
		}
	}
}

// infineon makes a modulus as Infineon's library did, but for the primes not
// being prime: k·M + (65537^a mod M), with M the product of the small primes.
func infineon(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for p := int64(2); p <= 701; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(p))
		}
	}
	factor := func() *big.Int {
		room := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(3), 1022), m) // of 1024 bits, the upper two set
		k, err := rand.Int(rand.Reader, new(big.Int).Rsh(room, 8))
		if err != nil {
			t.Fatal(err)
		}
		a, err := rand.Int(rand.Reader, m)
		if err != nil {
			t.Fatal(err)
		}
		k.Add(k, room)
		return k.Mul(k, m).Add(k, new(big.Int).Exp(big.NewInt(65537), a, m))
	}
	p, q := factor(), factor()
	return p.Mul(p, q)
}
