package impl

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/api"
)

// GetJWKS publishes the public keys.
func (s *server) GetJWKS(_ context.Context, req api.GetJWKSRequestObject) (api.GetJWKSResponseObject, error) {
	body, etag := s.Tokens.JWKS()
	return newDocument("application/json", body, etag, s.JWKSMaxAge, req.Params.IfNoneMatch), nil
}

// GetRevocations publishes which tokens must be refused before they expire.
func (s *server) GetRevocations(ctx context.Context, req api.GetRevocationsRequestObject) (api.GetRevocationsResponseObject, error) {
	statement, err := s.Revocations.Statement(ctx)
	if err != nil {
		return nil, fmt.Errorf("stating the revocations: %w", err)
	}
	return newDocument("application/jwt", statement.Body, statement.ETag, statement.MaxAge, req.Params.IfNoneMatch), nil
}

// GetAuthorizationServerMetadata publishes where everything is (RFC 8414).
func (s *server) GetAuthorizationServerMetadata(
	_ context.Context, req api.GetAuthorizationServerMetadataRequestObject,
) (api.GetAuthorizationServerMetadataResponseObject, error) {
	return s.metadata(req.Params.IfNoneMatch)
}

// GetOpenIDConfiguration publishes the same for those who look for it there.
func (s *server) GetOpenIDConfiguration(
	_ context.Context, req api.GetOpenIDConfigurationRequestObject,
) (api.GetOpenIDConfigurationResponseObject, error) {
	return s.metadata(req.Params.IfNoneMatch)
}

// metadata describes the issuer. RFC 8414 §3.2 wants lists without elements left
// out, and demands one of response types: "none" is the registered one that
// hands out nothing.
func (s *server) metadata(ifNoneMatch string) (document, error) {
	methods := []string{"client_secret_basic", "client_secret_post"}
	m := api.Metadata{
		Issuer: s.Issuer, ResponseTypesSupported: []string{"none"}, SubjectTypesSupported: []string{"public"},
		IntrospectionEndpoint: s.publicURL("/introspect/"), IntrospectionEndpointAuthMethodsSupported: methods,
		RevocationEndpoint: s.publicURL("/revoke/"), RevocationEndpointAuthMethodsSupported: methods,
	}
	keys, _ := s.Tokens.JWKS()
	var set api.JWKSet
	if err := json.Unmarshal(keys, &set); err != nil {
		return document{}, fmt.Errorf("reading the key set: %w", err)
	}
	for _, key := range set.Keys {
		if !slices.Contains(m.IDTokenSigningAlgValuesSupported, string(key.Alg)) {
			m.IDTokenSigningAlgValuesSupported = append(m.IDTokenSigningAlgValuesSupported, string(key.Alg))
		}
	}
	if len(set.Keys) > 0 {
		m.JwksURI = strings.TrimSuffix(s.Issuer, "/") + wellKnown + "jwks.json"
	} else { // the key of HS256 is a secret
		m.IDTokenSigningAlgValuesSupported = []string{"HS256"}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return document{}, fmt.Errorf("encoding the metadata: %w", err)
	}
	digest := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(digest[:18]) + `"`
	return newDocument("application/json", body, etag, s.JWKSMaxAge, ifNoneMatch), nil
}

// document is what anybody may cache, written to the byte as it is.
type document struct {
	contentType, etag, cacheControl string
	body                            []byte
	known                           bool // the client's copy is this one
}

func newDocument(contentType string, body []byte, etag string, maxAge time.Duration, ifNoneMatch string) document {
	return document{
		contentType: contentType, body: body, etag: etag, known: matches(ifNoneMatch, etag),
		cacheControl: fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds())),
	}
}

// matches reports whether an If-None-Match header names this ETag (RFC 9110 §13.1.2).
func matches(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == etag || candidate == "*" {
			return true
		}
	}
	return false
}

func (d document) write(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Cache-Control", d.cacheControl)
	h.Set("ETag", d.etag)
	if d.known {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", d.contentType)
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(d.body)
	return err
}

func (d document) VisitGetJWKSResponse(w http.ResponseWriter) error { return d.write(w) }

func (d document) VisitGetRevocationsResponse(w http.ResponseWriter) error { return d.write(w) }

func (d document) VisitGetAuthorizationServerMetadataResponse(w http.ResponseWriter) error {
	return d.write(w)
}

func (d document) VisitGetOpenIDConfigurationResponse(w http.ResponseWriter) error { return d.write(w) }
