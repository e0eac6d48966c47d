package impl

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/session"
)

// noStore keeps tokens out of every cache (RFC 6749 §5.1).
var noStore = "no-store"

// granted is a grant as the contract has it, with its cookies beside it: two
// Set-Cookie headers are more than the generated responses can hold.
type granted struct {
	body    api.Grant
	cookies []string
}

// grant translates a grant. The lifetimes are counted in whole seconds, as the
// times in the tokens are.
func (s *server) grant(g session.Grant) granted {
	csrf := s.CSRF.Token(g.SessionID)
	seconds := func(t time.Time) int64 { return max(0, t.Unix()-g.Now.Unix()) }
	body := api.Grant{
		AccessToken: g.AccessToken, TokenType: api.Bearer,
		Expires: g.AccessExpires.Unix(), ExpiresIn: seconds(g.AccessExpires),
		RefreshExpiresIn: seconds(g.RefreshExpires), SessionExpiresIn: seconds(g.SessionExpires),
		CSRFToken: csrf, User: s.user(g.User, s.UserFields),
	}
	// The cookies live as long as the session, not as the token in them: a client that lost an answer still holds the
	// former token, which is good for a retry when its own time is over.
	return granted{body: body, cookies: []string{
		s.CSRFCookie.Set(csrf, g.SessionExpires, g.Now),
		s.RefreshCookie.Set(g.RefreshToken, g.SessionExpires, g.Now), // last: what keeps one Set-Cookie of several keeps the last
	}}
}

// write answers as the generated responses do.
func (g granted) write(w http.ResponseWriter) error {
	body, err := json.Marshal(g.body) // #nosec G117 -- the client is who the token is for
	if err != nil {
		return fmt.Errorf("encoding a grant: %w", err)
	}
	h := w.Header()
	h["Set-Cookie"] = g.cookies
	h.Set("Content-Type", mediaJSON)
	h.Set("Cache-Control", noStore)
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(append(body, '\n'))
	return err
}

func (g granted) VisitSignInResponse(w http.ResponseWriter) error         { return g.write(w) }
func (g granted) VisitSocialExchangeResponse(w http.ResponseWriter) error { return g.write(w) }
func (g granted) VisitCodeExchangeResponse(w http.ResponseWriter) error   { return g.write(w) }
func (g granted) VisitRefreshResponse(w http.ResponseWriter) error        { return g.write(w) }
