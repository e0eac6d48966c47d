package impl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// operation is one operation of the contract, ready to check requests.
type operation struct {
	route   routers.Route
	options openapi3filter.Options
	schema  *openapi3.Schema // of a JSON body
	absent  []string         // the headers without which the parameters are right, if easy
	easy    bool             // no parameter is elsewhere than in a header, required, or has a default
}

// newOperation finds an operation of the document by the pattern that the
// generated code registers it under.
func newOperation(doc *openapi3.T, pattern string) (operation, error) {
	method, path, _ := strings.Cut(strings.TrimSuffix(pattern, "{$}"), " ")
	item := doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		return operation{}, fmt.Errorf("impl: the contract has no %s", pattern)
	}
	o := operation{
		route: routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		options: openapi3filter.Options{
			MultiError:         true,
			KeepValidatedValue: true, // else {"role":…,"ROLE":…} is checked by the one and bound from the other
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			// Error texts must not echo what was sent: it may be a password.
			SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.DisableSchemaErrorDetails()},
		},
		easy: len(item.Parameters) == 0,
	}
	for _, p := range o.route.Operation.Parameters {
		o.absent = append(o.absent, http.CanonicalHeaderKey(p.Value.Name))
		o.easy = o.easy && p.Value.In == openapi3.ParameterInHeader && !p.Value.Required && p.Value.Schema.Value.Default == nil
	}
	if mediaType, _ := o.body(); mediaType == mediaJSON {
		o.schema = o.route.Operation.RequestBody.Value.Content[mediaJSON].Schema.Value
	}
	return o, nil
}

// body is the media type of the operation's body, "" where it has none, and
// whether it must have one.
func (o operation) body() (mediaType string, required bool) {
	if o.route.Operation.RequestBody == nil {
		return "", false
	}
	body := o.route.Operation.RequestBody.Value
	if body.Content[mediaForm] != nil {
		return mediaForm, body.Required
	}
	return mediaJSON, body.Required
}

// validate checks a request against the contract; sent is what was read of its body.
// A required body that is missing is taken for an empty one, so that the
// client is told which fields it wants. The error is a *requestError.
func (o operation) validate(r *http.Request, sent body) error {
	mediaType, required := o.body()
	if o.isPlainlyValid(r, sent) {
		r.Body = http.NoBody
		if sent.text != nil {
			r.Body = validBody{bytes.NewReader(sent.text), sent.object}
		}
		return nil
	}
	if lines := r.Header["If-None-Match"]; len(lines) > 1 { // of the contract's headers the one that is a list (RFC 9110 §5.3)
		r.Header.Set("If-None-Match", strings.Join(lines, ", "))
	}
	body := sent.text
	if required && body == nil {
		body = map[string][]byte{mediaJSON: []byte("{}"), mediaForm: []byte("&")}[mediaType]
	}
	r.Body = http.NoBody
	if body != nil {
		r.Header.Set("Content-Type", mediaType)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.ContentLength = int64(len(body))
	err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: o.pathParams(r), Route: &o.route, Options: &o.options,
	})
	if err == nil {
		return nil
	}
	fields := fieldErrors(err, "", nil)
	return &requestError{problem: problemInvalidRequest, fields: fields}
}

// asRequest is how openapi3filter looks at a body.
var asRequest = openapi3.VisitAsRequest()

// isPlainlyValid reports whether a request is valid as openapi3filter.ValidateRequest would find it,
// without its work: to read the body twice more, and to look for parameters that are not
// there. Where it is not plain, or not valid, ValidateRequest has the word.
func (o operation) isPlainlyValid(r *http.Request, sent body) bool {
	if !o.easy || slices.ContainsFunc(o.absent, func(name string) bool { return r.Header[name] != nil }) {
		return false
	}
	if sent.text == nil {
		_, required := o.body()
		return !required
	}
	return sent.object != nil && o.schema.VisitJSON(sent.object, asRequest) == nil
}

// validBody is a body with the value that was found valid, from which the generated
// code binds, as openapi3filter leaves it with KeepValidatedValue.
type validBody struct {
	*bytes.Reader
	object map[string]any
}

func (validBody) Close() error { return nil }

// ValidatedValue returns the value.
func (b validBody) ValidatedValue() any { return b.object }

// pathParams returns what the mux has found in the path.
func (o operation) pathParams(r *http.Request) map[string]string {
	params := map[string]string{}
	for _, p := range o.route.Operation.Parameters {
		if p.Value.In == openapi3.ParameterInPath {
			params[p.Value.Name] = r.PathValue(p.Value.Name)
		}
	}
	return params
}

// fieldErrors flattens what the validator found. It uses nothing of its texts.
func fieldErrors(err error, pointer string, found []api.FieldError) []api.FieldError {
	var many openapi3.MultiError
	if errors.As(err, &many) && !isRequestError(err) {
		for _, e := range many {
			found = fieldErrors(e, pointer, found)
		}
		return found
	}
	if request, ok := errors.AsType[*openapi3filter.RequestError](err); ok {
		if request.Parameter != nil {
			return append(found, api.FieldError{Pointer: request.Parameter.Name, Detail: "Not a valid value."})
		}
		if request.Err != nil {
			return fieldErrors(request.Err, pointer, found)
		}
	}
	if schema, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		for _, part := range schema.JSONPointer() {
			pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
		}
		return append(found, api.FieldError{Pointer: pointer, Detail: fieldDetail(schema)})
	}
	return append(found, api.FieldError{Pointer: pointer, Detail: "Not a valid value."})
}

func isRequestError(err error) bool {
	_, ok := err.(*openapi3filter.RequestError) //nolint:errorlint // only the outermost one counts here
	return ok
}

// fieldDetail puts a violation into the words that the seed's clients know.
func fieldDetail(e *openapi3.SchemaError) string {
	text, _ := e.Value.(string)
	switch {
	case e.SchemaField == "required":
		return "This field is required."
	case e.SchemaField == "nullable", e.Value == nil:
		return "This field may not be null."
	case strings.ContainsRune(text, 0):
		return "Null characters are not allowed."
	case e.SchemaField == "minLength", e.SchemaField == "pattern" && strings.TrimSpace(text) == "":
		return "This field may not be blank."
	case e.SchemaField == "maxLength" && e.Schema.MaxLength != nil:
		return fmt.Sprintf("Ensure this field has no more than %d characters.", *e.Schema.MaxLength)
	case e.SchemaField == "type" && e.Schema.Type.Is("string"):
		return "Not a valid string."
	}
	return "Not a valid value."
}
