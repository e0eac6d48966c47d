package impl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

const (
	credentials = `{"username":"alice","password":"correct horse battery"}`
	idpTokens   = `{"id_token":"a.b.c","access_token":"d.e.f","refresh_token":"g","expires_in":300,"token_type":"Bearer"}`
	toVerify    = `{"token":"a.b.c"}`
)

// contractCase reaches one status of one operation.
type contractCase struct {
	name   string
	req    func(h *harness) request
	fail   func(f *fakes) // what goes wrong behind the handler
	status int
	code   api.ProblemCode
}

func sends(r request) func(*harness) request { return func(*harness) request { return r } }

// fault is an error that no row of the registry knows.
var fault = errors.New("a fault that nobody foresaw")

// bodyCases are what every operation with a body must refuse.
func bodyCases(name, path, good string, signed bool) []contractCase {
	sign := func(r request) func(*harness) request {
		return func(h *harness) request {
			if signed {
				return h.signed(r)
			}
			return r
		}
	}
	big := `{"x":"` + strings.Repeat("a", 70<<10) + `"}`
	text := request{method: http.MethodPost, path: path, body: good, header: http.Header{"Content-Type": {"text/plain"}}}
	return []contractCase{
		{name + ": a body that is not JSON", sign(post(path, `{"username"`)), nil, 400, api.ProblemCodeMalformedBody},
		{name + ": a body over the limit", sign(post(path, big)), nil, 413, api.ProblemCodeBodyTooLarge},
		{name + ": another media type", sign(text), nil, 415, api.ProblemCodeUnsupportedMediaType},
		{name + ": from another site", sign(post(path, good).with("Sec-Fetch-Site", "cross-site")), nil, 403, api.ProblemCodeOriginNotAllowed},
	}
}

