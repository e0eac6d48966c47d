package cognito_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
)

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(now.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// TestBadAnswers goes through every way in which the keys can fail to come: the
// token can't be judged then, and a good answer the next time mends it.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]cognitotest.Mode{
		"503": cognitotest.Down, "a page": cognitotest.HTML, "no keys": cognitotest.NoKeys, "an empty set": cognitotest.Empty,
		"an endless body": cognitotest.Huge, "a redirect": cognitotest.Redirect, "a cut connection": cognitotest.Reset,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pool(t)
			v := verifier(t, p, nil)
			token := p.Sign("kid-1", p.ID("111", now))
			p.SetMode(mode)
			if _, err := v.VerifyID(t.Context(), token); !errors.Is(err, cognito.ErrKeysUnavailable) || errors.Is(err, cognito.ErrInvalidToken) {
				t.Errorf("without keys: %v", err)
			}
			p.SetMode(cognitotest.Good)
			if _, err := v.VerifyID(t.Context(), token); err != nil {
				t.Errorf("mended: %v", err)
			}
		})
	}
}

func TestFetchThatHangs(t *testing.T) {
	t.Parallel()
	p := pool(t)
	p.SetMode(cognitotest.Hang)
	v := verifier(t, p, nil)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() {
		_, err := v.VerifyID(ctx, p.Sign("kid-1", p.ID("111", now)))
		got <- err
	}()
	for p.Fetches() == 0 { // until the request is there
		select {
		case err := <-got:
			t.Fatalf("it came back: %v", err)
		default:
		}
	}
	cancel()
	if err := <-got; !errors.Is(err, cognito.ErrKeysUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("who goes away gets %v", err)
	}
}

// TestLastKnownGood loses the pool after the keys were fetched.
func TestLastKnownGood(t *testing.T) {
	t.Parallel()
	p, c := pool(t), newClock()
	v := verifier(t, p, func(cfg *cognito.Config) { cfg.Now = c.now })
	sign := func() string { return p.Sign("kid-1", p.ID("111", c.now())) }
	if _, err := v.VerifyID(t.Context(), sign()); err != nil {
		t.Fatal(err)
	}
	p.SetMode(cognitotest.Down)
	c.advance(23 * time.Hour)
	if _, err := v.VerifyID(t.Context(), sign()); err != nil {
		t.Errorf("after a day without the pool: %v", err)
	}
	c.advance(2 * time.Hour)
	if _, err := v.VerifyID(t.Context(), sign()); !errors.Is(err, cognito.ErrKeysUnavailable) {
		t.Errorf("keys that are too old: %v", err)
	}
	p.SetMode(cognitotest.Good)
	if _, err := v.VerifyID(t.Context(), sign()); err != nil {
		t.Errorf("with the pool back: %v", err)
	}
}

// TestRotation changes the pool's keys: the new one is found at once, and the
// one that was withdrawn is refused.
func TestRotation(t *testing.T) {
	t.Parallel()
	p, c := pool(t), newClock()
	v := verifier(t, p, func(cfg *cognito.Config) { cfg.Now = c.now })
	old := p.Sign("kid-1", p.ID("111", now))
	if _, err := v.VerifyID(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	p.SetKeys(map[string]*rsa.PrivateKey{"kid-2": cognitotest.NewKey()})
	if _, err := v.VerifyID(t.Context(), p.Sign("kid-2", p.ID("111", now))); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := v.VerifyID(t.Context(), old); !errors.Is(err, cognito.ErrUnknownKey) {
		t.Errorf("the withdrawn key: %v", err)
	}
}

// TestFloodOfUnknownKeys sends made-up key ids: one fetch for each cooldown.
func TestFloodOfUnknownKeys(t *testing.T) {
	t.Parallel()
	p, c := pool(t), newClock()
	v := verifier(t, p, func(cfg *cognito.Config) { cfg.Now = c.now })
	if _, err := v.VerifyID(t.Context(), p.Sign("kid-1", p.ID("111", now))); err != nil {
		t.Fatal(err)
	}
	flood := func() {
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				_, err := v.VerifyID(t.Context(), cognitotest.Sign(p.Key("kid-1"), map[string]any{"kid": rand.Text()}, p.ID("111", now)))
				if !errors.Is(err, cognito.ErrUnknownKey) {
					t.Errorf("a made-up key: %v", err)
				}
			})
		}
		wait.Wait()
	}
	for round := range 3 {
		flood()
		if got, want := p.Fetches(), 2+round; got != want {
			t.Errorf("round %d: %d fetches, want %d", round, got, want)
		}
		c.advance(11 * time.Second)
	}
	if got := v.Stats(); got.Keys != 1 || got.Fetches != 4 || got.Failures != 0 || got.UnknownKeys < 300 {
		t.Errorf("counted %+v", got)
	}
}

