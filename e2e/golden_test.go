package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite docs/divergences.md")

// recorded is one exchange with the predecessor.
type recorded struct {
	Variant, ID, Title, Method, Path string
	Headers                          [][2]string `json:"request_headers"`
	Body                             string      `json:"request_body"`
	Status                           int
	ResponseHeaders                  [][2]string `json:"response_headers"`
	Response                         string      `json:"response_body"`
}

// key names a recording among all.
func (r recorded) key() string { return r.Variant + "/" + strings.SplitN(r.ID, "-", 2)[0] }

// at is when it was recorded.
func (r recorded) at(t *testing.T) time.Time {
	t.Helper()
	for _, h := range r.ResponseHeaders {
		if h[0] == "Date" {
			at, err := http.ParseTime(h[1])
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
	}
	t.Fatalf("%s has no date", r.key())
	return time.Time{}
}

// header returns the headers that a client chose.
func (r recorded) header() http.Header {
	h := http.Header{}
	for _, line := range r.Headers {
		switch line[0] {
		case "Host", "Content-Length", "Connection", "Cookie", "Transfer-Encoding":
		default:
			h.Add(line[0], line[1])
		}
	}
	return h
}

// recordings returns a variant's exchanges.
func recordings(t *testing.T, variant string) []recorded {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "golden", variant+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// divergence is an answer of ours that is not the predecessor's.
type divergence struct {
	status int
	code   string
	why    string
}

// divergences reads the table: key, status, code, reason.
func divergences(t *testing.T) map[string]divergence {
	t.Helper()
	f, err := os.Open("testdata/divergences.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	table := map[string]divergence{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cells := strings.Split(lines.Text(), "\t")
		if len(cells) != 4 {
			t.Fatalf("a line of the table has %d cells: %q", len(cells), lines.Text())
		}
		var d divergence
		if _, err := fmt.Sscan(cells[1], &d.status); err != nil {
			t.Fatal(err)
		}
		d.code, d.why = strings.TrimSpace(cells[2]), cells[3]
		table[cells[0]] = d
	}
	return table
}

// goldenRun replays recordings against a server.
type goldenRun struct {
	table map[string]divergence
}

func newGoldenRun(t *testing.T) *goldenRun {
	return &goldenRun{table: divergences(t)}
}

// check holds an answer to the recording, or to the table where it has the case.
func (g *goldenRun) check(t *testing.T, r recorded, a answer) {
	t.Helper()
	want, differs := g.table[r.key()]
	if !differs {
		want = divergence{status: r.Status}
	}
	if a.status >= http.StatusInternalServerError && a.status != http.StatusServiceUnavailable {
		t.Errorf("%s (%s): a client's or an IdP's fault is answered %d: %s", r.key(), r.Title, a.status, a.body)
	}
	if a.status != want.status {
		t.Errorf("%s (%s): status %d, want %d (the predecessor: %d): %s", r.key(), r.Title, a.status, want.status, r.Status, a.body)
		return
	}
	if want.code != "" && a.text(t, "code") != want.code {
		t.Errorf("%s (%s): the code is %q, want %q", r.key(), r.Title, a.text(t, "code"), want.code)
	}
	if !differs {
		g.checkMembers(t, r, a)
	}
}

// checkMembers demands every member that the predecessor's clients read: of a
// grant, and the code and text of an error.
func (g *goldenRun) checkMembers(t *testing.T, r recorded, a answer) {
	t.Helper()
	var theirs map[string]any
	if json.Unmarshal([]byte(r.Response), &theirs) != nil || len(a.body) == 0 {
		return
	}
	if r.Status == http.StatusBadRequest {
		g.checkFields(t, r, theirs, a)
		return
	}
	ours := a.json(t)
	for name, value := range theirs {
		got, there := ours[name]
		if !there {
			t.Errorf("%s (%s): the answer lacks %q", r.key(), r.Title, name)
		}
		if name == "code" && got != value {
			t.Errorf("%s (%s): %s is %v, want %v", r.key(), r.Title, name, got, value)
		}
	}
}

// checkFields demands that the same fields are found wrong.
func (g *goldenRun) checkFields(t *testing.T, r recorded, theirs map[string]any, a answer) {
	t.Helper()
	named := map[string]bool{}
	list, _ := a.json(t)["errors"].([]any)
	for _, e := range list {
		pointer, _ := e.(map[string]any)["pointer"].(string)
		named[strings.TrimPrefix(pointer, "/")] = true
	}
	for field := range theirs {
		// refresh_token is not asked for here: it is never read.
		if field != "detail" && field != "non_field_errors" && field != "refresh_token" && !named[field] {
			t.Errorf("%s (%s): the field %q is not said to be wrong: %s", r.key(), r.Title, field, a.body)
		}
	}
}

// TestDivergencesAreDocumented holds docs/divergences.md to the table, and the
// table to the recordings.
func TestDivergencesAreDocumented(t *testing.T) {
	t.Parallel()
	table := divergences(t)
	known := map[string]recorded{}
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, r := range recordings(t, strings.TrimSuffix(filepath.Base(file), ".json")) {
			known[r.key()] = r
		}
	}
	keys := make([]string, 0, len(table))
	for key, d := range table {
		keys = append(keys, key)
		if r, there := known[key]; !there || r.Status == d.status && d.code == "" {
			t.Errorf("%s is in the table and does not differ, or is not recorded", key)
		}
	}
	slices.Sort(keys)
	var rows strings.Builder
	for _, key := range keys {
		d, r := table[key], known[key]
		code := ""
		if d.code != "" {
			code = " `" + d.code + "`"
		}
		fmt.Fprintf(&rows, "| %s | %s `%s` | %s | %d | %d%s | %s |\n", key, r.Method, r.Path, strings.ReplaceAll(r.Title, "|", "\\|"), r.Status, d.status, code, d.why)
	}
	const begin, end = "<!-- begin generated table -->\n", "<!-- end generated table -->"
	raw, err := os.ReadFile("../docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/divergences.md lacks the marks of the table")
	}
	head := "| case | request | what | predecessor | Gatehouse | why |\n|---|---|---|---|---|---|\n"
	want := before + begin + head + rows.String() + end + after
	if *update {
		if err := os.WriteFile("../docs/divergences.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(raw) {
		t.Error("docs/divergences.md is not what the table says; `go test ./e2e -run Divergences -update` writes it")
	}
}

// raw sends bytes as they are and reads one answer.
func (s *server) raw(t *testing.T, request string, halfClose bool) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answer is read
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	if halfClose {
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			t.Fatal("not a TCP connection")
		}
		if err := tcp.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	var body strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&body); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: []byte(body.String())}
}
