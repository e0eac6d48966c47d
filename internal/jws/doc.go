// Package jws reads compact JWS strictly, and verifies them under a key that is
// pinned to its algorithm. It knows nothing of claims.
//
//   - [Split] takes a token apart and believes nothing of it.
//   - [Object] reads its header, or its payload.
//   - [Key.Verify] checks the signature.
//
// One token has one spelling here, and one reading: base64url without padding
// and without loose bits, no line breaks, no member twice in an object
// (RFC 8725 §2.4), names compared exactly.
package jws
