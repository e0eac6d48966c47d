package impl

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
)

// Introspect tells a registered service what a token is (RFC 7662).
func (s *server) Introspect(ctx context.Context, req api.IntrospectRequestObject) (api.IntrospectResponseObject, error) {
	if _, err := s.authenticateClient(ctx, req.Body); err != nil {
		return nil, err
	}
	found, err := s.Sessions.Introspect(ctx, req.Body.Token)
	if err != nil {
		return nil, fmt.Errorf("introspecting: %w", err)
	}
	return introspection(found), nil
}

// Revoke ends the session of a token that a registered service presents (RFC 7009).
func (s *server) Revoke(ctx context.Context, req api.RevokeRequestObject) (api.RevokeResponseObject, error) {
	client, err := s.authenticateClient(ctx, req.Body)
	if err != nil {
		return nil, err
	}
	if err := s.Sessions.Revoke(ctx, req.Body.Token, client, infoOf(ctx).client); err != nil {
		return nil, fmt.Errorf("revoking: %w", err)
	}
	return api.Revoke200JSONResponse{Body: api.Empty{}, Headers: api.Revoke200ResponseHeaders{CacheControl: &noStore}}, nil
}

// authenticateClient returns the registered service that asks, by
// client_secret_basic or client_secret_post (RFC 6749 §2.3.1).
func (s *server) authenticateClient(ctx context.Context, body *api.PresentedToken) (repo.Client, error) {
	id, secret := body.ClientID, body.ClientSecret
	if h := infoOf(ctx).header; authorization(h) != "" {
		if secret != "" { // RFC 6749 §2.3: one method, not two
			return repo.Client{}, refused("/client_secret", "The client authenticates in the header or in the body, not in both.")
		}
		var ok bool
		if id, secret, ok = basicAuth(h); !ok || body.ClientID != "" && body.ClientID != id {
			return repo.Client{}, fmt.Errorf("reading the client's credentials: %w", session.ErrInvalidClient)
		}
	}
	if id == "" || secret == "" {
		return repo.Client{}, fmt.Errorf("no credentials of a client: %w", session.ErrInvalidClient)
	}
	client, err := s.Sessions.AuthenticateClient(ctx, id, secret, infoOf(ctx).client)
	if err != nil {
		return repo.Client{}, fmt.Errorf("authenticating a client: %w", err)
	}
	return client, nil
}

// basicAuth reads the Authorization header. What it holds is form-urlencoded
// before it is put together.
func basicAuth(h http.Header) (id, secret string, ok bool) {
	id, secret, ok = (&http.Request{Header: http.Header{"Authorization": {authorization(h)}}}).BasicAuth()
	id, err := url.QueryUnescape(id)
	if err != nil {
		return "", "", false
	}
	secret, err = url.QueryUnescape(secret)
	return id, secret, ok && err == nil
}

// authorization returns the Authorization header. Of two, it makes one that is
// nobody's (RFC 9110 §5.3): who stands before or behind this service may read the
// other one.
func authorization(h http.Header) string {
	return strings.Join(h.Values("Authorization"), ", ")
}

// refused says which field is wrong.
func refused(pointer, detail string) error {
	return &requestError{problem: problemInvalidRequest, fields: []api.FieldError{{Pointer: pointer, Detail: detail}}}
}

// introspection writes what a token is: its claims as they are, and over them what
// RFC 7662 §2.2 has a meaning of its own for.
type introspection session.Introspection

func (i introspection) VisitIntrospectResponse(w http.ResponseWriter) error {
	members := map[string]any{}
	if i.Active {
		maps.Copy(members, i.Access.Claims)
		members["username"] = i.User.Username
		members["token_type"] = "Bearer"
	}
	members["active"] = i.Active
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", noStore)
	w.WriteHeader(http.StatusOK)
	return json.NewEncoder(w).Encode(members)
}

// publicURL is where clients find what stands at a path below the base path. A
// proxy that puts the service below the issuer's path takes that path away, unless
// the base path has it too.
func (s *server) publicURL(path string) string {
	issuer := strings.TrimRight(s.Issuer, "/")
	if below := s.issuerPath(); strings.HasPrefix(s.BasePath+"/", below+"/") {
		issuer = strings.TrimSuffix(issuer, below)
	}
	return issuer + s.BasePath + path
}
