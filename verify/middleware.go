package verify

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// retryAfter is what a request is told that can't be judged, in seconds.
const retryAfter = 5

// refusal is how a request is refused (RFC 9457, RFC 6750 §3).
type refusal struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Retryable bool   `json:"retryable"`

	challenge string
}

// The refusals. None says why a token is not valid: that is in the log.
var (
	noToken = refusal{Title: "Authentication is required", Status: http.StatusUnauthorized, Code: "not_authenticated",
		Detail: "The request has no access token.", challenge: "Bearer"}
	badRequest = refusal{Title: "The request is not valid", Status: http.StatusBadRequest, Code: "invalid_request",
		Detail: "The request must have one Authorization header with one access token.", challenge: `Bearer error="invalid_request"`}
	badToken = refusal{Title: "The token is not valid", Status: http.StatusUnauthorized, Code: "token_not_valid",
		Detail: "Token is invalid or expired", challenge: `Bearer error="invalid_token", error_description="Token is invalid or expired"`}
	notNow = refusal{Title: "The service is not available", Status: http.StatusServiceUnavailable, Code: "verification_unavailable",
		Detail: "The access token can't be verified now. Try again later.", Retryable: true}
)

// Middleware passes requests with a valid access token in the Authorization
// header on (RFC 6750 §2.1), with its claims in the context. Others get an
// application/problem+json: 401 with a challenge, 400 where the header is
// malformed, and 503 with Retry-After where the token can't be judged. A CORS
// preflight has no token: let what answers it stand before.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, refused := bearer(r.Header.Values("Authorization"))
		if refused != nil {
			refused.write(w)
			return
		}
		claims, err := v.Verify(r.Context(), token)
		switch {
		case errors.Is(err, ErrInvalidToken):
			v.config.Logger.InfoContext(r.Context(), "an access token is refused", "error", err)
			badToken.write(w)
		case err != nil:
			v.config.Logger.WarnContext(r.Context(), "an access token can't be verified", "error", err)
			notNow.write(w)
		default:
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), claims)))
		}
	})
}

// bearer finds the token. Credentials of another scheme are none.
func bearer(headers []string) (token string, refused *refusal) {
	if len(headers) > 1 {
		return "", &badRequest
	}
	if len(headers) == 0 {
		return "", &noToken
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", &noToken
	case token == "" || strings.ContainsAny(token, " ,"):
		return "", &badRequest
	}
	return token, nil
}

func (p refusal) write(w http.ResponseWriter) {
	p.Type = "urn:gatehouse:problem:" + p.Code
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.challenge != "" {
		h.Set("WWW-Authenticate", p.challenge)
	}
	if p.Retryable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // who has gone away need not be told
}
