package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// A sign-in gives an access token, which any service can verify, and the
// first refresh token of the session.
func Example() {
	s, err := tokens.New(tokens.Config{
		Issuer: "https://auth.example.com",
		Secret: "at least thirty-two bytes, from a secret store",
		Keys:   &store{}, // a repo.Repository in a real program
	})
	if err != nil {
		panic(err)
	}
	if err := s.Load(context.Background()); err != nil {
		panic(err)
	}
	now := time.Now()
	end := now.Add(30 * 24 * time.Hour)
	access, _, err := s.IssueAccess(tokens.AccessSubject{UserID: "42", SessionID: "a session"}, now, end)
	if err != nil {
		panic(err)
	}
	verified, err := s.VerifyAccess(access, now)
	fmt.Println(verified.UserID, err)
	_, err = s.VerifyAccess(access, now.Add(5*time.Minute))
	fmt.Println(errors.Is(err, tokens.ErrInvalidToken), err)

	refresh, err := s.IssueRefresh(tokens.Refresh{SessionID: "a session", Generation: 1, UserID: "42", IssuedAt: now, ExpiresAt: end})
	if err != nil {
		panic(err)
	}
	presented, err := s.ParseRefresh(refresh)
	fmt.Println(presented.SessionID, presented.Generation, err)
	// Output:
	// 42 <nil>
	// true tokens: invalid token: expired
	// a session 1 <nil>
}
