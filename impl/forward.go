package impl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/repo"
)

// ForwardHeader is a header in which a proxy gets a claim of the access token.
type ForwardHeader struct{ Name, Claim string }

// forwardPath is where proxies ask, below the base path.
const forwardPath = "/forward/"

// plainQuestion makes what any proxy asks below the forward operation one and the
// same: Envoy asks with the method and the path of the request that it holds.
func (s *server) plainQuestion(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at := s.BasePath + forwardPath; strings.HasPrefix(r.URL.Path, at) {
			u := *r.URL
			u.Path, u.RawPath, u.RawQuery = at, "", ""
			r.URL, r.Method = &u, http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// Forward tells a proxy who sent the request that it holds, if that may pass.
func (s *server) Forward(ctx context.Context, _ api.ForwardRequestObject) (api.ForwardResponseObject, error) {
	access, su, err := s.bearer(ctx)
	if err != nil {
		return nil, err
	}
	return passes{user: su.User, claims: access.Claims, headers: s.ForwardHeaders}, nil
}

// passes lets a request pass, and says whose it is.
type passes struct {
	user    repo.User
	claims  map[string]any
	headers []ForwardHeader
}

func (p passes) VisitForwardResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Cache-Control", noStore)
	h.Set("X-Auth-Request-User", headerText(p.user.ID))
	h.Set("X-Auth-Request-Preferred-Username", headerText(p.user.Username))
	// What there is nothing for is sent empty: a proxy that copies what it finds here must find something to put over
	// what its client sent.
	h.Set("X-Auth-Request-Email", "")
	if p.user.EmailVerified { // who claims an address is not yet whose it is
		h.Set("X-Auth-Request-Email", headerText(p.user.Email))
	}
	for _, header := range p.headers {
		text, err := claimText(p.claims[header.Claim])
		if err != nil {
			return fmt.Errorf("writing the claim %q: %w", header.Claim, err)
		}
		h.Set(header.Name, headerText(text))
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// claimText is a claim as text: a string as it is, anything else as JSON; none is
// empty.
func claimText(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	}
	b, err := json.Marshal(value)
	return string(b), err
}

// headerText makes a text safe in a header, and readable again: visible ASCII and
// the blanks between stay, every other byte is percent-encoded.
func headerText(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		edge := i == 0 || i == len(text)-1
		if c > ' ' && c <= '~' && c != '%' || c == ' ' && !edge {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
