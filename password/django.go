package password

import (
	"crypto/md5" //nolint:gosec // a format that users bring along; it is replaced when they sign in
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	argon2d "github.com/go-crypt/x/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// What a foreign encoding may cost. Beyond it nothing matches: whoever can write
// an encoding into the store must not be able to stop the service with it. What
// Hash makes is always read, however much it costs.
const (
	maxIterations = 5_000_000 // of PBKDF2; Django 5.2 writes 1,000,000
	maxMemory     = 128 << 10 // of argon2 and scrypt, in KiB; Django writes 100 MiB and 16 MiB
	maxBcryptCost = 14        // Django writes 12
)

// scheme is one parsed encoding.
type scheme interface {
	matches(password string) bool
}

// parse reads an encoding, and returns false for one that nothing matches. Like
// Django, it takes each in the one spelling that Django writes. ours is the cost
// of Hash.
func parse(encoded string, ours argon) (scheme, bool) {
	name, rest, _ := strings.Cut(encoded, "$")
	switch name {
	case "argon2":
		return parseArgon(rest, ours)
	case "pbkdf2_sha256":
		return parsePBKDF2(rest, sha256.Size, pbkdf2Key(sha256.New))
	case "pbkdf2_sha1":
		return parsePBKDF2(rest, sha1.Size, pbkdf2Key(sha1.New))
	case "bcrypt", "bcrypt_sha256":
		return parseBcrypt(rest, name == "bcrypt_sha256")
	case "scrypt":
		return parseScrypt(rest)
	case "md5":
		return parseDigest(rest, md5.New())
	case "sha1":
		return parseDigest(rest, sha1.New())
	}
	if len(encoded) == hex.EncodedLen(md5.Size) { // Django's unsalted MD5
		return parseDigest("$"+encoded, md5.New())
	}
	return nil, false
}

// argon is argon2$argon2id$v=19$m=…,t=…,p=…$salt$key.
type argon struct {
	variant      string
	memory, time uint32 // KiB, passes
	threads      uint8
	salt, key    []byte
	blocks       *blockPool
}

func (a argon) encode() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("argon2$%s$v=19$m=%d,t=%d,p=%d$%s$%s", a.variant, a.memory, a.time, a.threads, b64(a.salt), b64(a.key))
}

func parseArgon(rest string, ours argon) (scheme, bool) {
	parts := strings.Split(rest, "$")
	if len(parts) != 5 || parts[1] != "v=19" {
		return nil, false
	}
	a := argon{variant: parts[0], blocks: ours.blocks}
	if a.variant != "argon2id" && a.variant != "argon2i" && a.variant != "argon2d" {
		return nil, false
	}
	costs := strings.Split(parts[2], ",")
	if len(costs) != 3 {
		return nil, false
	}
	memory, ok1 := number(costs[0], "m=", max(maxMemory, int(ours.memory)))
	time, ok2 := number(costs[1], "t=", 100)
	threads, ok3 := number(costs[2], "p=", 16)
	var ok4, ok5 bool
	a.salt, ok4 = decode(parts[3], base64.RawStdEncoding, 8)
	a.key, ok5 = decode(parts[4], base64.RawStdEncoding, 4)
	a.memory, a.time, a.threads = uint32(memory), uint32(time), uint8(threads)
	// The product bounds the time; Django's is 200 MiB of memory written.
	most := max(16*maxMemory, int(ours.memory)*int(ours.time))
	return a, ok1 && ok2 && ok3 && ok4 && ok5 && memory >= 8*threads && memory*time <= most
}

func (a argon) matches(password string) bool {
	return subtle.ConstantTimeCompare(a.derive(password, uint32(len(a.key))), a.key) == 1
}

// argon2dKey is the variant that golang.org/x/crypto keeps to itself.
func argon2dKey(password string, a argon, length uint32) []byte {
	return argon2d.DKey([]byte(password), a.salt, a.time, a.memory, uint32(a.threads), length)
}

// iterated is pbkdf2_…$iterations$salt$key.
type iterated struct {
	derive     func(password string, salt []byte, iterations int) ([]byte, error)
	iterations int
	salt, key  []byte
}

func pbkdf2Key[H hash.Hash](h func() H) func(string, []byte, int) ([]byte, error) {
	return func(password string, salt []byte, iterations int) ([]byte, error) {
		return pbkdf2.Key(h, password, salt, iterations, h().Size())
	}
}

