package cognito

import (
	"crypto/sha256"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxSubject is how long a subject can be, in bytes: OpenID Connect Core §2 allows
// 255 ASCII characters. Some providers put others into it, where it is as short.
const maxSubject = 255

// What is kept of a claim, in characters; a longer one is not.
const (
	maxUsername = 1024 // whoever needs a shorter name cuts it
	maxName     = 150
	maxEmail    = 254 // RFC 5321 §4.5.3.1.3
	maxGroups   = 100
)

// EmailStatus is what a pool says of an e-mail address.
type EmailStatus int

// The statuses. A pool says true or false, as a boolean or, for attributes of
// federated users, as text; anything else counts as false.
const (
	Unknown    EmailStatus = iota // it says nothing
	Verified                      // it vouches for the address
	Unverified                    // it does not
	Trusted                       // it says nothing, and Config.TrustEmail speaks for it
)

// Counts reports whether the address is to be taken for the user's own.
func (s EmailStatus) Counts() bool { return s == Verified || s == Trusted }

// Identity is who signed in, as the pool says.
type Identity struct {
	Provider string // Config.Name
	Issuer   string // with Subject: who it is, for ever; the same for all issuers of a pool
	Subject  string
	ClientID string
	Username string // may be empty, and may change hands

	// What Config.Claims names, and the groups. They are empty where the pool says nothing, or nothing that can be kept:
	// they are dropped where they hold NUL or are too long, Email where it is no address.
	Email         string
	EmailVerified EmailStatus
	GivenName     string
	FamilyName    string
	Groups        []string
	Attributes    map[string]any // by the names of ClaimNames.Attributes; of JSON's types, numbers as json.Number

	IssuedAt      time.Time
	ExpiresAt     time.Time
	IDTokenDigest [sha256.Size]byte // of what was signed of the token that was verified; tells whether it was seen before
}

// identity reads who a verified token is about.
func (v *Verifier) identity(t token) (Identity, error) {
	exp, _ := t.time("exp")
	iat, _ := t.time("iat")
	i := Identity{
		Provider: v.config.Name, Issuer: v.canonical(t.text("iss")), Subject: t.text("sub"), ClientID: t.client,
		Username:  v.first(t, v.config.Claims.Username, maxUsername),
		GivenName: v.first(t, v.config.Claims.GivenName, maxName), FamilyName: v.first(t, v.config.Claims.FamilyName, maxName),
		Attributes: v.attributes(t),
		// Not of the signature: whoever has one of ES256 can make a second (r, n−s), and with it the same token again.
		IssuedAt: iat, ExpiresAt: exp, IDTokenDigest: sha256.Sum256([]byte(t.compact.Signed)),
	}
	i.Email, i.EmailVerified = v.email(t)
	groups, _ := t.claims[v.config.GroupsClaim].([]any)
	for _, entry := range groups[:min(len(groups), maxGroups)] {
		if group, _ := entry.(string); isClean(group, maxName) {
			i.Groups = append(i.Groups, group)
		}
	}
	// A pool that says nothing of an address does not vouch for it. Of other providers many never say anything.
	unproved := i.EmailVerified == Unverified || i.EmailVerified == Unknown && v.config.OIDC == nil
	if i.Email != "" && unproved && v.config.UnverifiedEmail == RefuseUnverified {
		return Identity{}, ErrEmailNotVerified
	}
	return i, nil
}

func (t token) has(name string) bool {
	value, there := t.claims[name]
	return there && value != nil
}

// optional returns a claim that can be kept, or nothing.
func (v *Verifier) optional(t token, name string, most int) string {
	value := t.text(name)
	if value != "" && !isClean(value, most) {
		v.dropped(name)
		return ""
	}
	return value
}

// isClean reports whether text can be stored and shown: not empty, not longer than
// most characters, UTF-8, and without control characters.
func isClean(s string, most int) bool {
	if s == "" || utf8.RuneCountInString(s) > most || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}
