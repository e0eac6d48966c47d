package password

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"strings"
	"unicode/utf8"
)

// MinLength is how long a new password is at least, in characters (ASVS 5.0,
// 6.2.1). 15 are better.
const MinLength = 8

// Why a new password is not good enough.
var (
	ErrTooShort = errors.New("password: shorter than 8 characters")
	ErrTooLong  = errors.New("password: longer than 4096 bytes")
	ErrCommon   = errors.New("password: among the most used ones")
	ErrPersonal = errors.New("password: the same as the username or the e-mail address")
)

// common is the passwords of at least eight characters among the 20,000 most
// used ones, by Royce Williams's list, as Django's CommonPasswordValidator has it.
//
//go:embed common.txt.gz
var common []byte

// Check reports why a password is not good enough to be taken as a new one, or
// nil. personal is what it must not be, whatever the case: the username, the
// e-mail address. Which characters it has does not matter (ASVS 5.0, 6.2.5).
func Check(password string, personal ...string) error {
	switch {
	case utf8.RuneCountInString(password) < MinLength:
		return ErrTooShort
	case len(password) > MaxLength:
		return ErrTooLong
	}
	for _, text := range personal {
		local, _, _ := strings.Cut(text, "@")
		if text != "" && (strings.EqualFold(password, text) || strings.EqualFold(password, local)) {
			return ErrPersonal
		}
	}
	if isCommon(strings.ToLower(password)) {
		return ErrCommon
	}
	return nil
}

// isCommon reads the list anew each time: passwords are changed too rarely for
// it to be kept in memory.
func isCommon(password string) bool {
	list, err := gzip.NewReader(bytes.NewReader(common))
	if err != nil {
		panic(err) // it is part of the program
	}
	for lines := bufio.NewScanner(list); lines.Scan(); {
		if lines.Text() == password {
			return true
		}
	}
	return false
}
