// Package session is what a session is and does: it begins with a sign-in or an
// exchange, is refreshed, and ends. state.go decides what comes of a presented
// refresh token, without I/O; the other files carry it out over the smallest
// interfaces that serve them.
//
//   - [Service.SignIn]: a username and a password become a session.
//   - [Service.Exchange]: an identity provider's tokens become a session.
//   - [Service.Refresh]: a refresh token becomes an access token and the next refresh token.
//   - [Service.LogOff]: the session ends.
//
// The package knows nothing of HTTP and nothing of SQL.
package session
