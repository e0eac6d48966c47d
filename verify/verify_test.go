package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/verify"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestGoodTokens verifies tokens of every algorithm, and reads what they say.
func TestGoodTokens(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		key := newPair(t, "k1", algorithm)
		v := verifier(t, newWorld(key), newClock().now)
		got, err := v.Verify(t.Context(), key.access(start))
		want := verify.Claims{
			UserID: "42", SessionID: "session-1", Issuer: issuerURL, Subject: "42", Audience: []string{"api"}, ID: "j",
			IssuedAt: start, ExpiresAt: start.Add(5 * time.Minute),
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(verify.Claims{})); err != nil || diff != "" {
			t.Errorf("%s: %v %s", algorithm, err, diff)
		}
	}
}

// TestUnusualButValid has what looks odd and is right all the same.
func TestUnusualButValid(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	v := verifier(t, newWorld(key), newClock().now)
	claims := text(accessClaims(start))
	for name, token := range map[string]string{
		"several audiences":           key.access(start, object{"aud": []string{"billing", "api"}}),
		"a user id that is text":      key.access(start, object{"user_id": "42"}),
		"a user id beyond float64":    key.access(start, object{"user_id": json.Number("9007199254740993"), "sub": "9007199254740993"}),
		"no user_id":                  key.access(start, object{"user_id": nil}),
		"no sub":                      key.access(start, object{"sub": nil}),
		"no jti, no sid":              key.access(start, object{"jti": nil, "sid": nil}),
		"no iat":                      key.access(start, object{"iat": nil}),
		"expired, inside the leeway":  key.access(start, object{"exp": start.Add(-29 * time.Second).Unix()}),
		"iat ahead inside the leeway": key.access(start, object{"iat": start.Add(30 * time.Second).Unix()}),
		"nbf ahead inside the leeway": key.access(start, object{"nbf": start.Add(30 * time.Second).Unix()}),
		"exp with a fraction":         key.access(start, object{"exp": json.Number("4102444800.5")}),
		"no typ":                      key.sign(key.header(object{"typ": nil}), claims),
		"typ of RFC 9068":             key.sign(key.header(object{"typ": "at+JWT"}), claims),
		"a header that nobody knows":  key.sign(key.header(object{"x": 1}), claims),
		"blanks behind the payload":   key.sign(key.header(), claims+" \n"),
	} {
		if got, err := v.Verify(t.Context(), token); err != nil || got.UserID != "42" && got.UserID != "9007199254740993" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestForgedTokens has one defect each, of the kinds that Wycheproof, RFC 8725
// and the advisories of JWT libraries list.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	key, rs := newPair(t, "k1", "ES256"), newPair(t, "r1", "RS256")
	other := newPair(t, "k1", "ES256")
	v := verifier(t, newWorld(key, rs), newClock().now)
	good, claims := key.access(start), text(accessClaims(start))
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Fatalf("the unforged token: %v", err)
	}
	parts := strings.Split(good, ".")
	with := func(edit object) string { return key.sign(key.header(edit), claims) }
	raw := func(header string) string { return key.sign(header, claims) }
	unsigned := func(header string) string { return b64(header) + "." + parts[1] + "." }
	public := key.private.Public().(*ecdsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	macced := func(secret []byte) string {
		signed := b64(`{"alg":"HS256","kid":"k1"}`) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + b64(string(mac.Sum(nil)))
	}
	pss := func(salt int) string {
		signed := b64(`{"alg":"PS256","kid":"r1"}`) + "." + parts[1]
		digest := sha256.Sum256([]byte(signed))
		signature, err := rs.private.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		return signed + "." + b64(string(signature))
	}
	rsaAs := func(method jwt.SigningMethod, alg string) string {
		return pair{"r1", method, rs.private}.sign(`{"alg":"`+alg+`","kid":"r1"}`, claims)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	r, s := signature[:32], signature[32:]
	resigned := func(signature []byte) string { return parts[0] + "." + parts[1] + "." + b64(string(signature)) }
	asDER, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
	if err != nil {
		t.Fatal(err)
	}
	order := public.Params().N.Bytes()

	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"alg none":                              {unsigned(`{"alg":"none","kid":"k1"}`), verify.ErrAlgorithm},
		"alg nOnE":                              {unsigned(`{"alg":"nOnE","kid":"k1"}`), verify.ErrAlgorithm},
		"alg none with the signature left on":   {b64(`{"alg":"none","kid":"k1"}`) + "." + parts[1] + "." + parts[2], verify.ErrAlgorithm},
		"alg empty":                             {unsigned(`{"alg":"","kid":"k1"}`), verify.ErrAlgorithm},
		"alg missing":                           {with(object{"alg": nil}), verify.ErrAlgorithm},
		"alg a list":                            {with(object{"alg": []string{"ES256"}}), verify.ErrAlgorithm},
		"alg in lower case":                     {with(object{"alg": "es256"}), verify.ErrAlgorithm},
		"alg under another spelling":            {raw(`{"ALG":"ES256","kid":"k1"}`), verify.ErrAlgorithm},
		"alg twice":                             {raw(`{"alg":"none","alg":"ES256","kid":"k1"}`), verify.ErrMalformed},
		"alg twice, once escaped":               {raw(`{"alg":"ES256","\u0061lg":"none","kid":"k1"}`), verify.ErrMalformed},
		"alg of a larger curve":                 {with(object{"alg": "ES384"}), verify.ErrAlgorithm},
		"alg of another key":                    {with(object{"alg": "RS256"}), verify.ErrAlgorithm},
		"kid of a key of another algorithm":     {with(object{"kid": "r1"}), verify.ErrAlgorithm},
		"HS256 with the public key as PEM":      {macced(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), verify.ErrAlgorithm},
		"HS256 with the public key as DER":      {macced(der), verify.ErrAlgorithm},
		"HS256 with the JWK":                    {macced([]byte(text(key.jwk()))), verify.ErrAlgorithm},
		"HS256 with nothing":                    {macced(nil), verify.ErrAlgorithm},
		"PS256 with an RS256 key":               {pss(32), verify.ErrAlgorithm},
		"a PSS signature that is called RS256":  {rsaAs(jwt.SigningMethodPS256, "RS256"), verify.ErrSignature},
		"RS384 that is called RS256":            {rsaAs(jwt.SigningMethodRS384, "RS256"), verify.ErrSignature},
		"RS512":                                 {rsaAs(jwt.SigningMethodRS512, "RS512"), verify.ErrAlgorithm},
		"kid missing":                           {with(object{"kid": nil}), verify.ErrUnknownKey},
		"kid empty":                             {with(object{"kid": ""}), verify.ErrUnknownKey},
		"kid of nobody":                         {with(object{"kid": "k2"}), verify.ErrUnknownKey},
		"kid in another case":                   {with(object{"kid": "K1"}), verify.ErrUnknownKey},
		"kid a path":                            {with(object{"kid": "../../dev/null"}), verify.ErrUnknownKey},
		"kid a number":                          {with(object{"kid": 1}), verify.ErrUnknownKey},
		"kid a list":                            {with(object{"kid": []string{"k1"}}), verify.ErrUnknownKey},
		"another's key of the same id":          {other.access(start), verify.ErrSignature},
		"another's key, embedded":               {other.sign(other.header(object{"jwk": other.jwk()}), claims), verify.ErrHeader},
		"our own key, embedded":                 {with(object{"jwk": key.jwk()}), verify.ErrHeader},
		"jku":                                   {with(object{"jku": "https://evil.test/jwks.json"}), verify.ErrHeader},
		"x5u":                                   {with(object{"x5u": "https://evil.test/cert.pem"}), verify.ErrHeader},
		"x5c":                                   {with(object{"x5c": []string{"AAAA"}}), verify.ErrHeader},
		"crit that nobody knows":                {with(object{"crit": []string{"x"}, "x": 1}), verify.ErrHeader},
		"crit that is empty":                    {with(object{"crit": []string{}}), verify.ErrHeader},
		"b64 false":                             {with(object{"b64": false, "crit": []string{"b64"}}), verify.ErrHeader},
		"b64 true":                              {with(object{"b64": true}), verify.ErrHeader},
		"typ of a statement":                    {with(object{"typ": "revocations+jwt"}), verify.ErrTokenType},
		"typ of an ID token of RFC 9101":        {with(object{"typ": "oauth-authz-req+jwt"}), verify.ErrTokenType},
		"typ of DPoP":                           {with(object{"typ": "dpop+jwt"}), verify.ErrTokenType},
		"typ empty":                             {with(object{"typ": ""}), verify.ErrTokenType},
		"typ a number":                          {with(object{"typ": 1}), verify.ErrTokenType},
		"a header that is a list":               {raw(`["ES256"]`), verify.ErrMalformed},
		"a header that is null":                 {raw(`null`), verify.ErrMalformed},
		"a header with something behind it":     {raw(key.header() + "{}"), verify.ErrMalformed},
		"a header with something before it":     {raw(" " + key.header()), verify.ErrMalformed},
		"an empty header":                       {"." + parts[1] + "." + parts[2], verify.ErrMalformed},
		"a signature in DER":                    {resigned(asDER), verify.ErrSignature},
		"r and s zero":                          {resigned(make([]byte, 64)), verify.ErrSignature},
		"r and s the order of the curve":        {resigned(append(append([]byte{}, order...), order...)), verify.ErrSignature},
		"r and s swapped":                       {resigned(append(append([]byte{}, s...), r...)), verify.ErrSignature},
		"a signature cut short":                 {resigned(signature[:63]), verify.ErrSignature},
		"a signature with a zero behind it":     {resigned(append(append([]byte{}, signature...), 0)), verify.ErrSignature},
		"an empty signature":                    {parts[0] + "." + parts[1] + ".", verify.ErrSignature},
		"another payload under the signature":   {parts[0] + "." + b64(strings.Replace(claims, "gold", "free", 1)) + "." + parts[2], verify.ErrSignature},
		"another header under the signature":    {b64(key.header(object{"x": 1})) + "." + parts[1] + "." + parts[2], verify.ErrSignature},
		"loose bits in the signature":           {nonCanonical(good), verify.ErrMalformed},
		"padding":                               {good + "==", verify.ErrMalformed},
		"padding in the header":                 {parts[0] + "=." + parts[1] + "." + parts[2], verify.ErrMalformed},
		"the alphabet of plain base64":          {parts[0] + "." + parts[1] + "." + strings.Repeat("+/", 43), verify.ErrMalformed},
		"a line break in the signature":         {good[:len(good)-9] + "\n" + good[len(good)-9:], verify.ErrMalformed},
		"a line break behind it":                {good + "\n", verify.ErrMalformed},
		"a blank before it":                     {" " + good, verify.ErrMalformed},
		"a NUL behind it":                       {good + "\x00", verify.ErrMalformed},
		"two segments":                          {parts[0] + "." + parts[1], verify.ErrMalformed},
		"four segments":                         {good + "." + parts[2], verify.ErrMalformed},
		"an encrypted token":                    {good + "." + parts[2] + "." + parts[2], verify.ErrMalformed},
		"the JSON serialization":                {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, verify.ErrMalformed},
		"nothing":                               {"", verify.ErrMalformed},
		"dots":                                  {"..", verify.ErrMalformed},
		"an endless one":                        {good + strings.Repeat("A", 17<<10), verify.ErrMalformed},
		"a refresh token, as they are (HMAC)":   {macced([]byte("the secret that derives from the service's secret")), verify.ErrAlgorithm},
		"a refresh token that a key has signed": {key.access(start, object{"token_type": "refresh"}), verify.ErrTokenType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := v.Verify(t.Context(), c.token)
			if !errors.Is(err, c.want) || !errors.Is(err, verify.ErrInvalidToken) || errors.Is(err, verify.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if got.UserID != "" {
				t.Errorf("a refused token gave %+v", got)
			}
			if err != nil && len(c.token) > 40 && strings.Contains(err.Error(), c.token[:40]) {
				t.Errorf("the error has the token in it: %v", err)
			}
		})
	}
}

// TestWrongClaims has tokens that the issuer's key signed, with one wrong claim.
func TestWrongClaims(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	v := verifier(t, newWorld(key), newClock().now)
	claims := text(accessClaims(start))
	raw := func(old, by string) string {
		changed := strings.Replace(claims, old, by, 1)
		if changed == claims {
			t.Fatalf("%s is not in %s", old, claims)
		}
		return key.sign(key.header(), changed)
	}
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"iss missing":                 {key.access(start, object{"iss": nil}), verify.ErrIssuer},
		"iss of another":              {key.access(start, object{"iss": "https://evil.test"}), verify.ErrIssuer},
		"iss with a slash behind it":  {key.access(start, object{"iss": issuerURL + "/"}), verify.ErrIssuer},
		"iss in another case":         {key.access(start, object{"iss": strings.ToUpper(issuerURL)}), verify.ErrIssuer},
		"iss a list":                  {key.access(start, object{"iss": []string{issuerURL}}), verify.ErrIssuer},
		"iss under another spelling":  {raw(`"iss"`, `"ISS"`), verify.ErrIssuer},
		"aud missing":                 {key.access(start, object{"aud": nil}), verify.ErrAudience},
		"aud of another":              {key.access(start, object{"aud": "billing"}), verify.ErrAudience},
		"aud of others":               {key.access(start, object{"aud": []string{"billing", "API"}}), verify.ErrAudience},
		"aud empty":                   {key.access(start, object{"aud": []string{}}), verify.ErrAudience},
		"aud a part of it":            {key.access(start, object{"aud": "api/v2"}), verify.ErrAudience},
		"aud with a number beside it": {key.access(start, object{"aud": []any{"api", 1}}), verify.ErrAudience},
		"aud an object":               {key.access(start, object{"aud": object{"api": true}}), verify.ErrAudience},
		"exp missing":                 {key.access(start, object{"exp": nil}), verify.ErrNoExpiry},
		"exp null":                    {raw(`"exp":`, `"exp":null,"x":`), verify.ErrMalformed},
		"exp over, with the leeway":   {key.access(start, object{"exp": at(-30 * time.Second)}), verify.ErrExpired},
		"exp negative":                {key.access(start, object{"exp": -1}), verify.ErrExpired},
		"exp text":                    {key.access(start, object{"exp": "4102444800"}), verify.ErrMalformed},
		"exp beyond the calendar":     {key.access(start, object{"exp": 253402300800}), verify.ErrMalformed},
		"exp beyond float64":          {key.access(start, object{"exp": json.Number("1e999")}), verify.ErrMalformed},
		"exp twice":                   {raw(`"exp":`, `"exp":4102444800,"exp":`), verify.ErrMalformed},
		"exp twice, once escaped":     {raw(`"exp":`, `"\u0065xp":4102444800,"exp":`), verify.ErrMalformed},
		"iat ahead":                   {key.access(start, object{"iat": at(31 * time.Second)}), verify.ErrNotYetValid},
		"iat text":                    {key.access(start, object{"iat": "now"}), verify.ErrMalformed},
		"nbf ahead":                   {key.access(start, object{"nbf": at(31 * time.Second)}), verify.ErrNotYetValid},
		"nbf text":                    {key.access(start, object{"nbf": "now"}), verify.ErrMalformed},
		"token_type missing":          {key.access(start, object{"token_type": nil}), verify.ErrTokenType},
		"token_type in another case":  {key.access(start, object{"token_type": "Access"}), verify.ErrTokenType},
		"token_type a list":           {key.access(start, object{"token_type": []string{"access"}}), verify.ErrTokenType},
		"no user at all":              {key.access(start, object{"user_id": nil, "sub": nil}), verify.ErrNoUser},
		"user id empty":               {key.access(start, object{"user_id": "", "sub": nil}), verify.ErrNoUser},
		"user id null":                {raw(`"user_id":42`, `"user_id":null`), verify.ErrNoUser},
		"user id true":                {key.access(start, object{"user_id": true}), verify.ErrNoUser},
		"user id a fraction":          {raw(`"user_id":42`, `"user_id":42.0`), verify.ErrNoUser},
		"user id in exponent form":    {raw(`"user_id":42`, `"user_id":42e0`), verify.ErrNoUser},
		"user id an object":           {key.access(start, object{"user_id": object{"id": 42}}), verify.ErrNoUser},
		"user id and sub of two":      {key.access(start, object{"sub": "1"}), verify.ErrNoUser},
		"sub a number":                {key.access(start, object{"sub": 42}), verify.ErrMalformed},
		"sid a number":                {key.access(start, object{"sid": 1}), verify.ErrMalformed},
		"jti a number":                {key.access(start, object{"jti": 1}), verify.ErrMalformed},
		"a member twice deep inside":  {raw(`"plan":"gold"`, `"plan":[{"a":{"b":1,"b":2}}]`), verify.ErrMalformed},
		"nested too deep":             {raw(`"plan":"gold"`, `"plan":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)), verify.ErrMalformed},
		"no UTF-8":                    {raw(`"gold"`, "\"\xff\""), verify.ErrMalformed},
		"a payload that is a list":    {key.sign(key.header(), `[]`), verify.ErrMalformed},
		"a payload that is empty":     {key.sign(key.header(), ``), verify.ErrMalformed},
		"two payloads":                {key.sign(key.header(), claims+claims), verify.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := v.Verify(t.Context(), c.token); !errors.Is(err, c.want) || !errors.Is(err, verify.ErrInvalidToken) || got.UserID != "" {
				t.Errorf("got %v, %+v, want %v", err, got, c.want)
			}
		})
	}
}

// TestConfig has what New refuses: an expectation that is missing is an error,
// and never a check that is left out.
func TestConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*verify.Config)
		says string // empty: it is good
	}{
		"as it should be":           {func(*verify.Config) {}, ""},
		"no issuer":                 {func(c *verify.Config) { c.Issuer = "" }, "issuer"},
		"an issuer that is no URL":  {func(c *verify.Config) { c.Issuer = "auth" }, "JWKS URL"},
		"that, with URLs":           {func(c *verify.Config) { c.Issuer, c.JWKSURL, c.RevocationsURL = "auth", keysURL, revokeURL }, ""},
		"that, and revocations off": {func(c *verify.Config) { c.Issuer, c.JWKSURL = "auth", keysURL }, ""},
		"that, and revocations on": {func(c *verify.Config) {
			c.Issuer, c.JWKSURL, c.Revocations = "auth", keysURL, verify.PreferRevocations
		}, "revocations URL"},
		"an issuer by http":        {func(c *verify.Config) { c.Issuer, c.JWKSURL = "http://auth.test", keysURL }, ""},
		"no audience":              {func(c *verify.Config) { c.Audience = "" }, "audience"},
		"any audience":             {func(c *verify.Config) { c.Audience, c.InsecureAnyAudience = "", true }, ""},
		"both":                     {func(c *verify.Config) { c.InsecureAnyAudience = true }, "audience"},
		"HS256":                    {func(c *verify.Config) { c.Algorithms = []string{"HS256"} }, "algorithm"},
		"none":                     {func(c *verify.Config) { c.Algorithms = []string{"none"} }, "algorithm"},
		"plain http":               {func(c *verify.Config) { c.JWKSURL = "http://auth.test/jwks" }, "https"},
		"plain http that is meant": {func(c *verify.Config) { c.JWKSURL, c.InsecureHTTP = "http://auth.test/jwks", true }, ""},
		"plain http on loopback":   {func(c *verify.Config) { c.Issuer = "http://127.0.0.1:8080" }, ""},
		"revocations by http":      {func(c *verify.Config) { c.RevocationsURL = "http://auth.test/r" }, "revocations URL"},
		"a file":                   {func(c *verify.Config) { c.JWKSURL = "file:///etc/passwd" }, "JWKS URL"},
		"an unknown mode":          {func(c *verify.Config) { c.Revocations = 3 }, "revocations"},
		"a leeway of an hour":      {func(c *verify.Config) { c.Leeway = time.Hour }, "leeway"},
	} {
		config := verify.Config{Issuer: issuerURL, Audience: "api"}
		c.edit(&config)
		_, err := verify.New(config)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExpectations changes what is expected.
func TestExpectations(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	token := key.access(start, object{"uid": "7", "user_id": nil, "sub": "7"})
	for name, c := range map[string]struct {
		edit func(*verify.Config)
		want error
	}{
		"another issuer":          {func(c *verify.Config) { c.Issuer, c.JWKSURL = "https://other.test", keysURL }, verify.ErrIssuer},
		"another audience":        {func(c *verify.Config) { c.Audience = "billing" }, verify.ErrAudience},
		"any audience":            {func(c *verify.Config) { c.Audience, c.InsecureAnyAudience = "", true }, nil},
		"another algorithm":       {func(c *verify.Config) { c.Algorithms = []string{"RS256"} }, verify.ErrAlgorithm},
		"another claim":           {func(c *verify.Config) { c.UserIDClaim = "uid" }, nil},
		"a claim that is no id":   {func(c *verify.Config) { c.UserIDClaim = "aud" }, verify.ErrNoUser},
		"no leeway, and a second": {func(c *verify.Config) { c.Leeway = -1; c.Now = func() time.Time { return start.Add(5 * time.Minute) } }, verify.ErrExpired},
		"no leeway, but in time": {func(c *verify.Config) {
			c.Leeway = -1
			c.Now = func() time.Time { return start.Add(299 * time.Second) }
		}, nil},
	} {
		v := verifier(t, newWorld(key), newClock().now, c.edit)
		if got, err := v.Verify(t.Context(), token); !errors.Is(err, c.want) || err == nil && got.UserID != "7" {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, c.want)
		}
	}
}

// nonCanonical sets a bit that decodes to nothing: 64 bytes leave four such bits in the last letter.
func nonCanonical(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}
