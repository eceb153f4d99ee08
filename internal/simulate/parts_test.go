package simulate

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/schemas"
)

// part is what a run does for one of its segments: for the only one, or, of a divided segment,
// for the segment itself and for each of its lists.
type part struct {
	*run
	workflowID string
	staged     schemas.Manifest
	approved   string // the attempt whose staged files were approved
	lastStaged *schemas.Staged
	result     schemas.ExportReport // without a state if it has none
	again      bool                 // it was published before the run was reset
}

// part returns the part of a run that a workflow does.
func (r *run) part(workflowID string) *part {
	if r.parts[workflowID] == nil {
		r.parts[workflowID] = &part{run: r, workflowID: workflowID}
	}
	return r.parts[workflowID]
}

// workflowOf returns the ID of the workflow of one of the run's segments or lists.
func (r *run) workflowOf(segment string) string {
	if r.turn.check {
		return schemas.CheckSegmentWorkflowID(r.exportName(r.export), segment)
	}
	return schemas.SegmentWorkflowID(r.exportName(r.export), segment)
}

// results returns the parts that have ended with a report, without that of a divided segment that
// its lists have.
func (r *run) results() (all []*part) {
	for _, id := range slices.Sorted(maps.Keys(r.parts)) {
		if r.parts[id].result.State != "" {
			all = append(all, r.parts[id])
		}
	}
	return all
}

// received returns the answers that attempts of the part have received.
func (p *part) received() (all []*ack) {
	for _, a := range p.acks {
		if a.workflowID == p.workflowID {
			all = append(all, a)
		}
	}
	return all
}

// The values of the column that a segment is divided by, if each value has a list. A row with the
// first one is on no list.
var values = []string{"", "x", "y", "z"}

// each is the column, and eachName what is in place of the value in the segment's name.
const each, eachName = "at", "{at}"

// draw chooses the values of the rows of a version. Some values vanish, and come back later.
func draw(r *rand.Rand, versions ...[]row) {
	gone, to := r.IntN(8), r.IntN(len(values))
	for _, rows := range versions {
		for i := range rows {
			if rows[i].at = 1 + rows[i].who%3; chance(r, 0.15) {
				rows[i].at = r.IntN(len(values))
			}
			if rows[i].at == gone || gone == 7 {
				rows[i].at = to
			}
		}
	}
}

// listNames returns the names of the lists that an export may have.
func (h *history) listNames(e int) (all []string) {
	segment := h.segmentName(e)
	switch {
	case e != h.tried(e): // a trial has one list
		return []string{segment}
	case h.plan.each:
		for _, v := range values[1:] {
			all = append(all, strings.Replace(segment, eachName, v, 1))
		}
		return all
	case h.plan.divided:
		return []string{segment + "/all"}
	}
	return []string{segment}
}

// rowsOf returns the rows that are for a list, and whether the segment has any, valid or not.
// rows are deduplicated, all has those too that are not kept.
func (h *history) rowsOf(e int, list string, t turn, rows, all []row) (own []row, present bool) {
	if !h.plan.each {
		return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return h.heldOut(e, r) }), true
	}
	is := func(r row) bool {
		return r.at > 0 && r.n >= t.least && (t.trial != nil || h.listNames(e)[r.at-1] == list)
	}
	for _, r := range rows {
		if is(r) {
			own = append(own, r)
		}
	}
	return own, slices.ContainsFunc(all, is)
}

// split returns how the segments are divided by groups.
func (h *history) split() *schemas.Split {
	if !h.plan.holdout {
		return &schemas.Split{Groups: map[string]string{"all": "100%"}}
	}
	return &schemas.Split{Groups: map[string]string{"all": "60%", "held": "40%"}, Holdout: []string{"held"}}
}

// heldOut reports whether a row is in a group that is held out. A row that can't be sent is in the
// group of its person, if it has a valid identifier.
func (h *history) heldOut(e int, r row) bool {
	if !h.plan.holdout {
		return false
	}
	mail, user, project := address(r.who), "", h.plan.project
	if r.user && project != schemas.ProjectEmail {
		user = userID(r.who)
	}
	switch {
	case r.none:
		mail, user, project = "", "", schemas.ProjectEmail
	case r.bad && user == "":
		mail, project = badAddress(r.who), schemas.ProjectEmail
	}
	key := batch.KeyHash([]byte(mail), []byte(user), project)
	of := schemas.Segment{Name: h.segmentName(h.tried(e)), Split: h.split()}
	return slices.ContainsFunc(of.Groups(), func(g schemas.Group) bool { return g.List == "" && batch.InGroup(key, g) })
}
