package tokens_test

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// goodPayload is one that passes at start, in pieces that a case can change.
func goodPayload(edits ...string) string {
	p := fmt.Sprintf(`{"iss":%q,"sub":"42","user_id":"42","iat":%d,"exp":%d,"jti":"j","sid":"s","token_type":"access"}`,
		issuer, start.Unix(), start.Unix()+300)
	return strings.NewReplacer(edits...).Replace(p)
}

// Forged tokens, of the kinds that Wycheproof, RFC 8725 and the advisories of
// JWT libraries list. All are refused, and for the reason that is named.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	s := service(t)
	kid, _ := s.SignerID(start)
	public := s.PublicKey(start).(*ecdsa.PublicKey)
	good := s.SignRaw(header(kid), goodPayload(), start)
	if _, err := s.VerifyAccess(good, start); err != nil {
		t.Fatalf("the unforged token: %v", err)
	}
	parts := strings.Split(good, ".")
	unsigned := func(h string) string { return tokens.Encode(h) + "." + parts[1] + "." }
	with := func(h string) string { return s.SignRaw(h, goodPayload(), start) }
	param := func(member string) string {
		return with(fmt.Sprintf(`{"alg":"ES256","kid":%q,%s}`, kid, member))
	}
	macced := func(key []byte) string {
		signed := tokens.Encode(fmt.Sprintf(`{"alg":"HS256","kid":%q}`, kid)) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return signed + "." + tokens.Encode(string(mac.Sum(nil)))
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	jwks, _ := s.JWKS()
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"alg none without signature":             {unsigned(fmt.Sprintf(`{"alg":"none","kid":%q}`, kid)), tokens.ErrAlgorithm},
		"alg none without kid":                   {unsigned(`{"alg":"none"}`), tokens.ErrUnknownKey},
		"alg None":                               {unsigned(fmt.Sprintf(`{"alg":"None","kid":%q}`, kid)), tokens.ErrAlgorithm},
		"alg NONE with the signature left on":    {tokens.Encode(fmt.Sprintf(`{"alg":"NONE","kid":%q}`, kid)) + "." + parts[1] + "." + parts[2], tokens.ErrAlgorithm},
		"alg empty":                              {unsigned(fmt.Sprintf(`{"alg":"","kid":%q}`, kid)), tokens.ErrAlgorithm},
		"alg missing":                            {with(fmt.Sprintf(`{"kid":%q}`, kid)), tokens.ErrAlgorithm},
		"alg a list":                             {with(fmt.Sprintf(`{"alg":["ES256"],"kid":%q}`, kid)), tokens.ErrAlgorithm},
		"alg in lower case":                      {with(fmt.Sprintf(`{"alg":"es256","kid":%q}`, kid)), tokens.ErrAlgorithm},
		"alg under another spelling of its name": {with(fmt.Sprintf(`{"ALG":"ES256","kid":%q}`, kid)), tokens.ErrHeader},
		"alg twice":                              {with(fmt.Sprintf(`{"alg":"none","alg":"ES256","kid":%q}`, kid)), tokens.ErrMalformed},
		"alg twice, once escaped":                {with(fmt.Sprintf(`{"\u0061lg":"none","alg":"ES256","kid":%q}`, kid)), tokens.ErrMalformed},
		"alg of a larger curve":                  {with(fmt.Sprintf(`{"alg":"ES384","kid":%q}`, kid)), tokens.ErrAlgorithm},
		"HMAC keyed with the public key's PEM":   {macced(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), tokens.ErrAlgorithm},
		"HMAC keyed with the public key's DER":   {macced(der), tokens.ErrAlgorithm},
		"HMAC keyed with the published key set":  {macced(jwks), tokens.ErrAlgorithm},
		"HMAC keyed with the secret itself":      {macced([]byte(secret)), tokens.ErrAlgorithm},
		"kid missing":                            {with(`{"alg":"ES256"}`), tokens.ErrUnknownKey},
		"kid empty":                              {with(`{"alg":"ES256","kid":""}`), tokens.ErrUnknownKey},
		"kid a path":                             {with(`{"alg":"ES256","kid":"../../../../dev/null"}`), tokens.ErrUnknownKey},
		"kid an SQL injection":                   {with(`{"alg":"ES256","kid":"x' UNION SELECT 'k"}`), tokens.ErrUnknownKey},
		"kid a number":                           {with(`{"alg":"ES256","kid":0}`), tokens.ErrUnknownKey},
		"kid null":                               {with(`{"alg":"ES256","kid":null}`), tokens.ErrUnknownKey},
		"kid in another case":                    {with(header(strings.ToUpper(kid))), tokens.ErrUnknownKey},
		"an embedded key":                        {param(`"jwk":{"kty":"EC"}`), tokens.ErrHeader},
		"the address of a key set":               {param(`"jku":"https://evil.test/jwks.json"`), tokens.ErrHeader},
		"the address of a certificate":           {param(`"x5u":"https://evil.test/cert.pem"`), tokens.ErrHeader},
		"an embedded certificate":                {param(`"x5c":["AAAA"]`), tokens.ErrHeader},
		"a certificate's thumbprint":             {param(`"x5t":"AAAA"`), tokens.ErrHeader},
		"a critical extension that nobody knows": {param(`"crit":["x"],"x":1`), tokens.ErrHeader},
		"an empty list of critical extensions":   {param(`"crit":[]`), tokens.ErrHeader},
		"an unencoded payload (RFC 7797)":        {param(`"b64":false,"crit":["b64"]`), tokens.ErrHeader},
		"a compressed payload":                   {param(`"zip":"DEF"`), tokens.ErrHeader},
		"typ of another kind of token":           {param(`"typ":"dpop+jwt"`), tokens.ErrTokenType},
		"typ a number":                           {param(`"typ":1`), tokens.ErrTokenType},
		"a huge header":                          {param(`"typ":"` + strings.Repeat("J", 2000) + `"`), tokens.ErrMalformed},
		"a huge token":                           {good + strings.Repeat("A", 17<<10), tokens.ErrMalformed},
		"a header that is an array":              {with(`["ES256"]`), tokens.ErrMalformed},
		"a header that is null":                  {with(`null`), tokens.ErrMalformed},
		"an empty header":                        {"." + parts[1] + "." + parts[2], tokens.ErrMalformed},
		"a header with something behind it":      {with(header(kid) + "{}"), tokens.ErrMalformed},
		"a header with something before it":      {with(" " + header(kid)), tokens.ErrMalformed},
		"a signature in DER":                     {parts[0] + "." + parts[1] + "." + derSignature(t, parts[2]), tokens.ErrSignature},
		"r and s zero":                           {parts[0] + "." + parts[1] + "." + tokens.Encode(strings.Repeat("\x00", 64)), tokens.ErrSignature},
		"r and s the order of the curve":         {parts[0] + "." + parts[1] + "." + orderSignature(public), tokens.ErrSignature},
		"r and s swapped":                        {parts[0] + "." + parts[1] + "." + swapped(t, parts[2]), tokens.ErrSignature},
		"an empty signature":                     {parts[0] + "." + parts[1] + ".", tokens.ErrSignature},
		"a signature cut short":                  {parts[0] + "." + parts[1] + "." + parts[2][:84], tokens.ErrSignature},
		"a signature with a zero byte behind it": {parts[0] + "." + parts[1] + "." + longer(t, parts[2]), tokens.ErrSignature},
		"another payload under the signature":    {parts[0] + "." + tokens.Encode(goodPayload("42", "1")) + "." + parts[2], tokens.ErrSignature},
		"trailing bits in the signature":         {nonCanonical(good), tokens.ErrMalformed},
		"padding":                                {good + "==", tokens.ErrMalformed},
		"padding in the middle":                  {parts[0] + "=." + parts[1] + "." + parts[2], tokens.ErrMalformed},
		"the alphabet of plain base64":           {parts[0] + "." + parts[1] + "." + strings.Repeat("+", 86), tokens.ErrMalformed},
		"a line break inside the signature":      {good[:len(good)-9] + "\n" + good[len(good)-9:], tokens.ErrMalformed},
		"a line break at the end":                {good + "\r\n", tokens.ErrMalformed},
		"a line break inside the header":         {good[:9] + "\n" + good[9:], tokens.ErrMalformed},
		"a space in front":                       {" " + good, tokens.ErrMalformed},
		"a NUL at the end":                       {good + "\x00", tokens.ErrMalformed},
		"two segments":                           {parts[0] + "." + parts[1], tokens.ErrMalformed},
		"four segments":                          {good + "." + parts[2], tokens.ErrMalformed},
		"five segments (an encrypted token)":     {good + "." + parts[2] + ".", tokens.ErrMalformed},
		"nothing":                                {"", tokens.ErrMalformed},
		"dots only":                              {"..", tokens.ErrMalformed},
		"the JSON serialization":                 {fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]), tokens.ErrMalformed},
		"a scheme in front":                      {"Bearer " + good, tokens.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := s.VerifyAccess(c.token, start)
			if !errors.Is(err, c.want) || !errors.Is(err, tokens.ErrInvalidToken) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if a.UserID != "" || a.Claims != nil {
				t.Errorf("a refused token gave %+v", a)
			}
		})
	}
}

