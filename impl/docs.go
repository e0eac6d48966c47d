package impl

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/getkin/kin-openapi/openapi3"
)

type docsAnswer struct{ Status, About string }

type docsOperation struct {
	ID, Method, Path, Summary, About string
	Answers                          []docsAnswer
}

// renderDocs makes the page of the contract, with the paths as they are here.
func (s *server) renderDocs(doc *openapi3.T) []byte {
	var operations []docsOperation
	for _, path := range doc.Paths.InMatchingOrder() {
		at := path
		if rest, ok := strings.CutPrefix(path, contractBase+"/"); ok {
			at = s.BasePath + "/" + rest
		}
		for method, o := range doc.Paths.Value(path).Operations() {
			operation := docsOperation{ID: o.OperationID, Method: method, Path: at, Summary: o.Summary, About: o.Description}
			for status, answer := range o.Responses.Map() {
				operation.Answers = append(operation.Answers, docsAnswer{status, *answer.Value.Description})
			}
			slices.SortFunc(operation.Answers, func(a, b docsAnswer) int { return strings.Compare(a.Status, b.Status) })
			operations = append(operations, operation)
		}
	}
	slices.SortFunc(operations, func(a, b docsOperation) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	return docsPage(doc.Info, operations)
}

// docsPage shows the contract to a person. It has no script and no style, so that
// the browser can be told to load nothing. It is written without html/template,
// whose reflection makes the linker keep every method of every type: 4 MB.
func docsPage(about *openapi3.Info, operations []docsOperation) []byte {
	var page bytes.Buffer
	write := func(format string, texts ...any) {
		for i, text := range texts {
			texts[i] = html.EscapeString(fmt.Sprint(text))
		}
		fmt.Fprintf(&page, format, texts...)
	}
	write(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%[1]s</title></head><body>
<h1>%[1]s %s</h1>
<p>The whole contract: <a href="openapi.yaml">openapi.yaml</a></p>
<pre>%s</pre>
`, about.Title, about.Version, about.Description)
	for _, o := range operations {
		write(`<h2 id="%s"><code>%s %s</code> %s</h2>
<pre>%s</pre>
<table>`, o.ID, o.Method, o.Path, o.Summary, o.About)
		for _, a := range o.Answers {
			write(`<tr><th>%s</th><td>%s</td></tr>`, a.Status, a.About)
		}
		write("</table>\n")
	}
	write("</body></html>\n")
	return page.Bytes()
}

// GetDocs shows the contract to a person.
func (s *server) GetDocs(context.Context, api.GetDocsRequestObject) (api.GetDocsResponseObject, error) {
	return docs(s.docs), nil
}

type docs []byte

func (d docs) VisitGetDocsResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	return api.GetDocs200TextHTMLResponse{Body: bytes.NewReader(d), ContentLength: int64(len(d))}.VisitGetDocsResponse(w)
}
