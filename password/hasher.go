package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// MaxLength is how long a password may be, in bytes. A longer one is never
// hashed and never matches.
const MaxLength = 4096

// ErrBusy says that too many passwords are being hashed and too many wait, or
// that the context ended while this one waited. Nothing was decided; the same
// call may succeed in a moment.
var ErrBusy = errors.New("password: too many at once")

// Config is the cost of a hash, and how many may be made at once.
type Config struct {
	Memory        uint32 // of argon2id, in KiB; 0: 19456 (19 MiB); at least 8 for each thread, at most 1 GiB
	Time          uint32 // passes of argon2id; 0: 2; at most 100
	Threads       uint8  // lanes of argon2id; 0: 1; at most 16
	MaxConcurrent int    // hashes at once, each with Memory; 0: runtime.GOMAXPROCS
	MaxQueue      int    // hashes that wait beyond those; 0: none
}

// Hasher hashes and verifies. It is safe for concurrent use, and uses at most
// MaxConcurrent × Memory; foreign encodings may ask for up to 128 MiB each.
type Hasher struct {
	cost    argon
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
}

const saltLength, keyLength = 16, 32

// New checks the configuration. It does no work yet.
func New(c Config) (*Hasher, error) {
	if c.Memory == 0 {
		c.Memory = 19456
	}
	if c.Time == 0 {
		c.Time = 2
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = runtime.GOMAXPROCS(0)
	}
	if c.Threads > 16 || c.Memory < 8*uint32(c.Threads) || c.Memory > 1<<20 || c.Time > 100 || c.MaxConcurrent < 0 || c.MaxQueue < 0 {
		return nil, errors.New("password: memory (KiB) must be 8 for each thread to 1048576, time at most 100, threads at most 16, and no number negative")
	}
	return &Hasher{
		cost:  argon{variant: "argon2id", memory: c.Memory, time: c.Time, threads: c.Threads, blocks: &blockPool{size: c.Memory}},
		slots: make(chan struct{}, c.MaxConcurrent), queue: int64(c.MaxQueue),
	}, nil
}

// Result is what Verify found.
type Result struct {
	Match        bool // the password is the one
	NeedsUpgrade bool // it matches, and its encoding is not the one that Hash would make
}

// Hash encodes a new password, with a random salt. The errors are ErrBusy and
// ErrTooLong.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxLength {
		return "", ErrTooLong
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	a := h.cost
	a.salt = make([]byte, saltLength)
	_, _ = rand.Read(a.salt) // it never fails
	a.key = a.derive(password, keyLength)
	return a.encode(), nil
}

// Verify checks a password against its encoding. An encoding that nothing
// matches (unusable, empty, unknown, malformed, or so expensive that it would
// stop the service) is no error, and costs as much as one that Hash made; a
// foreign one costs that much in addition to its own. The only error is ErrBusy.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (Result, error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return Result{}, err
	}
	defer release()
	s, ok := parse(encoded, h.cost)
	if !ok || len(password) > MaxLength {
		h.work(password)
		return Result{}, nil
	}
	match, current := s.matches(password), h.isCurrent(s)
	if !current {
		// Else an old account would answer faster than none. Also after a match: the
		// caller may refuse it, of a disabled user say, and the time would tell that
		// the password was right.
		h.work(password)
	}
	return Result{Match: match, NeedsUpgrade: match && !current}, nil
}

// VerifyNone does the work of a verification that fails, for a user who is not
// there. The only error is ErrBusy.
func (h *Hasher) VerifyNone(ctx context.Context, password string) error {
	release, err := h.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	h.work(password)
	return nil
}

// work is one hash whose result nobody sees.
func (h *Hasher) work(password string) {
	a := h.cost
	a.salt = make([]byte, saltLength)
	key := a.derive(password[:min(len(password), MaxLength)], keyLength)
	subtle.ConstantTimeCompare(key, a.salt)
}

// isCurrent reports whether an encoding is what Hash makes now.
func (h *Hasher) isCurrent(s scheme) bool {
	a, ok := s.(argon)
	return ok && a.variant == h.cost.variant && a.memory == h.cost.memory && a.time == h.cost.time &&
		a.threads == h.cost.threads && len(a.salt) >= saltLength && len(a.key) >= keyLength
}

// acquire waits for a place, and returns what gives it back.
func (h *Hasher) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return release, nil
	default:
	}
	if h.waiting.Add(1) > h.queue {
		h.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
}

// Stats is how much is going on.
type Stats struct {
	Running, Waiting int
}

// Stats returns how many hashes are being made and how many wait.
func (h *Hasher) Stats() Stats {
	return Stats{Running: len(h.slots), Waiting: int(h.waiting.Load())}
}

// derive computes the key of a password.
func (a argon) derive(password string, length uint32) []byte {
	switch a.variant {
	case "argon2id":
		return a.blocks.idKey([]byte(password), a.salt, a.time, a.memory, a.threads, length)
	case "argon2i":
		return argon2.Key([]byte(password), a.salt, a.time, a.memory, a.threads, length)
	}
	return argon2dKey(password, a, length)
}
