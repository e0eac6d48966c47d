package tokens_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

func BenchmarkIssueAccess(b *testing.B) {
	for _, alg := range []string{tokens.ES256, tokens.EdDSA, tokens.HS256, tokens.RS256} {
		b.Run(alg, func(b *testing.B) {
			s := service(b, algorithm(alg))
			b.ReportAllocs()
			for b.Loop() {
				issue(b, s, alice)
			}
		})
	}
}

func BenchmarkVerifyAccess(b *testing.B) {
	for _, alg := range []string{tokens.ES256, tokens.EdDSA, tokens.HS256, tokens.RS256} {
		b.Run(alg, func(b *testing.B) {
			s := service(b, algorithm(alg))
			token := issue(b, s, alice)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.VerifyAccess(token, start); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyAccessFirst sees each token for the first time: there are more than are
// remembered.
func BenchmarkVerifyAccessFirst(b *testing.B) {
	s := service(b)
	presented := make([]string, 9000)
	for i := range presented {
		presented[i] = issue(b, s, alice)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.VerifyAccess(presented[i%len(presented)], start); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	s := service(b)
	token := issueRefresh(b, s, current)
	b.Run("issue", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			issueRefresh(b, s, current)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.ParseRefresh(token); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkBare is the signature alone, over as many bytes as a token has.
func BenchmarkBare(b *testing.B) {
	message := make([]byte, 350)
	digest := sha256.Sum256(message)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	ecSig, err := ec.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		b.Fatal(err)
	}
	edSig := ed25519.Sign(ed, message)
	for name, f := range map[string]func() bool{
		"ES256 sign":   func() bool { _, err := ec.Sign(rand.Reader, digest[:], crypto.SHA256); return err == nil },
		"ES256 verify": func() bool { return ecdsa.VerifyASN1(&ec.PublicKey, digest[:], ecSig) },
		"EdDSA sign":   func() bool { return len(ed25519.Sign(ed, message)) == 64 },
		"EdDSA verify": func() bool { return ed25519.Verify(ed.Public().(ed25519.PublicKey), message, edSig) },
		"HS256": func() bool {
			mac := hmac.New(sha256.New, digest[:])
			mac.Write(message)
			return len(mac.Sum(nil)) == 32
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !f() {
					b.Fatal("failed")
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	s := service(b)
	for b.Loop() {
		if err := s.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
