package tokens

import (
	"errors"
	"fmt"
)

// ErrInvalidToken is what every refusal of VerifyAccess and ParseRefresh
// wraps: errors.Is(err, ErrInvalidToken) says that the token was at fault, and
// not the service.
var ErrInvalidToken = errors.New("tokens: invalid token")

// Why a token was refused. Each wraps ErrInvalidToken; they are for logs and
// metrics, and are not to be told to whoever presented the token.
var (
	// ErrMalformed says that the token has not the form of a JWT in compact serialization (RFC 7519 §3), or that
	// a claim has not the type that it must have.
	ErrMalformed = fmt.Errorf("%w: malformed", ErrInvalidToken)
	// ErrHeader says that the header has a parameter that our tokens never have (crit, jwk, jku, x5c, b64, ...).
	ErrHeader = fmt.Errorf("%w: header parameter not allowed", ErrInvalidToken)
	// ErrAlgorithm says that "alg" is not the algorithm of the key.
	ErrAlgorithm = fmt.Errorf("%w: algorithm not allowed", ErrInvalidToken)
	// ErrUnknownKey says that "kid" is missing or names no key of ours.
	ErrUnknownKey = fmt.Errorf("%w: unknown key", ErrInvalidToken)
	// ErrSignature says that the signature does not fit.
	ErrSignature = fmt.Errorf("%w: wrong signature", ErrInvalidToken)
	// ErrIssuer says that "iss" is missing or another's.
	ErrIssuer = fmt.Errorf("%w: wrong issuer", ErrInvalidToken)
	// ErrAudience says that "aud" names none of our audiences, or names some where we have none (RFC 7519 §4.1.3).
	ErrAudience = fmt.Errorf("%w: wrong audience", ErrInvalidToken)
	// ErrExpired says that "exp" has come.
	ErrExpired = fmt.Errorf("%w: expired", ErrInvalidToken)
	// ErrNoExpiry says that "exp" is missing.
	ErrNoExpiry = fmt.Errorf("%w: no expiry", ErrInvalidToken)
	// ErrNotYetValid says that "nbf" or "iat" lies in the future by more than the leeway.
	ErrNotYetValid = fmt.Errorf("%w: not yet valid", ErrInvalidToken)
	// ErrTokenType says that the token is of another kind than the one that is wanted here.
	ErrTokenType = fmt.Errorf("%w: wrong token type", ErrInvalidToken)
	// ErrNoUser says that the user-id claim is missing, is no id, or contradicts "sub".
	ErrNoUser = fmt.Errorf("%w: no user id", ErrInvalidToken)
	// ErrNoID says that "jti" is missing or no string.
	ErrNoID = fmt.Errorf("%w: no token id", ErrInvalidToken)
)

// Why a token was not issued.
var (
	// ErrNotReady says that no key may sign: Load has not succeeded yet.
	ErrNotReady = errors.New("tokens: no signing key is loaded")
	// ErrTooLarge says that the token would be larger than Config.MaxTokenBytes; see TooLargeError.
	ErrTooLarge = errors.New("tokens: token too large")
	// ErrReservedClaim says that a custom claim has a name that this package writes itself.
	ErrReservedClaim = errors.New("tokens: reserved claim")
	// ErrSessionOver says that the session ends within the second, so that no token can be issued in it.
	ErrSessionOver = errors.New("tokens: session is over")
	// ErrSubject says that a token was asked for without the ids that it must hold, or with one that is not UTF-8.
	ErrSubject = errors.New("tokens: incomplete subject")
)

// ErrSealed says that no secret opens a signing key that would have to sign.
var ErrSealed = errors.New("tokens: signing key cannot be unsealed")

// Why keys were not changed.
var (
	// ErrBadKey says that a key from outside is none that can be used, and why.
	ErrBadKey = errors.New("tokens: unusable key")
	// ErrKeyExists says that the key is there already, and does not retire.
	ErrKeyExists = errors.New("tokens: the key is there already")
	// ErrNoSuchKey says that there is no key of this id, or no more.
	ErrNoSuchKey = errors.New("tokens: no such key")
	// ErrLastSigner says that no other key may sign at this time.
	ErrLastSigner = errors.New("tokens: no other key can sign now")
)
