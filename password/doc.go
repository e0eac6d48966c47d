// Package password hashes passwords with argon2id, verifies every encoding that
// Django writes, and says which new passwords are good enough.
//
//   - [Hasher.Hash] encodes a password as Django's Argon2PasswordHasher does, so that a Django can read it.
//   - [Hasher.Verify] checks one, and says when it should be encoded anew.
//   - [Hasher.VerifyNone] does the same work for a user who is not there.
//   - [Check] holds a new password to the rules of OWASP ASVS 5.0 V6.2.
//
// Hashing is bounded: so many at once, so many waiting, and [ErrBusy] beyond.
package password
