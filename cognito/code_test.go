package cognito_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
)

// withApp is a verifier that signs users in at the pool's hosted UI.
func withApp(t *testing.T, p *cognitotest.Pool, change func(*cognito.App)) *cognito.Verifier {
	t.Helper()
	app := &cognito.App{HostedUI: p.HostedUI + "/", ClientID: cognitotest.ClientID}
	if change != nil {
		change(app)
	}
	return verifier(t, p, func(c *cognito.Config) { c.App = app })
}

func TestExchangeCode(t *testing.T) {
	t.Parallel()
	p := pool(t)
	for name, tc := range map[string]struct {
		app    func(*cognito.App)
		change claims
		spoil  func(*cognito.Code)
		mode   cognitotest.Mode
		want   error
	}{
		"good":                       {},
		"good, with a secret":        {app: func(a *cognito.App) { a.ClientSecret = cognitotest.Secret }},
		"good, with a nonce":         {change: claims{"nonce": "n"}},
		"another secret":             {app: func(a *cognito.App) { a.ClientSecret = "x" }, want: cognito.ErrCode},
		"a code that was never":      {spoil: func(c *cognito.Code) { c.Code = "x" }, want: cognito.ErrCode},
		"another verifier":           {spoil: func(c *cognito.Code) { c.Verifier += "x" }, want: cognito.ErrCode},
		"another redirect URI":       {spoil: func(c *cognito.Code) { c.RedirectURI += "x" }, want: cognito.ErrCode},
		"one that is not listed":     {app: func(a *cognito.App) { a.RedirectURIs = []string{"https://other.test/"} }, want: cognito.ErrRedirectURI},
		"a redirect URI that's none": {spoil: func(c *cognito.Code) { c.RedirectURI = "/callback#x" }, want: cognito.ErrRedirectURI},
		"another nonce":              {change: claims{"nonce": "n"}, spoil: func(c *cognito.Code) { c.Nonce = "m" }, want: cognito.ErrNonce},
		"no nonce in the token":      {spoil: func(c *cognito.Code) { c.Nonce = "m" }, want: cognito.ErrNonce},
		"a token that is refused":    {change: claims{"token_use": "access"}, want: cognito.ErrTokenUse},
		"a token of another client":  {change: claims{"aud": "other"}, want: cognito.ErrPair},
		"an endpoint that is down":   {mode: cognitotest.Down, want: cognito.ErrEndpointUnavailable},
		"an endpoint with a page":    {mode: cognitotest.HTML, want: cognito.ErrEndpointUnavailable},
		"an endpoint that redirects": {mode: cognitotest.Redirect, want: cognito.ErrEndpointUnavailable},
		"an endpoint that cuts":      {mode: cognitotest.Reset, want: cognito.ErrEndpointUnavailable},
		"an endpoint without tokens": {mode: cognitotest.NoKeys, want: cognito.ErrEndpointUnavailable},
		"an endpoint without end":    {mode: cognitotest.Huge, want: cognito.ErrEndpointUnavailable},
	} {
		code := p.Authorize("111", now, tc.change)
		if tc.spoil != nil {
			tc.spoil(&code)
		}
		p.SetMode(tc.mode)
		identity, err := withApp(t, p, tc.app).ExchangeCode(t.Context(), code)
		p.SetMode(cognitotest.Good)
		if !errors.Is(err, tc.want) || tc.want == nil && (err != nil || identity.Subject != "111") {
			t.Errorf("%s: %q, %v, want %v", name, identity.Subject, err, tc.want)
		}
		if err != nil && (strings.Contains(err.Error(), code.Code) || strings.Contains(err.Error(), code.Verifier)) {
			t.Errorf("%s: the error shows the code or its verifier: %v", name, err)
		}
	}
}

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := withApp(t, p, func(a *cognito.App) { a.RedirectURIs = []string{cognitotest.RedirectURI} })
	got, err := v.AuthorizeURL(t.Context(), cognitotest.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"response_type": {"code"}, "client_id": {cognitotest.ClientID}, "redirect_uri": {cognitotest.RedirectURI}, "scope": {"openid email profile"}}
	if u.Path != "/oauth2/authorize" || u.RawQuery != want.Encode() {
		t.Errorf("the URL is %s", got)
	}
	for _, uri := range []string{"", "x", cognitotest.RedirectURI + "/", "https://app.example.test/callback#", "https://evil.test/"} {
		if _, err := v.AuthorizeURL(t.Context(), uri); !errors.Is(err, cognito.ErrRedirectURI) {
			t.Errorf("%q: %v", uri, err)
		}
	}
	scoped := withApp(t, p, func(a *cognito.App) { a.Scopes = []string{"openid"} })
	if got, err := scoped.AuthorizeURL(t.Context(), "com.example.app:/callback"); err != nil || !strings.Contains(got, "scope=openid") {
		t.Errorf("with a scope of its own: %q, %v", got, err)
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	one, two := pool(t), pool(t)
	plain := verifier(t, one, func(c *cognito.Config) { c.Name = "plain" })
	if _, err := plain.AuthorizeURL(t.Context(), cognitotest.RedirectURI); !errors.Is(err, cognito.ErrNoApp) {
		t.Errorf("without an app: %v", err)
	}
	if _, err := plain.ExchangeCode(t.Context(), cognito.Code{}); !errors.Is(err, cognito.ErrNoApp) {
		t.Errorf("without an app: %v", err)
	}
	first := withApp(t, two, nil)
	set, err := cognito.NewSet(plain, first)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"": nil, "cognito": nil, "plain": cognito.ErrNoApp, "google": cognito.ErrNoApp} {
		if got, err := set.App(name); !errors.Is(err, want) || want == nil && got != first {
			t.Errorf("the app of %q: %v, want %v", name, err, want)
		}
	}
	third := pool(t)
	second := verifier(t, third, func(c *cognito.Config) {
		c.Name, c.App = "second", &cognito.App{HostedUI: third.HostedUI, ClientID: cognitotest.ClientID}
	})
	if set, err = cognito.NewSet(first, second); err != nil {
		t.Fatal(err)
	}
	if _, err := set.App(""); !errors.Is(err, cognito.ErrNoApp) {
		t.Errorf("which of two: %v", err)
	}
	for name, app := range map[string]*cognito.App{
		"plain http": {HostedUI: "http://idp.test", ClientID: cognitotest.ClientID}, "a client that is not taken": {HostedUI: one.HostedUI, ClientID: "x"},
		"a redirect URI that is none": {HostedUI: one.HostedUI, ClientID: cognitotest.ClientID, RedirectURIs: []string{"/callback"}},
	} {
		if _, err := cognito.New(cognito.Config{Name: "c", Issuer: one.Issuer, JWKSURL: one.JWKSURL, ClientIDs: []string{cognitotest.ClientID}, App: app}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestRefusedCodes has the statuses and bodies by which token endpoints refuse a
// code, and those by which they don't: only the first are the client's fault.
func TestRefusedCodes(t *testing.T) {
	t.Parallel()
	p := pool(t)
	for _, tc := range []struct {
		status int
		body   string
		want   error
	}{
		{400, `{"error":"invalid_grant","error_description":"used"}`, cognito.ErrCode},
		{401, `{"error":"invalid_client"}`, cognito.ErrCode},
		{403, `{"error":"invalid_grant","error_description":"Invalid authorization code"}`, cognito.ErrCode}, // Auth0
		{403, `<title>Blocked</title>`, cognito.ErrEndpointUnavailable},
		{403, `{"message":"Forbidden"}`, cognito.ErrEndpointUnavailable},
		{400, `{"error":"not a code\n"}`, cognito.ErrEndpointUnavailable},
		{404, `{"error":"not_found"}`, cognito.ErrEndpointUnavailable},
		{429, `{"error":"too_many_requests"}`, cognito.ErrEndpointUnavailable},
		{500, `{"error":"server_error"}`, cognito.ErrEndpointUnavailable},
		{307, ``, cognito.ErrEndpointUnavailable},
		{200, `{"error":"invalid_grant"}`, cognito.ErrEndpointUnavailable},
		{200, `{"id_token":"x"}`, cognito.ErrEndpointUnavailable},
		{200, `{"id_token":["x"],"access_token":"x"}`, cognito.ErrEndpointUnavailable},
		{200, `{"id_token":"x","access_token":"x"}`, cognito.ErrMalformed},
	} {
		asked := 0
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked++
			return &http.Response{
				StatusCode: tc.status, Status: http.StatusText(tc.status), Request: r,
				Header: http.Header{"Location": {"https://evil.test/"}}, Body: io.NopCloser(strings.NewReader(tc.body)),
			}, nil
		})}
		v := verifier(t, p, func(c *cognito.Config) {
			c.HTTPClient, c.App = client, &cognito.App{HostedUI: p.HostedUI, ClientID: cognitotest.ClientID}
		})
		if _, err := v.ExchangeCode(t.Context(), p.Authorize("111", now, nil)); !errors.Is(err, tc.want) || asked != 1 {
			t.Errorf("%d %s: %v after %d requests, want %v", tc.status, tc.body, err, asked, tc.want)
		}
	}
}
