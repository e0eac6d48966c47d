package cognitotest

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

// Metadata is how the pool answers as an OpenID provider for its metadata.
type Metadata struct {
	Mode   Mode   // of the answer
	Change Claims // of the members; a nil one is left out
}

// SetMetadata changes how the pool answers for its metadata.
func (p *Pool) SetMetadata(m Metadata) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.metadata = m
}

// Discoveries is how often the metadata was asked for.
func (p *Pool) Discoveries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.discovery
}

// discover answers for the metadata, below any path.
func (p *Pool) discover(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.discovery++
	m := p.metadata
	p.mu.Unlock()
	all := Claims{
		"issuer": p.Issuer, "jwks_uri": p.JWKSURL,
		"authorization_endpoint": p.HostedUI + "/oauth2/authorize", "token_endpoint": p.HostedUI + "/oauth2/token",
	}.With(m.Change)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	body, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	answer(w, r, m.Mode, body)
}

// IDToken is the claims of an ID token of an OpenID provider that is no pool.
func (p *Pool) IDToken(subject string, now time.Time) Claims {
	return Claims{
		"iss": p.Issuer, "sub": subject, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}
