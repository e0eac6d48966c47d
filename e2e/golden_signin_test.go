package e2e_test

import (
	"context"
	"crypto/md5" // a format that users bring along
	"crypto/pbkdf2"
	"crypto/sha1" // a format that users bring along
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/sqlite"
	"golang.org/x/crypto/argon2"
)

// pbkdf2Encoded is a password as Django encodes it.
func pbkdf2Encoded[H hash.Hash](t *testing.T, name string, h func() H, password string, iterations, size int) string {
	t.Helper()
	key, err := pbkdf2.Key(h, password, []byte("saltsaltsalt"), iterations, size)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s$%d$saltsaltsalt$%s", name, iterations, base64.StdEncoding.EncodeToString(key))
}

// seedUsers puts the recordings' users into a database, with their old hashes.
func seedUsers(t *testing.T, dir string) {
	t.Helper()
	sum := md5.Sum([]byte("saltsaltmd5-pass"))
	b64 := base64.RawStdEncoding.EncodeToString
	argon := argon2.IDKey([]byte("argon-pass"), []byte("saltsaltsaltsalt"), 2, 512, 2, 16)
	sha := func(password string) string { return pbkdf2Encoded(t, "pbkdf2_sha256", sha256.New, password, 1000, 32) }
	passwords := map[string]string{
		"alice": sha("correct horse battery"), "bob": sha("bob-pass-123"), "admin": sha("admin"), "spacey": sha(" spaced "),
		"oldhash": sha("old-pass"), "sha1hash": pbkdf2Encoded(t, "pbkdf2_sha1", sha1.New, "sha1-pass", 1000, 20),
		"argonhash": "argon2$argon2id$v=19$m=512,t=2,p=2$" + b64([]byte("saltsaltsaltsalt")) + "$" + b64(argon),
		"md5hash":   "md5$saltsalt$" + hex.EncodeToString(sum[:]), "badhash": "plaintext-not-a-hash",
		"dup1": "!", "dup2": "!", "ghost": sha("ghost"), "leaver": sha("leaver"), "changer": sha("changer-pass"),
	}
	withStore(t, dir, func(ctx context.Context, store repo.Repository) {
		n := 0
		for name, encoded := range passwords {
			n++
			u := repo.User{
				ID: fmt.Sprint(n), Username: name, Email: name + "@example.test", Password: encoded,
				IsActive: name != "bob", IsSuperuser: name == "admin", DateJoined: time.Now().UTC(), UpdatedAt: time.Now().UTC(),
			}
			if name == "alice" {
				u.FirstName, u.LastName = "Alice", "Ng"
			}
			if strings.HasPrefix(name, "dup") {
				u.Email = "dup@example.test"
			}
			if err := store.CreateUser(ctx, u); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// withStore opens the embedded database of a test beside the server.
func withStore(t *testing.T, dir string, do func(ctx context.Context, store repo.Repository)) {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(dir, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // the test ends
	do(t.Context(), store)
}

// goldenServer is a server as the recordings had it: HS256 by the shared secret.
func goldenServer(t *testing.T, settings map[string]string) *server {
	t.Helper()
	all := map[string]string{
		"GATEHOUSE_TOKENS_ALGORITHM": "HS256", "GATEHOUSE_TOKENS_USER_ID_TYPE": "number",
		"GATEHOUSE_THROTTLE_PER_ACCOUNT_AND_NETWORK": "10000", "GATEHOUSE_THROTTLE_PER_NETWORK": "10000",
		"GATEHOUSE_THROTTLE_PER_ACCOUNT": "10000",
	}
	for name, value := range settings {
		all[name] = value
	}
	s := start(t, all)
	seedUsers(t, s.dir)
	return s
}

func TestGoldenSignIn(t *testing.T) {
	t.Parallel()
	g, s := newGoldenRun(t), goldenServer(t, nil)
	for _, r := range recordings(t, "seed") {
		if r.ID[0] == 'S' {
			g.check(t, r, sendSignIn(t, s, r))
		}
	}
	withStore(t, s.dir, func(ctx context.Context, store repo.Repository) {
		for _, name := range []string{"oldhash", "sha1hash", "argonhash", "md5hash"} {
			u, err := store.FindUserByUsername(ctx, name)
			if err != nil || !strings.HasPrefix(u.Password, "argon2$argon2id$v=19$m=64,") {
				t.Errorf("%s signed in, and its password is not encoded anew: %.30q %v", name, u.Password, err)
			}
		}
	})
}

// sendSignIn sends a recorded sign-in. Bodies that the recording shortened are
// made again.
func sendSignIn(t *testing.T, s *server, r recorded) answer {
	t.Helper()
	good := `{"username": "alice", "password": "correct horse battery"}`
	body := r.Body
	switch strings.SplitN(r.ID, "-", 2)[0] {
	case "S37":
		body = `{"username": "` + strings.Repeat("a", 10_000) + `", "password": "x"}`
	case "S38":
		body = `{"username": "alice", "password": "` + strings.Repeat("x", 1<<20) + `"}`
	case "S39":
		body = `{"username": "alice", "password": "` + strings.Repeat("x", 4<<20) + `"}`
	case "S54":
		body = `{"username": ` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`
	case "S49":
		body = "{\"username\": \"\xff\xfe\", \"password\": \"x\"}"
	case "S51":
		body = "\xff\xfe"
		for _, c := range []byte(good) {
			body += string([]byte{c, 0})
		}
	case "S81":
		strict := start(t, nil)
		seedUsers(t, strict.dir)
		for range 19 {
			strict.post(t, r.Path, `{"username": "alice", "password": "wrong"}`)
		}
		return strict.send(t, r.Method, r.Path, body, r.header())
	case "S82":
		return s.raw(t, "POST /auth/sign-in/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"+body, false)
	case "S83":
		return s.raw(t, fmt.Sprintf("POST /auth/sign-in/ HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(good), good), false)
	case "S84":
		return s.raw(t, fmt.Sprintf("POST /auth/sign-in/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(good)+10, good), true)
	}
	return s.send(t, r.Method, r.Path, body, r.header())
}

// TestGoldenClaims replays the variant with custom claims and a user object.
func TestGoldenClaims(t *testing.T) {
	t.Parallel()
	g, idp := newGoldenRun(t), newGoldenIDP(t)
	s := goldenServer(t, idp.settings(map[string]string{
		"GATEHOUSE_CLAIMS": `[{"name":"username","attribute":"username"},{"name":"email","attribute":"email"},` +
			`{"name":"is_staff","attribute":"is_staff"},{"name":"is_active","attribute":"is_active"},` +
			`{"name":"no_such_attribute","attribute":"attributes.no_such_attribute"},{"name":"groups","attribute":"attributes.groups"}]`,
		"GATEHOUSE_USER_FIELDS": `["id","username","email","first_name","last_name","is_active","last_login","date_joined"]`,
	}))
	s.command(t, "", "user", "set", "alice", "--attributes", `{"groups":["editors"]}`)
	var signedIn answer
	for _, r := range recordings(t, "claims") {
		var a answer
		switch r.key() {
		case "claims/CL01":
			a = s.send(t, r.Method, r.Path, r.Body, r.header())
			signedIn = a
		case "claims/CL02":
			s.command(t, "", "user", "set", "alice", "--email", "alice.new@example.test")
			a = s.refresh(t, signedIn)
		default:
			a = s.post(t, r.Path, idp.body(t, r))
		}
		g.check(t, r, a)
		checkClaims(t, r, a)
	}
}

// checkClaims demands the recorded custom claims and members of the user, and
// for the exchange, which forgot them, those of the sign-in.
func checkClaims(t *testing.T, r recorded, a answer) {
	t.Helper()
	var theirs struct {
		User map[string]any `json:"user"`
	}
	mustJSON(t, []byte(r.Response), &theirs)
	ours, _ := a.json(t)["user"].(map[string]any)
	for name, value := range theirs.User {
		got, there := ours[name]
		if !there || name != "id" && name != "last_login" && name != "date_joined" && got != value {
			t.Errorf("%s: user.%s is %v, want %v", r.key(), name, got, value)
		}
	}
	claims := payloadOf(t, a.text(t, "access_token"))
	for _, name := range []string{"username", "email", "is_staff", "is_active", "no_such_attribute", "groups"} {
		if _, there := claims[name]; !there {
			t.Errorf("%s: the access token lacks the claim %q", r.key(), name)
		}
	}
	if claims["email"] != theirs.User["email"] {
		t.Errorf("%s: the claim email is %v, want the current %v", r.key(), claims["email"], theirs.User["email"])
	}
}

// refresh presents the cookie and the CSRF token of an earlier answer.
func (s *server) refresh(t *testing.T, earlier answer) answer {
	t.Helper()
	return s.send(t, http.MethodPost, "/auth/refresh/", `{"CSRF_token":"`+earlier.text(t, "CSRF_token")+`"}`, http.Header{
		"Content-Type": {"application/json"}, "Cookie": {"refresh_cookie=" + earlier.cookie("refresh_cookie")},
	})
}
