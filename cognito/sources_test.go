package cognito_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
)

// cloud answers for the key sets of many issuers, without a network.
type cloud struct {
	mu      sync.Mutex
	keys    map[string]map[string]*rsa.PrivateKey // by URL and id
	fetches map[string]int                        // by URL
	delay   time.Duration
}

func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	url := r.URL.String()
	c.fetches[url]++
	keys, known := c.keys[url]
	var all []string
	for kid, key := range keys {
		all = append(all, cognitotest.JWK(kid, &key.PublicKey))
	}
	delay := c.delay
	c.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if !known {
		return nil, errors.New("no network")
	}
	body := io.NopCloser(strings.NewReader(`{"keys":[` + strings.Join(all, ",") + `]}`))
	return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
}

func (c *cloud) publish(issuer, kid string, key *rsa.PrivateKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[issuer+"/.well-known/jwks.json"] = map[string]*rsa.PrivateKey{kid: key}
}

func (c *cloud) fetched(issuer string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fetches[issuer+"/.well-known/jwks.json"]
}

const (
	original = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_a"
	updated  = "https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_a"
	replica  = "https://cognito-idp.us-west-2.amazonaws.com/us-east-1_a"
)

// inCloud returns the verifier of a pool in the cloud, with a replica.
func inCloud(t *testing.T, c *cloud) *cognito.Verifier {
	t.Helper()
	c.keys, c.fetches = map[string]map[string]*rsa.PrivateKey{}, map[string]int{}
	v, err := cognito.New(cognito.Config{
		Name: "c", Region: "us-east-1", UserPool: "us-east-1_a", ReplicaRegions: []string{"us-west-2"},
		ClientIDs: []string{cognitotest.ClientID}, HTTPClient: &http.Client{Transport: c},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// issue is an ID token of an issuer, as of now.
func issue(issuer, kid string, key *rsa.PrivateKey) string {
	p := &cognitotest.Pool{Issuer: issuer}
	return cognitotest.Sign(key, map[string]any{"kid": kid}, p.ID("111", time.Now()))
}

// TestRotationUnderLoad lets many come with the new key at once: all wait for the
// one fetch, and nobody is refused because another has asked first.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	first, second := cognitotest.NewKey(), cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{delay: 100 * time.Millisecond}
		v := inCloud(t, c)
		c.publish(original, "kid-1", first)
		if _, err := v.VerifyID(t.Context(), issue(original, "kid-1", first)); err != nil {
			t.Fatal(err)
		}
		c.publish(original, "kid-2", second)
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				if _, err := v.VerifyID(t.Context(), issue(original, "kid-2", second)); err != nil {
					t.Errorf("the new key: %v", err)
				}
			})
		}
		wait.Wait()
		if got := c.fetched(original); got != 2 {
			t.Errorf("%d fetches, want 2", got)
		}
	})
}

// TestColdStartUnderLoad asks for the first keys at once: exactly one fetch.
func TestColdStartUnderLoad(t *testing.T) {
	t.Parallel()
	key := cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{delay: 100 * time.Millisecond}
		v := inCloud(t, c)
		c.publish(original, "kid-1", key)
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if _, err := v.VerifyID(t.Context(), issue(original, "kid-1", key)); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if got := c.fetched(original); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
	})
}

