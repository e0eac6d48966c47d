package cognitotest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
)

// RedirectURI is where the users of the pool's app come back to.
const RedirectURI = "https://app.example.test/callback"

// Secret is the client secret that the token endpoint asks for where a client
// sends one.
const Secret = "a client's secret"

// issuedCode is what the token endpoint must be shown, and what it answers.
type issuedCode struct {
	challenge   string
	id, access  string
	redirectURI string
}

// Authorize signs a subject in at the hosted UI, and returns the code with what
// belongs to it; change is applied to the ID token's claims.
func (p *Pool) Authorize(subject string, now time.Time, change Claims) cognito.Code {
	nonce, _ := change["nonce"].(string)
	code := cognito.Code{Code: rand.Text(), Verifier: rand.Text() + rand.Text(), RedirectURI: RedirectURI, Nonce: nonce}
	sum := sha256.Sum256([]byte(code.Verifier))
	issued := issuedCode{challenge: base64.RawURLEncoding.EncodeToString(sum[:]), redirectURI: RedirectURI}
	issued.id, issued.access = p.Pair(subject, now, change)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code.Code] = issued
	return code
}

// token is the token endpoint: a code works once, with its verifier.
func (p *Pool) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"error":"` + code + `"}`))
	}
	client := r.PostFormValue("client_id")
	if id, secret, given := r.BasicAuth(); given {
		client = id
		if secret != "a+client%27s+secret" {
			refuse(http.StatusUnauthorized, "invalid_client")
			return
		}
	}
	if secret := r.PostFormValue("client_secret"); secret != "" && secret != Secret {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	if r.PostFormValue("grant_type") != "authorization_code" || client != ClientID {
		refuse(http.StatusBadRequest, "invalid_request")
		return
	}
	p.mu.Lock()
	issued, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || issued.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) || issued.redirectURI != r.PostFormValue("redirect_uri") {
		refuse(http.StatusBadRequest, "invalid_grant")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id_token": issued.id, "access_token": issued.access, "token_type": "Bearer", "expires_in": 3600,
	})
}
