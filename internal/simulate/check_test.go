package simulate

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// records is the model's knowledge of one export, by list. It is exactly what the product can
// know.
type records struct {
	byList map[int64]*record
}

// record is the effect of an export on a list.
type record struct {
	// must are the members that the export surely knows to have added: by an answer that
	// was surely kept. In mirror mode they have to go once they have left the segment.
	must map[int]bool
	// can are the members that an acknowledged request of the export has added. Nobody
	// else may be counted or removed.
	can map[int]bool
	// loose are the people about whom nothing is demanded, since somebody else has added
	// or removed them since the export sent them last; it is false for those of whom only
	// their removal is not, since the list was handed to the export after that.
	loose map[int]bool
	// touches counts changes of a member by other clients.
	touches map[int]int
}

// handed applies a hand-over to the export: it sends all profiles.
func (r *record) handed() {
	for who := range r.loose {
		r.loose[who] = false
	}
}

func (r *records) of(list int64) *record {
	if r.byList == nil {
		r.byList = map[int64]*record{}
	}
	if r.byList[list] == nil {
		r.byList[list] = &record{must: map[int]bool{}, can: map[int]bool{}, loose: map[int]bool{}, touches: map[int]int{}}
	}
	return r.byList[list]
}

// forget applies the loss of the snapshots.
func (r *records) forget() {
	for _, one := range r.byList {
		clear(one.must)
	}
}

func (r *record) touched(who int) {
	r.loose[who] = true
	r.touches[who]++
}

// applied is called before the project does something to a member.
func (w *world) applied(a *attempt, kind string, l *list, who int) {
	run := a.run
	if run.turn.check {
		w.violated("b", "%s, of a check, changes list %d", a.key, l.ID)
	}
	for e, others := range w.history.records {
		if e != run.export {
			others.of(l.ID).touched(who)
		}
	}
	w.history.checkOwner(a, l)
	r := w.history.records[run.export].of(l.ID)
	if kind != schemas.Unsubscribe {
		if run.always[who] {
			w.violated("i", "%s sends %d, who is on the suppression list", a.key, who)
		}
		return
	}
	if run.turn.mode == schemas.ModeAppend && !run.ever[who] {
		w.violated("b", "%s removes %d in append mode", a.key, who)
	}
	if !r.can[who] && !run.ever[who] { // a suppressed one is removed if a request without an answer may have added it
		w.violated("b", "%s removes %d, whom no acknowledged request of %s has added", a.key, who, w.exportName(run.export))
	}
}

// claims is called when an attempt has written the record of who fills a list.
func (h *history) claims(a *attempt, key string) {
	if strings.HasSuffix(key, "-sent.json") {
		return // all profiles were sent since
	}
	before, known := h.holders[key]
	h.holders[key] = a.run.export
	if !known || before == a.run.export {
		return
	}
	if !a.run.mayTake {
		h.violated("d", "%s takes a list over that export %s fills, without an approval", a.key, h.exportName(before))
	}
	h.handed = append(h.handed, handover{a.run.export, time.Now()})
	for _, r := range h.records[a.run.export].byList {
		r.handed()
	}
}

// checkOwner checks that a list has one export that fills it, until somebody hands it over.
// What was under way then may still go on for a moment.
func (h *history) checkOwner(a *attempt, l *list) {
	last, known := h.owners[l.ID]
	switch {
	case !known:
		h.owners[l.ID] = owner{a.run.export, -1, time.Now()}
		return
	case last.export == a.run.export:
		return
	}
	for i := len(h.handed) - 1; i > last.handover; i-- {
		if h.handed[i].to == a.run.export {
			h.owners[l.ID] = owner{a.run.export, i, h.handed[i].at}
			return
		}
	}
	if a.began.After(last.since.Add(time.Second)) {
		h.violated("d", "%s sends to list %d, which export %s took over before the attempt began", a.key, l.ID, h.exportName(last.export))
	}
}

// delivered records an answer that has reached the attempt.
func (a *attempt) delivered(answer *http.Response) {
	body, ok := answer.Body.(ackBody)
	if !ok || body.ack == nil {
		return
	}
	got := body.ack
	a.world.count("requests acknowledged")
	if a.world.plan.told {
		a.world.tell("  %s: %s of %v is acknowledged", a.key, got.kind, got.took)
	}
	a.mu.Lock()
	a.acks = append(a.acks, got)
	a.mu.Unlock()
	a.run.acks = append(a.run.acks, got)
	r := a.world.history.records[a.run.export].of(got.list)
	for i, who := range got.took {
		if got.kind != schemas.Subscribe {
			continue
		}
		if r.can[who] = true; got.touches[i] == r.touches[who] {
			delete(r.loose, who)
		}
	}
}

