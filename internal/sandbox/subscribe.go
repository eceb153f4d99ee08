package sandbox

import (
	"encoding/json"
	"net/http"
)

// placeholderDomain ends the address of a profile made from a user id alone.
const placeholderDomain = "@placeholder.email"

// updateResult is the answer to subscribe and unsubscribe.
type updateResult struct {
	SuccessCount      int           `json:"successCount"`
	FailCount         int           `json:"failCount"`
	CreatedFields     []string      `json:"createdFields"`
	FilteredOutFields []string      `json:"filteredOutFields"`
	FailedUpdates     failedUpdates `json:"failedUpdates"`
	// The deprecated twins of the same arrays in FailedUpdates.
	InvalidEmails  []string `json:"invalidEmails"`
	InvalidUserIDs []string `json:"invalidUserIds"`
}

type failedUpdates struct {
	InvalidEmails      []string `json:"invalidEmails"`
	InvalidUserIDs     []string `json:"invalidUserIds"`
	NotFoundEmails     []string `json:"notFoundEmails"`
	NotFoundUserIDs    []string `json:"notFoundUserIds"`
	ForgottenEmails    []string `json:"forgottenEmails"`
	ForgottenUserIDs   []string `json:"forgottenUserIds"`
	ConflictEmails     []string `json:"conflictEmails"`
	ConflictUserIDs    []string `json:"conflictUserIds"`
	InvalidDataEmails  []string `json:"invalidDataEmails"`
	InvalidDataUserIDs []string `json:"invalidDataUserIds"`
}

// arrays gives the two arrays that a mark's people go into.
func (f *failedUpdates) arrays(why mark) (emails, userIDs *[]string) {
	switch why {
	case markForgotten:
		return &f.ForgottenEmails, &f.ForgottenUserIDs
	case markConflict:
		return &f.ConflictEmails, &f.ConflictUserIDs
	case markInvalidData:
		return &f.InvalidDataEmails, &f.InvalidDataUserIDs
	case markNotFound:
		return &f.NotFoundEmails, &f.NotFoundUserIDs
	default:
		return &f.InvalidEmails, &f.InvalidUserIDs
	}
}

func newUpdateResult() *updateResult {
	r := &updateResult{CreatedFields: []string{}, FilteredOutFields: []string{}}
	for _, why := range []mark{markInvalid, markNotFound, markForgotten, markConflict, markInvalidData} {
		emails, userIDs := r.FailedUpdates.arrays(why)
		*emails, *userIDs = []string{}, []string{}
	}
	return r
}

// fail counts a row as failed and names it by what the project identifies by.
func (r *updateResult) fail(kind ProjectType, row *subscriber, why mark) {
	r.FailCount++
	emails, userIDs := r.FailedUpdates.arrays(why)
	if row.email == nil || kind == UserIDProject && row.userID != nil {
		*userIDs = append(*userIDs, string(row.userID))
	} else {
		*emails = append(*emails, string(row.email))
	}
}

func (r *updateResult) answer() answer {
	r.InvalidEmails, r.InvalidUserIDs = r.FailedUpdates.InvalidEmails, r.FailedUpdates.InvalidUserIDs
	a := jsonAnswer(http.StatusOK, r)
	a.rows, a.failed = r.SuccessCount+r.FailCount, r.FailCount
	return a
}

