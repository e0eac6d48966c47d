package tokens

import (
	"context"
	"sync/atomic"
	"time"
)

// maxDrafts bounds how many drafts wait to be signed; further ones are signed where they are used.
const maxDrafts = 256

// The states of a draft. Who moves it on from open is the one who signs it, or spares that.
const (
	draftOpen = iota
	draftSigned
	draftDropped
)

// Draft is an access token without custom claims that may be signed while its
// issuer still finds out whether there may be one. It is made by DraftAccess,
// and given out by IssueAccess alone.
type Draft struct {
	service           *Service
	userID, sessionID string
	now, expires      time.Time

	state atomic.Int32  // what is done about it
	done  chan struct{} // closed when it is signed
	token string
	err   error
}

// DraftAccess begins an access token that IssueAccess, given it as
// AccessSubject.Draft, gives out where it is for the same user and session, at
// the same time, for the whole of Config.AccessLifetime and without custom
// claims; otherwise IssueAccess signs another one. Run signs it meanwhile, or
// IssueAccess does, whoever comes first. It is nil where there is nothing to gain,
// for HS256. Who does not come to IssueAccess calls Drop.
func (s *Service) DraftAccess(userID, sessionID string, now time.Time) *Draft {
	if s.hmac != nil {
		return nil
	}
	d := &Draft{service: s, userID: userID, sessionID: sessionID, now: now, expires: s.accessEnd(now), done: make(chan struct{})}
	select {
	case s.drafts <- d:
	default:
	}
	return d
}

// Drop spares the signature, where it is not begun. A nil Draft may be dropped, and one that was issued.
func (d *Draft) Drop() {
	if d != nil {
		d.state.CompareAndSwap(draftOpen, draftDropped)
	}
}

// sign signs the draft, unless somebody does already, or it was dropped.
func (d *Draft) sign() {
	if !d.state.CompareAndSwap(draftOpen, draftSigned) {
		return
	}
	defer close(d.done)
	d.token, d.err = d.service.signAccess(AccessSubject{UserID: d.userID, SessionID: d.sessionID}, d.now, d.expires)
}

// issue returns the token, where it is the one of this subject, and could be signed.
func (d *Draft) issue(u AccessSubject, now, expires time.Time) (token string, ok bool) {
	if d == nil || d.userID != u.UserID || d.sessionID != u.SessionID || len(u.Custom) > 0 || !d.now.Equal(now) || !d.expires.Equal(expires) {
		return "", false
	}
	d.sign()
	if d.state.Load() == draftDropped {
		return "", false
	}
	<-d.done
	return d.token, d.err == nil
}

// signDrafts signs drafts until the context ends.
func (s *Service) signDrafts(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-s.drafts:
			d.sign()
		}
	}
}
