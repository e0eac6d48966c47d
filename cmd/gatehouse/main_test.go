package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// TestScripts runs the command line as a person types it.
func TestScripts(t *testing.T) {
	t.Parallel()
	pool := cognitotest.New()
	t.Cleanup(pool.Close)
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"seed": seed, "advance": advance},
		Setup: func(env *testscript.Env) error {
			if err := issue(pool, env); err != nil {
				return err
			}
			env.Setenv("GATEHOUSE_PASSWORDS_MEMORY", "64")
			return writeKeys(env.WorkDir)
		},
	})
}

// writeKeys makes keys for the scripts to import: none is kept in the repository.
func writeKeys(dir string) error {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	write := func(name, kind string, der []byte, err error) error {
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	sec1, err1 := x509.MarshalECPrivateKey(p256)
	pkcs8, err2 := x509.MarshalPKCS8PrivateKey(p384)
	return errors.Join(
		write("p256.pem", "EC PRIVATE KEY", sec1, err1), write("p384.pem", "PRIVATE KEY", pkcs8, err2),
		write("rsa.pem", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(large), nil), writeKeySet(dir, "jwks.json", p256, large))
}

// writeKeySet writes a private JWK Set that everybody can read.
func writeKeySet(dir, name string, keys ...any) error {
	set := jwk.NewSet()
	for _, raw := range keys {
		key, err := jwk.Import(raw)
		if err != nil {
			return err
		}
		if err := set.AddKey(key); err != nil {
			return err
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), text, 0o644) //nolint:gosec // the script wants the warning
}
