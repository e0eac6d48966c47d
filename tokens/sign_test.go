package tokens

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
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

// TestES256IsDeterministic signs what RFC 6979 §A.2.5 signs.
func TestES256IsDeterministic(t *testing.T) {
	t.Parallel()
	raw := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"sample": "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
		"test":   "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
	} {
		got, err := es256{jwt.SigningMethodES256}.Sign(text, key)
		if err != nil || !bytes.Equal(got, raw(want)) {
			t.Errorf("%s: %X, %v", text, got, err)
		}
	}
}
