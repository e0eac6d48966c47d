package claims_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/claims"
)

// BenchmarkEvaluate is what each token costs beside its signature.
func BenchmarkEvaluate(b *testing.B) {
	for name, rules := range map[string][]claims.Rule{
		"none":       nil,
		"columns":    {{Name: "is_staff", Attribute: "is_staff"}, {Name: "email", Attribute: "email"}},
		"attributes": {{Name: "groups", Attribute: "attributes.groups"}, {Name: "plan", Attribute: "attributes.plan.name"}},
		"expression": {{Name: "groups", Expression: "user.attributes.groups"}},
		"loop":       {{Name: "groups", Expression: `user.attributes.groups.filter(g, g.startsWith("e"))`}},
	} {
		set, err := claims.New(claims.Config{Rules: rules})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := set.Evaluate(b.Context(), claims.Subject{User: alice}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
