package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/spf13/cobra"
)

// revokedByAdmin is the reason of a session that the command line ended.
const revokedByAdmin = "ended_by_admin"

func (c *cli) sessionCommand() *cobra.Command {
	cmd := group(&cobra.Command{Use: "session", Short: "List, end and explain sessions"})
	cmd.AddCommand(c.sessionListCommand(), c.sessionRevokeCommand(), c.sessionExplainCommand())
	return cmd
}

func (c *cli) sessionListCommand() *cobra.Command {
	var username string
	var all bool
	cmd := &cobra.Command{Use: "list", Short: "List the sessions that are alive, those used last first", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&username, "user", "", "of this user")
	cmd.Flags().BoolVar(&all, "all", false, "of all users, one after the other")
	cmd.MarkFlagsOneRequired("user", "all")
	cmd.MarkFlagsMutuallyExclusive("user", "all")
	cmd.RunE = c.withStore(func(ctx context.Context, a *admin, _ []string) error {
		found, lines := []map[string]any{}, []string{"ID\tUSERNAME\tMETHOD\tBEGAN\tLAST USED\tIP\tUSER AGENT"}
		add := func(u repo.User) error {
			sessions, err := a.store.ListSessions(ctx, u.ID, time.Now())
			for _, s := range sessions {
				found = append(found, map[string]any{
					"id": s.ID, "user_id": u.ID, "username": u.Username, "method": s.Method, "created_at": s.CreatedAt, "last_used_at": s.RotatedAt,
					"idle_expires_at": s.IdleExpiresAt, "expires_at": s.ExpiresAt, "ip": s.IP, "user_agent": s.UserAgent,
				})
				lines = append(lines, strings.Join([]string{
					s.ID, shown(u.Username), s.Method, timeOrDash(s.CreatedAt), timeOrDash(s.RotatedAt), s.IP, shown(s.UserAgent),
				}, "\t"))
			}
			return err
		}
		var err error
		if all {
			err = a.eachUser(ctx, add)
		} else {
			var u repo.User
			if u, err = a.find(ctx, username); err == nil {
				err = add(u)
			}
		}
		if err != nil {
			return err
		}
		return c.print(found, strings.Join(lines, "\n"))
	})
	return cmd
}

func (c *cli) sessionRevokeCommand() *cobra.Command {
	var username string
	cmd := &cobra.Command{
		Use: "revoke [ID]", Short: "End a session, or all of a user", Args: cobra.MaximumNArgs(1),
		Long: "Ends a session, or with --user all sessions of a user. No refresh token of them is good any more; access tokens\nthat were issued before are, until they expire.",
	}
	cmd.Flags().StringVar(&username, "user", "", "end all sessions of this user")
	cmd.RunE = c.withStore(func(ctx context.Context, a *admin, args []string) error {
		if (len(args) == 1) == (username != "") {
			return errors.New("name a session, or a user by --user")
		}
		now := time.Now().UTC()
		if username != "" {
			u, err := a.find(ctx, username)
			if err != nil {
				return err
			}
			n, err := a.store.RevokeUserSessions(ctx, u.ID, "", revokedByAdmin, adminEvent("sessions_ended", u.ID, now))
			if err != nil {
				return err
			}
			return c.print(map[string]any{"user_id": u.ID, "ended": n}, fmt.Sprintf("ended %d sessions of %s", n, shown(u.Username)))
		}
		su, err := a.store.FindSession(ctx, args[0])
		if errors.Is(err, repo.ErrNotFound) {
			return fmt.Errorf("there is no session %q", args[0])
		} else if err != nil {
			return err
		}
		e := adminEvent("session_ended", su.User.ID, now)
		e.SessionID = su.Session.ID
		ended, err := a.store.RevokeSession(ctx, su.Session.ID, revokedByAdmin, e)
		if err != nil {
			return err
		}
		text := "ended " + su.Session.ID
		if !ended {
			text = su.Session.ID + " had ended before"
		}
		return c.print(map[string]any{"id": su.Session.ID, "ended": ended}, text)
	})
	return cmd
}

// shown is text that others have written, as a terminal may show it: without
// what could move the cursor or hide a part.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
