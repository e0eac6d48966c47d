// Package claims computes what goes into an access token beyond the registered
// claims.
//
// New takes the rules of the configuration and refuses at once whatever could
// only fail later; Evaluate applies them to a user each time that a token is
// made, so a claim is never older than its token. The package reads no store
// and knows no token: it can be used by a stranger's program.
package claims
