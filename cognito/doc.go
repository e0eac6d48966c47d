// Package cognito believes exactly the right tokens of AWS Cognito user pools,
// and ID tokens of other OpenID providers.
//
//   - [New] makes the verifier of one pool, or with [Config.OIDC] of one provider; [NewSet] joins several.
//   - [Verifier.VerifyPair] verifies an ID token and the access token that came with it, and says who signed in.
//   - [Verifier.VerifyID] and [Verifier.VerifyAccess] verify one of the two.
//   - [Verifier.ExchangeCode] exchanges an authorization code at the provider itself, so that no token reaches the browser.
//   - [Verifier.Run] keeps the keys, and the metadata, fresh in the background.
//
// It is strict with what is signed: issuer, client, purpose, times and
// algorithm must be as configured, and a setting that is missing is an error of
// New, never a check that is left out. It is forgiving with networks: keys that
// were fetched once stay good for a day while the provider can't be reached.
package cognito
