package claims

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// User is what rules may ask about a user.
type User struct {
	ID            string
	Username      string
	Email         string
	EmailVerified bool
	FirstName     string
	LastName      string
	IsActive      bool
	IsStaff       bool
	IsSuperuser   bool
	DateJoined    time.Time       // zero: null
	LastLogin     time.Time       // zero: null
	Attributes    json.RawMessage // a JSON object; empty means {}
}

// Session is what rules may ask about the session that a token is for.
type Session struct {
	ID        string
	Method    string // how it began: "password", or the name of the identity provider
	CreatedAt time.Time
}

// Subject is whom the claims are about.
type Subject struct {
	User    User
	Session Session
}

// subject is a Subject under evaluation; attributes are decoded once, and only where a rule asks for them.
type subject struct {
	Subject
	decoded map[string]any
}

func (s *subject) attributes() (map[string]any, error) {
	if s.decoded != nil {
		return s.decoded, nil
	}
	if len(s.User.Attributes) == 0 {
		s.decoded = map[string]any{}
		return s.decoded, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(s.User.Attributes))
	decoder.UseNumber() // an id of 19 digits must not come out rounded
	var object map[string]any
	if decoder.Decode(&object) != nil || object == nil {
		return nil, ErrAttributes
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, ErrAttributes
	}
	s.decoded = object
	return object, nil
}

// column is a column of the user.
type column func(*User) any

func (c column) value(_ context.Context, s *subject) (any, error) { return c(&s.User), nil }

// path leads to a value inside the attributes.
type path []string

// value is nil where the path leads nowhere: without a default the claim is there all the same, as null.
func (p path) value(_ context.Context, s *subject) (any, error) {
	attributes, err := s.attributes()
	if err != nil {
		return nil, err
	}
	var v any = attributes
	for _, name := range p {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, nil
		}
		v = object[name]
	}
	return v, nil
}

// newAttribute finds the source that an attribute names.
func newAttribute(name string) (source, error) {
	if rest, ok := strings.CutPrefix(name, "attributes."); ok {
		p := path(strings.Split(rest, "."))
		if slices.Contains(p, "") {
			return nil, fmt.Errorf("%w: %q has an empty step", ErrAttribute, name)
		}
		return p, nil
	}
	if c := columnOf(name); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%w: %q (a user's own fields are named as attributes.%s)", ErrAttribute, name, name)
}

// columns are all of them.
var columns = [...]string{
	"id", "username", "email", "email_verified", "first_name", "last_name", "is_active", "is_staff", "is_superuser", "date_joined", "last_login",
}

// columnOf returns nil for what is no column. The password is none.
func columnOf(name string) column {
	switch name {
	case "id":
		return func(u *User) any { return u.ID }
	case "username":
		return func(u *User) any { return u.Username }
	case "email":
		return func(u *User) any { return u.Email }
	case "email_verified":
		return func(u *User) any { return u.EmailVerified }
	case "first_name":
		return func(u *User) any { return u.FirstName }
	case "last_name":
		return func(u *User) any { return u.LastName }
	case "is_active":
		return func(u *User) any { return u.IsActive }
	case "is_staff":
		return func(u *User) any { return u.IsStaff }
	case "is_superuser":
		return func(u *User) any { return u.IsSuperuser }
	case "date_joined":
		return func(u *User) any { return timeText(u.DateJoined) }
	case "last_login":
		return func(u *User) any { return timeText(u.LastLogin) }
	}
	return nil
}

// timeText writes a time as Django REST framework does: microseconds where there are any.
func timeText(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000000Z")
}