// TestFetchesDuringAnOutage asks a thousand times while the pool is down: the
// fetches become rarer and rarer.
func TestFetchesDuringAnOutage(t *testing.T) {
	t.Parallel()
	p, c := pool(t), newClock()
	v := verifier(t, p, func(cfg *cognito.Config) { cfg.Now = c.now })
	p.SetMode(cognitotest.Down)
	for range 1000 {
		if _, err := v.VerifyID(t.Context(), p.Sign("kid-1", p.ID("111", now))); !errors.Is(err, cognito.ErrKeysUnavailable) {
			t.Fatalf("without keys: %v", err)
		}
		c.advance(10 * time.Millisecond) // ten seconds in all
	}
	if got := p.Fetches(); got < 3 || got > 8 {
		t.Errorf("%d fetches in ten seconds of an outage", got)
	}
}

// shelf is a store in memory.
type shelf struct {
	mu    sync.Mutex
	body  []byte
	at    time.Time
	saved chan struct{} // one for each set
}

func newShelf() *shelf { return &shelf{saved: make(chan struct{}, 9)} }

func (s *shelf) SaveKeySet(_ context.Context, _ string, body []byte, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.at = body, at
	s.saved <- struct{}{}
	return nil
}

func (s *shelf) LoadKeySet(context.Context, string) ([]byte, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body == nil {
		return nil, time.Time{}, errors.New("nothing is kept")
	}
	return s.body, s.at, nil
}

// TestRestartDuringAnOutage starts anew while the pool can't be reached: the keys
// that an earlier process has kept serve, as long as they are not too old.
func TestRestartDuringAnOutage(t *testing.T) {
	t.Parallel()
	p, c, kept := pool(t), newClock(), newShelf()
	anew := func() *cognito.Verifier {
		return verifier(t, p, func(cfg *cognito.Config) { cfg.Now, cfg.Store = c.now, kept })
	}
	sign := func() string { return p.Sign("kid-1", p.ID("111", c.now())) }
	p.SetMode(cognitotest.Down)
	if _, err := anew().VerifyID(t.Context(), sign()); !errors.Is(err, cognito.ErrKeysUnavailable) {
		t.Errorf("with nothing kept: %v", err)
	}
	p.SetMode(cognitotest.Good)
	if _, err := anew().VerifyID(t.Context(), sign()); err != nil {
		t.Fatal(err)
	}
	<-kept.saved
	p.SetMode(cognitotest.Down)
	c.advance(time.Hour)
	restarted := anew()
	if _, err := restarted.VerifyID(t.Context(), sign()); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if _, err := restarted.VerifyID(t.Context(), cognitotest.Sign(p.Key("kid-1"), map[string]any{"kid": "x"}, p.ID("111", c.now()))); !errors.Is(err, cognito.ErrKeysUnavailable) {
		t.Errorf("a key that is not known, and may be new: %v", err)
	}
	c.advance(24 * time.Hour)
	if _, err := anew().VerifyID(t.Context(), sign()); !errors.Is(err, cognito.ErrKeysUnavailable) {
		t.Errorf("after a restart, with keys that are too old: %v", err)
	}
	kept.body = []byte("rubbish")
	if _, err := anew().VerifyID(t.Context(), sign()); !errors.Is(err, cognito.ErrKeysUnavailable) {
		t.Errorf("with rubbish kept: %v", err)
	}
}

