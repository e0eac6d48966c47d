package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
)

// TestRefusedPairsChangeNothing shows the program pairs with one defect each, of
// somebody whom it knows and whom each calls something else: all are refused, in
// the same words, and nobody changes.
func TestRefusedPairsChangeNothing(t *testing.T) {
	t.Parallel()
	pool, stranger := cognitotest.New(), cognitotest.New()
	t.Cleanup(pool.Close)
	t.Cleanup(stranger.Close)
	s := start(t, map[string]string{
		"GATEHOUSE_IDPS": fmt.Sprintf(`[{"name":"one","type":"cognito","issuer":%q,"jwks_url":%q,"client_ids":[%q],"follow_names":true,
			"link_by_email":true,"user_id_from_subject":true,"attributes":{"plan":"custom:plan"}},
			{"name":"other","type":"cognito","issuer":%q,"jwks_url":%q,"client_ids":["somebody"]}]`,
			pool.Issuer, pool.JWKSURL, cognitotest.ClientID, stranger.Issuer, stranger.JWKSURL),
	})
	s.command(t, "", "user", "add", "admin", "--email", "admin@example.test", "--email-verified", "--superuser")
	id, access := pool.Pair("111", time.Now(), nil)
	if a := exchange(t, s, map[string]any{"id_token": id, "access_token": access}); a.status != http.StatusOK {
		t.Fatalf("a good pair: %d %s\n%s", a.status, a.body, s.log)
	}
	state := func() string {
		return s.command(t, "", "user", "list", "--json") + s.command(t, "", "session", "list", "--all", "--json")
	}
	before := state()
	other := cognitotest.Claims{"email": "admin@example.test", "given_name": "Mallory", "custom:plan": "free", "cognito:username": "mallory"}
	with := func(name string, value any) cognitotest.Claims { return other.With(cognitotest.Claims{name: value}) }
	pair := func(c cognitotest.Claims) map[string]any {
		id, access := pool.Pair("111", time.Now(), c)
		return map[string]any{"id_token": id, "access_token": access}
	}
	signed := func(by *cognitotest.Pool, header map[string]any) map[string]any {
		access := pool.Sign("kid-1", pool.Access("111", time.Now()))
		return map[string]any{"id_token": cognitotest.Sign(by.Key("kid-1"), header, pool.ID("111", time.Now()).With(other)), "access_token": access}
	}
	newcomer, itsAccess := pool.Pair("222", time.Now(), other)
	for name, body := range map[string]map[string]any{
		"exp, text": pair(with("exp", "9999999999")), "exp, 1e30": pair(with("exp", 1e30)), "exp, missing": pair(with("exp", nil)),
		"iat, tomorrow": pair(with("iat", time.Now().Add(24*time.Hour).Unix())), "nbf, true": pair(with("nbf", true)),
		"iss, zero width": pair(with("iss", pool.Issuer+"\u200b")), "iss, NUL": pair(with("iss", pool.Issuer+"\x00")), "iss, the other pool's": pair(with("iss", stranger.Issuer)),
		"aud, a stranger": pair(with("aud", "somebody")), "azp, a list": pair(with("azp", []string{cognitotest.ClientID})),
		"token_use, a list": pair(with("token_use", []string{"id"})), "token_use, missing": pair(with("token_use", nil)),
		"sub, NUL": pair(with("sub", "111\x00")), "sub, endless": pair(with("sub", strings.Repeat("1", 300))), "sub, a number": pair(with("sub", 111)),
		"sub, somebody else's": pair(with("sub", "222")), "sub, lone surrogate": pair(with("sub", "\xed\xa0\x80")),
		"at_hash, a number": pair(with("at_hash", 7)), "at_hash, empty": pair(with("at_hash", "")),
		"origin_jti, a number": pair(with("origin_jti", 7)), "origin_jti, another": pair(with("origin_jti", "x")),
		"the other pool's key":           signed(stranger, map[string]any{"kid": "kid-1"}),
		"no key":                         signed(pool, nil),
		"alg in lower case":              signed(pool, map[string]any{"kid": "kid-1", "alg": "rs256"}),
		"a key in the header":            signed(pool, map[string]any{"kid": "kid-1", "jwk": map[string]any{"kty": "RSA"}}),
		"the address of a key":           signed(pool, map[string]any{"kid": "kid-1", "jku": stranger.JWKSURL}),
		"the ID token twice":             {"id_token": id, "access_token": id},
		"the access token twice":         {"id_token": access, "access_token": access},
		"swapped":                        {"id_token": access, "access_token": id},
		"another sign-in's access token": {"id_token": newcomer, "access_token": access},
		"another user's access token":    {"id_token": id, "access_token": itsAccess},
		"a blank before":                 {"id_token": " " + id, "access_token": access},
		"a line break":                   {"id_token": id + "\n", "access_token": access},
	} {
		a := exchange(t, s, body)
		if a.status != http.StatusUnauthorized || a.text(t, "code") != "idp_token_not_valid" || len(a.header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %d %s, cookies %v", name, a.status, a.body, a.header.Values("Set-Cookie"))
		}
	}
	for verified, body := range map[string]map[string]any{
		"TRUE": pair(with("email_verified", "TRUE")), "1": pair(with("email_verified", 1)), "\"1\"": pair(with("email_verified", "1")),
		"nothing": pair(with("email_verified", nil)),
	} {
		if a := exchange(t, s, body); a.status != http.StatusForbidden || a.text(t, "code") != "email_not_verified" {
			t.Errorf("email_verified %s: %d %s", verified, a.status, a.body)
		}
	}
	if after := state(); after != before {
		t.Errorf("what was refused has changed\n%s\nto\n%s", before, after)
	}
	if strings.Contains(s.log.String(), id) || strings.Contains(s.log.String(), access) {
		t.Error("the log has a token")
	}
	// A subject that is a local user's id, and has that user's address at a provider that links, is not that user.
	var users []struct{ ID, Username string }
	if err := json.Unmarshal([]byte(s.command(t, "", "user", "list", "--json")), &users); err != nil || len(users) != 2 {
		t.Fatalf("%d users, %v", len(users), err)
	}
	for _, u := range users {
		id, access := pool.Pair(u.ID, time.Now(), other)
		a := exchange(t, s, map[string]any{"id_token": id, "access_token": access})
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", u.Username, a.status, a.body)
		}
		if got := payloadOf(t, a.text(t, "access_token"))["user_id"]; (got == u.ID) != (u.ID == "111") { // whose own it is
			t.Errorf("the subject %s signed in as %v", u.ID, got)
		}
	}
}
