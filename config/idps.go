package config

import (
	"fmt"
	"slices"
)

func (k *checker) idps(c Config) {
	seen := map[string]bool{}
	for i, p := range c.IDPs {
		key := fmt.Sprintf("idps[%d]", i)
		k.demand(p.Name != "" && p.Name != "password" && !seen[p.Name], "%s.name must be a name of its own", key)
		seen[p.Name] = true
		k.oneOf(key+".type", p.Type, "cognito")
		k.demand(len(p.ClientIDs) > 0 && !slices.Contains(p.ClientIDs, ""), "%s.client_ids must name the app clients", key)
		k.demand(!slices.Contains(p.RequiredGroups, "") && !slices.Contains(p.RequiredScopes, ""),
			"%s: required_groups and required_scopes can't have an empty name", key)
		k.demand(p.Region != "" && p.UserPool != "" || p.Issuer != "" && p.JWKSURL != "",
			"%s needs region and user_pool, or issuer and jwks_url", key)
		for _, u := range [...][2]string{{"issuer", p.Issuer}, {"jwks_url", p.JWKSURL}, {"hosted_ui", p.HostedUI}} {
			if u[1] != "" {
				k.url(key+"."+u[0], u[1])
			}
		}
		if p.UnverifiedEmail != "" {
			k.oneOf(key+".unverified_email", p.UnverifiedEmail, "refuse", "accept")
		}
	}
}
