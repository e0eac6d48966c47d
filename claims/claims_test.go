package claims_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse/claims"
)

var alice = claims.User{
	ID: "42", Username: "alice", Email: "alice@example.test", EmailVerified: true, FirstName: "Alice", LastName: "Ng",
	IsActive: true, IsSuperuser: true,
	DateJoined: time.Date(2026, 11, 24, 1, 51, 42, 850_074_999, time.FixedZone("", 3600)),
	Attributes: json.RawMessage(`{"groups":["editors"],"plan":{"name":"pro","seats":9223372036854775807,"a.b":1},"off":null,"zero":0}`),
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attribute string
		user      claims.User
		want      any
	}{
		"id":                        {"id", alice, "42"},
		"username":                  {"username", alice, "alice"},
		"email":                     {"email", alice, "alice@example.test"},
		"email_verified":            {"email_verified", alice, true},
		"first_name":                {"first_name", alice, "Alice"},
		"last_name":                 {"last_name", alice, "Ng"},
		"is_active":                 {"is_active", alice, true},
		"is_staff":                  {"is_staff", alice, false},
		"is_superuser":              {"is_superuser", alice, true},
		"a time, in UTC, to the µs": {"date_joined", alice, "2026-11-24T00:51:42.850074Z"},
		"a time of a whole second":  {"last_login", claims.User{LastLogin: time.Unix(0, 999)}, "1970-01-01T00:00:00Z"},
		"a time that never was":     {"last_login", alice, nil},
		"an empty text stays text":  {"email", claims.User{}, ""},
		"a list":                    {"attributes.groups", alice, []any{"editors"}},
		"a step further":            {"attributes.plan.name", alice, "pro"},
		"a large number unrounded":  {"attributes.plan.seats", alice, json.Number("9223372036854775807")},
		"zero stays zero":           {"attributes.zero", alice, json.Number("0")},
		"an object": {"attributes.plan", alice, map[string]any{
			"name": "pro", "seats": json.Number("9223372036854775807"), "a.b": json.Number("1"),
		}},
		"null":                         {"attributes.off", alice, nil},
		"missing becomes null":         {"attributes.no_such_attribute", alice, nil},
		"missing further down":         {"attributes.no.such.path", alice, nil},
		"a step into text":             {"attributes.plan.name.length", alice, nil},
		"a step into a list":           {"attributes.groups.0", alice, nil},
		"a step into null":             {"attributes.off.x", alice, nil},
		"another case is another name": {"attributes.Groups", alice, nil},
		"no attributes":                {"attributes.x", claims.User{}, nil},
		"empty attributes":             {"attributes.x", claims.User{Attributes: json.RawMessage(` {} `)}, nil},
	} {
		set, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "x", Attribute: c.attribute}}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := set.Evaluate(t.Context(), claims.Subject{User: c.user})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(map[string]any{"x": c.want}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The custom claims of a recorded sign-in: what a token of the Django service
// held, from the same settings.
func TestRecordedClaims(t *testing.T) {
	t.Parallel()
	set, err := claims.New(claims.Config{Rules: []claims.Rule{
		{Name: "username", Attribute: "username"}, {Name: "email", Attribute: "email"}, {Name: "is_staff", Attribute: "is_staff"}, {Name: "is_active", Attribute: "is_active"},
		{Name: "no_such_attribute", Attribute: "attributes.no_such_attribute"}, {Name: "groups", Attribute: "attributes.groups"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := set.Evaluate(t.Context(), claims.Subject{User: alice})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"email":"alice@example.test","groups":["editors"],"is_active":true,"is_staff":false,"no_such_attribute":null,"username":"alice"}`
	if string(text) != want {
		t.Errorf("got %s", text)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	rule := func(name, attribute string) []claims.Rule { return []claims.Rule{{Name: name, Attribute: attribute}} }
	for name, c := range map[string]struct {
		rules []claims.Rule
		want  error
	}{
		"no name":                           {rule("", "email"), claims.ErrName},
		"a name with a line break":          {rule("a\nb", "email"), claims.ErrName},
		"a name with a NUL":                 {rule("a\x00", "email"), claims.ErrName},
		"a name that is not UTF-8":          {rule("a\xff", "email"), claims.ErrName},
		"a name of 129 bytes":               {rule(strings.Repeat("n", 129), "email"), claims.ErrName},
		"iss":                               {rule("iss", "email"), claims.ErrReserved},
		"sub":                               {rule("sub", "email"), claims.ErrReserved},
		"aud":                               {rule("aud", "email"), claims.ErrReserved},
		"exp":                               {rule("exp", "email"), claims.ErrReserved},
		"nbf":                               {rule("nbf", "email"), claims.ErrReserved},
		"iat":                               {rule("iat", "email"), claims.ErrReserved},
		"jti":                               {rule("jti", "email"), claims.ErrReserved},
		"sid":                               {rule("sid", "email"), claims.ErrReserved},
		"token_type":                        {rule("token_type", "email"), claims.ErrReserved},
		"the user-id claim":                 {rule("uid", "id"), claims.ErrReserved},
		"a reserved name in another case":   {rule("Token_Type", "email"), claims.ErrReserved},
		"a reserved name with a long s":     {rule("iſs", "email"), claims.ErrReserved},
		"a name twice":                      {append(rule("a", "email"), rule("a", "email")...), claims.ErrDuplicate},
		"a name twice, in two cases":        {append(rule("a", "email"), rule("A", "email")...), claims.ErrDuplicate},
		"no attribute":                      {rule("a", ""), claims.ErrKind},
		"an unknown attribute":              {rule("a", "department"), claims.ErrAttribute},
		"the password":                      {rule("a", "password"), claims.ErrAttribute},
		"an attribute in another case":      {rule("a", "Email"), claims.ErrAttribute},
		"all attributes at once":            {rule("a", "attributes"), claims.ErrAttribute},
		"an attribute without a name":       {rule("a", "attributes."), claims.ErrAttribute},
		"an attribute with an empty step":   {rule("a", "attributes.a..b"), claims.ErrAttribute},
		"an attribute with a dot behind it": {rule("a", "attributes.a."), claims.ErrAttribute},
		"a step into a column":              {rule("a", "email.domain"), claims.ErrAttribute},
	} {
		set, err := claims.New(claims.Config{Rules: c.rules, UserIDClaim: "uid"})
		if !errors.Is(err, c.want) || set != nil {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// Every fault is reported at once, with the rule that it is in.
func TestNewReportsAll(t *testing.T) {
	t.Parallel()
	_, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "user_id", Attribute: "id"}, {Name: "ok", Attribute: "email"}, {Name: "x", Attribute: "nothing"}}})
	if !errors.Is(err, claims.ErrReserved) || !errors.Is(err, claims.ErrAttribute) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{`rule 1 ("user_id")`, `rule 3 ("x")`, "attributes.nothing"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %q", part, err)
		}
	}
}

func TestBrokenAttributes(t *testing.T) {
	t.Parallel()
	asking, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "plan", Attribute: "attributes.plan"}}})
	if err != nil {
		t.Fatal(err)
	}
	indifferent, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "email", Attribute: "email"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`[]`, `null`, `"secret-value"`, `{"plan":`, `{} {}`, `{}x`, `1`} {
		u := claims.User{Attributes: json.RawMessage(text)}
		got, err := asking.Evaluate(t.Context(), claims.Subject{User: u})
		if !errors.Is(err, claims.ErrAttributes) || got != nil || strings.Contains(err.Error(), "secret-value") {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
		if _, err := indifferent.Evaluate(t.Context(), claims.Subject{User: u}); err != nil {
			t.Errorf("%s, which no rule reads: %v", text, err)
		}
	}
}

func TestNoRules(t *testing.T) {
	t.Parallel()
	set, err := claims.New(claims.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := set.Evaluate(t.Context(), claims.Subject{User: alice}); err != nil || len(got) != 0 || got == nil {
		t.Errorf("got %#v, %v", got, err)
	}
}

// A set is shared by all requests, and each gets a map of its own.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	set, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "plan", Attribute: "attributes.plan"}, {Name: "groups", Attribute: "attributes.groups"}}})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got, err := set.Evaluate(t.Context(), claims.Subject{User: alice})
			if err != nil || len(got) != 2 {
				t.Errorf("got %v, %v", got, err)
			}
			got["mine"] = true
		})
	}
	group.Wait()
}

func FuzzEvaluate(f *testing.F) {
	f.Add("attributes.a.b", []byte(`{"a":{"b":[1,{"c":null}]}}`))
	f.Add("email", []byte(`{`))
	f.Fuzz(func(t *testing.T, attribute string, attributes []byte) {
		set, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "x", Attribute: attribute}}})
		if err != nil {
			return
		}
		got, err := set.Evaluate(t.Context(), claims.Subject{User: claims.User{Attributes: attributes}})
		if err != nil {
			return
		}
		if _, ok := got["x"]; !ok || len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("what is evaluated can't be written: %v", err)
		}
	})
}

// What a double can't hold some verifiers read as infinity, and others refuse the token for it.
func TestVastNumbers(t *testing.T) {
	t.Parallel()
	vast := claims.Subject{User: claims.User{Attributes: json.RawMessage(`{"n": [1e308, -1e400], "small": 1e-400}`)}}
	failing := claims.Config{Rules: []claims.Rule{{Name: "n", Attribute: "attributes.n"}}}
	withDefault := claims.Config{Rules: []claims.Rule{{Name: "n", Attribute: "attributes.n", Default: json.RawMessage(`[1]`)}, {Name: "small", Attribute: "attributes.small"}}}
	for name, c := range map[string]struct {
		config claims.Config
		want   map[string]any
	}{
		"no default": {failing, nil},
		"a default":  {withDefault, map[string]any{"n": []any{json.Number("1")}, "small": json.Number("1e-400")}},
	} {
		set, err := claims.New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		got, err := set.Evaluate(t.Context(), vast)
		if diff := cmp.Diff(c.want, got); diff != "" || errors.Is(err, claims.ErrValue) != (c.want == nil) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	failing.Rules[0].Default = json.RawMessage(`1e400`)
	if _, err := claims.New(failing); !errors.Is(err, claims.ErrValue) {
		t.Errorf("as a default: %v", err)
	}
}
