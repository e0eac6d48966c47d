package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

func (c *cli) clientCommand() *cobra.Command {
	client := group(&cobra.Command{Use: "client", Short: "Manage the services that may ask about tokens"})
	named := func(use, short, long string, do func(context.Context, repo.Clients, string) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " NAME", Short: short, Long: long, Args: cobra.ExactArgs(1),
			RunE: c.withStore(func(ctx context.Context, a *admin, args []string) error {
				err := do(ctx, a.store, args[0])
				if errors.Is(err, repo.ErrNotFound) {
					return fmt.Errorf("there is no client %q", args[0])
				}
				return err
			}),
		}
	}
	client.AddCommand(
		named("add", "Add a client and print its secret", "Adds a client and prints its id and its secret. The secret is shown this once: only its hash is kept.", c.addClient),
		named("rotate", "Give a client another secret and print it", "Gives a client another secret and prints it. Running servers refuse the former one within five seconds;\n"+
			"for a change without a gap, add a second client and delete the first when nobody uses it any more.", c.rotateClient),
		named("delete", "Delete a client", "Deletes a client. Running servers refuse it within five seconds.", func(ctx context.Context, clients repo.Clients, name string) error {
			if err := clients.DeleteClient(ctx, name, clientEvent("client_deleted", name, time.Now().UTC())); err != nil {
				return err
			}
			return c.print(map[string]string{"name": name, "done": "delete"}, "deleted "+name)
		}),
		&cobra.Command{
			Use: "list", Short: "List all clients", Args: cobra.NoArgs,
			RunE: c.withStore(func(ctx context.Context, a *admin, _ []string) error { return c.listClients(ctx, a.store) }),
		})
	return client
}

func (c *cli) addClient(ctx context.Context, clients repo.Clients, name string) error {
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the name of a client has 1 to 100 visible ASCII characters")
	}
	secret, hash := session.NewClientSecret()
	now := time.Now().UTC()
	client := repo.Client{ID: uuid.Must(uuid.NewV7()).String(), Name: name, SecretHash: hash, CreatedAt: now, RotatedAt: now}
	if err := clients.CreateClient(ctx, client, clientEvent("client_added", name, now)); errors.Is(err, repo.ErrConflict) {
		return fmt.Errorf("there is a client %q already", name)
	} else if err != nil {
		return err
	}
	return c.printSecret(client.ID, name, secret)
}

func (c *cli) rotateClient(ctx context.Context, clients repo.Clients, name string) error {
	secret, hash := session.NewClientSecret()
	if err := clients.RotateClientSecret(ctx, name, hash, clientEvent("client_rotated", name, time.Now().UTC())); err != nil {
		return err
	}
	list, err := clients.ListClients(ctx)
	if err != nil {
		return err
	}
	for _, client := range list {
		if client.Name == name {
			return c.printSecret(client.ID, name, secret)
		}
	}
	return repo.ErrNotFound // deleted a moment ago
}

func (c *cli) printSecret(id, name, secret string) error {
	return c.print(map[string]string{"client_id": id, "client_secret": secret, "name": name},
		fmt.Sprintf("client_id      %s\nclient_secret  %s\n\nThe secret is not shown again.", id, secret))
}

func (c *cli) listClients(ctx context.Context, clients repo.Clients) error {
	list, err := clients.ListClients(ctx)
	if err != nil {
		return err
	}
	rows, lines := []map[string]any{}, []string{"CLIENT ID\tNAME\tCREATED\tSECRET SINCE"}
	for _, client := range list {
		rows = append(rows, map[string]any{
			"client_id": client.ID, "name": client.Name, "created_at": client.CreatedAt, "rotated_at": client.RotatedAt,
		})
		lines = append(lines, strings.Join([]string{
			client.ID, client.Name, client.CreatedAt.Format(time.RFC3339), client.RotatedAt.Format(time.RFC3339),
		}, "\t"))
	}
	return c.print(rows, strings.Join(lines, "\n"))
}

func clientEvent(name, client string, now time.Time) repo.AuditEvent {
	e := adminEvent(name, "", now)
	e.Details, _ = json.Marshal(map[string]string{"by": "command line", "client": client}) // text alone: it can't fail
	return e
}
