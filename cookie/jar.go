package cookie

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Attributes is what Set-Cookie says beside name and value (RFC 6265 §4.1.2).
// Every cookie of this package is HttpOnly too.
type Attributes struct {
	Path     string        // begins with a slash; required
	Domain   string        // empty: the host that sets it, and no other
	Secure   bool          // sent over https alone; browsers count http://localhost as that
	SameSite http.SameSite // required
}

// JarConfig is a cookie: what it is signed with, and its attributes.
type JarConfig struct {
	Config
	Attributes
}

// Jar sets, deletes and reads one cookie. It is safe for concurrent use.
type Jar struct {
	*Signer
	name          string
	before, after string // the attributes, as Set-Cookie has them before and after those of the time
}

// NewJar checks the configuration: browsers drop a cookie without a word that
// breaks the rules of its prefix or its SameSite.
func NewJar(c JarConfig) (*Jar, error) {
	signer, err := NewSigner(c.Config)
	if err != nil {
		return nil, err
	}
	a := c.Attributes
	switch {
	case !strings.HasPrefix(a.Path, "/"):
		return nil, errors.New("cookie: the path must begin with a slash")
	case a.SameSite != http.SameSiteStrictMode && a.SameSite != http.SameSiteLaxMode && a.SameSite != http.SameSiteNoneMode:
		return nil, errors.New("cookie: SameSite is required")
	case a.SameSite == http.SameSiteNoneMode && !a.Secure:
		return nil, errors.New("cookie: SameSite=None needs Secure")
	case hasPrefix(c.Name, "__Secure-") && !a.Secure:
		return nil, errors.New("cookie: the prefix __Secure- needs Secure")
	case hasPrefix(c.Name, "__Host-") && (!a.Secure || a.Path != "/" || a.Domain != ""):
		return nil, errors.New("cookie: the prefix __Host- needs Secure, the path / and no domain")
	}
	empty := http.Cookie{Name: c.Name, Path: a.Path, Domain: a.Domain, Secure: a.Secure, HttpOnly: true, SameSite: a.SameSite}
	if err := empty.Valid(); err != nil {
		return nil, errors.New("cookie: the name, the path or the domain has a character that it can't have")
	}
	before, after, _ := strings.Cut(strings.TrimPrefix(empty.String(), c.Name+"="), "; HttpOnly")
	return &Jar{Signer: signer, name: c.Name, before: before, after: "; HttpOnly" + after}, nil
}

// hasPrefix compares without regard to case, as browsers do (RFC 6265bis §5.4).
func hasPrefix(name, prefix string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// Set returns the Set-Cookie header's value by which a client holds a value until
// it expires, in whole seconds and never longer; where less than one is left, the
// one that takes it away. The value is text that a cookie can hold as it is (RFC
// 6265 §4.1.1, cookie-octet), as a token is.
func (j *Jar) Set(value string, expires, now time.Time) string {
	seconds := int(expires.Sub(now) / time.Second)
	if seconds < 1 {
		return j.Delete()
	}
	return j.header(j.Sign(value, now), expires, seconds)
}

// Delete returns the Set-Cookie header's value that takes the cookie away. Its
// attributes are those that it was set with: browsers ignore the deletion of any
// other.
func (j *Jar) Delete() string { return j.header("", time.Unix(0, 0), 0) }

// header writes what http.Cookie would. Most of it is the same each time.
func (j *Jar) header(value string, expires time.Time, maxAge int) string {
	b := make([]byte, 0, len(j.name)+len(value)+len(j.before)+len(j.after)+maxTimes)
	b = append(append(append(append(b, j.name...), '='), value...), j.before...)
	b = expires.UTC().AppendFormat(append(b, "; Expires="...), http.TimeFormat)
	b = strconv.AppendInt(append(b, "; Max-Age="...), int64(maxAge), 10)
	return string(append(b, j.after...))
}

// maxTimes is what the attributes of the time take, and more.
const maxTimes = 80

// Read returns the values of all cookies of the name that are signed by us, in
// the order of the request. A browser sends several where one was set for
// another path or domain.
func (j *Jar) Read(h http.Header) []string {
	var values []string
	for _, raw := range Values(h, j.name) {
		if value, _, err := j.Unsign(raw); err == nil {
			values = append(values, value)
		}
	}
	return values
}

// Values returns what the request's cookies of one name hold, in order, each
// duplicate too. It undoes the quoting of Python's http.cookies: a value in
// double quotes, with backslashes before quotes and backslashes, and the
// characters up to U+00FF as three octal digits.
func Values(h http.Header, name string) []string {
	var values []string
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			key, value, ok := strings.Cut(pair, "=")
			if ok && strings.Trim(key, blanks) == name {
				values = append(values, unquote(strings.Trim(value, blanks)))
			}
		}
	}
	return values
}

// blanks may stand around names and values (RFC 6265 §5.2). Any other would make of
// a name that a browser lets anybody set one with a prefix, which it does not.
const blanks = " \t"

// unquote undoes the quoting; what is not quoted well it leaves as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	inner := s[1 : len(s)-1]
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' || i+1 == len(inner) {
			b.WriteByte(inner[i])
			continue
		}
		if i+3 < len(inner) {
			if octal, err := strconv.ParseUint(inner[i+1:i+4], 8, 8); err == nil {
				b.WriteRune(rune(octal)) // the number of a character: Python quotes text, not its UTF-8
				i += 3
				continue
			}
		}
		i++
		b.WriteByte(inner[i])
	}
	return b.String()
}
