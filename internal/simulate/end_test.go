package simulate

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

// segment is what a version of a segment asks of a list of the export: the values and rows by person,
// those whose rows can't be sent, and whether members leave it.
func (h *history) segment(all []row, t turn, e int, list string) (values map[int]int, sent map[int]row, kept, vague map[int]bool, mirror bool) {
	values, kept, vague = map[int]int{}, map[int]bool{}, map[int]bool{}
	sent = map[int]row{}
	rows, ambiguous := h.deduplicated(all, t)
	rows, present := h.rowsOf(e, list, t, rows, all)
	for _, r := range rows {
		if r.n < t.least || r.none || !t.trial.selects(r, h.plan.project) {
			continue
		}
		if ambiguous[r.who] {
			kept[r.who] = true
			continue
		}
		if r.bad {
			if r.user && h.plan.project != schemas.ProjectEmail {
				kept[r.who] = true
			}
			continue
		}
		if r.nan && t.reject && t.fields > 1 {
			kept[r.who] = true
			continue
		}
		if first, ok := sent[r.who]; ok {
			if first.user != r.user {
				vague[r.who] = true // two rows that the project alone knows to be one person's
			}
			continue
		}
		sent[r.who], values[r.who] = r, r.n
	}
	return values, sent, kept, vague, t.mode == schemas.ModeMirror && (present || !t.keep)
}

// deduplicated returns the rows of a segment with those first that dedupe keeps, and who has
// several rows where it keeps none. Rows without a valid identifier do not count.
func (h *history) deduplicated(rows []row, t turn) ([]row, map[int]bool) {
	valid := func(r row) bool { return r.n >= t.least && !r.none && !r.bad }
	ambiguous, seen := map[int]bool{}, map[int]bool{}
	switch t.dedupe {
	case schemas.KeepNone:
		for _, r := range rows {
			if valid(r) {
				ambiguous[r.who], seen[r.who] = seen[r.who], true
			}
		}
	case "":
		if !h.plan.each { // a row that can't be sent does not count then
			break
		}
		fallthrough
	case schemas.KeepNewest, schemas.KeepOldest:
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b row) int {
			switch t.dedupe {
			case schemas.KeepNewest:
				return b.n - a.n
			case schemas.KeepOldest:
				return a.n - b.n
			}
			return 0
		})
		// A row that is not kept is not sent, even if the kept one can't be.
		rows = slices.DeleteFunc(rows, func(r row) bool {
			drop := valid(r) && seen[r.who]
			seen[r.who] = seen[r.who] || valid(r)
			return drop
		})
	}
	return rows, ambiguous
}

// checkEnd checks the state after a run, and learns from it.
func (r *run) checkEnd() {
	deleted := r.history.unknown(r.began)
	defer r.history.unknown(r.began)
	again, tidy := false, r.state != ""
	for _, id := range slices.Sorted(maps.Keys(r.parts)) {
		p := r.parts[id]
		again = again || p.again
		if strings.Contains(fmt.Sprintf("%+v", p.result), mark) {
			r.violated("h", "the result of %s holds data of a person: %+v", r.key, p.result)
		}
		if r.turn.check {
			continue
		}
		switch p.result.State {
		case schemas.StateDone:
			r.learn(p.done())
			if !p.again { // or the report is that of the first time
				p.checkReport()
				p.checkRecord(deleted)
			}
		case schemas.StateAborted, schemas.StateCancelled:
			r.learn(p.surely())
			tidy = tidy && !r.troubled // or the sweeper does the rest
		default:
			r.learn(p.surely())
			tidy = tidy && p.result.State == "" // it is no segment, or its lists have results
		}
	}
	if strings.Contains(fmt.Sprintf("%+v", r.dividing), mark) {
		r.violated("h", "the result of %s holds data of a person: %+v", r.key, r.dividing)
	}
	if tidy && (!r.turn.check || r.state == schemas.StateDone) {
		r.checkLeft()
	}
	if !r.turn.check && (r.state != schemas.StateDone || again) {
		r.history.records[r.export].mixUp()
	}
	if r.state == schemas.StateDone && !again {
		r.checkRead()
		if !r.turn.check {
			r.checkLists(deleted)
		}
	}
}

