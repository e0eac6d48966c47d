package claims_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse/claims"
)

func calling(t *testing.T, f claims.Func, timeout ...time.Duration) *claims.Set {
	t.Helper()
	set, err := claims.New(claims.Config{
		Rules: []claims.Rule{{Name: "is_staff", Attribute: "is_staff"}}, Function: f, FunctionTimeout: append(timeout, time.Minute)[0],
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestFunction(t *testing.T) {
	t.Parallel()
	type plan struct {
		Name string `json:"name"`
	}
	set := calling(t, func(ctx context.Context, about claims.Subject) (map[string]any, error) {
		if _, ok := ctx.Deadline(); !ok || about.Session.ID != "s-1" {
			t.Error("no deadline, or no session")
		}
		clear(about.User.Attributes) // its own copy
		return map[string]any{"plan": plan{about.User.Username}, "n": 7, "none": nil}, nil
	})
	got, err := set.Evaluate(t.Context(), about())
	want := map[string]any{"is_staff": false, "plan": map[string]any{"name": "alice"}, "n": json.Number("7"), "none": nil}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if !strings.HasPrefix(string(alice.Attributes), `{"groups"`) {
		t.Error("the function changed the user")
	}
	got, err = calling(t, func(context.Context, claims.Subject) (map[string]any, error) { return nil, nil }).Evaluate(t.Context(), about())
	if len(got) != 1 || err != nil {
		t.Errorf("no claims: got %v, %v", got, err)
	}
}

type explodes struct{}

func (explodes) MarshalJSON() ([]byte, error) { panic("secret-value") }

var errBilling = errors.New("billing: out of paper")

func TestFunctionsThatFail(t *testing.T) {
	t.Parallel()
	deep := any("x")
	for range 40 {
		deep = []any{deep}
	}
	returns := func(name string, v any) claims.Func {
		return func(context.Context, claims.Subject) (map[string]any, error) { return map[string]any{name: v}, nil }
	}
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	for name, c := range map[string]struct {
		f    claims.Func
		want string
	}{
		"an error": {func(context.Context, claims.Subject) (map[string]any, error) { return nil, errBilling }, "out of paper"},
		"a panic":  {func(context.Context, claims.Subject) (map[string]any, error) { panic("secret-value") }, "panicked"},
		"a hang": {func(ctx context.Context, _ claims.Subject) (map[string]any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "deadline exceeded"},
		"a hang that does not heed": {func(context.Context, claims.Subject) (map[string]any, error) { <-forever; return nil, nil }, "deadline exceeded"},
		"10 MB":                     {returns("x", strings.Repeat("x", 10<<20)), "more than 65536 bytes"},
		"a reserved name":           {returns("sub", "1"), "reserved"},
		"one of the header":         {returns("Kid", "1"), "reserved"},
		"with the Kelvin sign":      {returns("\u212aid", "1"), "reserved"},
		"a sharp s":                 {returns("iß", "1"), "reserved"},
		"the user-id claim":         {returns("user_ID", "1"), "reserved"},
		"a name that is no name":    {returns("a\nb", "1"), "not a claim name"},
		"a rule's claim":            {returns("IS_STAFF", true), "named twice"},
		"a name in two cases": {func(context.Context, claims.Subject) (map[string]any, error) {
			return map[string]any{"a": 1, "A": 2}, nil
		}, "named twice"},
		"what is no JSON": {returns("x", func() {}), "can't be written"},
		"what panics":     {returns("x", explodes{}), "panicked"},
		"a channel":       {returns("x", make(chan int)), "can't be written"},
		"too deep":        {returns("x", deep), "nests too deep"},
		"a vast number":   {returns("x", json.Number("1e400")), "no double holds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := calling(t, c.f)
			if strings.HasPrefix(name, "a hang") {
				set = calling(t, c.f, 20*time.Millisecond)
			}
			got, err := set.Evaluate(t.Context(), about())
			if got != nil || !errors.Is(err, claims.ErrUnavailable) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret-value") {
				t.Errorf("got %v, %v", got, err)
			}
			if name == "an error" && !errors.Is(err, errBilling) {
				t.Errorf("%v does not wrap the function's error", err)
			}
		})
	}
}

// A function that never returns holds a bounded number of goroutines.
func TestFunctionThatNeverReturns(t *testing.T) {
	t.Parallel()
	forever := make(chan struct{})
	defer close(forever)
	set, err := claims.New(claims.Config{FunctionTimeout: time.Millisecond, Function: func(context.Context, claims.Subject) (map[string]any, error) {
		<-forever
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		if _, err := set.Evaluate(t.Context(), about()); !errors.Is(err, claims.ErrUnavailable) || strings.Contains(err.Error(), "too many") {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := set.Evaluate(t.Context(), about()); !strings.Contains(err.Error(), "too many calls") {
		t.Errorf("the 65th: %v", err)
	}
}

// Clients who leave say nothing of the function: it is left alone after five that were not.
func TestFunctionWhoseClientsLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := calling(t, func(ctx context.Context, _ claims.Subject) (map[string]any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, time.Second)
		for i, stays := range []time.Duration{9, 9, 9, 9, 0, 9, 9} {
			ctx, leave := context.WithCancel(t.Context())
			time.AfterFunc(stays*time.Second+time.Millisecond, leave)
			_, err := set.Evaluate(ctx, about())
			if rests := strings.Contains(err.Error(), "did not answer lately"); rests != (i == 6) {
				t.Errorf("call %d: %v", i, err)
			}
			synctest.Wait()
			leave()
		}
	})
}

func TestExplain(t *testing.T) {
	t.Parallel()
	set := asking(t, answers(`{"plan": "pro", "seats": 3}`), func(c *claims.Config) {
		c.Rules = append(c.Rules,
			claims.Rule{Name: "x", Expression: "user.attributes.nothing"},
			claims.Rule{Name: "y", Expression: "user.attributes.nothing", Default: json.RawMessage(`1`)},
			claims.Rule{Name: "z", Expression: "user.attributes.off / 0"},
			claims.Rule{Name: "zz", Expression: "user.attributes.off / 0", Default: json.RawMessage(`4`)})
		c.Function = func(context.Context, claims.Subject) (map[string]any, error) {
			return map[string]any{"g": 1, "f": 2}, nil
		}
	})
	got := map[string]claims.Explained{}
	for _, e := range set.Explain(t.Context(), about()) {
		if e.From != "expression" && e.Name != "is_staff" && e.Took <= 0 {
			t.Errorf("%s took no time", e.Name)
		}
		e.Took = 0
		got[e.Name] = e
	}
	if !errors.Is(got["z"].Err, claims.ErrEvaluation) || got["z"].Value != nil {
		t.Errorf("z is %+v", got["z"])
	}
	if zz := got["zz"]; !errors.Is(zz.Err, claims.ErrEvaluation) || zz.Value != json.Number("4") || !zz.Default || zz.Absent {
		t.Errorf("with a default it is %+v", zz)
	}
	delete(got, "z")
	delete(got, "zz")
	hook := got["plan"].From
	want := map[string]claims.Explained{
		"is_staff": {Name: "is_staff", Value: false, From: "attribute is_staff"},
		"plan":     {Name: "plan", Value: "pro", From: hook}, "seats": {Name: "seats", Value: json.Number("3"), From: hook},
		"x": {Name: "x", Absent: true, From: "expression"}, "y": {Name: "y", Value: json.Number("1"), From: "expression", Default: true},
		"f": {Name: "f", Value: json.Number("2"), From: "function"}, "g": {Name: "g", Value: json.Number("1"), From: "function"},
	}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(hook, "webhook http://127.0.0.1:") {
		t.Error(diff)
	}

	set = asking(t, answers(`{}`), withDefaults, func(c *claims.Config) {
		c.Function = func(context.Context, claims.Subject) (map[string]any, error) { return nil, errBilling }
	})
	for _, e := range set.Explain(t.Context(), about()) {
		if e.Name != "is_staff" && (!errors.Is(e.Err, claims.ErrUnavailable) || e.Default != (e.Name != "")) {
			t.Errorf("got %+v", e)
		}
	}
}

// What others are asked, or can fail on a user, is known beforehand; and so is what is in every token, and whether anything is.
func TestMayFailAndDefaults(t *testing.T) {
	t.Parallel()
	if rules(t, claims.Rule{Name: "a", Attribute: "attributes.a"}).MayFail() {
		t.Error("an attribute may not fail")
	}
	f := func(context.Context, claims.Subject) (map[string]any, error) { return nil, nil }
	if !rules(t, claims.Rule{Name: "a", Expression: "1"}).MayFail() || !asking(t, answers("{}")).MayFail() || !calling(t, f).MayFail() {
		t.Error("expressions, webhooks and functions may fail")
	}
	if !rules(t).None() || rules(t, claims.Rule{Name: "a", Attribute: "attributes.a"}).None() || calling(t, f).None() || asking(t, answers("{}")).None() {
		t.Error("there are no claims without rules, and some with any")
	}
	got := asking(t, answers("{}"), withDefaults, func(c *claims.Config) {
		c.Rules = append(c.Rules, claims.Rule{Name: "x", Expression: "1"}, claims.Rule{Name: "y", Expression: "1", Default: json.RawMessage("2")})
	}).Defaults()
	if diff := cmp.Diff(map[string]any{"is_staff": nil, "plan": "free", "seats": nil, "y": json.Number("2")}, got); diff != "" {
		t.Error(diff)
	}
	_, err := asking(t, answers("{}")).Evaluate(t.Context(), claims.Subject{User: claims.User{Attributes: json.RawMessage(`[]`)}})
	if !errors.Is(err, claims.ErrAttributes) {
		t.Errorf("broken attributes: %v", err)
	}
	deep := json.RawMessage(`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`)
	_, err = rules(t, claims.Rule{Name: "a", Attribute: "attributes.a"}).Evaluate(t.Context(), claims.Subject{User: claims.User{Attributes: deep}})
	if !errors.Is(err, claims.ErrValue) {
		t.Errorf("a deep attribute: %v", err)
	}
	got, err = rules(t, claims.Rule{Name: "a", Attribute: "attributes.no", Default: json.RawMessage(`{"b":2}`)}).Evaluate(t.Context(), about())
	if diff := cmp.Diff(map[string]any{"a": map[string]any{"b": json.Number("2")}}, got); diff != "" || err != nil {
		t.Errorf("an attribute's default: %v %s", err, diff)
	}
}
