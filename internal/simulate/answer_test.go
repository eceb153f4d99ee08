package simulate

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/testsuite"

	"iterable-segment-export/schemas"
)

// segmentIDs returns the IDs of the workflows of the run's segment and lists.
func (r *run) segmentIDs() (all []string) {
	if r.turn.trial == nil && (r.plan.divided || r.plan.each) {
		for _, list := range r.listNames(r.export) {
			all = append(all, r.workflowOf(list))
		}
	}
	return append(all, r.workflowOf(r.segmentName(r.export)))
}

// wait is what a workflow of a run waits for.
type wait struct {
	*schemas.Waiting
	workflowID string
}

// waiting returns what a run waits for. It asks the workflows only if that may have changed.
func (r *run) waiting() (all []wait) {
	if !r.engine.changed {
		return r.engine.waits
	}
	r.engine.changed = false
	defer func() { r.engine.waits = all }()
	query := func(id string, p any, of func() *schemas.Waiting) {
		if v, err := r.engine.env.QueryWorkflowByID(id, schemas.QueryProgress); err == nil && v.Get(p) == nil && of() != nil {
			all = append(all, wait{of(), id})
		}
	}
	for _, id := range r.segmentIDs() {
		var p schemas.Progress
		query(id, &p, func() *schemas.Waiting { return p.Waiting })
	}
	var root schemas.RunProgress
	query(schemas.RunWorkflowID(r.exportName(r.export)), &root, func() *schemas.Waiting { return root.Waiting })
	return all
}

// answer answers one wait of a run, and reports whether there was one.
func (h *history) answer() bool {
	for _, r := range h.active() {
		if r.terminated {
			continue
		}
		for _, w := range r.waiting() {
			if r.turn.check || r.turn.trial != nil {
				h.violated("d", "%s waits, where nobody may answer: %s", r.key, w.Message)
			}
			if !r.answered[w.ID] {
				h.answerTo(r, w)
				return true
			}
		}
	}
	return false
}

// answerTo answers a wait, perhaps late, and perhaps with wrong answers before the right one.
func (h *history) answerTo(r *run, w wait) {
	r.answered[w.ID] = true
	h.waits = append(h.waits, w.ID)
	r.asked++
	h.tell("%s waits at %s (%s): %s", r.key, w.Step, w.Type, strings.ReplaceAll(w.Message, h.dir, ""))
	h.count("waits")
	if strings.Contains(w.Message, mark) {
		h.violated("h", "%s waits with a message about a person: %s", r.key, w.Message)
	}
	key := h.named(r.key + " is answered")
	if !h.calm && h.roll("late", key) < 0.4 {
		h.idle(time.Duration(h.roll("later", key)*40) * time.Second)
	}
	if !h.calm && h.roll("wrong", key) < 0.4 { // an answer to something else
		for _, wrong := range []schemas.Answer{{}, {Wait: h.waits[int(h.roll("which", key)*float64(len(h.waits)))]}} {
			if wrong.Wait != w.ID {
				h.reply(r, w, w.Answers[0], wrong)
			}
		}
		h.reply(r, w, otherThan(w.Answers[0]), schemas.Answer{Wait: w.ID})
	}
	if w.Type == schemas.ErrorListAmbiguous {
		h.tidyLists()
	}
	name := w.Answers[0]
	if strings.Contains(w.Message, "was done already") {
		name, r.part(w.workflowID).again = schemas.UpdateAbort, true
	} else if !h.calm && r.asked > r.turn.patience && h.roll("abort", key) < 0.5 || r.asked > 25 {
		name = schemas.UpdateAbort
	}
	h.reply(r, w, name, schemas.Answer{Wait: w.ID})
}

// tidyLists deletes all lists of a name except one, as a run asks for.
func (h *history) tidyLists() {
	seen := map[string]bool{}
	for _, owned := range []bool{true, false} { // those that were filled stay
		for _, id := range slices.Sorted(maps.Keys(h.project.lists)) {
			l := h.project.lists[id]
			if _, ok := h.owners[id]; ok != owned {
				continue
			}
			if seen[l.Name] {
				h.tell("another client deletes list %d", id)
				delete(h.project.lists, id)
			}
			seen[l.Name] = true
		}
	}
}

// otherThan returns the answer to continue that a wait does not accept.
func otherThan(answer string) string {
	if answer == schemas.UpdateApprove {
		return schemas.UpdateRetry
	}
	return schemas.UpdateApprove
}

// reply sends an answer. It must be refused if it is for another wait, or the wait does not
// accept it.
func (h *history) reply(r *run, w wait, name string, a schemas.Answer) {
	right := a.Wait == w.ID && slices.Contains(w.Answers, name)
	right = right && slices.ContainsFunc(r.waiting(), func(now wait) bool { return now.ID == w.ID })
	key := h.named(r.key + " gets an answer")
	h.tell("%s is answered: %s %s", r.key, name, a.Wait)
	accepted := func() {
		h.count("answers: " + name)
		if !right {
			h.violated("d", "%s took %q for wait %q, while it waits for %s, %v", r.key, name, a.Wait, w.ID, w.Answers)
		} else if (w.Type == schemas.ErrorListOwned || w.Type == schemas.ErrorListForeign) && name == schemas.UpdateApprove {
			r.mayTake = true
		} else if (w.Type == schemas.ErrorGuardrail || w.Type == schemas.ErrorSuppressionDoubtful) && name == schemas.UpdateApprove {
			p := r.part(w.workflowID)
			p.approved = p.staged.Attempt
		}
	}
	r.engine.changed = true
	_ = r.engine.env.UpdateWorkflowByID(w.workflowID, name, key, &testsuite.TestUpdateCallback{
		OnReject: func(error) { h.count("answers refused") },
		OnComplete: func(_ any, err error) {
			if err == nil {
				accepted()
			}
		},
	}, a)
	h.settled()
}
