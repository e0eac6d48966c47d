package cognito

import (
	"encoding/json"
	"errors"
	"math"
	"net/mail"
	"slices"
)

// ClaimNames says from which claims of an ID token an identity is read. Of the
// claims that are named for one thing, the first counts that is there and can be
// kept. A list that is nil stands for the default, one that is empty for none.
type ClaimNames struct {
	Username   []string // nil: cognito:username, username, preferred_username
	GivenName  []string // nil: given_name
	FamilyName []string // nil: family_name
	Email      []string // nil: email
	// EmailVerified speaks of the first of Email alone: of another address the provider says nothing there.
	EmailVerified []string          // nil: email_verified
	Attributes    map[string]string // claims that are handed on as they are, by the name that they get; nil: none
}

// Attributes are text, numbers and booleans, and lists of them.
const (
	maxAttributes    = 50
	maxAttributeText = 1024
	maxAttributeList = 100
	maxNumber        = 24 // digits
)

// withDefaults fills in what is nil, and refuses claims without a name.
func (n ClaimNames) withDefaults() (ClaimNames, error) {
	for _, list := range []struct {
		names    *[]string
		standard []string
	}{
		{&n.Username, []string{"cognito:username", "username", "preferred_username"}},
		{&n.GivenName, []string{"given_name"}},
		{&n.FamilyName, []string{"family_name"}},
		{&n.Email, []string{"email"}},
		{&n.EmailVerified, []string{"email_verified"}},
	} {
		if *list.names == nil {
			*list.names = list.standard
		}
		if slices.Contains(*list.names, "") {
			return n, errors.New("cognito: a claim needs a name")
		}
	}
	if len(n.Attributes) > maxAttributes {
		return n, errors.New("cognito: too many attributes")
	}
	for attribute, claim := range n.Attributes {
		if attribute == "" || claim == "" {
			return n, errors.New("cognito: an attribute and its claim need a name")
		}
	}
	return n, nil
}

// first returns the first claim that is text and can be kept, or nothing.
func (v *Verifier) first(t token, names []string, most int) string {
	for _, name := range names {
		if value := v.optional(t, name, most); value != "" {
			return value
		}
	}
	return ""
}

// email returns the address, or nothing, and what the provider says of it.
func (v *Verifier) email(t token) (string, EmailStatus) {
	for i, name := range v.config.Claims.Email {
		value := v.optional(t, name, maxEmail)
		if value == "" {
			continue
		}
		if parsed, err := mail.ParseAddress(value); err != nil || parsed.Address != value {
			v.dropped(name)
			continue
		}
		status := Unknown
		if i == 0 {
			status = v.emailStatus(t)
		}
		if status == Unknown && v.config.TrustEmail {
			status = Trusted
		}
		return value, status
	}
	return "", v.emailStatus(t)
}

// emailStatus reads what is said of the address.
func (v *Verifier) emailStatus(t token) EmailStatus {
	for _, name := range v.config.Claims.EmailVerified {
		switch value := t.claims[name]; value {
		case nil: // it is not there
		case true, "true":
			return Verified
		default:
			return Unverified
		}
	}
	return Unknown
}

// attributes returns the claims that are handed on; nil where there is none.
func (v *Verifier) attributes(t token) map[string]any {
	var found map[string]any
	for attribute, claim := range v.config.Claims.Attributes {
		value, there := t.claims[claim]
		switch {
		case !there || value == nil:
		case !isAttribute(value, true):
			v.dropped(claim)
		default:
			if found == nil {
				found = map[string]any{}
			}
			found[attribute] = value
		}
	}
	return found
}

// isAttribute reports whether a claim can be handed on; a list only where it is
// in no other.
func isAttribute(value any, lists bool) bool {
	switch value := value.(type) {
	case bool:
		return true
	case string:
		return value == "" || isClean(value, maxAttributeText)
	case json.Number:
		f, err := value.Float64()
		return err == nil && !math.IsInf(f, 0) && len(value) <= maxNumber
	case []any:
		return lists && len(value) <= maxAttributeList &&
			!slices.ContainsFunc(value, func(item any) bool { return !isAttribute(item, false) })
	}
	return false
}

func (v *Verifier) dropped(claim string) {
	v.config.Logger.Info("a claim can't be kept and is dropped", "claim", claim)
}