func contractCases() []contractCase {
	signIn, exchange, verify := sends(post("/auth/sign-in/", credentials)), sends(post("/auth/social-exchange/", idpTokens)), sends(post("/auth/verify/", toVerify))
	refresh := func(h *harness) request { return h.signed(post("/auth/refresh/", "")) }
	logoff := func(h *harness) request { return h.signed(post("/auth/logoff/", "")) }
	get := func(path string) func(*harness) request { return sends(request{method: http.MethodGet, path: path}) }
	store := fmt.Errorf("asking: %w", repo.ErrUnavailable)

	cases := []contractCase{
		{"sign-in", signIn, nil, 200, ""},
		{"sign-in: a field is missing", sends(post("/auth/sign-in/", `{}`)), nil, 400, api.ProblemCodeInvalidRequest},
		{"sign-in: wrong", signIn, func(f *fakes) { f.signIn = session.ErrNoActiveAccount }, 401, api.ProblemCodeNoActiveAccount},
		{"sign-in: throttled", signIn, func(f *fakes) { f.signIn = &session.ThrottledError{RetryAfter: 90e9} }, 429, api.ProblemCodeTooManyAttempts},
		{"sign-in: a fault", signIn, func(f *fakes) { f.signIn = fault }, 500, api.ProblemCodeInternalError},
		{"sign-in: a panic", signIn, func(f *fakes) { f.panics = "a panic" }, 500, api.ProblemCodeInternalError},
		{"sign-in: hashing is busy", signIn, func(f *fakes) { f.signIn = password.ErrBusy }, 503, api.ProblemCodeHashingBusy},
		{"sign-in: claims out of reach", signIn, func(f *fakes) { f.signIn = fmt.Errorf("a: %w", session.ErrClaimsUnavailable) }, 503, api.ProblemCodeClaimsUnavailable},
		{"sign-in: claims that can't be made", signIn, func(f *fakes) { f.signIn = fmt.Errorf("a: %w", session.ErrClaims) }, 500, api.ProblemCodeClaimsFailed},
		{"sign-in: no store", signIn, func(f *fakes) { f.signIn = store }, 503, api.ProblemCodeStoreUnavailable},

		{"exchange", exchange, nil, 200, ""},
		{"exchange: refused", exchange, func(f *fakes) { f.exchange = cognito.ErrInvalidToken }, 401, api.ProblemCodeIdpTokenNotValid},
		{"exchange: e-mail", exchange, func(f *fakes) { f.exchange = cognito.ErrEmailNotVerified }, 403, api.ProblemCodeEmailNotVerified},
		{"exchange: disabled", exchange, func(f *fakes) { f.exchange = session.ErrAccountDisabled }, 403, api.ProblemCodeAccountDisabled},
		{"exchange: replayed", exchange, func(f *fakes) { f.exchange = session.ErrReplayed }, 409, api.ProblemCodeExchangeReplayed},
		{"exchange: expired", exchange, func(f *fakes) { f.exchange = cognito.ErrExpired }, 410, api.ProblemCodeIdpTokenExpired},
		{"exchange: a fault", exchange, func(f *fakes) { f.exchange = fault }, 500, api.ProblemCodeInternalError},
		{"exchange: claims out of reach", exchange, func(f *fakes) { f.exchange = session.ErrClaimsUnavailable }, 503, api.ProblemCodeClaimsUnavailable},
		{"exchange: no keys", exchange, func(f *fakes) { f.exchange = cognito.ErrKeysUnavailable }, 503, api.ProblemCodeIdpUnavailable},

		{"refresh", refresh, nil, 200, ""},
		{"refresh: no cookie", sends(post("/auth/refresh/", "{}")), nil, 401, api.ProblemCodeTokenNotValid},
		{"refresh: no CSRF token", func(h *harness) request { return without(h.signed(post("/auth/refresh/", "")), "X-Csrf-Token") }, nil, 403, api.ProblemCodeCsrfFailed},
		{"refresh: a fault", refresh, func(f *fakes) { f.refresh = fault }, 500, api.ProblemCodeInternalError},
		{"refresh: claims out of reach", refresh, func(f *fakes) { f.refresh = session.ErrClaimsUnavailable }, 503, api.ProblemCodeClaimsUnavailable},
		{"refresh: claims that can't be made", refresh, func(f *fakes) { f.refresh = session.ErrClaims }, 500, api.ProblemCodeClaimsFailed},
		{"refresh: no store", refresh, func(f *fakes) { f.refresh = store }, 503, api.ProblemCodeStoreUnavailable},

		{"logoff", logoff, nil, 200, ""},
		{"logoff: no cookie", sends(post("/auth/logoff/", "{}")), nil, 401, api.ProblemCodeTokenNotValid},
		{"logoff: a fault", logoff, func(f *fakes) { f.logOff = fault }, 500, api.ProblemCodeInternalError},
		{"logoff: no store", logoff, func(f *fakes) { f.logOff = store }, 503, api.ProblemCodeStoreUnavailable},

		{"verify", verify, nil, 200, ""},
		{"verify: refused", verify, func(f *fakes) { f.verify = tokens.ErrInvalidToken }, 401, api.ProblemCodeTokenNotValid},
		{"verify: a fault", verify, func(f *fakes) { f.verify = fault }, 500, api.ProblemCodeInternalError},

		{"health", get("/healthz"), nil, 200, ""},
		{"readiness", get("/readyz"), nil, 200, ""},
		{"readiness: no store", get("/readyz"), func(f *fakes) { f.ping = store }, 503, ""},
		{"readiness: no keys", get("/readyz"), func(f *fakes) { f.keysMissing = true }, 503, ""},
		{"readiness: a panic", get("/readyz"), func(f *fakes) { f.panics = "a panic" }, 500, api.ProblemCodeInternalError},
		{"contract", get("/openapi.yaml"), nil, 200, ""},
		{"documentation", get("/docs"), nil, 200, ""},
	}
	cases = append(cases, accountCases()...)
	cases = append(cases, codeCases()...)
	cases = append(cases, documentCases()...)
	cases = append(cases, serviceCases()...)
	for _, reason := range []session.Reason{
		session.ReasonUnknown, session.ReasonRevoked, session.ReasonUserDisabled, session.ReasonExpired, session.ReasonIdle,
		session.ReasonSuperseded, session.ReasonAhead,
	} {
		cases = append(cases, contractCase{"refresh: " + reason.String(), refresh,
			func(f *fakes) { f.refresh = &session.SignedOutError{Reason: reason} }, 401, api.ProblemCodeTokenNotValid})
	}
	cases = append(cases, bodyCases("sign-in", "/auth/sign-in/", credentials, false)...)
	cases = append(cases, bodyCases("exchange", "/auth/social-exchange/", idpTokens, false)...)
	cases = append(cases, bodyCases("verify", "/auth/verify/", toVerify, false)...)
	cases = append(cases, bodyCases("refresh", "/auth/refresh/", `{"CSRF_token":"x"}`, true)...)
	return append(cases, bodyCases("logoff", "/auth/logoff/", `{"CSRF_token":"x"}`, true)...)
}

