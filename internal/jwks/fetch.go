package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxSetBytes bounds what is taken of an answer.
const maxSetBytes = 512 << 10

// CheckURL says what is wrong with an address that keys, or what is as precious,
// may come from: it must be https, or http on a loopback address.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("is not a URL")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("must be https, but on a loopback address")
	}
	return nil
}

// NoRedirects returns a client that fetches from where it is told alone: whoever
// can redirect the fetch can choose the keys. Without a client it makes one.
func NoRedirects(client *http.Client) *http.Client {
	if client == nil {
		client = &http.Client{Timeout: fetchTimeout}
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// fetch gets the key set and reads it.
func (s *Source) fetch(ctx context.Context) (keySet, error) {
	url, err := s.cfg.Locate(ctx)
	if err != nil {
		return keySet{}, err
	}
	body, header, err := Get(ctx, s.client, url)
	if err != nil {
		return keySet{url: url}, err
	}
	set, err := s.parse(body)
	set.url, set.fresh = url, FreshFor(header, refreshEvery)
	return set, err
}

// Get gets a JSON document of at most 512 KiB within three seconds.
func Get(ctx context.Context, client *http.Client, url string) (body []byte, header http.Header, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // what was read is checked
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxSetBytes+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > maxSetBytes {
		return nil, nil, errors.New("the answer is too large")
	}
	return body, resp.Header, nil
}

// FreshFor is how long an answer is taken before the next fetch: for as long as
// it says (RFC 9111 §5.2.2.1), at least a second, but not longer than most.
func FreshFor(header http.Header, most time.Duration) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		seconds, err := strconv.ParseUint(value, 10, 31)
		if strings.EqualFold(name, "max-age") && err == nil && seconds > 0 {
			return min(most, time.Duration(seconds)*time.Second)
		}
	}
	return most
}
