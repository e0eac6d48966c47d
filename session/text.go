package session

import (
	"strings"
	"unicode/utf8"
)

// truncate cuts s to at most n bytes, between characters, and drops what a
// text column can't hold: NUL, and bytes that are not UTF-8.
func truncate(s string, n int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
