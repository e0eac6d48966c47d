package impl

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzPlainObject holds the short way to the long one: what it takes, checkJSON
// takes too, and encoding/json reads the same from it.
func FuzzPlainObject(f *testing.F) {
	for _, seed := range []string{
		`{"token":"a"}`, ` { "a" : "b" , "c" : "" } `, `{}`, `{"a":"b","A":"c"}`, `{"a":"b"}x`, `{"a":"b",}`, `{"a":1}`, `{"a":"b"`,
		`{"a":"b""c":"d"}`, `{"a","b"}`, `[{"a":"b"}]`, `{"a":"\u0000"}`, `{"a":["b"]}`, "{\"a\":\"\x01\"}", `{"a":"b":"c":"d"}`, `"a":"b"}`,
		`{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":""}`, `{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":""}`,
		`{"a":"b","n":3600}`, `{"n": 0 , "a":"b"}`, `{"n":01}`, `{"n":-1}`, `{"n":1.5}`, `{"n":1"a":"b"}`, `{"n":}`, `{"n":,`, `{"n"}`, `{"n":1]`, `}`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		object, ok := plainObject(text)
		if !ok {
			return
		}
		if err := checkJSON(text); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var want map[string]any
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, object); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}

func TestPlainObjectTakesWhatClientsSend(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"token":"a.b-c_d"}`, `{"id_token": "a", "access_token": "b", "nonce": "c"}`,
		`{"id_token":"a","access_token":"b","expires_in":3600,"token_type":"Bearer"}`, `{"id_token":"a", "expires_in": 3600 }`} {
		if _, ok := plainObject([]byte(text)); !ok {
			t.Errorf("%s goes the long way", text)
		}
	}
}
