package simulate

import (
	"net/http"
	"path"
	"strings"
	"time"

	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// records is the model's knowledge of one export, by list. It is exactly what the product can
// know.
type records struct {
	byList map[int64]*record
	// known is the record.known of all lists, if the export's segment has several.
	known map[int]identifiers
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
	// known are the identifiers that the members have in the snapshot, as far as that is sure.
	known map[int]identifiers
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
		known := r.known
		if known == nil {
			known = map[int]identifiers{}
		}
		r.byList[list] = &record{must: map[int]bool{}, can: map[int]bool{}, loose: map[int]bool{}, known: known, touches: map[int]int{}}
	}
	return r.byList[list]
}

// mixUp applies a run that is not done: some members may have new identifiers.
func (r *records) mixUp() {
	for _, one := range r.byList {
		clear(one.known)
	}
}

// forget applies the loss of the snapshots.
func (r *records) forget() {
	for _, one := range r.byList {
		clear(one.must)
		clear(one.known)
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
	if run.turn.trial != nil {
		run.checkTrial(a, kind, l, who)
	}
	for e, others := range w.history.records {
		if e != run.export {
			others.of(l.ID).touched(who)
		}
	}
	w.history.checkOwner(a, l)
	r := w.history.records[run.export].of(l.ID)
	if kind != schemas.Unsubscribe {
		if run.suppression(r, who, a.suppressed) == surely {
			w.violated("i", "%s sends %d, who is on the suppression list", a.key, who)
		}
		return
	}
	_, listed := a.suppressed[who]
	if run.turn.mode == schemas.ModeAppend && !listed {
		w.violated("b", "%s removes %d in append mode", a.key, who)
	}
	if !r.can[who] && !listed { // a suppressed one is removed if a request without an answer may have added it
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
	got.workflowID, got.staging = a.task.part.workflowID, a.task.staging
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
	// Of a batch that several requests send it keeps nothing before the last one. Learned limits
	// divide batches, as refusals do.
	var sent int64
	for _, one := range a.acks {
		if !one.plain {
			return 0
		}
		sent += int64(len(one.took))
	}
	m := a.task.part.staged
	all := map[string]int64{schemas.Subscribe: m.Adds + m.Updates, schemas.Unsubscribe: m.Removals}
	if len(a.acks) == 0 || a.world.plan.learned && sent < all[a.acks[0].kind] {
		return 0
	}
	return len(a.acks)
}

// checkUpload checks that an upload needed no approval, or was approved.
func (r *part) checkUpload(in schemas.UploadInput) {
	if in.Attempt != r.staged.Attempt {
		r.violated("d", "%s sends what attempt %s staged, and not what %s did", r.key, in.Attempt, r.staged.Attempt)
	}
	if m := r.staged; r.turn.scheduled && !r.mayTake && !r.restarted && m.SentAgain != "" && m.Adds+m.Updates > 0 && r.approved != in.Attempt {
		r.violated("d", "%s sends all again without an approval: %s", r.key, m.SentAgain)
	}
	if t := r.turn.trial; t != nil {
		if n := r.staged.Adds + r.staged.Updates; n > int64(t.limit) {
			r.violated("d", "%s sends %d profiles: %s", r.key, n, t)
		}
		return
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
