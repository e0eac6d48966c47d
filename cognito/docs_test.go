package cognito_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestEveryRefusalHasItsCure demands a line for each exported error in the table
// of docs/cognito.md.
func TestEveryRefusalHasItsCure(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("../docs/cognito.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(spec.Names[0].Name, "Err") || spec.Names[0].Name == "ErrInvalidToken" { // which all others say
				return true
			}
			found++
			text, err := strconv.Unquote(spec.Values[0].(*ast.CallExpr).Args[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if _, what, _ := strings.Cut(text, ": "); !strings.Contains(string(table), "\n| "+what+" ") {
				t.Errorf("%s: the table has no line for %q", spec.Names[0].Name, what)
			}
			return true
		})
	}
	if found < 20 {
		t.Errorf("%d errors found", found)
	}
}
