package sandbox

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"iterable-segment-export/internal/iterable/api"
)

const (
	// placeholderDomain ends the address of a profile made from a user ID alone.
	placeholderDomain = "@placeholder.email"
	// maxIdentifier is the longest address or user ID that a profile can have.
	maxIdentifier = 255
)

// The marks that POST /sandbox/people accepts; each puts its profiles into the
// array of failedUpdates that has its name.
const (
	markForgotten   = "forgotten"
	markConflict    = "conflict"
	markInvalidData = "invalidData"
	markInvalid     = "invalid"
	markNotFound    = "notFound"
)

// row is one subscriber of a request.
type row struct {
	email, userID       string // the address in lower case
	hasEmail, hasUserID bool
	emailInData         bool // a user ID with the address among its dataFields
	preferUserID, merge bool
	data                json.RawMessage
	values              map[string]json.RawMessage
}

func newRow(x api.Subscriber) row {
	r := row{preferUserID: x.PreferUserID, merge: x.MergeNestedObjects, data: x.DataFields}
	if x.Email != nil {
		r.email, r.hasEmail = strings.ToLower(*x.Email), true
	}
	if x.UserID != nil {
		r.userID, r.hasUserID = *x.UserID, true
	}
	return r
}

// result adds up what became of a request's rows.
type result struct {
	api.UpdateAnswer
	ok, failed int
}

// fail counts a row as failed and names it by what the project identifies by.
func (r *result) fail(p *project, x row, why string) {
	r.failed++
	f := &r.FailedUpdates
	emails, userIDs := &f.InvalidEmails, &f.InvalidUserIDs
	switch why {
	case markForgotten:
		emails, userIDs = &f.ForgottenEmails, &f.ForgottenUserIDs
	case markConflict:
		emails, userIDs = &f.ConflictEmails, &f.ConflictUserIDs
	case markInvalidData:
		emails, userIDs = &f.InvalidDataEmails, &f.InvalidDataUserIDs
	case markNotFound:
		emails, userIDs = &f.NotFoundEmails, &f.NotFoundUserIDs
	}
	if !x.hasEmail || x.hasUserID && (x.emailInData || p.kind == UserIDProject) {
		*userIDs = append(*userIDs, x.userID)
	} else {
		*emails = append(*emails, x.email)
	}
}

func (r *result) answer() answer {
	r.SuccessCount, r.FailCount = &r.ok, &r.failed
	r.InvalidEmails, r.InvalidUserIDs = r.FailedUpdates.InvalidEmails, r.FailedUpdates.InvalidUserIDs
	a := jsonAnswer(http.StatusOK, r.UpdateAnswer)
	a.rows, a.failed = r.ok+r.failed, r.failed
	return a
}

func (s *Server) subscribe(p *project, _ *http.Request, body []byte) answer {
	var in api.SubscribeRequest
	if err := read(body, &in); err != nil {
		return err.(answer)
	}
	l, rows, err := s.batch(p, in.ListID, in.Subscribers)
	if err != nil {
		return err.(answer)
	}
	if err := p.readFields(rows, &s.config); err != nil {
		return err.(answer)
	}
	var out result
	var added []*profile
	for _, x := range rows {
		who, why := p.place(&x, in.UpdateExistingUsersOnly)
		if why == "" && !p.fits(x) {
			why = markInvalidData
		}
		if why != "" {
			out.fail(p, x, why)
			continue
		}
		who = p.store(who, x, &out, s.config.KeepData)
		if !l.members[who] {
			l.members[who] = true
			added = append(added, who)
		}
		out.ok++
	}
	s.change(l, added, true)
	return out.answer()
}

func (s *Server) unsubscribe(p *project, _ *http.Request, body []byte) answer {
	var in api.UnsubscribeRequest
	if err := read(body, &in); err != nil {
		return err.(answer)
	}
	subscribers := make([]api.Subscriber, len(in.Subscribers))
	for i, x := range in.Subscribers {
		subscribers[i] = api.Subscriber{Email: x.Email, UserID: x.UserID}
	}
	if in.Subscribers == nil {
		subscribers = nil
	}
	l, rows, err := s.batch(p, in.ListID, subscribers)
	if err != nil {
		return err.(answer)
	}
	var out result
	var removed []*profile
	for _, x := range rows {
		who, why := p.place(&x, true)
		if why == "" && (who == nil || !l.members[who]) {
			why = markNotFound
		}
		if why != "" {
			out.fail(p, x, why)
			continue
		}
		delete(l.members, who)
		removed = append(removed, who)
		out.ok++
	}
	s.change(l, removed, false)
	return out.answer()
}

// batch checks what subscribe and unsubscribe have in common.
func (s *Server) batch(p *project, id *int64, subscribers []api.Subscriber) (*list, []row, error) {
	if id == nil {
		return nil, nil, badParams("listId is missing")
	}
	if subscribers == nil {
		return nil, nil, badParams("subscribers is missing")
	}
	if most := s.config.MaxSubscribers; most > 0 && len(subscribers) > most {
		return nil, nil, failure(http.StatusBadRequest, api.CodeBatchTooLarge, "Too many subscribers in a request")
	}
	rows := make([]row, len(subscribers))
	for i, x := range subscribers {
		if x.Email == nil && x.UserID == nil {
			return nil, nil, badParams("subscribers[%d]: email or userId is required", i)
		}
		rows[i] = newRow(x)
	}
	l := p.lists[*id]
	if l == nil || s.now().Before(l.known) {
		return nil, nil, unknownList(p, *id)
	}
	if l.ListType != api.Standard {
		return nil, nil, badParams("listId: list %d is of type %s and can't be changed", l.ID, l.ListType)
	}
	return l, rows, nil
}

