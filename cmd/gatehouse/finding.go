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
	{cognito.ErrIssuer, "`region` and `user_pool` are another pool's"},
	{cognito.ErrClient, "add the app client to `client_ids`"},
	{cognito.ErrTokenUse, "the two tokens are mixed up, or one is sent twice"},
	{cognito.ErrUnknownKey, "the token is of another pool, or forged"},
	{cognito.ErrSignature, "forged"},
	{cognito.ErrExpired, "the SPA sent an old token: exchange it right after the sign-in"},
	{cognito.ErrNotYetValid, "a clock is wrong; `tokens.leeway` is 30 seconds"},
	{cognito.ErrPair, "send the pair of one sign-in"},
	{cognito.ErrAccessTokenHash, "send the pair of one sign-in"},
	{cognito.ErrGroup, "put the user into one of `required_groups`, and let them sign in anew"},
	{cognito.ErrScope, "the app asks the pool for one of `required_scopes`"},
	{cognito.ErrEmailNotVerified, "verify it in the pool, let the app client read `email_verified`, or set `unverified_email: accept`"},
	{cognito.ErrNonce, "the app did not send the `nonce` that it sent to the pool, or the pool puts none into the ID token"},
	{cognito.ErrKeysUnavailable, "the network between Gatehouse and the pool"},
	{cognito.ErrMalformed, "it is no token of a pool: it was cut off, or is something else"},
	{cognito.ErrAlgorithm, "it is signed with another algorithm than the provider is expected to use"},
	{cognito.ErrHeader, "forged"},
	{cognito.ErrNoExpiry, "it is no token of a pool"},
	{cognito.ErrSubject, "it is no token of a user"},
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
