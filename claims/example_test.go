package claims_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/claims"
)

func Example() {
	set, err := claims.New(claims.Config{Rules: []claims.Rule{
		{Name: "is_staff", Attribute: "is_staff"},
		{Name: "plan", Attribute: "attributes.plan.name"},
	}})
	if err != nil {
		panic(err)
	}
	custom, err := set.Evaluate(context.Background(), claims.Subject{User: claims.User{IsStaff: true, Attributes: json.RawMessage(`{"plan": {"name": "pro"}}`)}})
	fmt.Println(custom, err)
	// Output: map[is_staff:true plan:pro] <nil>
}
