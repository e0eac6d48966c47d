package password_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/password"
)

const bcryptHash = "$2b$04$abcdefghijklmnopqrstuuYt/YNsTeF5dYMfRZW5tH6Sq7vhYABtq"

// TestOneSpelling is encodings whose password is right but which Django writes
// in another way: Django 3.2.25 takes none of them.
func TestOneSpelling(t *testing.T) {
	t.Parallel()
	h := hasher(t, nil)
	for _, tc := range []struct{ name, good, bad, password string }{
		{"text behind a bcrypt hash", "bcrypt$" + bcryptHash, "bcrypt$" + bcryptHash + "more", "bcrypt-pass"},
		{"another separator", "bcrypt$" + bcryptHash, "bcrypt$" + strings.Replace(bcryptHash, "04$", "04X", 1), "bcrypt-pass"},
		{"a sign in the cost", "bcrypt$" + bcryptHash, "bcrypt$" + strings.Replace(bcryptHash, "04", "+4", 1), "bcrypt-pass"},
		{"a version that there isn't", "bcrypt$" + bcryptHash, "bcrypt$" + strings.Replace(bcryptHash, "2b", "2z", 1), "bcrypt-pass"},
		{"a sign", "pbkdf2_sha1$1000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI=", "pbkdf2_sha1$+1000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI=", "sha1-pass"},
		{"a leading zero", "pbkdf2_sha1$1000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI=", "pbkdf2_sha1$01000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI=", "sha1-pass"},
		{"a line end", "pbkdf2_sha1$1000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI=", "pbkdf2_sha1$1000$salt$4nQ6Ky9p/xHQ\nsnFXDvAHlS9kNuI=", "sha1-pass"},
		// The key is PBKDF2's of the empty salt.
		{"no salt", "pbkdf2_sha1$1000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI=", "pbkdf2_sha1$1000$$h38c+DJ7DgYaGLHK3NuQHXOFfW0=", "sha1-pass"},
	} {
		if got, err := h.Verify(t.Context(), tc.good, tc.password); err != nil || !got.Match {
			t.Errorf("%s: as Django writes it: %+v, %v", tc.name, got, err)
		}
		if got, err := h.Verify(t.Context(), tc.bad, tc.password); err != nil || got.Match {
			t.Errorf("%s: %+v, %v; Django refuses it", tc.name, got, err)
		}
	}
	if got, err := h.Verify(t.Context(), "bcrypt$"+bcryptHash, "bcrypt-pass\x00bcrypt-pass"); err != nil || got.Match {
		t.Errorf("a password with a NUL, which bcrypt can't tell from the one before the NUL: %+v, %v", got, err)
	}
}

// TestArgon2d is hashes recorded from the reference implementation (libargon2,
// called from argon2-cffi 21.1), with odd memory, several lanes, and keys of all lengths.
func TestArgon2d(t *testing.T) {
	t.Parallel()
	h := hasher(t, nil)
	for _, tail := range []string{
		"m=8,t=1,p=1$c2FsdFNBTFQwMTIzNDU2Nw$Jilr/A",
		"m=64,t=3,p=1$c2FsdFNBTFQwMTIzNDU2Nw$3E772Y2bWfXd9Nqv/Dsn3d9xFCXeLI/ukC6RYAkujPo",
		"m=70,t=2,p=2$c2FsdFNBTFQwMTIzNDU2Nw$72vXsJjI+SnjEdfPEr2MXHamGUjEAOKh",
		"m=256,t=1,p=4$c2FsdFNBTFQwMTIzNDU2Nw$zRNB4p30priQjMBTZw2Lz6ezqzSXLAT5XdtcJzr9Hsly12cAhN0rqV2+5fwRrexGs71TiwrdSieMmRDVy6FJ3A",
		"m=1000,t=2,p=8$c2FsdFNBTFQwMTIzNDU2Nw$Qg4IfTegW/RUJbNn2ohH4w",
		"m=512,t=4,p=3$c2FsdFNBTFQwMTIzNDU2Nw$YzYDf3gxWQcoAHQyBEY7PAYE4SUpKzyLt2BbqZewKbn14UtknrIjt3X4KrZ/ZUQSnTHhBOKm+rTHE8FCChPeWd8",
	} {
		encoded := "argon2$argon2d$v=19$" + tail
		if got, err := h.Verify(t.Context(), encoded, "päss\x00word"); err != nil || !got.Match {
			t.Errorf("%s: %+v, %v", tail, got, err)
		}
		if got, err := h.Verify(t.Context(), encoded, "päss\x00wore"); err != nil || got.Match {
			t.Errorf("%s: another password: %+v, %v", tail, got, err)
		}
	}
}

// TestOwnCostBeyondTheCap: the caps are for foreign encodings. Settings that New
// takes must make encodings that Verify reads, or nobody could sign in.
func TestOwnCostBeyondTheCap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]password.Config{
		"memory": {Memory: 130 << 10, Time: 1}, "memory × time": {Memory: 22 << 10, Time: 100},
	} {
		h := hasher(t, func(own *password.Config) { *own = c })
		encoded, err := h.Hash(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := h.Verify(t.Context(), encoded, "x"); err != nil || !got.Match || got.NeedsUpgrade {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got, err := hasher(t, nil).Verify(t.Context(), encoded, "x"); err != nil || got.Match {
			t.Errorf("%s: where it is foreign: %+v, %v", name, got, err)
		}
	}
}

// TestEveryOutcomeCosts counts the memory that argon2id fills, since it tells
// without a clock that the work was done. It is not parallel: others count too.
func TestEveryOutcomeCosts(t *testing.T) { //nolint:paralleltest // it measures the whole process
	const kib = 4096
	h := hasher(t, func(c *password.Config) { c.Memory = kib })
	md5 := "md5$saltsalt$93847d3421eb1d1886ecf543199d5dc6"
	long := strings.Repeat("x", password.MaxLength+1)
	for _, tc := range []struct{ name, encoded, password string }{
		{"an unusable password", "!", "x"},
		{"none", "", ""},
		{"an unknown algorithm", "foo$1$salt$hash", "x"},
		{"a password that is too long", md5, long},
		{"a cheap hash and the wrong password", md5, "x"},
		{"a cheap hash and the right password, whose user may be disabled", md5, "md5-pass"},
		{"bcrypt and the wrong password", "bcrypt$" + bcryptHash, "x"},
		{"PBKDF2 and the wrong password", "pbkdf2_sha1$1000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI=", "x"},
	} {
		var before, after runtime.MemStats
		runtime.GC() // the first round puts the memory of earlier hashes aside, the second frees it
		runtime.GC()
		runtime.ReadMemStats(&before)
		if _, err := h.Verify(t.Context(), tc.encoded, tc.password); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if did := (after.TotalAlloc - before.TotalAlloc) >> 10; did < kib {
			t.Errorf("%s: %d KiB were filled, less than the %d of an unknown user", tc.name, did, kib)
		}
	}
}
