package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// peer is the Django service of bench/django, on the same Postgres.
type peer struct {
	b          *bench
	server     *server
	env        []string
	postmaster int
	db         *sql.DB
	refresh    []string // a token for each user
}

// peerUsers is how many users the peer has.
const peerUsers = 10_000

// python is Debian's own interpreter: another one may lack the packages.
const python = "/usr/bin/python3"

// startPeer makes the peer's database, and starts it in the configuration that
// refreshes fastest here.
func (b *bench) startPeer(ctx context.Context, pg *engine) (*peer, error) {
	u, err := url.Parse(pg.url)
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	if err := pg.exec(ctx, "CREATE DATABASE peer"); err != nil {
		return nil, err
	}
	u.Path = "/peer"
	private, public, err := pemKeys()
	if err != nil {
		return nil, err
	}
	p := &peer{b: b, postmaster: pg.postmaster, env: []string{
		"PATH=" + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1",
		"PEER_SECRET=" + b.secret, "PEER_DATABASE=peer", "PEER_PORT=" + u.Port(), "PEER_USER=" + u.User.Username(), "PEER_PASSWORD=" + password,
		"PEER_ISSUER=" + b.idp.issuer, "PEER_AUDIENCE=" + b.idp.clientID, "PEER_JWKS=" + string(b.idp.keys),
		"PEER_PRIVATE=" + private, "PEER_PUBLIC=" + public, "PEER_PLAIN=" + plain, "PEER_FIRST=" + strconv.Itoa(firstID),
	}}
	seed := exec.CommandContext(ctx, python, "bench/django/service.py", "seed", strconv.Itoa(peerUsers))
	seed.Env, seed.Stderr = p.env, os.Stderr
	out, err := seed.Output()
	if err != nil {
		return nil, fmt.Errorf("seeding the peer: %w", err)
	}
	if p.refresh = strings.Fields(string(out)); len(p.refresh) != peerUsers {
		return nil, fmt.Errorf("the peer has %d tokens", len(p.refresh))
	}
	if p.db, err = sql.Open("postgres", u.String()); err != nil {
		return nil, err
	}
	if err := p.choose(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// pemKeys makes a key pair for ES256.
func pemKeys() (private, public string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	known, err := x509.MarshalPKIXPublicKey(key.Public())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: known})), err
}

// choose tries configurations, and leaves the peer running in the best.
func (p *peer) choose(ctx context.Context) error {
	cores := runtime.NumCPU()
	var best, now [2]int
	var rate float64
	for _, now = range [][2]int{{cores, 1}, {cores, 4}, {cores, 16}, {cores + 1, 8}, {2 * cores, 4}} {
		if err := p.start(ctx, now); err != nil {
			return err
		}
		workers, err := p.workers(ctx, "refresh", 16)
		if err != nil {
			return err
		}
		m, err := p.target().measure(ctx, workers, min(2*time.Second, p.b.seconds))
		if err != nil {
			return fmt.Errorf("the peer with %d workers of %d threads: %w", now[0], now[1], err)
		}
		p.b.log("peer: %d workers of %d threads refresh %.0f times a second", now[0], now[1], m.Rate)
		if m.Rate > rate {
			best, rate = now, m.Rate
		}
	}
	if best != now {
		if err := p.start(ctx, best); err != nil {
			return err
		}
	}
	p.b.report.Peer = fmt.Sprintf("gunicorn, %d workers of %d threads, persistent connections, simplejwt with rotation and blacklist, ES256, cookies, CSRF token, audit", best[0], best[1])
	return nil
}

// start starts the peer, in place of the one that runs.
func (p *peer) start(ctx context.Context, workersAndThreads [2]int) error {
	if err := p.stop(); err != nil {
		return err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	p.server = &server{address: address, cmd: exec.Command("/usr/bin/gunicorn", "--bind", address, "--worker-class", "gthread",
		"--workers", strconv.Itoa(workersAndThreads[0]), "--threads", strconv.Itoa(workersAndThreads[1]),
		"--keep-alive", "75", "--chdir", "bench/django", "service:application")}
	p.server.cmd.Env = p.env
	return p.server.start(ctx, "/health/")
}

// close stops the peer for good.
func (p *peer) close() error { return errors.Join(p.stop(), p.db.Close()) }

func (p *peer) stop() error {
	if p.server == nil {
		return nil
	}
	err := p.server.stop()
	p.server = nil
	return err
}

func (p *peer) target() target {
	return target{address: p.server.address, pid: p.server.cmd.Process.Pid, forks: true, postmaster: p.postmaster}
}

// cell measures a scenario that the peer has, if there is a peer.
func (p *peer) cell(ctx context.Context, scenario string, clients int, d time.Duration) error {
	if p == nil {
		return nil
	}
	workers, err := p.workers(ctx, scenario, clients)
	if err != nil {
		return err
	}
	m, err := p.target().measure(ctx, workers, d)
	if err != nil {
		return fmt.Errorf("%s by the peer, %d clients: %w", scenario, clients, err)
	}
	p.b.keep(key{scenario, "peer", clients}, m)
	return nil
}

// djangoCSRF is a secret as Django's CSRF cookie and header have it.
const djangoCSRF = "0123456789abcdefghijklmnopqrstuv"

// peerRefresher is a client of the peer with its users' refresh tokens, which
// are the peer's own: what the last run left of them serves the next.
type peerRefresher struct {
	peer *peer
	own  []int
	at   int
}

func (f *peerRefresher) next() []byte {
	f.at = (f.at + 1) % len(f.own)
	return post("/refresh/", "Cookie: refresh="+f.peer.refresh[f.own[f.at]]+"; csrftoken="+djangoCSRF+"\r\nX-CSRFToken: "+djangoCSRF+"\r\n", "{}")
}

func (f *peerRefresher) took(r *reply) error {
	token, ok := r.cookieValue("refresh")
	if r.status != http.StatusOK || !ok {
		return r.unexpected("refreshing at the peer")
	}
	f.peer.refresh[f.own[f.at]] = token
	return nil
}

// workers returns the clients of a scenario that the peer has.
func (p *peer) workers(ctx context.Context, scenario string, clients int) ([]worker, error) {
	path, _, _ := strings.Cut(scenario, ",")
	post := func(body string) []byte { return post("/"+path+"/", "", body) }
	switch scenario {
	case "refresh":
		workers := make([]worker, clients)
		for c := range clients {
			f := &peerRefresher{peer: p}
			for i := c; i < len(p.refresh); i += clients {
				f.own = append(f.own, i)
			}
			workers[c] = f
		}
		return workers, nil
	case "verify", "verify, first time": // it remembers none
		// Any token of simplejwt will do: the refresh tokens live for a day.
		return spread(clients, 100, http.StatusOK, false, func(i int) ([]byte, error) { return post(`{"token":"` + p.refresh[i] + `"}`), nil })
	case "sign-in":
		return spread(clients, peerUsers, http.StatusOK, false, func(i int) ([]byte, error) {
			return post(`{"username":"` + usernameOf(i) + `","password":"` + plain + `"}`), nil
		})
	case "social-exchange":
		if _, err := p.db.ExecContext(ctx, "TRUNCATE auth_usedtoken"); err != nil {
			return nil, err
		}
		return spread(clients, len(p.b.idp.pairs), http.StatusOK, true, func(i int) ([]byte, error) {
			return post(`{"id_token":"` + p.b.idp.pairs[i].id + `","access_token":"` + p.b.idp.pairs[i].access + `"}`), nil
		})
	}
	return nil, fmt.Errorf("the peer has no %s", scenario)
}
