package password

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"
)

// TestIDKey holds hashes in memory that was used before to those of x/crypto's
// own function, whatever they cost and however many run at once.
func TestIDKey(t *testing.T) {
	t.Parallel()
	const size = 512
	pool := &blockPool{size: size}
	var wait sync.WaitGroup
	for seed := range uint64(4) {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the cases are the same each time
			text := func(most int) []byte {
				b := make([]byte, random.IntN(most+1))
				for i := range b {
					b[i] = byte(random.Uint32())
				}
				return b
			}
			for range 100 {
				threads := 1 + random.IntN(16)
				if random.IntN(2) == 0 {
					threads = 1
				}
				memory := uint32(8*threads + random.IntN(size+50-8*threads)) // some need more than the pool's
				plain, salt, time, length := text(200), text(40), 1+random.Uint32N(3), 4+random.Uint32N(125)
				got := pool.idKey(plain, salt, time, memory, uint8(threads), length)
				if want := argon2.IDKey(plain, salt, time, memory, uint8(threads), length); !bytes.Equal(got, want) {
					t.Errorf("memory %d, time %d, threads %d, %d bytes: %x, want %x", memory, time, threads, length, got, want)
				}
			}
		})
	}
	wait.Wait()
}

// TestMemoryIsKept: a hash leaves its memory to the next one, cleared.
func TestMemoryIsKept(t *testing.T) {
	t.Parallel()
	pool := &blockPool{size: 64}
	mine := make([]block, pool.size)
	used := 0
	pool.pool.New = func() any { used++; return &mine }
	for range 3 {
		pool.idKey([]byte("password"), []byte("saltsalt"), 1, 64, 1, 32)
	}
	if used == 0 {
		t.Error("the memory of the pool was not used")
	}
	if slices.ContainsFunc(mine, func(b block) bool { return b != block{} }) {
		t.Error("something of a password stayed")
	}
}
