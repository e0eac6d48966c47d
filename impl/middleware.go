package impl

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/rs/cors"
)

// wrap puts around the router what every request passes: its id, the log line,
// the panic's way out, the headers of every answer, what proxies ask, and CORS.
func (s *server) wrap(next http.Handler) http.Handler {
	return s.identify(s.log(s.recover(s.plainQuestion(s.cors(next)))))
}

// wellFormedID is what a request id from outside must look like to be kept: it
// goes into logs and back to the client.
var wellFormedID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// identify names the request and its client, and sets what every answer has.
func (s *server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !wellFormedID.MatchString(id) {
			id = rand.Text()
		}
		h := w.Header()
		h.Set("X-Request-Id", id) // as net/http writes it anyway: it need not be made so each time
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		ctx := context.WithValue(r.Context(), contextKey{}, requestInfo{
			id: id, header: r.Header,
			client: session.Client{IP: clientIP(r, s.TrustedProxies), UserAgent: r.UserAgent()},
		})
		ctx, cancel := context.WithTimeout(ctx, s.RequestTimeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// log writes one line for each request. The query and the headers stay out of
// it, and the long segments of its path: somebody may have put a token there.
func (s *server) log(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now() // how long it took, not when it was: no concern of the service's clock
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(status, r)
		now := time.Now()
		took, recorded := now.Sub(began), recordedStatus(r, status.status)
		s.Observe(strings.TrimSuffix(strings.TrimSuffix(r.Pattern, "{$}"), "/"), recorded, took)
		if h := s.Logger.Handler(); h.Enabled(r.Context(), slog.LevelInfo) {
			line := slog.NewRecord(now, slog.LevelInfo, "request", 0) // LogAttrs would look for the place in the code, which is always this
			line.AddAttrs(slog.String("method", r.Method), slog.String("path", loggedPath(r.URL)), slog.Int("status", recorded),
				slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.String("ip", infoOf(r.Context()).client.IP))
			_ = h.Handle(r.Context(), line) // as a Logger does: there is nobody to tell
		}
	})
}

// maxSegment is how long a segment of a path may be to be logged: no operation's
// is longer, nor is a session's id; tokens and the secrets of services are.
const maxSegment = 40

// loggedPath is a path with a mark in place of each segment that is too long.
func loggedPath(u *url.URL) string {
	path := u.EscapedPath()
	if len(path) <= maxSegment {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if len(segment) > maxSegment {
			segments[i] = "…"
		}
	}
	return strings.Join(segments, "/")
}

// statusClientGone is what a request is logged and counted under whose client did
// not wait for the answer; nginx has the number for it.
const statusClientGone = 499

// recordedStatus is the status that a request answered with this one is logged and counted
// under. Work that ends because its client went away fails like that of an outage.
// net/http cancels a request's context for nothing else: not for our deadline, nor
// for a shutdown, which lets requests finish.
func recordedStatus(r *http.Request, status int) int {
	if status == http.StatusServiceUnavailable && errors.Is(r.Context().Err(), context.Canceled) {
		return statusClientGone
	}
	return status
}

// statusWriter remembers the status that was written.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recover answers a panic like any other fault of the service.
func (s *server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch fault := recover(); fault {
			case nil:
			case http.ErrAbortHandler: // the server's own way to end a connection
				panic(fault)
			default:
				s.writeProblem(w, r, fmt.Errorf("panic: %v\n%s", fault, debug.Stack()))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// cors lets the configured origins' pages use the service with its cookies.
func (s *server) cors(next http.Handler) http.Handler {
	if len(s.Origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins:   s.Origins,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodDelete},
		AllowedHeaders:   []string{"Authorization", "Content-Type", "X-CSRF-Token", "X-Request-ID"},
		ExposedHeaders:   []string{"Retry-After", "X-Request-ID"},
		AllowCredentials: true,
		MaxAge:           int((10 * time.Minute).Seconds()),
	}).Handler(next)
}
