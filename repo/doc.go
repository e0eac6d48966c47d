// Package repo is what Gatehouse remembers: the records, the interfaces that a
// store fulfils, and the errors it answers with. The stores themselves are
// repo/postgres and repo/sqlite; repo/repotest holds both to the same promises.
//
// A consumer asks for the smallest interface that serves it (tokens wants
// SigningKeys, session wants Users and Sessions); only the wiring knows
// Repository.
//
// Every method takes the time from its caller and none reads a clock. Times
// come back in UTC, cut to microseconds. Strings are compared byte by
// byte: "Alice" and "alice" are two users on every engine.
package repo
