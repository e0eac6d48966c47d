package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// worker is one client of a closed loop: its next request goes out when the
// answer to the last one is there.
type worker interface {
	// next returns a whole HTTP/1.1 request, or nil where there is none left.
	next() []byte
	// took checks the answer. Its bytes are good until the next request.
	took(r *reply) error
}

// reply is what a load generator needs of an answer.
type reply struct {
	status  int
	cookies []string // the values of Set-Cookie
	body    []byte
}

// loadResult is what a run of all clients gave.
type loadResult struct {
	latencies histogram
	took      time.Duration
}

// errNotLoopback is the refusal to load anybody else's machine.
var errNotLoopback = errors.New("bench: the load goes to loopback addresses alone")

func checkLoopback(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().IsLoopback() {
		return fmt.Errorf("%w, not to %q", errNotLoopback, address)
	}
	return nil
}

// maxClients and maxRun bound what anybody can ask for.
const (
	maxClients = 1024
	maxRun     = 2 * time.Hour
)

// load runs the workers against an address for a time, each on a connection of
// its own that is kept. The first fault ends the run.
func load(ctx context.Context, address string, workers []worker, d time.Duration) (loadResult, error) {
	if err := checkLoopback(address); err != nil {
		return loadResult{}, err
	}
	if len(workers) > maxClients || d > maxRun {
		return loadResult{}, fmt.Errorf("bench: at most %d clients and %v", maxClients, maxRun)
	}
	clients := make([]*client, len(workers))
	for i, w := range workers {
		c, err := dial(ctx, address, w)
		if err != nil {
			return loadResult{}, err
		}
		defer c.conn.Close() //nolint:errcheck // nothing is left to be written
		clients[i] = c
	}
	began := time.Now()
	end := began.Add(d)
	errs := make([]error, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { errs[i] = c.run(end) })
	}
	wg.Wait()
	result := loadResult{took: time.Since(began)}
	for _, c := range clients {
		result.latencies.merge(&c.latencies)
	}
	return result, errors.Join(errs...)
}

// client is a worker with its connection.
type client struct {
	worker    worker
	conn      net.Conn
	reader    *bufio.Reader
	reply     reply
	latencies histogram
}

func dial(ctx context.Context, address string, w worker) (*client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{worker: w, conn: conn, reader: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (c *client) run(end time.Time) error {
	if err := c.conn.SetDeadline(end.Add(30 * time.Second)); err != nil {
		return err
	}
	for began := time.Now(); began.Before(end); {
		request := c.worker.next()
		if request == nil {
			return nil
		}
		began = time.Now()
		if _, err := c.conn.Write(request); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		if err := c.reply.read(c.reader); err != nil {
			return fmt.Errorf("reading an answer: %w", err)
		}
		now := time.Now()
		c.latencies.add(now.Sub(began))
		if err := c.worker.took(&c.reply); err != nil {
			return err
		}
		began = now
	}
	return nil
}

// read reads one answer. It is as much of HTTP/1.1 as servers send that mean well.
func (r *reply) read(from *bufio.Reader) error {
	r.status, r.cookies, r.body = 0, r.cookies[:0], r.body[:0]
	length, chunked := -1, false
	for first := true; ; first = false {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if first {
			if len(line) < 12 {
				return fmt.Errorf("a status line %q", line)
			}
			if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return err
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case equalFold(name, "content-length"):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		case equalFold(name, "transfer-encoding"):
			chunked = true
		case equalFold(name, "set-cookie"):
			r.cookies = append(r.cookies, string(value))
		case equalFold(name, "connection") && equalFold(value, "close"):
			return errors.New("the server does not keep the connection")
		}
	}
	switch {
	case chunked:
		return r.readChunks(from)
	case length < 0 && r.status != 204:
		return errors.New("an answer without a length")
	}
	return r.readN(from, length)
}

func (r *reply) readN(from *bufio.Reader, n int) error {
	at := len(r.body)
	if cap(r.body) < at+n {
		r.body = append(make([]byte, 0, 2*(at+n)), r.body...)
	}
	r.body = r.body[:at+max(0, n)]
	_, err := io.ReadFull(from, r.body[at:])
	return err
}

func (r *reply) readChunks(from *bufio.Reader) error {
	for {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return err
		}
		if err := r.readN(from, int(n)); err != nil {
			return err
		}
		if _, err := from.Discard(2); err != nil || n == 0 {
			return err
		}
	}
}

func equalFold(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }

// post is a request with a JSON body. The headers are whole lines.
func post(path, headers, body string) []byte {
	return postAs("application/json", path, headers, body)
}

func postAs(contentType, path, headers, body string) []byte {
	return []byte("POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nContent-Type: " + contentType + "\r\n" +
		headers + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// cookieValue returns the value of a cookie that an answer sets.
func (r *reply) cookieValue(name string) (string, bool) {
	for _, c := range r.cookies {
		if rest, ok := strings.CutPrefix(c, name+"="); ok {
			value, _, _ := strings.Cut(rest, ";")
			return value, true
		}
	}
	return "", false
}

// unexpected is the error for an answer that is not the one of the scenario.
func (r *reply) unexpected(what string) error {
	return fmt.Errorf("%s: status %d: %.200s", what, r.status, r.body)
}
