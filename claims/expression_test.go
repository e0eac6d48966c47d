package claims_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse/claims"
)

// rules makes a set or ends the test.
func rules(t *testing.T, rules ...claims.Rule) *claims.Set {
	t.Helper()
	set, err := claims.New(claims.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	about := claims.Subject{User: alice, Session: claims.Session{ID: "s-1", Method: "cognito", CreatedAt: time.Unix(1, 0)}}
	about.User.Attributes = json.RawMessage(`{"services":["mail","wiki"],"plan":{"name":"pro","seats":3},"big":9223372036854775807,
		"bigger":18446744073709551615,"biggest":18446744073709551616,"rate":1.5,"none":null,"on":true}`)
	number := func(s string) any { return json.Number(s) }
	for expression, want := range map[string]any{
		`user.attributes.services`:                                     []any{"mail", "wiki"},
		`user.attributes.plan`:                                         map[string]any{"name": "pro", "seats": number("3")},
		`user.attributes.plan.name == "pro"`:                           true,
		`user.attributes["plan"].seats + 1`:                            number("4"),
		`user.attributes.big`:                                          number("9223372036854775807"),
		`user.attributes.bigger`:                                       number("18446744073709551615"),
		`user.attributes.rate * 2.0`:                                   number("3"),
		`user.attributes.rate > 1`:                                     true,
		`user.attributes.none`:                                         nil,
		`user.attributes.on`:                                           true,
		`user.username + "@" + session.method`:                         "alice@cognito",
		`user.is_superuser ? ["admin"] : []`:                           []any{"admin"},
		`user.attributes.services.filter(s, s.startsWith("w"))`:        []any{"wiki"},
		`user.attributes.services.map(s, {"name": s})`:                 []any{map[string]any{"name": "mail"}, map[string]any{"name": "wiki"}},
		`"mail" in user.attributes.services`:                           true,
		`user.email.matches("^[a-z]+@example[.]test$")`:                true,
		`user.date_joined`:                                             "2026-11-24T00:51:42.850074Z",
		`user.date_joined < timestamp("2030-01-01T00:00:00Z")`:         true,
		`user.last_login == null`:                                      true,
		`session.created_at`:                                           "1970-01-01T00:00:01Z",
		`session.id`:                                                   "s-1",
		`user.attributes.?plan.?name.orValue("free")`:                  "pro",
		`user.attributes.?nothing.orValue("free")`:                     "free",
		`user.attributes.?plan`:                                        map[string]any{"name": "pro", "seats": number("3")},
		`has(user.attributes.nothing)`:                                 false,
		`has(user.email) && !has(user.attributes.plan.x)`:              true,
		`size(user.attributes) > 3 && user.attributes.all(k, k != "")`: true,
		`[1u, 2u][1]`:                                                  number("2"),
	} {
		got, err := rules(t, claims.Rule{Name: "x", Expression: expression}).Evaluate(t.Context(), about)
		if diff := cmp.Diff(map[string]any{"x": want}, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", expression, err, diff)
		}
	}
	for _, expression := range []string{`user.attributes.nothing`, `user.attributes.plan.x`, `user.attributes.?nothing`, `user.attributes["nothing"]`, `user.attributes.plan.name.x`} {
		got, err := rules(t, claims.Rule{Name: "x", Expression: expression}).Evaluate(t.Context(), about)
		if err != nil || len(got) != 0 {
			t.Errorf("%s: got %v, %v, want no claim", expression, got, err)
		}
		got, err = rules(t, claims.Rule{Name: "x", Expression: expression, Default: json.RawMessage(`["d"]`)}).Evaluate(t.Context(), about)
		if diff := cmp.Diff(map[string]any{"x": []any{"d"}}, got); diff != "" || err != nil {
			t.Errorf("%s with a default: %v %s", expression, err, diff)
		}
	}
}

// What is wrong with an expression is said at start, with the claim, the line
// and the column.
func TestExpressionsRefusedAtStart(t *testing.T) {
	t.Parallel()
	ten := "[1,2,3,4,5,6,7,8,9,10]"
	for expression, want := range map[string]string{
		`user.emial`:                     `line 1, column 5: undefined field 'emial'`,
		"user.is_staff &&\n  nobody":     `line 2, column 3: undeclared reference to 'nobody'`,
		"user.attributes.a +\n\n ]":      `line 3, column 2: Syntax error`,
		`user.email + 1`:                 `line 1, column 12: found no matching overload for '_+_'`,
		`user.email.foo()`:               `line 1, column 15: undeclared reference to 'foo'`,
		`user`:                           `line 1, column 1: a token can't hold User`,
		`b"abc"`:                         `a token can't hold bytes`,
		`[duration("1s")]`:               `a token can't hold list(google.protobuf.Duration)`,
		`{1: "a"}`:                       `a token can't hold map(int, string)`,
		`type(user.email)`:               `a token can't hold type`,
		`[optional.of(1)]`:               `a token can't hold list(optional_type(int))`,
		`user.email.matches("[")`:        `line 1, column `,
		``:                               "",
		strings.Repeat("1+", 5000) + "1": "expression code point size exceeds limit",
		`user.attributes.a.all(a, user.attributes.b.all(b, user.attributes.c.all(c, a + b == c)))`:           `column 72: it may cost`,
		ten + `.all(a, ` + ten + `.all(b, ` + ten + `.all(c, ` + ten + `.all(d, ` + ten + `.all(e, a<b)))))`: `loops within loops`,
	} {
		_, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "good", Attribute: "email"}, {Name: "bad", Expression: expression}}})
		if expression == "" {
			if !errors.Is(err, claims.ErrKind) {
				t.Errorf("no expression: %v", err)
			}
			continue
		}
		fault, ok := errors.AsType[*claims.ExpressionError](err)
		if !ok || !errors.Is(err, claims.ErrExpression) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `rule 2 ("bad")`) {
			t.Errorf("%.80q: got %v\nwant %s", expression, err, want)
		} else if fault.Line < 1 || fault.Column < 1 {
			t.Errorf("%.80q: line %d, column %d", expression, fault.Line, fault.Column)
		}
	}
	_, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "a", Expression: "user.a + user.b"}, {Name: "b", Expression: "x"}}})
	for _, want := range []string{"'a'", "'b'", "'x'"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in %v", want, err)
		}
	}
}

