package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

func (c *cli) userCommand() *cobra.Command {
	user := group(&cobra.Command{Use: "user", Short: "Add, change, disable, delete and list users"})
	user.AddCommand(c.userAddCommand(), c.userSetCommand(), c.userListCommand(),
		c.userStateCommand("disable", "Disable a user and end all of its sessions", (repo.Repository).DisableUser),
		c.userStateCommand("enable", "Enable a user", (repo.Repository).EnableUser),
		c.userStateCommand("delete", "Delete a user with its sessions", (repo.Repository).DeleteUser))
	return user
}

// userFlags are what `user add` and `user set` have in common.
type userFlags struct {
	email, firstName, lastName, attributes  string
	emailVerified, staff, superuser, passwd bool
}

func (f *userFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.passwd, "password-stdin", false, "read the password from the first line of standard input")
	flags.StringVar(&f.email, "email", "", "the e-mail address")
	flags.BoolVar(&f.emailVerified, "email-verified", false, "whether the e-mail address is proved")
	flags.StringVar(&f.firstName, "first-name", "", "the first name")
	flags.StringVar(&f.lastName, "last-name", "", "the last name")
	flags.BoolVar(&f.staff, "staff", false, "whether the user is staff")
	flags.BoolVar(&f.superuser, "superuser", false, "whether the user is a superuser")
	flags.StringVar(&f.attributes, "attributes", "{}", "a JSON object of attributes")
}

// apply writes the flags that were given into a user.
func (f *userFlags) apply(cmd *cobra.Command, u *repo.User) error {
	given := cmd.Flags().Changed
	if utf8.RuneCountInString(f.email) > 254 { // RFC 5321 §4.5.3.1.3; and PostgreSQL's index of it has a bound
		return errors.New("an e-mail address has at most 254 characters")
	}
	if given("email") && f.email != u.Email {
		u.Email, u.EmailVerified = f.email, false // nobody has proved the new one
	}
	if given("email-verified") {
		u.EmailVerified = f.emailVerified
	}
	if given("first-name") {
		u.FirstName = f.firstName
	}
	if given("last-name") {
		u.LastName = f.lastName
	}
	if given("staff") {
		u.IsStaff = f.staff
	}
	if given("superuser") {
		u.IsSuperuser = f.superuser
	}
	if given("attributes") || u.Attributes == nil {
		var object map[string]any
		if err := json.Unmarshal([]byte(f.attributes), &object); err != nil || object == nil {
			return errors.New("--attributes must be a JSON object")
		}
		u.Attributes = json.RawMessage(f.attributes)
	}
	return nil
}

func (c *cli) userAddCommand() *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a user", Args: cobra.ExactArgs(1),
		Long: "Adds a user. Without --password-stdin the user has no password and can sign in by an identity provider only.",
	}
	f.register(cmd)
	cmd.RunE = c.withStore(func(ctx context.Context, a *admin, args []string) error {
		name := args[0]
		if name == "" || name != strings.TrimSpace(name) || len([]rune(name)) > 150 || strings.ContainsFunc(name, unicode.IsControl) {
			return errors.New("a username has 1 to 150 characters, none of them a control character, and no white space around it")
		}
		now := time.Now().UTC()
		u := repo.User{
			ID: uuid.Must(uuid.NewV7()).String(), Username: name, Password: "!", IsActive: true, DateJoined: now, UpdatedAt: now,
		}
		if err := f.apply(cmd, &u); err != nil {
			return err
		}
		if f.passwd {
			encoded, err := a.readPassword(ctx, c.in, name, u.Email)
			if err != nil {
				return err
			}
			u.Password = encoded
		}
		if err := a.store.CreateUser(ctx, u); errors.Is(err, repo.ErrConflict) {
			return fmt.Errorf("there is a user %q already", name)
		} else if err != nil {
			return err
		}
		return c.print(asJSON(u), fmt.Sprintf("added %s (id %s)", shown(u.Username), u.ID))
	})
	return cmd
}

func (c *cli) userSetCommand() *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a user", Args: cobra.ExactArgs(1),
		Long: "Changes what is given and leaves the rest. A new password ends all sessions of the user.",
	}
	f.register(cmd)
	cmd.RunE = c.withStore(func(ctx context.Context, a *admin, args []string) error {
		u, err := a.find(ctx, args[0])
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		u.UpdatedAt = now
		if err := f.apply(cmd, &u); err != nil {
			return err
		}
		var encoded string
		if f.passwd {
			if encoded, err = a.readPassword(ctx, c.in, u.Username, u.Email); err != nil {
				return err
			}
		}
		if err := a.store.UpdateUser(ctx, u); err != nil {
			return err
		}
		if f.passwd {
			if err := a.store.SetPassword(ctx, u.ID, "", encoded, "", adminEvent("password_changed", u.ID, now)); err != nil {
				return err
			}
		}
		return c.print(asJSON(u), "changed "+shown(u.Username))
	})
	return cmd
}

