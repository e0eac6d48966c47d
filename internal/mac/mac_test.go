package mac_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/mac"
)

// RFC 4231 §4.3.
func TestSumIsHMAC(t *testing.T) {
	t.Parallel()
	k := mac.NewKey([]byte("Jefe"))
	for range 3 {
		sum := k.Sum("what do ya want ", "for nothing?")
		if got := hex.EncodeToString(sum[:]); got != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
			t.Error(got)
		}
		if !k.Verify(sum[:], "what do ya want for nothing?") || k.Verify(sum[:], "what do ya want for nothing!") || k.Verify(sum[:31], "what do ya want for nothing?") || k.Verify(nil, "") {
			t.Error("Verify")
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	key := []byte("a key")
	k := mac.NewKey(key)
	key[0] = 'b' // the caller's slice is the caller's
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				text := strings.Repeat("x", i*100+n)
				h := hmac.New(sha256.New, []byte("a key"))
				h.Write([]byte(text))
				if sum := k.Sum(text); string(sum[:]) != string(h.Sum(nil)) {
					t.Errorf("%d bytes: another MAC", len(text))
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkSum(b *testing.B) {
	k, text := mac.NewKey([]byte("a key")), strings.Repeat("x", 400)
	b.ReportAllocs()
	for b.Loop() {
		k.Sum(text, "and more")
	}
}
