package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-auth/gatehouse/claims"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/spf13/cobra"
)

// nobodysSession stands for the id of a session where there is none, and is as long as one.
const nobodysSession = "00000000-0000-0000-0000-000000000000"

func (c *cli) claimsCommand() *cobra.Command {
	group := group(&cobra.Command{Use: "claims", Short: "Show what goes into access tokens"})
	var method string
	preview := &cobra.Command{
		Use: "preview USER", Short: "Show the claims that a user's access token would have", Args: cobra.ExactArgs(1),
		Long: "Shows the custom claims that the access token of a user would have now, where each comes from, how long it takes,\n" +
			"and how many bytes the token has. Webhooks are asked. No token is made. Fails where none could be.",
	}
	preview.Flags().StringVar(&method, "method", "password", "how the session began: password, or the name of an identity provider")
	preview.RunE = c.withStore(func(ctx context.Context, a *admin, args []string) error {
		u, err := a.find(ctx, args[0])
		if err != nil {
			return err
		}
		return c.previewClaims(ctx, a, u, method)
	})
	group.AddCommand(preview)
	return group
}

func (c *cli) previewClaims(ctx context.Context, a *admin, u repo.User, method string) error {
	logger := newLogger(c.err, a.config.Log)
	issuer, err := newTokens(a.config, a.store, logger)
	if err != nil {
		return err
	}
	set, err := newClaims(a.config, issuer, logger)
	if err != nil {
		return err
	}
	explained := set.Explain(ctx, claims.Subject{
		User: session.ClaimsUser(u), Session: claims.Session{ID: nobodysSession, Method: method, CreatedAt: time.Now()},
	})
	p := preview{custom: map[string]any{}}
	for _, e := range explained {
		p.add(e)
	}
	size, err := issuer.AccessSize(tokens.AccessSubject{UserID: u.ID, SessionID: nobodysSession, Custom: p.custom})
	if err != nil {
		p.errs = append(p.errs, err)
	}
	if err := c.print(map[string]any{"claims": p.rows, "token_bytes": size, "max_bytes": issuer.Budget()}, p.table(size, issuer.Budget())); err != nil {
		return err
	}
	return errors.Join(p.errs...)
}

// preview is what Explain said, for people and as JSON.
type preview struct {
	custom map[string]any
	rows   []previewRow
	errs   []error // why there would be no token
}

// previewRow is one claim.
type previewRow struct {
	Name    string          `json:"name"`
	Value   json.RawMessage `json:"value,omitempty"` // none: absent
	Bytes   int             `json:"bytes"`
	From    string          `json:"from"`
	Default bool            `json:"default"`
	Took    int64           `json:"took_us"`
	Error   string          `json:"error,omitempty"`
	took    time.Duration
}

func (p *preview) add(e claims.Explained) {
	row := previewRow{Name: e.Name, From: e.From, Default: e.Default, Took: e.Took.Microseconds(), took: e.Took}
	if e.Err != nil {
		row.Error = e.Err.Error()
		if !e.Default {
			p.errs = append(p.errs, e.Err)
		}
	}
	if (e.Err == nil || e.Default) && !e.Absent {
		row.Value, _ = json.Marshal(e.Value) // it came from JSON
		row.Bytes = tokens.SizesOf(map[string]any{e.Name: e.Value})[0].Bytes
		p.custom[e.Name] = e.Value
	}
	p.rows = append(p.rows, row)
}

func (p *preview) table(size, budget int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CLAIM\tVALUE\tBYTES\tFROM\tTOOK")
	for _, r := range p.rows {
		value, from := string(r.Value), r.From
		switch {
		case r.Value == nil && r.Error != "":
			value = "(fails)"
		case r.Value == nil:
			value = "(absent)"
		case r.Default:
			from = "default, instead of " + from
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%v\n", r.Name, value, r.Bytes, from, r.took.Round(100*time.Nanosecond))
	}
	_ = w.Flush() // into memory
	fmt.Fprintf(&b, "\nthe token has %d of %d bytes", size, budget)
	return b.String()
}
