package main

import (
	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/session"
)

// claimNames says where the users of an identity provider are read from.
func claimNames(p config.IDP) cognito.ClaimNames {
	return cognito.ClaimNames{
		Username: p.Claims.Username, GivenName: p.Claims.FirstName, FamilyName: p.Claims.LastName,
		Email: p.Claims.Email, EmailVerified: p.Claims.EmailVerified, Attributes: p.Attributes,
	}
}

// userPolicies says what becomes of the users of the identity providers.
func userPolicies(c config.Config) map[string]session.Provider {
	policies := map[string]session.Provider{}
	for _, p := range c.IDPs {
		policies[p.Name] = session.Provider{
			UserIDFromSubject: p.UserIDFromSubject, FollowNames: p.FollowNames, LinkByEmail: p.LinkByEmail, LinkStaff: p.LinkStaff,
		}
	}
	return policies
}
