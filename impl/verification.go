package impl

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-auth/gatehouse/api"
)

// Verify checks an access token, by its signature and its claims alone.
func (s *server) Verify(_ context.Context, req api.VerifyRequestObject) (api.VerifyResponseObject, error) {
	if _, err := s.Tokens.VerifyAccess(strings.TrimSpace(req.Body.Token), s.Now()); err != nil {
		return nil, fmt.Errorf("verifying: %w", err)
	}
	return api.Verify200JSONResponse{Body: api.Empty{}, Headers: api.Verify200ResponseHeaders{CacheControl: &noStore}}, nil
}

// GetJWKS publishes the public keys.
func (s *server) GetJWKS(_ context.Context, req api.GetJWKSRequestObject) (api.GetJWKSResponseObject, error) {
	body, etag := s.Tokens.JWKS()
	cacheControl := fmt.Sprintf("public, max-age=%d", int(s.JWKSMaxAge.Seconds()))
	if matches(req.Params.IfNoneMatch, etag) {
		return api.GetJWKS304Response{Headers: api.GetJWKS304ResponseHeaders{CacheControl: cacheControl, ETag: etag}}, nil
	}
	return keySet{body: body, etag: etag, cacheControl: cacheControl}, nil
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

// keySet writes the JWK Set as package tokens has made it, to the byte.
type keySet struct {
	body               []byte
	etag, cacheControl string
}

func (k keySet) VisitGetJWKSResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", k.cacheControl)
	h.Set("ETag", k.etag)
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(k.body)
	return err
}