// keeps is how many of the attempt's answers a change of the data root keeps, 0 where it
// is about something else.
func (a *attempt) keeps(key string) int {
	if path.Base(path.Dir(key)) != "answered" {
		return 0
	}
	// Of a batch that several requests send it keeps nothing before the last one.
	var sent int64
	for _, one := range a.acks {
		if !one.plain {
			return 0
		}
		sent += int64(len(one.took))
	}
	m := a.run.staged
	if len(a.acks) == 0 || sent < map[string]int64{schemas.Subscribe: m.Adds + m.Updates, schemas.Unsubscribe: m.Removals}[a.acks[0].kind] {
		return 0
	}
	return len(a.acks)
}

// checkUpload checks that an upload needed no approval, or was approved.
func (r *run) checkUpload(in schemas.UploadInput) {
	if in.Attempt != r.staged.Attempt {
		r.violated("d", "%s sends what attempt %s staged, and not what %s did", r.key, in.Attempt, r.staged.Attempt)
	}
	if m := r.staged; r.turn.scheduled && !r.mayTake && !r.restarted && m.SentAgain != "" && m.Adds+m.Updates > 0 && r.approved != in.Attempt {
		r.violated("d", "%s sends all again without an approval: %s", r.key, m.SentAgain)
	}
	tripped := workflows.Tripped(r.history.export(r.export, r.turn).Guardrails, 0, r.staged)
	if len(tripped) > 0 && r.approved != in.Attempt {
		r.violated("d", "%s goes on without an approval: %s", r.key, strings.Join(tripped, "; "))
	}
	if r.restarted {
		return // it may replay how the list was
	}
	can := len(r.history.records[r.export].of(in.ListID).can)
	if r.plan.project == schemas.ProjectHybrid {
		can *= 2 // a person may be known by the address and by the user ID
	}
	if r.staged.Members > int64(can) {
		r.violated("d", "%s takes %d members for surely on the list, where acknowledged requests have added %d", r.key, r.staged.Members, can)
	}
}

