package verify_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse-auth/gatehouse/verify"
)

func BenchmarkVerify(b *testing.B) {
	var ended []string
	for i := range 10_000 {
		ended = append(ended, fmt.Sprint("ended-", i))
	}
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		for name, m := range map[string]verify.Revocations{"off": verify.RevocationsOff, "require": verify.RequireRevocations} {
			b.Run(algorithm+"/revocations="+name, func(b *testing.B) {
				key := newPair(b, "k1", algorithm)
				w := newWorld(key)
				w.states(key.statement(statementClaims(start, ended)))
				v := verifier(b, w, newClock().now, mode(m))
				token := key.access(start)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Verify(b.Context(), token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
