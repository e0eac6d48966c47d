package main

import (
	"context"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/spf13/cobra"
)

func (c *cli) keyCommand() *cobra.Command {
	key := group(&cobra.Command{Use: "key", Short: "List and rotate the keys that sign access tokens"})
	key.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the keys, the oldest first", Args: cobra.NoArgs,
			RunE: c.withStore(func(ctx context.Context, a *admin, _ []string) error { return c.listKeys(ctx, a.store) }),
		},
		&cobra.Command{
			Use: "rotate", Short: "Make a new key and retire the others", Args: cobra.NoArgs,
			Long: "Makes a new key and retires the others. The new one signs after twice the max-age, when every service that verifies\n" +
				"has it; the others are published until their last token has expired. Servers that run need no restart.",
			RunE: c.withStore(func(ctx context.Context, a *admin, _ []string) error {
				issuer, err := newTokens(a.config, a.store, c.logger(a.config.Log))
				if err != nil {
					return err
				}
				if _, err := issuer.Rotate(ctx, false); err != nil {
					return err
				}
				return c.listKeys(ctx, a.store)
			}),
		})
	return key
}

func (c *cli) listKeys(ctx context.Context, keys repo.SigningKeys) error {
	list, err := keys.ListSigningKeys(ctx)
	if err != nil {
		return err
	}
	now, rows, lines := time.Now(), []map[string]any{}, []string{"KID\tALG\tSTATE\tSIGNS FROM\tSIGNS UNTIL\tPUBLISHED UNTIL"}
	for _, k := range list {
		state := keyState(k, now)
		rows = append(rows, map[string]any{
			"kid": k.KeyID, "alg": k.Algorithm, "state": state, "created_at": k.CreatedAt,
			"signs_at": k.SignsAt, "retired_at": timeOrNil(k.RetiredAt), "remove_at": timeOrNil(k.RemoveAt),
		})
		lines = append(lines, strings.Join([]string{
			k.KeyID, k.Algorithm, state, timeOrDash(k.SignsAt), timeOrDash(k.RetiredAt), timeOrDash(k.RemoveAt),
		}, "\t"))
	}
	return c.print(rows, strings.Join(lines, "\n"))
}

// keyState is where a key is on its way: published, signing, retired, removed.
func keyState(k repo.SigningKey, now time.Time) string {
	over := func(end time.Time) bool { return !end.IsZero() && !now.Before(end) }
	switch {
	case over(k.RemoveAt):
		return "removed"
	case over(k.RetiredAt):
		return "retired"
	case over(k.SignsAt):
		return "signing"
	}
	return "published"
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func timeOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}
