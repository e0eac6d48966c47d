package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyingShowsTheExamples finds every block of code of docs/verifying.md in
// the examples, which TestExamples runs.
func TestVerifyingShowsTheExamples(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	err := filepath.WalkDir("../examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		sources.WriteString(flush(string(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../docs/verifying.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(document), "```")
	if len(blocks) < 13 {
		t.Fatalf("docs/verifying.md shows %d blocks of code", len(blocks)/2)
	}
	for i := 1; i < len(blocks); i += 2 {
		_, code, _ := strings.Cut(blocks[i], "\n")
		if !strings.Contains(sources.String(), flush(code)) {
			t.Errorf("no example has this:\n%s", code)
		}
	}
}

// flush takes the indentation away.
func flush(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimLeft(line, " \t"))
	}
	return b.String()
}
