package simulate

import (
	"context"
	"path"
	"strings"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/sweep"
	"iterable-segment-export/schemas"
)

// State implements sweep.Runs.
func (h *history) State(_ context.Context, ref schemas.RunRef) (sweep.State, bool, error) {
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
	return state, underWay, nil
}

// sweep starts a sweep.
func (h *history) sweep() {
	a := &attempt{world: h.world, key: h.named("sweep"), stopCh: make(chan struct{})}
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
