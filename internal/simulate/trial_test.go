package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/trial"
	"iterable-segment-export/schemas"
)

// trying is a trial of an export. Its export has a number too: that of the export it tries, plus
// the number of exports.
type trying struct {
	at     int // the step at which it starts
	export int
	only   []named // nobody: the first ones of the segment
	limit  int
	end    string // cancels, terminates or resets it at step endAt after its start
	endAt  int
}

// named is a person that a trial names.
type named struct {
	who    int
	byUser bool // by the user ID, and not by the address
}

func (n named) String() string {
	if n.byUser {
		return userID(n.who)
	}
	return address(n.who)
}

// selects reports whether a row is of a person whom the trial names, if it names any. A nil one
// selects all.
func (t *trying) selects(r row, project string) bool {
	return t == nil || t.only == nil || slices.ContainsFunc(t.only, func(n named) bool { return n.is(r, project) })
}

// is reports whether a row has the identifier by which the person is named.
func (n named) is(r row, project string) bool {
	if n.byUser {
		return r.who == n.who && r.user && !r.none && project != schemas.ProjectEmail
	}
	return r.who == n.who && !r.bad && !r.none && !r.bare
}

// trials draws the trials of a round.
func (p *plan) trials(r *rand.Rand) (all []trying) {
	for p.tries && chance(r, 0.3) {
		t := trying{at: r.IntN(60), export: r.IntN(p.exports), endAt: r.IntN(60)}
		if chance(r, 0.6) {
			for range 1 + r.IntN(3) {
				t.only = append(t.only, named{r.IntN(p.people), p.project != schemas.ProjectEmail && chance(r, 0.5)})
			}
		}
		if t.limit = schemas.MostTried; t.only == nil || chance(r, 0.3) {
			t.limit = 1 + r.IntN(3)
		}
		if chance(r, 0.25) {
			t.end = []string{"cancel", "terminate", "reset"}[r.IntN(3)]
		}
		all = append(all, t)
	}
	return all
}

// tried returns the number of the export that a trial tries, and of others their own.
func (h *history) tried(e int) int { return e % h.plan.exports }

// of returns the turn of the trial of an export that has the turn t.
func (trying trying) of(t turn) turn {
	t.trial = &trying
	t.mode, t.full, t.scheduled, t.check, t.late = schemas.ModeAppend, true, false, false, 0
	t.end, t.endAt, t.swap = trying.end, trying.endAt, nil
	return t
}

// try starts a trial, if none of the export is under way. It returns nil if there is none.
func (h *history) try(round int, t turn) *run {
	e := t.trial.export + h.plan.exports
	if slices.ContainsFunc(h.active(), func(r *run) bool { return r.export == e }) {
		return nil
	}
	of := h.export(e, t)
	if len(t.trial.only) > 0 {
		var ids []string
		for _, one := range t.trial.only {
			ids = append(ids, one.String())
		}
		name, err := trial.Keep(context.Background(), h.product.Root, of.Connection, of.Name, ids)
		must(err)
		kept := *t.trial
		t.trial, t.people = &kept, name
	}
	return h.begin(round, e, t, nil)
}

// tries makes an export a trial of itself.
func (h *history) tries(out *schemas.Export, e int, t turn) {
	out.Name, out.Record = h.exportName(e), schemas.RecordAll
	s := &out.Segments[0]
	s.Trial = &schemas.Trial{People: t.people, Limit: int64(t.trial.limit), Of: s.Name}
	if s.Divided() {
		s.Trial.Split, s.Trial.ForEach = s.Split, s.ForEach
		s.Split, s.ForEach, s.Vanished = nil, "", ""
	}
	s.Name = h.segmentName(e)
}

// besides notes the trials beside which the export that they try has a run: what its lists know may
// change meanwhile.
func (h *history) besides(r *run) {
	for _, other := range h.active() {
		switch {
		case other.turn.trial != nil && h.tried(other.export) == r.export:
			other.beside = true
		case r.turn.trial != nil && h.tried(r.export) == other.export:
			r.beside = true
		}
	}
}

// triedKnow returns the identifiers that the lists of the segment that a trial tries have of a person,
// as far as that is sure.
func (r *run) triedKnow(who int) (out identifiers) {
	if r.turn.trial == nil || r.beside {
		return out
	}
	tried := r.history.records[r.tried(r.export)]
	if tried.known != nil {
		return tried.known[who]
	}
	if len(tried.byList) == 1 { // or the list was deleted once
		for _, one := range tried.byList {
			out = one.known[who]
		}
	}
	return out
}

// checkTrial checks that a trial sends only the people that it names, to its own list.
func (r *run) checkTrial(a *attempt, kind string, l *list, who int) {
	t := r.turn.trial
	if l.Name != r.segmentName(r.export) {
		r.violated("b", "%s, of a trial, changes list %d, %q", a.key, l.ID, l.Name)
	}
	if kind == schemas.Subscribe && t.only != nil && !slices.ContainsFunc(t.only, func(n named) bool { return n.who == who }) {
		r.violated("b", "%s sends %d, whom the trial does not name", a.key, who)
	}
}

// checkTrialWrites checks that a trial changes no file of the export that it tries.
func (r *run) checkTrialWrites(a *attempt, key string) {
	if strings.Contains(key, "/"+schemas.PathName(r.exportName(r.tried(r.export)))+"/") {
		r.violated("b", "%s, of a trial, changes %s", a.key, short(key))
	}
}

// checkTrialEnd checks that a trial that ended in order has deleted the people whom it named.
func (r *run) checkTrialEnd() {
	of := dataroot.TrialKey(r.history.export(r.export, r.turn).Connection, r.exportName(r.export), r.turn.people)
	if r.turn.people != "" && !r.troubled && !r.terminated && slices.Contains(r.files(), of) {
		r.violated("g", "%s, which is %s, has left the people whom it names", r.key, r.state)
	}
}

// refused reports whether it is a trial to whose list another export, or its trials, sends, or one that
// ended at a suppression list that probably lacks entries.
func (r *run) refused() bool {
	return r.turn.trial != nil && (strings.Contains(r.problem, "a trial does not send to the list of another export") ||
		strings.Contains(r.problem, "the trial sent nothing"))
}

func (t trying) String() string {
	if t.only == nil {
		return fmt.Sprintf("of the first %d", t.limit)
	}
	return fmt.Sprintf("of %v, at most %d", t.only, t.limit)
}
