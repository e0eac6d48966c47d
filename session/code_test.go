package session_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestCodeAtAnotherProvider shows a code to a provider that has not issued it,
// before it is used and after: only its own opens a session, and tells of it again.
func TestCodeAtAnotherProvider(t *testing.T) {
	t.Parallel()
	other := cognitotest.New()
	t.Cleanup(other.Close)
	b := newBench(t, func(c *session.Config) {
		ours, err := c.IdentityProviders.App("")
		must(t, err)
		theirs, err := cognito.New(cognito.Config{
			Name: "other", Issuer: other.Issuer, JWKSURL: other.JWKSURL, ClientIDs: []string{cognitotest.ClientID}, Now: c.Now,
			App: &cognito.App{HostedUI: other.HostedUI, ClientID: cognitotest.ClientID},
		})
		must(t, err)
		c.IdentityProviders, err = cognito.NewSet(ours, theirs)
		must(t, err)
	})
	issued := b.pool.Authorize("111", b.time(), nil)
	code := session.AuthorizationCode{IDP: "other", Code: issued.Code, Verifier: issued.Verifier, RedirectURI: issued.RedirectURI}
	misled := named(code, "cognito")
	misled.Issuer = other.Issuer // the other's page answered (RFC 9207)
	if _, err := b.ExchangeCode(t.Context(), misled, home); !errors.Is(err, cognito.ErrIssuer) {
		t.Errorf("the answer of another provider: %v", err)
	}
	for range 2 {
		if _, err := b.ExchangeCode(t.Context(), code, home); !errors.Is(err, cognito.ErrCode) {
			t.Errorf("at another provider: %v", err)
		}
		if _, err := b.ExchangeCode(t.Context(), named(code, "cognito"), home); err != nil {
			t.Errorf("at its own: %v", err)
		}
	}
	b.wantEvents(t, "user_created", "sign_in")
}

// TestRefusedCodesAreCounted guesses codes until the provider is asked no more.
func TestRefusedCodesAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	try := func(c cognito.Code, ip string) error {
		_, err := b.ExchangeCode(t.Context(),
			session.AuthorizationCode{Code: c.Code, Verifier: c.Verifier, RedirectURI: c.RedirectURI}, session.Client{IP: ip})
		return err
	}
	good := func() cognito.Code { return b.pool.Authorize("111", b.time(), nil) }
	guess := good()
	guess.Code = "x"
	for range b.Limits.PerNetwork {
		must(t, try(good(), "198.51.100.1")) // counts for nothing
		if err := try(guess, "198.51.100.2"); !errors.Is(err, cognito.ErrCode) {
			t.Fatalf("within the limit: %v", err)
		}
	}
	used := good()
	must(t, try(used, "203.0.113.1"))
	late := good()
	for name, c := range map[string]cognito.Code{"a guess": guess, "a good code": late} {
		if err := try(c, "198.51.100.3"); !isThrottled(err) {
			t.Errorf("beyond the limit, %s: %v", name, err)
		}
	}
	if err := try(late, "203.0.113.1"); err != nil {
		t.Errorf("the provider was asked for a code beyond the limit, or another network may not: %v", err)
	}
	b.advance(16 * time.Minute)
	must(t, try(good(), "198.51.100.1"))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// tokenEndpoint is a bench whose provider's token endpoint is asked by way of ask.
func tokenEndpoint(t *testing.T, ask func(*http.Request) (*http.Response, error)) *bench {
	t.Helper()
	return newBenchOf(t, func(c *cognito.Config) {
		c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodPost {
				return http.DefaultTransport.RoundTrip(r)
			}
			return ask(r)
		})}
	}, nil)
}

