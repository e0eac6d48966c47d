package claims_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/gatehouse-auth/gatehouse/claims"
)

const (
	secret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secret2 = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// asking returns a set with two claims from one webhook, which answer plays.
func asking(t *testing.T, answer http.HandlerFunc, change ...func(*claims.Config)) *claims.Set {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c := claims.Config{
		Rules: []claims.Rule{
			{Name: "is_staff", Attribute: "is_staff"}, {Name: "plan", Webhook: server.URL + "/claims"}, {Name: "seats", Webhook: server.URL + "/claims"},
		},
		Webhooks: []claims.Webhook{{URL: server.URL + "/claims", Secrets: []string{secret}}},
	}
	for _, f := range change {
		f(&c)
	}
	set, err := claims.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// answers sends a body as JSON.
func answers(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

func about() claims.Subject {
	return claims.Subject{User: alice, Session: claims.Session{ID: "s-1", Method: "password", CreatedAt: time.Unix(1, 0)}}
}

// One request has all that is asked, and the reference library of Standard
// Webhooks takes its signature, under the old secret as under the new.
func TestWebhook(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	set := asking(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for _, s := range []string{secret, secret2} {
			hook, err := standardwebhooks.NewWebhook(s)
			if err == nil {
				err = hook.Verify(body, r.Header)
			}
			if err != nil {
				t.Errorf("the reference refuses the signature: %v", err)
			}
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		delete(got, "timestamp")
		want := map[string]any{"type": "claims.requested", "data": map[string]any{
			"claims":  []any{"plan", "seats"},
			"session": map[string]any{"id": "s-1", "method": "password", "created_at": "1970-01-01T00:00:01Z"},
			"user": map[string]any{
				"id": "42", "username": "alice", "email": "alice@example.test", "email_verified": true, "first_name": "Alice", "last_name": "Ng",
				"is_active": true, "is_staff": false, "is_superuser": true, "date_joined": "2026-11-24T00:51:42.850074Z", "last_login": nil,
				"attributes": map[string]any{
					"groups": []any{"editors"}, "off": nil, "zero": 0., "plan": map[string]any{"name": "pro", "seats": 9223372036854775807., "a.b": 1.},
				},
			},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Cookie")+r.Header.Get("Authorization") != "" {
			t.Errorf("got %s %v", r.Method, r.Header)
		}
		answers(`{"seats": 9223372036854775807, "plan": {"name": "pro"}, "more": "than was asked"}`)(w, r)
	}, func(c *claims.Config) { c.Webhooks[0].Secrets = []string{secret, secret2} })
	got, err := set.Evaluate(t.Context(), about())
	want := map[string]any{"is_staff": false, "plan": map[string]any{"name": "pro"}, "seats": json.Number("9223372036854775807")}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || calls.Load() != 1 {
		t.Errorf("%v %s, after %d calls", err, diff, calls.Load())
	}
	if got := set.Sources(); len(got) != 1 || !strings.HasSuffix(got[0].Name, "/claims") || got[0].Asked != 1 || got[0].Failed != 0 {
		t.Errorf("it is counted as %+v", got)
	}
}

// A webhook that answers something else than it should is not asked again, and nothing of its answer is believed.
func TestWebhookAnswersThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "the answer is 307"},
		"403":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "the answer is 403"},
		"204":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "the answer is 204"},
		"HTML": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>secret-value</html>") }, "not application/json"},
		"another character set": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=latin1")
		}, "not application/json"},
		"no body":                          {answers(""), "not one JSON object"},
		"a list":                           {answers(`["secret-value"]`), "not one JSON object"},
		"half an object":                   {answers(`{"plan": "secret-value"`), "not one JSON object"},
		"two objects":                      {answers(`{"plan": 1, "seats": 1} {}`), "not one JSON object"},
		"a member twice":                   {answers(`{"plan": 1, "seats": 1, "plan": 2}`), "not one JSON object"},
		"a member twice, further down":     {answers(`{"plan": {"a": 1, "a": 2}, "seats": 1}`), "not one JSON object"},
		"too deep":                         {answers(`{"seats": 1, "plan": ` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`), "not one JSON object"},
		"a vast number":                    {answers(`{"seats": 1, "plan": {"a": [-1e400]}}`), `number in "plan"`},
		"not UTF-8":                        {answers("{\"seats\": 1, \"plan\": \"\xff\"}"), "not one JSON object"},
		"10 MB":                            {answers(`{"seats": 1, "plan": "` + strings.Repeat("x", 10<<20) + `"}`), "more than 65536 bytes"},
		"a claim is missing":               {answers(`{"plan": 1}`), `no "seats"`},
		"a claim in another case":          {answers(`{"Plan": 1, "seats": 1}`), `no "plan"`},
		"a reserved name":                  {answers(`{"plan": 1, "seats": 1, "sub": "1"}`), "reserved"},
		"a reserved name, in another case": {answers(`{"plan": 1, "seats": 1, "ſUB": "1"}`), "reserved"},
		"the user-id claim":                {answers(`{"plan": 1, "seats": 1, "USER_ID": "1"}`), "reserved"},
		"a name that is none":              {answers(`{"plan": 1, "seats": 1, "": "1"}`), "not a claim name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			answer := func(w http.ResponseWriter, r *http.Request) { calls.Add(1); c.answer(w, r) }
			got, err := asking(t, answer).Evaluate(t.Context(), about())
			if !errors.Is(err, claims.ErrUnavailable) || !strings.Contains(err.Error(), c.want) || calls.Load() != 1 {
				t.Errorf("got %v, %v, after %d calls", got, err, calls.Load())
			}
			if strings.Contains(err.Error(), "secret-value") {
				t.Errorf("a value is in %v", err)
			}
			var log bytes.Buffer
			got, err = asking(t, answer, withDefaults, func(c *claims.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) }).Evaluate(t.Context(), about())
			if diff := cmp.Diff(map[string]any{"is_staff": false, "plan": "free", "seats": nil}, got); diff != "" || err != nil {
				t.Errorf("with defaults: %v %s", err, diff)
			}
			if !strings.Contains(log.String(), c.want) && !strings.Contains(log.String(), strings.ReplaceAll(c.want, `"`, `\"`)) {
				t.Errorf("the log is %s", &log)
			}
		})
	}
}

