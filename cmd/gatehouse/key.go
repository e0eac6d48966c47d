package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/spf13/cobra"
)

func (c *cli) keyCommand() *cobra.Command {
	key := group(&cobra.Command{Use: "key", Short: "List, rotate, retire and import the keys that sign access tokens"})
	key.AddCommand(c.keyListCommand(), c.keyRotateCommand(), c.keyRetireCommand(), c.keyImportCommand())
	return key
}

func (c *cli) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys, the oldest first", Args: cobra.NoArgs,
		Long: "Lists the keys, the oldest first, with what they are sealed under: current (the secret), fallback (one of\n" +
			"secret_fallbacks), or other (none of these).",
		RunE: c.withTokens(func(cmd *cobra.Command, s *tokens.Service, _ []string) error { return c.listKeys(cmd.Context(), s) }),
	}
}

func (c *cli) keyRotateCommand() *cobra.Command {
	var signsNow bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Make a new key and retire the others", Args: cobra.NoArgs,
		Long: "Makes a new key and retires the others. The new one signs after twice keys.jwks_max_age and tokens.leeway, when\n" +
			"every service that verifies has it; the others are published until their last token has expired. Servers that run\n" +
			"need no restart.",
		RunE: c.withTokens(func(cmd *cobra.Command, s *tokens.Service, _ []string) error {
			if _, err := s.Rotate(cmd.Context(), signsNow); err != nil {
				return err
			}
			return c.listKeys(cmd.Context(), s)
		}),
	}
	cmd.Flags().BoolVar(&signsNow, "signs-now", false,
		"let it sign at once: services that have cached the key set refuse its tokens until they fetch it anew")
	return cmd
}

func (c *cli) keyRetireCommand() *cobra.Command {
	var compromised bool
	cmd := &cobra.Command{
		Use: "retire KID", Short: "Let a key sign no more", Args: cobra.ExactArgs(1),
		Long: "Lets a key sign no more, from now on; servers that run learn of it within half of keys.jwks_max_age. It is published\n" +
			"until its last token has expired. Another key must be able to sign: where none is, rotate first.",
		RunE: c.withTokens(func(cmd *cobra.Command, s *tokens.Service, args []string) error {
			err := s.Retire(cmd.Context(), args[0], compromised)
			switch {
			case errors.Is(err, tokens.ErrLastSigner):
				return fmt.Errorf("%w; make one that does first: gatehouse key rotate (it signs when every verifier has it), "+
					"or gatehouse key rotate --signs-now where that can't be waited for", err)
			case err != nil:
				return err
			}
			if compromised {
				if _, err := fmt.Fprintln(c.err, compromisedText); err != nil {
					return err
				}
			}
			return c.listKeys(cmd.Context(), s)
		}),
	}
	cmd.Flags().BoolVar(&compromised, "compromised", false, "publish it no more either: every token that it has signed is refused")
	return cmd
}

// compromisedText says what was done, and what it does not do.
const compromisedText = "The key is deleted and no longer published. Its tokens are refused by this service within half of keys.jwks_max_age, and\n" +
	"by others when the key set that they have cached is older than keys.jwks_max_age: restart those that must not wait. Users\n" +
	"notice nothing: their next refresh gives them a token of another key. Refresh tokens are not signed by it."

func (c *cli) keyImportCommand() *cobra.Command {
	var signsNow bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Import a private key (PEM or JWK) and retire the others", Args: cobra.ExactArgs(1),
		Long: "Imports a private key for tokens.algorithm: PEM (PKCS #8, PKCS #1, SEC 1) or a JWK; - reads standard input. It takes\n" +
			"over like a new one of gatehouse key rotate. Its kid is the RFC 7638 thumbprint.",
		RunE: c.withTokens(func(cmd *cobra.Command, s *tokens.Service, args []string) error {
			text, err := c.readAtMost(args[0], 64<<10)
			if err != nil {
				return fmt.Errorf("reading the key: %w", err)
			}
			if _, err := s.Import(cmd.Context(), text, signsNow); err != nil {
				return err
			}
			return c.listKeys(cmd.Context(), s)
		}),
	}
	cmd.Flags().BoolVar(&signsNow, "signs-now", false,
		"let it sign at once: for a key that the services that verify have already, such as Django's SIGNING_KEY")
	return cmd
}

// readAtMost reads a file, or standard input for "-".
func (c *cli) readAtMost(path string, limit int64) ([]byte, error) {
	in := c.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it is only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return text, err
}

// withTokens runs a command on the keys, with the database where they are there.
func (c *cli) withTokens(do func(*cobra.Command, *tokens.Service, []string) error) func(*cobra.Command, []string) error {
	run := func(cmd *cobra.Command, cfg config.Config, keys tokens.KeyStore, args []string) error {
		s, err := newTokens(cfg, keys, newLogger(c.err, cfg.Log))
		if err != nil {
			return err
		}
		return do(cmd, s, args)
	}
	inDatabase := c.withDatabase(func(cmd *cobra.Command, cfg config.Config, store store, args []string) error {
		if err := prepareStore(cmd.Context(), cfg, store, false); err != nil {
			return err
		}
		return run(cmd, cfg, store, args)
	})
	return func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load()
		if err != nil || cfg.Keys.File == "" {
			return inDatabase(cmd, args)
		}
		return run(cmd, cfg, nil, args)
	}
}

func (c *cli) listKeys(ctx context.Context, s *tokens.Service) error {
	list, err := s.ListKeys(ctx)
	if err != nil {
		return err
	}
	rows, lines := []map[string]any{}, []string{"KID\tALG\tSTATE\tSIGNS FROM\tSIGNS UNTIL\tPUBLISHED UNTIL\tSEALED BY"}
	for _, k := range list {
		rows = append(rows, map[string]any{
			"kid": k.KeyID, "alg": k.Algorithm, "state": k.State, "created_at": timeOrNil(k.CreatedAt),
			"signs_at": timeOrNil(k.SignsAt), "retired_at": timeOrNil(k.RetiredAt), "remove_at": timeOrNil(k.RemoveAt), "sealed_by": k.SealedBy,
		})
		sealed := k.SealedBy
		if sealed == "" {
			sealed = "-"
		}
		lines = append(lines, strings.Join([]string{
			k.KeyID, k.Algorithm, k.State, timeOrDash(k.SignsAt), timeOrDash(k.RetiredAt), timeOrDash(k.RemoveAt), sealed,
		}, "\t"))
	}
	return c.print(rows, strings.Join(lines, "\n"))
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
