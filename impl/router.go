package impl

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/getkin/kin-openapi/openapi3"
)

const (
	contractBase = "/auth"         // where the contract has what base_path moves
	wellKnown    = "/.well-known/" // where RFC 8615 has what describes a host
)

// router is the generated code's mux. It registers each operation with and
// without the trailing slash, under the configured base path, behind the checks
// that the contract asks for, and answers for what is not registered.
type router struct {
	server *server
	doc    *openapi3.T
	mux    *http.ServeMux
	err    error // the last pattern that the contract does not have
}

func newRouter(s *server, doc *openapi3.T) *router {
	return &router{server: s, doc: doc, mux: http.NewServeMux()}
}

// HandleFunc registers an operation under the pattern of the generated code.
func (rt *router) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	op, err := newOperation(rt.doc, pattern)
	if err != nil {
		rt.err = err
		return
	}
	method, at, _ := strings.Cut(pattern, " ")
	if rest, ok := strings.CutPrefix(at, contractBase+"/"); ok {
		at = rt.server.BasePath + "/" + rest
	}
	checked := rt.server.check(op, handler)
	rt.mux.HandleFunc(method+" "+at, checked)
	if bare, ok := strings.CutSuffix(at, "/{$}"); ok {
		rt.mux.HandleFunc(method+" "+bare, checked)
	}
	if below := rt.server.issuerPath(); below != "" && strings.HasPrefix(at, wellKnown) {
		rt.mux.HandleFunc(method+" "+below+at, checked) // OpenID Connect Discovery appends
		rt.mux.HandleFunc(method+" "+at+below, checked) // RFC 8414 §3.1 inserts
	}
}

// issuerPath is the path of the issuer's URL, without a slash at its end.
func (s *server) issuerPath() string {
	u, err := url.Parse(s.Issuer)
	if err != nil {
		return "" // compared as text by everybody else
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}

// ServeHTTP serves what is registered, and answers for the rest in place of the
// mux, whose answers are text and whose redirects lose a POST.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") {
		rt.server.writeProblem(w, r, &requestError{problem: problemNotFound})
		return
	}
	if _, pattern := rt.mux.Handler(r); pattern != "" {
		rt.mux.ServeHTTP(w, r)
		return
	}
	allowed := rt.allowed(r)
	if len(allowed) == 0 {
		rt.server.writeProblem(w, r, &requestError{problem: problemNotFound})
		return
	}
	w.Header().Set("Allow", strings.Join(append(allowed, http.MethodOptions), ", "))
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	rt.server.writeProblem(w, r, &requestError{problem: problemMethodNotAllowed})
}

// allowed returns the methods that the request's path has.
func (rt *router) allowed(r *http.Request) []string {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := *r
		probe.Method = method
		if _, pattern := rt.mux.Handler(&probe); pattern != "" {
			methods = append(methods, method)
		}
	}
	return methods
}

// check puts before an operation what its contract and the browser's origin
// demand of a request.
func (s *server) check(op operation, handler http.HandlerFunc) http.HandlerFunc {
	mediaType, _ := op.body()
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.origin.Check(r); err != nil {
			s.writeProblem(w, r, &requestError{problem: problemOrigin, cause: err})
			return
		}
		var sent body
		if mediaType != "" {
			var err error
			if sent, err = s.readBody(w, r, mediaType); err != nil {
				s.writeProblem(w, r, err)
				return
			}
		}
		if err := op.validate(r, sent); err != nil {
			s.writeProblem(w, r, err)
			return
		}
		handler(w, r)
	}
}

// bindingError is what the generated code could not bind: the validator is in
// front of it, so that only what no schema can say comes here.
func (s *server) bindingError(w http.ResponseWriter, r *http.Request, err error) {
	s.writeProblem(w, r, &requestError{
		problem: problemInvalidRequest, fields: []api.FieldError{{Pointer: unbound(err), Detail: "Not a valid value."}},
		cause: fmt.Errorf("binding: %w", err),
	})
}

// unbound is where the value is that could not be bound: a parameter that is there
// twice, or a number that is no integer to encoding/json, as 1e3. Of
// anything else it is "", the whole.
func unbound(err error) (pointer string) {
	if param, ok := errors.AsType[*api.InvalidParamFormatError](err); ok {
		return param.ParamName
	}
	if param, ok := errors.AsType[*api.TooManyValuesForParamError](err); ok {
		return param.ParamName
	}
	if member, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "/" + member.Field
	}
	return ""
}
