package cognito

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// App is the one client of a pool that Gatehouse signs users in with itself.
type App struct {
	HostedUI     string   // URL of the hosted UI: /oauth2/authorize and /oauth2/token are below it; required
	ClientID     string   // one of Config.ClientIDs; required
	ClientSecret string   // of a confidential client; empty: a public one
	RedirectURIs []string // where users may come back to, compared byte by byte; nil: wherever the pool lets them
	Scopes       []string // nil: openid, email and profile
}

// Code is an authorization code with what belongs to it.
type Code struct {
	Code        string
	Verifier    string // code_verifier (RFC 7636 §4.1)
	RedirectURI string // as in the authorization request
	Nonce       string // as in the authorization request; empty: none is asked for
}

var (
	// ErrCode says that the pool refused the code, or the verifier, client or redirect URI that came with it.
	ErrCode = errors.New("cognito: the authorization code was refused")
	// ErrRedirectURI says that a redirect URI is none of the app's.
	ErrRedirectURI = errors.New("cognito: the redirect URI is not allowed")
	// ErrNoApp says that the pool has no app to sign users in with, or that no pool has the name.
	ErrNoApp = errors.New("cognito: no such app")
	// ErrEndpointUnavailable says that the token endpoint does not answer, or not with what it should. Whether it has
	// taken the code is not known.
	ErrEndpointUnavailable = errors.New("cognito: token endpoint unavailable")
)

// maxTokenAnswer bounds the token endpoint's answer, in bytes.
const maxTokenAnswer = 64 << 10

// checkApp holds the app to what New promises.
func checkApp(c Config) error {
	a := c.App
	if a == nil {
		return nil
	}
	if err := checkURL(a.HostedUI); err != nil {
		return errors.New("cognito: the hosted UI must be an https URL, or http on a loopback address")
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
// without state, nonce and code challenge, which are the browser's to add.
func (v *Verifier) AuthorizeURL(redirectURI string) (string, error) {
	a := v.config.App
	if a == nil {
		return "", ErrNoApp
	}
	if !a.admits(redirectURI) {
		return "", ErrRedirectURI
	}
	scopes := a.Scopes
	if scopes == nil {
		scopes = []string{"openid", "email", "profile"}
	}
	return a.endpoint("authorize") + "?" + url.Values{
		"response_type": {"code"}, "client_id": {a.ClientID}, "redirect_uri": {redirectURI}, "scope": {strings.Join(scopes, " ")},
	}.Encode(), nil
}

func (a *App) endpoint(name string) string {
	return strings.TrimSuffix(a.HostedUI, "/") + "/oauth2/" + name
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
	idToken, accessToken, err := v.redeem(ctx, a, code)
	if err != nil {
		return Identity{}, err
	}
	identity, err := v.VerifyPair(ctx, idToken, accessToken)
	if err != nil {
		return Identity{}, err
	}
	if t, err := parse(idToken); err != nil || code.Nonce != "" && t.text("nonce") != code.Nonce {
		return Identity{}, ErrNonce
	}
	if identity.ClientID != a.ClientID {
		return Identity{}, ErrClient
	}
	return identity, nil
}

// redeem asks the token endpoint.
func (v *Verifier) redeem(ctx context.Context, a *App, code Code) (idToken, accessToken string, err error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code.Code}, "code_verifier": {code.Verifier},
		"redirect_uri": {code.RedirectURI}, "client_id": {a.ClientID},
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint("token"), strings.NewReader(form.Encode()))
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrEndpointUnavailable, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if a.ClientSecret != "" {
		req.SetBasicAuth(url.QueryEscape(a.ClientID), url.QueryEscape(a.ClientSecret)) // RFC 6749 §2.3.1
	}
	resp, err := v.client.Do(req)
	if err != nil {
		// The error of a client has the URL, and that no secret; the form is in the body.
		return "", "", fmt.Errorf("%w: %w", ErrEndpointUnavailable, err)
	}
	defer resp.Body.Close() //nolint:errcheck // what was read is checked
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrEndpointUnavailable, err)
	}
	var tokens struct {
		IDToken     string `json:"id_token"`
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	wellFormed := json.Unmarshal(body, &tokens) == nil
	switch {
	case wellFormed && resp.StatusCode == http.StatusOK && tokens.IDToken != "" && tokens.AccessToken != "":
		return tokens.IDToken, tokens.AccessToken, nil
	case wellFormed && (resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnauthorized) && isErrorCode(tokens.Error):
		return "", "", fmt.Errorf("%w: %s", ErrCode, tokens.Error)
	}
	return "", "", fmt.Errorf("%w: the answer is %s", ErrEndpointUnavailable, resp.Status)
}

// isErrorCode reports whether a text is an error code of RFC 6749 §5.2, which can
// stand in a log.
func isErrorCode(s string) bool {
	return slices.Contains([]string{
		"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	}, s)
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
