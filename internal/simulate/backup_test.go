package simulate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

// save makes a backup of the data root, even during runs.
func (h *history) save() {
	h.backup = map[string][]byte{}
	for _, key := range h.files() {
		data, err := h.product.Root.Read(context.Background(), key)
		must(err)
		h.backup[key] = data
	}
	h.backupCan = make([]records, len(h.records))
	for e, r := range h.records {
		for list, one := range r.byList {
			h.backupCan[e].of(list).can = maps.Clone(one.can)
		}
	}
	h.count("backups")
	h.tell("the data root is saved")
}

// restoreBackup replaces the data root by the backup.
func (h *history) restoreBackup(what restore) {
	ctx := context.Background()
	for _, key := range h.files() {
		must(h.product.Root.DeletePrefix(ctx, key))
	}
	for _, key := range slices.Sorted(maps.Keys(h.backup)) {
		must(h.product.Root.Write(ctx, key, h.backup[key]))
	}
	if what == both {
		h.known = len(h.runs)
		must(h.product.Root.WriteJSON(ctx, dataroot.RestoreKey, dataroot.Restore{ID: fmt.Sprintf("restore %d", h.known), At: time.Now()}))
	}
	for e, r := range h.records {
		r.forget()
		for list, one := range h.backupCan[e].byList { // who was removed since counts as added again
			maps.Copy(r.of(list).can, one.can)
		}
	}
	h.restored = true
	h.count("restored: " + string(what))
	h.tell("restored: %s", what)
}

// lastStaged implements activities.Activities.LastStaged.
func (h *history) lastStaged(_ context.Context, ref schemas.RunRef) (*schemas.Staged, error) {
	for _, r := range slices.Backward(h.runs[h.known:]) {
		if p := r.parts[schemas.SegmentWorkflowID(ref.Export, ref.Segment)]; p != nil && p.lastStaged != nil {
			return p.lastStaged, nil
		}
	}
	return nil, nil
}
