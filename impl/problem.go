package impl

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// problemType precedes a problem's name in its type (RFC 9457 §3.1.1).
const problemType = "urn:gatehouse:problem:"

// problem is one row of the registry. The texts are all that a client sees of
// an error; what the error itself says goes into the log alone.
type problem struct {
	name       string          // the end of its type; "" is the code
	code       api.ProblemCode // what clients branch on
	status     int
	title      string
	detail     string
	retryAfter time.Duration // above zero: retryable, and after how long
	challenge  string        // WWW-Authenticate of a 401; "" is Bearer's
}

// The problems that this package finds by itself.
var (
	problemMalformedBody = problem{code: api.ProblemCodeMalformedBody, status: http.StatusBadRequest,
		title: "The body is malformed", detail: "The body is not a JSON object, or not well-formed: see the documentation of this operation."}
	problemInvalidRequest = problem{code: api.ProblemCodeInvalidRequest, status: http.StatusBadRequest,
		title: "The request is not valid", detail: "One or more fields are not valid."}
	problemNotFound = problem{code: api.ProblemCodeNotFound, status: http.StatusNotFound,
		title: "Not found", detail: "Not found."}
	problemMethodNotAllowed = problem{code: api.ProblemCodeMethodNotAllowed, status: http.StatusMethodNotAllowed,
		title: "The method is not allowed", detail: "The Allow header names the methods of this resource."}
	problemBodyTooLarge = problem{code: api.ProblemCodeBodyTooLarge, status: http.StatusRequestEntityTooLarge,
		title: "The body is too large", detail: "The request body is larger than this service accepts."}
	problemMediaType = problem{code: api.ProblemCodeUnsupportedMediaType, status: http.StatusUnsupportedMediaType,
		title: "The media type is not supported"}
	problemCSRF = problem{code: api.ProblemCodeCsrfFailed, status: http.StatusForbidden,
		title: "The CSRF token is not valid", detail: "The CSRF token is missing or does not belong to this session."}
	problemOrigin = problem{code: api.ProblemCodeOriginNotAllowed, status: http.StatusForbidden,
		title: "The origin is not allowed", detail: "Requests from this origin are not accepted."}
	problemInternal = problem{code: api.ProblemCodeInternalError, status: http.StatusInternalServerError,
		title: "Internal error", detail: "The service could not answer. Quote the request id when you report this."}
	problemNoStore = problem{code: api.ProblemCodeStoreUnavailable, status: http.StatusServiceUnavailable,
		title: "The service is not available", detail: "The service can't reach its database. Try again later.", retryAfter: 2 * time.Second}
	problemTokenNotValid = problem{code: api.ProblemCodeTokenNotValid, status: http.StatusUnauthorized,
		title: "The token is not valid", detail: "Token is invalid or expired"}
	problemNoIDP = problem{code: api.ProblemCodeIdpUnavailable, status: http.StatusServiceUnavailable,
		title: "The service is not available", detail: "The identity provider can't be reached. Try again later.", retryAfter: 5 * time.Second}
	problemThrottled = problem{code: api.ProblemCodeTooManyAttempts, status: http.StatusTooManyRequests,
		title: "Too many attempts", detail: "Too many failed sign-ins. Wait before the next try.", retryAfter: time.Minute}
)

// registry says which problem stands for which error of the packages below. The
// first that matches counts, so the particular comes before the general.
var registry = []struct {
	err error
	problem
}{
	{session.ErrNoActiveAccount, problem{code: api.ProblemCodeNoActiveAccount, status: http.StatusUnauthorized,
		title: "Sign-in failed", detail: "No active account found with the given credentials"}},
	{session.ErrNotARefreshToken, problemTokenNotValid},
	{session.ErrSessionOver, problemTokenNotValid},
	{session.ErrNoSuchSession, problemNotFound},
	{session.ErrWrongPassword, problem{code: api.ProblemCodeWrongPassword, status: http.StatusForbidden,
		title: "The password is wrong", detail: "The current password is not right."}},
	{session.ErrClaimsUnavailable, problem{code: api.ProblemCodeClaimsUnavailable, status: http.StatusServiceUnavailable,
		title: "The service is not available", detail: "A service that knows what goes into the token did not answer. Try again later.", retryAfter: 5 * time.Second}},
	{session.ErrClaims, problem{code: api.ProblemCodeClaimsFailed, status: http.StatusInternalServerError,
		title: "The token can't be made", detail: "What belongs into the token of this account can't be put into one. Quote the request id when you report this."}},
	{session.ErrReplayed, problem{code: api.ProblemCodeExchangeReplayed, status: http.StatusConflict,
		title: "The token was used before", detail: "This ID token has already been exchanged for a session."}},
	{session.ErrAccountDisabled, problem{code: api.ProblemCodeAccountDisabled, status: http.StatusForbidden,
		title: "The account is disabled", detail: "This account is disabled."}},
	{session.ErrInvalidClient, problem{code: api.ProblemCodeInvalidClient, status: http.StatusUnauthorized,
		title: "The client is not known", detail: "No registered service has this id and secret.", challenge: `Basic realm="gatehouse", charset="UTF-8"`}},
	{session.ErrNotRevocable, problem{code: api.ProblemCodeUnsupportedTokenType, status: http.StatusBadRequest,
		title: "The token can't be revoked", detail: "The token has no session here, and can't be revoked."}},
	{tokens.ErrInvalidToken, problemTokenNotValid},
	{tokens.ErrNotReady, problemNoStore},
	{cognito.ErrExpired, problem{code: api.ProblemCodeIdpTokenExpired, status: http.StatusGone,
		title: "The identity provider's token has expired", detail: "Token expired."}},
	{cognito.ErrEmailNotVerified, problem{code: api.ProblemCodeEmailNotVerified, status: http.StatusForbidden,
		title: "The e-mail address is not verified", detail: "Email not verified."}},
	{cognito.ErrInvalidToken, problem{code: api.ProblemCodeIdpTokenNotValid, status: http.StatusUnauthorized,
		title: "The identity provider's token is not valid", detail: "The identity provider's tokens were refused."}},
	{cognito.ErrCode, problem{code: api.ProblemCodeIdpCodeNotValid, status: http.StatusUnauthorized,
		title: "The authorization code is not valid", detail: "The identity provider refused the authorization code."}},
	{cognito.ErrKeysUnavailable, problemNoIDP},
	{cognito.ErrEndpointUnavailable, problemNoIDP},
	{password.ErrBusy, problem{code: api.ProblemCodeHashingBusy, status: http.StatusServiceUnavailable,
		title: "The service is busy", detail: "Too many sign-ins at once. Try again in a moment.", retryAfter: time.Second}},
	{repo.ErrUnavailable, problemNoStore},
}

