package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"iterable-segment-export/internal/iterable/api"
)

// userByEmail answers with a profile, for an address in the path or in the query.
// Without one Iterable answers with an empty object.
func (s *Server) userByEmail(p *project, r *http.Request, _ []byte) answer {
	email := r.PathValue("email")
	if email == "" {
		email = r.URL.Query().Get("email")
	}
	return userAnswer(p.byEmail[strings.ToLower(email)])
}

func (s *Server) userByUserID(p *project, r *http.Request, _ []byte) answer {
	return userAnswer(p.byUser[r.PathValue("userId")])
}

func userAnswer(who *profile) answer {
	if who == nil {
		return jsonAnswer(http.StatusOK, api.UserAnswer{})
	}
	return jsonAnswer(http.StatusOK, api.UserAnswer{User: &api.User{Email: who.email, UserID: who.userID, DataFields: who.data}})
}

// updateUser answers POST /api/users/update.
func (s *Server) updateUser(p *project, _ *http.Request, body []byte) answer {
	var in api.UpdateUserRequest
	if err := read(body, &in); err != nil {
		return err.(answer)
	}
	if in.Email == nil && in.UserID == nil {
		return badParams("email or userId is required")
	}
	rows := []row{newRow(in.Subscriber)}
	if err := p.readFields(rows, &s.config); err != nil {
		return err.(answer)
	}
	x := rows[0]
	who, why := p.place(&x, false)
	if why == "" && !p.fits(x) {
		why = markInvalidData
	}
	status, code := http.StatusBadRequest, ""
	switch {
	case why == "":
		drops := p.drops
		if in.CreateNewFields != nil {
			p.drops = !*in.CreateNewFields
		}
		p.store(who, x, &result{}, s.config.KeepData)
		p.drops = drops
		return success("User updated")
	case why == markForgotten:
		code = api.CodeForgotten
	case why == markConflict:
		status, code = http.StatusConflict, api.CodeUserIDExists
	case why == markInvalidData:
		code = api.CodeFieldTypes
	case why == markNotFound && x.hasEmail:
		code = api.CodeUnknownEmail
	case why == markNotFound:
		code = api.CodeUnknownUserID
	case x.hasEmail:
		code = api.CodeInvalidEmail
	default:
		code = api.CodeInvalidUserID
	}
	return failure(status, code, "The user could not be updated")
}

// deleteUser deletes a profile, by its address or its user ID. It is not kept
// from coming back.
func (s *Server) deleteUser(p *project, r *http.Request, _ []byte) answer {
	email, userID := strings.ToLower(r.PathValue("email")), r.PathValue("userId")
	if email != "" && p.kind == UserIDProject {
		return badParams("users of a userID-based project are deleted by userId")
	}
	p.remove(email, userID)
	return success("User deletion requested")
}

func (p *project) remove(email, userID string) {
	who := p.byEmail[email]
	if userID != "" {
		who = p.byUser[userID]
	}
	if who == nil {
		return
	}
	for _, l := range p.lists {
		delete(l.members, who)
	}
	delete(p.byEmail, who.email)
	delete(p.byUser, who.userID)
}

func (s *Server) forgottenEmails(p *project, _ *http.Request, _ []byte) answer {
	if p.kind == UserIDProject {
		return badParams("users of a userID-based project are forgotten by userId")
	}
	hashes := p.forgotten(true)
	return jsonAnswer(http.StatusOK, api.ForgottenAnswer{HashedEmails: &hashes})
}

func (s *Server) forgottenUserIDs(p *project, _ *http.Request, _ []byte) answer {
	if p.kind == EmailProject {
		return badParams("users of an email-based project are forgotten by email")
	}
	hashes := p.forgotten(false)
	return jsonAnswer(http.StatusOK, api.ForgottenAnswer{HashedUserIDs: &hashes})
}

// forgotten returns the hashes of the forgotten addresses, or user IDs.
func (p *project) forgotten(emails bool) []string {
	hashes := []string{}
	for who, why := range p.marks {
		if why == markForgotten && strings.Contains(who, "@") == emails {
			sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(who))))
			hashes = append(hashes, hex.EncodeToString(sum[:]))
		}
	}
	slices.Sort(hashes)
	return hashes
}