// done returns the answers that the part has kept if it is done, in their order: all to what it
// has sent since it started over last, if it did, and of those before that the ones that it has
// surely kept.
func (p *part) done() (kept []*ack) {
	surely := p.surely()
	for _, a := range p.received() {
		if a.staging == p.result.Manifest.Attempt || slices.Contains(surely, a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// surely returns the answers that the part has surely kept, in their order.
func (p *part) surely() (kept []*ack) {
	for _, a := range p.received() {
		for _, one := range p.history.attempts {
			if one.run != nil && one.run.book == p.book && slices.Contains(one.acks[:one.noted], a) {
				kept = append(kept, a)
			}
		}
	}
	return kept
}

// checkLists checks the members of all lists of an export after a run that is done, and what the
// run has kept of them.
func (r *run) checkLists(deleted map[int]bool) {
	for _, name := range r.listNames(r.export) {
		l := r.list(name)
		if p := r.parts[r.workflowOf(name)]; p != nil && p.result.State == schemas.StateDone {
			l = r.project.lists[p.result.ListID]
		}
		if l != nil { // or it was deleted while nothing was left to be sent
			r.checkList(l, deleted)
		}
	}
}

func (r *run) checkList(l *list, deleted map[int]bool) {
	rec := r.history.records[r.export].of(l.ID)
	values, sent, kept, vague, mirror := r.segment(r.rows, r.turn, r.export, l.Name)
	if t := r.turn.trial; t != nil && t.limit < len(values) { // any of them
		maps.DeleteFunc(values, func(who, _ int) bool {
			return !slices.ContainsFunc(r.acks, func(a *ack) bool { return a.kind == schemas.Subscribe && slices.Contains(a.took, who) })
		})
	}
	touched := map[int]bool{} // people about whom the run can't know everything
	for who := range r.project.refusals {
		touched[who] = true
	}
	for who := range r.project.gone {
		touched[who] = true
	}
	for who, is := range deleted {
		touched[who] = touched[who] || is
	}
	unsure := map[int]bool{}
	for _, a := range r.acks {
		for _, who := range a.took {
			unsure[who] = unsure[who] || !a.sure && a.list == l.ID
		}
	}
	for who := range r.plan.people {
		n, in := values[who]
		suppressed := r.suppression(rec, who, r.history.suppressed)
		in = in && suppressed != surely
		loose, gone := rec.loose[who]
		if kept[who] && suppressed == no && r.removed(who, l) {
			r.violated("a", "%s rejects a row of %d, and has removed them from list %d as if they had left", r.key, who, l.ID)
		}
		switch {
		case loose || gone && !in || touched[who] || kept[who] && suppressed != surely || vague[who] || suppressed == perhaps:
		case in && !l.members[who]:
			r.violated("a", "after %s, %d is in the segment and not on list %d", r.key, who, l.ID)
		case in:
			r.checkFields(who, n)
			if !unsure[who] {
				rec.must[who], rec.can[who] = true, true
				r.checkFound(who, sent[who], l, true)
			}
		case mirror || suppressed == surely:
			if rec.must[who] && !unsure[who] && l.members[who] {
				r.violated("a", "after %s, %d has left the segment or is suppressed, and is still on list %d", r.key, who, l.ID)
			}
			if !unsure[who] {
				if rec.must[who] || !rec.can[who] {
					r.checkFound(who, row{}, l, false)
				}
				delete(rec.must, who)
			}
		}
		r.remember(rec, who, sent[who], in, suppressed, !loose && !touched[who] && !kept[who] && !vague[who] && !unsure[who])
	}
}

// removed reports whether the run has removed a person from a list by what it staged last. In a hybrid
// project that may be the person by another identifier, and is not.
func (r *run) removed(who int, l *list) bool {
	return r.plan.project != schemas.ProjectHybrid && slices.ContainsFunc(r.acks, func(a *ack) bool {
		return a.kind == schemas.Unsubscribe && a.list == l.ID && a.staging == r.part(a.workflowID).result.Manifest.Attempt && slices.Contains(a.took, who)
	})
}

// checkFields checks the values of a person's fields, unless a trial of the export sent them last.
func (r *run) checkFields(who, n int) {
	of, got := r.exportName(r.tried(r.export)), r.project.fields[who]
	if by := got[writer+of]; by != "" && by != r.exportName(r.export) {
		return
	}
	if got := got["n"+of]; r.turn.fields > 0 && got != fmt.Sprint(n) {
		r.violated("a", "after %s, %d has n = %s, want %d", r.key, who, got, n)
	}
	if got := got["c"+of]; r.turn.constant > 0 && strings.Trim(got, `"`) != fmt.Sprint(r.turn.constant) {
		r.violated("a", "after %s, %d has the constant %s, want %d", r.key, who, got, r.turn.constant)
	}
	if want := r.turn.text.sent(n); want != "" && got["t"+of] != want {
		r.violated("a", "after %s, %d has the text %s, want %s", r.key, who, got["t"+of], want)
	}
}

// learn records the answers that the run has surely kept.
func (r *run) learn(acks []*ack) {
	for _, a := range acks {
		rec := r.history.records[r.export].of(a.list)
		for _, who := range a.took {
			switch {
			case !a.sure:
			case a.kind == schemas.Subscribe:
				rec.must[who] = true
			default:
				delete(rec.must, who)
				if r.plan.project != schemas.ProjectHybrid { // or it may be known in another way too
					delete(rec.can, who)
				}
			}
		}
	}
}

// checkLeft checks that a run that ended in order has left only reports.
func (r *run) checkLeft() {
	if r.restarted { // what is left of the execution before it is for a sweep
		return
	}
	for _, key := range r.files() {
		if strings.Contains(key, r.id) && !strings.HasPrefix(key, "reports/") {
			r.violated("g", "%s, which is %s, has left %s", r.key, r.state, short(key))
			return
		}
	}
}

// checkReport checks that the numbers of a report add up.
func (p *part) checkReport() {
	m, u := p.result.Manifest, p.result.Upload
	refused := int64(0)
	for _, n := range u.Refused {
		refused += n
	}
	if got := u.Sent + u.Removed + refused + u.NotOnList + u.NotRemoved + u.Unnamed; got != m.ToSend() {
		p.violated("e", "%s: %d profiles were to be sent or removed, and %d are accounted for: %+v", p.key, m.ToSend(), got, u)
	}
	var sent, removed int64
	for _, a := range p.received() {
		if a.kind == schemas.Subscribe {
			sent += int64(len(a.took))
		} else {
			removed += int64(len(a.took))
		}
	}
	sentSaid, removedSaid := u.Sent+p.result.Earlier.Sent, u.Removed+p.result.Earlier.Removed
	if sentSaid > sent || removedSaid > removed || !p.troubled && (sentSaid < sent || removedSaid < removed) {
		p.violated("e", "%s reports %d sent and %d removed, where the answers were about %d and %d", p.key, sentSaid, removedSaid, sent, removed)
	}
}

// checkRead checks that each row of the segment is accounted for.
func (r *run) checkRead() {
	var m schemas.Manifest
	rejected := int64(0)
	for _, p := range r.results() {
		one := p.result.Manifest
		if strings.Contains(one.SentAgain, "restored from a backup") && !r.history.restored {
			r.violated("d", "%s takes the data root for a backup, which it is not", r.key)
		}
		for _, n := range one.Rejected {
			rejected += n
		}
		m.Read, m.Filtered = m.Read+one.Read, m.Filtered+one.Filtered
		m.Adds, m.Updates, m.Unchanged = m.Adds+one.Adds, m.Updates+one.Updates, m.Unchanged+one.Unchanged
		m.Duplicates, m.Suppressed = m.Duplicates+one.Duplicates, m.Suppressed+one.Suppressed
	}
	unlisted, held := int64(0), int64(0)
	if d := r.dividing.Divided; d != nil { // which counts the rows of no list
		m.Read, m.Filtered, unlisted, held = r.dividing.Manifest.Read, r.dividing.Manifest.Filtered, d.WithoutValue, d.HeldOut
	}
	if m.Read != m.Adds+m.Updates+m.Unchanged+m.Duplicates+m.Filtered+unlisted+held+m.Suppressed+rejected || m.Read != int64(len(r.rows)) && (r.turn.trial == nil || r.turn.trial.only != nil) {
		r.violated("e", "%s: %d rows, read %d, is not %d adds + %d updates + %d unchanged + %d duplicates + %d filtered + %d without a value + %d held out + %d suppressed + %d rejected",
			r.key, len(r.rows), m.Read, m.Adds, m.Updates, m.Unchanged, m.Duplicates, m.Filtered, unlisted, held, m.Suppressed, rejected)
	}
	if r.turn.trial != nil {
		return // what it does not select counts too
	}
	filtered, inGroup := int64(0), int64(0)
	for _, one := range r.rows {
		switch {
		case one.n < r.turn.least:
			filtered++
		case r.heldOut(r.export, one):
			inGroup++
		}
	}
	if m.Filtered != filtered {
		r.violated("e", "%s: %d rows were filtered, and %d do not match", r.key, m.Filtered, filtered)
	}
	if held != inGroup {
		r.violated("e", "%s: %d rows were held out, and %d are in that group", r.key, held, inGroup)
	}
}

// checkFiles checks that the data root has only the expected files of finished runs.
func (h *history) checkFiles() {
	snapshots, sizes := map[string]int{}, map[string]int{}
	var left []string
	for _, key := range h.files() {
		top, _, _ := strings.Cut(key, "/")
		_, isSnapshot := dataroot.SnapshotVersion(path.Base(key))
		switch {
		case isSnapshot && top == "snapshots":
			snapshots[path.Dir(key)]++
		case (path.Base(key) == "unsent.json" || path.Base(key) == "linked" || path.Base(key) == "lists.json") && top == "snapshots", top == "connections" && path.Base(path.Dir(key)) == "suppression", key == dataroot.RestoreKey:
		case top == "reports" || top == dataroot.HistoryDir || top == "access" || top == "forgotten" || top == dataroot.SuppressionDir || top == dataroot.AuditDir || top == dataroot.ListOwners || key == dataroot.DeploymentKey || key == dataroot.SweptKey:
		case path.Base(path.Dir(key)) == "sizes":
			sizes[path.Dir(key)]++
		default:
			left = append(left, key)
		}
	}
	for dir, n := range snapshots {
		if n > 1 {
			left = append(left, fmt.Sprintf("%d snapshots in %s", n, dir))
		}
	}
	for dir, n := range sizes { // one says when the connection was asked last
		if n > 1 {
			left = append(left, fmt.Sprintf("%d files in %s", n, dir))
		}
	}
	if len(left) > 0 {
		sort.Strings(left)
		h.violated("g", "left in the data root: %s", strings.Join(left, ", "))
	}
}
