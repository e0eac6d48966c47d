package password_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gatehouse-auth/gatehouse/password"
)

// hasher is a cheap one: 64 KiB, one pass.
func hasher(t testing.TB, change func(*password.Config)) *password.Hasher {
	t.Helper()
	c := password.Config{Memory: 64, Time: 1, MaxQueue: 64}
	if change != nil {
		change(&c)
	}
	h, err := password.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestDjangoVectors holds every encoding that Django writes to Django's own
// verdict.
func TestDjangoVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/passwords.json")
	if err != nil {
		t.Fatal(err)
	}
	type verdict struct{ OK bool }
	var v struct {
		Vectors []struct {
			Note, Encoded, Password string
			Django32                *verdict `json:"django_3.2"`
			Django42                *verdict `json:"django_4.2"`
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Vectors) < 38 {
		t.Fatalf("%d vectors", len(v.Vectors))
	}
	h := hasher(t, nil)
	for _, tc := range v.Vectors {
		t.Run(tc.Note, func(t *testing.T) {
			t.Parallel()
			want := tc.Django42
			if want == nil {
				want = tc.Django32
			}
			got, err := h.Verify(t.Context(), tc.Encoded, tc.Password)
			if err != nil || got.Match != want.OK || got.NeedsUpgrade != want.OK {
				t.Errorf("%+v, %v; Django says %+v", got, err, *want)
			}
			if wrong, err := h.Verify(t.Context(), tc.Encoded, tc.Password+"x"); err != nil || wrong.Match && !strings.Contains(tc.Note, "72 bytes count") {
				t.Errorf("another password matches: %+v, %v", wrong, err)
			}
		})
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	h := hasher(t, nil)
	for _, plain := range []string{"correct horse battery", "", " spaced ", "a\x00b", "pässwörd-✓", strings.Repeat("x", password.MaxLength)} {
		encoded, err := h.Hash(t.Context(), plain)
		if err != nil || !strings.HasPrefix(encoded, "argon2$argon2id$v=19$m=64,t=1,p=1$") {
			t.Fatalf("%.20q is encoded as %q, %v", plain, encoded, err)
		}
		got, err := h.Verify(t.Context(), encoded, plain)
		if err != nil || !got.Match || got.NeedsUpgrade {
			t.Errorf("%.20q: %+v, %v", plain, got, err)
		}
		if again, _ := h.Hash(t.Context(), plain); again == encoded {
			t.Error("the salt is the same twice")
		}
		stronger := hasher(t, func(c *password.Config) { c.Time = 2 })
		if got, err := stronger.Verify(t.Context(), encoded, plain); err != nil || !got.Match || !got.NeedsUpgrade {
			t.Errorf("with other parameters: %+v, %v; want an upgrade", got, err)
		}
	}
	if _, err := h.Hash(t.Context(), strings.Repeat("x", password.MaxLength+1)); !errors.Is(err, password.ErrTooLong) {
		t.Errorf("a password beyond the limit: %v", err)
	}
	long := strings.Repeat("x", password.MaxLength+1)
	if got, err := h.Verify(t.Context(), "md5$$228c70bfc5589c58c044e03fff0e17eb", long); err != nil || got.Match {
		t.Errorf("a password beyond the limit: %+v, %v", got, err)
	}
	if err := h.VerifyNone(t.Context(), long); err != nil {
		t.Error(err)
	}
}

// TestWhatNothingMatches is encodings that are malformed, or would stop the
// service: each is refused at once, and none panics.
func TestWhatNothingMatches(t *testing.T) {
	t.Parallel()
	salt, key := "c2FsdHNhbHRzYWx0c2FsdA", "NZudvzdsGM0kHUtjiTgEeQ"
	h := hasher(t, nil)
	for _, encoded := range []string{
		"argon2$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + key,
		"argon2$argon2id$v=19$m=102400,t=100,p=1$" + salt + "$" + key,
		"argon2$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key,
		"argon2$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key,
		"argon2$argon2id$v=19$m=64,t=1,p=300$" + salt + "$" + key,
		"argon2$argon2id$v=19$m=8,t=1,p=16$" + salt + "$" + key,
		"argon2$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key,
		"argon2$argon2x$v=19$m=64,t=1,p=1$" + salt + "$" + key,
		"argon2$argon2id$v=19$m=64,t=1$" + salt + "$" + key,
		"argon2$argon2id$v=19$m=64,t=1,p=1$" + salt + "$",
		"argon2$argon2id$v=19$m=64,t=1,p=1$" + salt + "=$" + key,
		"argon2$argon2id", "argon2$",
		"pbkdf2_sha256$999999999$salt$hQSPP2BpywPjeSf3E9jNx0OUHQxAn3n2yvhFQ4Atk/M=",
		"pbkdf2_sha256$-1$salt$hQSPP2BpywPjeSf3E9jNx0OUHQxAn3n2yvhFQ4Atk/M=",
		"pbkdf2_sha256$1$salt$", "pbkdf2_sha256$1$salt$aGk=", "pbkdf2_sha256$$$",
		"bcrypt$$2b$31$abcdefghijklmnopqrstuuYt/YNsTeF5dYMfRZW5tH6Sq7vhYABtq", "bcrypt$", "bcrypt$x", "bcrypt_sha256$$2b$04$short",
		"scrypt$1073741824$salt$8$1$Hvo7m9uRb6q0pu/svWq/Yw==", "scrypt$16384$salt$1024$16$Hvo7m9uRb6q0pu/svWq/Yw==",
		"scrypt$15$salt$8$1$Hvo7m9uRb6q0pu/svWq/Yw==", "scrypt$16384$salt$0$1$Hvo7m9uRb6q0pu/svWq/Yw==", "scrypt$16384",
		"md5$salt", "md5$salt$zz", "sha1$salt$93847d3421eb1d1886ecf543199d5dc6", "sha1", "$", "$$", strings.Repeat("z", 32),
	} {
		for _, plain := range []string{"", "x"} {
			if got, err := h.Verify(t.Context(), encoded, plain); err != nil || got.Match {
				t.Errorf("%.60s: %+v, %v", encoded, got, err)
			}
		}
	}
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]password.Config{
		"too little memory": {Memory: 7}, "memory for fewer threads": {Memory: 64, Threads: 16, Time: 1, MaxConcurrent: -1},
		"more than 1 GiB": {Memory: 1<<20 + 1}, "too many passes": {Time: 101}, "too many threads": {Threads: 17}, "a negative queue": {MaxQueue: -1},
	} {
		if _, err := password.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	h := hasher(t, func(c *password.Config) { *c = password.Config{} })
	encoded, err := h.Hash(t.Context(), "x")
	if err != nil || !strings.HasPrefix(encoded, "argon2$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the defaults give %q, %v", encoded, err)
	}
}

// TestQueue fills the places and the queue, and looks at who is turned away.
func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hasher(t, func(c *password.Config) { c.MaxConcurrent, c.MaxQueue = 1, 1 })
		hold, err := password.Acquire(h, t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			if err := h.VerifyNone(t.Context(), "x"); err != nil {
				t.Errorf("who waits in the queue gets %v", err)
			}
		})
		synctest.Wait()
		if got := h.Stats(); got != (password.Stats{Running: 1, Waiting: 1}) {
			t.Errorf("going on: %+v", got)
		}
		if _, err := h.Hash(t.Context(), "x"); !errors.Is(err, password.ErrBusy) {
			t.Errorf("Hash beyond the queue: %v", err)
		}
		if _, err := h.Verify(t.Context(), "!", "x"); !errors.Is(err, password.ErrBusy) {
			t.Errorf("Verify beyond the queue: %v", err)
		}
		if err := h.VerifyNone(t.Context(), "x"); !errors.Is(err, password.ErrBusy) {
			t.Errorf("VerifyNone beyond the queue: %v", err)
		}
		hold()
		wait.Wait()
		if got := h.Stats(); got != (password.Stats{}) {
			t.Errorf("nothing should go on: %+v", got)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hasher(t, func(c *password.Config) { c.MaxConcurrent = 1 })
		hold, err := password.Acquire(h, t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer hold()
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			if err := h.VerifyNone(ctx, "x"); !errors.Is(err, password.ErrBusy) || !errors.Is(err, context.Canceled) {
				t.Errorf("who stopped waiting gets %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wait.Wait()
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, password string
		personal       []string
		want           error
	}{
		{"a good one", "correct horse battery", nil, nil},
		{"eight characters are enough", "q7#fz!Lm", nil, nil},
		{"eight characters of more bytes", "äöüßéèêë", nil, nil},
		{"seven are not", "äöüßéèê", nil, password.ErrTooShort},
		{"one that is used a lot", "password1", nil, password.ErrCommon},
		{"one that is used a lot, in capitals", "PassWord1", nil, password.ErrCommon},
		{"the username", "Alice.Liddell", []string{"alice.liddell", ""}, password.ErrPersonal},
		{"the e-mail address", "alice@example.test", []string{"", "Alice@example.test"}, password.ErrPersonal},
		{"what stands before the @", "alice.liddell", []string{"alice.liddell@example.test"}, password.ErrPersonal},
		{"one that only begins like the username", "alice.liddell!", []string{"alice.liddell"}, nil},
		{"one that is too long", strings.Repeat("ab", password.MaxLength), nil, password.ErrTooLong},
	} {
		if err := password.Check(tc.password, tc.personal...); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	h := hasher(f, nil)
	for _, encoded := range []string{
		"argon2$argon2d$v=19$m=512,t=2,p=2$c2FsdHNhbHQxMjM0NTY3OA$DsgJ3BibWVEeK4OIqrtzKQ", "pbkdf2_sha1$1000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI=",
		"bcrypt$$2b$04$abcdefghijklmnopqrstuuYt/YNsTeF5dYMfRZW5tH6Sq7vhYABtq", "scrypt$16$salt$1$1$Hvo7m9uRb6q0pu/svWq/Yw==", "md5$a$b", "!",
	} {
		f.Add(encoded, "x")
	}
	f.Fuzz(func(t *testing.T, encoded, plain string) {
		if _, err := h.Verify(t.Context(), encoded, plain); err != nil {
			t.Error(err)
		}
	})
}

func ExampleHasher() {
	h, err := password.New(password.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	// As Django 3.2 wrote it.
	old := "pbkdf2_sha1$1000$salt$4nQ6Ky9p/xHQsnFXDvAHlS9kNuI="
	result, err := h.Verify(context.Background(), old, "sha1-pass")
	fmt.Println(result.Match, result.NeedsUpgrade, err)
	// Output: true true <nil>
}

func benchmark(b *testing.B, encoded string) {
	b.Helper()
	h := hasher(b, func(c *password.Config) { *c = password.Config{} })
	if encoded == "" {
		var err error
		if encoded, err = h.Hash(b.Context(), "x"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Verify(b.Context(), encoded, "x"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyArgon2id(b *testing.B) { benchmark(b, "") }

func BenchmarkVerifyPBKDF2(b *testing.B) {
	benchmark(b, "pbkdf2_sha256$600000$saltSALT0123456789abcd$3Kv4DBl0qTKU3wKt/rTLG1D/eZwlJGLeCOC55AsrpPQ=")
}

func BenchmarkVerifyNone(b *testing.B) { benchmark(b, "!") }
