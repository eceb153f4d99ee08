package simulate

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"iterable-segment-export/schemas"
)

// identifiers are those that a row, a member or an entry of the suppression list has.
type identifiers struct{ mail, user bool }

// suppressions draws the suppression list of a round: entries by person. If people have two
// identifiers, an entry may have only one of them.
func (p *plan) suppressions(r *rand.Rand, people []int) map[int]identifiers {
	out := map[int]identifiers{}
	for _, who := range people {
		if out[who] = (identifiers{true, true}); p.project == schemas.ProjectEmail {
			continue
		}
		switch x := r.Float64(); {
		case x < 0.3:
			out[who] = identifiers{mail: true}
		case x < 0.6:
			out[who] = identifiers{user: true}
		}
	}
	return out
}

// never is the path of the file with the suppression list.
func (h *history) never() string { return filepath.Join(h.dir, "never.arrow") }

// suppress sets the suppression list.
func (h *history) suppress(entries map[int]identifiers) {
	h.suppressed = entries
	var rows []row
	for _, who := range slices.Sorted(maps.Keys(entries)) {
		rows = append(rows, row{who: who, user: entries[who].user, bare: !entries[who].mail})
	}
	h.writeRows(h.never(), rows)
	if len(rows) > 0 {
		h.tell("on the suppression list: %s", turn{rows: rows})
		h.count("rounds with a suppression list")
	}
}

// suppressed is what the model knows of a person during a run.
type suppressed int

const (
	no suppressed = iota
	// perhaps: the list has an identifier that the product need not know to be the person's.
	perhaps
	surely
)

// suppression returns whether a person is on a suppression list, for a list in Iterable.
func (r *run) suppression(rec *record, who int, list map[int]identifiers) suppressed {
	entry, listed := list[who]
	switch {
	case !listed:
		return no
	case entry.mail && entry.user:
		return surely
	}
	has := func(of identifiers) bool { return of.mail && entry.mail || of.user && entry.user }
	before, rows := rec.known[who], 0
	for _, one := range r.rows {
		if one.who != who || one.n < r.turn.least {
			continue
		}
		if rows++; one.bad || one.none {
			return perhaps
		}
		if has(r.identifiers(one)) {
			return surely
		}
	}
	r.history.deletions.Lock()
	_, deleted := r.history.deleted[who] // then nothing is known of who was on the list before
	r.history.deletions.Unlock()
	if deleted {
		return perhaps
	}
	if has(before) && (rows == 0 || before.mail && before.user) {
		return surely
	}
	if tried := r.triedKnow(who); has(tried) && tried.mail && tried.user {
		r.count("people of trials whom only the lists of the segment know as suppressed")
		return surely
	}
	return perhaps
}

// identifiers returns the valid identifiers of a row, as far as the project has them.
func (r *run) identifiers(one row) identifiers {
	return identifiers{mail: !one.bad && !one.none && !one.bare, user: one.user && !one.none && r.plan.project != schemas.ProjectEmail}
}

// remember keeps the identifiers that a member of a list has in the snapshot after a run. Those
// of a suppressed member are kept beside it.
func (r *run) remember(rec *record, who int, sent row, in bool, s suppressed, sure bool) {
	switch {
	case !sure || s == perhaps:
		delete(rec.known, who)
	case s == surely:
		if entry := r.history.suppressed[who]; rec.known[who] != (identifiers{}) && entry.mail != entry.user {
			r.count("members suppressed by one of two identifiers")
		}
	case in:
		now, before := r.identifiers(sent), rec.known[who]
		if r.plan.project == schemas.ProjectUserID { // it keeps the address that the row lacks
			now.mail = now.mail || before.mail
		}
		rec.known[who] = now
	case !rec.must[who] && !r.elsewhere(who):
		delete(rec.known, who)
	}
}

// elsewhere reports whether a person who is not on one of several lists may be on another: the lists
// share what they know.
func (r *run) elsewhere(who int) bool {
	if r.history.records[r.export].known == nil {
		return false
	}
	for _, one := range r.rows {
		if one.who == who && one.n >= r.turn.least && !one.bad && !one.none {
			return true
		}
	}
	for _, rec := range r.history.records[r.export].byList {
		if rec.must[who] {
			return true
		}
	}
	return false
}
