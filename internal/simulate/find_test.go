package simulate

import (
	"context"
	"slices"

	"iterable-segment-export/internal/people"
	"iterable-segment-export/schemas"
)

// find asks the data root where the person with an identifier is.
func (h *history) find(id string, history bool) people.Found {
	person, _ := people.Parse(id)
	found, err := people.Place{Root: h.product.Root, Project: func(string) (string, bool) { return h.plan.project, true }}.Find(context.Background(), person, history)
	must(err)
	h.count("people looked for")
	return found
}

// identifier returns an identifier that the lists of a run know a person by, who has a row or had one.
func (r *run) identifier(who int, sent row) string {
	if r.plan.project == schemas.ProjectUserID && (sent == row{} || sent.bare || r.roll("by", r.key) < 0.5) {
		return userID(who)
	}
	return address(who)
}

// oneOf chooses a person.
func (r *run) oneOf(purpose string) int { return int(r.roll(purpose, r.key) * float64(r.plan.people)) }

// checkFound checks that one person is found on a list, or is not. The run has just published what it
// knows of the list. Of those whose request got no answer it says that they are unconfirmed.
func (r *run) checkFound(who int, sent row, l *list, on bool) {
	if who != r.oneOf("found") || r.turn.trial != nil {
		return
	}
	found := r.find(r.identifier(who, sent), false)
	is := slices.ContainsFunc(found.Lists, func(f people.FoundList) bool {
		return f.Export == r.exportName(r.export) && f.ListID == l.ID && !f.Unconfirmed
	})
	if is != on || len(found.Unreadable) > 0 {
		r.violated("j", "after %s, %d on list %d is %t, and found are %+v", r.key, who, l.ID, on, found)
	}
}

// checkExplained checks what find says of one person from the records of an export, if Iterable answered
// its last run about them.
func (r *run) checkExplained() {
	who := r.oneOf("explained")
	if _, deleted := r.history.deleted[who]; deleted || r.plan.project == schemas.ProjectHybrid { // in which both of two members may be one person
		return
	}
	for _, a := range r.acks {
		p := r.part(a.workflowID)
		if !a.sure || !slices.Contains(a.took, who) || p.again || a.staging != p.result.Manifest.Attempt {
			continue
		}
		id := address(who)
		if r.plan.project == schemas.ProjectUserID {
			id = userID(who)
		}
		r.count("people explained")
		found := r.find(id, true)
		is := slices.ContainsFunc(found.Lists, func(f people.FoundList) bool { return r.workflowOf(f.Segment) == a.workflowID && !f.LastSent.IsZero() })
		if a.kind == schemas.Unsubscribe {
			is = slices.ContainsFunc(found.NotOn, func(f people.FoundRow) bool {
				return r.workflowOf(f.Segment) == a.workflowID && (f.Outcome == schemas.OutcomeRemoved || f.Outcome == schemas.OutcomeSuppressed)
			})
		}
		if !is {
			r.violated("j", "after %s, which was answered for %d (%s), found are %+v", r.key, who, a.kind, found)
		}
		return
	}
}
