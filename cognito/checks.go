package cognito

import "context"

// check is one of the checks of a token. It may use what those before it found;
// without the one that it needs it says nothing.
type check struct {
	name, needs string
	run         func(ctx context.Context, v *Verifier, t *token) error
}

// checks are all checks of one token, in the order in which they refuse it. The
// times come last, so that ErrExpired says that all else of the token is well.
var checks = []check{
	{"form", "", func(_ context.Context, _ *Verifier, t *token) error {
		if t.claims != nil { // it was taken apart to find its issuer
			return nil
		}
		return t.parse()
	}},
	{"issuer", "form", func(_ context.Context, v *Verifier, t *token) error {
		if v.keys[t.text("iss")] == nil {
			return ErrIssuer
		}
		return nil
	}},
	{"signature", "issuer", func(ctx context.Context, v *Verifier, t *token) error {
		return t.checkSignature(ctx, v.keys[t.text("iss")], v.allowed())
	}},
	{"kind of token", "form", func(_ context.Context, v *Verifier, t *token) error { return v.checkUse(*t, t.use) }},
	{"client", "form", func(_ context.Context, v *Verifier, t *token) error {
		if t.client = v.clientOf(*t, t.use); t.client == "" {
			return ErrClient
		}
		return nil
	}},
	{"subject", "form", func(_ context.Context, _ *Verifier, t *token) error {
		if sub := t.text("sub"); len(sub) > maxSubject || !isClean(sub, maxSubject) {
			return ErrSubject
		}
		return nil
	}},
	{"groups and scopes", "form", func(_ context.Context, v *Verifier, t *token) error { return v.checkRights(*t, t.use) }},
	{"times", "form", func(_ context.Context, v *Verifier, t *token) error { return v.checkTimes(*t) }},
}

// verify checks one token: it is refused by the first check that fails.
func (v *Verifier) verify(ctx context.Context, raw, use string) (token, error) {
	return v.check(ctx, token{raw: raw}, use)
}

func (v *Verifier) check(ctx context.Context, t token, use string) (token, error) {
	t.use = use
	for _, c := range checks {
		if err := c.run(ctx, v, &t); err != nil {
			return token{}, err
		}
	}
	return t, nil
}

// presented is a pair whose tokens were checked each by itself; of an OpenID
// provider's access token there is the text alone.
type presented struct {
	Pair
	id, access token
	identity   Identity // set by the last check
}

// pairChecks are the checks of what was presented together.
var pairChecks = []struct {
	name string
	run  func(v *Verifier, p *presented) (err error)
}{
	{"belong together", func(v *Verifier, p *presented) (err error) {
		if v.config.OIDC != nil {
			return p.id.comesWith(p.AccessToken)
		}
		return p.id.belongsWith(p.access)
	}},
	{"nonce", func(v *Verifier, p *presented) (err error) {
		if asked := p.Nonce != "" || v.config.RequireNonce; asked && !p.id.hasNonce(p.Nonce) {
			return ErrNonce
		}
		return nil
	}},
	{"e-mail address", func(v *Verifier, p *presented) (err error) {
		p.identity, err = v.identity(p.id)
		return err
	}},
}

// Check is what one check found.
type Check struct {
	Of      string // "ID token", "access token" or "pair"
	Name    string
	Reached bool // false: what it needs had failed, and it says nothing
	Err     error
}

const (
	ofID     = "ID token"
	ofAccess = "access token"
	ofPair   = "pair"
)

// Explain makes the checks of VerifyPair, and goes on where that stops: it returns
// what each of them found, in the same order. VerifyPair refuses a pair by the
// first that failed. The access token of an OpenID provider has no checks of its own.
func (v *Verifier) Explain(ctx context.Context, p Pair) []Check {
	id, found := v.explain(ctx, ofID, p.IDToken, useID)
	together := presented{Pair: p, id: id}
	ready := passed(found, ofID)
	if v.config.OIDC == nil {
		access, more := v.explain(ctx, ofAccess, p.AccessToken, useAccess)
		together.access, found = access, append(found, more...)
		ready = ready && passed(found, ofAccess)
	}
	for _, c := range pairChecks {
		one := Check{Of: ofPair, Name: c.name, Reached: ready}
		if ready {
			one.Err = c.run(v, &together)
		}
		found = append(found, one)
	}
	return found
}

// explain makes the checks of one token.
func (v *Verifier) explain(ctx context.Context, of, raw, use string) (token, []Check) {
	t := token{raw: raw, use: use}
	var found []Check
	good := map[string]bool{"": true}
	for _, c := range checks {
		one := Check{Of: of, Name: c.name, Reached: good[c.needs]}
		if one.Reached {
			one.Err = c.run(ctx, v, &t)
		}
		good[c.name] = one.Reached && one.Err == nil
		found = append(found, one)
	}
	return t, found
}

// passed reports whether a token has what the checks of a pair look at: its
// claims, and a client.
func passed(found []Check, of string) bool {
	for _, c := range found {
		if c.Of == of && (c.Name == "form" || c.Name == "client") && (!c.Reached || c.Err != nil) {
			return false
		}
	}
	return true
}
