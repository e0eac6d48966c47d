package claims

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// Webhook is a service that knows claims. It is sent one request for each token
// that is made, signed as Standard Webhooks says; docs/claims.md has the protocol.
type Webhook struct {
	URL string // https, or http on a loopback address; no credentials, query or fragment
	// Secrets sign, each for itself, so that one can be replaced: whsec_ and the base64 of 24 to 64 bytes. At least one.
	Secrets       []string
	Timeout       time.Duration // of one attempt; zero: 1 second
	Deadline      time.Duration // of all attempts; zero: 3 seconds
	Attempts      int           // at most; zero: 3
	MaxConcurrent int           // calls at once, the others wait; zero: 64
}

const (
	defaultWebhookTimeout  = time.Second
	defaultWebhookDeadline = 3 * time.Second
	defaultAttempts        = 3
	defaultMaxConcurrent   = 64
	// firstBackoff is how long the second attempt waits at most; each further one waits up to twice as long.
	firstBackoff = 100 * time.Millisecond
)

// webhook is a Webhook that New has checked. Its rules are what it is asked for.
type webhook struct {
	Webhook
	keys   [][]byte
	rules  []rule
	names  *names
	gate   *gate
	client *http.Client
	now    func() time.Time
}

func newWebhooks(c Config, n *names) (hooks []*webhook, errs []error) {
	seen := map[string]bool{}
	for i, w := range c.Webhooks {
		h, err := newWebhook(w, c.Now, n)
		if err == nil && seen[w.URL] {
			err = fmt.Errorf("%w: its URL is given twice", ErrWebhook)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("webhook %d: %w", i+1, err))
			continue
		}
		seen[w.URL] = true
		hooks = append(hooks, h)
	}
	return hooks, errs
}

func newWebhook(w Webhook, now func() time.Time, n *names) (*webhook, error) {
	if w.Timeout == 0 {
		w.Timeout = defaultWebhookTimeout
	}
	if w.Deadline == 0 {
		w.Deadline = defaultWebhookDeadline
	}
	if w.Attempts == 0 {
		w.Attempts = defaultAttempts
	}
	if w.MaxConcurrent == 0 {
		w.MaxConcurrent = defaultMaxConcurrent
	}
	u, err := url.Parse(w.URL)
	switch {
	case err != nil, u.Host == "", u.User != nil, strings.ContainsAny(w.URL, "?#"), u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("%w: the URL must be https, or http on a loopback address, and have no credentials, query or fragment", ErrWebhook)
	case len(w.Secrets) == 0:
		return nil, fmt.Errorf("%w: a secret is required", ErrWebhook)
	case w.Timeout < 0, w.Deadline < w.Timeout, w.Attempts < 0, w.MaxConcurrent < 0:
		return nil, fmt.Errorf("%w: no limit can be negative, and the deadline not be before the timeout", ErrWebhook)
	}
	h := &webhook{Webhook: w, names: n, now: now, gate: newGate(w.MaxConcurrent, now)}
	for i, s := range w.Secrets {
		key, err := webhookKey(s)
		if err != nil {
			return nil, fmt.Errorf("%w: secret %d %w", ErrWebhook, i+1, err)
		}
		h.keys = append(h.keys, key)
	}
	h.client = &http.Client{
		// Redirects would take what is signed for one service to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: w.Timeout}).DialContext, ForceAttemptHTTP2: true,
			MaxIdleConns: w.MaxConcurrent, MaxIdleConnsPerHost: w.MaxConcurrent, MaxConnsPerHost: w.MaxConcurrent,
			IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 16 << 10,
			DisableCompression: true, // what is small on the wire would not be here
		},
	}
	return h, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (h *webhook) from() string  { return "webhook " + h.URL }
func (h *webhook) asked() []rule { return h.rules }

