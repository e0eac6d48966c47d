package impl

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/getkin/kin-openapi/openapi3"
)

// docsPage shows the contract to a person. It has no script and no style, so that
// the browser can be told to load nothing.
var docsPage = template.Must(template.New("docs").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head><body>
<h1>{{.Title}} {{.Version}}</h1>
<p>The whole contract: <a href="openapi.yaml">openapi.yaml</a></p>
<pre>{{.About}}</pre>
{{range .Operations}}<h2 id="{{.ID}}"><code>{{.Method}} {{.Path}}</code> {{.Summary}}</h2>
<pre>{{.About}}</pre>
<table>{{range .Answers}}<tr><th>{{.Status}}</th><td>{{.About}}</td></tr>{{end}}</table>
{{end}}</body></html>
`))

type docsAnswer struct{ Status, About string }

type docsOperation struct {
	ID, Method, Path, Summary, About string
	Answers                          []docsAnswer
}

// renderDocs makes the page of the contract, with the paths as they are here.
func (s *server) renderDocs(doc *openapi3.T) ([]byte, error) {
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
	var page bytes.Buffer
	err := docsPage.Execute(&page, map[string]any{
		"Title": doc.Info.Title, "Version": doc.Info.Version, "About": doc.Info.Description, "Operations": operations,
	})
	if err != nil {
		return nil, fmt.Errorf("impl: showing the contract: %w", err)
	}
	return page.Bytes(), nil
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
