package sandbox

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"iterable-segment-export/internal/iterable/api"
)

const (
	// placeholderDomain ends the address of a profile made from only a user ID.
	placeholderDomain = "@placeholder.email"
	// maxIdentifier is the maximum length of a user ID.
	maxIdentifier = 255
)

// Reasons why a row fails. The names of failedUpdates' arrays begin with them.
const (
	Forgotten   = "forgotten"
	Conflict    = "conflict"
	InvalidData = "invalidData"
	Invalid     = "invalid"
	NotFound    = "notFound"
)

// Mark makes the server refuse profiles from now on, or accept them again if why is empty.
// names are addresses in any case, or user IDs.
func (s *Server) Mark(why string, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range names {
		if strings.Contains(who, "@") {
			who = strings.ToLower(who)
		}
		s.marks[who] = why
	}
}

// row is one subscriber of a request, its address in lower case.
type row struct {
	api.Subscriber
	emailInData bool // its address was in its dataFields
	values      map[string]any
}

// newRow reads a subscriber, or refuses the request.
func (s *Server) newRow(in api.Subscriber) row {
	if in.Email == nil && in.UserID == nil {
		panic(badParams("email or userId is required"))
	}
	x := row{Subscriber: in}
	if len(in.DataFields) > 0 {
		read(in.DataFields, &x.values)
	}
	if email, ok := x.values["email"].(string); ok && s.config.Project != EmailProject && in.Email == nil {
		x.Email, x.emailInData = &email, true
		delete(x.values, "email")
	}
	if x.Email != nil {
		lower := strings.ToLower(*x.Email)
		x.Email = &lower
	}
	return x
}

// result is the answer to a request's rows. Empty arrays are missing in it.
type result struct {
	OK       int                 `json:"successCount"`
	Failed   int                 `json:"failCount"`
	Created  []string            `json:"createdFields,omitempty"`
	Filtered []string            `json:"filteredOutFields,omitempty"`
	Updates  map[string][]string `json:"failedUpdates,omitempty"`
	// Deprecated twins of two arrays in Updates.
	InvalidEmails  []string `json:"invalidEmails,omitempty"`
	InvalidUserIDs []string `json:"invalidUserIds,omitempty"`
}

// fail counts a row as failed, and adds the project's identifier of it to the answer.
func (r *result) fail(kind ProjectType, x row, why string) {
	r.Failed++
	array, name := why+"Emails", x.Email
	if x.Email == nil || x.UserID != nil && (x.emailInData || kind == UserIDProject) {
		array, name = why+"UserIds", x.UserID
	}
	if r.Updates == nil {
		r.Updates = map[string][]string{}
	}
	r.Updates[array] = append(r.Updates[array], *name)
}

func (r *result) answer() answer {
	r.InvalidEmails, r.InvalidUserIDs = r.Updates["invalidEmails"], r.Updates["invalidUserIds"]
	a := jsonAnswer(http.StatusOK, r)
	a.rows = r.OK + r.Failed
	return a
}

func (s *Server) subscribe(_ *http.Request, body []byte) answer {
	var in api.SubscribeRequest
	read(body, &in)
	rows := make([]row, len(in.Subscribers))
	for i, x := range in.Subscribers {
		rows[i] = s.newRow(x)
	}
	l := s.changed(in.ListID, in.Subscribers == nil, len(rows))
	s.checkFields(rows)
	var out result
	var added []*profile
	for _, x := range rows {
		who, why := s.place(&x, in.UpdateExistingUsersOnly)
		if why == "" && !s.fits(x) {
			why = InvalidData
		}
		if why != "" {
			out.fail(s.config.Project, x, why)
			continue
		}
		added = append(added, s.store(who, x, !s.config.DropUnknownFields, &out))
		out.OK++
	}
	s.change(l, added, true)
	return out.answer()
}

func (s *Server) unsubscribe(_ *http.Request, body []byte) answer {
	var in api.UnsubscribeRequest
	read(body, &in)
	rows := make([]row, len(in.Subscribers))
	for i, x := range in.Subscribers {
		rows[i] = s.newRow(api.Subscriber{Email: x.Email, UserID: x.UserID})
	}
	l := s.changed(in.ListID, in.Subscribers == nil, len(rows))
	var out result
	for _, x := range rows {
		who, why := s.place(&x, true)
		if why == "" && !l.members[who] {
			why = NotFound
		}
		if why != "" {
			out.fail(s.config.Project, x, why)
			continue
		}
		s.change(l, []*profile{who}, false)
		out.OK++
	}
	return out.answer()
}

