package tokens_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

const (
	issuer      = "https://auth.example.test"
	secret      = "a-secret-of-more-than-thirty-two-bytes"
	otherSecret = "another-secret-of-more-than-32-bytes!"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 250_000_000, time.UTC)

// store keeps signing keys in memory.
type store struct {
	mu      sync.Mutex
	keys    []repo.SigningKey
	listErr error
	makeErr error
}

func (s *store) ListSigningKeys(context.Context) ([]repo.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys), s.listErr
}

func (s *store) SwapSigningKeys(_ context.Context, before, after []repo.SigningKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.makeErr != nil {
		return s.makeErr
	}
	byID := func(keys []repo.SigningKey) map[string]repo.SigningKey {
		m := map[string]repo.SigningKey{}
		for _, k := range keys {
			m[k.KeyID] = k
		}
		return m
	}
	if !reflect.DeepEqual(byID(s.keys), byID(before)) {
		return repo.ErrStale
	}
	s.keys = slices.Clone(after)
	slices.SortStableFunc(s.keys, func(a, b repo.SigningKey) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return nil
}

// change edits the stored keys.
func (s *store) change(edit func([]repo.SigningKey) []repo.SigningKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = edit(s.keys)
}

// fail makes the store answer every list with err.
func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listErr = err
}

func config(edits ...func(*tokens.Config)) tokens.Config {
	c := tokens.Config{
		Issuer: issuer, Secret: secret, Keys: &store{}, Leeway: 30 * time.Second,
		Now: func() time.Time { return start },
	}
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

// service returns a service that has loaded its keys.
func service(tb testing.TB, edits ...func(*tokens.Config)) *tokens.Service {
	tb.Helper()
	s, err := tokens.New(config(edits...))
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Load(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return s
}

func algorithm(alg string) func(*tokens.Config) {
	return func(c *tokens.Config) { c.Algorithm = alg }
}

func issue(tb testing.TB, s *tokens.Service, u tokens.AccessSubject) string {
	tb.Helper()
	token, _, err := s.IssueAccess(u, start, start.Add(time.Hour))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

var alice = tokens.AccessSubject{UserID: "42", SessionID: "0193-session"}

// failChanges makes the store refuse every change with err.
func (s *store) failChanges(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeErr = err
}

func generate(tb testing.TB, alg string) crypto.Signer {
	tb.Helper()
	k, err := tokens.Generate(alg)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// pemOf is a private key as PKCS #8.
func pemOf(tb testing.TB, k any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
