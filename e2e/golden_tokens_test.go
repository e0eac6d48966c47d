package e2e_test

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
)

func mustJSON(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%v: %.200s", err, raw)
	}
}

// partOf decodes a part of a token, and returns nil where it is no object.
func partOf(token string, i int) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[i])
	if err != nil {
		return nil
	}
	var object map[string]any
	if json.Unmarshal(raw, &object) != nil {
		return nil
	}
	return object
}

func payloadOf(t *testing.T, token string) map[string]any {
	t.Helper()
	payload := partOf(token, 1)
	if payload == nil {
		t.Fatalf("not a token: %.20s", token)
	}
	return payload
}

// signHS signs a header and a payload with the recordings' secret.
func signHS(t *testing.T, header, payload map[string]any) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	var parts []string
	for _, part := range []map[string]any{header, payload} {
		raw, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, b64(raw))
	}
	text := strings.Join(parts, ".")
	return text + "." + b64(macOf(text))
}

func macOf(text string) []byte {
	mac := hmac.New(sha256.New, []byte(goldenSecret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// shift moves the times of a payload from the recording's to now.
func shift(payload map[string]any, recordedAt time.Time) {
	delta := time.Since(recordedAt).Truncate(time.Second).Seconds()
	for _, name := range []string{"iat", "exp", "nbf", "auth_time"} {
		if seconds, ok := payload[name].(float64); ok && seconds < 1e12 {
			payload[name] = seconds + delta
		}
	}
}

// renewed is a recorded token of the predecessor as Gatehouse would have issued
// it now: times moved, and the issuer that ours always have. One that the secret
// did not sign stays as it is.
func renewed(t *testing.T, token string, recordedAt time.Time) string {
	t.Helper()
	header, payload := partOf(token, 0), partOf(token, 1)
	cut := strings.LastIndexByte(token, '.')
	if header == nil || payload == nil || token[cut+1:] != base64.RawURLEncoding.EncodeToString(macOf(token[:cut])) {
		return token
	}
	shift(payload, recordedAt)
	if _, there := payload["iss"]; !there {
		payload["iss"] = "http://localhost:8080"
	}
	return signHS(t, header, payload)
}

// goldenIDP plays the recordings' user pool, with their keys.
type goldenIDP struct {
	server *httptest.Server
	keys   map[string]*rsa.PrivateKey

	mu        sync.Mutex
	published []string
	broken    func(w http.ResponseWriter) // nil: the keys are served
}

func newGoldenIDP(t *testing.T) *goldenIDP {
	t.Helper()
	raw, err := os.ReadFile("testdata/idtokens.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		PrivatePEM map[string]string `json:"private_pem"`
	}
	mustJSON(t, raw, &file)
	idp := &goldenIDP{keys: map[string]*rsa.PrivateKey{}, published: []string{"kid-1", "kid-2"}}
	for kid, text := range file.PrivatePEM {
		block, _ := pem.Decode([]byte(text))
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		idp.keys[kid], _ = key.(*rsa.PrivateKey)
	}
	idp.server = httptest.NewServer(http.HandlerFunc(idp.serve))
	t.Cleanup(idp.server.Close)
	return idp
}

func (p *goldenIDP) serve(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		p.broken(w)
		return
	}
	var keys []string
	for _, kid := range p.published {
		keys = append(keys, cognitotest.JWK(kid, &p.keys[kid].PublicKey))
	}
	_, _ = w.Write([]byte(`{"keys":[` + strings.Join(keys, ",") + `]}`))
}

func (p *goldenIDP) publish(kids ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = kids
}

// breaks makes the pool answer badly; nil mends it.
func (p *goldenIDP) breaks(how func(w http.ResponseWriter)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = how
}

// settings are those of a server that takes the pool's tokens.
func (p *goldenIDP) settings(more map[string]string) map[string]string {
	all := map[string]string{"GATEHOUSE_IDPS": `[{"name":"cognito","type":"cognito","region":"us-west-2","user_pool":"us-west-2_abcdefg",` +
		`"client_ids":["abcdefg"],"jwks_url":"` + p.server.URL + `/jwks.json"}]`}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// body is a recorded exchange as the pool would have it now: the ID token's times
// moved and signed again by the same key, and with it, in the place of the
// predecessor's "idp-access-token", an access token that belongs to it. An ID
// token that no key of the pool signed stays as it is.
func (p *goldenIDP) body(t *testing.T, r recorded) string {
	t.Helper()
	var body map[string]any
	if json.Unmarshal([]byte(r.Body), &body) != nil {
		return r.Body
	}
	token, _ := body["id_token"].(string)
	header, payload := partOf(token, 0), partOf(token, 1)
	key := p.signedBy(token)
	if key != nil {
		shift(payload, r.at(t))
		delete(payload, "at_hash") // the recordings' is of no access token
		delete(header, "alg")
		body["id_token"] = cognitotest.Sign(key, header, payload)
	}
	if body["access_token"] == "idp-access-token" || body["access_token"] == "a" { // as the recordings have it
		now := time.Now()
		access := cognitotest.Claims{
			"iss": "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_abcdefg", "sub": payload["sub"], "client_id": "abcdefg",
			"token_use": "access", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "origin_jti": payload["origin_jti"],
		}
		kid := "kid-1"
		p.mu.Lock()
		if p.published[0] != kid {
			kid = p.published[0]
		}
		p.mu.Unlock()
		body["access_token"] = cognitotest.Sign(p.keys[kid], map[string]any{"kid": kid}, access)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// signedBy returns the key that signed a token by RS256, if it is one of the pool's.
func (p *goldenIDP) signedBy(token string) *rsa.PrivateKey {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || partOf(token, 0)["alg"] != "RS256" {
		return nil
	}
	for _, key := range p.keys {
		if verifiesRS256(&key.PublicKey, parts[0]+"."+parts[1], parts[2]) {
			return key
		}
	}
	return nil
}