// changed returns the list that a request changes, or refuses the request.
func (s *Server) changed(id *int64, missing bool, rows int) *list {
	switch most := s.config.MaxSubscribers; {
	case id == nil:
		panic(badParams("listId is missing"))
	case missing:
		panic(badParams("subscribers is missing"))
	case most > 0 && rows > most:
		panic(failure(http.StatusBadRequest, api.CodeBatchTooLarge, "Too many subscribers in a request"))
	}
	l := s.lists[*id]
	if l == nil || s.at.Before(l.known) {
		panic(unknownList(*id))
	}
	if l.ListType != api.Standard {
		panic(badParams("listId: list %d is of type %s and can't be changed", l.ID, l.ListType))
	}
	return l
}

// address matches the addresses that the sandbox accepts, in lower case: a dot-atom, an @, and
// a domain of at least two labels. It is independent of the exporter's validation, so that the
// two don't share a mistake.
var address = regexp.MustCompile(`^[^\x00-\x20\x7f-\x{10ffff}"(),:;<>@[\\\].]+(\.[^\x00-\x20\x7f-\x{10ffff}"(),:;<>@[\\\].]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func deliverable(email string) bool {
	return len(email) <= 254 && strings.IndexByte(email, '@') <= 64 && address.MatchString(email)
}

// printable matches a valid user ID (O): printable ASCII without a space at the end.
var printable = regexp.MustCompile(`^[ -~]*[!-~]$`)

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// place returns a row's profile, nil if it must be created, or why the row is refused. It may
// set the identifiers of the row.
func (s *Server) place(x *row, existingOnly bool) (*profile, string) {
	email, userID := text(x.Email), text(x.UserID)
	switch {
	case x.Email != nil && !deliverable(email):
		x.UserID = nil // the answer names the invalid identifier
		return nil, Invalid
	case x.UserID != nil && (len(userID) > maxIdentifier || !printable.MatchString(userID)):
		x.Email = nil
		return nil, Invalid
	case s.marks[email] != "":
		return nil, s.marks[email]
	case s.marks[userID] != "":
		return nil, s.marks[userID]
	}
	byEmail, byUser := s.byEmail[email], s.byUser[userID]
	who := cmp.Or(byEmail, byUser)
	switch s.config.Project {
	case EmailProject:
		existingOnly = x.Email == nil && !x.PreferUserID
		if x.Email != nil {
			who = byEmail
		} else if who == nil && x.PreferUserID {
			email = strings.ToLower(userID) + placeholderDomain
			x.Email, who = &email, s.byEmail[email]
		}
	case UserIDProject:
		if existingOnly = existingOnly || x.UserID == nil; x.UserID != nil {
			who = byUser
		}
	default:
		if byEmail != nil && byUser != nil && byEmail != byUser {
			return nil, Conflict
		}
	}
	if who == nil && existingOnly {
		return nil, NotFound
	}
	return who, ""
}

// store writes a row into its profile, or into a new one, and creates or drops new fields.
func (s *Server) store(who *profile, x row, create bool, out *result) *profile {
	if who == nil {
		who = &profile{}
	}
	rename(s.byEmail, who, &who.email, text(x.Email))
	rename(s.byUser, who, &who.userID, text(x.UserID))
	s.newFields(x, create, out)
	if s.config.KeepData && len(x.values) > 0 {
		values := who.values()
		if values == nil {
			values = map[string]any{}
		}
		merge(values, x.values, x.MergeNestedObjects)
		who.data, _ = json.Marshal(values) // they came from JSON
	}
	return who
}

// rename changes an identifier of a profile, unless the new one is empty or the same.
func rename(by map[string]*profile, who *profile, name *string, to string) {
	if to == "" || to == *name {
		return
	}
	if by[*name] == who {
		delete(by, *name)
	}
	if *name = to; by[to] == nil {
		by[to] = who
	}
}

// merge copies the fields of from to into; if deep is set, it merges objects.
func merge(into, from map[string]any, deep bool) {
	for k, v := range from {
		old, isObject := into[k].(map[string]any)
		if fresh, ok := v.(map[string]any); deep && isObject && ok {
			merge(old, fresh, deep)
			continue
		}
		into[k] = v
	}
}