// ask sends the request, again where it was not answered, and reads the answer.
func (h *webhook) ask(ctx context.Context, s *subject) (map[string]any, error) {
	body, err := h.body(s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.Deadline)
	defer cancel()
	if err := h.gate.enter(ctx); err != nil {
		return nil, err
	}
	id := "msg_" + rand.Text()
	for attempt := 1; ; attempt++ {
		answer, again, err := h.send(ctx, id, body)
		if err == nil {
			h.gate.leave(answered)
			return h.read(answer)
		}
		if !again || attempt >= h.Attempts || !pause(ctx, firstBackoff<<(attempt-1)) {
			_, silent := errors.AsType[*url.Error](err)
			h.gate.leave(outcomeOf(ctx, silent))
			return nil, withoutURL(err)
		}
	}
}

// pause waits for a while of up to most, and reports whether there is time left.
func pause(ctx context.Context, most time.Duration) bool {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(most)))
	if err != nil {
		return false
	}
	timer := time.NewTimer(time.Duration(n.Int64()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// withoutURL leaves the URL out, which the name of the source has already.
func withoutURL(err error) error {
	if fault, ok := errors.AsType[*url.Error](err); ok {
		return fault.Err
	}
	return err
}

// send makes one attempt. It may be made again where there was no answer, or one that promises a better one.
func (h *webhook) send(ctx context.Context, id string, body []byte) (answer []byte, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	stamp := strconv.FormatInt(h.now().Unix(), 10)
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"gatehouse"},
		"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signatures(h.keys, id, stamp, body)},
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, true, err
	}
	defer resp.Body.Close() //nolint:errcheck // what was read is checked
	if resp.StatusCode != http.StatusOK {
		again := resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests
		return nil, again, fmt.Errorf("the answer is %d", resp.StatusCode)
	}
	if !isJSON(resp.Header.Get("Content-Type")) {
		return nil, false, errors.New("the answer is not application/json")
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, true, &url.Error{Op: "reading", URL: h.URL, Err: err}
	}
	if len(answer) > maxAnswerBytes {
		return nil, false, fmt.Errorf("the answer has more than %d bytes", maxAnswerBytes)
	}
	return answer, false, nil
}

func isJSON(contentType string) bool {
	mediaType, params, err := mime.ParseMediaType(contentType)
	charset, given := params["charset"]
	return err == nil && mediaType == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// read takes from an answer what was asked for.
func (h *webhook) read(answer []byte) (map[string]any, error) {
	object, ok := jws.ObjectOf(bytes.TrimSpace(answer))
	if !ok {
		return nil, errors.New("the answer is not one JSON object, names a member twice, or nests too deep")
	}
	for name := range object {
		if err := h.names.check(name); err != nil {
			return nil, fmt.Errorf("the answer has a member %.40q: %w", name, err)
		}
	}
	claims := make(map[string]any, len(h.rules))
	for _, r := range h.rules {
		v, given := object[r.name]
		if !given {
			return nil, fmt.Errorf("the answer has no %q", r.name)
		}
		if !readable(v, maxDepth) {
			return nil, fmt.Errorf("the answer has a number in %q that no double holds", r.name)
		}
		claims[r.name] = v
	}
	return claims, nil
}

// request is what a webhook is sent.
type request struct {
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"`
	Data      requestData `json:"data"`
}

type requestData struct {
	Claims  []string       `json:"claims"`
	User    map[string]any `json:"user"`
	Session map[string]any `json:"session"`
}

func (h *webhook) body(s *subject) ([]byte, error) {
	attributes, err := s.attributes()
	if err != nil {
		return nil, err
	}
	r := request{Type: "claims.requested", Timestamp: h.now().UTC(), Data: requestData{
		User:    map[string]any{"attributes": attributes},
		Session: map[string]any{"id": s.Session.ID, "method": s.Session.Method, "created_at": timeText(s.Session.CreatedAt)},
	}}
	for _, rule := range h.rules {
		r.Data.Claims = append(r.Data.Claims, rule.name)
	}
	for _, name := range columns {
		r.Data.User[name] = columnOf(name)(&s.User)
	}
	return json.Marshal(r)
}
