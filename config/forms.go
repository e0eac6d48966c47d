package config

import (
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
)

// isAddress reports whether one can listen there: a host, which may be empty, and a port.
func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isPath reports whether s is a path that means the same to a router, to a
// cookie and in a URL, whoever cleans or escapes it.
func isPath(s string) bool {
	odd := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~/", r))
	}
	return len(s) > 1 && s[0] == '/' && path.Clean(s) == s && !strings.ContainsFunc(s, odd)
}

// isIssuerPath reports whether the metadata can be served below the path of an
// issuer, and beside it (RFC 8414 §3.1). What is no URL has no path to refuse.
func isIssuerPath(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return true
	}
	at := strings.TrimSuffix(u.EscapedPath(), "/")
	return at == "" || isPath(at) && !strings.HasPrefix(at+"/", "/.well-known/")
}

// isPort reports whether s, the port of a URL, can be one; it may be empty.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

// isDatabase reports whether s has one of the forms of database_url.
func isDatabase(s string) bool {
	if file, ok := strings.CutPrefix(s, "sqlite:"); ok {
		return file != "" && !strings.ContainsAny(file, "?#")
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && !strings.Contains(scheme, "=") {
		return (scheme == "postgres" || scheme == "postgresql") && rest != ""
	}
	return strings.Index(s, "=") > 0
}

// isOrigin reports whether s is an origin as browsers write it (RFC 6454 §6.2).
// A star is refused wherever it stands: it would let pages of unknown owners
// use the cookies.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || s != u.Scheme+"://"+u.Host || s != strings.ToLower(s) ||
		strings.ContainsFunc(s, func(r rune) bool { return r == '*' || r > unicode.MaxASCII }) || strings.HasSuffix(s, ":") ||
		!isPort(u.Port()) || strings.HasPrefix(u.Port(), "0") {
		return false
	}
	return u.Scheme == "https" && u.Port() != "443" || u.Scheme == "http" && u.Port() != "80"
}

// isCookie reports whether net/http will write what c has of name, path and domain.
func isCookie(c http.Cookie) bool {
	if c.Name == "" {
		c.Name = "name"
	}
	return c.Valid() == nil
}
