package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

const (
	maxKeys  = 100
	maxKeyID = 256 // bytes
)

// keySet is a JWK Set that was read.
type keySet struct {
	url     string // where it was fetched
	body    []byte
	fresh   time.Duration
	keys    map[string]jws.Key // by id
	ignored int                // that can't be used
}

// KeyIgnored is what the log says of a key that can't be used, with its kid and
// the error.
const KeyIgnored = "a key is passed over"

// parse reads a JWK Set (RFC 7517 §5). Keys that can't be used are passed over
// with a line in the log; a set without any that can is an error. It is what an
// issuer answers that has not loaded its keys yet, as Gatehouse does: it must not
// turn every token into one of an unknown key, nor take the last good keys away.
func (s *Source) parse(body []byte) (keySet, error) {
	var answer map[string]json.RawMessage // a struct would take "KEYS" too
	var all []json.RawMessage
	if json.Unmarshal(body, &answer) != nil || json.Unmarshal(answer["keys"], &all) != nil {
		return keySet{}, errors.New("the answer is not a JWK Set")
	}
	if len(all) > maxKeys {
		return keySet{}, errors.New("the answer has too many keys")
	}
	set := keySet{body: body, keys: map[string]jws.Key{}}
	for _, raw := range all {
		kid, key, err := usable(raw, s.cfg.Algorithms)
		if _, twice := set.keys[kid]; err == nil && twice {
			err = errors.New("its id is there twice")
		}
		if err != nil {
			s.cfg.Logger.Warn(KeyIgnored, "kid", kid, "error", err)
			set.ignored++
			continue
		}
		set.keys[kid] = key
	}
	if len(set.keys) == 0 {
		return keySet{}, errors.New("the answer has no usable key")
	}
	return set, nil
}

// usable reads one key, and says why it can't verify signatures. One that names
// no algorithm is pinned to the first of the allowed ones that its type fits.
func usable(raw []byte, algorithms []string) (kid string, key jws.Key, err error) {
	members, ok := jws.ObjectOf(raw)
	if !ok {
		return "", jws.Key{}, errors.New("it is not a JWK")
	}
	kid, _ = members["kid"].(string)
	if kid == "" || len(kid) > maxKeyID {
		return "", jws.Key{}, errors.New("it has no usable id")
	}
	if alg, there := members["alg"]; there {
		text, _ := alg.(string)
		if !slices.Contains(algorithms, text) {
			return kid, jws.Key{}, errors.New("it is of another algorithm")
		}
		algorithms = []string{text}
	}
	if use, there := members["use"]; there && use != "sig" {
		return kid, jws.Key{}, errors.New("it is not for signatures")
	}
	if ops, there := members["key_ops"]; there {
		if list, _ := ops.([]any); !slices.Contains(list, any("verify")) {
			return kid, jws.Key{}, errors.New("it is not for verifying")
		}
	}
	if _, there := members["d"]; there {
		return kid, jws.Key{}, errors.New("it is a private key, for all to see")
	}
	public, err := publicKey(members)
	if err != nil {
		return kid, jws.Key{}, err
	}
	key, err = jws.NewKey(public, algorithms...)
	return kid, key, err
}

// publicKey reads the key of a JWK (RFC 7518 §6, RFC 8037 §2).
func publicKey(members map[string]any) (crypto.PublicKey, error) {
	kty, _ := members["kty"].(string)
	crv, _ := members["crv"].(string)
	n, e, x, y := octets(members["n"]), octets(members["e"]), octets(members["x"]), octets(members["y"])
	switch {
	case kty == "RSA" && len(n) > 0 && len(e) > 0 && len(e) <= 4:
		exponent := new(big.Int).SetBytes(e).Int64()
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, nil
	case kty == "EC" && crv == "P-256" && len(x) == 32 && len(y) == 32:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, errors.New("it is not on its curve")
		}
		return key, nil
	case kty == "OKP" && crv == "Ed25519" && len(x) == ed25519.PublicKeySize:
		return ed25519.PublicKey(x), nil
	}
	return nil, errors.New("it is no public key of a known type")
}

// octets decodes base64url; some issuers pad it.
func octets(member any) []byte {
	text, _ := member.(string)
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil
	}
	return b
}
