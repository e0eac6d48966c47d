package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/spf13/cobra"
)

func (c *cli) sessionExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "Say what became of a session, and why", Args: cobra.ExactArgs(1),
		RunE: c.withStore(func(ctx context.Context, a *admin, args []string) error {
			r, err := a.explain(ctx, args[0], "", time.Now().UTC())
			if err != nil {
				return err
			}
			if r.State == stateUnknown && len(r.Events) == 0 {
				return fmt.Errorf("there is no session %q, and no event of it", args[0])
			}
			return c.print(r, r.text())
		}),
	}
}

// The states of a session, as reports have them.
const (
	stateAlive   = "alive"
	stateOver    = "over"
	stateUnknown = "unknown"
)

// sessionReport is what is known of a session.
type sessionReport struct {
	ID           string        `json:"id"`
	State        string        `json:"state"` // alive, over or unknown
	Reason       string        `json:"reason,omitempty"`
	RevokeReason string        `json:"revoke_reason,omitempty"`
	Since        any           `json:"since"` // when it ended; null where it did not, or where that is not known
	Why          string        `json:"why"`
	UserID       string        `json:"user_id,omitempty"`
	Username     string        `json:"username,omitempty"`
	Method       string        `json:"method,omitempty"`
	Issuer       string        `json:"issuer,omitempty"` // with the subject: the identity that signed in
	Subject      string        `json:"subject,omitempty"`
	CreatedAt    any           `json:"created_at"`
	LastUsedAt   any           `json:"last_used_at"`
	IdleExpires  any           `json:"idle_expires_at"`
	Expires      any           `json:"expires_at"`
	Generation   int64         `json:"generation,omitempty"`
	LateRetries  int           `json:"late_retries"`
	IP           string        `json:"ip,omitempty"`
	UserAgent    string        `json:"user_agent,omitempty"`
	Events       []eventReport `json:"events"`
}

// eventReport is one line of the audit record.
type eventReport struct {
	At        time.Time       `json:"at"`
	Event     string          `json:"event"`
	IP        string          `json:"ip,omitempty"`
	UserAgent string          `json:"user_agent,omitempty"`
	Details   json.RawMessage `json:"details"`
}

// latestEvents is how many events are looked through for those of a session.
const latestEvents = 10_000

// explain tells what is known of a session. userID is whose it was, for one that
// is no longer stored; it may be empty.
func (a *admin) explain(ctx context.Context, id, userID string, now time.Time) (sessionReport, error) {
	su, err := a.store.FindSession(ctx, id)
	if err != nil && !errors.Is(err, repo.ErrNotFound) {
		return sessionReport{}, err
	}
	r := sessionReport{ID: id, State: stateUnknown, Events: []eventReport{},
		Why: "it is not stored: it never was, it was swept after its end, or its user was deleted"}
	if err == nil {
		r = reportOf(su, policyOf(a.config), now)
		userID = su.User.ID
	}
	events, err := a.store.ListEvents(ctx, userID, latestEvents)
	if err != nil {
		return sessionReport{}, err
	}
	for _, e := range slices.Backward(events) {
		// What ends all sessions of a user names none of them, or the one that it kept.
		ofAll := su.Session.ID != "" && e.UserID == su.User.ID && e.At.Equal(su.Session.RevokedAt)
		if e.SessionID == id || ofAll {
			r.Events = append(r.Events, eventReport{At: e.At, Event: e.Event, IP: e.IP, UserAgent: e.UserAgent, Details: e.Details})
		}
	}
	return r, nil
}

func policyOf(c config.Config) session.Policy {
	return session.Policy{Grace: c.Sessions.Grace, LateRetries: c.Sessions.LateRetries, RefreshLifetime: c.Tokens.RefreshLifetime}
}

// reportOf tells what the store has of a session.
func reportOf(su repo.SessionUser, policy session.Policy, now time.Time) sessionReport {
	s := su.Session
	r := sessionReport{
		ID: s.ID, State: stateAlive, Why: "it is alive: the current refresh token gets a new one",
		UserID: su.User.ID, Username: su.User.Username, Method: s.Method, Issuer: s.Issuer, Subject: s.Subject,
		CreatedAt: s.CreatedAt, LastUsedAt: s.RotatedAt, IdleExpires: s.IdleExpiresAt, Expires: s.ExpiresAt,
		Generation: s.Generation, LateRetries: s.LateRetries, IP: s.IP, UserAgent: s.UserAgent, Events: []eventReport{},
	}
	out := session.Decide(session.StateOf(su), session.Presented{Generation: s.Generation}, policy, now)
	if out.Kind == session.Rotate {
		return r
	}
	r.State, r.Reason, r.RevokeReason = stateOver, out.Reason.String(), out.RevokeReason
	switch out.Reason {
	case session.ReasonRevoked:
		r.Since = s.RevokedAt
		r.Why = "it was ended: " + out.RevokeReason
		if why, known := revokeReasons[out.RevokeReason]; known {
			r.Why = why
		}
	case session.ReasonExpired:
		r.Since, r.Why = s.ExpiresAt, "it reached its absolute end (tokens.session_lifetime)"
	case session.ReasonIdle:
		r.Since, r.Why = s.IdleExpiresAt, "it was not refreshed in time (tokens.refresh_lifetime)"
	case session.ReasonUserDisabled:
		r.Why = "its user is disabled"
	}
	return r
}

// revokeReasons says in words why sessions are revoked.
var revokeReasons = map[string]string{
	session.RevokedByLogOff: "the user logged off",
	session.RevokedByReuse: "a refresh token came that had been followed by another, later than sessions.grace and sessions.late_retries forgive: " +
		"it was copied, or a client goes on with an old one",
	session.RevokedByUser:   "its user ended it, alone or with all others",
	session.RevokedByClient: "a registered service revoked it",
	revokedByAdmin:          "it was ended on the command line",
	"password_changed":      "the password was changed",
	"user_disabled":         "the user was disabled",
}

// text is the report for a reader.
func (r sessionReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s%s\n", name, shown(fmt.Sprintf(format, args...)))
	}
	line("session", "%s", r.ID)
	state := r.State
	if since, ok := r.Since.(time.Time); ok {
		state += " since " + timeOrDash(since)
	}
	line("state", "%s", state)
	line("why", "%s", r.Why)
	if r.State != stateUnknown {
		line("user", "%s (id %s)", r.Username, r.UserID)
		line("began", "%s by %s from %s, %q", moment(r.CreatedAt), r.Method, r.IP, r.UserAgent)
		if r.Subject != "" {
			line("identity", "%s of %s", r.Subject, r.Issuer)
		}
		line("last used", "%s, generation %d, late retries %d", moment(r.LastUsedAt), r.Generation, r.LateRetries)
		line("idle until", "%s", moment(r.IdleExpires))
		line("ends", "%s", moment(r.Expires))
	}
	for i, e := range r.Events {
		name := ""
		if i == 0 {
			name = "events"
		}
		line(name, "%s %s from %q %q %s", timeOrDash(e.At), e.Event, e.IP, e.UserAgent, e.Details)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func moment(at any) string {
	t, _ := at.(time.Time)
	return timeOrDash(t)
}