// TestRotationDuringARefresh publishes a key just after the background refresh
// has read the set: whoever brings the new key has it found by one more fetch.
func TestRotationDuringARefresh(t *testing.T) {
	t.Parallel()
	first, second := cognitotest.NewKey(), cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{delay: time.Second}
		v := inCloud(t, c)
		c.publish(original, "kid-1", first)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		time.Sleep(10*time.Minute + 1500*time.Millisecond) // in the middle of the second refresh
		c.publish(original, "kid-2", second)
		if _, err := v.VerifyID(ctx, issue(original, "kid-2", second)); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if got := c.fetched(original); got != 3 {
			t.Errorf("%d fetches, want 3", got)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
}

// TestOneGoesAway ends the context of the one who caused the fetch: the others
// get their key from it all the same.
func TestOneGoesAway(t *testing.T) {
	t.Parallel()
	key := cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{delay: time.Second}
		v := inCloud(t, c)
		c.publish(original, "kid-1", key)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := v.VerifyID(ctx, issue(original, "kid-1", key)); !errors.Is(err, cognito.ErrKeysUnavailable) {
				t.Errorf("who goes away gets %v", err)
			}
		})
		synctest.Wait()
		wait.Go(func() {
			if _, err := v.VerifyID(t.Context(), issue(original, "kid-1", key)); err != nil {
				t.Errorf("who stays gets %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wait.Wait()
		if got := c.fetched(original); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
	})
}

// TestFetchTakesThreeSeconds asks a pool that never answers.
func TestFetchTakesThreeSeconds(t *testing.T) {
	t.Parallel()
	key := cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		v, err := cognito.New(cognito.Config{
			Name: "c", Region: "us-east-1", UserPool: "us-east-1_a", ClientIDs: []string{cognitotest.ClientID},
			HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now() // the bubble's clock
		_, err = v.VerifyID(t.Context(), issue(original, "kid-1", key))
		if !errors.Is(err, cognito.ErrKeysUnavailable) || time.Since(begun) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		if got := v.Stats(); got.Fetches != 1 || got.Failures != 1 {
			t.Errorf("counted %+v", got)
		}
	})
}

// TestFloodDuringAnOutage sends made-up key ids while the fetch fails: the
// cooldown holds, and the keys that are known go on serving.
func TestFloodDuringAnOutage(t *testing.T) {
	t.Parallel()
	p, c := pool(t), newClock()
	v := verifier(t, p, func(cfg *cognito.Config) { cfg.Now = c.now })
	good := p.Sign("kid-1", p.ID("111", now))
	if _, err := v.VerifyID(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	p.SetMode(cognitotest.Down)
	for i := range 600 { // a minute
		_, err := v.VerifyID(t.Context(), cognitotest.Sign(p.Key("kid-1"), map[string]any{"kid": fmt.Sprint(i)}, p.ID("111", now)))
		if !errors.Is(err, cognito.ErrKeysUnavailable) {
			t.Fatalf("a key that may be new: %v", err)
		}
		c.advance(100 * time.Millisecond)
	}
	if got := p.Fetches(); got > 1+6 {
		t.Errorf("%d fetches in a minute", got)
	}
	if _, err := v.VerifyID(t.Context(), good); err != nil {
		t.Errorf("a key that is known: %v", err)
	}
}

// TestEachIssuerHasItsKeys holds every issuer of a pool to the key set below it:
// the updated issuer's is the one that answers when the region does not.
func TestEachIssuerHasItsKeys(t *testing.T) {
	t.Parallel()
	keys := map[string]*rsa.PrivateKey{original: cognitotest.NewKey(), updated: cognitotest.NewKey(), replica: cognitotest.NewKey()}
	c := &cloud{}
	v := inCloud(t, c)
	for issuer, key := range keys {
		c.publish(issuer, "kid-1", key)
	}
	for issuer := range keys {
		for signer, key := range keys {
			want := cognito.ErrSignature
			if signer == issuer {
				want = nil
			}
			got, err := v.VerifyID(t.Context(), issue(issuer, "kid-1", key))
			if !errors.Is(err, want) || want == nil && (err != nil || got.Issuer != original) {
				t.Errorf("%s, signed by %s: %v, want %v", issuer, signer, err, want)
			}
		}
	}
	for _, issuer := range []string{
		"https://issuer-cognito-idp.us-west-2.amazonaws.com/us-east-1_a", // the updated issuer is in the first region alone
		"https://cognito-idp.eu-west-1.amazonaws.com/us-east-1_a",
	} {
		if _, err := v.VerifyID(t.Context(), issue(issuer, "kid-1", keys[original])); !errors.Is(err, cognito.ErrIssuer) {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	if got := v.Stats(); got.Keys != 3 || got.Fetches != 3 || got.FetchedAt.IsZero() {
		t.Errorf("counted %+v", got)
	}
	access := cognitotest.Sign(keys[updated], map[string]any{"kid": "kid-1"}, (&cognitotest.Pool{Issuer: updated}).Access("111", time.Now()))
	_, err := v.VerifyPair(t.Context(), cognito.Pair{IDToken: issue(original, "kid-1", keys[original]), AccessToken: access})
	refused(t, err, cognito.ErrPair)
}

// TestOneKeySetForAllIssuers names the key set in the configuration.
func TestOneKeySetForAllIssuers(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, func(c *cognito.Config) { c.Issuer, c.Region, c.UserPool = "", "us-east-1", "us-east-1_a" })
	for _, issuer := range []string{original, updated} {
		if _, err := v.VerifyID(t.Context(), p.Sign("kid-1", p.ID("111", now).With(claims{"iss": issuer}))); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	if got := p.Fetches(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

// TestRunFollowsTheIssuersInUse refreshes the key sets of other issuers only
// after one of their tokens has come.
func TestRunFollowsTheIssuersInUse(t *testing.T) {
	t.Parallel()
	key := cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		v := inCloud(t, c)
		c.publish(original, "kid-1", key)
		c.publish(updated, "kid-1", key)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		time.Sleep(35 * time.Minute)
		if got := [2]int{c.fetched(original), c.fetched(updated)}; got != [2]int{4, 0} {
			t.Errorf("before the first token: %v fetches", got)
		}
		if _, err := v.VerifyID(ctx, issue(updated, "kid-1", key)); err != nil {
			t.Error(err)
		}
		time.Sleep(31 * time.Minute)
		if got := [3]int{c.fetched(original), c.fetched(updated), c.fetched(replica)}; got != [3]int{7, 4, 0} {
			t.Errorf("after it: %v fetches", got)
		}
		cancel()
		<-done
	})
}

func TestReplicaRegions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]cognito.Config{
		"the pool's own region":     {Region: "us-east-1", UserPool: "us-east-1_a", ReplicaRegions: []string{"us-east-1"}},
		"one twice":                 {Region: "us-east-1", UserPool: "us-east-1_a", ReplicaRegions: []string{"us-west-2", "us-west-2"}},
		"one that is a host":        {Region: "us-east-1", UserPool: "us-east-1_a", ReplicaRegions: []string{"evil.test/"}},
		"an empty one":              {Region: "us-east-1", UserPool: "us-east-1_a", ReplicaRegions: []string{""}},
		"together with an emulator": {Issuer: "http://localhost/p", JWKSURL: "http://localhost/jwks.json", ReplicaRegions: []string{"us-west-2"}},
	} {
		c.Name, c.ClientIDs = "c", []string{"x"}
		if _, err := cognito.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestKeysFromTheFuture restarts with keys that a process with a wrong clock has
// kept: they grow old like all others.
func TestKeysFromTheFuture(t *testing.T) {
	t.Parallel()
	p, c, kept := pool(t), newClock(), newShelf()
	anew := func() *cognito.Verifier {
		return verifier(t, p, func(cfg *cognito.Config) { cfg.Now, cfg.Store = c.now, kept })
	}
	sign := func() string { return p.Sign("kid-1", p.ID("111", c.now())) }
	if _, err := anew().VerifyID(t.Context(), sign()); err != nil {
		t.Fatal(err)
	}
	<-kept.saved
	kept.at = now.Add(1000 * time.Hour)
	p.SetMode(cognitotest.Down)
	v := anew()
	if _, err := v.VerifyID(t.Context(), sign()); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	c.advance(24 * time.Hour)
	if _, err := v.VerifyID(t.Context(), sign()); !errors.Is(err, cognito.ErrKeysUnavailable) {
		t.Errorf("a day later: %v", err)
	}
}

// FuzzKeySet answers with any bytes for the keys: whatever they are, the token of
// somebody else stays refused.
func FuzzKeySet(f *testing.F) {
	published, evil := cognitotest.NewKey(), cognitotest.NewKey()
	jwk := cognitotest.JWK("kid-1", &published.PublicKey)
	f.Add([]byte(`{"keys":[` + jwk + `]}`))
	f.Add([]byte(`{"keys":[` + jwk + `,` + jwk + `,{"kty":"EC","kid":"kid-1"},7,null]}`))
	f.Add([]byte(`{"keys":null}`))
	f.Add([]byte(`[]`))
	token := issue(original, "kid-1", evil)
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := answering(t, string(body)).VerifyID(t.Context(), token); err == nil {
			t.Errorf("a forged token is taken with the keys %q", body)
		}
	})
}

// answering returns the verifier of a pool that answers this for its keys.
func answering(t *testing.T, body string) *cognito.Verifier {
	t.Helper()
	v, err := cognito.New(cognito.Config{
		Name: "c", Region: "us-east-1", UserPool: "us-east-1_a", ClientIDs: []string{cognitotest.ClientID},
		HTTPClient: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
