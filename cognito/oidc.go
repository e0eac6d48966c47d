package cognito

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// OIDC says how an OpenID provider is believed that is no Cognito pool. What is
// believed of it is the ID token (OpenID Connect Core §3.1.3.7); its access
// tokens are for others, and often no JWTs.
type OIDC struct {
	// Algorithms are those that ID tokens may be signed with: RS256, PS256, ES256, EdDSA. None: RS256.
	Algorithms []string
	// DiscoveryURL is where the metadata is. Empty: "/.well-known/openid-configuration" below the issuer, with "common"
	// for "{tenantid}".
	DiscoveryURL string
	// Tenants are the only ones that "{tenantid}" in Config.Issuer stands for: the issuer of an application of
	// Microsoft Entra that several tenants use.
	Tenants []string
	// IssuerAliases are further values of "iss" for the same issuer, like Google's "accounts.google.com".
	IssuerAliases []string
	// AuthorizationEndpoint and TokenEndpoint stand in the place of the metadata's. With both, and with Config.JWKSURL,
	// no metadata is fetched.
	AuthorizationEndpoint string
	TokenEndpoint         string
	// TokenEndpointAuth is how a client with a secret shows it: client_secret_basic or client_secret_post. Empty: as
	// the metadata says, by preference the first.
	TokenEndpointAuth string
}

const (
	tenantPlace = "{tenantid}"
	authBasic   = "client_secret_basic"
	authPost    = "client_secret_post"
)

// algorithms are those that a provider's keys can be asked for.
var algorithms = []string{jws.RS256, jws.PS256, jws.ES256, jws.EdDSA}

// check holds the provider to what New promises.
func (o *OIDC) check(c Config) error {
	tenanted := strings.Contains(c.Issuer, tenantPlace)
	switch {
	case c.Region != "" || c.UserPool != "" || len(c.ReplicaRegions) > 0:
		return errors.New("cognito: an OpenID provider has no region and no pool")
	case len(c.RequiredScopes) > 0:
		return errors.New("cognito: scopes can't be required of an OpenID provider: its access tokens are not read")
	case jwks.CheckURL(c.Issuer) != nil || strings.ContainsAny(c.Issuer, "?#"):
		return errors.New("cognito: an OpenID provider's issuer must be an https URL, or http on a loopback address")
	case tenanted != (len(o.Tenants) > 0):
		return errors.New("cognito: tenants go with an issuer that has {tenantid} in it")
	case slices.ContainsFunc(o.Tenants, func(tenant string) bool { return !isLabel(tenant) }):
		return errors.New("cognito: a tenant is named by its id")
	case tenanted && len(o.IssuerAliases) > 0:
		return errors.New("cognito: an issuer of many tenants has no aliases")
	case slices.Contains(o.IssuerAliases, ""):
		return errors.New("cognito: an issuer can't be empty")
	case o.TokenEndpointAuth != "" && o.TokenEndpointAuth != authBasic && o.TokenEndpointAuth != authPost:
		return errors.New("cognito: a secret is shown by client_secret_basic or client_secret_post")
	}
	for _, alg := range o.Algorithms {
		if !slices.Contains(algorithms, alg) {
			return fmt.Errorf("cognito: the algorithm %q is none of %s", alg, strings.Join(algorithms, ", "))
		}
	}
	for _, endpoint := range []string{o.DiscoveryURL, o.AuthorizationEndpoint, o.TokenEndpoint, c.JWKSURL} {
		if endpoint != "" && checkEndpoint(endpoint, true) != nil {
			return fmt.Errorf("cognito: %q is no https URL, nor http on a loopback address", endpoint)
		}
	}
	return nil
}

