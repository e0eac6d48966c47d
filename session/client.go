package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// clientSecretBytes is the entropy of a client's secret.
const clientSecretBytes = 32

// NewClientSecret makes a client_secret, and what is stored of it.
func NewClientSecret() (secret string, hash []byte) {
	b := make([]byte, clientSecretBytes)
	_, _ = rand.Read(b) // never fails: it ends the program
	secret = base64.RawURLEncoding.EncodeToString(b)
	return secret, hashClientSecret(secret)
}

// hashClientSecret needs no salt and no stretching: nobody chose the secret, and
// 256 random bits can't be searched for, however fast the hash is.
func hashClientSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

const (
	// clientsKept is for how long a client is believed without a look at the store: a client that was deleted, or whose
	// secret was rotated, is refused everywhere that much later.
	clientsKept = 5 * time.Second
	maxClients  = 1000 // kept at once; more than there will be
)

// clients keeps what the store says of clients for a moment: a service may ask
// many times in a second.
type clients struct {
	mu   sync.Mutex
	byID map[string]foundClient
}

type foundClient struct {
	repo.Client
	at time.Time
}

// get returns what is kept of the client of this id; the zero Client is nothing.
func (c *clients) get(id string, now time.Time) repo.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.byID[id]
	if age := now.Sub(found.at); age < 0 || age >= clientsKept {
		return repo.Client{}
	}
	return found.Client
}

func (c *clients) put(client repo.Client, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) >= maxClients {
		c.byID = map[string]foundClient{}
	}
	c.byID[client.ID] = foundClient{client, now}
}

// proves reports whether the secret is the client's. The zero Client has none.
func proves(secret string, c repo.Client) bool {
	return subtle.ConstantTimeCompare(hashClientSecret(secret), c.SecretHash) == 1
}

// AuthenticateClient returns the client that has this id and secret (RFC 6749
// §2.3.1). ErrInvalidClient does not say which of them is wrong; failures are
// counted by network, and are *ThrottledError beyond the limit. A client that is
// right is never throttled: its secret can't be guessed, so the limit is there to
// spare the store.
func (s *Service) AuthenticateClient(ctx context.Context, id, secret string, c Client) (repo.Client, error) {
	now := s.now()
	if kept := s.clients.get(id, now); proves(secret, kept) {
		return kept, nil
	}
	// The store is asked before anybody is refused: a new secret is good at once, and how long the refusal takes does not
	// tell whether there is such a client.
	client, err := s.Store.FindClient(ctx, id)
	if err != nil && !errors.Is(err, repo.ErrNotFound) {
		return repo.Client{}, fmt.Errorf("finding a client: %w", err)
	}
	if proves(secret, client) {
		s.clients.put(client, now)
		return client, nil
	}
	if _, err := s.countFromNetwork(ctx, "client", c, now); err != nil {
		return repo.Client{}, err
	}
	return repo.Client{}, ErrInvalidClient
}
