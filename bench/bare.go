package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/repo/sqlite"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/argon2"
)

// The names of the bare figures.
const (
	argonRate  = "argon2id, hashes a second on all cores"
	argonTime  = "argon2id, CPU µs for a hash"
	signTime   = "ECDSA P-256 sign, µs"
	issueTime  = "token issue, µs"
	verifyTime = "RSA-2048 verify, µs"
	idTime     = "ID token verification, µs"
)

// besideArgon measures sign-ins, and how many hashes the cores make just before and after: the machine changes meanwhile.
func (b *bench) besideArgon(ctx context.Context, s scenario, e *engine, clients int, d time.Duration) error {
	before := b.argon(d / 3)
	if err := b.cell(ctx, s, e, clients, d); err != nil {
		return err
	}
	rounds := b.report.cell(key{s.name, e.name, clients}).Rounds
	rounds[len(rounds)-1].Bare = (before + b.argon(d/3)) / 2
	return nil
}

// argon returns how many hashes of the default cost the cores make in a second, measured for d.
func (b *bench) argon(d time.Duration) float64 {
	var n atomic.Int64
	began, cpu := time.Now(), ownCPU()
	salt := make([]byte, 16)
	_ = inParallel(runtime.GOMAXPROCS(0), func(int) error { // no hash fails
		for time.Since(began) < d {
			argon2.IDKey([]byte(plain), salt, 2, 19456, 1, 32)
			n.Add(1)
		}
		return nil
	})
	rate := float64(n.Load()) / time.Since(began).Seconds()
	b.bareFigure(argonRate, rate)
	b.bareFigure(argonTime, float64((ownCPU()-cpu).Microseconds())/float64(n.Load()))
	return rate
}

func (b *bench) bareFigure(name string, value float64) {
	b.report.Bare[name] = append(b.report.Bare[name], value)
	b.log("%-50s %9.1f", name, value)
}

// signatures measures token issue beside the bare signature, and the
// verification of an ID token beside the bare one: turn by turn, on one core, so
// that what disturbs one disturbs the other.
func (b *bench) signatures(ctx context.Context) error {
	issue, err := b.issuer(ctx)
	if err != nil {
		return err
	}
	verifyID, err := b.idVerifier(ctx)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	signed := b.idp.pairs[0].id
	dot := strings.LastIndexByte(signed, '.')
	digest := sha256.Sum256([]byte(signed[:dot]))
	signature, err := rsa.SignPKCS1v15(rand.Reader, b.idp.key, crypto.SHA256, digest[:])
	if err != nil {
		return err
	}
	// What is bare includes the digest, without which nothing is signed.
	message := []byte(signed[:350])
	steps := []struct {
		name string
		f    func() error
	}{
		{signTime, func() error {
			d := sha256.Sum256(message)
			_, err := key.Sign(rand.Reader, d[:], crypto.SHA256)
			return err
		}},
		{issueTime, issue},
		{verifyTime, func() error {
			d := sha256.Sum256([]byte(signed[:dot]))
			return rsa.VerifyPKCS1v15(&b.idp.key.PublicKey, crypto.SHA256, d[:], signature)
		}},
		{idTime, verifyID},
	}
	took := make([]time.Duration, len(steps))
	const turns, times = 40, 50
	for range turns {
		for i, s := range steps {
			began := time.Now()
			for range times {
				if err := s.f(); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
			}
			took[i] += time.Since(began)
		}
	}
	for i, s := range steps {
		b.bareFigure(s.name, float64(took[i].Nanoseconds())/1e3/(turns*times))
	}
	return nil
}

func (b *bench) issuer(ctx context.Context) (func() error, error) {
	keys, err := sqlite.Open(filepath.Join(b.dir, "keys.db"))
	if err != nil {
		return nil, err
	}
	defer keys.Close() //nolint:errcheck // the keys have been read
	if err := keys.Migrate(ctx); err != nil {
		return nil, err
	}
	s, err := tokens.New(tokens.Config{Issuer: issuer, Secret: b.secret, Keys: keys})
	if err != nil {
		return nil, err
	}
	if err := s.Load(ctx); err != nil {
		return nil, err
	}
	return func() error {
		now := time.Now()
		_, _, err := s.IssueAccess(tokens.AccessSubject{UserID: userID(0), SessionID: sessionID(0)}, now, now.Add(time.Hour))
		return err
	}, nil
}

func (b *bench) idVerifier(ctx context.Context) (func() error, error) {
	v, err := cognito.New(cognito.Config{Name: "bench", Issuer: b.idp.issuer, JWKSURL: b.idp.jwksURL(), ClientIDs: []string{b.idp.clientID}})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	token, err := b.idp.sign(0, now, jwt.MapClaims{
		"token_use": "id", "aud": b.idp.clientID, "email": emailOf(0), "email_verified": true, "cognito:username": usernameOf(0),
	})
	if err != nil {
		return nil, err
	}
	verify := func() error {
		_, err := v.VerifyID(ctx, token)
		return err
	}
	return verify, verify() // the first one fetches the keys
}

// startups is how often the start is measured.
const startups = 11

// measureProgram measures the program at rest: how big it is, how soon it is
// ready on a migrated database, and the memory it has then.
func (b *bench) measureProgram(ctx context.Context, engines []*engine) error {
	info, err := os.Stat(program)
	if err != nil {
		return err
	}
	b.report.Program["binary, MB"] = float64(info.Size()) / 1e6
	for _, e := range engines {
		var ready []float64
		for i := range startups {
			s, err := startServer(ctx, b.settings(e.url))
			if err != nil {
				return err
			}
			ready = append(ready, float64(s.ready.Microseconds())/1e3)
			if i == startups-1 {
				if err := b.measureIdle(ctx, e, s); err != nil {
					return err
				}
			}
			if err := s.stop(); err != nil {
				return err
			}
		}
		b.report.Program["start to ready, ms, "+e.name] = median(ready)
	}
	return nil
}

// measureIdle looks at a server's memory when it has had nothing to do for a while.
func (b *bench) measureIdle(ctx context.Context, e *engine, s *server) error {
	select {
	case <-time.After(3 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	rss, err := memoryOf(s.cmd.Process.Pid, "VmRSS")
	b.report.Program["idle memory, MB, "+e.name] = float64(rss) / 1e6
	return err
}
