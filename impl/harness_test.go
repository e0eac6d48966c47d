package impl_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/cookie"
	"github.com/gatehouse-auth/gatehouse/impl"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// now is the time in these tests.
var now = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

const (
	secret    = "a secret of the tests, long enough"
	sessionID = "0193a1b2-0000-7000-8000-000000000001"
)

// fakes stands behind the handlers: each use case answers what the test says,
// and by default what goes well.
type fakes struct {
	signIn, exchange, refresh error // nil: a grant
	parse, logOff, verify     error
	ping                      error
	keysMissing               bool
	keys                      string // the JWK Set; empty: one key
	claims                    map[string]any
	authenticate, list, end   error
	endAll, changePassword    error
	client, introspect        error
	inactive                  bool
	revoke, statement         error
	panics                    any
	user                      repo.User // of the grants; the zero one is alice

	clients     []session.Client // who asked, in order
	credentials [][2]string      // of services
	logged      bytes.Buffer
}

func (f *fakes) SignIn(_ context.Context, _, _ string, c session.Client) (session.Grant, error) {
	f.clients = append(f.clients, c)
	if f.panics != nil {
		panic(f.panics)
	}
	return f.grant(), f.signIn
}

func (f *fakes) Exchange(context.Context, session.IDPTokens, session.Client) (session.Grant, error) {
	return f.grant(), f.exchange
}

func (f *fakes) ExchangeCode(context.Context, session.AuthorizationCode, session.Client) (session.Grant, error) {
	return f.grant(), f.exchange
}

func (f *fakes) AuthorizeURL(context.Context, string, string) (string, error) {
	return "https://idp.test/oauth2/authorize?client_id=x", f.exchange
}

func (f *fakes) Parse(presented []string) ([]tokens.Refresh, error) {
	if len(presented) == 0 {
		return nil, session.ErrNotARefreshToken
	}
	return []tokens.Refresh{{SessionID: sessionID, Generation: 1, UserID: "42"}}, f.parse
}

func (f *fakes) Refresh(context.Context, []tokens.Refresh, session.Client) (session.Grant, error) {
	return f.grant(), f.refresh
}

func (f *fakes) LogOff(context.Context, []tokens.Refresh, session.Client) error { return f.logOff }

func (f *fakes) Authenticate(context.Context, tokens.Access) (repo.SessionUser, error) {
	g := f.grant()
	return repo.SessionUser{Session: aSession(), User: g.User}, f.authenticate
}

func (f *fakes) List(context.Context, repo.SessionUser) ([]repo.Session, error) {
	other := aSession()
	other.ID = "other"
	return []repo.Session{aSession(), other}, f.list
}

func (f *fakes) End(context.Context, repo.SessionUser, string, session.Client) (int, error) {
	return 1, f.end
}

func (f *fakes) EndAll(_ context.Context, _ repo.SessionUser, keepCurrent bool, _ session.Client) (int, error) {
	if keepCurrent {
		return 1, f.endAll
	}
	return 2, f.endAll
}

func (f *fakes) ChangePassword(context.Context, repo.SessionUser, string, string, session.Client) error {
	return f.changePassword
}

func (f *fakes) AuthenticateClient(_ context.Context, id, secret string, _ session.Client) (repo.Client, error) {
	f.credentials = append(f.credentials, [2]string{id, secret})
	return repo.Client{ID: id, Name: "billing"}, f.client
}

func (f *fakes) Introspect(context.Context, string) (session.Introspection, error) {
	claims := map[string]any{"iss": "https://auth.test", "sub": "42", "exp": json.Number("1795481772"), "token_type": "access", "plan": "pro", "active": false}
	if f.inactive {
		return session.Introspection{}, f.introspect
	}
	return session.Introspection{Active: true, Access: tokens.Access{Claims: claims}, User: f.grant().User}, f.introspect
}

func (f *fakes) Revoke(context.Context, string, repo.Client, session.Client) error { return f.revoke }

func (f *fakes) Statement(context.Context) (session.Statement, error) {
	return session.Statement{Body: []byte("a.b.c"), ETag: `"tag"`, MaxAge: 5 * time.Second}, f.statement
}

func aSession() repo.Session {
	return repo.Session{
		ID: sessionID, UserID: "42", Generation: 3, CreatedAt: now, RotatedAt: now.Add(time.Hour), ExpiresAt: now.Add(720 * time.Hour),
		Method: "password", UserAgent: "Test/1", IP: "203.0.113.7",
	}
}