// locate finds the issuers, and says where the metadata and the keys are.
func (o *OIDC) locate(v *Verifier) error {
	c := v.config
	if err := o.check(c); err != nil {
		return err
	}
	v.issuers = append([]string{c.Issuer}, o.IssuerAliases...)
	if len(o.Tenants) > 0 {
		v.issuers = nil
		for _, tenant := range o.Tenants {
			v.issuers = append(v.issuers, strings.ReplaceAll(c.Issuer, tenantPlace, tenant))
		}
	}
	if c.JWKSURL == "" || o.AuthorizationEndpoint == "" || o.TokenEndpoint == "" {
		from := o.DiscoveryURL
		if from == "" {
			from = strings.TrimSuffix(strings.ReplaceAll(c.Issuer, tenantPlace, "common"), "/") + "/.well-known/openid-configuration"
		}
		v.discovery = &discovery{url: from, issuer: c.Issuer, kept: c.Store, client: v.client, now: c.Now, logger: c.Logger}
	}
	from := jwks.Config{URL: c.JWKSURL}
	if c.JWKSURL == "" {
		from.Locate = func(ctx context.Context) (string, error) {
			m, err := v.discovery.metadata(ctx)
			return m.JWKSURI, err
		}
	}
	keys, err := v.source(from)
	if err != nil {
		return err
	}
	v.sources = []*jwks.Source{keys}
	for _, issuer := range v.issuers {
		if v.keys[issuer] != nil {
			return fmt.Errorf("cognito: the issuer %q is given twice", issuer)
		}
		v.keys[issuer] = keys
	}
	return nil
}

// allowed are the algorithms of ID tokens.
func (v *Verifier) allowed() []string {
	if o := v.config.OIDC; o != nil && len(o.Algorithms) > 0 {
		return o.Algorithms
	}
	return []string{jws.RS256} // Cognito signs with no other
}

// checkIDToken checks what is peculiar to an ID token of an OpenID provider: that
// it is one, and no other JWT that the same keys sign (RFC 8725 §3.11), and that
// it is of the tenant that its issuer names.
func (v *Verifier) checkIDToken(t token) error {
	if typ, there := t.header["typ"]; there {
		if text, _ := typ.(string); !strings.EqualFold(text, "JWT") { // at+jwt, logout+jwt, ...
			return fmt.Errorf("%w: typ of the header", ErrTokenUse)
		}
	}
	// Keycloak's access and refresh tokens say what they are in "typ", Cognito's in "token_use".
	for name, want := range map[string]string{"typ": "ID", "token_use": useID} {
		if t.has(name) && t.text(name) != want {
			return fmt.Errorf("%w: %s", ErrTokenUse, name)
		}
	}
	if t.has("events") { // a logout token (OpenID Connect Back-Channel Logout §2.4)
		return fmt.Errorf("%w: events", ErrTokenUse)
	}
	if len(v.config.OIDC.Tenants) > 0 && strings.ReplaceAll(v.config.Issuer, tenantPlace, t.text("tid")) != t.text("iss") {
		return fmt.Errorf("%w: tid", ErrIssuer)
	}
	return nil
}

// audienceClient returns the client that an ID token of an OpenID provider was
// issued to, or "". Every audience must be one of ours, and so must "azp"; with
// several audiences it says which of them asked.
func (v *Verifier) audienceClient(t token) string {
	ours := func(value any) bool {
		client, _ := value.(string)
		return client != "" && slices.Contains(v.config.ClientIDs, client)
	}
	audience, isList := t.claims["aud"].([]any)
	if !isList {
		audience = []any{t.claims["aud"]}
	}
	asked, hasAZP := t.claims["azp"]
	if !hasAZP && len(audience) == 1 {
		asked = audience[0]
	}
	if len(audience) == 0 || !ours(asked) || slices.ContainsFunc(audience, func(a any) bool { return !ours(a) }) {
		return ""
	}
	client, _ := asked.(string)
	return client
}

// comesWith checks an ID token of an OpenID provider against the access token
// that was presented with it. Where at_hash is there, it says all. Where it is
// not, the access token is somebody else's to verify; if it reads as a JWT of
// the same issuer, it must at least name the same user, so that an app which
// mixes two sign-ins up is noticed. Entra gives each application a "sub" of its
// own, and all of them one "oid".
func (t token) comesWith(accessToken string) error {
	if t.has("at_hash") {
		if !t.hashFits(accessToken) {
			return ErrAccessTokenHash
		}
		return nil
	}
	access, err := parse(accessToken)
	if err != nil || access.text("iss") != t.text("iss") || !access.has("sub") {
		return nil //nolint:nilerr // it is opaque
	}
	if access.text("sub") != t.text("sub") && (!t.has("oid") || access.text("oid") != t.text("oid")) {
		return fmt.Errorf("%w: sub", ErrPair)
	}
	return nil
}
