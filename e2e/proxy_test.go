package e2e_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// fault is what a proxy does to what passes.
type fault int

const (
	passes  fault = iota
	refuses       // new connections are closed at once, and old ones are cut
	hangs         // nothing passes any more, and nothing is closed
	delays        // every piece comes a little later
)

// proxy stands between the program and a server, and misbehaves when it is told
// to.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	cond  *sync.Cond
	fault fault
	conns map[net.Conn]bool
}

// newProxy listens on a loopback port and passes everything to the target.
func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, conns: map[net.Conn]bool{}}
	p.cond = sync.NewCond(&p.mu)
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.set(refuses)
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// set changes what the proxy does; refuses cuts what is open.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	if f == refuses {
		p.cut()
	}
	p.cond.Broadcast()
}

// cutAll cuts every connection, once.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *proxy) cut() {
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refused := p.fault == refuses
		p.mu.Unlock()
		if refused {
			_ = conn.Close()
			continue
		}
		go p.join(conn)
	}
}

func (p *proxy) join(conn net.Conn) {
	far, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	p.mu.Lock()
	p.conns[conn], p.conns[far] = true, true
	p.mu.Unlock()
	go p.pass(far, conn)
	p.pass(conn, far)
}

// pass moves bytes one way.
func (p *proxy) pass(to, from net.Conn) {
	defer to.Close()   //nolint:errcheck // the other side sees it
	defer from.Close() //nolint:errcheck // the same
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.admit() {
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// admit waits as long as nothing may pass; false: it never will.
func (p *proxy) admit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.fault == hangs {
		p.cond.Wait()
	}
	if p.fault == delays {
		p.mu.Unlock()
		time.Sleep(20 * time.Millisecond) // what the fault is, not a wait for anything
		p.mu.Lock()
	}
	return p.fault != refuses
}
