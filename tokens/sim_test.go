package tokens_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// TestSimulation lets replicas whose clocks differ by up to four seconds reload, rotate by policy, restart and change
// their algorithm one after the other, while operators rotate, retire and import keys and the store refuses some of it. Verifiers cache
// the key set of any replica for the advertised max-age. No valid token is refused, by anybody, and no retired key signs.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := []uint64{rand.Uint64(), rand.Uint64()} //nolint:gosec // each is printed where it fails
	for seed := range uint64(4) {
		seeds = append(seeds, seed+1)
	}
	if given, err := strconv.ParseUint(os.Getenv("GATEHOUSE_TEST_SEED"), 10, 64); err == nil {
		seeds = []uint64{given}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			for w.now.Before(start.Add(15 * time.Minute)) {
				w.step()
				if t.Failed() {
					t.Fatalf("%v after the start; GATEHOUSE_TEST_SEED=%d repeats it", w.now.Sub(start), seed)
				}
			}
			t.Logf("%d keys were seen, %d have signed", len(w.retired), len(w.signed))
			if len(w.signed) < 2 {
				t.Error("nothing was rotated")
			}
		})
	}
}

// world is a service with its replicas, its operators, and the services that verify.
type world struct {
	*testing.T
	random    *rand.Rand
	now       time.Time
	maxAge    time.Duration
	lifetime  time.Duration
	keys      *store
	replicas  []*replica
	verifiers []cache
	alive     []live
	withdrawn map[string]time.Time  // kids of keys that were compromised, and when that was said
	retired   map[string]retirement // of every key that was ever seen
	signed    map[string]bool
}

// replica is one of the servers.
type replica struct {
	*tokens.Service
	config tokens.Config
	skew   time.Duration
	loads  time.Time
}

// retirement is when a key retires, and since when that is known.
type retirement struct{ at, known time.Time }

// live is a token that has not expired.
type live struct {
	token, kid string
	expires    time.Time
}

// cache is a verifier that keeps a key set for its max-age.
type cache struct {
	keys  map[string]bool
	until time.Time
}

func (w *world) within(d time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(d)))
}

func (w *world) chance(oneIn int) bool { return w.random.IntN(oneIn) == 0 }

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{
		T: t, random: rand.New(rand.NewPCG(seed, 0)), now: start, keys: &store{}, //nolint:gosec // the same every time
		withdrawn: map[string]time.Time{}, retired: map[string]retirement{}, signed: map[string]bool{}, verifiers: make([]cache, 5),
	}
	w.maxAge = 10*time.Second + w.within(20*time.Second).Truncate(time.Second)
	w.lifetime = 5*time.Second + w.within(time.Minute)
	rotateEvery := 2*(2*w.maxAge+4*time.Second) + w.within(5*time.Minute)
	for i := range 3 {
		r := &replica{skew: time.Duration(i-1) * 2 * time.Second}
		r.config = config(algorithm(tokens.EdDSA), func(c *tokens.Config) {
			c.Keys, c.JWKSMaxAge, c.AccessLifetime, c.Leeway, c.RotateEvery = w.keys, w.maxAge, w.lifetime, 4*time.Second, rotateEvery
			c.Now = func() time.Time { return w.now.Add(r.skew) }
		})
		w.replicas = append(w.replicas, r)
		w.restart(r)
	}
	for i := range w.verifiers { // each fetches at another moment
		w.verifiers[i].fetch(t, w.replicas[0], w.now.Add(w.within(w.maxAge)))
	}
	return w
}

func (w *world) restart(r *replica) {
	var err error
	if r.Service, err = tokens.New(r.config); err != nil {
		w.Fatal(err)
	}
	w.load(r)
}

// load reads the keys, on time or somewhat late.
func (w *world) load(r *replica) {
	if err := r.Load(w.Context()); err != nil {
		w.Error(err)
	}
	r.loads = w.now.Add(w.maxAge/2 + w.within(w.maxAge/8))
}

// late is how long a replica may not know what the store says.
func (w *world) late() time.Duration { return w.maxAge/2 + w.maxAge/8 + time.Second }

