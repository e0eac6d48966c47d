package e2e_test

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/postgres"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/gatehouse-auth/gatehouse/verify"
)

// readRevocations reads the claims of a statement.
func readRevocations(t *testing.T, body []byte) (claims struct {
	IssuedAt int64 `json:"iat"`
	Sessions string
	Users    map[string]int64
}) {
	t.Helper()
	segments := strings.Split(string(body), ".")
	if len(segments) != 3 {
		t.Fatalf("no JWT: %.100s", body)
	}
	raw, err := base64.RawURLEncoding.DecodeString(segments[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestRevocationsOfAMillion makes the statement from a million sessions, of which
// ten thousand were revoked lately and fifty thousand before that.
func TestRevocationsOfAMillion(t *testing.T) {
	const sessions, lately, before = 1_000_000, 10_000, 50_000
	dsn := newDatabase(t)
	store, err := postgres.Open(postgres.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // the test ends
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the test ends
	now := time.Now()
	if err := store.CreateUser(t.Context(), repo.User{ID: "u", Username: "u", IsActive: true, DateJoined: now, UpdatedAt: now}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO sessions SELECT gen_random_uuid()::text, 'u', 1, at, at, at + interval '1 day', at + interval '30 days', 0,
			NULL, 'password', '', '', 'Test/1', '203.0.113.7',
			CASE WHEN n <= $3 THEN at - interval '1 minute' WHEN n <= $4 THEN at - interval '1 hour' END, ''
		FROM generate_series(1, $2) AS n, (SELECT $1::timestamptz AS at) AS now`, now, sessions, lately, lately+before); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	issuer, err := tokens.New(tokens.Config{Issuer: "https://auth.example.test", Secret: goldenSecret, Keys: store})
	if err != nil {
		t.Fatal(err)
	}
	if err := issuer.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	revocations, err := session.NewRevocations(session.RevocationsConfig{
		Store: store, Signer: issuer, AccessLifetime: 5 * time.Minute, Leeway: 30 * time.Second, Interval: 5 * time.Second, MaxAge: 2 * time.Minute,
		Now: func() time.Time { now = now.Add(5 * time.Second); return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	var statement session.Statement
	for range 9 {
		began := time.Now()
		if statement, err = revocations.Statement(t.Context()); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if n := len(readRevocations(t, statement.Body).Sessions) * 6 / 64; n != lately {
		t.Errorf("%d sessions are in the statement, want %d", n, lately)
	}
	if len(statement.Body) > 15*lately {
		t.Errorf("the statement has %d bytes", len(statement.Body))
	}
	t.Logf("%d bytes for %d of %d sessions, made in %v (median of %d; slowest %v)",
		len(statement.Body), lately, sessions, took[len(took)/2].Round(100*time.Microsecond), len(took), took[len(took)-1].Round(100*time.Microsecond))
}

// TestRevocationIsPublished ends a session, and asks until the statement has it.
func TestRevocationIsPublished(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"GATEHOUSE_REVOCATIONS_INTERVAL": "1s", "GATEHOUSE_REVOCATIONS_MAX_AGE": "10s"})
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	bearer := http.Header{"Authorization": {"Bearer " + s.signIn(t, "alice", "correct horse battery").text(t, "access_token")}}
	first := s.send(t, http.MethodGet, "/auth/revocations/", "", nil)
	if first.status != http.StatusOK || first.header.Get("Content-Type") != "application/jwt" || first.header.Get("Cache-Control") != "public, max-age=1" {
		t.Fatalf("%d %v", first.status, first.header)
	}
	if got := readRevocations(t, first.body); got.Sessions != "" || len(got.Users) != 0 {
		t.Errorf("before anything ended: %+v", got)
	}
	if a := s.send(t, http.MethodDelete, "/auth/sessions/?scope=all", "", bearer); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.command(t, "", "user", "delete", "alice")
	began, asked := time.Now(), 0
	for etag := first.header.Get("ETag"); ; asked++ {
		a := s.send(t, http.MethodGet, "/auth/revocations/", "", http.Header{"If-None-Match": {etag}})
		if a.status == http.StatusNotModified {
			time.Sleep(20 * time.Millisecond) // as a service polls
			continue
		}
		if got := readRevocations(t, a.body); len(got.Users) == 1 {
			break
		}
		etag = a.header.Get("ETag")
		if time.Since(began) > time.Minute {
			t.Fatal("the statement never has it")
		}
	}
	t.Logf("stated %v after the deletion, asked %d times", time.Since(began).Round(time.Millisecond), asked+1)
}

// TestLogoffReachesVerifiers logs off while a service verifies tokens by itself, and
// measures until it refuses that session's, with the default settings.
func TestLogoffReachesVerifiers(t *testing.T) {
	t.Parallel()
	const issuer = "https://auth.example.test"
	s := start(t, map[string]string{"GATEHOUSE_ISSUER": issuer, "GATEHOUSE_TOKENS_AUDIENCE": `["api"]`})
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	ended, stays := s.signIn(t, "alice", "correct horse battery"), s.signIn(t, "alice", "correct horse battery")
	service, err := verify.New(verify.Config{
		Issuer: issuer, Audience: "api", JWKSURL: s.url + "/.well-known/jwks.json",
		Revocations: verify.RequireRevocations, RevocationsURL: s.url + "/auth/revocations/",
	})
	if err != nil {
		t.Fatal(err)
	}
	accepts := func(granted answer) error {
		_, err := service.Verify(t.Context(), granted.text(t, "access_token"))
		return err
	}
	if err := errors.Join(accepts(ended), accepts(stays)); err != nil {
		t.Fatal(err)
	}
	logoff := s.send(t, http.MethodPost, "/auth/logoff/", `{"CSRF_token":"`+ended.text(t, "CSRF_token")+`"}`, http.Header{
		"Content-Type": {"application/json"}, "Cookie": {"refresh_cookie=" + ended.cookie("refresh_cookie")},
	})
	if logoff.status != http.StatusOK {
		t.Fatalf("%d %s", logoff.status, logoff.body)
	}
	began := time.Now()
	for err = accepts(ended); err == nil && time.Since(began) < time.Minute; err = accepts(ended) {
		if err := accepts(stays); err != nil {
			t.Fatalf("a session that goes on: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // as requests come
	}
	if !errors.Is(err, verify.ErrRevoked) {
		t.Fatalf("the session that was logged off: %v", err)
	}
	if err := accepts(stays); err != nil {
		t.Errorf("a session that goes on: %v", err)
	}
	t.Logf("refused %v after the logoff", time.Since(began).Round(10*time.Millisecond))
}
