package cognito

import (
	"errors"
	"fmt"
)

// ErrInvalidToken is wrapped by every refusal: errors.Is(err, ErrInvalidToken)
// says that the tokens are at fault, and not the network.
var ErrInvalidToken = errors.New("cognito: invalid token")

// Why a token was refused. They are for the log: whoever presents a token is
// told no more than that it was refused.
var (
	ErrMalformed        = fmt.Errorf("%w: malformed", ErrInvalidToken)
	ErrHeader           = fmt.Errorf("%w: header parameter not allowed", ErrInvalidToken)
	ErrAlgorithm        = fmt.Errorf("%w: algorithm not allowed", ErrInvalidToken)
	ErrUnknownKey       = fmt.Errorf("%w: unknown key", ErrInvalidToken)
	ErrSignature        = fmt.Errorf("%w: wrong signature", ErrInvalidToken)
	ErrIssuer           = fmt.Errorf("%w: wrong issuer", ErrInvalidToken)
	ErrTokenUse         = fmt.Errorf("%w: wrong token_use", ErrInvalidToken)
	ErrClient           = fmt.Errorf("%w: wrong client", ErrInvalidToken) // aud, azp or client_id
	ErrNoExpiry         = fmt.Errorf("%w: no expiry", ErrInvalidToken)
	ErrNotYetValid      = fmt.Errorf("%w: not yet valid", ErrInvalidToken) // nbf or iat
	ErrSubject          = fmt.Errorf("%w: no usable subject", ErrInvalidToken)
	ErrGroup            = fmt.Errorf("%w: in none of the required groups", ErrInvalidToken)
	ErrScope            = fmt.Errorf("%w: none of the required scopes", ErrInvalidToken)
	ErrPair             = fmt.Errorf("%w: the ID and the access token do not belong together", ErrInvalidToken)
	ErrAccessTokenHash  = fmt.Errorf("%w: at_hash is another access token's", ErrInvalidToken)
	ErrNonce            = fmt.Errorf("%w: wrong nonce", ErrInvalidToken)
	ErrEmailNotVerified = fmt.Errorf("%w: the e-mail address is not verified", ErrInvalidToken)
	// ErrExpired says that the token is genuine and its time is over.
	ErrExpired = fmt.Errorf("%w: expired", ErrInvalidToken)
)

// ErrKeysUnavailable says that the pool's keys can't be fetched, so that nothing
// can be said of the token. It does not wrap ErrInvalidToken; the same token may
// be good later.
var ErrKeysUnavailable = errors.New("cognito: keys unavailable")