// fields says which field is wrong, where only the packages below can tell.
var fields = []struct {
	err             error
	pointer, detail string
}{
	{cognito.ErrNoApp, "/idp", "There is no such identity provider to sign in with."},
	{cognito.ErrRedirectURI, "/redirect_uri", "This redirect URI is not allowed."},
	{password.ErrTooShort, "/new_password", "This password is too short: it needs at least 8 characters."},
	{password.ErrTooLong, "/new_password", "This password is too long."},
	{password.ErrCommon, "/new_password", "This password is one of the most used ones."},
	{password.ErrPersonal, "/new_password", "This password is the username or the e-mail address."},
}

// signedOut says why a session is over, by session.Reason. The code is the one
// that the seed's clients know for "sign in again".
var signedOut = map[session.Reason]problem{
	session.ReasonUnknown:      endedProblem("session_unknown", "The session is not known. Sign in again."),
	session.ReasonRevoked:      endedProblem("session_revoked", "The session was ended. Sign in again."),
	session.ReasonUserDisabled: endedProblem("user_disabled", "The account can't be used. Sign in again."),
	session.ReasonExpired:      endedProblem("session_expired", "The session has reached its end. Sign in again."),
	session.ReasonIdle:         endedProblem("session_idle", "The session was not used for too long. Sign in again."),
	session.ReasonSuperseded:   endedProblem("session_reused", "The refresh token was used before; the session was ended. Sign in again."),
	session.ReasonAhead:        endedProblem("session_reused", "The refresh token is not known; the session was ended. Sign in again."),
}

func endedProblem(name, detail string) problem {
	return problem{name: name, code: api.ProblemCodeTokenNotValid, status: http.StatusUnauthorized, title: "The session has ended", detail: detail}
}

// challengeFor is what a 401 asks for. That a token was wrong, RFC 6750 §3.1 has
// said to those who presented one.
func (p problem) challengeFor(r *http.Request) string {
	switch {
	case p.challenge != "":
		return p.challenge
	case p.code == api.ProblemCodeTokenNotValid && r.Header.Get("Authorization") != "":
		return `Bearer realm="api", error="invalid_token"`
	}
	return `Bearer realm="api"`
}

// requestError is an error that this package found in the request itself.
type requestError struct {
	problem problem
	fields  []api.FieldError
	cause   error // for the log; never holds what the client sent
}

func (e *requestError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.problem.code, e.cause)
	}
	return string(e.problem.code)
}

func (e *requestError) Unwrap() error { return e.cause }

// problemOf finds the problem that stands for an error.
func problemOf(err error) (problem, []api.FieldError) {
	var request *requestError
	var throttled *session.ThrottledError
	var out *session.SignedOutError
	switch {
	case errors.As(err, &request):
		return request.problem, request.fields
	case errors.As(err, &throttled):
		p := problemThrottled
		p.retryAfter = throttled.RetryAfter
		return p, nil
	case errors.As(err, &out):
		return signedOut[out.Reason], nil
	}
	for _, row := range registry {
		if errors.Is(err, row.err) {
			return row.problem, nil
		}
	}
	for _, row := range fields {
		if errors.Is(err, row.err) {
			return problemInvalidRequest, []api.FieldError{{Pointer: row.pointer, Detail: row.detail}}
		}
	}
	return problemInternal, nil
}

// writeProblem is the one way out for every error: of binding, of the body, of
// a handler, of the router, and of a panic. It logs the chain once.
func (s *server) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p, wrong := problemOf(err)
	name := p.name
	if name == "" {
		name = string(p.code)
	}
	level, text, which := slog.LevelInfo, "request refused", slog.String("problem", name)
	status := recordedStatus(r, p.status)
	switch {
	case status == statusClientGone:
		text, which = "the client went away", slog.Attr{} // no alert for an outage may take it for one
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	s.Logger.LogAttrs(r.Context(), level, text, slog.Int("status", status), which, slog.Any("error", err))

	h := w.Header()
	var out *session.SignedOutError
	if errors.As(err, &out) {
		s.deleteCookies(h)
	}
	if p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", p.challengeFor(r))
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(max(1, p.retryAfter.Round(time.Second)/time.Second))))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(api.Problem{ // the client may be gone: there is nobody to tell
		Type: problemType + name, Title: p.title, Status: p.status, Detail: p.detail,
		Code: p.code, Retryable: p.retryAfter > 0, Errors: wrong,
	})
}
