package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/repo"
)

// maxAttributes bounds the attributes that identity providers add to, in bytes.
const maxAttributes = 16 << 10

// follow keeps what the provider says now of somebody who has signed in. What it
// says nothing of any more stays as it was. An ID token that was used before
// changes nothing; spent says that it was used by this very sign-in.
func (s *Service) follow(ctx context.Context, u repo.User, i cognito.Identity, spent bool, now time.Time) (repo.User, error) {
	for range maxTries {
		if !u.IsActive { // it is refused, and nothing of it changes
			return u, nil
		}
		fresh := s.followed(u, i)
		if fresh.Email == u.Email && fresh.EmailVerified == u.EmailVerified && fresh.FirstName == u.FirstName &&
			fresh.LastName == u.LastName && bytes.Equal(fresh.Attributes, u.Attributes) {
			return u, nil
		}
		if !spent {
			if used, err := s.usedBefore(ctx, i.IDTokenDigest); err != nil || used {
				return u, err
			}
		}
		fresh.UpdatedAt = now
		err := s.Store.FollowProfile(ctx, fresh, u.UpdatedAt)
		if err == nil {
			return fresh, nil
		}
		if !errors.Is(err, repo.ErrStale) {
			return repo.User{}, fmt.Errorf("following a profile: %w", err)
		}
		if u, err = s.Store.FindUser(ctx, u.ID); errors.Is(err, repo.ErrNotFound) {
			return repo.User{}, ErrAccountDisabled // deleted a moment ago
		} else if err != nil {
			return repo.User{}, fmt.Errorf("finding a user: %w", err)
		}
	}
	return u, nil // others say it too, just now
}

// followed is the user as the provider says.
func (s *Service) followed(u repo.User, i cognito.Identity) repo.User {
	switch {
	case i.Email == "", i.Email == u.Email && i.EmailVerified == cognito.Unknown:
	default:
		u.Email, u.EmailVerified = i.Email, i.EmailVerified.Counts()
	}
	if s.Providers[i.Provider].FollowNames {
		if i.GivenName != "" {
			u.FirstName = i.GivenName
		}
		if i.FamilyName != "" {
			u.LastName = i.FamilyName
		}
	}
	u.Attributes = s.withAttributes(u, i)
	return u
}

// withAttributes returns the attributes of the user with those that the provider
// says; they stay as they are where that would be too much.
func (s *Service) withAttributes(u repo.User, i cognito.Identity) json.RawMessage {
	if len(i.Attributes) == 0 {
		return u.Attributes
	}
	all := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(u.Attributes))
	d.UseNumber() // as they were written
	if len(u.Attributes) > 0 && d.Decode(&all) != nil || all == nil {
		return u.Attributes // no object, or null
	}
	changed := false
	for name, value := range i.Attributes {
		changed = changed || !reflect.DeepEqual(all[name], value)
		all[name] = value
	}
	if !changed {
		return u.Attributes
	}
	merged, err := json.Marshal(all)
	if err != nil || len(merged) > maxAttributes {
		s.Logger.Warn("the attributes of an identity are too large and are dropped", "user", u.ID, "idp", i.Provider)
		return u.Attributes
	}
	return merged
}
