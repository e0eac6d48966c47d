package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-auth/gatehouse/config"
	"golang.org/x/net/publicsuffix"
)

// cookieNames makes the cookies as serve does: a prefix of a name asks for more
// than the name shows.
func (f *findings) cookieNames(cfg config.Config) {
	const check = "cookies: names"
	if cfg.Validate() != nil {
		f.add(check, notReached, "the configuration is not right", "")
		return
	}
	_, _, err := cookieJars(cfg)
	f.tell(check, err, "browsers take them", "cookies.profile: hardened puts __Host- before the names, with all that it asks for")
}

// cookies says what a browser will do with the cookies.
func (f *findings) cookies(cfg config.Config) {
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil || issuer.Host == "" {
		f.add("cookies", notReached, "the issuer is no URL", "")
		return
	}
	o := cfg.Cookies
	path := o.Path
	switch {
	case o.Profile == "hardened":
		path = "/"
	case path == "":
		path = cfg.BasePath
	}
	f.cookieSecure(issuer, o.Secure)
	if covers(path, cfg.BasePath+"/") {
		f.add("cookies: path", isOK, fmt.Sprintf("%s, which %s is below", path, cfg.BasePath), "")
	} else {
		f.add("cookies: path", isFailed, fmt.Sprintf("browsers don't send a cookie of %s to %s", path, cfg.BasePath), "leave cookies.path empty")
	}
	f.cookieDomain(issuer.Hostname(), strings.ToLower(strings.TrimPrefix(o.Domain, ".")))
	if len(cfg.CORS.Origins) == 0 {
		f.add("cookies: pages", isOK, "only pages of the issuer's own origin use them (cors.origins is empty)", "")
	}
	for _, origin := range cfg.CORS.Origins {
		f.cookiePage(issuer, origin, o.SameSite)
	}
}

func (f *findings) cookieSecure(issuer *url.URL, secure bool) {
	const check = "cookies: secure"
	switch {
	case issuer.Scheme == "https" && secure:
		f.add(check, isOK, "sent over https alone", "")
	case issuer.Scheme == "https":
		f.add(check, isWarning, "browsers would send them over plain http too, for all to read", "cookies.secure: true")
	case secure && isLoopback(issuer.Hostname()):
		f.add(check, isOK, "Chromium and Firefox take http on this machine for secure; Safari drops the cookies", "")
	case secure:
		f.add(check, isFailed, "browsers drop a Secure cookie that comes over http", "issuer: https://...")
	default:
		f.add(check, isWarning, "they are sent over plain http", "cookies.secure: true, and https")
	}
}

// cookieDomain checks the domain as a browser does (RFC 6265 §5.3).
func (f *findings) cookieDomain(host, domain string) {
	const check = "cookies: domain"
	suffix, _ := publicsuffix.PublicSuffix(domain)
	switch {
	case domain == "":
		f.add(check, isOK, "the issuer's host alone gets them", "")
	case net.ParseIP(host) != nil && host != domain:
		f.add(check, isFailed, "browsers drop it: the issuer is an address and no name", "leave cookies.domain empty")
	case host != domain && !strings.HasSuffix(host, "."+domain):
		f.add(check, isFailed, fmt.Sprintf("browsers drop it: %s is not %s nor below it", host, domain), "leave cookies.domain empty")
	case suffix == domain && host != domain:
		f.add(check, isFailed, "browsers drop it: under "+domain+" are sites of many owners", "leave cookies.domain empty")
	default:
		f.add(check, isWarning, "every host below "+domain+" gets them, and can set them", "leave cookies.domain empty, unless another host needs them")
	}
}

// cookiePage says whether the requests of a page carry the cookies.
func (f *findings) cookiePage(issuer *url.URL, origin, sameSite string) {
	check := "cookies: from " + origin
	page, err := url.Parse(origin)
	if err != nil || page.Host == "" {
		f.add(check, notReached, "it is no origin", "")
		return
	}
	same := siteOf(page) == siteOf(issuer)
	switch {
	case page.Scheme == issuer.Scheme && page.Host == issuer.Host:
		f.add(check, isOK, "sent: it is the issuer's own origin, which needs no entry", "")
	case same:
		f.add(check, isOK, "sent: the page is of the same site, "+siteOf(issuer)+"; it must ask with credentials: \"include\"", "")
	case sameSite == "none":
		f.add(check, isWarning, fmt.Sprintf("the page is of another site, %s: Safari and Firefox, and Chromium in part, block such cookies", siteOf(page)),
			"serve the page from "+siteOf(issuer)+", or the service through the page's own origin")
	default:
		f.add(check, isFailed, fmt.Sprintf("not sent: the page is of another site, %s, and SameSite is %s", siteOf(page), sameSite),
			"serve the page from "+siteOf(issuer)+", or the service through the page's own origin")
	}
	if page.Scheme == "http" && !isLoopback(page.Hostname()) {
		f.add("cors: "+origin, isWarning, "whoever is on the network can put a page of their own there", "https")
	}
}

// siteOf is the site of an origin: scheme and registrable domain, whatever the
// port. Of an address, of localhost and of what is directly below a public suffix
// the host is the site itself.
func siteOf(u *url.URL) string {
	host := u.Hostname()
	if site, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil && net.ParseIP(host) == nil {
		host = site
	}
	return u.Scheme + "://" + host
}

// covers reports whether a cookie of a path is sent to another (RFC 6265 §5.1.4).
func covers(path, request string) bool {
	return path == request || strings.HasPrefix(request, strings.TrimSuffix(path, "/")+"/")
}

// isLoopback reports whether a host is this machine, by its name.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// exposure looks at who can reach what, and whose word is taken.
func (f *findings) exposure(cfg config.Config) {
	host, _, err := net.SplitHostPort(cfg.MetricsListen)
	switch {
	case cfg.MetricsListen == "":
		f.add("metrics", isOK, "off", "")
	case cfg.MetricsListen == cfg.Listen:
		f.add("metrics", isFailed, "they are to listen where the service does", "metrics_listen: another port")
	case err == nil && !isLoopback(host):
		f.add("metrics", isWarning, cfg.MetricsListen+" can be reached from elsewhere, and asks for no password", "a loopback address, or a firewall")
	default:
		f.add("metrics", isOK, cfg.MetricsListen, "")
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return
	}
	if host, _, err := net.SplitHostPort(cfg.Listen); err == nil && !isLoopback(host) && isLoopback(issuer.Hostname()) {
		f.add("issuer", isWarning, "the service can be reached from elsewhere, and calls itself "+cfg.Issuer, "issuer: the URL by which clients know it")
	}
	f.proxies(issuer, cfg.TrustedProxies)
}

// widest is the largest network that proxies are believed to fill, in bits of prefix.
const widest = 8

func (f *findings) proxies(issuer *url.URL, trusted []netip.Prefix) {
	const check = "trusted_proxies"
	for _, network := range trusted {
		if network.Bits() < widest {
			f.add(check, isFailed, network.String()+" lets anybody claim any address by X-Forwarded-For", "name the networks of the proxies alone")
			return
		}
	}
	switch {
	case len(trusted) > 0:
		f.add(check, isOK, fmt.Sprintf("%d networks", len(trusted)), "")
	case issuer.Scheme == "https":
		f.add(check, isWarning, "none, and https is done by a proxy in front: all clients seem to come from its address, and are throttled together",
			"name the network of the proxy")
	default:
		f.add(check, isOK, "none: the address of the connection counts", "")
	}
}
