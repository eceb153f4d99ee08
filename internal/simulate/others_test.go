package simulate

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/sweep"
	"iterable-segment-export/schemas"
)

// State implements sweep.Runs. The answer may come late.
func (h *history) State(ctx context.Context, ref schemas.RunRef) (state sweep.State, underWay bool, err error) {
	a := attemptOf(ctx)
	err = h.door(a.key+" asks Temporal", a, h.plan.rootFaults, func(verdict) error {
		state, underWay = h.stateOf(ref)
		return nil
	}, fail, crashAfter, freezeAfter)
	if err != nil || !a.late || state != sweep.Ended || underWay {
		return state, underWay, err
	}
	a.late = false
	key := h.named(a.key + " has asked")
	h.tell("  %s: %s", key, unheard)
	h.count(string(unheard))
	known := len(h.runs)
	staged := func(r *run) bool {
		p := r.parts[schemas.SegmentWorkflowID(ref.Export, ref.Segment)]
		return p != nil && !r.turn.check && !r.over && p.staged.Attempt != ""
	}
	a.hold(func() bool { return !slices.ContainsFunc(h.runs[known:], staged) })
	h.wait(key+" hears", a)
	if at := slices.IndexFunc(h.runs[known:], staged); at >= 0 {
		a.beside = h.runs[known+at]
	}
	return state, underWay, nil
}

func (h *history) stateOf(ref schemas.RunRef) (sweep.State, bool) {
	state, underWay := sweep.Unknown, false
	for _, r := range h.runs[h.known:] {
		if h.exportName(r.export) != ref.Export {
			continue
		}
		underWay = underWay || !r.over && !r.turn.check
		if r.id == ref.RunID {
			if state = sweep.Ended; !r.over {
				state = sweep.Lives
			}
		}
	}
	return state, underWay
}

// sweep starts a sweep.
func (h *history) sweep() { h.sweeps(false) }

// sweeps starts a sweep, which hears late from Temporal.
func (h *history) sweeps(late bool) *attempt {
	a := &attempt{world: h.world, key: h.named("sweep"), late: late, stopCh: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), attemptContext{}, a))
	a.ctx, a.cancel = ctx, cancel
	h.attempts = append(h.attempts, a)
	h.count("sweeps")
	h.tell("%s starts", a.key)
	h.goes(func() {
		defer cancel()
		s := sweep.Sweeper{Ledger: h.product.Ledger(), Runs: h, Retention: func() schemas.Retention { return schemas.Retention{} }}
		done, err := s.Sweep(ctx)
		h.tell("%s ends: %+v, %v", a.key, done, err)
		a.mu.Lock()
		a.replaced = max(1, h.steps)
		a.mu.Unlock()
	})
	return a
}

// unmarks makes a sweep that deletes a marker do so once the run beside it sends, and ends that run
// then: markers say what runs that have ended were about to send.
func (h *history) unmarks(a *attempt, key string) {
	r := a.beside
	a.hold(func() bool { return len(r.acks) == 0 && !r.over })
	h.wait(key+" at last", a)
	h.enqueue(&step{key: key + ": the run beside it is ended", do: func() { h.stop(r, "terminate") }})
}

// sweepFirst starts a sweep and waits until it has ended, or waits for Temporal's answer about a
// run that has ended. It may be frozen, or too slow.
func (h *history) sweepFirst() {
	a := h.sweeps(true)
	for n := 0; n < 100 && a.late && a.ctx.Err() == nil; n++ {
		if !h.step() {
			h.pass(time.Second)
		}
	}
}

// loseSnapshots deletes the snapshots of an export.
func (h *history) loseSnapshots(e int) {
	for _, key := range h.files() {
		if _, ok := dataroot.SnapshotVersion(path.Base(key)); ok && strings.Contains(key, "/"+schemas.PathName(h.exportName(e))+"/") {
			must(h.product.Root.DeletePrefix(context.Background(), key))
		}
	}
	h.records[e].forget()
	h.restored = true
	h.tell("the snapshots of %s are lost", h.exportName(e))
}

// interfere changes a list as another client.
func (h *history) interfere(o other) {
	if o.what == forgottenHere {
		h.deletion(o.who)
		return
	}
	names := h.listNames(0)
	l := h.list(names[o.at%len(names)])
	if l == nil {
		return
	}
	h.count("others' changes")
	switch o.what {
	case "adds":
		l.members[o.who] = true
	case "removes":
		delete(l.members, o.who)
	default:
		delete(h.project.lists, l.ID)
		h.tell("another client deletes list %d", l.ID)
		return
	}
	h.tell("somebody %s %d", o.what, o.who)
	for _, r := range h.records {
		r.of(l.ID).touched(o.who)
	}
}

// forget makes the project forget a person, and removes them from all lists.
func (h *history) forget(who int) {
	if h.project.gone[who].IsZero() {
		h.project.gone[who] = time.Now()
	}
	delete(h.project.fields, who)
	for _, l := range h.project.lists {
		delete(l.members, who)
		for _, r := range h.records {
			r.of(l.ID).touched(who)
		}
	}
}
