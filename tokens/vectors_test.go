package tokens_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// recording is testdata/simplejwt.json.
type recording struct {
	Keys      map[string]string
	CheckedAt int64 `json:"checked_at"`
	Vectors   []struct {
		Note       string
		Algorithm  string            `json:"configured_algorithm"`
		Configured map[string]string `json:"configured"`
		Token      string
		Old        verdicts `json:"simplejwt_5.2.2"`
		New        verdicts `json:"simplejwt_5.5.0"`
	}
}

type verdicts struct{ AccessToken struct{ OK bool } }

func readRecording(t *testing.T) recording {
	t.Helper()
	b, err := os.ReadFile("testdata/simplejwt.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// stricter is where a token that simplejwt accepts is refused here, and why.
var stricter = map[string]struct {
	err error
	why string
}{
	"HS384 access":   {tokens.ErrAlgorithm, "one algorithm for each kind of key"},
	"HS512 access":   {tokens.ErrAlgorithm, "one algorithm for each kind of key"},
	"RS384 access":   {tokens.ErrAlgorithm, "one algorithm for each kind of key"},
	"RS512 access":   {tokens.ErrAlgorithm, "one algorithm for each kind of key"},
	"jti null":       {tokens.ErrNoID, "a token without id can't be told from another; simplejwt 5.5 refuses it too"},
	"NaN in payload": {tokens.ErrMalformed, "NaN is not JSON (RFC 8259 §6)"},
}

// Each recorded token, under the key and the expectations of the program that judged it. What VerifyAccess asks
// beyond that (issuer and, for key pairs, kid) is the subject of TestSimpleJWTThroughTheDoor.
func TestSimpleJWT(t *testing.T) {
	t.Parallel()
	r := readRecording(t)
	keys := map[string]any{"HS": []byte(r.Keys["HS"]), "RS": publicPEM(t, r.Keys["RS256_public_pem"]), "ES": publicPEM(t, r.Keys["ES256_public_pem"])}
	used := 0
	for _, v := range r.Vectors {
		t.Run(v.Note, func(t *testing.T) {
			t.Parallel()
			var audience []string
			if a := v.Configured["aud"]; a != "" {
				audience = []string{a}
			}
			payload, err := tokens.VerifyUnder(v.Token, v.Algorithm, keys[v.Algorithm[:2]])
			if err == nil {
				_, err = tokens.VerifyClaims(payload, v.Configured["iss"], audience, time.Unix(r.CheckedAt, 0))
			}
			if s, ok := stricter[v.Note]; ok {
				if !errors.Is(err, s.err) {
					t.Errorf("got %v, want %v: %s", err, s.err, s.why)
				}
				return
			}
			if accepted := err == nil; accepted != v.Old.AccessToken.OK || accepted != v.New.AccessToken.OK {
				t.Errorf("got %v; simplejwt 5.2.2 accepted: %v, 5.5.0: %v", err, v.Old.AccessToken.OK, v.New.AccessToken.OK)
			}
			if err != nil && !errors.Is(err, tokens.ErrInvalidToken) {
				t.Errorf("%v does not wrap ErrInvalidToken", err)
			}
		})
		if _, ok := stricter[v.Note]; ok {
			used++
		}
	}
	if used != len(stricter) {
		t.Errorf("%d of %d exceptions are used", used, len(stricter))
	}
}

func TestSimpleJWTThroughTheDoor(t *testing.T) {
	t.Parallel()
	r := readRecording(t)
	now := time.Unix(r.CheckedAt, 0)
	s := service(t, func(c *tokens.Config) {
		c.Algorithm, c.Secret, c.Issuer, c.Keys = tokens.HS256, r.Keys["HS"], "I", nil
	})
	for _, v := range r.Vectors {
		if v.Algorithm != tokens.HS256 {
			continue
		}
		_, err := s.VerifyAccess(v.Token, now)
		// A Django service whose ISSUER is set to ours makes tokens that we accept; one without is not ours to believe.
		if want := v.Note == "iss right"; (err == nil) != want {
			t.Errorf("%s: got %v, want accepted: %v", v.Note, err, want)
		}
	}
}

func publicPEM(t *testing.T, text string) crypto.PublicKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const (
	rfc7515Payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	rfc7515RSA     = `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`
	rfc7515EC      = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	rfc8037Key     = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
)

// The signatures that the RFCs print.
func TestRFCSignatures(t *testing.T) {
	t.Parallel()
	hmacKey, err := base64.RawURLEncoding.DecodeString("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]struct {
		alg   string
		key   any
		token string
	}{
		"RFC 7515 A.1": {tokens.HS256, hmacKey, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + rfc7515Payload + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
		"RFC 7515 A.2": {tokens.RS256, rawKey(t, rfc7515RSA), "eyJhbGciOiJSUzI1NiJ9." + rfc7515Payload + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
		"RFC 7515 A.3": {tokens.ES256, rawKey(t, rfc7515EC), "eyJhbGciOiJFUzI1NiJ9." + rfc7515Payload + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
		"RFC 8037 A.4": {tokens.EdDSA, rawKey(t, rfc8037Key), "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
	} {
		if _, err := tokens.VerifyUnder(v.token, v.alg, v.key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		changed := []byte(v.token)
		changed[len(changed)-10] ^= 1 // another letter of the alphabet or none: refused either way
		if _, err := tokens.VerifyUnder(string(changed), v.alg, v.key); !errors.Is(err, tokens.ErrInvalidToken) {
			t.Errorf("%s with one bit of the signature changed: got %v", name, err)
		}
	}
}

// The thumbprints that RFC 7638 §3.1 and RFC 8037 A.3 print are those of jwx, which gives our keys their ids.
func TestRFCThumbprints(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		`{"kty":"RSA","alg":"RS256","kid":"2011-04-29","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		rfc8037Key: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	} {
		public := rawKey(t, key)
		alg := tokens.RS256
		if key == rfc8037Key {
			alg = tokens.EdDSA
		}
		_, id, err := tokens.PublicJWK(publicOnly{public}, alg)
		if err != nil || id != want {
			t.Errorf("thumbprint %q, %v; want %q", id, err, want)
		}
	}
}

// publicOnly is a signer of which only the public half is known.
type publicOnly struct{ public crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.public }

func (publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no private half")
}

func rawKey(t *testing.T, text string) crypto.PublicKey {
	t.Helper()
	key, err := jwk.ParseKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwk.PublicRawKeyOf(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