// accountCases are the operations of a user who holds an access token.
func accountCases() []contractCase {
	bearer := func(method, path, body string) func(*harness) request {
		r := request{method: method, path: path, body: body}.with("Authorization", "Bearer a.b.c")
		if body != "" {
			r = r.with("Content-Type", "application/json")
		}
		return sends(r)
	}
	foreign := func(req func(*harness) request) func(*harness) request {
		return func(h *harness) request { return req(h).with("Sec-Fetch-Site", "cross-site") }
	}
	anonymous := func(req func(*harness) request) func(*harness) request {
		return func(h *harness) request { return without(req(h), "Authorization") }
	}
	store := fmt.Errorf("asking: %w", repo.ErrUnavailable)
	const change = `{"current_password":"a","new_password":"b"}`
	list, me := bearer("GET", "/auth/sessions/", ""), bearer("GET", "/auth/me/", "")
	forward := bearer("GET", "/auth/forward/", "")
	all, others := bearer("DELETE", "/auth/sessions/?scope=all", ""), bearer("DELETE", "/auth/sessions/?scope=others", "")
	one, password1 := bearer("DELETE", "/auth/sessions/x/", ""), bearer("POST", "/auth/password/", change)
	cases := []contractCase{
		{"list", list, nil, 200, ""},
		{"list: a fault", list, func(f *fakes) { f.list = fault }, 500, api.ProblemCodeInternalError},
		{"list: no store", list, func(f *fakes) { f.list = store }, 503, api.ProblemCodeStoreUnavailable},
		{"me", me, nil, 200, ""},
		{"me: no keys", me, func(f *fakes) { f.verify = tokens.ErrNotReady }, 503, api.ProblemCodeStoreUnavailable},
		{"me: a fault", me, func(f *fakes) { f.authenticate = fault }, 500, api.ProblemCodeInternalError},
		{"forward", forward, nil, 200, ""},
		{"forward: a fault", forward, func(f *fakes) { f.authenticate = fault }, 500, api.ProblemCodeInternalError},
		{"forward: no store", forward, func(f *fakes) { f.authenticate = store }, 503, api.ProblemCodeStoreUnavailable},
		{"end others", others, nil, 200, ""},
		{"end all", all, nil, 200, ""},
		{"end some", bearer("DELETE", "/auth/sessions/?scope=some", ""), nil, 400, api.ProblemCodeInvalidRequest},
		{"end without a scope", bearer("DELETE", "/auth/sessions/", ""), nil, 400, api.ProblemCodeInvalidRequest},
		{"end all: a fault", all, func(f *fakes) { f.endAll = fault }, 500, api.ProblemCodeInternalError},
		{"end all: no store", all, func(f *fakes) { f.endAll = store }, 503, api.ProblemCodeStoreUnavailable},
		{"end all: from another site", foreign(all), nil, 403, api.ProblemCodeOriginNotAllowed},
		{"end one", one, nil, 200, ""},
		{"end one with an endless id", bearer("DELETE", "/auth/sessions/"+strings.Repeat("x", 65)+"/", ""), nil, 400, api.ProblemCodeInvalidRequest},
		{"end one that is not there", one, func(f *fakes) { f.end = session.ErrNoSuchSession }, 404, api.ProblemCodeNotFound},
		{"end one: a fault", one, func(f *fakes) { f.end = fault }, 500, api.ProblemCodeInternalError},
		{"end one: no store", one, func(f *fakes) { f.end = store }, 503, api.ProblemCodeStoreUnavailable},
		{"end one: from another site", foreign(one), nil, 403, api.ProblemCodeOriginNotAllowed},
		{"password", password1, nil, 200, ""},
		{"password: wrong", password1, func(f *fakes) { f.changePassword = session.ErrWrongPassword }, 403, api.ProblemCodeWrongPassword},
		{"password: throttled", password1, func(f *fakes) { f.changePassword = &session.ThrottledError{RetryAfter: 1} }, 429, api.ProblemCodeTooManyAttempts},
		{"password: a fault", password1, func(f *fakes) { f.changePassword = fault }, 500, api.ProblemCodeInternalError},
		{"password: hashing is busy", password1, func(f *fakes) { f.changePassword = password.ErrBusy }, 503, api.ProblemCodeHashingBusy},
	}
	for _, weak := range []error{password.ErrTooShort, password.ErrTooLong, password.ErrCommon, password.ErrPersonal} {
		cases = append(cases, contractCase{"password: " + weak.Error(), password1, func(f *fakes) { f.changePassword = weak }, 400, api.ProblemCodeInvalidRequest})
	}
	for name, req := range map[string]func(*harness) request{"list": list, "me": me, "forward": forward, "end all": all, "end one": one, "password": password1} {
		cases = append(cases,
			contractCase{name + ": no token", anonymous(req), nil, 401, api.ProblemCodeTokenNotValid},
			contractCase{name + ": a token that is not valid", req, func(f *fakes) { f.verify = tokens.ErrExpired }, 401, api.ProblemCodeTokenNotValid},
			contractCase{name + ": a session that is over", req, func(f *fakes) { f.authenticate = session.ErrSessionOver }, 401, api.ProblemCodeTokenNotValid})
	}
	for _, c := range bodyCases("password", "/auth/password/", change, false) {
		req := c.req
		c.req = func(h *harness) request { return req(h).with("Authorization", "Bearer a.b.c") }
		cases = append(cases, c)
	}
	return cases
}

