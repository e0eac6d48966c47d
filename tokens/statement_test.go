package tokens_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// TestSignStatement signs something that has every claim of an access token: by its
// typ alone it is none.
func TestSignStatement(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{tokens.ES256, tokens.EdDSA, tokens.RS256, tokens.HS256} {
		s := service(t, algorithm(alg))
		claims := map[string]any{
			"sub": "42", "user_id": "42", "sid": "s", "jti": "j", "token_type": "access", "iat": start.Unix(), "exp": start.Add(time.Hour).Unix(), "iss": "x",
		}
		signed, err := s.SignStatement("revocations+jwt", claims, start)
		if err != nil {
			t.Fatal(err)
		}
		if claims["iss"] != "x" {
			t.Errorf("%s: the caller's claims were changed", alg)
		}
		segments := strings.Split(signed, ".")
		var header, payload map[string]any
		for i, into := range []any{&header, &payload} {
			raw, err := base64.RawURLEncoding.DecodeString(segments[i])
			if err != nil || json.Unmarshal(raw, into) != nil {
				t.Fatal(signed)
			}
		}
		if header["typ"] != "revocations+jwt" || header["alg"] != alg || (header["kid"] == nil) != (alg == tokens.HS256) || payload["iss"] != issuer {
			t.Errorf("%s: header %v, issuer %v", alg, header, payload["iss"])
		}
		if _, err := s.VerifyAccess(signed, start); !errors.Is(err, tokens.ErrTokenType) {
			t.Errorf("%s: as an access token: %v", alg, err)
		}
		// The same with the typ of an access token is one: the signature is right.
		forged := s.SignRaw(`{"alg":"`+alg+`","kid":"`+text(header["kid"])+`","typ":"JWT"}`, string(mustDecode(t, segments[1])), start)
		if _, err := s.VerifyAccess(forged, start); err != nil {
			t.Errorf("%s: the claims themselves are not an access token's: %v", alg, err)
		}
		if _, err := s.ParseRefresh(signed); !errors.Is(err, tokens.ErrInvalidToken) {
			t.Errorf("%s: as a refresh token: %v", alg, err)
		}
	}
}

func text(v any) string { s, _ := v.(string); return s }

func mustDecode(t *testing.T, segment string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignStatementRefuses(t *testing.T) {
	t.Parallel()
	s := service(t)
	for _, typ := range []string{"", "JWT", "jwt", "at+jwt", "AT+JWT"} {
		if _, err := s.SignStatement(typ, nil, start); !errors.Is(err, tokens.ErrTokenType) {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
	for _, alg := range []string{tokens.ES256, tokens.HS256} {
		unloaded, err := tokens.New(config(algorithm(alg)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unloaded.SignStatement("revocations+jwt", nil, start); !errors.Is(err, tokens.ErrNotReady) {
			t.Errorf("%s without keys: %v", alg, err)
		}
	}
}
