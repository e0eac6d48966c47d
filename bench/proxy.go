package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// countingProxy stands between a server and Postgres, and counts what goes over
// the wire: statements and round trips, whatever the driver makes of them.
type countingProxy struct {
	address string
	to      string
	mu      sync.Mutex
	traffic traffic
	texts   map[string]bool // of the statements
}

// traffic is what was counted.
type traffic struct{ Statements, RoundTrips int }

// newCountingProxy listens on a loopback address until the context ends.
func newCountingProxy(ctx context.Context, to string) (*countingProxy, error) {
	if err := checkLoopback(to); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	p := &countingProxy{address: l.Addr().String(), to: to, texts: map[string]bool{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(ctx, conn)
		}
	}()
	return p, nil
}

func (p *countingProxy) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close() //nolint:errcheck // the server has gone
	up, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", p.to)
	if err != nil {
		return
	}
	defer up.Close() //nolint:errcheck // nothing is left to be written
	go func() { _, _ = io.Copy(conn, up); _ = conn.Close() }()
	p.follow(bufio.NewReader(conn), up)
}

// follow passes a connection's messages on, and counts them: after a start-up
// message each has a type, and a length that counts itself.
func (p *countingProxy) follow(from *bufio.Reader, to io.Writer) {
	c := conversation{proxy: p, texts: map[string]string{}}
	for typed := false; ; typed = true {
		var head []byte
		if typed {
			kind, err := from.ReadByte()
			if err != nil {
				return
			}
			head = []byte{kind}
		}
		length := make([]byte, 4)
		if _, err := io.ReadFull(from, length); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(length)
		if n < 4 || n > 1<<24 {
			return
		}
		body := make([]byte, n-4)
		if _, err := io.ReadFull(from, body); err != nil {
			return
		}
		if typed {
			c.count(head[0], body)
		}
		if _, err := to.Write(append(append(head, length...), body...)); err != nil {
			return
		}
	}
}

// conversation is what is known of one connection.
type conversation struct {
	proxy *countingProxy
	texts map[string]string // of the prepared statements, by name
	last  string            // the text that was bound last
}

func (c *conversation) count(kind byte, body []byte) {
	p := c.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := strings.SplitN(string(body), "\x00", 3)
	switch {
	case kind == 'P' && len(parts) == 3: // parse: name, text
		c.last = parts[1]
		c.texts[parts[0]], p.texts[parts[1]] = parts[1], true
	case kind == 'B' && len(parts) == 3: // bind: portal, name
		c.last = c.texts[parts[1]]
	case kind == 'Q':
		c.last = parts[0]
	}
	if swept(c.last) {
		return
	}
	switch kind {
	case 'Q': // a query of text alone
		p.traffic.Statements++
		p.traffic.RoundTrips++
	case 'E': // execute
		p.traffic.Statements++
	case 'S': // sync: now it waits for answers
		p.traffic.RoundTrips++
	}
}

// swept reports whether a statement is the sweeper's, which works beside the requests.
func swept(text string) bool {
	return strings.Contains(text, "SKIP LOCKED") || strings.Contains(text, "max(id) AS last")
}

func (p *countingProxy) now() traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.traffic
}

// text returns the statement that begins so.
func (p *countingProxy) text(prefix string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.texts {
		if strings.HasPrefix(t, prefix) {
			return t
		}
	}
	return ""
}
