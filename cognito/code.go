package cognito

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
)

// App is the one client of a provider that Gatehouse signs users in with itself.
type App struct {
	HostedUI     string   // URL of a pool's hosted UI: /oauth2/authorize and /oauth2/token are below it; required, but not with Config.OIDC
	ClientID     string   // one of Config.ClientIDs; required
	ClientSecret string   // of a confidential client; empty: a public one
	RedirectURIs []string // where users may come back to, compared byte by byte; nil: wherever the provider lets them
	Scopes       []string // none: openid, email and profile
}

// Code is an authorization code with what belongs to it.
type Code struct {
	Code        string
	Verifier    string // code_verifier (RFC 7636 §4.1)
	RedirectURI string // as in the authorization request
	Nonce       string // as in the authorization request; empty: not checked, but for Config.RequireNonce
	Issuer      string // "iss" of the authorization response (RFC 9207); empty: not checked
}

var (
	// ErrCode says that the provider refused the code, or the verifier, client or redirect URI that came with it.
	ErrCode = errors.New("cognito: the authorization code was refused")
	// ErrRedirectURI says that a redirect URI is none of the app's.
	ErrRedirectURI = errors.New("cognito: the redirect URI is not allowed")
	// ErrNoApp says that the provider has no app to sign users in with, or that no provider has the name.
	ErrNoApp = errors.New("cognito: no such app")
	// ErrEndpointUnavailable says that the token endpoint does not answer, or not with what it should, or that it is not
	// known yet where it is. Whether it has taken the code is not known.
	ErrEndpointUnavailable = errors.New("cognito: endpoint unavailable")
)

// refusals are the statuses of an error answer: RFC 6749 §5.2 has the first two; Auth0 says invalid_grant by the third.
var refusals = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}

const (
	maxTokenAnswer = 64 << 10        // bytes of the token endpoint's answer
	fetchTimeout   = 3 * time.Second // for the whole of it
)

// checkApp holds the app to what New promises.
func checkApp(c Config) error {
	a := c.App
	if a == nil {
		return nil
	}
	switch {
	case c.OIDC != nil && a.HostedUI != "":
		return errors.New("cognito: an OpenID provider has no hosted UI")
	case c.OIDC == nil && jwks.CheckURL(a.HostedUI) != nil:
		return errors.New("cognito: the hosted UI must be an https URL, or http on a loopback address")
	case len(a.Scopes) > 0 && !slices.Contains(a.Scopes, "openid"):
		return errors.New("cognito: without the scope openid there is no ID token")
	}
	if !slices.Contains(c.ClientIDs, a.ClientID) {
		return errors.New("cognito: the app's client must be one whose tokens are taken")
	}
	for _, uri := range a.RedirectURIs {
		if !isRedirectURI(uri) {
			return fmt.Errorf("cognito: %q is no redirect URI", uri)
		}
	}
	return nil
}

// isRedirectURI reports whether a URI can be one (RFC 6749 §3.1.2).
func isRedirectURI(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "" || u.Path != "") && u.Fragment == "" && !strings.HasSuffix(uri, "#")
}

// admits reports whether users may come back there.
func (a *App) admits(redirectURI string) bool {
	return isRedirectURI(redirectURI) && (len(a.RedirectURIs) == 0 || slices.Contains(a.RedirectURIs, redirectURI))
}

// AuthorizeURL returns the URL of the authorization request (RFC 6749 §4.1.1)
// without state, nonce and code challenge, which are the browser's to add. It is
// ErrEndpointUnavailable while it is not known where the provider wants them.
func (v *Verifier) AuthorizeURL(ctx context.Context, redirectURI string) (string, error) {
	a := v.config.App
	if a == nil {
		return "", ErrNoApp
	}
	if !a.admits(redirectURI) {
		return "", ErrRedirectURI
	}
	scopes := a.Scopes
	if len(scopes) == 0 {
		scopes = []string{"openid", "email", "profile"}
	}
	at, err := v.endpoints(ctx)
	if err != nil {
		return "", err
	}
	return withQuery(at.authorize, url.Values{
		"response_type": {"code"}, "client_id": {a.ClientID}, "redirect_uri": {redirectURI}, "scope": {strings.Join(scopes, " ")},
	})
}

// endpoints are where an app speaks to its provider, and how.
type endpoints struct {
	authorize, token string
	auth             []string // how a secret may be shown; nil: as pools take it
}

