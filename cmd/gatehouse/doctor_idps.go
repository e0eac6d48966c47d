package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/internal/jwks"
)

// providers fetches the metadata and the keys of each identity provider.
func (f *findings) providers(ctx context.Context, cfg config.Config) {
	if len(cfg.IDPs) == 0 {
		f.add("identity providers", isOK, "none is configured", "")
		return
	}
	notes, clocks := &keyNotes{}, &clocks{apart: map[string]time.Duration{}}
	verifiers, _, err := identityProviders(cfg, nil, slog.New(notes), &http.Client{Transport: clocks, Timeout: 10 * time.Second})
	if err != nil {
		f.add("identity providers", isFailed, err.Error(), "")
		return
	}
	for _, v := range verifiers {
		name := "identity provider " + v.Name()
		for _, p := range v.Probe(ctx) {
			switch {
			case p.Err != nil && p.Standby:
				f.add(name, isWarning, reason(p.Err), "needed only where the provider has this issuer")
			case p.Err != nil:
				f.add(name, isFailed, reason(p.Err), "issuer, jwks_url, and the network between Gatehouse and the provider")
			default:
				f.add(name, isOK, fmt.Sprintf("%d usable keys at %s", p.Keys, p.URL), "")
			}
			for _, note := range notes.take() {
				f.add(name+": keys", isWarning, note, "tokens that are signed with it are refused")
			}
		}
		for host, apart := range clocks.take() {
			check := name + ": clock"
			if detail := fmt.Sprintf("%s is %s apart from here", host, apart.Abs()); apart.Abs() > cfg.Tokens.Leeway+time.Second {
				f.add(check, isFailed, detail, "set the clock here; tokens.leeway is "+cfg.Tokens.Leeway.String())
			} else {
				f.add(check, isOK, detail, "")
			}
		}
	}
}

// keyNotes is a log that keeps why keys are passed over, and nothing else.
type keyNotes struct {
	mu    sync.Mutex
	notes []string
}

// Enabled is for every level.
func (n *keyNotes) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs and WithGroup change nothing of what is kept.
func (n *keyNotes) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup is as WithAttrs.
func (n *keyNotes) WithGroup(string) slog.Handler { return n }

// Handle keeps the record where it is about a key.
func (n *keyNotes) Handle(_ context.Context, r slog.Record) error {
	if r.Message != jwks.KeyIgnored {
		return nil
	}
	var about []string
	r.Attrs(func(a slog.Attr) bool {
		about = append(about, a.Value.String())
		return true
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, strings.Join(about, ": "))
	return nil
}

// take returns the notes so far, and forgets them.
func (n *keyNotes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	notes := n.notes
	n.notes = nil
	return notes
}

// clocks tells by the Date of the answers how far the clocks of the hosts are
// from ours.
type clocks struct {
	mu    sync.Mutex
	apart map[string]time.Duration
}

// RoundTrip asks, and looks at Date (RFC 9110 §6.6.1), which has whole seconds;
// an answer out of a cache is older by its Age.
func (c *clocks) RoundTrip(req *http.Request) (*http.Response, error) {
	begun := time.Now()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	half := begun.Add(time.Since(begun) / 2)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		age, err := time.ParseDuration(resp.Header.Get("Age") + "s")
		if err != nil {
			age = 0
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.apart[req.URL.Host] = date.Add(age).Sub(half).Round(time.Second)
	}
	return resp, nil
}

func (c *clocks) take() map[string]time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	apart := c.apart
	c.apart = map[string]time.Duration{}
	return apart
}

// issuer asks the running server for its keys, as those who verify do; signers
// are those that must be among them.
func (f *findings) issuer(ctx context.Context, cfg config.Config, signers []string) {
	at := strings.TrimSuffix(cfg.Issuer, "/") + "/.well-known/jwks.json"
	const check = "issuer"
	body, _, err := jwks.Get(ctx, jwks.NoRedirects(nil), at)
	if err != nil {
		f.add(check, isFailed, fmt.Sprintf("%s: %v", at, err), "whoever verifies tokens needs this URL: the name, the proxy, or the server itself")
		return
	}
	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		f.add(check, isFailed, at+" answers with something else than keys", "the proxy sends it elsewhere")
		return
	}
	published := map[string]bool{}
	for _, k := range set.Keys {
		published[k.KeyID] = true
	}
	for _, id := range signers {
		if !published[id] {
			f.add(check, isFailed, fmt.Sprintf("%s does not have the key %s, which signs", at, id), "another server, or another database, answers there")
			return
		}
	}
	f.add(check, isOK, fmt.Sprintf("%s has %d keys, and those that sign (%d) among them", at, len(set.Keys), len(signers)), "")
}
