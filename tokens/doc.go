// Package tokens issues and verifies Gatehouse's own tokens and looks after
// the keys that sign them.
//
// A Service is made by New, which does no I/O, and is ready once Load has read
// the signing keys (or made the first). Run keeps them fresh, and moves them
// along their timeline (timeline.go), in any number of replicas; Rotate, Import
// and Retire are for whoever does not want to wait for it, ListKeys tells what
// there is. The keys are in a store, sealed, or in a file (Config.KeyFile).
//
//   - IssueAccess and VerifyAccess: access tokens, which every other service
//     can verify with the keys that JWKS publishes.
//   - IssueRefresh and ParseRefresh: refresh tokens, which this service alone
//     reads. The same input gives the same bytes, on every replica.
//   - SignStatement: what this service says about something else than a user.
//   - DeriveKey: keys for other uses of the service's secret.
//
// Verification is strict: the algorithm is the key's, never the token's
// choice; the header may hold alg, kid and typ and nothing else; base64url
// must be canonical and JSON members must be unique; the signature is checked
// before a single claim is read.
package tokens
