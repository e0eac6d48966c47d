package verify

import (
	"errors"
	"fmt"
)

// ErrInvalidToken is wrapped by every refusal: errors.Is(err, ErrInvalidToken)
// says that the token is at fault, and not the network.
var ErrInvalidToken = errors.New("verify: invalid token")

// Why a token was refused. They are for the log: whoever presents a token is
// told no more than that it was refused.
var (
	ErrMalformed   = fmt.Errorf("%w: malformed", ErrInvalidToken)
	ErrHeader      = fmt.Errorf("%w: header parameter not allowed", ErrInvalidToken) // crit, jwk, jku, x5u, x5c, b64
	ErrAlgorithm   = fmt.Errorf("%w: algorithm not allowed", ErrInvalidToken)        // or not the key's
	ErrUnknownKey  = fmt.Errorf("%w: unknown key", ErrInvalidToken)
	ErrSignature   = fmt.Errorf("%w: wrong signature", ErrInvalidToken)
	ErrTokenType   = fmt.Errorf("%w: not an access token", ErrInvalidToken) // "typ" or "token_type"
	ErrIssuer      = fmt.Errorf("%w: wrong issuer", ErrInvalidToken)
	ErrAudience    = fmt.Errorf("%w: wrong audience", ErrInvalidToken)
	ErrNoExpiry    = fmt.Errorf("%w: no expiry", ErrInvalidToken)
	ErrExpired     = fmt.Errorf("%w: expired", ErrInvalidToken)
	ErrNotYetValid = fmt.Errorf("%w: not yet valid", ErrInvalidToken) // "nbf" or "iat"
	ErrNoUser      = fmt.Errorf("%w: no user id", ErrInvalidToken)    // or one that contradicts "sub"
	ErrRevoked     = fmt.Errorf("%w: revoked", ErrInvalidToken)
)

// ErrUnavailable says that nothing can be said of a token now; the same one may
// be good later. It does not wrap ErrInvalidToken.
var ErrUnavailable = errors.New("verify: can't be verified now")

// Why nothing can be said.
var (
	ErrKeysUnavailable        = fmt.Errorf("%w: no keys", ErrUnavailable)
	ErrRevocationsUnavailable = fmt.Errorf("%w: no current statement of revocations", ErrUnavailable)
)