// endpoints finds them, in the metadata what is not configured.
func (v *Verifier) endpoints(ctx context.Context) (endpoints, error) {
	o := v.config.OIDC
	if o == nil {
		below := strings.TrimSuffix(v.config.App.HostedUI, "/") + "/oauth2/"
		return endpoints{authorize: below + "authorize", token: below + "token"}, nil
	}
	found := endpoints{authorize: o.AuthorizationEndpoint, token: o.TokenEndpoint, auth: []string{cmp.Or(o.TokenEndpointAuth, authBasic)}}
	knowsAuth := o.TokenEndpointAuth != "" || v.config.App.ClientSecret == ""
	if v.discovery == nil || found.authorize != "" && found.token != "" && knowsAuth {
		return found, nil
	}
	m, err := v.discovery.metadata(ctx)
	if err != nil {
		return endpoints{}, fmt.Errorf("%w: %w", ErrEndpointUnavailable, err)
	}
	found.authorize, found.token = cmp.Or(found.authorize, m.AuthorizationEndpoint), cmp.Or(found.token, m.TokenEndpoint)
	if found.authorize == "" || found.token == "" {
		return endpoints{}, fmt.Errorf("%w: the metadata has none", ErrEndpointUnavailable)
	}
	if o.TokenEndpointAuth == "" && m.TokenEndpointAuth != nil {
		found.auth = m.TokenEndpointAuth
	}
	return found, nil
}

// ExchangeCode exchanges a code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5),
// verifies them as VerifyPair does, and the nonce. The tokens stay here.
func (v *Verifier) ExchangeCode(ctx context.Context, code Code) (Identity, error) {
	a := v.config.App
	if a == nil {
		return Identity{}, ErrNoApp
	}
	if !a.admits(code.RedirectURI) {
		return Identity{}, ErrRedirectURI
	}
	if code.Issuer != "" && !slices.Contains(v.issuers, code.Issuer) {
		return Identity{}, fmt.Errorf("the authorization response: %w", ErrIssuer)
	}
	pair, err := v.redeem(ctx, a, code)
	if err != nil {
		return Identity{}, err
	}
	identity, err := v.VerifyPair(ctx, pair)
	if err != nil {
		return Identity{}, err
	}
	if identity.ClientID != a.ClientID {
		return Identity{}, ErrClient
	}
	return identity, nil
}

// redeem asks the token endpoint.
func (v *Verifier) redeem(ctx context.Context, a *App, code Code) (Pair, error) {
	at, err := v.endpoints(ctx)
	if err != nil {
		return Pair{}, err
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code.Code}, "code_verifier": {code.Verifier},
		"redirect_uri": {code.RedirectURI}, "client_id": {a.ClientID},
	}
	byHeader, err := a.showSecret(form, at.auth)
	if err != nil {
		return Pair{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.token, strings.NewReader(form.Encode()))
	if err != nil {
		return Pair{}, fmt.Errorf("%w: %w", ErrEndpointUnavailable, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if byHeader {
		req.SetBasicAuth(url.QueryEscape(a.ClientID), url.QueryEscape(a.ClientSecret)) // RFC 6749 §2.3.1
	}
	resp, err := v.client.Do(req)
	if err != nil {
		// The error of a client has the URL, and that no secret; the form is in the body.
		return Pair{}, fmt.Errorf("%w: %w", ErrEndpointUnavailable, err)
	}
	defer resp.Body.Close() //nolint:errcheck // what was read is checked
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	if err != nil {
		return Pair{}, fmt.Errorf("%w: %w", ErrEndpointUnavailable, err)
	}
	var tokens struct {
		IDToken     string `json:"id_token"`
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	wellFormed := json.Unmarshal(body, &tokens) == nil
	switch {
	case wellFormed && resp.StatusCode == http.StatusOK && tokens.IDToken != "" && tokens.AccessToken != "":
		return Pair{IDToken: tokens.IDToken, AccessToken: tokens.AccessToken, Nonce: code.Nonce}, nil
	case wellFormed && slices.Contains(refusals, resp.StatusCode) && isErrorCode(tokens.Error):
		return Pair{}, fmt.Errorf("%w: %s", ErrCode, tokens.Error)
	}
	return Pair{}, fmt.Errorf("%w: the answer is %s", ErrEndpointUnavailable, resp.Status)
}

// showSecret puts the secret of a confidential client into the form, or says that
// it goes into the header (RFC 6749 §2.3.1): into one of them.
func (a *App) showSecret(form url.Values, accepted []string) (byHeader bool, err error) {
	switch {
	case a.ClientSecret == "":
		return false, nil
	case accepted == nil:
		return true, nil
	case slices.Contains(accepted, authBasic):
		form.Del("client_id") // some take it for a second way to say who asks
		return true, nil
	case slices.Contains(accepted, authPost):
		form.Set("client_secret", a.ClientSecret)
		return false, nil
	}
	return false, fmt.Errorf("%w: it takes no client secret", ErrEndpointUnavailable)
}

// isErrorCode reports whether a text is an error code (RFC 6749 §5.2), which can
// stand in a log.
func isErrorCode(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// App returns the verifier of a name that has an app; an empty name is the only
// one. ErrNoApp where there is none, or where the name is missing and needed.
func (s *Set) App(name string) (*Verifier, error) {
	var found *Verifier
	for _, v := range s.all {
		if v.config.App == nil || name != "" && v.config.Name != name {
			continue
		}
		if found != nil {
			return nil, ErrNoApp
		}
		found = v
	}
	if found == nil {
		return nil, ErrNoApp
	}
	return found, nil
}
