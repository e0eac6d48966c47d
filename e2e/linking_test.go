package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
)

// TestLinking lets somebody who has a local account come by an identity provider,
// for the first time eight times at once, at two replicas where the store is
// Postgres; and somebody else who says that the address is theirs.
func TestLinking(t *testing.T) {
	t.Parallel()
	for name, databases := range map[string][]map[string]string{"sqlite": {{}}, "postgres": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if databases == nil {
				dsn := newDatabase(t)
				databases = []map[string]string{{"GATEHOUSE_DATABASE_URL": dsn}, {"GATEHOUSE_DATABASE_URL": dsn}}
			}
			pool := cognitotest.New()
			t.Cleanup(pool.Close)
			settings := map[string]string{
				"GATEHOUSE_USER_FIELDS": `["id","username","first_name","attributes"]`,
				"GATEHOUSE_IDPS": fmt.Sprintf(`[{"name":"corporate","type":"cognito","issuer":%q,"jwks_url":%q,"client_ids":[%q],"link_by_email":true,
					"unverified_email":"accept","claims":{"first_name":["nickname","given_name"]},"follow_names":true,"attributes":{"department":"custom:department"}}]`,
					pool.Issuer, pool.JWKSURL, cognitotest.ClientID),
			}
			var replicas []*server
			for _, database := range databases {
				all := maps.Clone(settings)
				maps.Copy(all, database)
				replicas = append(replicas, start(t, all, "--migrate"))
			}
			replicas[0].command(t, "", "user", "add", "alice", "--email", "alice@example.test", "--email-verified")
			came := func(i int, subject string, claims cognitotest.Claims) map[string]any {
				id, access := pool.Pair(subject, time.Now(), claims)
				a := exchange(t, replicas[i%len(replicas)], map[string]any{"id_token": id, "access_token": access})
				if a.status != http.StatusOK {
					t.Errorf("%d %s", a.status, a.body)
					return nil
				}
				user, _ := a.json(t)["user"].(map[string]any)
				return user
			}
			alice := cognitotest.Claims{"email": "alice@example.test", "nickname": "Ally", "custom:department": "R&D"}
			var wait sync.WaitGroup
			for i := range 8 {
				wait.Go(func() {
					user := came(i, "111", alice)
					attributes, _ := user["attributes"].(map[string]any)
					if user["username"] != "alice" || user["first_name"] != "Ally" || attributes["department"] != "R&D" {
						t.Errorf("signed in as %v", user)
					}
				})
			}
			wait.Wait()
			if user := came(0, "666", cognitotest.Claims{"email": "alice@example.test", "email_verified": false}); user["username"] == "alice" {
				t.Error("whoever says that it is her address becomes her")
			}
			var users []map[string]any
			if err := json.Unmarshal([]byte(replicas[0].command(t, "", "user", "list", "--json")), &users); err != nil || len(users) != 2 {
				t.Errorf("%d users, %v", len(users), err)
			}
			sessions := replicas[0].command(t, "", "session", "list", "--user", "alice")
			if got := strings.Count(sessions, "\tcorporate\t"); got != 8 {
				t.Errorf("%d sessions:\n%s", got, sessions)
			}
			first, _, _ := strings.Cut(strings.Split(sessions, "\n")[1], "\t")
			if got := replicas[0].command(t, "", "session", "explain", first); !strings.Contains(got, "alive") || !strings.Contains(got, "sign_in") || !strings.Contains(got, "111 of "+pool.Issuer) {
				t.Errorf("the session:\n%s", got)
			}
			if got := replicas[0].command(t, "", "doctor"); !strings.Contains(got, "ok          identity provider corporate: 1 usable keys") {
				t.Errorf("doctor:\n%s", got)
			}
		})
	}
}