func (f *fakes) VerifyAccess(token string, _ time.Time) (tokens.Access, error) {
	if strings.Contains(token, " ") {
		return tokens.Access{}, tokens.ErrInvalidToken
	}
	return tokens.Access{Claims: f.claims}, f.verify
}

func (f *fakes) JWKS() ([]byte, string) {
	if f.panics != nil {
		panic(f.panics)
	}
	if f.keys != "" {
		return []byte(f.keys), `"tag"`
	}
	return []byte(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"k1","x":"eA","y":"eQ"}]}`), `"tag"`
}

func (f *fakes) Ready() bool { return !f.keysMissing }

func (f *fakes) Ping(context.Context) error {
	if f.panics != nil {
		panic(f.panics)
	}
	return f.ping
}

func (f *fakes) grant() session.Grant {
	user := f.user
	if user.ID == "" {
		user = repo.User{ID: "42", Username: "alice", Email: "alice@example.test", IsActive: true, DateJoined: now}
	}
	return session.Grant{
		SessionID: sessionID, AccessToken: "a.b.c", AccessExpires: now.Add(5 * time.Minute),
		RefreshToken: "r.s.t", RefreshExpires: now.Add(24 * time.Hour), SessionExpires: now.Add(720 * time.Hour), Now: now,
		User: user,
	}
}

// harness is the service over fakes.
type harness struct {
	*fakes
	config  impl.Config
	handler http.Handler
	refresh *cookie.Jar
	csrf    *cookie.CSRF
}

// readContract reads the contract once for all tests.
var readContract = sync.OnceValues(func() (*impl.Contract, error) { return impl.NewContract(gatehouse.OpenAPI) })

// newHarness builds the service; change may alter its configuration.
func newHarness(t *testing.T, change func(*impl.Config)) *harness {
	t.Helper()
	f := &fakes{}
	jar := func(name string) *cookie.Jar {
		j, err := cookie.NewJar(cookie.JarConfig{
			Config:     cookie.Config{Name: name, Salt: "extra", Secret: secret},
			Attributes: cookie.Attributes{Path: "/auth", Secure: true, SameSite: http.SameSiteStrictMode},
		})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	contract, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{fakes: f, refresh: jar("refresh_cookie"), csrf: cookie.NewCSRF([]byte("csrf key"))}
	h.config = impl.Config{
		Sessions: f, Tokens: f, Store: f, Revocations: f,
		RefreshCookie: h.refresh, CSRFCookie: jar("CSRF_token"), CSRF: h.csrf,
		Issuer: "https://auth.test", BasePath: "/auth", MaxBody: 64 << 10, RequestTimeout: time.Minute, JWKSMaxAge: 5 * time.Minute,
		UserFields: []string{"id", "username", "email", "email_verified", "first_name", "last_name", "is_active", "is_staff",
			"is_superuser", "date_joined", "last_login", "attributes"},
		Contract: contract, Version: "test", Now: func() time.Time { return now },
		Logger: slog.New(impl.LogHandler(slog.NewJSONHandler(&f.logged, nil))),
	}
	if change != nil {
		change(&h.config)
	}
	if h.handler, err = impl.New(h.config); err != nil {
		t.Fatal(err)
	}
	return h
}

// request is one request of a test.
type request struct {
	method, path, body string
	header             http.Header
}

// post is a POST of a JSON body.
func post(path, body string) request {
	return request{method: http.MethodPost, path: path, body: body, header: http.Header{"Content-Type": {"application/json"}}}
}

// with returns the request with one more header line.
func (r request) with(name, value string) request {
	h := r.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Add(name, value)
	r.header = h
	return r
}

// signed returns the request with the refresh cookie and the CSRF token of the
// session.
func (h *harness) signed(r request) request {
	return r.with("Cookie", "refresh_cookie="+h.refresh.Sign("r.s.t", now)).with("X-CSRF-Token", h.csrf.Token(sessionID))
}

func (r request) build() *http.Request {
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req := httptest.NewRequestWithContext(context.Background(), r.method, r.path, body)
	for name, values := range r.header {
		req.Header[name] = values
	}
	return req
}

// do sends the request through the whole handler.
func (h *harness) do(r request) *http.Response {
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r.build())
	return w.Result()
}
