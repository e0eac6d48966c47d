package gatehouse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gatehouse-auth/gatehouse"

// arrow says which of our packages a package and those below it may import,
// directly. A name with "/..." stands for a package and all below it.
type arrow struct {
	from, why string
	to        []string
}

// arrows are the house's plan, the most special rule first. A package without a
// rule fails the test: it has no place in the plan yet.
var arrows = []arrow{
	{"cmd/...", "wires everything", []string{"..."}},
	{"impl/...", "translates HTTP; what it can't reach, it can't decide",
		[]string{"", "api", "session", "tokens", "cookie", "impl/...",
			"cognito", "password", "repo"}}, // for their errors and records: see TestImplDecidesNothing
	{"session/...", "decides; it knows neither HTTP nor SQL",
		[]string{"tokens", "claims", "password", "cognito", "repo", "session/..."}},
	{"tokens/...", "knows tokens and keys; of the store only its records and errors",
		[]string{"repo", "tokens/...", "internal/jws", "internal/mac"}},
	{"repo/postgres/...", "is one engine of the store",
		[]string{"repo", "repo/internal/...", "migrations/..."}},
	{"repo/sqlite/...", "is one engine of the store",
		[]string{"repo", "repo/internal/...", "migrations/..."}},
	{"repo/internal/...", "holds the queries, which both engines share",
		[]string{"repo", "repo/internal/...", "migrations/..."}},
	{"repo/repotest/...", "tests any store by its interface, and its migrations", []string{"repo", "migrations"}},
	{"repo", "is records, interfaces and errors; everyone who remembers depends on it", nil},
	{"cognito/cognitotest/...", "plays the identity provider for tests", []string{"cognito"}},
	{"cognito/...", "can be used by a stranger's program without the rest", []string{"cognito/...", "internal/jwks", "internal/jws"}},
	{"password/...", "can be used by a stranger's program without the rest", []string{"password/..."}},
	{"cookie/...", "can be used by a stranger's program without the rest", []string{"cookie/...", "internal/mac"}},
	{"verify/...", "is imported by other services, which want nothing else of ours", []string{"verify/...", "internal/jwks", "internal/jws"}},
	{"internal/jwks", "is a leaf that cognito and verify share (ADR 0007)", []string{"internal/jws"}},
	{"internal/jws", "is a leaf that claims, cognito, tokens and verify share (ADR 0007)", nil},
	{"claims/...", "knows what goes into a token, and nothing of tokens", []string{"claims/...", "internal/jws"}},
	{"internal/mac", "is a leaf that tokens and cookie share (ADR 0014)", nil},
	{"api/...", "is generated from the contract", nil},
	{"config/...", "says what can be set, not what the settings do", []string{"config/..."}},
	{"migrations/...", "is SQL", []string{"migrations/..."}},
	{"examples/...", "shows what a stranger's program does, which reaches only what is meant for it",
		[]string{"verify/...", "cognito", "password", "cookie", "examples/..."}},
	{"e2e", "runs the program from outside", nil},
	{"bench/...", "measures the parts", []string{"..."}},
	{"", "embeds the contract", nil},
}

// outside are packages of others that only these of ours may import, directly
// or through another.
var outside = []struct {
	prefix, why string
	allowed     []string
}{
	{"database/sql", "SQL never rises above repo", []string{"repo/postgres", "repo/sqlite", "repo/internal/...", "repo/repotest", "migrations/...", "cmd/...", "bench/..."}},
	{"github.com/jmoiron/sqlx", "SQL never rises above repo", []string{"repo/postgres", "repo/sqlite", "repo/internal/...", "repo/repotest", "cmd/...", "bench/..."}},
	{"github.com/lib/pq", "only the Postgres store knows its driver", []string{"repo/postgres", "repo/internal/...", "cmd/...", "bench/..."}},
	{"modernc.org/sqlite", "only the SQLite store knows its driver", []string{"repo/sqlite", "repo/internal/...", "cmd/...", "bench/..."}},
	{"github.com/lestrrat-go/jwx", "a service that verifies links as little as can be (ADR 0007)", []string{"tokens/...", "session/...", "impl/...", "cmd/...", "bench/..."}},
	{"html/template", "its reflection makes the linker keep every method of every type, 4 MB of them", nil},
	{"testing", "what is shipped links no test code", []string{"repo/repotest", "cognito/cognitotest/..."}},
	{"github.com/spf13/cobra", "only the program has a command line", []string{"cmd/..."}},
}