func parsePBKDF2(rest string, size int, derive func(string, []byte, int) ([]byte, error)) (scheme, bool) {
	parts := strings.Split(rest, "$")
	if len(parts) != 3 {
		return nil, false
	}
	iterations, ok := number(parts[0], "", maxIterations)
	key, ok2 := decode(parts[2], base64.StdEncoding, size)
	return iterated{derive: derive, iterations: iterations, salt: []byte(parts[1]), key: key}, ok && ok2 && parts[1] != "" && len(key) == size
}

func (p iterated) matches(password string) bool {
	key, err := p.derive(password, p.salt, p.iterations)
	return err == nil && subtle.ConstantTimeCompare(key, p.key) == 1
}

// blowfish is bcrypt$hash, or bcrypt_sha256$hash with a digest before it.
type blowfish struct {
	hash   []byte
	digest bool
}

// parseBcrypt looks at the frame itself: package bcrypt passes over what stands
// behind the hash, unknown versions and odd separators.
func parseBcrypt(rest string, digest bool) (scheme, bool) {
	cost, err := bcrypt.Cost([]byte(rest))
	if err != nil || cost > maxBcryptCost || len(rest) != 60 {
		return nil, false
	}
	version := rest[:4]
	known := version == "$2a$" || version == "$2b$" || version == "$2y$"
	return blowfish{hash: []byte(rest), digest: digest}, known && rest[4:7] == fmt.Sprintf("%02d$", cost)
}

func (b blowfish) matches(password string) bool {
	if b.digest {
		sum := sha256.Sum256([]byte(password))
		password = hex.EncodeToString(sum[:])
	}
	if strings.Contains(password, "\x00") {
		return false // bcrypt repeats its key with a NUL between, so "a\x00a" would do for "a"
	}
	return bcrypt.CompareHashAndPassword(b.hash, []byte(password[:min(len(password), 72)])) == nil // bcrypt reads no more
}

// memoryHard is scrypt$n$salt$r$p$key.
type memoryHard struct {
	n, r, p   int
	salt, key []byte
}

func parseScrypt(rest string) (scheme, bool) {
	parts := strings.Split(rest, "$")
	if len(parts) != 5 {
		return nil, false
	}
	n, ok1 := number(parts[0], "", maxMemory<<3)
	r, ok2 := number(parts[2], "", 1<<10)
	p, ok3 := number(parts[3], "", 16)
	key, ok4 := decode(parts[4], base64.StdEncoding, 16)
	// 128 × n × r bytes of memory, p times.
	return memoryHard{n: n, r: r, p: p, salt: []byte(parts[1]), key: key}, ok1 && ok2 && ok3 && ok4 && n*r <= maxMemory<<3 && n*r*p <= maxMemory<<4
}

func (m memoryHard) matches(password string) bool {
	key, err := scrypt.Key([]byte(password), m.salt, m.n, m.r, m.p, len(m.key))
	return err == nil && subtle.ConstantTimeCompare(key, m.key) == 1
}

// digest is md5$salt$hex or sha1$salt$hex, with a salt that may be empty.
type digest struct {
	hash hash.Hash
	salt string
	sum  []byte
}

func parseDigest(rest string, h hash.Hash) (scheme, bool) {
	salt, sum, ok := strings.Cut(rest, "$")
	raw, err := hex.DecodeString(sum)
	return digest{hash: h, salt: salt, sum: raw}, ok && err == nil && len(raw) == h.Size() && sum == strings.ToLower(sum)
}

func (d digest) matches(password string) bool {
	d.hash.Write([]byte(d.salt + password))
	return subtle.ConstantTimeCompare(d.hash.Sum(nil), d.sum) == 1
}

// number reads a positive decimal number behind a prefix, without sign or leading zeros.
func number(s, prefix string, most int) (int, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 1 && n <= most && strconv.Itoa(n) == digits
}

// decode reads base64 of at least so many bytes, and at most 128.
func decode(s string, encoding *base64.Encoding, least int) ([]byte, bool) {
	raw, err := encoding.Strict().DecodeString(s) // which passes over line ends
	return raw, err == nil && !strings.ContainsAny(s, "\r\n") && len(raw) >= least && len(raw) <= 128
}
