package simulate

import (
	"maps"
	"os"
	"slices"
	"time"

	"iterable-segment-export/schemas"
)

// play plays the history up to its end or the first violation.
func (h *history) play() {
	for _, r := range h.plan.rounds {
		if h.round(r); h.broken() {
			return
		}
	}
	h.heal()
}

// idle lets an amount of time pass.
func (h *history) idle(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && !h.broken(); {
		if !h.step() {
			h.pass(time.Until(end))
		}
	}
}

const mostSteps = 4000

// round plays one round.
func (h *history) round(rd round) {
	h.idle(rd.gap)
	if rd.sweepFirst {
		h.sweepFirst()
	}
	h.suppress(rd.suppressed)
	h.project.refusals = rd.refusals
	for _, who := range slices.Sorted(maps.Keys(rd.refusals)) {
		how := rd.refusals[who]
		h.tell("Iterable refuses %d: %s", who, how)
		if how == forgotten {
			h.forget(who)
		}
	}
	began := h.steps
	type event struct {
		at int
		do func()
	}
	var events []event
	for e, t := range rd.exports {
		h.rowsNow[e] = t.rows
		h.write(e, t.rows)
		if rd.lost && len(h.live()) == 0 {
			h.loseSnapshots(e)
		}
		if t.start < 0 {
			continue
		}
		if t.late > 0 {
			must(os.Remove(h.source(e)))
			events = append(events, event{t.start + t.late, func() {
				h.tell("the segment of %s is there", h.exportName(e))
				h.write(e, h.rowsNow[e])
			}})
		}
		events = append(events, event{t.start, func() {
			r := h.begin(rd.number, e, t, nil)
			if t.end != "" {
				events = append(events, event{t.start + t.endAt, func() { h.stop(r, t.end) }})
			}
		}})
		for _, at := range rd.checks {
			check := t
			check.check, check.swap = true, nil
			events = append(events, event{at, func() { h.begin(rd.number, e, check, nil) }})
		}
		if t.again != nil {
			events = append(events, event{t.start + t.replaceAt, func() {
				h.tell("the segment of %s is replaced by %s", h.exportName(e), turn{rows: t.again, mode: t.mode})
				h.rowsNow[e] = t.again
				h.write(e, t.again)
			}})
		}
	}
	for _, one := range rd.trials {
		t := one.of(rd.exports[one.export])
		events = append(events, event{one.at, func() {
			if r := h.try(rd.number, t); r != nil && t.end != "" {
				events = append(events, event{one.at + t.endAt, func() { h.stop(r, t.end) }})
			}
		}})
	}
	for _, o := range rd.others {
		events = append(events, event{o.at, func() { h.interfere(o) }})
	}
	for _, at := range rd.sweeps {
		events = append(events, event{at, h.sweep})
	}
	if rd.restore != "" && h.backup != nil && len(h.live()) == 0 {
		h.restoreBackup(rd.restore)
	}
	if rd.backup >= 0 && len(rd.exports) == h.plan.exports {
		events = append(events, event{rd.backup, h.save})
	}
	for n := 0; !h.broken(); n++ {
		if n > mostSteps {
			h.violated("f", "round %d does not end", rd.number)
			return
		}
		h.settled()
		due := -1
		for i, e := range events {
			if e.at <= h.steps-began && (due < 0 || e.at < events[due].at) {
				due = i
			}
		}
		switch {
		case due >= 0:
			e := events[due]
			events = slices.Delete(events, due, due+1)
			e.do()
		case h.step():
		case h.answer():
		case len(h.active()) == 0 && len(events) == 0:
			return
		case len(h.active()) == 0:
			began -= 10 // later events happen now
		default:
			h.pass(30 * time.Second)
		}
	}
}

// stop cancels, terminates or resets a run. One that has ended may be reset too.
func (h *history) stop(r *run, how string) {
	if r.over && (how != "reset" || r.terminated || slices.ContainsFunc(h.active(), func(o *run) bool { return o.export == r.export && !o.turn.check })) {
		return
	}
	if how == "reset" && r.reset { // Temporal would reset the execution that took its place
		return
	}
	h.tell("%s: somebody asks to %s it", r.key, how)
	h.count("runs to " + how)
	if how == "cancel" {
		r.engine.changed = true
		r.engine.env.CancelWorkflow()
		return
	}
	if how == "reset" {
		defer h.begin(r.round, r.export, r.turn, r)
		if r.over {
			return
		}
		r.reset = true
	}
	r.terminated = true
	for _, a := range h.attempts {
		if a.run == r {
			a.mu.Lock()
			if a.replaced == 0 {
				a.replaced = max(1, h.steps)
			}
			a.mu.Unlock()
		}
	}
	for _, id := range r.segmentIDs() {
		r.engine.signal(id, 0)
	}
	h.settled()
	r.engine.env.SignalWorkflow(outcomes, 0)
}

// heal stops all faults, runs each export again, and checks what is left.
func (h *history) heal() {
	h.calm = true
	h.project.refusals = map[int]refusal{}
	h.tell("all is calm")
	for _, a := range h.attempts {
		a.mu.Lock()
		a.frozen = false
		a.mu.Unlock()
	}
	for n := 0; h.running.Load() > 0; n++ {
		if h.broken() {
			return
		}
		if n > mostSteps {
			h.violated("f", "held effects do not end")
			return
		}
		if !h.step() && !h.answer() {
			h.pass(30 * time.Second)
		}
	}
	h.idle(time.Minute)
	for e, t := range h.plan.rounds[len(h.plan.rounds)-1].exports {
		t.end, t.full, t.deadline, t.start, t.patience = "", false, 0, 0, 1000
		t.late, t.scheduled = 0, false
		t.rows = h.rowsNow[e]
		t.again, t.swap = nil, nil
		t.strict = t.strict && !h.plan.each // a segment without any list asks for allowEmpty
		rd := round{number: 90 + e, backup: -1, refusals: map[int]refusal{}, exports: make([]turn, h.plan.exports)}
		for i := range rd.exports {
			rd.exports[i] = turn{start: -1, rows: h.rowsNow[i]}
		}
		rd.exports[e] = t
		if slices.ContainsFunc(h.runs, func(r *run) bool { return r.export == e+h.plan.exports }) {
			rd.trials = []trying{{at: mostSteps / 2, export: e, limit: schemas.MostTried}} // after the run
		}
		h.round(rd)
		if h.broken() {
			return
		}
		for _, r := range h.runs {
			if r.round == rd.number && r.state != schemas.StateDone && !r.refused() {
				h.violated("f", "%s is %q although nothing went wrong: %s", r.key, r.state, r.problem)
				return
			}
			if r.round == rd.number && r.export == e {
				r.checkExplained()
			}
		}
	}
	h.idle(49 * time.Hour) // longer than the people of a trial are kept
	h.sweep()
	h.idle(time.Minute)
	h.checkDeletions()
	h.checkFiles()
	h.checkAudit()
}
