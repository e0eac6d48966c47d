package tokens

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// fortnightly is a policy as a service has it with the default max-age and leeway.
var fortnightly = policy{algorithm: ES256, rotateEvery: 14 * 24 * time.Hour, lead: 630 * time.Second, linger: 930 * time.Second}

// numbered makes the records of creations, without keys.
func numbered(n *int, now time.Time) func(change) (repo.SigningKey, error) {
	return func(c change) (repo.SigningKey, error) {
		*n++
		return repo.SigningKey{KeyID: fmt.Sprintf("new-%03d", *n), Algorithm: c.algorithm, CreatedAt: now, SignsAt: c.signsAt}, nil
	}
}

// done makes what next asks for.
func done(tb interface{ Fatal(...any) }, keys []repo.SigningKey, n *int, now time.Time, p policy) []repo.SigningKey {
	after, err := apply(keys, next(keys, now, p), numbered(n, now))
	if err != nil {
		tb.Fatal(err)
	}
	return after
}

func TestNext(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	key := func(id, alg string, signsAt time.Duration) repo.SigningKey {
		return repo.SigningKey{KeyID: id, Algorithm: alg, CreatedAt: at(signsAt - time.Hour), SignsAt: at(signsAt)}
	}
	retired := func(k repo.SigningKey, retiredAt, removeAt time.Duration) repo.SigningKey {
		k.RetiredAt, k.RemoveAt = at(retiredAt), at(removeAt)
		return k
	}
	const day = 24 * time.Hour
	lead, linger := fortnightly.lead, fortnightly.linger
	begins := func(alg string, d time.Duration) change {
		return change{action: create, algorithm: alg, signsAt: at(d)}
	}
	ends := func(id string, d time.Duration) change {
		return change{action: retire, keyID: id, retireAt: at(d), removeAt: at(d + linger)}
	}
	never := fortnightly
	never.rotateEvery = 0
	hasty := fortnightly
	hasty.rotateEvery = time.Minute
	for name, c := range map[string]struct {
		keys   []repo.SigningKey
		policy policy
		want   []change
	}{
		"no key: one signs at once":             {nil, fortnightly, []change{begins(ES256, 0)}},
		"a key that signs: nothing":             {[]repo.SigningKey{key("a", ES256, -day)}, fortnightly, nil},
		"a key that does not sign yet: it will": {[]repo.SigningKey{key("a", ES256, time.Hour)}, fortnightly, nil},
		"its time is over but for the lead: the next": {
			[]repo.SigningKey{key("a", ES256, lead-14*day)}, fortnightly, []change{ends("a", lead), begins(ES256, lead)},
		},
		"a second less: nothing": {[]repo.SigningKey{key("a", ES256, lead-14*day+time.Second)}, fortnightly, nil},
		"the next is there already, and a period is shorter than the lead": {
			[]repo.SigningKey{retired(key("a", ES256, -time.Hour), time.Minute, time.Hour), key("b", ES256, time.Minute)}, hasty, nil,
		},
		"what retired long ago is nobody's successor": {
			[]repo.SigningKey{key("a", ES256, -day), retired(key("b", ES256, -time.Hour), -time.Minute, time.Hour)}, fortnightly, nil,
		},
		"another's time is over; nobody wants it": {
			[]repo.SigningKey{key("a", RS256, -15*day), key("b", ES256, -day), key("c", EdDSA, -13*day)}, fortnightly, []change{ends("a", 0)},
		},
		"never by itself":                      {[]repo.SigningKey{key("a", ES256, -1000*day)}, never, nil},
		"the next is there already":            {[]repo.SigningKey{retired(key("a", ES256, -15*day), time.Minute, time.Hour), key("b", ES256, time.Minute)}, fortnightly, nil},
		"another algorithm: one, after a lead": {[]repo.SigningKey{key("a", RS256, -day)}, fortnightly, []change{begins(ES256, lead)}},
		"the other algorithm's time is over": {
			[]repo.SigningKey{key("a", RS256, -14*day), key("b", ES256, -day)}, fortnightly, []change{ends("a", 0)},
		},
		"its time is over, and nobody else signs yet": {
			[]repo.SigningKey{key("a", RS256, -15*day), key("b", ES256, time.Minute)}, fortnightly, nil,
		},
		"the other algorithm stays without rotation": {[]repo.SigningKey{key("a", RS256, -14*day), key("b", ES256, -day)}, never, nil},
		"it is to retire, and nobody takes over: it goes on": {
			[]repo.SigningKey{retired(key("a", ES256, -day), time.Minute, time.Hour)}, never, []change{{action: resume, keyID: "a"}},
		},
		"the only one, of another algorithm, retires soon: it goes on until the next": {
			[]repo.SigningKey{retired(key("a", RS256, -day), time.Minute, time.Hour)}, never, []change{ends("a", lead), begins(ES256, lead)},
		},
		"a gap: the one before goes on": {
			[]repo.SigningKey{retired(key("a", ES256, -day), time.Minute, time.Hour), key("b", ES256, time.Hour)}, never, []change{ends("a", time.Hour)},
		},
		"retired, all of them: one signs at once": {[]repo.SigningKey{retired(key("a", ES256, -day), -time.Minute, time.Hour)}, never, []change{begins(ES256, 0)}},
		"past its removal": {
			[]repo.SigningKey{retired(key("a", ES256, -day), -time.Hour, 0), key("b", ES256, -day)}, never, []change{{action: remove, keyID: "a"}},
		},
		"two that sign: the former retires": {[]repo.SigningKey{key("a", ES256, -2*day), key("b", ES256, -day)}, never, []change{ends("a", 0)}},
		"tokens live longer than when it retired": {
			[]repo.SigningKey{retired(key("a", ES256, -day), time.Minute, 2*time.Minute), key("b", ES256, time.Minute)}, never, []change{ends("a", time.Minute)},
		},
		"retired without an end": {
			[]repo.SigningKey{{KeyID: "a", Algorithm: RS256, SignsAt: at(-2 * day), RetiredAt: at(-day)}, key("b", ES256, -day)},
			never, []change{{action: retire, keyID: "a", retireAt: at(-day), removeAt: at(linger)}},
		},
	} {
		if diff := cmp.Diff(c.want, next(c.keys, noon, c.policy), cmp.AllowUnexported(change{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func anyPolicy(t *rapid.T) policy {
	p := policy{
		algorithm: rapid.SampledFrom([]string{ES256, RS256, EdDSA}).Draw(t, "algorithm"),
		lead:      time.Duration(rapid.IntRange(1, 90).Draw(t, "lead")) * time.Second,
	}
	p.linger = p.lead + time.Duration(rapid.IntRange(1, 90).Draw(t, "access lifetime"))*time.Second
	if rapid.Bool().Draw(t, "rotates") {
		p.rotateEvery = 2*p.lead + time.Duration(rapid.IntRange(0, 300).Draw(t, "longer"))*time.Second
	}
	return p
}

// anyKey is what other versions, and mistakes, may have left.
func anyKey(t *rapid.T, id string) repo.SigningKey {
	moment := func(what string) time.Time {
		return noon.Add(time.Duration(rapid.IntRange(-400, 400).Draw(t, what)) * time.Second)
	}
	k := repo.SigningKey{
		KeyID: id, Algorithm: rapid.SampledFrom([]string{ES256, RS256, "ML-DSA-44"}).Draw(t, "algorithm"),
		CreatedAt: moment("created"), SignsAt: moment("signs"),
	}
	if rapid.Bool().Draw(t, "retires") {
		k.RetiredAt = moment("retired")
	}
	if rapid.Bool().Draw(t, "goes") {
		k.RemoveAt = moment("removed")
	}
	return k
}

// checkStep checks what must hold of one step from any keys.
func checkStep(t *rapid.T, keys []repo.SigningKey, now time.Time, p policy, n *int) (after []repo.SigningKey) {
	after = done(t, keys, n, now, p)
	if again := next(after, now, p); len(again) > 0 {
		t.Fatalf("once done, it asks for more: %+v\nof %+v", again, after)
	}
	for _, k := range keys {
		i := indexOf(after, k.KeyID)
		if i < 0 {
			if before(now, k.RemoveAt) {
				t.Fatalf("%+v is removed at %v", k, now)
			}
			continue
		}
		a := after[i]
		if !a.SignsAt.Equal(k.SignsAt) || !before(now, k.RetiredAt) && !a.RetiredAt.Equal(k.RetiredAt) {
			t.Fatalf("what is past has changed: %+v, %+v", k, a)
		}
		if !a.RetiredAt.Equal(k.RetiredAt) && !a.RetiredAt.IsZero() && a.RetiredAt.Before(now) {
			t.Fatalf("retired in the past: %+v, %+v", k, a)
		}
	}
	for _, k := range after {
		if !before(now, k.RemoveAt) {
			t.Fatalf("past its removal: %+v", k)
		}
		if indexOf(keys, k.KeyID) < 0 && k.SignsAt.Before(now.Add(p.lead)) && slices.ContainsFunc(keys, func(o repo.SigningKey) bool { return signsIn(o, now) }) {
			t.Fatalf("%+v was made at %v and signs before the lead is over, though another could", k, now)
		}
		if k.RetiredAt.After(now) && k.RemoveAt.Before(k.RetiredAt.Add(p.linger)) {
			t.Fatalf("removed before its tokens are over: %+v", k)
		}
	}
	checkSigners(t, after, now)
	return after
}

// checkSigners checks who signs from now on, at every moment in which that changes.
func checkSigners(t *rapid.T, keys []repo.SigningKey, now time.Time) {
	moments := []time.Time{now}
	for _, k := range keys {
		moments = append(moments, k.SignsAt, k.RetiredAt, k.RemoveAt)
	}
	moments = slices.DeleteFunc(moments, func(m time.Time) bool { return m.Before(now) })
	slices.SortFunc(moments, time.Time.Compare)
	signed := false
	for _, m := range moments {
		signers := map[string]int{}
		for _, k := range keys {
			if signsIn(k, m) {
				signers[k.Algorithm]++
			}
		}
		if signed = signed || len(signers) > 0; signed && len(signers) == 0 {
			t.Fatalf("from %v on nobody signs: %+v", m, keys)
		}
		for alg, n := range signers {
			if n > 1 {
				t.Fatalf("%d keys of %s sign at %v: %+v", n, alg, m, keys)
			}
		}
	}
	if !signed {
		t.Fatalf("nobody will ever sign: %+v", keys)
	}
}

// Whatever is in the store, one step makes of it what the timeline promises.
func TestNextFromAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var keys []repo.SigningKey
		for i := range rapid.IntRange(0, 6).Draw(t, "keys") {
			keys = append(keys, anyKey(t, fmt.Sprintf("old-%d", i)))
		}
		n := 0
		checkStep(t, keys, noon, anyPolicy(t), &n)
	})
}

// Replicas with clocks and policies that differ take steps in any order, and operators rotate and retire between them.
func TestNextOverTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policies := []policy{anyPolicy(t), anyPolicy(t), anyPolicy(t)}
		n, now, keys := 0, noon, []repo.SigningKey(nil)
		steps, made := rapid.IntRange(1, 60).Draw(t, "steps"), 0
		for range steps {
			now = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "seconds")) * time.Second)
			i := rapid.IntRange(0, len(policies)-1).Draw(t, "replica")
			at, p := now.Add(time.Duration(2*(i-1))*time.Second), policies[i]
			switch rapid.IntRange(0, 11).Draw(t, "operator") {
			case 0:
				k, err := numbered(&n, at)(change{algorithm: p.algorithm, signsAt: at.Add(p.lead)})
				if err != nil {
					t.Fatal(err)
				}
				keys, made = p.takeOver(keys, k), made+1
			case 1:
				if len(keys) > 0 {
					k := rapid.SampledFrom(keys).Draw(t, "key")
					after, err := p.retireKey(keys, k.KeyID, at, rapid.Bool().Draw(t, "compromised"))
					if err == nil && slices.ContainsFunc(after, func(k repo.SigningKey) bool { return signsIn(k, at) }) {
						keys, made = after, made+1
					}
				}
			}
			keys = checkStep(t, keys, at, p, &n)
		}
		// Each replica makes a key of its algorithm when there is none: at the start, after an operator has taken it away,
		// and after another's policy has; and the next when the time of one is over.
		limit := 3 * (1 + made)
		for _, p := range policies {
			if p.rotateEvery > 0 {
				limit += 3 * (1 + int(now.Sub(noon)/(p.rotateEvery-p.lead)))
			}
		}
		if n > limit {
			t.Fatalf("%d keys, %d at most were needed", n, limit)
		}
	})
}

// Whoever looks often enough has a key for each period, and none left over.
func TestNextRotatesOnTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		p.rotateEvery = 2*p.lead + time.Duration(rapid.IntRange(0, 300).Draw(t, "every"))*time.Second
		n, signers := 0, map[string]bool{}
		keys := done(t, nil, &n, noon, p)
		const periods = 5
		for now := noon; now.Before(noon.Add(periods * p.rotateEvery)); now = now.Add(time.Second) {
			keys = done(t, keys, &n, now, p)
			for _, k := range keys {
				if signsIn(k, now) {
					signers[k.KeyID] = true
				}
			}
			if len(keys) > 3+int(p.linger/p.rotateEvery) {
				t.Fatalf("%d keys at once: %+v", len(keys), keys)
			}
		}
		if len(signers) != periods {
			t.Fatalf("%d keys have signed in %d periods", len(signers), periods)
		}
	})
}
