package verify_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-auth/gatehouse/verify"
	"github.com/golang-jwt/jwt/v5"
)

func Example() {
	gatehouse, token := playGatehouse()
	defer gatehouse.Close()

	tokens, err := verify.New(verify.Config{Issuer: gatehouse.URL, Audience: "api"})
	if err != nil {
		log.Fatal(err)
	}
	// In a real service: go tokens.Run(ctx)
	orders := tokens.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := verify.FromContext(r.Context())
		var custom struct {
			Plan string `json:"plan"`
		}
		if err := claims.Decode(&custom); err != nil {
			http.Error(w, "the claims are of another form", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "the orders of user %s, on the plan %s", claims.UserID, custom.Plan)
	}))

	service := httptest.NewServer(orders)
	defer service.Close()
	fmt.Println(get(service.URL, ""))
	fmt.Println(get(service.URL, token))
	// Output:
	// 401 Bearer
	// 200 the orders of user 42, on the plan gold
}

// playGatehouse publishes a key, and returns a token that it has signed.
func playGatehouse() (server *httptest.Server, token string) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":%q}]}`, b64(string(public)))
	}))
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": server.URL, "aud": "api", "sub": "42", "user_id": 42, "token_type": "access", "plan": "gold",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	unsigned.Header["kid"] = "k1"
	if token, err = unsigned.SignedString(private); err != nil {
		log.Fatal(err)
	}
	return server, token
}

func get(url, token string) string {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	if challenge := resp.Header.Get("WWW-Authenticate"); challenge != "" {
		return fmt.Sprint(resp.StatusCode, " ", challenge)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(body))
}
