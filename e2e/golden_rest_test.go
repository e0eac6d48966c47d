package e2e_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cookie"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

func verifiesRS256(key *rsa.PublicKey, text, signature string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	sum := sha256.Sum256([]byte(text))
	return err == nil && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw) == nil
}

func TestGoldenVerify(t *testing.T) {
	t.Parallel()
	g, s := newGoldenRun(t), goldenServer(t, nil)
	refreshToken := func() string {
		value := s.signIn(t, "alice", "correct horse battery").cookie("refresh_cookie")
		return strings.SplitN(value, ":", 2)[0]
	}
	for _, variant := range []string{"seed", "csrf", "rotate", "dj42-rotate"} {
		for _, r := range recordings(t, variant) {
			if !strings.HasPrefix(r.Path, "/auth/verify/") {
				continue
			}
			body := map[string]any{}
			if json.Unmarshal([]byte(r.Body), &body) == nil {
				if token, ok := body["token"].(string); ok {
					body["token"] = strings.Replace(token, strings.TrimSpace(token), renewed(t, strings.TrimSpace(token), r.at(t)), 1)
					switch r.key() {
					case "seed/V02", "seed/L05", "rotate/RB03", "dj42-rotate/RB03":
						body["token"] = refreshToken()
					}
					raw, err := json.Marshal(body)
					if err != nil {
						t.Fatal(err)
					}
					r.Body = string(raw)
				}
			}
			g.check(t, r, s.send(t, r.Method, r.Path, r.Body, r.header()))
		}
	}
}

// TestGoldenAlgorithms replays the variants with RS256 and with issuer and
// audience, whose tokens are made by the server itself here.
func TestGoldenAlgorithms(t *testing.T) {
	t.Parallel()
	g := newGoldenRun(t)
	for variant, settings := range map[string]map[string]string{
		"rs256":  {"GATEHOUSE_TOKENS_ALGORITHM": "RS256"},
		"audiss": {"GATEHOUSE_TOKENS_AUDIENCE": `["my-api"]`},
	} {
		s := goldenServer(t, settings)
		a := s.signIn(t, "alice", "correct horse battery")
		for _, r := range recordings(t, variant) {
			token := a.text(t, "access_token")
			claims := payloadOf(t, token)
			switch r.ID {
			case "RS03-verify-hs256":
				token = signHS(t, map[string]any{"alg": "HS256", "kid": partOf(token, 0)["kid"]}, claims)
			case "AI03-wrong-aud":
				claims["aud"] = "somebody"
				token = signHS(t, map[string]any{"alg": "HS256", "typ": "JWT"}, claims)
			case "AI04-wrong-iss":
				claims["iss"] = "https://evil.test"
				token = signHS(t, map[string]any{"alg": "HS256", "typ": "JWT"}, claims)
			case "AI06-no-aud":
				delete(claims, "aud")
				token = signHS(t, map[string]any{"alg": "HS256", "typ": "JWT"}, claims)
			}
			switch r.Path {
			case "/auth/sign-in/":
				g.check(t, r, s.post(t, r.Path, r.Body))
			case "/auth/verify/":
				g.check(t, r, s.post(t, r.Path, `{"token":"`+token+`"}`))
			default:
				g.check(t, r, s.refresh(t, a))
			}
		}
	}
}

// cookies makes what a recorded Cookie header holds, on a session of ours.
type cookies struct {
	server *server
	issuer *tokens.Service
	csrf   *cookie.CSRF
}

func newCookies(t *testing.T, s *server) cookies {
	t.Helper()
	issuer, err := tokens.New(tokens.Config{Issuer: "http://localhost:8080", Secret: goldenSecret, Algorithm: "HS256"})
	if err != nil {
		t.Fatal(err)
	}
	return cookies{server: s, issuer: issuer, csrf: cookie.NewCSRF(issuer.DeriveKey("gatehouse/csrf/1"))}
}