func withDefaults(c *claims.Config) {
	c.Rules[1].Default, c.Rules[2].Default = json.RawMessage(`"free"`), json.RawMessage(`null`)
}

// Where only one of two claims has a default, the token is not made.
func TestWebhookWithOneDefault(t *testing.T) {
	t.Parallel()
	set := asking(t, answers(`{}`), withDefaults, func(c *claims.Config) { c.Rules[2].Default = nil })
	if got, err := set.Evaluate(t.Context(), about()); !errors.Is(err, claims.ErrUnavailable) || !strings.Contains(err.Error(), `claim "seats"`) {
		t.Errorf("got %v, %v", got, err)
	}
	if got := set.Sources()[0]; got.Asked != 1 || got.Failed != 1 {
		t.Errorf("it is counted as %+v", got)
	}
}

// What was not answered is sent again, under the same id, until it is; not for ever.
func TestWebhookTriesAgain(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]http.HandlerFunc{
		"500":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"429":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"a cut":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a hang": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a drip": func(w http.ResponseWriter, r *http.Request) { drip(w, r) },
		"a stump": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mutex sync.Mutex
			var ids []string
			play := func(well int) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body) // the server notices that the client has left once the body is read
					mutex.Lock()
					ids = append(ids, r.Header.Get("Webhook-Id"))
					n := len(ids)
					mutex.Unlock()
					if n < well {
						fails(w, r)
						return
					}
					answers(`{"plan": 1, "seats": 2}`)(w, r)
				}
			}
			short := func(c *claims.Config) {
				c.Webhooks[0].Timeout, c.Webhooks[0].Deadline = time.Second, time.Minute
			}
			if got, err := asking(t, play(3), short).Evaluate(t.Context(), about()); err != nil || got["seats"] != json.Number("2") {
				t.Errorf("got %v, %v", got, err)
			}
			mutex.Lock()
			if len(ids) != 3 || ids[0] != ids[1] || ids[1] != ids[2] || !strings.HasPrefix(ids[0], "msg_") {
				t.Errorf("the ids are %q", ids)
			}
			ids = nil
			mutex.Unlock()
			got, err := asking(t, play(4), short).Evaluate(t.Context(), about())
			mutex.Lock()
			defer mutex.Unlock()
			if !errors.Is(err, claims.ErrUnavailable) || len(ids) != 3 {
				t.Errorf("got %v, %v after %d attempts", got, err, len(ids))
			}
		})
	}
}

// drip answers byte by byte, and never ends.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		select {
		case <-time.After(10 * time.Millisecond):
		case <-r.Context().Done():
		}
	}
}

