package password

import (
	"encoding/binary"
	"sync"
	_ "unsafe" // for go:linkname

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/blake2b"
)

// block is what argon2 computes with, of which a hash takes one for each KiB.
type block [128]uint64

// The parts of golang.org/x/crypto/argon2 that have no exported name, since its
// functions allocate their memory anew for each hash (ADR 0016). A name that is
// gone fails the build; one that does something else fails TestIDKey.

//go:linkname initHash golang.org/x/crypto/argon2.initHash
func initHash(password, salt, secret, data []byte, time, memory, threads, keyLen uint32, mode int) [blake2b.Size + 8]byte

//go:linkname blake2bHash golang.org/x/crypto/argon2.blake2bHash
func blake2bHash(out, in []byte)

//go:linkname processBlocks golang.org/x/crypto/argon2.processBlocks
func processBlocks(blocks []block, time, memory, threads uint32, mode int)

//go:linkname extractKey golang.org/x/crypto/argon2.extractKey
func extractKey(blocks []block, memory, threads, keyLen uint32) []byte

const modeID = 2 // argon2id's number in RFC 9106

// blockPool keeps the memory of hashes for the next ones. The collector takes
// what is not used for two of its rounds.
type blockPool struct {
	size uint32 // blocks of each
	pool sync.Pool
}

// idKey is argon2.IDKey in memory of the pool; a hash that needs more than the
// pool's has its own. memory must be 8 or more for each thread.
func (p *blockPool) idKey(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
	if memory > p.size {
		return argon2.IDKey(password, salt, time, memory, threads, keyLen)
	}
	all, ok := p.pool.Get().(*[]block)
	if !ok {
		fresh := make([]block, p.size)
		all = &fresh
	}
	lanes := uint32(threads)
	h0 := initHash(password, salt, nil, nil, time, memory, lanes, keyLen, modeID)
	memory -= memory % (4 * lanes) // RFC 9106, section 3.2: a lane has four slices
	blocks := (*all)[:memory]
	var first [1024]byte
	for lane := range lanes {
		binary.LittleEndian.PutUint32(h0[blake2b.Size+4:], lane)
		for i := range uint32(2) {
			binary.LittleEndian.PutUint32(h0[blake2b.Size:], i)
			blake2bHash(first[:], h0[:])
			b := &blocks[lane*(memory/lanes)+i]
			for j := range b {
				b[j] = binary.LittleEndian.Uint64(first[8*j:])
			}
		}
	}
	processBlocks(blocks, time, memory, lanes, modeID)
	key := extractKey(blocks, memory, lanes, keyLen)
	clear(blocks) // the first pass adds to what it finds; and nothing of a password stays
	p.pool.Put(all)
	return key
}
