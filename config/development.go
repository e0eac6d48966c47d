package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
)

// EnsureDevelopmentSecret returns the secret that is kept beside an embedded
// database, and makes it where there is none: it is for trying things out. The
// file is readable by its owner alone; one that others can read is refused.
func EnsureDevelopmentSecret(databasePath string) (secret string, created bool, err error) {
	path := databasePath + ".secret"
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeSecret(path)
	}
	if err != nil {
		return "", false, fmt.Errorf("config: the development secret: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", false, fmt.Errorf("config: %s can be read by others; chmod 600 it, or take it away to get a new one", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", false, fmt.Errorf("config: the development secret: %w", err)
	}
	// It is shorter where the machine stopped while it was made.
	if secret = strings.TrimSpace(string(raw)); len(secret) < minSecret {
		return "", false, fmt.Errorf("config: %s holds less than %d bytes; take it away to get a new one", path, minSecret)
	}
	return secret, false, nil
}

// developmentIssuer is how a server that listens there is reached on this machine.
func developmentIssuer(listen string) string {
	_, port, err := net.SplitHostPort(listen)
	n, _ := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Default().Issuer // whichever port is free is not known yet
	}
	return fmt.Sprintf("http://localhost:%d", n)
}

func makeSecret(path string) (secret string, created bool, err error) {
	random := make([]byte, 48)
	_, _ = rand.Read(random) // it never fails
	secret = base64.StdEncoding.EncodeToString(random)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", false, fmt.Errorf("config: making the development secret: %w", err)
	}
	_, err = f.WriteString(secret + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", false, fmt.Errorf("config: making the development secret: %w", err)
	}
	return secret, true, nil
}
