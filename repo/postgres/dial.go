package postgres

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// reaching is a connector of which each error says that the store can't be
// reached: for some the driver has no more than a text.
type reaching struct{ driver.Connector }

func (r reaching) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", repo.ErrUnavailable, err)
	}
	return conn, nil
}

// dialer makes connections that give up on a server that says nothing any more.
// lib/pq ends a statement whose context is done by asking the server to, and
// goes on waiting for its answer: over a network that hangs it waits for ever.
type dialer struct {
	patience time.Duration // for an answer; longer than the server's own bound on a statement
}

// Dial and DialTimeout are what lib/pq asks of a dialer; it calls DialContext.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is Dial with a bound.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext connects.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return impatient{Conn: conn, patience: d.patience}, nil
}

// impatient is a connection on which each read and write has its own deadline. A
// connection that lies idle in the pool is not read.
type impatient struct {
	net.Conn
	patience time.Duration
}

func (c impatient) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c impatient) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
