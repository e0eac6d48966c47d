package tokens

import (
	"cmp"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// policy is what decides when keys come and go.
type policy struct {
	algorithm   string
	rotateEvery time.Duration // zero: never by itself
	lead        time.Duration // how long a key is published before it signs
	linger      time.Duration // how long it is published after it has signed
}

// An action is what is done to a key.
type action string

const (
	create action = "create" // a new key, which signs from signsAt on
	retire action = "retire" // decide, or put off, when it stops signing and when it is removed
	resume action = "resume" // let it go on, though it was to retire
	remove action = "remove" // delete it
)

// change is one step on the timeline.
type change struct {
	action             action
	keyID              string // of the key, where it is there
	algorithm          string // of the key that is created
	signsAt            time.Time
	retireAt, removeAt time.Time
}

// next is the timeline: what is to be done now with these keys, which may be none, made by replicas with other clocks,
// policies and versions. It does no I/O, and once its changes are made it finds nothing more to do at the same time.
//
//   - A key that is past its removal is removed.
//   - A key of the policy's algorithm that was to retire goes on where its successor is gone.
//   - A key of that algorithm is created where there is none that goes on signing, or where the newest has signed for as
//     long as it may, less the lead. It signs after the lead; at once only where no other can.
//   - A key retires when the next of its algorithm begins; with rotation by time one of another algorithm too, when it has
//     signed long enough. Retired keys are published for as long as their tokens live.
//   - Nobody stops signing before another begins.
func next(keys []repo.SigningKey, now time.Time, p policy) []change {
	line := p.current(keys, now)
	p.succeed(line, now)
	p.resume(line, now)
	if signsAt, due := p.successor(line, now); due {
		line = append(line, repo.SigningKey{Algorithm: p.algorithm, CreatedAt: now, SignsAt: signsAt})
		p.succeed(line, now)
	}
	p.retireOthers(line, now)
	p.bridge(line, now)
	return difference(keys, line)
}

// current returns the keys that are not to be removed, with ends that are in order: a key retires before it is removed,
// and is removed when what it has signed up to then is over. That may be later than was decided when it retired, where
// tokens live longer now.
func (p policy) current(keys []repo.SigningKey, now time.Time) []repo.SigningKey {
	var line []repo.SigningKey
	for _, k := range keys {
		if !before(now, k.RemoveAt) {
			continue
		}
		if !k.RemoveAt.IsZero() && before(k.RemoveAt, k.RetiredAt) {
			k.RetiredAt = k.RemoveAt
		}
		if !k.RetiredAt.IsZero() && (k.RemoveAt.IsZero() || k.RetiredAt.After(now)) {
			k.RemoveAt = latest(k.RemoveAt, latest(k.RetiredAt, now).Add(p.linger))
		}
		line = append(line, k)
	}
	return line
}

// resume lets the last key of the policy's algorithm go on that was to retire, where none takes over.
func (p policy) resume(line []repo.SigningKey, now time.Time) {
	last := -1
	for i, k := range line {
		switch {
		case k.Algorithm != p.algorithm || !everSigns(k) || !before(now, k.RetiredAt):
		case k.RetiredAt.IsZero():
			return
		case last < 0 || k.RetiredAt.After(line[last].RetiredAt):
			last = i
		}
	}
	if last >= 0 {
		line[last].RetiredAt, line[last].RemoveAt = time.Time{}, time.Time{}
	}
}

// successor says from when on a new key would have to sign, if one is due.
func (p policy) successor(line []repo.SigningKey, now time.Time) (signsAt time.Time, due bool) {
	if !slices.ContainsFunc(line, func(k repo.SigningKey) bool { return everSigns(k) && before(now, k.RetiredAt) }) {
		return now, true
	}
	last := slices.IndexFunc(line, func(k repo.SigningKey) bool { return k.Algorithm == p.algorithm && k.RetiredAt.IsZero() })
	if last < 0 {
		return now.Add(p.lead), true
	}
	// One that has not begun is the successor already.
	begun := line[last].SignsAt
	return now.Add(p.lead), p.rotateEvery > 0 && !begun.After(now) && !now.Before(begun.Add(p.rotateEvery-p.lead))
}

// succeed retires the keys whose successor is there.
func (p policy) succeed(line []repo.SigningKey, now time.Time) {
	slices.SortStableFunc(line, inOrder)
	for i := range line {
		heir := slices.IndexFunc(line[i+1:], func(later repo.SigningKey) bool {
			return later.Algorithm == line[i].Algorithm && signsIn(later, latest(later.SignsAt, now))
		})
		if heir < 0 {
			continue
		}
		if at := latest(line[i+1+heir].SignsAt, now); before(at, line[i].RetiredAt) {
			p.retire(&line[i], at)
		}
	}
}

// retireOthers retires the keys of other algorithms that have signed long enough, once one of the policy's signs. Those
// whose replicas still want them make the next in time.
func (p policy) retireOthers(line []repo.SigningKey, now time.Time) {
	begun := slices.ContainsFunc(line, func(k repo.SigningKey) bool { return k.Algorithm == p.algorithm && signsIn(k, now) })
	if p.rotateEvery == 0 || !begun {
		return
	}
	for i, k := range line {
		if k.Algorithm != p.algorithm && k.RetiredAt.IsZero() && !now.Before(k.SignsAt.Add(p.rotateEvery)) {
			p.retire(&line[i], now)
		}
	}
}

// bridge lets the last who signs before a gap go on until the next begins.
func (p policy) bridge(line []repo.SigningKey, now time.Time) {
	for t, ok := beginsFrom(line, now); ok; {
		last := -1
		for i, k := range line {
			if signsIn(k, t) && (last < 0 || !before(k.RetiredAt, line[last].RetiredAt)) {
				last = i
			}
		}
		if line[last].RetiredAt.IsZero() {
			return
		}
		end := line[last].RetiredAt
		if t, ok = beginsFrom(line, end); ok && t.After(end) {
			p.retire(&line[last], t)
		}
	}
}

// beginsFrom returns the first moment from t on in which a key signs.
func beginsFrom(line []repo.SigningKey, t time.Time) (begins time.Time, ok bool) {
	for _, k := range line {
		from := latest(k.SignsAt, t)
		if before(from, k.RetiredAt) && (!ok || from.Before(begins)) {
			begins, ok = from, true
		}
	}
	return begins, ok
}

func (p policy) retire(k *repo.SigningKey, at time.Time) {
	k.RetiredAt, k.RemoveAt, k.State = at, at.Add(p.linger), stateRetired
}

// apply makes the changes; fresh makes the key of a creation.
func apply(keys []repo.SigningKey, changes []change, fresh func(change) (repo.SigningKey, error)) ([]repo.SigningKey, error) {
	keys = slices.Clone(keys)
	for _, c := range changes {
		i := indexOf(keys, c.keyID)
		switch c.action {
		case create:
			k, err := fresh(c)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		case resume:
			keys[i].State, keys[i].RetiredAt, keys[i].RemoveAt = stateSigning, time.Time{}, time.Time{}
		case retire:
			keys[i].State, keys[i].RetiredAt, keys[i].RemoveAt = stateRetired, c.retireAt, c.removeAt
		case remove:
			keys = slices.Delete(keys, i, i+1)
		}
	}
	return keys, nil
}

// difference is what has to be done to come from one to the other.
func difference(from, to []repo.SigningKey) []change {
	var changes []change
	for _, k := range from {
		i := indexOf(to, k.KeyID)
		switch {
		case i < 0:
			changes = append(changes, change{action: remove, keyID: k.KeyID})
		case to[i].RetiredAt.IsZero() && !k.RetiredAt.IsZero():
			changes = append(changes, change{action: resume, keyID: k.KeyID})
		case !to[i].RetiredAt.Equal(k.RetiredAt) || !to[i].RemoveAt.Equal(k.RemoveAt):
			changes = append(changes, change{action: retire, keyID: k.KeyID, retireAt: to[i].RetiredAt, removeAt: to[i].RemoveAt})
		}
	}
	for _, k := range to {
		if k.KeyID == "" {
			changes = append(changes, change{action: create, algorithm: k.Algorithm, signsAt: k.SignsAt})
		}
	}
	return changes
}

// inOrder sorts by when a key begins to sign; of two that begin at once that one comes last which was made last, and so
// the one that is yet to be made.
func inOrder(a, b repo.SigningKey) int {
	return cmp.Or(a.SignsAt.Compare(b.SignsAt), a.CreatedAt.Compare(b.CreatedAt), -cmp.Compare(a.KeyID, b.KeyID))
}

// signsIn reports whether a key may sign at this time.
func signsIn(k repo.SigningKey, t time.Time) bool {
	return !k.SignsAt.After(t) && before(t, k.RetiredAt) && before(t, k.RemoveAt)
}

// everSigns reports whether there is a time in which a key may sign.
func everSigns(k repo.SigningKey) bool { return signsIn(k, k.SignsAt) }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
