package impl

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/session"
)

// contextKey is the type of this package's one context value.
type contextKey struct{}

// requestInfo is what the generated request objects leave out: who asks, and
// the headers that hold the cookies.
type requestInfo struct {
	id     string
	client session.Client
	header http.Header
}

// infoOf returns what the outermost middleware has stored.
func infoOf(ctx context.Context) requestInfo {
	info, _ := ctx.Value(contextKey{}).(requestInfo)
	return info
}

// LogHandler returns a handler that adds the request's id to every line that is
// logged in its course.
func LogHandler(h slog.Handler) slog.Handler { return logHandler{h} }

type logHandler struct{ slog.Handler }

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := infoOf(ctx).id; id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