// segment is what a version of a segment asks of the list: the values by person, and
// those whose rows can't be sent.
func (h *history) segment(rows []row, t turn) (values map[int]int, kept map[int]bool, vague map[int]bool) {
	values, kept, vague = map[int]int{}, map[int]bool{}, map[int]bool{}
	how := map[int]row{}
	rows, ambiguous := h.deduplicated(rows, t)
	for _, r := range rows {
		if r.n < t.least || r.none {
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
		if first, ok := how[r.who]; ok {
			if first.user != r.user {
				vague[r.who] = true // two rows that the project alone knows to be one person's
			}
			continue
		}
		how[r.who], values[r.who] = r, r.n
	}
	return values, kept, vague
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
	case schemas.KeepNewest, schemas.KeepOldest:
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b row) int {
			if t.dedupe == schemas.KeepNewest {
				return b.n - a.n
			}
			return a.n - b.n
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
	if strings.Contains(fmt.Sprintf("%+v", r.result), mark) {
		r.violated("h", "the result of %s holds data of a person: %+v", r.key, r.result)
	}
	if r.turn.check {
		if m := r.result.Manifest; r.result.State == schemas.StateDone {
			r.checkRead(m)
			r.checkLeft()
		}
		return
	}
	switch r.result.State {
	case schemas.StateDone:
		r.learn(r.acks)
		if r.again { // the report is that of the first time
			r.checkLeft()
			return
		}
		r.checkReport()
		r.checkLeft()
	case schemas.StateAborted, schemas.StateCancelled:
		if !r.troubled { // or the sweeper does the rest
			r.checkLeft()
		}
		fallthrough
	default:
		var kept []*ack
		for _, a := range r.acks { // in their order
			for _, one := range r.history.attempts {
				if one.run != nil && one.run.book == r.book && slices.Contains(one.acks[:one.noted], a) {
					kept = append(kept, a)
				}
			}
		}
		r.learn(kept)
		return
	}
	l := r.project.lists[r.result.ListID]
	if l == nil {
		return // it was deleted while nothing was left to be sent
	}
	rec := r.history.records[r.export].of(l.ID)
	values, kept, vague := r.segment(r.rows, r.turn)
	touched := map[int]bool{} // of whom the run can't know all
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
			unsure[who] = unsure[who] || !a.sure
		}
	}
	for who := range r.plan.people {
		n, in := values[who]
		in = in && !r.always[who]
		loose, gone := rec.loose[who]
		switch {
		case loose || gone && !in || touched[who] || kept[who] && !r.always[who] || vague[who] || r.ever[who] && !r.always[who]:
		case in && !l.members[who]:
			r.violated("a", "after %s, %d is in the segment and not on the list", r.key, who)
		case in:
			if got := r.project.fields[who]["n"+r.exportName(r.export)]; r.turn.fields > 0 && got != fmt.Sprint(n) {
				r.violated("a", "after %s, %d has n = %s, want %d", r.key, who, got, n)
			}
			if got := r.project.fields[who]["c"+r.exportName(r.export)]; r.turn.constant > 0 && strings.Trim(got, `"`) != fmt.Sprint(r.turn.constant) {
				r.violated("a", "after %s, %d has the constant %s, want %d", r.key, who, got, r.turn.constant)
			}
			if !unsure[who] {
				rec.must[who], rec.can[who] = true, true
			}
		case r.turn.mode == schemas.ModeMirror || r.always[who]:
			if rec.must[who] && !unsure[who] && l.members[who] {
				r.violated("a", "after %s, %d has left the segment or is suppressed, and is still on the list", r.key, who)
			}
			if !unsure[who] {
				delete(rec.must, who)
			}
		}
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

// checkLeft checks that a run that ended in order has left only reports and audit entries.
func (r *run) checkLeft() {
	if r.restarted { // what is left of the execution before it is for a sweep
		return
	}
	for _, key := range r.files() {
		if strings.Contains(key, r.id) && !strings.HasPrefix(key, "reports/") && !strings.HasPrefix(key, dataroot.AuditDir+"/") {
			r.violated("g", "%s, which is %s, has left %s", r.key, r.result.State, short(key))
			return
		}
	}
}

// checkReport checks that the numbers of a report add up.
func (r *run) checkReport() {
	m, u := r.result.Manifest, r.result.Upload
	r.checkRead(m)
	refused := int64(0)
	for _, n := range u.Refused {
		refused += n
	}
	if got := u.Sent + u.Removed + refused + u.NotOnList + u.NotRemoved + u.Unnamed; got != m.ToSend() {
		r.violated("e", "%s: %d profiles were to be sent or removed, and %d are accounted for: %+v", r.key, m.ToSend(), got, u)
	}
	var sent, removed int64
	for _, a := range r.acks {
		if a.kind == schemas.Subscribe {
			sent += int64(len(a.took))
		} else {
			removed += int64(len(a.took))
		}
	}
	sentSaid, removedSaid := u.Sent+r.result.Earlier.Sent, u.Removed+r.result.Earlier.Removed
	if sentSaid > sent || removedSaid > removed || !r.troubled && (sentSaid < sent || removedSaid < removed) {
		r.violated("e", "%s reports %d sent and %d removed, where the answers were about %d and %d", r.key, sentSaid, removedSaid, sent, removed)
	}
}

// checkRead checks that each row is accounted for.
func (r *run) checkRead(m schemas.Manifest) {
	if strings.Contains(m.SentAgain, "restored from a backup") && !r.history.restored {
		r.violated("d", "%s takes the data root for a backup, which it is not", r.key)
	}
	rejected := int64(0)
	for _, n := range m.Rejected {
		rejected += n
	}
	if d := r.dividing.Divided; d != nil { // which counts the rows of no list
		m.Read, m.Filtered = r.dividing.Manifest.Read, r.dividing.Manifest.Filtered
	}
	if m.Read != m.Adds+m.Updates+m.Unchanged+m.Duplicates+m.Filtered+m.Suppressed+rejected || m.Read != int64(len(r.rows)) {
		r.violated("e", "%s: %d rows, read %d, is not %d adds + %d updates + %d unchanged + %d duplicates + %d filtered + %d suppressed + %d rejected",
			r.key, len(r.rows), m.Read, m.Adds, m.Updates, m.Unchanged, m.Duplicates, m.Filtered, m.Suppressed, rejected)
	}
	filtered := int64(0)
	for _, one := range r.rows {
		if one.n < r.turn.least {
			filtered++
		}
	}
	if m.Filtered != filtered {
		r.violated("e", "%s: %d rows were filtered, and %d do not match", r.key, m.Filtered, filtered)
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
		case (path.Base(key) == "unsent.json" || path.Base(key) == "linked" || path.Base(key) == "suppression.json" || path.Base(key) == "lists.json") && top == "snapshots", key == dataroot.RestoreKey:
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
