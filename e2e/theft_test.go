package e2e_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/repo/sqlite"
)

// TestTabsAndThief is one browser whose tabs race on one cookie, with answers that
// are lost and answers that come late; then somebody who has stolen an old cookie.
// The tabs stay signed in; the thief ends the session, once.
func TestTabsAndThief(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	stolen := s.signIn(t, "alice", "correct horse battery")
	tokenOf := func(a answer) string {
		token, _, _ := strings.Cut(a.cookie("refresh_cookie"), ":")
		return token
	}
	current := stolen
	for range 5 {
		answers := make([]answer, 12)
		var wait sync.WaitGroup
		for tab := range answers {
			wait.Go(func() {
				if tab%3 == 0 {
					s.refresh(t, current) // whose answer is lost: the tab asks again
				}
				answers[tab] = s.refresh(t, current)
			})
		}
		wait.Wait()
		answers = append(answers, s.refresh(t, current)) // a tab that is late
		for _, a := range answers {
			if a.status != http.StatusOK || tokenOf(a) != tokenOf(answers[0]) {
				t.Fatalf("a tab has no successor, or another one: %d %s", a.status, a.body)
			}
		}
		current = answers[0]
	}

	if thief := s.refresh(t, stolen); thief.status != http.StatusUnauthorized {
		t.Errorf("the thief: %d %s", thief.status, thief.body)
	}
	for _, a := range []answer{s.refresh(t, current), s.refresh(t, stolen), s.refresh(t, current)} {
		if a.status != http.StatusUnauthorized || !a.deletes("refresh_cookie") {
			t.Errorf("after the theft: %d %s", a.status, a.body)
		}
	}
	store, err := sqlite.Open(filepath.Join(s.dir, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // nothing was written
	events, err := store.ListEvents(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	reused := 0
	for _, e := range events {
		if e.Event == "refresh_reuse" {
			reused++
		}
	}
	if reused != 1 {
		t.Errorf("%d audit events of one theft", reused)
	}
}
