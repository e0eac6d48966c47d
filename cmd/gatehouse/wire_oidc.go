package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/config"
)

// openIDProvider returns nil where the provider is a Cognito pool.
func openIDProvider(p config.IDP) *cognito.OIDC {
	if p.Type != "oidc" {
		return nil
	}
	return &cognito.OIDC{
		Algorithms: p.Algorithms, DiscoveryURL: p.DiscoveryURL, Tenants: p.Tenants, IssuerAliases: p.IssuerAliases,
		AuthorizationEndpoint: p.AuthorizationEndpoint, TokenEndpoint: p.TokenEndpoint, TokenEndpointAuth: p.TokenEndpointAuth,
	}
}

// identityProviderApp returns nil where the provider is a pool without a hosted
// UI.
func identityProviderApp(p config.IDP) (*cognito.App, error) {
	if p.HostedUI == "" && p.Type != "oidc" {
		return nil, nil //nolint:nilnil // none is not an error
	}
	app := &cognito.App{HostedUI: p.HostedUI, ClientID: p.ClientIDs[0], RedirectURIs: p.RedirectURIs, Scopes: p.Scopes}
	if p.ClientSecretFile != "" {
		secret, err := os.ReadFile(p.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("identity provider %q: the client secret: %w", p.Name, err)
		}
		app.ClientSecret = strings.TrimRight(string(secret), "\r\n")
	}
	return app, nil
}
