package cognito

// Issuers are those whose tokens are taken.
func (v *Verifier) Issuers() []string { return v.issuers }