// pkg is what `go list` says about a package.
type pkg struct {
	ImportPath, Dir string
	Imports, Deps   []string
}

// name is the package's path within the module; ok is false for others'.
func name(importPath string) (string, bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// matches reports whether a pattern of the plan covers a package.
func matches(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	prefix, below := strings.CutSuffix(pattern, "/...")
	return name == prefix || below && strings.HasPrefix(name, prefix+"/")
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// list returns the packages of the module, and what they import outside tests.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,Deps", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestImportsFollowTheArrows(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		from, _ := name(p.ImportPath)
		i := slices.IndexFunc(arrows, func(a arrow) bool { return matches(a.from, from) })
		if i < 0 {
			t.Errorf("package %s has no place in the plan: give it a rule, with its reason", from)
			continue
		}
		for _, imported := range p.Imports {
			to, ours := name(imported)
			if ours && !matchesAny(arrows[i].to, to) {
				t.Errorf("%s must not import %q, for it %s", from, to, arrows[i].why)
			}
			if ours && isTestHelper(to) {
				t.Errorf("%s must not import %s outside its tests: a program would carry it", from, to)
			}
		}
	}
}

func TestOthersPackagesStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		from, _ := name(p.ImportPath)
		for _, ban := range outside {
			if matchesAny(ban.allowed, from) {
				continue
			}
			for _, dep := range p.Deps {
				// A driver's value types are no SQL: the uuid package has them.
				if dep == ban.prefix || strings.HasPrefix(dep, ban.prefix+"/") && dep != "database/sql/driver" {
					t.Errorf("%s depends on %s: %s", from, dep, ban.why)
				}
			}
		}
	}
}

// From the packages that impl does not call it takes the errors, which its table
// translates, and the store's records, which it shows.
func TestImplDecidesNothing(t *testing.T) {
	t.Parallel()
	records := map[string]bool{}
	for _, file := range parseDir(t, "repo") {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if typ, ok := spec.(*ast.TypeSpec); ok {
					_, records[typ.Name.Name] = typ.Type.(*ast.StructType)
				}
			}
		}
	}
	for path, file := range parseDir(t, "impl") {
		ast.Inspect(file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := selector.X.(*ast.Ident)
			if !ok || !slices.Contains([]string{"cognito", "password", "repo"}, from.Name) {
				return true
			}
			if what := selector.Sel.Name; !strings.HasPrefix(what, "Err") && (from.Name != "repo" || !records[what]) {
				t.Errorf("%s uses %s.%s: that is session's to do", path, from.Name, what)
			}
			return true
		})
	}
}

// parseDir reads the files of a package, without its tests.
func parseDir(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	files := map[string]*ast.File{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = file
	}
	return files
}

// isTestHelper reports whether a package exists for tests: repotest, cognitotest.
func isTestHelper(name string) bool { return strings.HasSuffix(name, "test") }

// Such a name says what kind of thing is in a package, not what it is for.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "models", "types", "mocks", "pkg", "lib"}

func TestPackagesAreNamedForWhatTheyDo(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		from, _ := name(p.ImportPath)
		for _, part := range strings.Split(from, "/") {
			if slices.Contains(emptyNames, part) {
				t.Errorf("package %s: %q says nothing", from, part)
			}
		}
	}
}

func TestFilesAndFunctionsAreSmall(t *testing.T) {
	t.Parallel()
	const maxFile, maxFunction = 400, 80
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "node_modules" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if ast.IsGenerated(file) {
			return nil
		}
		if lines := files.Position(file.FileEnd).Line; lines > maxFile {
			t.Errorf("%s has %d lines, more than %d", path, lines, maxFile)
		}
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := files.Position(fn.End()).Line - files.Position(fn.Pos()).Line + 1
			if lines > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", path, fn.Name.Name, lines, maxFunction)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
