package jws_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// slowly reads an object with the library's tokens: what ObjectOf must agree with.
func slowly(b []byte) (map[string]any, bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	value, ok := next(d, 0)
	object, isObject := value.(map[string]any)
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return object, ok && isObject && b[0] == '{' && utf8.Valid(b)
}

func next(d *json.Decoder, depth int) (any, bool) {
	t, err := d.Token()
	delim, isDelim := t.(json.Delim)
	if err != nil || !isDelim {
		return t, err == nil
	}
	if depth == 32 {
		return nil, false
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			item, ok := next(d, depth+1)
			if !ok {
				return nil, false
			}
			list = append(list, item)
		}
		_, err = d.Token()
		return list, err == nil
	}
	object := map[string]any{}
	for d.More() {
		name, err := d.Token()
		key, isText := name.(string)
		item, ok := next(d, depth+1)
		if _, twice := object[key]; err != nil || !isText || !ok || twice {
			return nil, false
		}
		object[key] = item
	}
	_, err = d.Token()
	return object, err == nil
}

var objects = []string{
	`{}`, ` {}`, "{} \r\n\t", `{}{}`, `{}x`, `[]`, `null`, ``, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{a:1}`,
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":1,"A":2}`, `{"a":[{"b":{"c":1,"c":2}}]}`, `{"a":{"b":1},"c":{"b":1}}`, `{"":1,"":2}`,
	`{"\ud800":1,"\udfff":2}`, `{"\ud83d\ude00":"\ud83d\ude00"}`, `{"a":"\ud800"}`, `{"a":"\x"}`, `{"a":"\u12"}`, "{\"a\":\"\xff\"}", "{\"a\":\"\n\"}", "{\"a\":\"\x00\"}",
	"{\"a\":\"\x7f\u2028\"}", `{"a":"\"}{:\\"}`, `{"a":"\`, `{"a":"`, `{"a":0}`, `{"a":-0}`, `{"a":-}`, `{"a":01}`, `{"a":1.}`, `{"a":.1}`, `{"a":1.5e+10}`, `{"a":1E-2}`,
	`{"a":1e}`, `{"a":+1}`, `{"a":1e999}`, `{"a":NaN}`, `{"a":0x1}`, `{"a":123456789012345678901234567890}`, `{"a":true,"b":false,"c":null}`,
	`{"a":tru}`, `{"a":nul`, `{"a":True}`, `{"a":[1,2,[3,{"x":[]}]]}`, `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":[}`, `{"a":1]`, `{"a":[1}`, `{"a":1}]`, `{"a":1,,"b":2}`,
	"{\n \"a\" : [ 1 , 2 ] , \"b\" : { } \n}", `{"a":1:2}`, "\ufeff{}", `{"a":'b'}`, `{"a":1}//`, `{"a":1 /* */}`,
	`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
	strings.Repeat(`{"a":`, 32) + `1` + strings.Repeat("}", 32), strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat("}", 33),
	strings.Repeat(`{"a":`, 100_000),
}

// TestObjectAgreesWithTheLibrary reads what is right and what is nearly right.
func TestObjectAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range objects {
		agree(t, []byte(text))
	}
	if _, ok := jws.Object("e30="); ok {
		t.Error("padding is taken")
	}
	if _, ok := jws.Object("e31"); ok {
		t.Error("loose bits are taken")
	}
	if object, ok := jws.Object("e30"); !ok || object == nil {
		t.Error("an empty object is refused")
	}
}

func agree(t *testing.T, b []byte) {
	t.Helper()
	want, wantOK := slowly(b)
	got, ok := jws.ObjectOf(b)
	if ok != wantOK {
		t.Fatalf("%.200q is taken: %v; by the library: %v", b, ok, wantOK)
	}
	if ok && !reflect.DeepEqual(got, want) {
		t.Fatalf("%.200q: got %v, want %v", b, got, want)
	}
}

func FuzzObject(f *testing.F) {
	for _, text := range objects {
		f.Add([]byte(text))
	}
	f.Fuzz(agree)
}

func TestSplit(t *testing.T) {
	t.Parallel()
	const token = "e30.e31.AQ"
	c, ok := jws.Split(token, len(token))
	if want := (jws.Compact{Header: "e30", Payload: "e31", Signed: "e30.e31", Signature: []byte{1}}); !ok || !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, %v", c, ok)
	}
	for _, bad := range []string{
		"", ".", "a", "a.b", "a.b.c.d", "a.b.AR", "a.b.AQ==", "a.b.+/", "a.b.A", "a\n.b.AQ", "a.b.\rAQ", "a.b.AQ\n", "aa.bb.AQAQ", // the last is too long
	} {
		if got, ok := jws.Split(bad, len(token)-1); ok {
			t.Errorf("%q is taken as %+v", bad, got)
		}
	}
}

func TestIsPlain(t *testing.T) {
	t.Parallel()
	if !jws.IsPlain(map[string]any{"alg": "ES256", "kid": "k", "typ": "JWT", "x": 1}) {
		t.Error("a plain header is refused")
	}
	for _, name := range []string{"crit", "jwk", "jku", "x5u", "x5c", "b64"} {
		if jws.IsPlain(map[string]any{"alg": "ES256", name: nil}) {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	for value, want := range map[any]string{
		"42": "42", "alice": "alice", json.Number("42"): "42", json.Number("-1"): "-1", json.Number("9223372036854775807"): "9223372036854775807",
	} {
		if got, ok := jws.ID(value); !ok || got != want {
			t.Errorf("%#v: %q, %v", value, got, ok)
		}
	}
	for _, bad := range []any{
		"", nil, true, 42.0, json.Number("-0"), json.Number("1.0"), json.Number("1e3"), json.Number("9223372036854775808"), []any{"42"},
	} {
		if got, ok := jws.ID(bad); ok {
			t.Errorf("%#v is taken for %q", bad, got)
		}
	}
}