// sign signs a value for the refresh cookie.
func (c cookies) sign(t *testing.T, value, salt, secret string, at time.Time) string {
	t.Helper()
	signer, err := cookie.NewSigner(cookie.Config{Name: "refresh_cookie", Salt: salt, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return signer.Sign(value, at)
}

// expired is the refresh token of a session that is long over.
func (c cookies) expired(t *testing.T) string {
	t.Helper()
	token, err := c.issuer.IssueRefresh(tokens.Refresh{
		SessionID: "gone", Generation: 1, UserID: "1", IssuedAt: time.Now().Add(-48 * time.Hour), ExpiresAt: time.Now().Add(-24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// header returns the cookies and the CSRF token of a recorded refresh or logoff.
func (c cookies) header(t *testing.T, r recorded, a answer) http.Header {
	t.Helper()
	good := a.cookie("refresh_cookie")
	parts := strings.Split(good, ":") // token, time, signature
	token, now, csrf := parts[0], time.Now(), a.text(t, "CSRF_token")
	value := good
	switch strings.SplitN(r.ID, "-", 2)[0] {
	case "R07", "L06", "R09", "C08", "C09":
		value = ""
	case "R08":
		value = "-"
	case "R10":
		value = token
	case "R12":
		value = good[:len(good)-2] + "AA"
	case "R13", "L07":
		value = "x" + good
	case "R14":
		value = parts[0] + ":1" + parts[1] + ":" + parts[2]
	case "R15":
		value = c.sign(t, token, "other", goldenSecret, now)
	case "R17":
		value = c.sign(t, token, "extra", "another secret", now)
	case "R18": // the form of Django before 3.1
		value = "eyJhbGciOiJIUzI1NiJ9.e30.x:1r31eq:x2QBQdxDFEVMaNLrDLNDqm_A8hg"
	case "R19":
		value = c.sign(t, token, "extra", goldenSecret, time.Unix(1000000000, 0))
	case "R20":
		value = c.sign(t, token, "extra", goldenSecret, now.Add(time.Hour))
	case "R22":
		value = good + "; refresh_cookie=bad"
	case "R23":
		value = "bad; refresh_cookie=" + good
	case "R24", "L08", "L10", "C23":
		value, csrf = c.sign(t, c.expired(t), "extra", goldenSecret, now), c.csrf.Token("gone")
	case "R27":
		value = c.sign(t, "garbage", "extra", goldenSecret, now)
	case "R28", "C24":
		value = c.sign(t, "", "extra", goldenSecret, now)
	case "R29", "R30", "R32", "L17": // signed with the secret itself, which refresh tokens never are here
		value = c.sign(t, signHS(t, map[string]any{"alg": "HS256", "typ": "JWT"}, map[string]any{"token_type": "refresh", "exp": now.Add(time.Hour).Unix()}), "extra", goldenSecret, now)
	}
	h := r.header()
	h.Set("X-CSRF-Token", csrf)
	switch value {
	case "":
	case "-":
		h.Set("Cookie", "other="+good)
	default:
		h.Set("Cookie", "refresh_cookie="+value)
	}
	return h
}

// TestGoldenRefreshAndLogoff replays what was done with the refresh cookie.
func TestGoldenRefreshAndLogoff(t *testing.T) {
	t.Parallel()
	g, s := newGoldenRun(t), goldenServer(t, nil)
	c := newCookies(t, s)
	for _, variant := range []string{"seed", "noblacklist", "rotate", "dj42-rotate"} {
		for _, r := range recordings(t, variant) {
			if strings.HasPrefix(r.Path, "/auth/refresh") || strings.HasPrefix(r.Path, "/auth/logoff") {
				a := c.replay(t, r)
				g.check(t, r, a)
				// The cookies go with their session, and never without.
				over := strings.Contains(string(a.body), "urn:gatehouse:problem:session_") || strings.HasPrefix(r.Path, "/auth/logoff") && a.status == http.StatusOK
				if a.deletes("refresh_cookie") != over || a.deletes("CSRF_token") != over {
					t.Errorf("%s (%s): the cookies are deleted: %t, the session is over: %t", r.key(), r.Title, a.deletes("refresh_cookie"), over)
				}
			}
		}
	}
}

// replay opens a session, does to it what the recording says, and presents it.
func (c cookies) replay(t *testing.T, r recorded) answer {
	t.Helper()
	s := c.server
	name, password := "alice", "correct horse battery"
	switch r.key() {
	case "seed/R33":
		name, password = "ghost", "ghost"
	case "seed/R34", "seed/L11":
		name, password = "leaver", "leaver"
	case "seed/R35":
		name, password = "changer", "changer-pass"
	case "seed/L12":
		s.command(t, "a password for it\n", "user", "add", "goner", "--password-stdin")
		name, password = "goner", "a password for it"
	}
	a := s.signIn(t, name, password)
	again := func(path string) {
		s.send(t, http.MethodPost, path, "", http.Header{"Cookie": {"refresh_cookie=" + a.cookie("refresh_cookie")}, "X-CSRF-Token": {a.text(t, "CSRF_token")}})
	}
	switch r.key() {
	case "seed/R33", "seed/L12":
		s.command(t, "", "user", "delete", name)
	case "seed/R34", "seed/L11":
		s.command(t, "", "user", "disable", name)
		defer s.command(t, "", "user", "enable", name)
	case "seed/R35":
		s.command(t, "another password\n", "user", "set", name, "--password-stdin")
	case "seed/R25", "seed/L02", "seed/L03":
		again("/auth/logoff/")
	case "seed/R02", "rotate/RB02", "dj42-rotate/RB02":
		again("/auth/refresh/")
	}
	body := r.Body
	if r.ID == "R03-body-ignored" {
		body = `{"CSRF_token":"` + a.text(t, "CSRF_token") + `"}`
	}
	return s.send(t, r.Method, r.Path, body, c.header(t, r, a))
}

// TestGoldenCSRF replays the variant with CSRF tokens.
func TestGoldenCSRF(t *testing.T) {
	t.Parallel()
	g, s := newGoldenRun(t), goldenServer(t, nil)
	c := newCookies(t, s)
	for _, r := range recordings(t, "csrf") {
		if r.Path == "/auth/verify/" {
			continue // with the others
		}
		if r.Path == "/auth/sign-in/" {
			g.check(t, r, s.post(t, r.Path, r.Body))
			continue
		}
		a := s.signIn(t, "alice", "correct horse battery")
		token := a.text(t, "CSRF_token")
		secret, ok := cookie.Unmask(token)
		if !ok {
			t.Fatalf("the CSRF token has another form than Django's: %q", token)
		}
		h := c.header(t, r, a)
		h.Del("X-CSRF-Token")
		body := `{"CSRF_token":"` + token + `"}`
		switch strings.SplitN(r.ID, "-", 2)[0] {
		case "C11":
			masked, err := cookie.Mask(secret)
			if err != nil {
				t.Fatal(err)
			}
			body = `{"CSRF_token":"` + masked + `"}`
		case "C13":
			body = `{"CSRF_token":"` + secret + `"}`
		case "C21", "C30":
			body = `{"CSRF_token":"` + s.signIn(t, "alice", "correct horse battery").text(t, "CSRF_token") + `"}`
		case "C23":
			body = `{"CSRF_token":"` + c.csrf.Token("gone") + `"}`
		case "C33":
			h2 := h.Clone()
			h2.Set("Content-Type", "application/json")
			s.send(t, r.Method, r.Path, body, h2)
		case "C03", "C04", "C06", "C12", "C14", "C16", "C17", "C18", "C19", "C22", "C31":
			body = r.Body
		}
		if h.Get("Content-Type") == "" && body != "" {
			h.Set("Content-Type", "application/json")
		}
		g.check(t, r, s.send(t, r.Method, r.Path, body, h))
	}
}

// TestGoldenExchange replays the exchanges with a pool that has the recordings'
// keys. None finds an account by its e-mail address.
func TestGoldenExchange(t *testing.T) {
	t.Parallel()
	g, idp := newGoldenRun(t), newGoldenIDP(t)
	s := goldenServer(t, idp.settings(nil))
	owners := map[string]string{} // by subject
	for _, r := range recordings(t, "seed") {
		if r.ID[0] != 'X' || r.key() == "seed/X70" || r.key() == "seed/X71" {
			continue // after a rotation: below
		}
		if r.key() == "seed/X80" {
			raceFirstExchanges(t, s, idp, r)
		}
		body := idp.body(t, r)
		if r.key() == "seed/X41" {
			if a := s.post(t, "/auth/social-exchange/", body); a.status != http.StatusOK {
				t.Fatalf("before the replay: %d %s", a.status, a.body)
			}
			g.check(t, r, s.send(t, r.Method, r.Path, body, http.Header{"Content-Type": {"application/json"}, "User-Agent": {"another client"}}))
			continue
		}
		a := s.send(t, r.Method, r.Path, body, r.header())
		g.check(t, r, a)
		if a.status == http.StatusOK && r.Method == http.MethodPost {
			subject, _ := partOf(bodyToken(t, body), 1)["sub"].(string)
			user := fmt.Sprint(payloadOf(t, a.text(t, "access_token"))["user_id"])
			if before := owners[subject]; before != "" && before != user {
				t.Errorf("%s: the subject %s was the user %s, and is now %s", r.key(), subject, before, user)
			}
			owners[subject] = user
		}
	}
	users := map[string]string{}
	for subject, user := range owners {
		if other := users[user]; other != "" || len(user) < 10 {
			t.Errorf("the subjects %q and %q share the user %s, or it is a local one", subject, other, user)
		}
		users[user] = subject
	}
}

func bodyToken(t *testing.T, body string) string {
	t.Helper()
	var b map[string]any
	mustJSON(t, []byte(body), &b)
	token, _ := b["id_token"].(string)
	return token
}

// raceFirstExchanges signs one new subject in four times at once, with four pairs.
func raceFirstExchanges(t *testing.T, s *server, idp *goldenIDP, r recorded) {
	t.Helper()
	got := make(chan string, 4)
	var wait sync.WaitGroup
	for i := range cap(got) {
		one := r
		one.Body = strings.Replace(r.Body, `"expires_in": 300`, fmt.Sprintf(`"expires_in": %d`, 300+i), 1)
		body := idp.body(t, one)
		wait.Go(func() {
			a := s.post(t, "/auth/social-exchange/", body)
			if a.status != http.StatusOK && a.status != http.StatusConflict {
				t.Errorf("four first exchanges at once: %d %s", a.status, a.body)
			}
			if a.status == http.StatusOK {
				got <- fmt.Sprint(payloadOf(t, a.text(t, "access_token"))["user_id"])
			}
		})
	}
	wait.Wait()
	close(got)
	first := <-got
	for user := range got {
		if user != first {
			t.Error("one subject became two users")
		}
	}
	withStore(t, s.dir, func(ctx context.Context, store repo.Repository) {
		subject, _ := partOf(bodyToken(t, r.Body), 1)["sub"].(string)
		if _, err := store.FindUserByIdentity(ctx, "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_abcdefg", subject); err != nil {
			t.Error(err)
		}
	})
}

// TestGoldenKeyRotation rotates the pool's keys.
func TestGoldenKeyRotation(t *testing.T) {
	t.Parallel()
	g, idp := newGoldenRun(t), newGoldenIDP(t)
	s := goldenServer(t, idp.settings(nil))
	all := recordings(t, "seed")
	for _, r := range all {
		switch r.key() {
		case "seed/X01":
			g.check(t, r, s.post(t, r.Path, idp.body(t, r)))
			idp.publish("kid-rotated", "kid-2")
		case "seed/X70", "seed/X71":
			g.check(t, r, s.post(t, r.Path, idp.body(t, r)))
		}
	}
}

// TestGoldenBrokenKeys replays the variants whose JWKS endpoint answers badly.
func TestGoldenBrokenKeys(t *testing.T) {
	t.Parallel()
	text := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	g := newGoldenRun(t)
	for variant, broken := range map[string]func(http.ResponseWriter){
		"jwks-down": text(503, `{"message":"down"}`), "jwks-html": text(200, "<html>"), "jwks-nokeys": text(200, `{}`),
		"jwks-ec": text(200, `{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"kid-1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`),
	} {
		idp := newGoldenIDP(t)
		idp.breaks(broken)
		s := goldenServer(t, idp.settings(nil))
		for i, r := range recordings(t, variant) {
			if i == 1 {
				idp.breaks(nil)
			}
			a := s.post(t, r.Path, idp.body(t, r))
			for try := 0; i == 1 && a.status == http.StatusServiceUnavailable && try < 3000; try++ { // as Retry-After asks for
				a = s.post(t, r.Path, idp.body(t, r))
			}
			g.check(t, r, a)
		}
	}
}

// TestGoldenUserIDs replays the variant in which the subject is kept as the user's
// UUID: here it is the id of new users.
func TestGoldenUserIDs(t *testing.T) {
	t.Parallel()
	g, idp := newGoldenRun(t), newGoldenIDP(t)
	settings := idp.settings(nil)
	settings["GATEHOUSE_IDPS"] = strings.Replace(settings["GATEHOUSE_IDPS"], `"name"`, `"user_id_from_subject":true,"name"`, 1)
	s := goldenServer(t, settings)
	for _, r := range recordings(t, "uuidfield") {
		body := idp.body(t, r)
		a := s.post(t, r.Path, body)
		g.check(t, r, a)
		want := partOf(bodyToken(t, body), 1)["sub"]
		if got := payloadOf(t, a.text(t, "access_token"))["user_id"]; got != want {
			t.Errorf("%s: the user's id is %v, want the subject %v", r.key(), got, want)
		}
	}
}
