package verify_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/verify"
	"github.com/google/go-cmp/cmp"
)

// TestMiddleware sends what clients send, and what they should not.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	w := newWorld(key)
	var log strings.Builder
	v := verifier(t, w, newClock().now, func(c *verify.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	handler := v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, ok := verify.FromContext(r.Context())
		if !ok {
			t.Error("the handler was called without claims")
		}
		_, _ = io.WriteString(w, claims.UserID)
	}))
	good := key.access(start)
	const invalid = `Bearer error="invalid_token", error_description="Token is invalid or expired"`
	for name, c := range map[string]struct {
		headers         []string
		status          int
		code, challenge string
	}{
		"a token":                   {[]string{"Bearer " + good}, 200, "", ""},
		"the scheme in lower case":  {[]string{"bearer " + good}, 200, "", ""},
		"two blanks":                {[]string{"Bearer  " + good}, 200, "", ""},
		"none":                      {nil, 401, "not_authenticated", "Bearer"},
		"another scheme":            {[]string{"Basic YTpi"}, 401, "not_authenticated", "Bearer"},
		"a scheme that begins so":   {[]string{"BearerX " + good}, 401, "not_authenticated", "Bearer"},
		"an empty header":           {[]string{""}, 401, "not_authenticated", "Bearer"},
		"a scheme alone":            {[]string{"Bearer"}, 400, "invalid_request", `Bearer error="invalid_request"`},
		"a scheme and a blank":      {[]string{"Bearer "}, 400, "invalid_request", `Bearer error="invalid_request"`},
		"two tokens":                {[]string{"Bearer " + good + " " + good}, 400, "invalid_request", `Bearer error="invalid_request"`},
		"two headers":               {[]string{"Bearer " + good, "Bearer " + good}, 400, "invalid_request", `Bearer error="invalid_request"`},
		"a token of another issuer": {[]string{"Bearer " + key.access(start, object{"iss": "x"})}, 401, "token_not_valid", invalid},
		"rubbish":                   {[]string{"Bearer a.b.c"}, 401, "token_not_valid", invalid},
	} {
		// A token in the query is none (RFC 6750 §2.3).
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?access_token="+good, nil)
		r.Header["Authorization"] = c.headers
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, r)
		if got.Code != c.status || got.Header().Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %d, challenge %q", name, got.Code, got.Header().Get("WWW-Authenticate"))
		}
		if c.status == http.StatusOK {
			if got.Body.String() != "42" {
				t.Errorf("%s: the user is %q", name, got.Body)
			}
			continue
		}
		isProblem(t, got, c.code, false)
	}
	if strings.Contains(log.String(), good[:30]) || !strings.Contains(log.String(), "wrong issuer") {
		t.Errorf("the log:\n%s", &log)
	}

	w.set(func() { w.keys = "" })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+key.sign(key.header(object{"kid": "k2"}), "{}"))
	got := httptest.NewRecorder()
	handler.ServeHTTP(got, r)
	if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") != "5" || got.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("a key that may be new: %d %v", got.Code, got.Header())
	}
	isProblem(t, got, "verification_unavailable", true)
}

func isProblem(t *testing.T, got *httptest.ResponseRecorder, code string, retryable bool) {
	t.Helper()
	var problem struct {
		Type, Title, Detail, Code string
		Status                    int
		Retryable                 bool
	}
	if err := json.Unmarshal(got.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%v: %s", err, got.Body)
	}
	if problem.Code != code || problem.Status != got.Code || problem.Type != "urn:gatehouse:problem:"+code || problem.Title == "" ||
		problem.Detail == "" || problem.Retryable != retryable || got.Header().Get("Content-Type") != "application/problem+json" ||
		got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %+v, %v", problem, got.Header())
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	if _, ok := verify.FromContext(context.Background()); ok {
		t.Error("a context without claims has some")
	}
	if got, ok := verify.FromContext(verify.NewContext(t.Context(), verify.Claims{UserID: "7"})); !ok || got.UserID != "7" {
		t.Errorf("got %+v, %v", got, ok)
	}
}

// shouting reads itself, in capitals.
type shouting string

func (s *shouting) UnmarshalJSON(b []byte) error {
	*s = shouting(strings.ToUpper(string(b)))
	return nil
}

