// Package verify lets a service believe Gatehouse's access tokens without
// asking Gatehouse.
//
//   - [New] makes the [Verifier] of one issuer and one audience.
//   - [Verifier.Middleware] lets only requests with a good token through, and
//     [FromContext] tells the handler who it is.
//   - [Verifier.Verify] verifies one token, for what is not net/http.
//   - [Verifier.Run] keeps the keys, and the revocations, fresh in the background.
//
// The keys are those that the issuer publishes. They are fetched once, kept, and
// fetched again when they grow old or a token names one that is not among them;
// while the issuer can't be reached the last ones stay good for a day. A token
// that can't be judged then is told from one that is bad: [ErrUnavailable] is a
// 503, [ErrInvalidToken] a 401.
//
// A token is good until it expires, also after its session has ended, unless
// [Config.Revocations] asks for more. The package needs golang-jwt and the
// standard library.
package verify
