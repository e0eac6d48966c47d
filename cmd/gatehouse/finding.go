package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/cognito"
)

// What a check can come to.
const (
	isOK       = "ok"
	isWarning  = "warning"
	isFailed   = "failed"
	notReached = "not reached"
)

// finding is what one check found.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, warning, failed, not reached
	Detail string `json:"detail,omitempty"`
	Cure   string `json:"cure,omitempty"`
}

type findings []finding

func (f *findings) add(check, result, detail, cure string) {
	*f = append(*f, finding{check, result, detail, cure})
}

// tell adds a failure where there is an error, and otherwise that all is well.
func (f *findings) tell(check string, err error, detail, cure string) {
	if err != nil {
		f.add(check, isFailed, err.Error(), cure)
		return
	}
	f.add(check, isOK, detail, "")
}

func (f findings) failed() bool {
	return slices.ContainsFunc(f, func(one finding) bool { return one.Result == isFailed })
}

func (f findings) text() string {
	var lines []string
	for _, one := range f {
		line := fmt.Sprintf("%-12s%s", one.Result, one.Check)
		if one.Detail != "" {
			line += ": " + one.Detail
		}
		lines = append(lines, shown(line))
		if one.Cure != "" {
			lines = append(lines, shown("            -> "+one.Cure))
		}
	}
	return strings.Join(lines, "\n")
}

// cures says what helps against a check that refuses the tokens of an identity
// provider, in the words of docs/cognito.md.
var cures = []struct {
	err  error
	cure string
}{
	{cognito.ErrIssuer, "`region` and `user_pool` are another pool's. Of an OpenID provider: `issuer` must be to the letter what `iss` is (mind the slash at the end), or `tenants` lacks the tenant. \"the authorization response\": the code is of another provider than `idp` names"},
	{cognito.ErrClient, "add the client to `client_ids`; an OpenID provider's token may have no other audience beside"},
	{cognito.ErrTokenUse, "the two tokens are mixed up, or one is sent twice; of an OpenID provider, an access token is in the place of the ID token"},
	{cognito.ErrUnknownKey, "the token is of another pool or provider, or forged"},
	{cognito.ErrSignature, "forged"},
	{cognito.ErrExpired, "the SPA sent an old token: exchange it right after the sign-in"},
	{cognito.ErrNotYetValid, "a clock is wrong; `tokens.leeway` is 30 seconds"},
	{cognito.ErrPair, "send the pair of one sign-in"},
	{cognito.ErrAccessTokenHash, "send the pair of one sign-in"},
	{cognito.ErrGroup, "put the user into one of `required_groups`, and let them sign in anew; of an OpenID provider, let it put the groups into `groups_claim`"},
	{cognito.ErrScope, "the app asks the pool for one of `required_scopes` (a sign-in by SRP has `aws.cognito.signin.user.admin` alone)"},
	{cognito.ErrEmailNotVerified, "verify it at the provider, let the pool's app client read `email_verified`, map it where another provider is behind the pool, or set `unverified_email: accept`"},
	{cognito.ErrNonce, "the app did not send the `nonce` that it sent to the provider, or the provider puts none into the ID token; `require_nonce` asks for it always"},
	{cognito.ErrKeysUnavailable, "the network between Gatehouse and the pool or provider, or what the log says of its metadata"},
	{cognito.ErrMalformed, "the app sends something else than the token: cut off, in quotes, or with a claim that has another type than it must have"},
	{cognito.ErrAlgorithm, "a pool signs by RS256; of an OpenID provider list what it signs with in `algorithms`"},
	{cognito.ErrHeader, "forged: no provider puts keys into the header"},
	{cognito.ErrNoExpiry, "the provider must put `exp` into its tokens"},
	{cognito.ErrSubject, "the provider must put `sub` into its tokens: a text of at most 255 bytes"},
}

func cureOf(err error) string {
	for _, c := range cures {
		if errors.Is(err, c.err) {
			return c.cure
		}
	}
	return ""
}

// tokenFindings are the checks of an identity provider's tokens; of says which of
// them are asked for, all where it is empty.
func tokenFindings(checks []cognito.Check, of string) findings {
	var found findings
	for _, c := range checks {
		if of != "" && c.Of != of {
			continue
		}
		name := c.Of + ": " + c.Name
		switch {
		case !c.Reached:
			found.add(name, notReached, "", "")
		case c.Err != nil:
			found.add(name, isFailed, reason(c.Err), cureOf(c.Err))
		default:
			found.add(name, isOK, "", "")
		}
	}
	return found
}

// reason is the text of an error about a token, without what they all begin with.
func reason(err error) string {
	text := err.Error()
	for _, prefix := range []string{"cognito: ", "tokens: ", "invalid token: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