// codeCases are the operations around an authorization code.
func codeCases() []contractCase {
	const good = `{"code":"c","code_verifier":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","redirect_uri":"https://app.test/cb","nonce":"n"}`
	code := sends(post("/auth/code-exchange/", good))
	url := sends(request{method: "GET", path: "/auth/authorize-url/?redirect_uri=https%3A%2F%2Fapp.test%2Fcb"})
	cases := []contractCase{
		{"code", code, nil, 200, ""},
		{"code: a verifier that is too short", sends(post("/auth/code-exchange/", strings.Replace(good, "dBjftJeZ4CVP", "", 1))), nil, 400, api.ProblemCodeInvalidRequest},
		{"code: no such provider", code, func(f *fakes) { f.exchange = cognito.ErrNoApp }, 400, api.ProblemCodeInvalidRequest},
		{"code: refused by the provider", code, func(f *fakes) { f.exchange = fmt.Errorf("%w: invalid_grant", cognito.ErrCode) }, 401, api.ProblemCodeIdpCodeNotValid},
		{"code: throttled", code, func(f *fakes) { f.exchange = &session.ThrottledError{RetryAfter: 90e9} }, 429, api.ProblemCodeTooManyAttempts},
		{"code: the tokens are refused", code, func(f *fakes) { f.exchange = cognito.ErrNonce }, 401, api.ProblemCodeIdpTokenNotValid},
		{"code: e-mail", code, func(f *fakes) { f.exchange = cognito.ErrEmailNotVerified }, 403, api.ProblemCodeEmailNotVerified},
		{"code: its token is expired", code, func(f *fakes) { f.exchange = cognito.ErrExpired }, 410, api.ProblemCodeIdpTokenExpired},
		{"code: replayed", code, func(f *fakes) { f.exchange = session.ErrReplayed }, 409, api.ProblemCodeExchangeReplayed},
		{"code: a fault", code, func(f *fakes) { f.exchange = fault }, 500, api.ProblemCodeInternalError},
		{"code: the provider does not answer", code, func(f *fakes) { f.exchange = cognito.ErrEndpointUnavailable }, 503, api.ProblemCodeIdpUnavailable},
		{"authorize", url, nil, 200, ""},
		{"authorize: no redirect URI", sends(request{method: "GET", path: "/auth/authorize-url/"}), nil, 400, api.ProblemCodeInvalidRequest},
		{"authorize: one that is not allowed", url, func(f *fakes) { f.exchange = cognito.ErrRedirectURI }, 400, api.ProblemCodeInvalidRequest},
		{"authorize: not known where", url, func(f *fakes) { f.exchange = cognito.ErrEndpointUnavailable }, 503, api.ProblemCodeIdpUnavailable},
		{"authorize: a fault", url, func(f *fakes) { f.exchange = fault }, 500, api.ProblemCodeInternalError},
	}
	return append(cases, bodyCases("code", "/auth/code-exchange/", good, false)...)
}

