// Command zitadel is an OpenID provider for the tests: the example of
// github.com/zitadel/oidc, on a loopback port of its own.
package main

import (
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	redirect := os.Getenv("REDIRECT_URI")
	storage.RegisterClients(storage.NativeClient("native", redirect), storage.WebClient("web", "secret", redirect))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := fmt.Sprintf("http://%s/", listener.Addr())
	handler := exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), slog.Default(), false)
	fmt.Println("listening at", issuer)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
