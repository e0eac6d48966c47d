package tokens

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ClaimSize is how many bytes of a token's payload a claim takes, its name and punctuation included.
type ClaimSize struct {
	Name  string
	Bytes int
}

// TooLargeError is ErrTooLarge with what is known of it. Its text names the largest custom claims with their sizes,
// and has nothing of their values.
type TooLargeError struct {
	Bytes, Budget int         // of the token
	Claims        []ClaimSize // the custom ones, the largest first
}

func (e *TooLargeError) Error() string {
	const named = 3
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %d bytes, the budget is %d", ErrTooLarge, e.Bytes, e.Budget)
	for i, c := range e.Claims[:min(named, len(e.Claims))] {
		sep := ", "
		if i == 0 {
			sep = "; the largest claims: "
		}
		fmt.Fprintf(&b, "%s%q %d bytes", sep, c.Name, c.Bytes)
	}
	return b.String()
}

func (e *TooLargeError) Unwrap() error { return ErrTooLarge }

// SizesOf measures claims, the largest first. What can't be written as JSON is left out.
func SizesOf(claims map[string]any) []ClaimSize {
	sizes := make([]ClaimSize, 0, len(claims))
	for name, v := range claims {
		if text, err := json.Marshal(map[string]any{name: v}); err == nil {
			sizes = append(sizes, ClaimSize{name, len(text) - 1}) // a comma for two braces
		}
	}
	slices.SortFunc(sizes, func(a, b ClaimSize) int {
		if a.Bytes != b.Bytes {
			return b.Bytes - a.Bytes
		}
		return strings.Compare(a.Name, b.Name)
	})
	return sizes
}

func (s *Service) tooLarge(size int, custom map[string]any) error {
	return &TooLargeError{Bytes: size, Budget: s.cfg.MaxTokenBytes, Claims: SizesOf(custom)}
}

// AccessSize returns how many bytes a token has that IssueAccess would issue now. It signs nothing and needs no keys:
// before Load, where an RSA key is longer than ours, it is an estimate. The errors are those of
// IssueAccess; with ErrTooLarge it returns the size too.
func (s *Service) AccessSize(u AccessSubject) (int, error) {
	now := s.cfg.Now()
	payload, err := s.accessPayload(u, now, now.Add(s.cfg.AccessLifetime))
	if err != nil {
		return 0, err
	}
	header, signature := s.headerAndSignature(now)
	head, err := json.Marshal(header)
	if err != nil {
		return 0, fmt.Errorf("encoding a header: %w", err)
	}
	enc := base64.RawURLEncoding
	size := enc.EncodedLen(len(head)) + 1 + enc.EncodedLen(len(payload)) + 1 + enc.EncodedLen(signature)
	if size > s.cfg.MaxTokenBytes {
		return size, s.tooLarge(size, u.Custom)
	}
	return size, nil
}

// Budget is Config.MaxTokenBytes.
func (s *Service) Budget() int { return s.cfg.MaxTokenBytes }

// thumbprintLength is the length of a kid that is a thumbprint (RFC 7638).
const thumbprintLength = 43

func (s *Service) headerAndSignature(now time.Time) (header map[string]any, signature int) {
	header = map[string]any{"typ": "JWT", "alg": s.cfg.Algorithm, "kid": strings.Repeat("x", thumbprintLength)}
	algorithm := s.cfg.Algorithm
	if key, err := s.set.Load().signer(algorithm, now); err == nil && s.hmac == nil {
		algorithm = key.method.Alg()
		header["alg"], header["kid"] = algorithm, key.id
		if public, ok := key.public.(*rsa.PublicKey); ok {
			return header, public.Size()
		}
	}
	switch algorithm {
	case HS256:
		delete(header, "kid")
		return header, 32
	case RS256:
		return header, 256
	}
	return header, 64
}
