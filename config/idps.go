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
		k.oneOf(key+".type", p.Type, "cognito", "oidc")
		k.demand(len(p.ClientIDs) > 0 && !slices.Contains(p.ClientIDs, ""), "%s.client_ids must name the clients", key)
		k.demand(!slices.Contains(p.RequiredGroups, "") && !slices.Contains(p.RequiredScopes, ""),
			"%s: required_groups and required_scopes can't have an empty name", key)
		if p.Type == "oidc" {
			k.openIDProvider(key, p)
		} else {
			k.pool(key, p)
		}
		k.demand(len(p.Scopes) == 0 || slices.Contains(p.Scopes, "openid"), "%s.scopes must have openid", key)
		if p.UnverifiedEmail != "" {
			k.oneOf(key+".unverified_email", p.UnverifiedEmail, "refuse", "accept")
		}
	}
}
