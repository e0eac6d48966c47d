package impl

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientIP returns the address of the client. X-Forwarded-For is believed from
// trusted proxies alone, from the right: the first address there that is not a
// trusted proxy's is the client's, and what is left of it may be forged.
func clientIP(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	addr = plain(addr)
	if len(trusted) == 0 {
		return addr.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			break
		}
		next, err := hopAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = plain(next)
	}
	return addr.String()
}

// hopAddr reads an address, also one with a port, as some proxies write it:
// 203.0.113.7:1234, [2001:db8::1]:1234.
func hopAddr(hop string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(hop); err == nil {
		return addr, nil
	}
	addr, err := netip.ParseAddrPort(hop)
	return addr.Addr(), err
}

// plain writes an address the one way that prefixes and logs can be compared by.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