// update answers subscribe and unsubscribe.
func (s *Server) update(p *project, body []byte, subscribe bool) answer {
	b, err := readBatch(body, subscribe)
	if err != nil {
		return err.answer()
	}
	defer b.release()
	if limit := s.config.MaxSubscribers; limit > 0 && len(b.rows) > limit {
		return tooLarge(http.StatusBadRequest, "%d subscribers in a request, at most %d are taken", len(b.rows), limit).answer()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lists[b.listID]
	if l == nil {
		return notFound("List %d doesn't exist", b.listID).answer()
	}
	if l.listType != listStandard {
		return badParams("listId: list %d is of type %s and can't be changed", l.id, l.listType).answer()
	}
	result := newUpdateResult()
	if subscribe {
		if err := p.subscribe(l, b, &s.config, result); err != nil {
			return err.answer()
		}
	} else {
		p.unsubscribe(l, b, result)
	}
	p.version++
	kind := byte(recordUnsubscribe)
	if subscribe {
		kind = recordSubscribe
	}
	s.journal.write(kind, p.name, body)
	if s.config.SizeLag > 0 {
		l.note(s.now(), s.config.SizeLag)
	}
	return result.answer()
}

func (p *project) subscribe(l *list, b *batch, c *Config, result *updateResult) *apiError {
	kinds, err := p.checkFields(b, c)
	if err != nil {
		return err
	}
	for i := range b.rows {
		row := &b.rows[i]
		id, why := p.place(row, b.existingOnly)
		if why == "" && !b.fits(row, kinds) {
			why = markInvalidData
		}
		if why != "" {
			result.fail(p.kind, row, why)
			continue
		}
		if id == none {
			id = p.people.add(row.email, row.userID)
		} else {
			p.rename(id, row)
		}
		l.members.add(id)
		result.SuccessCount++
		if row.data != nil {
			_, m := p.people.at(id)
			m.fields = row.fields
			p.keep(id, row)
		}
		p.createFields(b, row, kinds, result)
	}
	return nil
}

func (p *project) unsubscribe(l *list, b *batch, result *updateResult) {
	for i := range b.rows {
		row := &b.rows[i]
		id, why := p.place(row, true)
		if why == "" && (id == none || !l.members.has(id)) {
			why = markNotFound
		}
		if why != "" {
			result.fail(p.kind, row, why)
			continue
		}
		l.members.remove(id)
		result.SuccessCount++
	}
}

// none is the number of no profile.
const none = ^uint32(0)

// place finds a row's profile: its number, or none if one is to be made, or why
// the row is refused. It may give the row the name that the profile is to have.
func (p *project) place(row *subscriber, existingOnly bool) (uint32, mark) {
	if row.email != nil && !deliverable(row.email) {
		row.userID = nil // name it by what is wrong with it
		return none, markInvalid
	}
	if row.email == nil || p.kind == UserIDProject && row.userID != nil {
		if len(row.userID) == 0 || len(row.userID) > maxIdentifier {
			return none, markInvalid
		}
	} else if len(row.userID) > maxIdentifier {
		row.email = nil // likewise
		return none, markInvalid
	}
	if len(p.marks) > 0 {
		if why, marked := p.marks[string(row.email)]; marked && row.email != nil {
			return none, why
		}
		if why, marked := p.marks[string(row.userID)]; marked && row.userID != nil {
			return none, why
		}
	}
	byEmail, byUser := none, none
	if row.email != nil {
		if id, found := p.people.findEmail(row.email); found {
			byEmail = id
		}
	}
	if row.userID != nil && (p.kind != EmailProject || row.email == nil) {
		if id, found := p.people.findUser(row.userID); found {
			byUser = id
		}
	}
	switch p.kind {
	case EmailProject:
		if row.email != nil {
			return byEmail, ""
		}
		return p.placeUser(row, byUser)
	case UserIDProject:
		id := byUser
		if row.userID == nil {
			id = byEmail
		}
		if id == none && (existingOnly || row.userID == nil) {
			return none, markNotFound
		}
		return id, ""
	default:
		if byEmail != none && byUser != none && byEmail != byUser {
			return none, markConflict
		}
		id := min(byEmail, byUser)
		if id == none && existingOnly {
			return none, markNotFound
		}
		return id, ""
	}
}

// placeUser is place for a user id without an address in an email-based project.
func (p *project) placeUser(row *subscriber, found uint32) (uint32, mark) {
	if found != none {
		return found, ""
	}
	email := lower(append([]byte(nil), string(row.userID)+placeholderDomain...))
	if !row.preferUserID || len(email) > maxIdentifier {
		return none, markNotFound
	}
	if id, taken := p.people.findEmail(email); taken {
		return id, ""
	}
	row.email = email
	return none, ""
}

// rename gives a found profile the name that the row adds to it.
func (p *project) rename(id uint32, row *subscriber) {
	email, user := p.people.email(id), p.people.user(id)
	if row.email != nil {
		email = row.email
	}
	if len(row.userID) > 0 {
		user = row.userID
	}
	p.people.name(id, email, user)
}

// keep merges a row's dataFields into its profile's where they are kept whole.
func (p *project) keep(id uint32, row *subscriber) {
	if p.data == nil {
		return
	}
	var fields map[string]any
	if err := json.Unmarshal(row.data, &fields); err != nil {
		return // the scanner has read it, so it is JSON; numbers may be out of range
	}
	if p.data[id] == nil {
		p.data[id] = map[string]any{}
	}
	merge(p.data[id], fields, row.merge)
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
