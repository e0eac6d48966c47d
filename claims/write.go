package claims

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// writer makes JSON values of CEL's. What an expression computes may share its
// parts and so be far larger written out than it is in memory: the writer stops
// when its room is used up.
type writer struct{ room int }

func newWriter() *writer { return &writer{room: maxAnswerBytes} }

// take uses up room, at least as much as n bytes of JSON need.
func (w *writer) take(n int) error {
	if w.room -= n; w.room < 0 {
		return fmt.Errorf("%w: it has more than %d bytes", ErrValue, maxAnswerBytes)
	}
	return nil
}

// write returns a value of those that encoding/json decodes into.
func (w *writer) write(v ref.Val, depth int) (any, error) {
	if err := w.take(2); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return json.Number(strconv.FormatInt(int64(v), 10)), nil
	case types.Uint:
		return json.Number(strconv.FormatUint(uint64(v), 10)), nil
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%w: JSON has no NaN and no infinity", ErrValue)
		}
		text, err := json.Marshal(float64(v))
		return json.Number(text), err
	case types.String:
		if !utf8.ValidString(string(v)) {
			return nil, fmt.Errorf("%w: it is not UTF-8", ErrValue)
		}
		return string(v), w.take(len(v))
	case types.Timestamp:
		return timeText(v.Time), w.take(len("2006-01-02T15:04:05.000000Z"))
	case *types.Optional:
		if !v.HasValue() {
			return nil, errAbsent
		}
		return w.write(v.GetValue(), depth)
	case traits.Mapper:
		return w.object(v, depth-1)
	case traits.Lister:
		return w.array(v, depth-1)
	}
	return nil, fmt.Errorf("%w: a token can't hold %s", ErrValue, v.Type().TypeName())
}

func (w *writer) object(m traits.Mapper, depth int) (any, error) {
	if depth < 0 {
		return nil, fmt.Errorf("%w: it nests too deep", ErrValue)
	}
	object := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok || !utf8.ValidString(string(name)) {
			return nil, fmt.Errorf("%w: the keys of an object are text", ErrValue)
		}
		if err := w.take(len(name)); err != nil {
			return nil, err
		}
		member, err := w.write(m.Get(key), depth)
		if err != nil {
			return nil, err
		}
		object[string(name)] = member
	}
	return object, nil
}

func (w *writer) array(l traits.Lister, depth int) (any, error) {
	if depth < 0 {
		return nil, fmt.Errorf("%w: it nests too deep", ErrValue)
	}
	array := []any{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		element, err := w.write(it.Next(), depth)
		if err != nil {
			return nil, err
		}
		array = append(array, element)
	}
	return array, nil
}
