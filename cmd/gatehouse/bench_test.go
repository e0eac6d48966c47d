package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/repo"
)

// hot is the whole service as the program wires it, with one user, whose
// browser it plays.
type hot struct {
	handler http.Handler
	request *http.Request
	body    string
	answer  answer
	cookie  string // name=value of the refresh token
}

// answer is a ResponseWriter that keeps the header and the body.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// newHot wires the service over a database, and signs the user in.
func newHot(tb testing.TB, database string) *hot {
	tb.Helper()
	c := config.Default()
	c.DatabaseURL, c.Secret, c.Issuer = database, strings.Repeat("secret", 8), "https://auth.example.com"
	c.Passwords.Memory = 64
	if err := c.Validate(); err != nil {
		tb.Fatal(err)
	}
	store, err := openStore(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	svc, err := wire(tb.Context(), c, store, readContract(), newLogger(io.Discard, c.Log), newMetrics(), context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	hash, err := svc.hasher.Hash(tb.Context(), "correct horse battery staple")
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	user := repo.User{ID: "0193a000-0000-7000-9000-00000000002a", Username: "alice", Email: "alice@example.com", Password: hash, IsActive: true, DateJoined: now, UpdatedAt: now}
	if err := store.CreateUser(tb.Context(), user); err != nil && !errors.Is(err, repo.ErrConflict) {
		tb.Fatal(err)
	}
	h := &hot{handler: svc.handler}
	h.take(tb, "/auth/sign-in/", `{"username":"alice","password":"correct horse battery staple"}`)
	h.serve()
	if h.answer.status != http.StatusOK {
		tb.Fatalf("sign-in: %d %s", h.answer.status, &h.answer.body)
	}
	h.remember()
	return h
}

// take makes the request that is served from now on; an empty body makes it a GET.
func (h *hot) take(tb testing.TB, path, body string) {
	tb.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(tb.Context(), method, "http://auth.example.com"+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1234"
	r.Header = http.Header{"Content-Type": {"application/json"}, "User-Agent": {"Mozilla/5.0"}}
	r.ContentLength = int64(len(body))
	h.request, h.body = r, body
}

func (h *hot) serve() {
	r := *h.request
	if h.body != "" {
		r.Body = io.NopCloser(strings.NewReader(h.body))
	}
	h.answer.header, h.answer.status = make(http.Header, 8), http.StatusOK
	h.answer.body.Reset()
	h.handler.ServeHTTP(&h.answer, &r)
}

// remember keeps the refresh cookie of the last answer.
func (h *hot) remember() {
	for _, line := range h.answer.header["Set-Cookie"] {
		if pair, _, _ := strings.Cut(line, ";"); strings.HasPrefix(pair, "refresh_cookie=") {
			h.cookie = pair
		}
	}
}

// member returns a text of the last answer's body.
func (h *hot) member(name string) string {
	_, rest, _ := strings.Cut(h.answer.body.String(), `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// hotPaths are the operations that carry the load: each makes ready, and returns
// what is done again and again.
var hotPaths = map[string]func(tb testing.TB, h *hot) func(){
	"refresh": func(tb testing.TB, h *hot) func() {
		h.take(tb, "/auth/refresh/", `{"CSRF_token":"`+h.member("CSRF_token")+`"}`)
		return func() {
			h.request.Header["Cookie"] = []string{h.cookie}
			h.serve()
			h.remember()
		}
	},
	"verify": func(tb testing.TB, h *hot) func() {
		h.take(tb, "/auth/verify/", `{"token":"`+h.member("access_token")+`"}`)
		return h.serve
	},
	"jwks": func(tb testing.TB, h *hot) func() {
		h.take(tb, "/.well-known/jwks.json", "")
		return h.serve
	},
}

// BenchmarkServe is the service without the connections: from the request's
// routing to the last byte of the answer, with the database's work.
func BenchmarkServe(b *testing.B) {
	databases := map[string]string{"sqlite": "sqlite:" + filepath.Join(b.TempDir(), "gatehouse.db")}
	if dsn := os.Getenv("GATEHOUSE_TEST_POSTGRES"); dsn != "" {
		databases["postgres"] = dsn
	}
	for engine, url := range databases {
		for name, prepare := range hotPaths {
			b.Run(engine+"/"+name, func(b *testing.B) {
				h := newHot(b, url)
				do := prepare(b, h)
				b.ReportAllocs()
				for b.Loop() {
					if do(); h.answer.status != http.StatusOK {
						b.Fatalf("%d %s", h.answer.status, &h.answer.body)
					}
				}
			})
		}
	}
}
