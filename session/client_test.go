package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
)

// client registers a service.
func (b *bench) client(t *testing.T, name string) (id, secret string) {
	t.Helper()
	secret, hash := session.NewClientSecret()
	must(t, b.store.CreateClient(t.Context(), repo.Client{
		ID: "id-of-" + name, Name: name, SecretHash: hash, CreatedAt: b.time(), RotatedAt: b.time(),
	}, repo.AuditEvent{ID: "added " + name, At: b.time(), Event: "client_added"}))
	return "id-of-" + name, secret
}

func TestAuthenticateClient(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	id, secret := b.client(t, "billing")
	_, other := b.client(t, "accounts")
	is := func(id, secret string) error { return second(b.AuthenticateClient(t.Context(), id, secret, home)) }
	must(t, is(id, secret))
	for name, tc := range map[string][2]string{
		"another client's secret": {id, other}, "no secret": {id, ""}, "no such client": {"id-of-nobody", secret}, "nobody, and no secret": {"", ""},
	} {
		if err := is(tc[0], tc[1]); !errors.Is(err, session.ErrInvalidClient) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		_ = is(id, "wrong")
	}
	var throttled *session.ThrottledError
	if err := is(id, "wrong"); !errors.As(err, &throttled) {
		t.Errorf("the seventh failure from one network: %v", err)
	}
	must(t, is(id, secret)) // it does not suffer for them
	if err := second(b.AuthenticateClient(t.Context(), id, "wrong", session.Client{IP: "198.51.100.1"})); !errors.Is(err, session.ErrInvalidClient) {
		t.Errorf("a failure from elsewhere: %v", err)
	}
}

// TestClientIsForgotten changes clients behind the service's back: after five
// seconds it knows.
func TestClientIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	id, secret := b.client(t, "billing")
	is := func(secret string) error { return second(b.AuthenticateClient(t.Context(), id, secret, home)) }
	must(t, is(secret))
	fresh, hash := session.NewClientSecret()
	must(t, b.store.RotateClientSecret(t.Context(), "billing", hash, repo.AuditEvent{ID: "r", At: b.time(), Event: "client_rotated"}))
	must(t, is(secret)) // for a moment, as nobody has used the new one
	must(t, is(fresh))
	if err := is(secret); !errors.Is(err, session.ErrInvalidClient) {
		t.Errorf("the former secret, once the new one was used: %v", err)
	}
	b.advance(5 * time.Second)
	if err := is(secret); !errors.Is(err, session.ErrInvalidClient) {
		t.Errorf("the former secret: %v", err)
	}
	must(t, is(fresh))
	must(t, b.store.DeleteClient(t.Context(), "billing", repo.AuditEvent{ID: "d", At: b.time(), Event: "client_deleted"}))
	b.advance(5 * time.Second)
	if err := is(fresh); !errors.Is(err, session.ErrInvalidClient) {
		t.Errorf("a client that is gone: %v", err)
	}
	must(t, b.store.Close())
	if err := is(fresh); err == nil || errors.Is(err, session.ErrInvalidClient) {
		t.Errorf("without a store nobody is wrong: %v", err)
	}
}
