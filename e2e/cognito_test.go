package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// cognitoLocal is a running cognito-local with a pool and an app client.
type cognitoLocal struct{ url, pool, client string }

func startCognito(t *testing.T) cognitoLocal {
	t.Helper()
	script, err := filepath.Abs("../test/node_modules/cognito-local/lib/bin/start.js")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node(t), script)
	cmd.Dir = t.TempDir() // where it keeps its database
	cmd.Env = append(os.Environ(), "HOST=127.0.0.1", "PORT="+freePort(t))
	c := cognitoLocal{url: program(t, cmd, regexp.MustCompile(`running on (http://[0-9.:]+)`))}
	c.pool = c.call(t, "CreateUserPool", map[string]any{"PoolName": "people"})["UserPool"].(map[string]any)["Id"].(string)
	c.client = c.addClient(t)
	return c
}

func (c cognitoLocal) addClient(t *testing.T) string {
	t.Helper()
	answer := c.call(t, "CreateUserPoolClient", map[string]any{
		"UserPoolId": c.pool, "ClientName": "app", "CallbackURLs": []string{callback}, "AllowedOAuthFlows": []string{"code"},
		"AllowedOAuthFlowsUserPoolClient": true, "AllowedOAuthScopes": []string{"openid", "email", "profile"},
	})
	return answer["UserPoolClient"].(map[string]any)["ClientId"].(string)
}

// call does one operation of the Cognito API.
func (c cognitoLocal) call(t *testing.T, operation string, input map[string]any) map[string]any {
	t.Helper()
	body, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService."+operation)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	read, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", operation, resp.Status, read, err)
	}
	output := map[string]any{}
	if err := json.Unmarshal(read, &output); err != nil {
		t.Fatal(err)
	}
	return output
}

// signUp makes a user; verified says whether Cognito vouches for the mailbox.
func (c cognitoLocal) signUp(t *testing.T, email string, verified bool) {
	t.Helper()
	attributes := []map[string]string{{"Name": "email", "Value": email}, {"Name": "given_name", "Value": "María"}}
	c.call(t, "SignUp", map[string]any{
		"ClientId": c.client, "Username": email, "Password": "Pass-word-1", "UserAttributes": attributes,
	})
	c.call(t, "AdminConfirmSignUp", map[string]any{"UserPoolId": c.pool, "Username": email})
	if verified {
		c.call(t, "AdminUpdateUserAttributes", map[string]any{
			"UserPoolId": c.pool, "Username": email,
			"UserAttributes": append(attributes, map[string]string{"Name": "email_verified", "Value": "true"}),
		})
	}
}

// tokens signs a user in at Cognito, and returns the answer as a browser would
// pass it on.
func (c cognitoLocal) tokens(t *testing.T, clientID, email string) map[string]any {
	t.Helper()
	result := c.call(t, "InitiateAuth", map[string]any{
		"ClientId": clientID, "AuthFlow": "USER_PASSWORD_AUTH",
		"AuthParameters": map[string]string{"USERNAME": email, "PASSWORD": "Pass-word-1"},
	})["AuthenticationResult"].(map[string]any)
	return map[string]any{
		"id_token": result["IdToken"], "access_token": result["AccessToken"], "refresh_token": result["RefreshToken"],
		"expires_in": 3600, "token_type": "Bearer",
	}
}

// exchange presents tokens to Gatehouse.
func exchange(t *testing.T, s *server, tokens map[string]any) answer {
	t.Helper()
	body, err := json.Marshal(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return s.post(t, "/auth/social-exchange/", string(body))
}

func TestExchangeOfTokensFromARealCognitoProgram(t *testing.T) {
	t.Parallel()
	cognito := startCognito(t)
	idps, err := json.Marshal([]map[string]any{{
		"name": "cognito", "type": "cognito", "client_ids": []string{cognito.client},
		"issuer": cognito.url + "/" + cognito.pool, "jwks_url": cognito.url + "/" + cognito.pool + "/.well-known/jwks.json",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, map[string]string{"GATEHOUSE_IDPS": string(idps), "GATEHOUSE_USER_FIELDS": `["id","email","email_verified"]`})
	cognito.signUp(t, "maria@example.test", true)
	tokens := cognito.tokens(t, cognito.client, "maria@example.test")

	a := exchange(t, s, tokens)
	if a.status != http.StatusOK {
		t.Fatalf("exchange: %d %s\n%s", a.status, a.body, s.log)
	}
	user, _ := a.json(t)["user"].(map[string]any)
	if user["email"] != "maria@example.test" || user["email_verified"] != true {
		t.Errorf("the new user is %v", user)
	}

	t.Run("the session refreshes", func(t *testing.T) {
		cookies := http.Header{
			"Content-Type": {"application/json"},
			"Cookie":       {"refresh_cookie=" + a.cookie("refresh_cookie") + "; CSRF_token=" + a.cookie("CSRF_token")},
		}
		body := `{"CSRF_token":"` + a.text(t, "CSRF_token") + `"}`
		if r := s.send(t, http.MethodPost, "/auth/refresh/", body, cookies); r.status != http.StatusOK {
			t.Errorf("refresh: %d %s", r.status, r.body)
		}
	})
	t.Run("the next exchange finds the same user", func(t *testing.T) {
		again := exchange(t, s, cognito.tokens(t, cognito.client, "maria@example.test"))
		if again.status != http.StatusOK {
			t.Fatalf("exchange: %d %s", again.status, again.body)
		}
		if other, _ := again.json(t)["user"].(map[string]any); other["id"] != user["id"] {
			t.Errorf("two users for one identity: %v and %v", user["id"], other["id"])
		}
	})
	t.Run("tokens of another app client are refused", func(t *testing.T) {
		other := exchange(t, s, cognito.tokens(t, cognito.addClient(t), "maria@example.test"))
		if other.status != http.StatusUnauthorized || other.text(t, "code") != "idp_token_not_valid" {
			t.Errorf("exchange: %d %s", other.status, other.body)
		}
	})
	t.Run("an access token in the place of the ID token is refused", func(t *testing.T) {
		swapped := map[string]any{"id_token": tokens["access_token"], "access_token": tokens["access_token"]}
		if r := exchange(t, s, swapped); r.status != http.StatusUnauthorized {
			t.Errorf("exchange: %d %s", r.status, r.body)
		}
	})
	t.Run("an address that Cognito does not vouch for is refused", func(t *testing.T) {
		cognito.signUp(t, "mallory@example.test", false)
		r := exchange(t, s, cognito.tokens(t, cognito.client, "mallory@example.test"))
		if r.status != http.StatusForbidden || r.text(t, "code") != "email_not_verified" {
			t.Errorf("exchange: %d %s", r.status, r.body)
		}
	})
}
