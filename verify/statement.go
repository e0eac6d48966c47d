package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sort"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jwks"
	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

const (
	statementType = "revocations+jwt"
	// maxStatement bounds the answer, in bytes: some 500,000 sessions.
	maxStatement = 8 << 20
	// hashBytes are kept of the hash of a session's or a user's id.
	hashBytes    = 8
	fetchTimeout = 3 * time.Second
	// overdue is how long a token has been over when what was revoked is no longer sure to be stated. The issuer states it
	// for a minute beyond the life of tokens; half of that is for its replicas' clocks.
	overdue = 30 * time.Second
)

// statement is a verified statement of revocations.
type statement struct {
	issuedAt, expiresAt time.Time
	lifetime            time.Duration        // of access tokens: what lives longer, it knows nothing about
	sessions            []byte               // the hashes of those that ended, sorted, one behind the other
	users               map[string]time.Time // by the hash of the id: tokens of then or before are refused
}

// names reports whether the statement refuses a token.
func (s *statement) names(c Claims) bool {
	if c.SessionID != "" {
		hash := shortHash(c.SessionID)
		entry := func(i int) []byte { return s.sessions[i*hashBytes : (i+1)*hashBytes] }
		n := len(s.sessions) / hashBytes
		i := sort.Search(n, func(i int) bool { return bytes.Compare(entry(i), hash) >= 0 })
		if i < n && bytes.Equal(entry(i), hash) {
			return true
		}
	}
	// A token without iat has a zero time, which is before any cut-off.
	until, there := s.users[base64.RawURLEncoding.EncodeToString(shortHash(c.UserID))]
	return there && !c.IssuedAt.After(until)
}

// covers reports whether the statement would name the token, if it was revoked:
// it looks back as far as tokens live.
func (s *statement) covers(c Claims) bool {
	return c.ExpiresAt.Sub(c.IssuedAt) <= s.lifetime
}

// isAfter reports whether the token was over when the statement was made: both
// times are the issuer's, and no difference of clocks excuses it.
func (s *statement) isAfter(c Claims) bool {
	return s.issuedAt.After(c.ExpiresAt.Add(overdue))
}

func shortHash(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:hashBytes]
}

// fetched is what a fetch has brought.
type fetched struct {
	statement *statement // nil: the one that is known goes on
	etag      string
	fresh     time.Duration
}

// fetchStatement gets the statement where it is another than that of the tag, and verifies it.
func (v *Verifier) fetchStatement(ctx context.Context, client *http.Client, etag string) (fetched, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.config.RevocationsURL, nil)
	if err != nil {
		return fetched{}, err
	}
	req.Header.Set("Accept", "application/jwt")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fetched{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // what was read is checked
	got := fetched{etag: resp.Header.Get("ETag"), fresh: jwks.FreshFor(resp.Header, maxFresh)}
	if etag != "" && resp.StatusCode == http.StatusNotModified {
		return got, nil
	}
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode != http.StatusOK || err != nil || media != "application/jwt" {
		return fetched{}, fmt.Errorf("the answer is %s, and no statement", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatement+1))
	if err != nil {
		return fetched{}, err
	}
	got.statement, err = v.readStatement(ctx, string(body))
	return got, err
}

// readStatement verifies a statement. Its errors do not wrap ErrInvalidToken:
// it is not the token's fault.
func (v *Verifier) readStatement(ctx context.Context, body string) (*statement, error) {
	t, err := v.open(ctx, body, maxStatement)
	if err != nil {
		return nil, fmt.Errorf("the statement: %s", err) //nolint:errorlint // see above
	}
	if t.header["typ"] != statementType {
		return nil, errors.New("the answer is signed, and no statement")
	}
	if t.claims["iss"] != v.config.Issuer {
		return nil, errors.New("the statement is of another issuer")
	}
	issuedAt, okIssued := jws.NumericDate(t.claims["iat"])
	expiresAt, okExpires := jws.NumericDate(t.claims["exp"])
	lifetime, okLifetime := jws.NumericDate(t.claims["access_lifetime"]) // seconds too
	users, okUsers := cutoffs(t.claims["users"])
	sessions, okSessions := hashes(t.claims["sessions"])
	if !okIssued || !okExpires || !okLifetime || !okUsers || !okSessions {
		return nil, errors.New("the statement is malformed")
	}
	now := v.config.Now()
	if !now.Before(expiresAt) || issuedAt.After(now.Add(v.config.Leeway)) {
		return nil, errors.New("the statement has expired, or is not yet valid")
	}
	return &statement{issuedAt, expiresAt, time.Duration(lifetime.UnixNano()), sessions, users}, nil
}

// hashes reads "sessions"; they must be sorted, or some would not be found.
func hashes(claim any) ([]byte, bool) {
	text, isText := claim.(string)
	packed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !isText || err != nil || len(packed)%hashBytes != 0 {
		return nil, false
	}
	for i := hashBytes; i < len(packed); i += hashBytes {
		if bytes.Compare(packed[i-hashBytes:i], packed[i:i+hashBytes]) >= 0 {
			return nil, false
		}
	}
	return packed, true
}

// cutoffs reads "users".
func cutoffs(claim any) (map[string]time.Time, bool) {
	members, ok := claim.(map[string]any)
	users := make(map[string]time.Time, len(members))
	for hash, value := range members {
		until, isDate := jws.NumericDate(value)
		if hash, err := base64.RawURLEncoding.Strict().DecodeString(hash); err != nil || len(hash) != hashBytes || !isDate {
			return nil, false
		}
		users[hash] = until
	}
	return users, ok
}
