package sandbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"iterable-segment-export/internal/iterable/api"
)

// userByEmail answers with the profile of an address in the path or in the query, or with an
// empty object if there is none, as Iterable does.
func (s *Server) userByEmail(r *http.Request, _ []byte) answer {
	return userAnswer(s.byEmail[strings.ToLower(cmp.Or(r.PathValue("email"), r.URL.Query().Get("email")))])
}

func (s *Server) userByUserID(r *http.Request, _ []byte) answer {
	return userAnswer(s.byUser[r.PathValue("userId")])
}

func userAnswer(who *profile) answer {
	if who == nil {
		return jsonAnswer(http.StatusOK, api.UserAnswer{})
	}
	return jsonAnswer(http.StatusOK, api.UserAnswer{User: &api.User{Email: who.email, UserID: who.userID, DataFields: who.values()}})
}

// updateUser answers POST /api/users/update.
func (s *Server) updateUser(_ *http.Request, body []byte) answer {
	var in api.UpdateUserRequest
	read(body, &in)
	x := s.newRow(in.Subscriber)
	s.checkFields([]row{x})
	who, why := s.place(&x, false)
	if why == "" && !s.fits(x) {
		why = InvalidData
	}
	if why != "" {
		code := refusals[why]
		if x.Email == nil {
			code = cmp.Or(userRefusals[why], code)
		}
		return failure(http.StatusBadRequest, code, "The user could not be updated")
	}
	create := !s.config.DropUnknownFields
	if in.CreateNewFields != nil {
		create = *in.CreateNewFields
	}
	s.store(who, x, create, &result{})
	return success("User updated")
}

// refusals are the codes of users/update by reason, and userRefusals those that differ if the
// request has only a user ID.
var (
	refusals = map[string]string{
		Forgotten: api.CodeForgotten, Conflict: api.CodeUserIDExists, InvalidData: api.CodeFieldTypes,
		NotFound: api.CodeUnknownEmail, Invalid: api.CodeInvalidEmail,
	}
	userRefusals = map[string]string{NotFound: api.CodeUnknownUserID, Invalid: api.CodeInvalidUserID}
)

// deleteUser deletes a profile by its address or its user ID. The profile can be created again.
func (s *Server) deleteUser(r *http.Request, _ []byte) answer {
	email, userID := strings.ToLower(r.PathValue("email")), r.PathValue("userId")
	if email != "" && s.config.Project == UserIDProject {
		return badParams("users of a userID-based project are deleted by userId")
	}
	if who := cmp.Or(s.byEmail[email], s.byUser[userID]); who != nil {
		for _, l := range s.lists {
			s.change(l, []*profile{who}, false)
		}
		delete(s.byEmail, who.email)
		delete(s.byUser, who.userID)
	}
	return success("User deletion requested")
}

func (s *Server) forgottenEmails(*http.Request, []byte) answer {
	if s.config.Project == UserIDProject {
		return badParams("users of a userID-based project are forgotten by userId")
	}
	hashes := s.forgotten(true)
	return jsonAnswer(http.StatusOK, api.ForgottenAnswer{HashedEmails: &hashes})
}

func (s *Server) forgottenUserIDs(*http.Request, []byte) answer {
	if s.config.Project == EmailProject {
		return badParams("users of an email-based project are forgotten by email")
	}
	hashes := s.forgotten(false)
	return jsonAnswer(http.StatusOK, api.ForgottenAnswer{HashedUserIDs: &hashes})
}

// forgotten returns the hashes of the forgotten addresses, or user IDs.
func (s *Server) forgotten(emails bool) []string {
	hashes := []string{}
	for who, why := range s.marks {
		if why == Forgotten && strings.Contains(who, "@") == emails {
			sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(who))))
			hashes = append(hashes, hex.EncodeToString(sum[:]))
		}
	}
	slices.Sort(hashes)
	return hashes
}
