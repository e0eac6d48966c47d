package impl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/api"
)

// maxDepth bounds how deep a JSON body may nest; no operation needs more than
// a few levels.
const maxDepth = 32

// The media types of bodies.
const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

// body is what was read of a request's body.
type body struct {
	text   []byte         // nil: there is none
	object map[string]any // what a plain one holds, see plainObject; else nil
}

// readBody reads the request's body up to the limit and checks what no schema
// can say. The error is a *requestError.
func (s *server) readBody(w http.ResponseWriter, r *http.Request, mediaType string) (body, error) {
	if mediaType == mediaForm && r.URL.RawQuery != "" { // which net/http would merge with the form, and others log
		return body{}, &requestError{problem: problemInvalidRequest, fields: []api.FieldError{{Detail: "Nothing may stand in the query."}}}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.MaxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return body{}, &requestError{problem: problemBodyTooLarge}
		}
		return body{}, &requestError{problem: problemMalformedBody, cause: fmt.Errorf("reading the body: %w", err)}
	}
	if len(text) == 0 {
		return body{}, nil
	}
	if !isUTF8(r.Header.Get("Content-Type"), mediaType) {
		p := problemMediaType
		p.detail = "Send the body as " + mediaType + " in UTF-8."
		return body{}, &requestError{problem: p}
	}
	if mediaType == mediaJSON {
		if object, ok := plainObject(text); ok {
			return body{text, object}, nil
		}
	}
	check := checkJSON
	if mediaType == mediaForm {
		check = checkForm
	}
	if err := check(text); err != nil {
		return body{}, &requestError{problem: problemMalformedBody, cause: err}
	}
	return body{text: text}, nil
}

// isUTF8 reports whether a content type is the wanted one, in UTF-8. Where JSON is
// wanted, a form is refused on purpose: any site can make a browser send one (login CSRF).
func isUTF8(contentType, wanted string) bool {
	if contentType == wanted {
		return true
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != wanted {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

var (
	errNotUTF8   = errors.New("the body is not UTF-8")
	errTooDeep   = errors.New("the body nests too deep")
	errDuplicate = errors.New("the body has a member twice")
	errTrailing  = errors.New("the body goes on after its value")
	errSurrogate = errors.New("the body has half a surrogate pair")
	errNotObject = errors.New("the body is not an object")
	errSyntax    = errors.New("the body is not JSON")
	errForm      = errors.New("the body is not a form")
)

// checkForm holds a form to what net/url would let pass: it must be UTF-8 and
// name no parameter twice (RFC 6749 §3.1).
func checkForm(body []byte) error {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return errForm // its text quotes the body
	}
	for name, values := range form {
		if len(values) > 1 {
			return errDuplicate
		}
		if !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return errNotUTF8
		}
	}
	return nil
}

// maxPlain is how many members a plain object has at most, each of which is compared with each.
const maxPlain = 8

// plainObject reads, in one pass, the body that nearly every client sends: an object of a
// few texts and whole numbers, in ASCII on one line and without escapes, so that quotes stand around
// texts alone. Of any other, also of one that is wrong, ok is false, and checkJSON says what it is.
func plainObject(text []byte) (object map[string]any, ok bool) {
	for _, c := range text {
		if c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			return nil, false
		}
	}
	parts := strings.SplitN(string(text), `"`, 4*maxPlain+2) // { name : value , name : value }
	object = make(map[string]any, maxPlain)
	outside, wanted := strings.Trim(parts[0], " "), "{"
	for parts = parts[1:]; outside == wanted && len(parts) > 1; wanted = "," {
		name := parts[0]
		var value any
		if between := strings.Trim(parts[1], " "); between != ":" {
			value, outside = plainNumber(between)
			parts = parts[2:]
		} else if len(parts) > 3 {
			value, outside = parts[2], strings.Trim(parts[3], " ")
			parts = parts[4:]
		}
		for other := range object {
			if strings.EqualFold(name, other) {
				return nil, false
			}
		}
		if object[name] = value; value == nil {
			return nil, false
		}
	}
	return object, len(object) > 0 && outside == "}" && len(parts) == 0
}

// plainNumber reads what stands between the quotes around a number: ` : 3600 , `. It
// is nil where it is something else.
func plainNumber(between string) (number any, after string) {
	last := len(between) - 1
	if last < 0 || between[0] != ':' {
		return nil, ""
	}
	digits := strings.Trim(between[1:last], " ")
	if n, err := strconv.ParseUint(digits, 10, 32); err != nil || strconv.FormatUint(n, 10) != digits {
		return nil, ""
	}
	return json.Number(digits), between[last:]
}

// checkJSON holds a body to what encoding/json would let pass: it must be UTF-8,
// one object, not too deep, and name no member twice. Two names that differ in
// case alone count as the same, since encoding/json takes them for that.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return errNotUTF8
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	first, err := d.Token()
	if err != nil {
		return errSyntax // the decoder's own text quotes the body
	}
	if first != json.Delim('{') {
		return errNotObject
	}
	check := jsonChecker{decoder: d, replaced: !bytes.ContainsRune(body, utf8.RuneError) && !bytes.Contains(bytes.ToLower(body), []byte(`\ufffd`))}
	if err := check.object(1); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}

// jsonChecker walks over one body.
type jsonChecker struct {
	decoder  *json.Decoder
	replaced bool // a U+FFFD in a decoded string was not in the body: the decoder put it there for half a pair
}

// object checks what follows an opening brace, up to the closing one.
func (c *jsonChecker) object(depth int) error {
	seen := map[string]bool{}
	for c.decoder.More() {
		token, err := c.decoder.Token()
		if err != nil {
			return errSyntax
		}
		name, _ := token.(string) // the decoder lets nothing else stand for a name
		if err := c.text(name); err != nil {
			return err
		}
		folded := strings.ToLower(strings.ToUpper(name))
		if seen[folded] {
			return errDuplicate
		}
		seen[folded] = true
		if err := c.value(depth); err != nil {
			return err
		}
	}
	return c.closing()
}

// value checks one value that stands in a container of the given depth.
func (c *jsonChecker) value(depth int) error {
	token, err := c.decoder.Token()
	if err != nil {
		return errSyntax
	}
	switch t := token.(type) {
	case string:
		return c.text(t)
	case json.Delim:
		if depth++; depth > maxDepth {
			return errTooDeep
		}
		if t == '{' {
			return c.object(depth)
		}
		for c.decoder.More() {
			if err := c.value(depth); err != nil {
				return err
			}
		}
		return c.closing()
	}
	return nil
}

// closing takes the delimiter that ends a container.
func (c *jsonChecker) closing() error {
	if _, err := c.decoder.Token(); err != nil {
		return errSyntax
	}
	return nil
}

func (c *jsonChecker) text(s string) error {
	if c.replaced && strings.ContainsRune(s, utf8.RuneError) {
		return errSurrogate
	}
	return nil
}
