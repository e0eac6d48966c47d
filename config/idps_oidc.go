package config

import (
	"slices"
	"strings"
)

// pool checks a provider that is a Cognito pool.
func (k *checker) pool(key string, p IDP) {
	k.demand(p.Region != "" && p.UserPool != "" || p.Issuer != "" && p.JWKSURL != "",
		"%s needs region and user_pool, or issuer and jwks_url", key)
	for _, u := range [...][2]string{{"issuer", p.Issuer}, {"jwks_url", p.JWKSURL}, {"hosted_ui", p.HostedUI}} {
		if u[1] != "" {
			k.url(key+"."+u[0], u[1])
		}
	}
	k.demand(p.DiscoveryURL == "" && len(p.Algorithms) == 0 && len(p.IssuerAliases) == 0 && len(p.Tenants) == 0 &&
		p.AuthorizationEndpoint == "" && p.TokenEndpoint == "" && p.TokenEndpointAuth == "",
		"%s: discovery_url, algorithms, issuer_aliases, tenants, authorization_endpoint, token_endpoint and token_endpoint_auth are for type oidc", key)
}

// openIDProvider checks a provider that is found by its issuer.
func (k *checker) openIDProvider(key string, p IDP) {
	k.demand(p.Region == "" && p.UserPool == "" && len(p.ReplicaRegions) == 0 && p.HostedUI == "" && len(p.RequiredScopes) == 0,
		"%s: region, user_pool, replica_regions, hosted_ui and required_scopes are for type cognito", key)
	k.url(key+".issuer", p.Issuer)
	for _, u := range [...][2]string{
		{"jwks_url", p.JWKSURL}, {"discovery_url", p.DiscoveryURL},
		{"authorization_endpoint", p.AuthorizationEndpoint}, {"token_endpoint", p.TokenEndpoint},
	} {
		if u[1] != "" {
			address, query, _ := strings.Cut(u[1], "?")
			k.url(key+"."+u[0], address)
			k.demand(!strings.Contains(query, "#"), "%s.%s can't have a fragment", key, u[0])
		}
	}
	for _, alg := range p.Algorithms {
		k.oneOf(key+".algorithms", alg, "RS256", "PS256", "ES256", "EdDSA")
	}
	if p.TokenEndpointAuth != "" {
		k.oneOf(key+".token_endpoint_auth", p.TokenEndpointAuth, "client_secret_basic", "client_secret_post")
	}
	k.demand(strings.Contains(p.Issuer, "{tenantid}") == (len(p.Tenants) > 0), "%s: tenants go with an issuer that has {tenantid} in it", key)
	k.demand(len(p.Tenants) == 0 || len(p.IssuerAliases) == 0, "%s: an issuer of many tenants has no issuer_aliases", key)
	k.demand(!slices.Contains(p.Tenants, "") && !slices.Contains(p.IssuerAliases, ""), "%s: tenants and issuer_aliases can't have an empty name", key)
}
