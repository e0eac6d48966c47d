package cognito_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
)

// library is a store in memory, by URL.
type library struct {
	mu     sync.Mutex
	bodies map[string][]byte
	at     time.Time
	saved  chan struct{} // one for each document
}

func (l *library) SaveKeySet(_ context.Context, url string, body []byte, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bodies == nil {
		l.bodies = map[string][]byte{}
	}
	l.bodies[url], l.at = body, at
	l.saved <- struct{}{}
	return nil
}

func (l *library) LoadKeySet(_ context.Context, url string) ([]byte, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bodies[url] == nil {
		return nil, time.Time{}, errors.New("nothing is kept")
	}
	return l.bodies[url], l.at, nil
}

// TestDiscovery finds the keys by the metadata, and fetches each once.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := provider(t, p, nil)
	if got := p.Discoveries(); got != 0 {
		t.Errorf("%d fetches before the first token", got)
	}
	for range 5 {
		if _, err := v.VerifyID(t.Context(), p.Sign("kid-1", p.IDToken("111", now))); err != nil {
			t.Fatal(err)
		}
	}
	if got := [2]int{p.Discoveries(), p.Fetches()}; got != [2]int{1, 1} {
		t.Errorf("%v fetches of metadata and of keys", got)
	}
	if v.Issuers()[0] != p.Issuer || v.Stats().Keys != 1 {
		t.Errorf("the issuers are %v, counted %+v", v.Issuers(), v.Stats())
	}
}

// TestBadMetadata goes through every way in which the metadata can fail to come,
// or be wrong: no token can be judged then, and a good answer mends it.
func TestBadMetadata(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]cognitotest.Metadata{
		"503": {Mode: cognitotest.Down}, "a page": {Mode: cognitotest.HTML}, "a message": {Mode: cognitotest.NoKeys},
		"a key set": {Mode: cognitotest.Empty}, "an endless body": {Mode: cognitotest.Huge}, "a redirect": {Mode: cognitotest.Redirect},
		"a cut connection":               {Mode: cognitotest.Reset},
		"of another issuer":              {Change: claims{"issuer": "https://evil.test"}},
		"of the issuer with a slash":     {Change: claims{"issuer": "%s/"}},
		"of an issuer in a list":         {Change: claims{"issuer": []string{"%s"}}},
		"of nobody":                      {Change: claims{"issuer": nil}},
		"keys nowhere":                   {Change: claims{"jwks_uri": nil}},
		"keys over plain http":           {Change: claims{"jwks_uri": "http://idp.test/keys"}},
		"keys in a file":                 {Change: claims{"jwks_uri": "file:///etc/keys.json"}},
		"keys behind a password":         {Change: claims{"jwks_uri": "https://u:p@idp.test/keys"}},
		"keys that are no URL":           {Change: claims{"jwks_uri": "keys.json"}},
		"keys in a number":               {Change: claims{"jwks_uri": 1}},
		"a token endpoint without https": {Change: claims{"token_endpoint": "http://idp.test/token"}},
		"a page to sign in without it":   {Change: claims{"authorization_endpoint": "javascript:alert(1)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, c := pool(t), newClock()
			v := provider(t, p, func(cfg *cognito.Config) { cfg.Now = c.now })
			for member, value := range m.Change {
				if text, ok := value.(string); ok {
					m.Change[member] = strings.ReplaceAll(text, "%s", p.Issuer)
				}
			}
			p.SetMetadata(m)
			token := p.Sign("kid-1", p.IDToken("111", now))
			for range 50 { // all within the second that it waits after a failure
				if _, err := v.VerifyID(t.Context(), token); !errors.Is(err, cognito.ErrKeysUnavailable) || errors.Is(err, cognito.ErrInvalidToken) {
					t.Fatalf("while it is bad: %v", err)
				}
			}
			if got := v.Stats(); p.Discoveries() != 1 || p.Fetches() != 0 || got.MetadataFetches != 1 || got.MetadataFailures != 1 {
				t.Errorf("%d fetches of metadata and %d of keys; counted %+v", p.Discoveries(), p.Fetches(), got)
			}
			p.SetMetadata(cognitotest.Metadata{})
			c.advance(time.Minute)
			if _, err := v.VerifyID(t.Context(), token); err != nil {
				t.Errorf("after it is mended: %v", err)
			}
		})
	}
}

