package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Names are the names of claims. One alone can stand for a list of one.
type Names []string

// IDPClaims says where users are read from. A key that is missing has its
// default.
type IDPClaims struct {
	Username      Names `yaml:"username"`
	FirstName     Names `yaml:"first_name"`
	LastName      Names `yaml:"last_name"`
	Email         Names `yaml:"email"`
	EmailVerified Names `yaml:"email_verified"`
}

// UnmarshalYAML reads a text, or a list of them.
func (n *Names) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		var one string
		err := node.Decode(&one)
		*n = Names{one}
		return err
	}
	return node.Decode((*[]string)(n))
}

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
		k.idpUsers(key, p)
		if p.UnverifiedEmail != "" {
			k.oneOf(key+".unverified_email", p.UnverifiedEmail, "refuse", "accept")
		}
	}
}

// idpUsers checks what becomes of a provider's users.
func (k *checker) idpUsers(key string, p IDP) {
	for _, names := range []Names{p.Claims.Username, p.Claims.FirstName, p.Claims.LastName, p.Claims.Email, p.Claims.EmailVerified} {
		k.demand(!slices.Contains(names, ""), "%s.claims: a claim needs a name", key)
	}
	for attribute, claim := range p.Attributes {
		k.demand(attribute != "" && claim != "", "%s.attributes: an attribute and its claim need a name", key)
	}
	k.demand(len(p.Attributes) <= 50, "%s.attributes can't be more than 50", key)
	k.demand(p.LinkByEmail || !p.LinkStaff, "%s.link_staff needs link_by_email", key)
}