// TestSingleFlight lets many ask for the first keys at once.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, nil)
	token := p.Sign("kid-1", p.ID("111", now))
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if _, err := v.VerifyID(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := p.Fetches(); got > 3 {
		t.Errorf("%d fetches for 50 who asked at once", got)
	}
}

// TestKeysThatAreNotTaken publishes bad keys beside a good one.
func TestKeysThatAreNotTaken(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	other := cognitotest.NewKey()
	p := pool(t)
	key := p.Key("kid-1")
	jwk := func(kid string, change ...string) string {
		text := cognitotest.JWK(kid, &other.PublicKey)
		for i := 0; i < len(change); i += 2 {
			text = strings.Replace(text, change[i], change[i+1], 1)
		}
		return text
	}
	p.SetKeys(map[string]*rsa.PrivateKey{"kid-1": key, "weak": weak},
		jwk("encryption", `"use":"sig"`, `"use":"enc"`), jwk("rs512", `"alg":"RS256"`, `"alg":"RS512"`),
		jwk("signs", `}`, `,"key_ops":["sign"]}`), jwk("verifies", `}`, `,"key_ops":["verify"]}`),
		jwk("bare", `"alg":"RS256","use":"sig",`, ``), jwk("twice"), jwk("twice"), jwk(""),
		`{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"ec","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
		`{"kty":"oct","kid":"oct","k":"c2VjcmV0"}`, `"text"`, `{"kid":"nothing"}`)
	v := verifier(t, p, nil)
	for kid, want := range map[string]error{
		"kid-1": nil, "verifies": nil, "bare": nil, "twice": nil,
		"weak": cognito.ErrUnknownKey, "encryption": cognito.ErrUnknownKey, "rs512": cognito.ErrUnknownKey, "signs": cognito.ErrUnknownKey,
		"ec": cognito.ErrUnknownKey, "oct": cognito.ErrUnknownKey,
	} {
		by := other
		switch kid {
		case "kid-1":
			by = key
		case "weak":
			by = weak
		}
		_, err := v.VerifyID(t.Context(), cognitotest.Sign(by, map[string]any{"kid": kid}, p.ID("111", now)))
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("the key %q: %v, want %v", kid, err, want)
		}
	}
}

func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	p := pool(t)
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprintf(`{"kty":"oct","kid":"%d","k":"c2VjcmV0"}`, i))
	}
	p.SetKeys(map[string]*rsa.PrivateKey{"kid-1": p.Key("kid-1")}, many...)
	if _, err := verifier(t, p, nil).VerifyID(t.Context(), p.Sign("kid-1", p.ID("111", now))); !errors.Is(err, cognito.ErrKeysUnavailable) {
		t.Errorf("a set of 102 keys: %v", err)
	}
}

// roundTrip answers requests without a network, as synctest wants it.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRun keeps the keys fresh for a while: every ten minutes, sooner after a
// failure, and no longer when it is told to stop.
func TestRun(t *testing.T) {
	t.Parallel()
	key := cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		var fetches, fails atomic.Int64
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			fetches.Add(1)
			if fails.Load() > 0 {
				fails.Add(-1)
				return nil, errors.New("no network")
			}
			body := `{"keys":[` + cognitotest.JWK("kid-1", &key.PublicKey) + `]}`
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
		})}
		v, err := cognito.New(cognito.Config{
			Name: "c", Region: "us-west-2", UserPool: "us-west-2_a", ClientIDs: []string{"x"}, HTTPClient: client,
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := cognito.NewSet(v)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		expect := func(when string, want int64) {
			synctest.Wait()
			if got := fetches.Load(); got != want {
				t.Errorf("%s: %d fetches, want %d", when, got, want)
			}
		}
		expect("at the start", 1)
		time.Sleep(10 * time.Minute)
		expect("after ten minutes", 2)
		fails.Store(2)
		time.Sleep(10 * time.Minute)
		expect("after twenty minutes, with a failure", 3)
		time.Sleep(time.Second)
		expect("a second after the failure", 4)
		time.Sleep(time.Second)
		expect("a second after the second failure", 5)
		time.Sleep(9 * time.Minute)
		expect("well again", 5)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
}