func (c *cli) userListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all users", Args: cobra.NoArgs,
		RunE: c.withStore(func(ctx context.Context, a *admin, _ []string) error {
			users, lines := []map[string]any{}, []string{"ID\tUSERNAME\tEMAIL\tACTIVE"}
			if err := a.eachUser(ctx, func(u repo.User) error {
				users = append(users, asJSON(u))
				lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%t", u.ID, shown(u.Username), shown(u.Email), u.IsActive))
				return nil
			}); err != nil {
				return err
			}
			return c.print(users, strings.Join(lines, "\n"))
		}),
	}
}

// userStateCommand makes a command out of a method that takes a user's id.
func (c *cli) userStateCommand(name, short string, change func(repo.Repository, context.Context, string, repo.AuditEvent) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: c.withStore(func(ctx context.Context, a *admin, args []string) error {
			u, err := a.find(ctx, args[0])
			if err != nil {
				return err
			}
			if err := change(a.store, ctx, u.ID, adminEvent("user_"+name+"d", u.ID, time.Now().UTC())); err != nil {
				return err
			}
			return c.print(map[string]string{"id": u.ID, "done": name}, fmt.Sprintf("%sd %s", name, shown(u.Username)))
		}),
	}
}

// admin is what a command works with that changes the store.
type admin struct {
	config config.Config
	store  repo.Repository
	hasher *password.Hasher
}

// withDatabase runs a command against the configured database, whatever its
// schema, and closes it.
func (c *cli) withDatabase(do func(*cobra.Command, config.Config, store, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load()
		if err != nil {
			return err
		}
		store, err := openStore(cfg)
		if err != nil {
			return err
		}
		defer store.Close() //nolint:errcheck // every write was acknowledged before
		return do(cmd, cfg, store, args)
	}
}

// withStore is withDatabase for a command that needs the schema of this program.
func (c *cli) withStore(do func(context.Context, *admin, []string) error) func(*cobra.Command, []string) error {
	return c.withDatabase(func(cmd *cobra.Command, cfg config.Config, store store, args []string) error {
		if err := prepareStore(cmd.Context(), cfg, store, false); err != nil {
			return err
		}
		hasher, err := newHasher(cfg)
		if err != nil {
			return err
		}
		return do(cmd.Context(), &admin{config: cfg, store: store, hasher: hasher}, args)
	})
}

// eachUser goes through all users, in the order of their ids.
func (a *admin) eachUser(ctx context.Context, do func(repo.User) error) error {
	const page = 500
	for after := ""; ; {
		batch, err := a.store.ListUsers(ctx, after, page)
		if err != nil {
			return err
		}
		for _, u := range batch {
			if err := do(u); err != nil {
				return err
			}
			after = u.ID
		}
		if len(batch) < page {
			return nil
		}
	}
}

func (a *admin) find(ctx context.Context, username string) (repo.User, error) {
	u, err := a.store.FindUserByUsername(ctx, username)
	if errors.Is(err, repo.ErrNotFound) {
		return repo.User{}, fmt.Errorf("there is no user %q", username)
	}
	return u, err
}

// readPassword reads a line, holds it to the rules for new passwords and
// encodes it.
func (a *admin) readPassword(ctx context.Context, in io.Reader, personal ...string) (string, error) {
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
		return "", errors.New("a password is UTF-8, and has no NUL: no other could sign in")
	}
	if err := password.Check(line, personal...); err != nil {
		return "", err
	}
	return a.hasher.Hash(ctx, line)
}

func adminEvent(name, userID string, now time.Time) repo.AuditEvent {
	return repo.AuditEvent{
		ID: uuid.Must(uuid.NewV7()).String(), At: now, Event: name, UserID: userID,
		Details: json.RawMessage(`{"by":"command line"}`),
	}
}

// asJSON is a user as the commands print it: without the password.
func asJSON(u repo.User) map[string]any {
	return map[string]any{
		"id": u.ID, "username": u.Username, "email": u.Email, "email_verified": u.EmailVerified,
		"first_name": u.FirstName, "last_name": u.LastName, "is_active": u.IsActive, "is_staff": u.IsStaff,
		"is_superuser": u.IsSuperuser, "attributes": u.Attributes, "date_joined": u.DateJoined,
	}
}