// TestMetadataDuringAnOutage goes on with what was known, after a restart too, and
// for a day.
func TestMetadataDuringAnOutage(t *testing.T) {
	t.Parallel()
	p, c, kept := pool(t), newClock(), &library{saved: make(chan struct{}, 9)}
	anew := func() *cognito.Verifier {
		return provider(t, p, func(cfg *cognito.Config) {
			cfg.Now, cfg.Store, cfg.App = c.now, kept, &cognito.App{ClientID: cognitotest.ClientID}
		})
	}
	sign := func() string { return p.Sign("kid-1", p.IDToken("111", c.now())) }
	v := anew()
	if _, err := v.VerifyID(t.Context(), sign()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // metadata and keys
		<-kept.saved
	}
	p.SetMetadata(cognitotest.Metadata{Mode: cognitotest.Down})
	p.SetMode(cognitotest.Down)
	c.advance(23 * time.Hour)
	for name, v := range map[string]*cognito.Verifier{"the same process": v, "the next one": anew()} {
		if _, err := v.VerifyID(t.Context(), sign()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := v.AuthorizeURL(t.Context(), cognitotest.RedirectURI); err != nil {
			t.Errorf("%s: where to sign in: %v", name, err)
		}
	}
	c.advance(time.Hour)
	for name, v := range map[string]*cognito.Verifier{"the same process": v, "the next one": anew()} {
		if _, err := v.VerifyID(t.Context(), sign()); !errors.Is(err, cognito.ErrKeysUnavailable) {
			t.Errorf("%s, a day later: %v", name, err)
		}
		if _, err := v.AuthorizeURL(t.Context(), cognitotest.RedirectURI); !errors.Is(err, cognito.ErrEndpointUnavailable) {
			t.Errorf("%s, a day later: where to sign in: %v", name, err)
		}
	}
	kept.at = c.now().Add(1000 * time.Hour) // by another clock
	fromTheFuture := anew()
	if _, err := fromTheFuture.AuthorizeURL(t.Context(), cognitotest.RedirectURI); err != nil {
		t.Errorf("metadata from the future: %v", err)
	}
	c.advance(24 * time.Hour)
	if _, err := fromTheFuture.AuthorizeURL(t.Context(), cognitotest.RedirectURI); !errors.Is(err, cognito.ErrEndpointUnavailable) {
		t.Errorf("metadata from the future, a day later: %v", err)
	}
	kept.bodies[p.Issuer+"/.well-known/openid-configuration"] = []byte(`{"issuer":"https://evil.test","jwks_uri":"https://evil.test/keys"}`)
	if _, err := anew().VerifyID(t.Context(), sign()); !errors.Is(err, cognito.ErrKeysUnavailable) {
		t.Errorf("with another's metadata kept: %v", err)
	}
}

// hangingStore keeps nothing, until it is told that it takes too long.
type hangingStore struct{ library }

func (*hangingStore) SaveKeySet(ctx context.Context, _ string, _ []byte, _ time.Time) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestNobodyWaitsForTheStore has a store that hangs: metadata and keys are there
// when they were fetched.
func TestNobodyWaitsForTheStore(t *testing.T) {
	t.Parallel()
	const issuer = "https://idp.test"
	key := cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		w := &web{answers: map[string]string{}, fetches: map[string]int{}}
		w.set(issuer+"/.well-known/openid-configuration", claims{"issuer": issuer, "jwks_uri": issuer + "/keys"})
		w.set(issuer+"/keys", json.RawMessage(`{"keys":[`+cognitotest.JWK("kid-1", &key.PublicKey)+`]}`))
		v, err := cognito.New(cognito.Config{
			Name: "c", Issuer: issuer, ClientIDs: []string{cognitotest.ClientID}, OIDC: &cognito.OIDC{}, Store: &hangingStore{},
			HTTPClient: &http.Client{Transport: w},
		})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		token := cognitotest.Sign(key, map[string]any{"kid": "kid-1"}, (&cognitotest.Pool{Issuer: issuer}).IDToken("111", begun))
		if _, err := v.VerifyID(t.Context(), token); err != nil || time.Since(begun) > 0 {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		time.Sleep(time.Minute) // until the store was given up
	})
}

