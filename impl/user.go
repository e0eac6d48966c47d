package impl

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/api"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/oapi-codegen/nullable"
)

// user translates some members of a user; without any there is no
// user in the answer.
func (s *server) user(u repo.User, fields []string) api.User {
	var out api.User
	for _, field := range fields {
		switch field {
		case "id":
			out.ID = s.userID(u.ID)
		case "username":
			out.Username = &u.Username
		case "email":
			out.Email = &u.Email
		case "email_verified":
			out.EmailVerified = &u.EmailVerified
		case "first_name":
			out.FirstName = &u.FirstName
		case "last_name":
			out.LastName = &u.LastName
		case "is_active":
			out.IsActive = &u.IsActive
		case "is_staff":
			out.IsStaff = &u.IsStaff
		case "is_superuser":
			out.IsSuperuser = &u.IsSuperuser
		case "date_joined":
			out.DateJoined = &u.DateJoined
		case "last_login":
			out.LastLogin = nullable.NewNullNullable[time.Time]()
			if !u.LastLogin.IsZero() {
				out.LastLogin.Set(u.LastLogin)
			}
		case "attributes":
			attributes := map[string]any{}
			_ = json.Unmarshal(u.Attributes, &attributes) // the store holds an object or nothing
			out.Attributes = &attributes
		}
	}
	return out
}

// userID is a user's id as other services know it, the same as in the tokens.
func (s *server) userID(id string) any {
	if n, err := strconv.ParseInt(id, 10, 64); s.UserIDNumber && err == nil && strconv.FormatInt(n, 10) == id {
		return n
	}
	return id
}