// Tokens that a key of ours has signed, but with a payload that is wrong.
func TestWrongClaims(t *testing.T) {
	t.Parallel()
	s := service(t)
	kid, _ := s.SignerID(start)
	at := func(claim string, d time.Duration) string { return fmt.Sprintf(`%q:%d`, claim, start.Add(d).Unix()) }
	exp, iat := at("exp", 300*time.Second), at("iat", 0)
	for name, c := range map[string]struct {
		payload string
		want    error
	}{
		"iss missing":                         {goodPayload(`"iss"`, `"x"`), tokens.ErrIssuer},
		"iss with a slash behind it":          {goodPayload(issuer, issuer+"/"), tokens.ErrIssuer},
		"iss in another case":                 {goodPayload(issuer, strings.ToUpper(issuer)), tokens.ErrIssuer},
		"iss a list":                          {goodPayload(`"`+issuer+`"`, `["`+issuer+`"]`), tokens.ErrIssuer},
		"iss null":                            {goodPayload(`"`+issuer+`"`, `null`), tokens.ErrIssuer},
		"iss under another spelling":          {goodPayload(`"iss"`, `"ISS"`), tokens.ErrIssuer},
		"aud where none is ours":              {goodPayload(`"jti"`, `"aud":"elsewhere","jti"`), tokens.ErrAudience},
		"exp missing":                         {goodPayload(`"exp"`, `"EXP"`), tokens.ErrNoExpiry},
		"exp now":                             {goodPayload(exp, at("exp", 0)), tokens.ErrExpired},
		"exp a second ago, inside the leeway": {goodPayload(exp, at("exp", -time.Second)), tokens.ErrExpired},
		"exp negative":                        {goodPayload(exp, `"exp":-1`), tokens.ErrExpired},
		"exp text":                            {goodPayload(exp, `"exp":"4102444800"`), tokens.ErrMalformed},
		"exp true":                            {goodPayload(exp, `"exp":true`), tokens.ErrMalformed},
		"exp null":                            {goodPayload(exp, `"exp":null`), tokens.ErrMalformed},
		"exp a list":                          {goodPayload(exp, `"exp":[4102444800]`), tokens.ErrMalformed},
		"exp beyond the calendar":             {goodPayload(exp, `"exp":253402300800`), tokens.ErrMalformed},
		"exp beyond int64":                    {goodPayload(exp, `"exp":1e19`), tokens.ErrMalformed},
		"exp beyond float64":                  {goodPayload(exp, `"exp":1e999`), tokens.ErrMalformed},
		"exp minus infinity":                  {goodPayload(exp, `"exp":-1e999`), tokens.ErrMalformed},
		"exp twice":                           {goodPayload(exp, exp+`,"exp":4102444800`), tokens.ErrMalformed},
		"iat ahead of the leeway":             {goodPayload(iat, at("iat", 31*time.Second)), tokens.ErrNotYetValid},
		"iat text":                            {goodPayload(iat, `"iat":"x"`), tokens.ErrMalformed},
		"nbf ahead of the leeway":             {goodPayload(iat, at("nbf", 31*time.Second)), tokens.ErrNotYetValid},
		"nbf text":                            {goodPayload(iat, `"nbf":"x"`), tokens.ErrMalformed},
		"token_type missing":                  {goodPayload(`"token_type"`, `"type"`), tokens.ErrTokenType},
		"token_type of a refresh token":       {goodPayload(`"access"`, `"refresh"`), tokens.ErrTokenType},
		"token_type in another case":          {goodPayload(`"access"`, `"Access"`), tokens.ErrTokenType},
		"token_type a list":                   {goodPayload(`"access"`, `["access"]`), tokens.ErrTokenType},
		"user id missing":                     {goodPayload(`"user_id":"42"`, `"uid":"42"`), tokens.ErrNoUser},
		"user id empty":                       {goodPayload(`"user_id":"42"`, `"user_id":""`), tokens.ErrNoUser},
		"user id null":                        {goodPayload(`"user_id":"42"`, `"user_id":null`), tokens.ErrNoUser},
		"user id a fraction":                  {goodPayload(`"user_id":"42"`, `"user_id":42.0`), tokens.ErrNoUser},
		"user id in exponent form":            {goodPayload(`"user_id":"42"`, `"user_id":42e0`), tokens.ErrNoUser},
		"user id minus zero":                  {goodPayload(`"user_id":"42"`, `"user_id":-0`), tokens.ErrNoUser},
		"user id beyond int64":                {goodPayload(`"user_id":"42"`, `"user_id":9223372036854775808`), tokens.ErrNoUser},
		"user id an object":                   {goodPayload(`"user_id":"42"`, `"user_id":{"id":42}`), tokens.ErrNoUser},
		"user id true":                        {goodPayload(`"user_id":"42"`, `"user_id":true`), tokens.ErrNoUser},
		"user id and sub of two users":        {goodPayload(`"sub":"42"`, `"sub":"1"`), tokens.ErrNoUser},
		"sub a number":                        {goodPayload(`"sub":"42"`, `"sub":42`), tokens.ErrNoUser},
		"jti missing":                         {goodPayload(`"jti"`, `"id"`), tokens.ErrNoID},
		"jti a number":                        {goodPayload(`"jti":"j"`, `"jti":1`), tokens.ErrNoID},
		"sid a number":                        {goodPayload(`"sid":"s"`, `"sid":1`), tokens.ErrMalformed},
		"a member twice deep inside":          {goodPayload(`"jti"`, `"a":[{"b":{"c":1,"c":2}}],"jti"`), tokens.ErrMalformed},
		"nested too deep":                     {goodPayload(`"jti"`, `"a":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,"jti"`), tokens.ErrMalformed},
		"invalid UTF-8":                       {goodPayload(`"jti"`, "\"a\":\"\xff\",\"jti\""), tokens.ErrMalformed},
		"NaN":                                 {goodPayload(`"jti"`, `"a":NaN,"jti"`), tokens.ErrMalformed},
		"a payload that is an array":          {`[]`, tokens.ErrMalformed},
		"a payload that is text":              {`"x"`, tokens.ErrMalformed},
		"a payload that is empty":             {``, tokens.ErrMalformed},
		"a payload that never ends":           {`{"a":"`, tokens.ErrMalformed},
		"a payload that closes what it did not open": {`{"a":1]`, tokens.ErrMalformed},
		"a payload with an object behind it":         {goodPayload() + goodPayload(), tokens.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.VerifyAccess(s.SignRaw(header(kid), c.payload, start), start)
			if !errors.Is(err, c.want) || !errors.Is(err, tokens.ErrInvalidToken) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// What looks odd and is right all the same.
func TestUnusualButValid(t *testing.T) {
	t.Parallel()
	s := service(t)
	kid, _ := s.SignerID(start)
	for name, c := range map[string]struct{ header, payload string }{
		"exp with a fraction":         {header(kid), goodPayload(fmt.Sprint(start.Unix()+300), fmt.Sprintf("%d.5", start.Unix()))},
		"exp in exponent form":        {header(kid), goodPayload(fmt.Sprint(start.Unix()+300), "41024448e2")},
		"no iat":                      {header(kid), goodPayload(`"iat"`, `"x"`)},
		"iat inside the leeway":       {header(kid), goodPayload(fmt.Sprintf(`"iat":%d`, start.Unix()), fmt.Sprintf(`"iat":%d`, start.Unix()+30))},
		"nbf inside the leeway":       {header(kid), goodPayload(`"jti"`, fmt.Sprintf(`"nbf":%d,"jti"`, start.Unix()+30))},
		"user id a number":            {header(kid), goodPayload(`"user_id":"42"`, `"user_id":42`)},
		"no sub":                      {header(kid), goodPayload(`"sub"`, `"x"`)},
		"typ missing":                 {fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid), goodPayload()},
		"typ of RFC 9068":             {fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, kid), goodPayload()},
		"line breaks inside the JSON": {header(kid), goodPayload(",", ",\r\n ")},
		"braces, colons and escapes inside strings": {header(kid), goodPayload(`"jti"`, `"a":"}{:\"\\","b:":{},"jti"`)},
	} {
		a, err := s.VerifyAccess(s.SignRaw(c.header, c.payload, start), start)
		if err != nil || a.UserID != "42" || a.SessionID != "s" {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
}

// One algorithm's signature under another algorithm's name, with RSA, where there is a choice.
func TestRSAConfusion(t *testing.T) {
	t.Parallel()
	s := service(t, algorithm(tokens.RS256))
	kid, _ := s.SignerID(start)
	for _, alg := range []string{"PS256", "RS384", "RS512", "HS256", "ES256", "EdDSA", "none", "RSA1_5"} {
		_, err := s.VerifyAccess(s.SignRaw(fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid), goodPayload(), start), start)
		if !errors.Is(err, tokens.ErrAlgorithm) {
			t.Errorf("%s: got %v", alg, err)
		}
	}
}

// A key that has been put into the store without the secret is not believed.
func TestPlantedKey(t *testing.T) {
	t.Parallel()
	keys := &store{}
	s := service(t, func(c *tokens.Config) { c.Keys = keys })
	evil := service(t, func(c *tokens.Config) { c.Secret = otherSecret })
	evilKeys := &store{}
	planted := service(t, func(c *tokens.Config) { c.Secret, c.Keys = otherSecret, evilKeys })
	keys.change(func(old []repo.SigningKey) []repo.SigningKey {
		k := evilKeys.keys[0]
		k.State, k.RetiredAt = "retired", start
		return append(old, k)
	})
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, forger := range []*tokens.Service{evil, planted} {
		if _, err := s.VerifyAccess(issue(t, forger, alice), start); !errors.Is(err, tokens.ErrUnknownKey) {
			t.Errorf("got %v", err)
		}
	}
	kid, _ := planted.SignerID(start)
	if body, _ := s.JWKS(); strings.Contains(string(body), kid) {
		t.Error("the planted key is published")
	}
}

func header(kid string) string { return fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT"}`, kid) }

func rs(t *testing.T, segment string) (r, s []byte) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil || len(b) != 64 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	return b[:32], b[32:]
}

func derSignature(t *testing.T, segment string) string {
	t.Helper()
	r, s := rs(t, segment)
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
	if err != nil {
		t.Fatal(err)
	}
	return tokens.Encode(string(der))
}

func swapped(t *testing.T, segment string) string {
	t.Helper()
	r, s := rs(t, segment)
	return tokens.Encode(string(s) + string(r))
}

func longer(t *testing.T, segment string) string {
	t.Helper()
	r, s := rs(t, segment)
	return tokens.Encode(string(r) + string(s) + "\x00")
}

func orderSignature(k *ecdsa.PublicKey) string {
	n := string(k.Params().N.Bytes())
	return tokens.Encode(n + n)
}

// nonCanonical sets a bit that decodes to nothing: 64 bytes leave four such bits in the last letter.
func nonCanonical(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}