// change notes when a list's size and members will show a change.
func (s *Server) change(l *list, who []*profile, on bool) {
	now := s.now()
	for len(l.pending) > 0 && !l.pending[0].visible.After(now) {
		l.pending = l.pending[1:]
	}
	if s.config.Lag > 0 && len(who) > 0 {
		l.pending = append(l.pending, change{now.Add(s.delay(s.config.Lag)), who, on})
	}
}

// address is what the sandbox accepts as an address, in lower case: a dot-atom, an
// @, and a domain of at least two labels. It is written apart from the exporter's
// validation, so that one mistake can't hide in both.
var address = regexp.MustCompile(`^[^\x00-\x20\x7f-\x{10ffff}"(),:;<>@[\\\].]+(\.[^\x00-\x20\x7f-\x{10ffff}"(),:;<>@[\\\].]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func deliverable(email string) bool {
	return len(email) <= 254 && strings.IndexByte(email, '@') <= 64 && address.MatchString(email)
}

// validUserID reports whether a user ID is one as the document has it: not empty
// or too long, printable ASCII alone, and without a trailing space.
func validUserID(id string) bool {
	for _, c := range id {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return id != "" && len(id) <= maxIdentifier && !strings.HasSuffix(id, " ")
}

// place finds a row's profile: nil if one is to be made, or why the row is
// refused. It may give the row the name that the profile is to have.
func (p *project) place(x *row, existingOnly bool) (*profile, string) {
	if x.hasEmail && !deliverable(x.email) {
		x.hasUserID = false // it is named by what is wrong with it
		return nil, markInvalid
	}
	if x.hasUserID && !validUserID(x.userID) {
		x.hasEmail = false
		return nil, markInvalid
	}
	if why := p.marks[x.email]; why != "" && x.hasEmail {
		return nil, why
	}
	if why := p.marks[x.userID]; why != "" && x.hasUserID {
		return nil, why
	}
	byEmail, byUser := p.byEmail[x.email], p.byUser[x.userID]
	if !x.hasEmail {
		byEmail = nil
	}
	if !x.hasUserID {
		byUser = nil
	}
	switch p.kind {
	case EmailProject:
		if x.hasEmail {
			return byEmail, ""
		}
		return p.placeUser(x, byUser)
	case UserIDProject:
		who := byUser
		if !x.hasUserID {
			who = byEmail
		}
		if who == nil && (existingOnly || !x.hasUserID) {
			return nil, markNotFound
		}
		return who, ""
	default:
		if byEmail != nil && byUser != nil && byEmail != byUser {
			return nil, markConflict
		}
		who := byEmail
		if who == nil {
			who = byUser
		}
		if who == nil && existingOnly {
			return nil, markNotFound
		}
		return who, ""
	}
}

// placeUser is place for a user ID without an address in an email-based project.
func (p *project) placeUser(x *row, found *profile) (*profile, string) {
	if found != nil {
		return found, ""
	}
	email := strings.ToLower(x.userID) + placeholderDomain
	if !x.preferUserID || len(email) > maxIdentifier {
		return nil, markNotFound
	}
	if taken := p.byEmail[email]; taken != nil {
		return taken, ""
	}
	x.email, x.hasEmail = email, true
	return nil, ""
}

// store writes a row into its profile, a new one if there is none, and creates or
// drops the fields that the project does not have.
func (p *project) store(who *profile, x row, out *result, keep bool) *profile {
	if who == nil {
		who = &profile{}
	}
	if x.hasEmail && x.email != who.email {
		if p.byEmail[who.email] == who {
			delete(p.byEmail, who.email)
		}
		who.email = x.email
		if p.byEmail[x.email] == nil {
			p.byEmail[x.email] = who
		}
	}
	if x.userID != "" && x.userID != who.userID {
		if p.byUser[who.userID] == who {
			delete(p.byUser, who.userID)
		}
		who.userID = x.userID
		if p.byUser[x.userID] == nil {
			p.byUser[x.userID] = who
		}
	}
	if len(x.values) == 0 {
		return who
	}
	who.fields = xxh3.Hash(x.data)
	p.createFields(x, out)
	if keep {
		if who.data == nil {
			who.data = map[string]any{}
		}
		fields := map[string]any{}
		for name, value := range x.values {
			var v any
			if p.fields[name] != "" && json.Unmarshal(value, &v) == nil {
				fields[name] = v
			}
		}
		merge(who.data, fields, x.merge)
	}
	return who
}

// merge overwrites into's fields with from's; with deep, objects are merged.
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

// change is a change of a list's members that its size does not show yet.
type change struct {
	visible time.Time
	who     []*profile
	on      bool
}