func (w *world) step() {
	w.now = w.now.Add(time.Second)
	w.keys.failChanges(nil)
	if w.chance(4) && w.now.Sub(start) > time.Minute {
		w.keys.failChanges(errFault)
	}
	for _, r := range w.replicas {
		if w.chance(100) {
			w.restart(r)
		}
		if w.chance(400) { // a rollout, which reaches this one now
			r.config.Algorithm = []string{tokens.EdDSA, tokens.ES256}[w.random.IntN(2)]
			w.restart(r)
		}
		if !w.now.Before(r.loads) {
			w.load(r)
		}
	}
	w.operate()
	w.observe()
	w.issue()
	w.verify()
}

var errFault = errors.New("a fault of the store")

// operate does, at times, what somebody does by hand.
func (w *world) operate() {
	r := w.replicas[w.random.IntN(len(w.replicas))]
	var err error
	switch w.random.IntN(600) {
	case 0:
		_, err = r.Rotate(w.Context(), false)
	case 1:
		_, err = r.Import(w.Context(), pemOf(w.T, generate(w.T, r.config.Algorithm)), false)
	case 2, 3, 4:
		list, lerr := r.ListKeys(w.Context())
		if lerr != nil {
			w.Fatal(lerr)
		}
		id, compromised := list[w.random.IntN(len(list))].KeyID, w.chance(3)
		if err = r.Retire(w.Context(), id, compromised); err == nil && compromised {
			w.withdrawn[id] = w.now
		}
	}
	if err != nil && !errors.Is(err, errFault) && !errors.Is(err, tokens.ErrLastSigner) && !errors.Is(err, tokens.ErrNoSuchKey) {
		w.Error(err)
	}
}

// observe notes which keys there are, and when they were found to retire.
func (w *world) observe() {
	list, err := w.replicas[0].ListKeys(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	for _, k := range list {
		if known, ok := w.retired[k.KeyID]; !ok || !known.at.Equal(k.RetiredAt) {
			w.retired[k.KeyID] = retirement{at: k.RetiredAt, known: w.now}
		}
	}
}

func (w *world) issue() {
	r := w.replicas[w.random.IntN(len(w.replicas))]
	clock := w.now.Add(r.skew)
	token, expires, err := r.IssueAccess(alice, clock, clock.Add(time.Hour))
	if err != nil {
		w.Error(err)
		return
	}
	kid := kidOf(w.T, token)
	w.signed[kid] = true
	if known := w.retired[kid]; !known.at.IsZero() && !clock.Before(known.at) && w.now.Sub(known.known) > w.late() {
		w.Errorf("%s signs at %v, and retired at %v", kid, clock, known.at)
	}
	w.alive = append(w.alive, live{token, kid, expires})
}

// verify presents some of the tokens that are alive to everybody.
func (w *world) verify() {
	for len(w.alive) > 0 && !w.now.Before(w.alive[0].expires) {
		w.alive = w.alive[1:]
	}
	for range min(3, len(w.alive)) {
		l := w.alive[w.random.IntN(len(w.alive))]
		if w.random.IntN(2) == 0 {
			l = w.alive[len(w.alive)-1]
		}
		said, compromised := w.withdrawn[l.kid]
		for i := range w.verifiers {
			v := &w.verifiers[i]
			if !w.now.Before(v.until) {
				v.fetch(w.T, w.replicas[w.random.IntN(len(w.replicas))], w.now.Add(w.maxAge))
			}
			switch {
			case !v.keys[l.kid] && !compromised && w.now.Before(l.expires):
				w.Errorf("verifier %d lacks the key %s", i, l.kid)
			case v.keys[l.kid] && compromised && w.now.Sub(said) > w.late()+w.maxAge:
				w.Errorf("verifier %d has the key %s long after it was compromised", i, l.kid)
			}
		}
		for i, r := range w.replicas {
			clock := w.now.Add(r.skew)
			_, err := r.VerifyAccess(l.token, clock)
			switch {
			case err != nil && !compromised && clock.Before(l.expires):
				w.Errorf("replica %d refuses a token of %s: %v", i, l.kid, err)
			case err == nil && compromised && w.now.Sub(said) > w.late():
				w.Errorf("replica %d accepts a token of %s, which was compromised", i, l.kid)
			}
		}
	}
}

func (c *cache) fetch(t *testing.T, from *replica, until time.Time) {
	t.Helper()
	body, _ := from.JWKS()
	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		}
	}
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	c.keys, c.until = map[string]bool{}, until
	for _, k := range set.Keys {
		c.keys[k.KeyID] = true
	}
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header.KeyID
}
