package impl

import (
	"bytes"
	"context"

	"github.com/gatehouse-auth/gatehouse/api"
)

// GetHealth says that the process serves requests.
func (s *server) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return api.GetHealth200JSONResponse{Body: api.Health{Status: api.HealthStatusOk, Version: s.Version}}, nil
}

// GetReadiness says whether the service can do its work.
func (s *server) GetReadiness(ctx context.Context, _ api.GetReadinessRequestObject) (api.GetReadinessResponseObject, error) {
	state := api.Readiness{Status: api.Ready, Database: api.ReadinessDatabaseOk, Keys: api.ReadinessKeysOk}
	if err := s.Store.Ping(ctx); err != nil {
		s.Logger.WarnContext(ctx, "not ready", "error", err)
		state.Status, state.Database = api.NotReady, api.ReadinessDatabaseUnavailable
	}
	if !s.Tokens.Ready() {
		state.Status, state.Keys = api.NotReady, api.ReadinessKeysMissing
	}
	if s.Closing.Err() != nil {
		state.Status = api.ShuttingDown
	}
	if state.Status != api.Ready {
		return api.GetReadiness503JSONResponse{Body: state}, nil
	}
	return api.GetReadiness200JSONResponse{Body: state}, nil
}

// GetOpenAPI hands out the contract.
func (s *server) GetOpenAPI(context.Context, api.GetOpenAPIRequestObject) (api.GetOpenAPIResponseObject, error) {
	return api.GetOpenAPI200ApplicationYamlResponse{
		Body: bytes.NewReader(s.Contract.text), ContentLength: int64(len(s.Contract.text)),
	}, nil
}