// The deadline bounds all attempts, and so does the caller's.
func TestWebhookDeadline(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }
	set := asking(t, hang, func(c *claims.Config) {
		c.Webhooks[0].Timeout, c.Webhooks[0].Deadline, c.Webhooks[0].Attempts = 50*time.Millisecond, 120*time.Millisecond, 1000
	})
	if _, err := set.Evaluate(t.Context(), about()); !errors.Is(err, claims.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	set = asking(t, hang, func(c *claims.Config) { c.Webhooks[0].Timeout, c.Webhooks[0].Deadline = time.Hour, time.Hour })
	if _, err := set.Evaluate(ctx, about()); !errors.Is(err, claims.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// After five calls that nobody answered a webhook is left alone for a while, also by those that wait already.
func TestWebhookThatHangsIsLeftAlone(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var hangs atomic.Bool
	hangs.Store(true)
	now := time.Unix(0, 0)
	var mutex sync.Mutex
	clock := func() time.Time { mutex.Lock(); defer mutex.Unlock(); return now }
	set := asking(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		if hangs.Load() {
			<-r.Context().Done()
			return
		}
		answers(`{"plan": 1, "seats": 2}`)(w, r)
	}, func(c *claims.Config) {
		w := &c.Webhooks[0]
		w.Timeout, w.Deadline, w.Attempts, w.MaxConcurrent, c.Now = 500*time.Millisecond, time.Minute, 1, 2, clock
	})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := set.Evaluate(t.Context(), about()); !errors.Is(err, claims.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	before := calls.Load() // of the last two one may have been in already
	if before > 6 {
		t.Errorf("%d went in", before)
	}
	_, err := set.Evaluate(t.Context(), about())
	if !errors.Is(err, claims.ErrUnavailable) || !strings.Contains(err.Error(), "did not answer lately") || calls.Load() != before {
		t.Errorf("got %v after %d more calls", err, calls.Load()-before)
	}
	hangs.Store(false)
	mutex.Lock()
	now = now.Add(time.Minute)
	mutex.Unlock()
	if got, err := set.Evaluate(t.Context(), about()); err != nil || got["plan"] != json.Number("1") {
		t.Errorf("after the rest: got %v, %v", got, err)
	}
}

// Clients who leave say nothing of a webhook: neither that it answers nor that it does not.
func TestWebhookWhoseClientsLeave(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	set := asking(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		entered <- struct{}{}
		<-r.Context().Done()
	}, func(c *claims.Config) {
		c.Webhooks[0].Timeout, c.Webhooks[0].Deadline, c.Webhooks[0].Attempts = 400*time.Millisecond, time.Minute, 1
	})
	resting := func(leaves bool) bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		go func() { _, err := set.Evaluate(ctx, about()); done <- err }()
		select {
		case <-entered:
		case err := <-done:
			return strings.Contains(err.Error(), "did not answer lately")
		}
		if leaves {
			cancel()
		}
		<-done
		return false
	}
	for i, leaves := range []bool{true, false, false, true, false, false, true, true, true, false, false} {
		if got, want := resting(leaves), i == 10; got != want {
			t.Errorf("call %d: it rests: %v", i, got)
		}
	}
}

// Who waits for a slot waits no longer than the deadline.
func TestWebhookThatIsBusy(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	set := asking(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-leave
		answers(`{"plan": 1, "seats": 2}`)(w, r)
	}, func(c *claims.Config) {
		c.Webhooks[0].MaxConcurrent, c.Webhooks[0].Timeout, c.Webhooks[0].Deadline = 1, time.Minute, time.Minute
	})
	done := make(chan error)
	go func() { _, err := set.Evaluate(t.Context(), about()); done <- err }()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := set.Evaluate(ctx, about()); !errors.Is(err, claims.ErrUnavailable) || !strings.Contains(err.Error(), "too many") {
		t.Errorf("got %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWebhooksRefusedAtStart(t *testing.T) {
	t.Parallel()
	good := claims.Webhook{URL: "https://billing.internal/claims", Secrets: []string{secret}}
	for name, change := range map[string]func(*claims.Webhook){
		"no URL":                   func(w *claims.Webhook) { w.URL = "" },
		"http":                     func(w *claims.Webhook) { w.URL = "http://billing.internal/claims" },
		"credentials in the URL":   func(w *claims.Webhook) { w.URL = "https://a:b@billing.internal/claims" },
		"a query":                  func(w *claims.Webhook) { w.URL += "?key=1" },
		"no secret":                func(w *claims.Webhook) { w.Secrets = nil },
		"a secret without prefix":  func(w *claims.Webhook) { w.Secrets = []string{secret[6:]} },
		"a secret that is short":   func(w *claims.Webhook) { w.Secrets = []string{"whsec_c2hvcnQ="} },
		"a secret that is no text": func(w *claims.Webhook) { w.Secrets = []string{"whsec_!!!"} },
		"a negative timeout":       func(w *claims.Webhook) { w.Timeout = -1 },
		"a deadline too early":     func(w *claims.Webhook) { w.Deadline = time.Millisecond },
	} {
		w := good
		change(&w)
		_, err := claims.New(claims.Config{Webhooks: []claims.Webhook{w}})
		if !errors.Is(err, claims.ErrWebhook) || strings.Contains(err.Error(), secret[6:]) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := claims.New(claims.Config{Webhooks: []claims.Webhook{good, good}, Rules: []claims.Rule{{Name: "a", Webhook: "https://other.internal/"}}})
	for _, want := range []string{"given twice", "no webhook has this URL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	for _, raw := range []string{"", "x", `{"a":1,"a":2}`, `1,"w":2`, `"` + strings.Repeat("x", 64<<10) + `"`} {
		_, err := claims.New(claims.Config{Rules: []claims.Rule{{Name: "a", Attribute: "id", Default: json.RawMessage(raw)}}})
		if !errors.Is(err, claims.ErrValue) {
			t.Errorf("the default %.20q: got %v", raw, err)
		}
	}
}
