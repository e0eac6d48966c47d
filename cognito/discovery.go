package cognito

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
)

// How the metadata is kept.
const (
	rediscoverEvery = time.Hour
	maxAge          = 24 * time.Hour   // so long at most is it believed where it can't be read again
	maxBackoff      = 30 * time.Second // between two tries while the fetch fails
)

// errNoMetadata is for the log: what it stops is told as unavailable keys or an unavailable endpoint.
var errNoMetadata = errors.New("the provider's metadata can't be fetched")

// metadata is what a provider says of itself (OpenID Connect Discovery §3), as
// far as it is needed.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	TokenEndpointAuth     []string `json:"token_endpoint_auth_methods_supported"`
}

// discovery keeps a provider's metadata as a jwks.Source keeps keys: it is fetched
// in the background, by one at a time, and what was good once stays good for
// maxAge while the provider can't be reached, for the next process too.
type discovery struct {
	url    string
	issuer string
	kept   Store // may be nil
	client *http.Client
	now    func() time.Time
	logger *slog.Logger

	mu        sync.Mutex
	known     metadata
	fetchedAt time.Time    // of known; zero: never
	failures  int          // since the last success
	notBefore time.Time    // of the next fetch, while they fail
	flight    *jwks.Flight // the fetch that is under way; nil: none

	fetches, failed int // since the start
}

// metadata returns what is known, or waits for the fetch that may bring it.
func (d *discovery) metadata(ctx context.Context) (metadata, error) {
	d.mu.Lock()
	if m, ok := d.current(); ok || d.flight == nil && d.now().Before(d.notBefore) {
		d.mu.Unlock()
		if !ok {
			return metadata{}, errNoMetadata
		}
		return m, nil
	}
	under := d.join(ctx)
	d.mu.Unlock()
	err := under.Wait(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if m, ok := d.current(); ok { // after a failure, that of an earlier process
		return m, nil
	}
	return metadata{}, fmt.Errorf("%w: %w", errNoMetadata, err)
}

// current returns what is known and not too old. The lock must be held.
func (d *discovery) current() (metadata, bool) {
	return d.known, !d.fetchedAt.IsZero() && d.now().Sub(d.fetchedAt) < maxAge
}

// join returns the fetch that is under way, or begins one. The lock must be held.
func (d *discovery) join(ctx context.Context) *jwks.Flight {
	if d.flight == nil {
		d.flight = jwks.NewFlight()
		d.fetches++
		go d.fly(context.WithoutCancel(ctx), d.flight)
	}
	return d.flight
}

func (d *discovery) fly(ctx context.Context, f *jwks.Flight) {
	body, _, err := jwks.Get(ctx, d.client, d.url)
	var m metadata
	if err == nil {
		m, err = d.read(body)
	}
	at := d.now()
	if err != nil {
		m, at = d.recall(ctx)
	}
	d.accept(m, at, err)
	f.Land(err)
	if err == nil {
		d.keep(ctx, body, at) // nobody who waits for the metadata waits for the store
	}
}

// accept takes what a fetch, or the store, has brought; the zero time says that there is nothing.
func (d *discovery) accept(m metadata, at time.Time, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flight = nil
	if !at.IsZero() {
		d.known, d.fetchedAt = m, at
	}
	d.failures++
	d.notBefore = d.now().Add(min(maxBackoff, time.Second<<min(d.failures-1, 10)))
	if err == nil {
		d.failures, d.notBefore = 0, time.Time{}
	} else {
		d.failed++
		d.logger.Warn("fetching the metadata", "url", d.url, "error", err, "failures", d.failures)
	}
}

// counts returns how many fetches were begun, and how many have failed.
func (d *discovery) counts() (fetches, failed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fetches, d.failed
}

// read checks the metadata: whose it is (OpenID Connect Discovery §4.3), and that
// each endpoint is as safe to speak to as the one that it came from.
func (d *discovery) read(body []byte) (metadata, error) {
	var m metadata
	if err := json.Unmarshal(body, &m); err != nil {
		return metadata{}, errors.New("the answer is no metadata")
	}
	if m.Issuer != d.issuer {
		return metadata{}, fmt.Errorf("the answer is the metadata of %.200q", m.Issuer)
	}
	for _, e := range [...]struct{ name, url string }{
		{"jwks_uri", m.JWKSURI}, {"authorization_endpoint", m.AuthorizationEndpoint}, {"token_endpoint", m.TokenEndpoint},
	} {
		if e.url == "" && e.name != "jwks_uri" {
			continue // whoever needs it says so
		}
		if err := checkEndpoint(e.url, strings.HasPrefix(d.url, "http:")); err != nil {
			return metadata{}, fmt.Errorf("%s %w", e.name, err)
		}
	}
	return m, nil
}

// checkEndpoint demands a URL without a fragment, and https but where plain is
// true, on a loopback address.
func checkEndpoint(raw string, plain bool) error {
	if err := jwks.CheckURL(raw); err != nil || strings.Contains(raw, "#") || !plain && !strings.HasPrefix(raw, "https:") {
		return errors.New("is no https URL")
	}
	return nil
}

// keep hands the metadata on for the next process.
func (d *discovery) keep(ctx context.Context, body []byte, at time.Time) {
	if d.kept == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if err := d.kept.SaveKeySet(ctx, d.url, body, at); err != nil {
		d.logger.Warn("keeping the metadata", "error", err)
	}
}

// recall returns the metadata of an earlier process where this one has none; the
// zero time says that there is nothing to go back to.
func (d *discovery) recall(ctx context.Context) (metadata, time.Time) {
	d.mu.Lock()
	has := !d.fetchedAt.IsZero()
	d.mu.Unlock()
	if has || d.kept == nil {
		return metadata{}, time.Time{}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	body, at, err := d.kept.LoadKeySet(ctx, d.url)
	if err != nil {
		return metadata{}, time.Time{}
	}
	m, err := d.read(body)
	if err != nil {
		return metadata{}, time.Time{}
	}
	if now := d.now(); at.After(now) {
		at = now // by another clock
	}
	d.logger.Warn("going on with the metadata of an earlier process", "url", d.url, "fetched_at", at)
	return m, at
}

// run keeps the metadata fresh.
func (d *discovery) run(ctx context.Context) error {
	for {
		d.mu.Lock()
		under := d.join(ctx)
		d.mu.Unlock()
		wait := rediscoverEvery
		if err := under.Wait(ctx); err != nil {
			d.mu.Lock()
			wait = max(time.Second, d.notBefore.Sub(d.now()))
			d.mu.Unlock()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// withQuery adds parameters to an endpoint's own (RFC 6749 §3.1).
func withQuery(endpoint string, add url.Values) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	query := u.Query()
	for name, values := range add {
		query[name] = values
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}