// documentCases are what anybody may fetch and cache.
func documentCases() []contractCase {
	var cases []contractCase
	for _, path := range []string{
		"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/auth/revocations/",
	} {
		get := request{method: http.MethodGet, path: path}
		cases = append(cases,
			contractCase{path, sends(get), nil, 200, ""},
			contractCase{path + ": known", sends(get.with("If-None-Match", "*")), nil, 304, ""},
			contractCase{path + ": known, in another line", sends(get.with("If-None-Match", `"a"`).with("If-None-Match", "*")), nil, 304, ""},
			contractCase{path + ": two lines of others", sends(get.with("If-None-Match", `"a"`).with("If-None-Match", `"b"`)), nil, 200, ""},
			contractCase{path + ": a header that is too long", sends(get.with("If-None-Match", strings.Repeat("a", 1025))), nil, 400, api.ProblemCodeInvalidRequest},
			contractCase{path + ": a panic", sends(get), func(f *fakes) { f.panics, f.statement = "a panic", fault }, 500, api.ProblemCodeInternalError})
	}
	return append(cases, contractCase{"revocations: no store", sends(request{method: http.MethodGet, path: "/auth/revocations/"}),
		func(f *fakes) { f.statement = fmt.Errorf("asking: %w", repo.ErrUnavailable) }, 503, api.ProblemCodeStoreUnavailable})
}

func without(r request, header string) request {
	r.header = r.header.Clone()
	delete(r.header, header)
	return r
}

// TestContract reaches every documented status of every operation through the
// real handler, holds each answer to the contract, and fails for a status or a
// code that is documented and never reached.
func TestContract(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("the contract is not valid OpenAPI: %v", err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	reached := map[string]bool{}
	codes := map[string]bool{string(api.ProblemCodeNotFound): true, string(api.ProblemCodeMethodNotAllowed): true} // TestUnknownPaths
	for _, c := range contractCases() {
		h := newHarness(t, nil)
		if c.fail != nil {
			c.fail(h.fakes)
		}
		req := c.req(h)
		route := checkCase(t, router, c, h, req)
		reached[fmt.Sprintf("%s %d", route.Operation.OperationID, c.status)] = true
		codes[string(c.code)] = true
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status := range op.Responses.Map() {
				if !reached[op.OperationID+" "+status] {
					t.Errorf("%s %s documents %s, and no test reaches it", method, path, status)
				}
			}
		}
	}
	for _, code := range doc.Components.Schemas["ProblemCode"].Value.Enum {
		if !codes[code.(string)] {
			t.Errorf("the code %q is documented, and no test reaches it", code)
		}
	}
}

// checkCase sends a case's request and holds the answer to the contract.
func checkCase(t *testing.T, router routers.Router, c contractCase, h *harness, req request) *routers.Route {
	t.Helper()
	resp := h.do(req)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != c.status {
		t.Errorf("%s: status %d, want %d: %s", c.name, resp.StatusCode, c.status, body)
	}
	if c.code != "" {
		var p api.Problem
		if err := json.Unmarshal(body, &p); err != nil || p.Code != c.code || p.Status != c.status {
			t.Errorf("%s: answered %s, want the code %q", c.name, body, c.code)
		}
	}
	if bytes.Contains(body, []byte("foresaw")) || bytes.Contains(body, []byte("a panic")) {
		t.Errorf("%s: the answer tells the cause: %s", c.name, body)
	}
	asked := req.build()
	route, params, err := router.FindRoute(asked)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: asked, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
		},
		Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s: the answer breaks the contract: %v", c.name, err)
	}
	return route
}

// TestContractTagsAndIDs demands of every operation what the documentation and
// the generated clients are made from, and that every error is a problem.
func TestContractTagsAndIDs(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, tag := range doc.Tags {
		tags = append(tags, tag.Name)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) == 0 || !slices.Contains(tags, op.Tags[0]) {
				t.Errorf("%s %s has no operationId, no summary or no known tag", method, path)
			}
			checkErrors(t, method+" "+path, op)
		}
	}
}

// checkErrors demands that every error of an operation is a problem.
func checkErrors(t *testing.T, name string, op *openapi3.Operation) {
	t.Helper()
	for status, response := range op.Responses.Map() {
		if status < "400" || op.OperationID == "getReadiness" && status == "503" {
			continue
		}
		if response.Value.Content.Get("application/problem+json") == nil {
			t.Errorf("%s: %s is not a problem", name, status)
		}
	}
}