// TestTimeIsUp ends the time of each request when the provider has been asked:
// that must not let anybody ask without end. A provider that does not answer is
// nobody's guess, and who goes away does not end the asking.
func TestTimeIsUp(t *testing.T) {
	t.Parallel()
	leave, asked, late := func() {}, 0, false
	b := tokenEndpoint(t, func(r *http.Request) (*http.Response, error) {
		asked++
		leave()
		if late {
			<-r.Context().Done()
		}
		return nil, errors.New("no answer")
	})
	try := func(ip string, within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		leave, late = cancel, within < time.Second
		_, err := b.ExchangeCode(ctx, session.AuthorizationCode{Code: "x", Verifier: "y", RedirectURI: cognitotest.RedirectURI}, session.Client{IP: ip})
		return err
	}
	const slow = "198.51.100.9"
	var err error
	for tries := 0; tries < 1000 && !isThrottled(err); tries++ {
		err = try(slow, 20*time.Millisecond)
	}
	if !isThrottled(err) || asked > b.Limits.PerNetwork {
		t.Errorf("whose time was up is asked for %d times: %v", asked, err)
	}
	for range b.Limits.PerNetwork + 1 {
		if err := try(home.IP, time.Hour); !errors.Is(err, cognito.ErrEndpointUnavailable) {
			t.Fatalf("who goes away: %v", err)
		}
	}
}

func authorized(b *bench) session.AuthorizationCode {
	c := b.pool.Authorize("111", b.time(), nil)
	return session.AuthorizationCode{Code: c.Code, Verifier: c.Verifier, RedirectURI: c.RedirectURI}
}

// TestRedeemedAndGone has the client go away when the provider has redeemed its
// code: its retry gets the session.
func TestRedeemedAndGone(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	b := tokenEndpoint(t, func(r *http.Request) (*http.Response, error) {
		defer leave()
		return http.DefaultTransport.RoundTrip(r)
	})
	code := authorized(b)
	_, _ = b.ExchangeCode(ctx, code, home)
	if _, err := b.ExchangeCode(t.Context(), code, home); err != nil {
		t.Errorf("the retry: %v", err)
	}
	b.wantEvents(t, "user_created", "sign_in")
}

// TestCodeAtOnce presents a code many times at once, as a page does that runs twice,
// and meanwhile at another replica, which is faster: all get the one session.
func TestCodeAtOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var faster func()
	b := tokenEndpoint(t, func(r *http.Request) (*http.Response, error) {
		if asked.Add(1) == 1 {
			faster()
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	code := authorized(b)
	replica, err := session.New(b.Config)
	must(t, err)
	sessions := make(chan string, 21)
	exchange := func(s *session.Service) {
		g, err := s.ExchangeCode(t.Context(), code, home)
		if err != nil {
			t.Error(err)
		}
		sessions <- g.SessionID
	}
	faster = func() { exchange(replica) }
	var all sync.WaitGroup
	for range cap(sessions) - 1 {
		all.Go(func() { exchange(b.Service) })
	}
	all.Wait()
	for range cap(sessions) - 1 {
		if one, other := <-sessions, <-sessions; one != other {
			t.Fatalf("the sessions %q and %q", one, other)
		} else {
			sessions <- one
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// onceStore says once whether something was exchanged before, and then can't be reached.
type onceStore struct {
	session.Store
	asked int
}

func (s *onceStore) FindExchange(ctx context.Context, digest []byte) (repo.Exchange, error) {
	if s.asked++; s.asked > 1 {
		return repo.Exchange{}, repo.ErrUnavailable
	}
	return s.Store.FindExchange(ctx, digest)
}

// TestRefusedWithoutTheStore has the provider refuse a code when the store can't say
// whether another replica has used it.
func TestRefusedWithoutTheStore(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *session.Config) { c.Store = &onceStore{Store: c.Store} })
	code := authorized(b)
	code.Code = "x"
	if _, err := b.ExchangeCode(t.Context(), code, home); !errors.Is(err, repo.ErrUnavailable) || errors.Is(err, cognito.ErrCode) {
		t.Errorf("%v", err)
	}
}

// TestRetryAfterARefresh presents a pair again, within the grace, when its answer
// has evidently arrived: the session was refreshed.
func TestRetryAfterARefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	id, access := b.pool.Pair("111", b.time(), nil)
	pair := session.IDPTokens{IDToken: id, AccessToken: access}
	g, err := b.Exchange(t.Context(), pair, home)
	must(t, err)
	_, err = b.refresh(t, g.RefreshToken)
	must(t, err)
	if _, err := b.Exchange(t.Context(), pair, home); !errors.Is(err, session.ErrReplayed) {
		t.Errorf("%v", err)
	}
}
