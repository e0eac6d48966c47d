package claims

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// The types of the two variables.
const (
	userType    = "User"
	sessionType = "Session"
)

func newEnv() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	return cel.NewEnv(
		cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), cel.ParserExpressionSizeLimit(maxExpressionRunes),
		cel.CustomTypeProvider(provider{registry, fields()}), cel.CustomTypeAdapter(adapter{registry}),
		cel.Variable("user", cel.ObjectType(userType)), cel.Variable("session", cel.ObjectType(sessionType)),
	)
}

// activation binds the variables to a subject.
type activation struct{ subject *subject }

func (a activation) ResolveName(name string) (any, bool) {
	return a.subject, name == "user" || name == "session"
}

func (a activation) Parent() cel.Activation { return nil }

// provider knows the fields of the variables, so that a mistyped one is found at start.
type provider struct {
	types.Provider
	fields map[string]map[string]*types.FieldType
}

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if p.fields[name] != nil {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if p.fields[name] != nil {
		t, ok := p.fields[name][field]
		return t, ok
	}
	return p.Provider.FindStructFieldType(name, field)
}

func fields() map[string]map[string]*types.FieldType {
	field := func(t *types.Type, get func(*subject) any) *types.FieldType {
		return &types.FieldType{
			Type:  t,
			IsSet: func(any) bool { return true },
			GetFrom: func(target any) (any, error) {
				s, ok := target.(*subject)
				if !ok {
					return nil, errors.New("no such overload")
				}
				v := get(s)
				err, failed := v.(error)
				if failed {
					return nil, err
				}
				return v, nil
			},
		}
	}
	str, boolean, stamp := types.StringType, types.BoolType, types.TimestampType
	return map[string]map[string]*types.FieldType{
		userType: {
			"id":             field(str, func(s *subject) any { return s.User.ID }),
			"username":       field(str, func(s *subject) any { return s.User.Username }),
			"email":          field(str, func(s *subject) any { return s.User.Email }),
			"email_verified": field(boolean, func(s *subject) any { return s.User.EmailVerified }),
			"first_name":     field(str, func(s *subject) any { return s.User.FirstName }),
			"last_name":      field(str, func(s *subject) any { return s.User.LastName }),
			"is_active":      field(boolean, func(s *subject) any { return s.User.IsActive }),
			"is_staff":       field(boolean, func(s *subject) any { return s.User.IsStaff }),
			"is_superuser":   field(boolean, func(s *subject) any { return s.User.IsSuperuser }),
			"date_joined":    field(stamp, func(s *subject) any { return timeOrNull(s.User.DateJoined) }),
			"last_login":     field(stamp, func(s *subject) any { return timeOrNull(s.User.LastLogin) }),
			"attributes": field(types.NewMapType(str, types.DynType), func(s *subject) any {
				attributes, err := s.attributes()
				if err != nil {
					return err
				}
				return attributes
			}),
		},
		sessionType: {
			"id":         field(str, func(s *subject) any { return s.Session.ID }),
			"method":     field(str, func(s *subject) any { return s.Session.Method }),
			"created_at": field(stamp, func(s *subject) any { return timeOrNull(s.Session.CreatedAt) }),
		},
	}
}

func timeOrNull(t time.Time) ref.Val {
	if t.IsZero() {
		return types.NullValue
	}
	return types.Timestamp{Time: t.UTC().Truncate(time.Microsecond)}
}

// adapter shows CEL the attributes as they were decoded, without a copy.
type adapter struct{ types.Adapter }

func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case json.Number:
		return number(string(v))
	}
	return a.Adapter.NativeToValue(v)
}

// number is an int where it is written as one that fits, a uint where only that
// fits, and else a double. A whole number is never rounded in silence.
func number(text string) ref.Val {
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return types.Int(n)
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return types.Uint(n)
		}
		return types.NewErr("integer overflow")
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return types.NewErr("double overflow")
	}
	return types.Double(f)
}
