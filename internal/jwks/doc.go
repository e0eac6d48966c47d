// Package jwks keeps the key set of one issuer, so that it survives what
// networks do.
//
//   - [Source.Key] returns the key of an id, and fetches where that may help.
//   - [Source.Run] keeps the set fresh in the background.
//
// One fetch serves all who wait. Made-up key ids cause one fetch for each
// cooldown. Answers are bounded, redirects are not followed, and of what comes
// only keys are taken that can verify signatures, each with one algorithm. What
// was fetched once stays good for a stated time while the issuer can't be
// reached or publishes no key, also beyond the process where there is a [Store].
package jwks