// What fails on a user fails closed, or gives the default; and the log has
// nothing of the user in it.
func TestExpressionsThatFail(t *testing.T) {
	t.Parallel()
	huge, err := json.Marshal(map[string]any{"n": make([]int, 50_000), "s": "secret-value", "i": 1, "o": map[string]any{}, "z": 0})
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Replace(string(huge), `"z":0`, `"z":0,"b":99999999999999999999,"e":1e999`, 1)
	about := claims.Subject{User: claims.User{Attributes: json.RawMessage(big)}}
	doubled := `[` + strings.Repeat("user.attributes.n, ", 9) + `user.attributes.n]`
	for expression, want := range map[string]error{
		`user.attributes.n.all(x, x == 0)`:       claims.ErrEvaluation, // it loops for too long
		`user.attributes.n`:                      claims.ErrValue,      // too large
		doubled:                                  claims.ErrValue,
		`user.attributes.i / user.attributes.z`:  claims.ErrEvaluation,
		`int(user.attributes.s)`:                 claims.ErrEvaluation,
		`user.attributes.s + 1`:                  claims.ErrEvaluation,
		`user.attributes.b`:                      claims.ErrEvaluation, // a whole number that would be rounded
		`user.attributes.e`:                      claims.ErrEvaluation,
		`[user.attributes.n, user.attributes.b]`: claims.ErrEvaluation,
		`0.0 / 0.0`:                              claims.ErrValue,
		`1.0 / double(user.attributes.z)`:        claims.ErrValue,
		`dyn(b"abc")`:                            claims.ErrValue,
		`dyn({1: "a"})`:                          claims.ErrValue,
		`dyn(user)`:                              claims.ErrEvaluation,
		`user.attributes.i == 1 ? dyn([user.attributes.b]) : dyn(1)`: claims.ErrEvaluation,
	} {
		var log bytes.Buffer
		rule := claims.Rule{Name: "x", Expression: expression}
		got, err := rules(t, rule).Evaluate(t.Context(), about)
		if !errors.Is(err, want) || got != nil {
			t.Errorf("%s: got %v, %v", expression, got, err)
			continue
		}
		rule.Default = json.RawMessage(`"d"`)
		set, err2 := claims.New(claims.Config{Rules: []claims.Rule{rule}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err2 != nil {
			t.Fatal(err2)
		}
		got, err2 = set.Evaluate(t.Context(), about)
		if err2 != nil || got["x"] != "d" || !strings.Contains(log.String(), "claim=x") {
			t.Errorf("%s with a default: got %v, %v; log %q", expression, got, err2, &log)
		}
		if text := err.Error() + log.String(); strings.Contains(text, "secret-value") || strings.Contains(text, "99999") {
			t.Errorf("%s: a value is in %s", expression, text)
		}
	}
}

// An expression ends with its context.
func TestExpressionsAreInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	attributes := `{"n":[` + strings.Repeat("0,", 1000) + `0]}`
	_, err := rules(t, claims.Rule{Name: "x", Expression: "user.attributes.n.all(x, x == 0)"}).
		Evaluate(ctx, claims.Subject{User: claims.User{Attributes: json.RawMessage(attributes)}})
	if !errors.Is(err, claims.ErrEvaluation) || !strings.Contains(err.Error(), "its time is over") {
		t.Errorf("got %v", err)
	}
}

// What shares its parts in memory is measured as it would be written.
func TestExpressionsOfManyLaughs(t *testing.T) {
	t.Parallel()
	expression := `"ha"`
	for range 10 {
		expression = fmt.Sprintf("[%s].map(x, [x, x, x, x])", expression)
	}
	_, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "x", Expression: expression}}})
	if err != nil {
		return // refused at start is as good
	}
	_, err = rules(t, claims.Rule{Name: "x", Expression: expression}).Evaluate(t.Context(), claims.Subject{})
	if !errors.Is(err, claims.ErrValue) {
		t.Errorf("got %v", err)
	}
}

