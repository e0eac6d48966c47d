package impl

import (
	"context"
	"fmt"
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