// TestDecode reads custom claims into structs: names that differ in case are
// other names.
func TestDecode(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	v := verifier(t, newWorld(key), newClock().now)
	claims, err := v.Verify(t.Context(), key.access(start, object{
		"PLAN": "platinum", "Limits": object{"seats": 9}, "limits": object{"Seats": 3, "seats": 2, "more": 1},
		"groups": []object{{"name": "a", "NAME": "b"}, {"Name": "c"}}, "by_id": object{"x": object{"NAME": "d", "name": "e"}},
		"big": json.Number("9007199254740993"), "Untagged": 1, "untagged": 2, "say": "hi", "flag": true, "pair": []int{1, 2},
	}))
	if err != nil {
		t.Fatal(err)
	}
	type named struct {
		Name string `json:"name"`
	}
	type Embedded struct {
		Flag bool `json:"flag"`
	}
	type custom struct {
		Embedded
		Plan     string               `json:"plan,omitempty"`
		Limits   *struct{ Seats int } `json:"limits"`
		Groups   []named              `json:"groups"`
		ByID     map[string]named     `json:"by_id"`
		Big      int64                `json:"big"`
		Untagged int
		Say      shouting        `json:"say"`
		Loud     *shouting       `json:"SAY"`
		Pair     [2]int          `json:"pair"`
		Any      any             `json:"exp"`
		Raw      json.RawMessage `json:"aud"`
		Hidden   string          `json:"-"`
	}
	var got custom
	if err := claims.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := custom{
		Embedded: Embedded{true}, Plan: "gold", Limits: &struct{ Seats int }{3}, Groups: []named{{"a"}, {""}}, ByID: map[string]named{"x": {"e"}},
		Big: 9007199254740993, Untagged: 1, Say: `"HI"`, Pair: [2]int{1, 2}, Any: float64(start.Unix() + 300), Raw: json.RawMessage(`"api"`),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var all map[string]any
	if err := claims.Decode(&all); err != nil || all["plan"] != "gold" || all["PLAN"] != "platinum" {
		t.Errorf("as a map: %v, %v", all, err)
	}
	var wrong struct {
		Plan int `json:"plan"`
	}
	if err := claims.Decode(&wrong); err == nil {
		t.Error("text is taken for a number")
	}
	for _, into := range []any{nil, wrong} {
		if err := claims.Decode(into); err == nil {
			t.Errorf("decoding into %T works", into)
		}
	}
	if err := (verify.Claims{}).Decode(&wrong); err != nil || wrong.Plan != 0 {
		t.Errorf("no claims: %v", err)
	}
}

type (
	Base struct {
		Role string `json:"role"`
	}
	Other struct{ Plan string }
	Third struct {
		Role string `json:"role"`
		Deep *Third
	}
	Below  struct{ Deeper }
	Deeper struct{ Plan string }
	Plain  struct{ Plan string }
	Tagged struct {
		Tag string `json:"Plan"`
	}
	hidden struct {
		Plan string `json:"plan"`
	}
)

// TestDecodeIntoFieldsOfOtherNames has fields whose names encoding/json passes
// over: a member of such a name is not read into another field that it differs
// from but for case.
func TestDecodeIntoFieldsOfOtherNames(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	claims, err := verifier(t, newWorld(key), newClock().now).Verify(t.Context(), key.access(start, object{"role": "low", "Plan": "silver", "base": object{"role": "base", "ROLE": "no"}}))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ into, want any }{
		"an unexported field": {&struct {
			role string
			Up   string `json:"ROLE"`
		}{}, `{"ROLE":""}`},
		"a struct embedded under a name": {&struct {
			Base `json:"base"`
			Up   string `json:"ROLE"`
		}{}, `{"base":{"role":"base"},"ROLE":""}`},
		"an embedded struct": {&struct {
			*Base
			Up string `json:"ROLE"`
		}{}, `{"role":"low","ROLE":""}`},
		"an unexported embedded struct": {&struct {
			hidden
			Up string `json:"PLAN"`
		}{}, `{"plan":"gold","PLAN":""}`},
		"two that rule each other out": {&struct {
			Plain
			Other
			Up string `json:"PLAN"`
		}{}, `{"PLAN":""}`},
		"two that rule out a deeper one": {&struct {
			Plain
			Other
			Below
			Up string `json:"PLAN"`
		}{}, `{"PLAN":""}`},
		"one with a tag beside one without": {&struct {
			Plain
			Tagged
			Up string `json:"PLAN"`
		}{}, `{"Plan":"silver","PLAN":""}`},
		"two that differ but for case": {&struct {
			hidden
			Plain
			Up string `json:"PLAN"`
		}{}, `{"plan":"gold","Plan":"silver","PLAN":""}`},
		"one that is left out": {&struct {
			Skipped string `json:"-"`
			Role    string
			Up      string `json:"ROLE,omitempty"`
		}{}, `{"Role":""}`},
		"one that embeds itself": {&struct {
			*Third
			Up string `json:"ROLE"`
		}{}, `{"role":"low","Deep":null,"ROLE":""}`},
	} {
		if err := claims.Decode(c.into); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := text(c.into); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
