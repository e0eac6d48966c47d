// Package cookie makes and reads the two cookies of a session in Django's
// format, and the CSRF token that is bound to the session.
//
//   - [Signer] signs a value as Django's set_signed_cookie does, and takes it back.
//   - [Jar] adds a cookie's name and attributes: what Set-Cookie says, and what a request holds.
//   - [CSRF] makes and checks CSRF tokens of Django's shape, without keeping any.
package cookie
