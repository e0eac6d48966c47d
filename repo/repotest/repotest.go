// Package repotest holds a store to what package repo promises. Production code
// never imports it.
package repotest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/uuid"
)

// Run runs the whole suite; newRepo returns an empty store with the latest
// schema for each test.
func Run(t *testing.T, newRepo func(t *testing.T) repo.Repository) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, repo.Repository){
		"users": testUsers, "user names": testUserNames, "listing users": testListUsers, "accounts": testAccounts,
		"passwords": testPasswords, "identities": testIdentities, "first sign-ins at once": testFirstSignIns,
		"users by e-mail": testUsersByEmail, "following a profile": testFollowProfile,
		"linking": testLinking, "linking refused": testLinkingRefused, "links at once": testLinksAtOnce,
		"sessions": testSessions, "sessions of nobody": testSessionsOfNobody, "exchanges": testExchanges,
		"exchanges at once": testExchangesAtOnce, "exchanges of one user": testExchangesOfOne,
		"known users": testKnownUsers,
		"rotation":    testRotation, "rotation refused": testRotationRefused, "rotations at once": testRotationsAtOnce,
		"rotations of many at once":      testRotateMany,
		"rotation and disabling at once": testRotateAndDisable, "rotation and revoking at once": testRotateAndRevoke,
		"sign-in and the end of the account at once": testStartAndEnd, "sign-ins at once": testSignInsAtOnce,
		"late retries": testLateRetries, "changes that can't be recorded": testUnrecorded,
		"ending sessions": testEndingSessions, "times in other zones": testZones, "sweeping": testSweeping,
		"sweepers at once": testSweepersAtOnce, "signing keys": testSigningKeys, "signing keys that are stale": testStaleSigningKeys,
		"swaps of signing keys at once": testSwapsAtOnce, "key sets": testKeySets,
		"clients": testClients, "revocations": testRevocations, "cut-offs": testCutoffs,
		"throttle": testThrottle, "throttle at once": testThrottleAtOnce, "counted sign-ins": testCountedSignIns, "audit events": testAuditEvents,
		"a context that is done": testContext, "text of all kinds": testText, "text that no store holds": testUnstorable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newRepo(t))
		})
	}
}

// at is the time in these tests, with more digits than a store keeps.
var at = time.Date(2026, 11, 24, 8, 0, 0, 123456789, time.UTC)

// stored is a time as it comes back.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// must fails the test for an error that should not be.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// aUser stores a new user.
func aUser(t *testing.T, r repo.Repository) repo.User {
	t.Helper()
	u := repo.User{
		ID: newID(), Username: "user-" + rand.Text(), Email: "u@example.test", Password: "!", IsActive: true,
		Attributes: json.RawMessage(`{}`), DateJoined: stored(at), UpdatedAt: stored(at),
	}
	must(t, r.CreateUser(t.Context(), u))
	return u
}

// newSession is a session of a user that begins at at.
func newSession(userID string) repo.Session {
	return repo.Session{
		ID: newID(), UserID: userID, Generation: 1, CreatedAt: stored(at), RotatedAt: stored(at),
		IdleExpiresAt: stored(at.Add(24 * time.Hour)), ExpiresAt: stored(at.Add(720 * time.Hour)),
		Method: "password", UserAgent: "Test/1", IP: "203.0.113.7",
	}
}

// aSession stores a new session of a user.
func aSession(t *testing.T, r repo.Repository, userID string) repo.Session {
	t.Helper()
	s := newSession(userID)
	must(t, r.StartSession(t.Context(), s, repo.Proof{}, event("sign_in", userID)))
	return s
}

func event(name, userID string) repo.AuditEvent {
	return repo.AuditEvent{ID: newID(), At: stored(at), Event: name, UserID: userID, Details: json.RawMessage(`{}`)}
}

// events returns the names of a user's events, the newest first.
func events(t *testing.T, r repo.Repository, userID string) []string {
	t.Helper()
	list, err := r.ListEvents(t.Context(), userID, 100)
	must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Event)
	}
	return names
}

// find reads a session that must be there.
func find(t *testing.T, r repo.Repository, id string) repo.SessionUser {
	t.Helper()
	su, err := r.FindSession(t.Context(), id)
	must(t, err)
	return su
}

// together runs f n times at once and returns the errors.
func together(n int, f func(i int) error) []error {
	start := make(chan struct{})
	done := make(chan error, n)
	for i := range n {
		go func() {
			<-start
			done <- f(i)
		}()
	}
	close(start)
	errs := make([]error, n)
	for i := range errs {
		errs[i] = <-done
	}
	return errs
}

// count says how many of the errors are the wanted one; nil counts successes.
// Any other error fails the test.
func count(t *testing.T, errs []error, is func(error) bool) (good, wanted int) {
	t.Helper()
	for _, err := range errs {
		switch {
		case err == nil:
			good++
		case is(err):
			wanted++
		default:
			t.Errorf("neither done nor refused: %v", err)
		}
	}
	return good, wanted
}

// background is a context that outlives a test's own, for what runs beside it.
func background() context.Context { return context.Background() }

func sprint(i int) string { return fmt.Sprintf("%04d", i) }
