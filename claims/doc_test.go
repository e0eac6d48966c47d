package claims_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/claims"
)

// TestDocumentedExpressions evaluates the table of docs/claims.md.
func TestDocumentedExpressions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/claims.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "whose attributes are\n\n```json\n")
	attributes, rest, ok := strings.Cut(rest, "```")
	table, _, _ := strings.Cut(rest, "\n\n- **")
	rows := regexp.MustCompile("(?m)^\\| `(.+)` \\| (?:`(.+)`|no claim) \\|$").FindAllStringSubmatch(table, -1)
	if !ok || len(rows) < 10 {
		t.Fatalf("docs/claims.md has %d examples", len(rows))
	}
	about := claims.Subject{
		User:    claims.User{IsStaff: true, Attributes: json.RawMessage(attributes)},
		Session: claims.Session{Method: "password", CreatedAt: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)},
	}
	for _, row := range rows {
		got, err := rules(t, claims.Rule{Name: "x", Expression: row[1]}).Evaluate(t.Context(), about)
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		want := `{}`
		if row[2] != "" {
			want = `{"x":` + row[2] + `}`
		}
		if text, err := json.Marshal(got); err != nil || string(text) != want {
			t.Errorf("%s gives %s, and not %s: %v", row[1], text, want, err)
		}
	}
}