func TestBrokenAttributesInExpressions(t *testing.T) {
	t.Parallel()
	_, err := rules(t, claims.Rule{Name: "x", Expression: "user.attributes.a"}).
		Evaluate(t.Context(), claims.Subject{User: claims.User{Attributes: json.RawMessage(`["secret-value"]`)}})
	if !errors.Is(err, claims.ErrEvaluation) || strings.Contains(err.Error(), "secret-value") {
		t.Errorf("got %v", err)
	}
}

// One loop passes, and one in another too; what a user has at run time counts, not what was assumed.
func TestHowMuchMayBeLooped(t *testing.T) {
	t.Parallel()
	attributes := json.RawMessage(`{"a":[` + strings.Repeat("1,", 999) + `1],"b":[1,2,3]}`)
	for _, expression := range []string{
		`user.attributes.a.all(x, x == 1)`, `user.attributes.b.filter(x, x in user.attributes.a)`,
		`user.attributes.b.all(x, user.attributes.b.exists(y, x == y))`,
	} {
		_, err := rules(t, claims.Rule{Name: "x", Expression: expression}).Evaluate(t.Context(), claims.Subject{User: claims.User{Attributes: attributes}})
		if err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// One set serves many goroutines.
func TestExpressionsAtOnce(t *testing.T) {
	t.Parallel()
	set := rules(t, claims.Rule{Name: "x", Expression: `user.attributes.groups.map(g, g + "!")`}, claims.Rule{Name: "y", Expression: "user.username"})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				got, err := set.Evaluate(t.Context(), claims.Subject{User: alice})
				if diff := cmp.Diff(map[string]any{"x": []any{"editors!"}, "y": "alice"}, got); diff != "" || err != nil {
					t.Errorf("%v %s", err, diff)
				}
			}
		})
	}
	group.Wait()
}

// Whatever the attributes are, an expression ends, and what it gives can be written.
func FuzzExpression(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5,"x",null,{"b":true}],"m":{"k":18446744073709551616}}`))
	f.Add([]byte(`{"a":{"a":{"a":[[[]]]}},"m":1e400}`))
	f.Add([]byte(`{`))
	var compiled []*claims.Set
	for _, expression := range []string{
		"user.attributes", "user.attributes.a", "user.attributes.?m", "user.attributes.a.map(x, [x, user.attributes.m])",
		"user.attributes.m + user.attributes.a", `user.attributes.exists(k, k.matches("^[a-z]"))`, "size(user.attributes.a) > user.attributes.m",
	} {
		set, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "x", Expression: expression}}})
		if err != nil {
			f.Fatal(err)
		}
		compiled = append(compiled, set)
	}
	f.Fuzz(func(t *testing.T, attributes []byte) {
		for _, set := range compiled {
			got, err := set.Evaluate(t.Context(), claims.Subject{User: claims.User{Attributes: attributes}})
			if err != nil && !errors.Is(err, claims.ErrEvaluation) && !errors.Is(err, claims.ErrValue) {
				t.Fatalf("an error of another kind: %v", err)
			}
			if _, err := json.Marshal(got); err != nil {
				t.Fatalf("what is evaluated can't be written: %v", err)
			}
		}
	})
}