// web answers by URL, without a network, and counts.
type web struct {
	mu      sync.Mutex
	answers map[string]string
	fetches map[string]int
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches[r.URL.String()]++
	body, ok := w.answers[r.URL.String()]
	if !ok {
		return nil, errors.New("no network")
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (w *web) set(url string, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[url] = string(body)
}

func (w *web) fetched(url string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fetches[url]
}

// TestRunFollowsTheMetadata starts before its provider can be reached, finds it
// when it can, and follows the keys to where the metadata moves them.
func TestRunFollowsTheMetadata(t *testing.T) {
	t.Parallel()
	const (
		issuer    = "https://idp.test"
		configure = issuer + "/.well-known/openid-configuration"
	)
	first, second := cognitotest.NewKey(), cognitotest.NewKey()
	published := func(kid string, jwk string) any { return json.RawMessage(`{"keys":[` + jwk + `]}`) }
	sign := func(kid string) string {
		key := first
		if kid == "kid-2" {
			key = second
		}
		return cognitotest.Sign(key, map[string]any{"kid": kid}, (&cognitotest.Pool{Issuer: issuer}).IDToken("111", time.Now()))
	}
	synctest.Test(t, func(t *testing.T) {
		w := &web{answers: map[string]string{}, fetches: map[string]int{}}
		v, err := cognito.New(cognito.Config{
			Name: "c", Issuer: issuer, ClientIDs: []string{cognitotest.ClientID}, OIDC: &cognito.OIDC{}, HTTPClient: &http.Client{Transport: w},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		if got := w.fetched(configure); got < 20 || got > 30 {
			t.Errorf("%d tries in ten minutes", got)
		}
		w.set(configure, claims{"issuer": issuer, "jwks_uri": "https://idp.test/old"})
		w.set("https://idp.test/old", published("kid-1", cognitotest.JWK("kid-1", &first.PublicKey)))
		time.Sleep(time.Minute)
		if _, err := v.VerifyID(ctx, sign("kid-1")); err != nil {
			t.Errorf("once it can be reached: %v", err)
		}
		w.set(configure, claims{"issuer": issuer, "jwks_uri": "https://idp.test/new"})
		w.set("https://idp.test/new", published("kid-2", cognitotest.JWK("kid-2", &second.PublicKey)))
		before := w.fetched(configure)
		time.Sleep(time.Hour + 10*time.Minute)
		if got := w.fetched(configure) - before; got != 1 {
			t.Errorf("%d fetches of metadata in an hour", got)
		}
		old := w.fetched("https://idp.test/old")
		if _, err := v.VerifyID(ctx, sign("kid-2")); err != nil {
			t.Errorf("after the keys have moved: %v", err)
		}
		if _, err := v.VerifyID(ctx, sign("kid-1")); !errors.Is(err, cognito.ErrUnknownKey) {
			t.Errorf("a key that was withdrawn: %v", err)
		}
		if got := w.fetched("https://idp.test/old"); got != old {
			t.Error("the keys are fetched where they were")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
}

// TestMetadataOfHTTPS demands https of every endpoint where the metadata came by
// it: a provider on the network has nothing on our loopback address.
func TestMetadataOfHTTPS(t *testing.T) {
	t.Parallel()
	w := &web{answers: map[string]string{}, fetches: map[string]int{}}
	w.set("https://idp.test/.well-known/openid-configuration", claims{"issuer": "https://idp.test/", "jwks_uri": "http://127.0.0.1:9/keys"})
	v, err := cognito.New(cognito.Config{
		Name: "c", Issuer: "https://idp.test/", ClientIDs: []string{cognitotest.ClientID}, OIDC: &cognito.OIDC{}, HTTPClient: &http.Client{Transport: w},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &cognitotest.Pool{Issuer: "https://idp.test/"}
	_, err = v.VerifyID(t.Context(), cognitotest.Sign(cognitotest.NewKey(), map[string]any{"kid": "x"}, p.IDToken("111", time.Now())))
	if !errors.Is(err, cognito.ErrKeysUnavailable) || w.fetched("http://127.0.0.1:9/keys") != 0 {
		t.Errorf("keys on our loopback address: %v", err)
	}
}

// FuzzMetadata answers with any bytes for the metadata: whatever they are, nothing
// is asked but over https, and the token of somebody else stays refused.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://idp.test","jwks_uri":"https://idp.test/keys"}`))
	f.Add([]byte(`{"issuer":"https://idp.test","jwks_uri":"http://127.0.0.1/keys","token_endpoint":"file:///x"}`))
	f.Add([]byte(`{"issuer":"https://idp.test","JWKS_URI":"https://[::1]:9/","token_endpoint_auth_methods_supported":[1]}`))
	f.Add([]byte(`[]`))
	published, evil := cognitotest.NewKey(), cognitotest.NewKey()
	keys := `{"keys":[` + cognitotest.JWK("kid-1", &published.PublicKey) + `]}`
	token := cognitotest.Sign(evil, map[string]any{"kid": "kid-1"}, (&cognitotest.Pool{Issuer: "https://idp.test"}).IDToken("111", time.Now()))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := cognito.New(cognito.Config{
			Name: "c", Issuer: "https://idp.test", ClientIDs: []string{cognitotest.ClientID}, OIDC: &cognito.OIDC{},
			App: &cognito.App{ClientID: cognitotest.ClientID},
			HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Scheme != "https" || r.URL.Host == "" {
					t.Errorf("%s is asked", r.URL)
				}
				answer := keys
				if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
					answer = string(body)
				}
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(answer))}, nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.VerifyID(t.Context(), token); err == nil {
			t.Errorf("a forged token is taken with the metadata %q", body)
		}
		at, err := v.AuthorizeURL(t.Context(), cognitotest.RedirectURI)
		if err == nil && !strings.HasPrefix(at, "https://") {
			t.Errorf("people are sent to %q", at)
		}
	})
}

// TestManyWaitForTheMetadata asks at once when nothing is known: one fetch.
func TestManyWaitForTheMetadata(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := provider(t, p, func(c *cognito.Config) { c.App = &cognito.App{ClientID: cognitotest.ClientID} })
	token := p.Sign("kid-1", p.IDToken("111", now))
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if _, err := v.VerifyID(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() {
			if _, err := v.AuthorizeURL(t.Context(), cognitotest.RedirectURI); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := [2]int{p.Discoveries(), p.Fetches()}; got != [2]int{1, 1} {
		t.Errorf("%v fetches of metadata and of keys", got)
	}
}

// TestMetadataThatHangs gives up when the one who asks does, or after three
// seconds.
func TestMetadataThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, err := cognito.New(cognito.Config{
			Name: "c", Issuer: "https://idp.test", ClientIDs: []string{cognitotest.ClientID}, OIDC: &cognito.OIDC{},
			App: &cognito.App{ClientID: cognitotest.ClientID},
			HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now() // the bubble's clock
		for _, tc := range []struct {
			ctx   context.Context
			after time.Duration
		}{{ctx, time.Second}, {t.Context(), 3 * time.Second}} {
			_, err = v.AuthorizeURL(tc.ctx, cognitotest.RedirectURI)
			if !errors.Is(err, cognito.ErrEndpointUnavailable) || time.Since(begun) != tc.after {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		}
	})
}

// oneWay passes requests on, and demands that a client says in one place alone who
// it is (RFC 6749 §2.3).
func oneWay(t *testing.T) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if _, _, header := r.BasicAuth(); header && r.Body != nil {
			body, err := io.ReadAll(r.Body)
			if err != nil || strings.Contains(string(body), "client_") {
				t.Errorf("the header and the form say who asks: %v", err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		return http.DefaultTransport.RoundTrip(r)
	}
}

// TestCodeAtAProvider exchanges codes where the metadata says.
func TestCodeAtAProvider(t *testing.T) {
	t.Parallel()
	p := pool(t)
	for name, tc := range map[string]struct {
		metadata cognitotest.Metadata
		change   func(*cognito.Config)
		issuer   string
		client   string // that the ID token is issued to; empty: ours
		want     error
	}{
		"a public client":        {},
		"a secret in the header": {change: func(c *cognito.Config) { c.App.ClientSecret = cognitotest.Secret }},
		"a secret in the form":   {metadata: cognitotest.Metadata{Change: claims{"token_endpoint_auth_methods_supported": []string{"private_key_jwt", "client_secret_post"}}}, change: func(c *cognito.Config) { c.App.ClientSecret = cognitotest.Secret }},
		"the form, by configuration": {change: func(c *cognito.Config) {
			c.App.ClientSecret, c.OIDC.TokenEndpointAuth = cognitotest.Secret, "client_secret_post"
		}},
		"another secret":              {change: func(c *cognito.Config) { c.App.ClientSecret, c.OIDC.TokenEndpointAuth = "x", "client_secret_post" }, want: cognito.ErrCode},
		"no way to show a secret":     {metadata: cognitotest.Metadata{Change: claims{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}}, change: func(c *cognito.Config) { c.App.ClientSecret = cognitotest.Secret }, want: cognito.ErrEndpointUnavailable},
		"no token endpoint":           {metadata: cognitotest.Metadata{Change: claims{"token_endpoint": nil}}, want: cognito.ErrEndpointUnavailable},
		"one by configuration":        {metadata: cognitotest.Metadata{Change: claims{"token_endpoint": nil}}, change: func(c *cognito.Config) { c.OIDC.TokenEndpoint = p.HostedUI + "/oauth2/token" }},
		"the issuer that answered":    {issuer: p.Issuer},
		"another issuer answered":     {issuer: "https://evil.test", want: cognito.ErrIssuer},
		"a token of the other client": {client: "other", want: cognito.ErrClient},
		"no nonce, which is required": {change: func(c *cognito.Config) { c.RequireNonce = true }, want: cognito.ErrNonce},
	} {
		p.SetMetadata(tc.metadata)
		v := provider(t, p, func(c *cognito.Config) {
			c.App = &cognito.App{ClientID: cognitotest.ClientID}
			c.HTTPClient = &http.Client{Transport: oneWay(t)}
			if tc.change != nil {
				tc.change(c)
			}
		})
		code := p.Authorize("111", now, claims{"token_use": nil, "aud": cmp.Or(tc.client, cognitotest.ClientID)})
		code.Issuer = tc.issuer
		identity, err := v.ExchangeCode(t.Context(), code)
		if !errors.Is(err, tc.want) || tc.want == nil && (err != nil || identity.Subject != "111") {
			t.Errorf("%s: %q, %v, want %v", name, identity.Subject, err, tc.want)
		}
	}
}

// TestAuthorizeURLOfAProvider keeps the query that an endpoint has of its own.
func TestAuthorizeURLOfAProvider(t *testing.T) {
	t.Parallel()
	p := pool(t)
	p.SetMetadata(cognitotest.Metadata{Change: claims{"authorization_endpoint": "https://idp.test/authorize?p=signin&scope=x"}})
	v := provider(t, p, func(c *cognito.Config) { c.App = &cognito.App{ClientID: cognitotest.ClientID} })
	got, err := v.AuthorizeURL(t.Context(), cognitotest.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"p": {"signin"}, "scope": {"openid email profile"}, "response_type": {"code"}, "client_id": {cognitotest.ClientID},
		"redirect_uri": {cognitotest.RedirectURI},
	}
	if got != "https://idp.test/authorize?"+want.Encode() {
		t.Errorf("the URL is %s", got)
	}
	before := p.Discoveries()
	configured := provider(t, p, func(c *cognito.Config) {
		c.App, c.OIDC.AuthorizationEndpoint, c.OIDC.TokenEndpoint = &cognito.App{ClientID: cognitotest.ClientID}, "https://idp.test/a", "https://idp.test/t"
	})
	if got, err := configured.AuthorizeURL(t.Context(), cognitotest.RedirectURI); err != nil || !strings.HasPrefix(got, "https://idp.test/a?") || p.Discoveries() != before {
		t.Errorf("one that is configured: %q, %v", got, err)
	}
	set, err := cognito.NewSet(v)
	if err != nil {
		t.Fatal(err)
	}
	if app, err := set.App("oidc"); err != nil || app != v {
		t.Errorf("the app of the set: %v, %v", app, err)
	}
}

// TestHostileKeysOfAProvider lets the key set that the metadata names misbehave:
// nothing can be judged before the first good answer, and what was good goes on.
func TestHostileKeysOfAProvider(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]cognitotest.Mode{
		"500": cognitotest.Down, "a page": cognitotest.HTML, "no keys": cognitotest.NoKeys, "an empty set": cognitotest.Empty,
		"an endless body": cognitotest.Huge, "a redirect": cognitotest.Redirect, "a cut connection": cognitotest.Reset, "a hang": cognitotest.Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, c := pool(t), newClock()
			v := provider(t, p, func(cfg *cognito.Config) {
				cfg.Now = c.now
				if mode == cognitotest.Hang { // its three seconds are TestFetchTakesThreeSeconds'
					cfg.HTTPClient = &http.Client{Timeout: time.Second}
				}
			})
			sign := func(kid string) string {
				return cognitotest.Sign(p.Key("kid-1"), map[string]any{"kid": kid}, p.IDToken("111", c.now()))
			}
			verify := func(kid string) error {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := v.VerifyID(ctx, sign(kid))
				return err
			}
			p.SetMode(mode)
			for range 3 {
				if err := verify("kid-1"); !errors.Is(err, cognito.ErrKeysUnavailable) {
					t.Fatalf("before the first good answer: %v", err)
				}
			}
			repeated := 0
			if mode == cognitotest.Reset { // the HTTP client asks again when a connection that was kept is cut
				repeated = 1
			}
			if got := [2]int{p.Discoveries(), p.Fetches()}; got != [2]int{1, 2 + repeated} {
				t.Errorf("%v fetches of metadata and of keys for three tokens", got)
			}
			p.SetMode(cognitotest.Good)
			c.advance(time.Minute)
			if err := verify("kid-1"); err != nil {
				t.Fatalf("after a good answer: %v", err)
			}
			p.SetMode(mode)
			before := p.Fetches()
			for i := range 200 { // in twenty seconds
				if err := verify(fmt.Sprint("made-up-", i)); !errors.Is(err, cognito.ErrKeysUnavailable) {
					t.Fatalf("a made-up key: %v", err)
				}
				if err := verify("kid-1"); err != nil {
					t.Fatalf("a key that is known: %v", err)
				}
				c.advance(100 * time.Millisecond)
			}
			if got := p.Fetches() - before; got > 2+repeated || p.Discoveries() != 1 {
				t.Errorf("%d fetches of keys and %d of metadata for 200 made-up keys", got, p.Discoveries())
			}
		})
	}
	t.Run("swapped keys", func(t *testing.T) {
		t.Parallel()
		p := pool(t)
		one, two := p.Key("kid-1"), cognitotest.NewKey()
		p.SetKeys(map[string]*rsa.PrivateKey{"kid-1": two, "kid-2": one})
		v := provider(t, p, nil)
		for kid, want := range map[string]error{"kid-1": cognito.ErrSignature, "kid-2": nil} {
			_, err := v.VerifyID(t.Context(), cognitotest.Sign(one, map[string]any{"kid": kid}, p.IDToken("111", now)))
			refused(t, err, want)
		}
	})
}
