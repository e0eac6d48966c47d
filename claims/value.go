package claims

import (
	"encoding/json"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

const (
	// maxDepth bounds how deep a claim may nest: verifiers read 32 levels of a token, of which the claims are the first.
	maxDepth = 31
	// maxAnswerBytes bounds what one expression, webhook or function may give. It is more than any token can hold: the
	// token service has the last word.
	maxAnswerBytes = 64 << 10
)

// decodeValue reads one JSON value as encoding/json does, but numbers stay as
// they are written and no member may be there twice.
func decodeValue(raw json.RawMessage) (any, error) {
	object, ok := jws.ObjectOf(append(append([]byte(`{"v":`), raw...), '}'))
	v, given := object["v"]
	if !ok || !given || len(object) != 1 || len(raw) > maxAnswerBytes || !readable(v, maxDepth) {
		return nil, fmt.Errorf("%w: it is not JSON, names a member twice, nests too deep or is too large", ErrValue)
	}
	return v, nil
}

// readable reports whether every verifier can read v: it nests no deeper than
// depth, and a double holds each number, if need be rounded. Of 1e400 some make an
// infinity, and others refuse the token.
func readable(v any, depth int) bool {
	switch v := v.(type) {
	case json.Number:
		_, err := v.Float64()
		return err == nil
	case map[string]any:
		for _, member := range v {
			if depth == 0 || !readable(member, depth-1) {
				return false
			}
		}
		return depth > 0
	case []any:
		for _, element := range v {
			if depth == 0 || !readable(element, depth-1) {
				return false
			}
		}
		return depth > 0
	}
	return true
}
