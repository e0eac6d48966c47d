package cognito

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// What is taken of an answer.
const (
	maxSetBytes = 512 << 10
	maxKeys     = 100
	maxKeyID    = 256 // bytes
	minRSABits  = 2048
	maxRSABits  = 8192
)

// keySet is a JWK Set that was read.
type keySet struct {
	url     string // where it was fetched
	body    []byte
	keys    map[string]*rsa.PublicKey // by id
	ignored int                       // that can't be used
}

// noRedirects returns a client that fetches from where it is told alone: whoever
// can redirect the fetch can choose the keys.
func noRedirects(client *http.Client) *http.Client {
	if client == nil {
		client = &http.Client{Timeout: fetchTimeout}
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// fetch gets the key set and reads it.
func (s *keySource) fetch(ctx context.Context) (keySet, error) {
	url, err := s.where(ctx)
	if err != nil {
		return keySet{}, err
	}
	body, err := fetchDocument(ctx, s.client, url)
	if err != nil {
		return keySet{}, err
	}
	set, err := s.parse(body)
	set.url = url
	return set, err
}

// fetchDocument gets a JSON document of bounded size.
func fetchDocument(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // what was read is checked
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxSetBytes {
		return nil, errors.New("the answer is too large")
	}
	return body, nil
}

// parse reads a JWK Set (RFC 7517 §5). Keys that can't be used are passed over
// with a line in the log; a set without any that can is an error.
func (s *keySource) parse(body []byte) (keySet, error) {
	var answer struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return keySet{}, errors.New("the answer is not a JWK Set")
	}
	if len(answer.Keys) > maxKeys {
		return keySet{}, errors.New("the answer has too many keys")
	}
	set := keySet{body: body, keys: map[string]*rsa.PublicKey{}}
	for _, raw := range answer.Keys {
		kid, key, err := usableKey(raw)
		if err == nil && set.keys[kid] != nil {
			err = errors.New("its id is there twice")
		}
		if err != nil {
			s.logger.Warn("a key is passed over", "kid", kid, "error", err)
			set.ignored++
			continue
		}
		set.keys[kid] = key
	}
	if len(set.keys) == 0 {
		return keySet{}, errors.New("the answer has no usable key")
	}
	return set, nil
}

// usableKey reads one key, and says why it can't verify signatures.
func usableKey(raw []byte) (kid string, key *rsa.PublicKey, err error) {
	parsed, err := jwk.ParseKey(raw)
	if err != nil {
		return "", nil, errors.New("it is not a JWK")
	}
	kid, _ = parsed.KeyID()
	alg, hasAlg := parsed.Algorithm()
	use, hasUse := parsed.KeyUsage()
	ops, hasOps := parsed.KeyOps()
	switch {
	case kid == "" || len(kid) > maxKeyID:
		return "", nil, errors.New("it has no usable id")
	case hasAlg && alg.String() != algorithm:
		return kid, nil, errors.New("it is of another algorithm")
	case hasUse && use != "sig":
		return kid, nil, errors.New("it is not for signatures")
	case hasOps && !slices.Contains(ops, jwk.KeyOpVerify):
		return kid, nil, errors.New("it is not for verifying")
	}
	key = &rsa.PublicKey{}
	if err := jwk.Export(parsed, key); err != nil {
		return kid, nil, errors.New("it is not a public RSA key")
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits || key.E < 3 || key.E%2 == 0 {
		return kid, nil, errors.New("it is too weak, or too large")
	}
	return kid, key, nil
}
