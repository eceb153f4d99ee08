package simulate

import (
	"context"
	"maps"
	"slices"
	"time"

	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/schemas"
)

// checkRecord checks that the record of a part has exactly those people as added, updated or removed
// of whom answers say so. deleted are those who may be missing. The record of a run that was reset may
// be that of the execution before, which has other answers, or be gone with what that one deleted.
func (p *part) checkRecord(deleted map[int]bool) {
	if p.result.Record == "" {
		if !p.restarted && p.result.Manifest.Attempt != "" && p.history.export(p.export, p.turn).Record != schemas.RecordNone {
			p.violated("e", "%s has staged rows and published no record of them", p.key)
		}
		return
	}
	answered, surely := map[string]map[int]bool{}, map[string]map[int]bool{}
	recorded := map[string]map[int]bool{}
	for _, kind := range []string{schemas.Subscribe, schemas.Unsubscribe} {
		answered[kind], surely[kind], recorded[kind] = map[int]bool{}, map[int]bool{}, map[int]bool{}
	}
	for _, a := range p.received() {
		if a.staging != p.result.Manifest.Attempt && !p.restarted {
			continue
		}
		for _, who := range a.took {
			answered[a.kind][who] = true
			surely[a.kind][who] = surely[a.kind][who] || a.sure && !p.restarted
		}
	}
	file, err := p.product.Root.Open(context.Background(), p.result.Record)
	must(err)
	defer file.Close()
	must(rejects.ReadRows(context.Background(), file, func(r *rejects.Row) error {
		kind, ok := map[schemas.Outcome]string{
			schemas.OutcomeAdded: schemas.Subscribe, schemas.OutcomeUpdated: schemas.Subscribe, schemas.OutcomeRemoved: schemas.Unsubscribe,
		}[r.Outcome]
		if ok {
			recorded[kind][person(string(r.Email), string(r.UserID))] = true
		}
		return nil
	}))
	for kind, people := range recorded {
		for _, who := range slices.Sorted(maps.Keys(people)) {
			if !answered[kind][who] {
				p.violated("e", "the record of %s has %d, and no answer to %s does", p.key, who, kind)
			}
		}
		for _, who := range slices.Sorted(maps.Keys(surely[kind])) {
			if surely[kind][who] && !people[who] && !deleted[who] {
				p.violated("e", "the record of %s lacks %d, whom an answer to %s has", p.key, who, kind)
			}
		}
	}
}

// checkAudit checks that the audit trail is whole, and has each run once, as what it was. A restore may
// have lost some.
func (h *history) checkAudit() {
	trail, err := h.product.Access.Trail(context.Background(), time.Time{})
	must(err)
	for _, e := range trail {
		if e.What == schemas.AuditDamaged {
			h.violated("g", "the audit trail is damaged: %s", e.Details)
		}
	}
	for _, r := range h.runs {
		want := schemas.AuditRan
		switch {
		case r.turn.check:
			want = schemas.AuditChecked
		case r.turn.trial != nil:
			want = schemas.AuditTried
		}
		n := 0
		for _, e := range trail {
			if e.RunID != r.id || e.What != schemas.AuditRan && e.What != schemas.AuditChecked && e.What != schemas.AuditTried {
				continue
			}
			if n++; e.What != want || e.Export != r.exportName(r.export) {
				h.violated("g", "the audit trail has %s as %q of export %q", r.key, e.What, e.Export)
			}
		}
		if n > 1 || n == 0 && r.state != "" && !h.restored {
			h.violated("g", "the audit trail has %s %d times", r.key, n)
		}
	}
}
