package tokens

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestES256IsGolangJWTs signs so often that both numbers are short now and then.
func TestES256IsGolangJWTs(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	method, _ := methodOf(ES256)
	short := 0
	for i := range 3000 {
		text := "header.payload" + strconv.Itoa(i)
		signature, err := method.Sign(text, key)
		if err != nil || len(signature) != 64 {
			t.Fatalf("%d bytes, %v", len(signature), err)
		}
		if signature[0] == 0 || signature[32] == 0 {
			short++
		}
		if i%100 == 0 || signature[0] == 0 || signature[32] == 0 {
			if err := jwt.SigningMethodES256.Verify(text, signature, &key.PublicKey); err != nil {
				t.Fatalf("%x: %v", signature, err)
			}
		}
	}
	if short == 0 {
		t.Error("no short number among 6000: that has a chance of one in 10^10")
	}
	if _, err := method.Sign("text", []byte("a secret")); !errors.Is(err, jwt.ErrInvalidKeyType) {
		t.Error(err)
	}
}

func TestTextIsWrittenAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "alice", `"`, `\`, "<script>&", "\x00\x1f\x7f", "é ü 😀 \u2028", "\xff\xfe", "a\nb\tc", "~ !#"} {
		want, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendText(nil, text); string(got) != string(want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if _, err := appendCustom([]byte("{"), map[string]any{"f": func() {}}); err == nil {
		t.Error("a function was written")
	}
}
