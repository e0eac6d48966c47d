package tokens

import (
	"crypto/sha256"
	"strconv"
	"testing"
)

func TestSeenIsBounded(t *testing.T) {
	t.Parallel()
	digest := func(i int) [sha256.Size]byte { return sha256.Sum256([]byte(strconv.Itoa(i))) }
	var s seen
	if s.has(digest(0)) {
		t.Error("it has what was never added")
	}
	s.add(digest(0))
	for i := 1; i < 10*seenLimit; i++ {
		s.add(digest(i))
		if i%1000 == 0 && !s.has(digest(0)) {
			t.Fatalf("what is in use was forgotten after %d others", i)
		}
		if n := len(s.young) + len(s.older); n > 2*seenLimit {
			t.Fatalf("%d are remembered", n)
		}
	}
	if s.has(digest(1)) {
		t.Error("what nobody asks for is remembered for ever")
	}
}
