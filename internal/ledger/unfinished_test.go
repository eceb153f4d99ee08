package ledger_test

import (
	"errors"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/ipc"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// newLedger returns the ledger of an empty data root.
func newLedger(t *testing.T) *ledger.Ledger { return newLedgerIn(t, t.TempDir()) }

func newLedgerIn(t *testing.T, dir string) *ledger.Ledger {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &ledger.Ledger{Root: root, TempDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
}

// TestNotesThatAreLostMakeNothingCertain: a dead run has sent, and what Iterable answered is
// damaged or gone with all that was staged. Then nobody counts as unchanged.
func TestNotesThatAreLostMakeNothingCertain(t *testing.T) {
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	notes := path.Join(dataroot.StagedDir(before, ledgertest.Attempt), "answered")
	for name, c := range map[string]struct {
		lose func(b *ledger.Ledger) error
		want map[string]uint64
	}{
		"damaged": {func(b *ledger.Ledger) error {
			return b.Root.Write(t.Context(), path.Join(notes, "subscribe-000000000-1.json"), []byte("{"))
		}, map[string]uint64{"eve@example.com": snapshot.Unknown, "ann@example.com": snapshot.Unconfirmed}},
		"gone": {func(b *ledger.Ledger) error {
			return errors.Join(b.Root.WriteJSON(t.Context(), ledgertest.PendingKey(before, ledgertest.Attempt), ledger.Pending{RunID: before.RunID, Attempt: ledgertest.Attempt, ListID: 7, Sent: true}),
				b.Root.DeletePrefix(t.Context(), dataroot.StagingDir(before)))
		}, map[string]uint64{"eve@example.com": snapshot.Unknown}},
		"the marker too": {func(b *ledger.Ledger) error {
			return errors.Join(b.Root.Write(t.Context(), ledgertest.PendingKey(before, ledgertest.Attempt), []byte("{")), b.Root.DeletePrefix(t.Context(), notes))
		}, map[string]uint64{"eve@example.com": snapshot.Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newLedger(t)
			ledgertest.Remember(t, b, before, 7, "eve@example.com")
			ledgertest.LeaveBehind(t, b, before, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"ann@example.com"}, Answered: 1, Begun: true})
			if err := c.lose(b); err != nil {
				t.Fatal(err)
			}
			if err := b.Absorb(t.Context(), run, ledgertest.Export, 7, nil); err != nil {
				t.Fatal(err)
			}
			ledgertest.SameEntries(t, b, run, 7, c.want)
		})
	}
}

// TestAnAbortedRunKeepsTheMappingOfTheOthers: most of the snapshot is as the mapping before
// made it, so that the next run still knows that everybody is sent again.
func TestAnAbortedRunKeepsTheMappingOfTheOthers(t *testing.T) {
	b := newLedger(t)
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	ledgertest.Remember(t, b, run, 7, "eve@example.com")
	ledgertest.LeaveBehind(t, b, run, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"ann@example.com"}, Answered: 1, Begun: true})
	other := ledgertest.Export
	other.Fields = schemas.Fields{List: []schemas.Field{{Column: "Value", As: "worth"}}}
	if err := b.Sign(t.Context(), schemas.StageInput{Run: run, Export: other, Connection: schemas.ConnectionInfo{ProjectType: schemas.ProjectEmail}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Absorb(t.Context(), run, other, 7, nil); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(t.Context(), run, ledger.NewHeader(run, other, 7, schemas.ProjectEmail))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if !o.MappingChanged() {
		t.Error("the snapshot has the mapping of the run that was aborted")
	}
}

// TestWhatAnUnfinishedRunHasDone: what Iterable has acknowledged is known, what it was
// perhaps asked for is in doubt, and what it was not asked for has no effect.
func TestWhatAnUnfinishedRunHasDone(t *testing.T) {
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	people := []string{"ann@example.com", "bob@example.com"}
	const hash = 100
	for name, c := range map[string]struct {
		sent ledgertest.Sent
		want map[string]uint64
	}{
		"added, and perhaps added": {ledgertest.Sent{Kind: schemas.Subscribe, People: people, Answered: 1, Begun: true},
			map[string]uint64{"eve@example.com": hash, "ann@example.com": hash, "bob@example.com": snapshot.Unconfirmed}},
		"never asked for": {ledgertest.Sent{Kind: schemas.Subscribe, People: people}, map[string]uint64{"eve@example.com": hash}},
		"perhaps updated": {ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"eve@example.com"}, Begun: true}, map[string]uint64{"eve@example.com": snapshot.Unknown}},
		"removed":         {ledgertest.Sent{Kind: schemas.Unsubscribe, People: []string{"eve@example.com"}, Answered: 1, Begun: true}, map[string]uint64{}},
		"perhaps removed": {ledgertest.Sent{Kind: schemas.Unsubscribe, People: []string{"eve@example.com"}, Begun: true}, map[string]uint64{"eve@example.com": snapshot.Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newLedger(t)
			ledgertest.Remember(t, b, before, 7, "eve@example.com")
			ledgertest.LeaveBehind(t, b, before, 7, c.sent)
			for range 2 { // done twice, it is the same
				if err := b.Absorb(t.Context(), run, ledgertest.Export, 7, nil); err != nil {
					t.Fatal(err)
				}
				ledgertest.SameEntries(t, b, run, 7, c.want)
			}
			if left, err := b.Unfinished(t.Context(), run); err != nil || len(left) > 0 {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

// TestOnlyTheDeadRunIsTakenAccountOf: another run may have begun since a sweep asked which are under
// way, and its marker stays.
func TestOnlyTheDeadRunIsTakenAccountOf(t *testing.T) {
	b := newLedger(t)
	dead := schemas.RunRef{Connection: "sandbox", Export: "Spring", RunID: "r1", Segment: "High-value"}
	alive := schemas.RunRef{Connection: "sandbox", Export: "Spring", RunID: "r2", Segment: "High-value"}
	for _, run := range []schemas.RunRef{dead, alive} {
		ledgertest.LeaveBehind(t, b, run, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{run.RunID + "@example.com"}, Answered: 1, Begun: true})
	}
	if done, err := b.AbsorbDead(t.Context(), dead, true); done || err != nil {
		t.Fatalf("beside another run: %t, %v", done, err)
	}
	if left, err := b.Unfinished(t.Context(), dead); err != nil || len(left) != 2 {
		t.Fatalf("beside another run: %v, %v", left, err)
	}
	if done, err := b.AbsorbDead(t.Context(), dead, false); !done || err != nil {
		t.Fatal(done, err)
	}
	ledgertest.SameEntries(t, b, dead, 7, map[string]uint64{"r1@example.com": 100})
	if left, err := b.Unfinished(t.Context(), dead); err != nil || len(left) != 1 || left[ledgertest.PendingKey(alive, ledgertest.Attempt)].RunID != "r2" {
		t.Errorf("%v, %v", left, err)
	}
}

// TestADeadRunIsTakenAccountOfOnce: a sweep has found its marker, and then another worker takes account
// of it, and what follows makes a value unknown.
func TestADeadRunIsTakenAccountOfOnce(t *testing.T) {
	l := newLedger(t)
	run := schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r1"}
	ledgertest.Remember(t, l, run, 1, "ada@example.com")
	ledgertest.LeaveBehind(t, l, run, 1, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"ann@example.com"}, Answered: 1, Begun: true})
	meanwhile := func(ledger.Pending) bool {
		err := l.Absorb(t.Context(), run, ledgertest.Export, 0, nil)
		h := ledger.NewHeader(run, ledgertest.Export, 1, schemas.ProjectEmail)
		old, opened := l.Open(t.Context(), run, h)
		if opened != nil {
			t.Fatal(opened)
		}
		defer old.Close()
		u := snapshot.NewUpdate("", 0)
		defer u.Close()
		if err = errors.Join(err, u.Refuse(ledgertest.Member("ann@example.com").Key), l.Publish(t.Context(), run, u, old, h)); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if err := l.Absorb(t.Context(), run, ledgertest.Export, 0, meanwhile); err != nil {
		t.Fatal(err)
	}
	if entries := ledgertest.Entries(t, l, run, 1); len(entries) != 2 || entries["ann@example.com"] != snapshot.Unknown {
		t.Errorf("%v", entries)
	}
}

// TestALateSnapshotReplacesNone: a commit that stalled before it published comes after that
// of the next run.
func TestALateSnapshotReplacesNone(t *testing.T) {
	b := newLedger(t)
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	late := func(old int64) error {
		u := snapshot.NewUpdate("", 0)
		m := ledgertest.Member("late@example.com")
		if err := u.Put(&m); err != nil {
			t.Fatal(err)
		}
		return b.Publish(t.Context(), run, u, ledger.Opened{Version: old}, ledger.NewHeader(run, ledgertest.Export, 7, schemas.ProjectEmail))
	}
	ledgertest.Remember(t, b, run, 7, "ann@example.com")
	if err := late(0); !errors.Is(err, storage.ErrExists) {
		t.Errorf("beside the one that was published: %v", err)
	}
	ledgertest.SameEntries(t, b, run, 7, map[string]uint64{"ann@example.com": 100})
	ledgertest.Remember(t, b, run, 7, "bob@example.com") // deletes the first
	if err := late(0); err != nil {
		t.Logf("it was published, and is not the newest: %v", err)
	}
	ledgertest.SameEntries(t, b, run, 7, map[string]uint64{"bob@example.com": 100})
}

// TestADamagedSnapshotIsGivenUp.
func TestADamagedSnapshotIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	b := newLedgerIn(t, dir)
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	file := filepath.Join(dir, filepath.FromSlash(ledgertest.Remember(t, b, before, 7, "ann@example.com")))
	ledgertest.LeaveBehind(t, b, before, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"eve@example.com"}, Answered: 1, Begun: true})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(ipc.Magic)+200] ^= 1 // in the first batch
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Absorb(t.Context(), run, ledgertest.Export, 7, nil); err != nil {
		t.Fatalf("a damaged snapshot: %v", err)
	}
	ledgertest.SameEntries(t, b, run, 7, map[string]uint64{"eve@example.com": 100})
}

// TestARepeatForgetsWhatWasRefused: an earlier try of a batch may have been refused
// people that this one was not.
func TestARepeatForgetsWhatWasRefused(t *testing.T) {
	b := newLedger(t)
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	in := schemas.UploadInput{Run: run, Attempt: ledgertest.Attempt, Kind: schemas.Subscribe, First: 100, End: 200}
	ledgertest.LeaveBehind(t, b, run, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"ann@example.com"}})
	staged, err := b.OpenStaged(t.Context(), path.Join(dataroot.StagedDir(run, ledgertest.Attempt), dataroot.AddsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer staged.Close()
	rows, err := staged.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	if err := b.WriteRefusals(t.Context(), in, 150, rows, []ledger.Refusal{{Reason: schemas.ReasonIterableConflict}}); err != nil {
		t.Fatal(err)
	}
	removal, next := in, in
	removal.Kind, next.First, next.End = schemas.Unsubscribe, 200, 300
	for _, other := range []schemas.UploadInput{removal, next} {
		if found, err := b.RefusedBatches(t.Context(), other); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
	}
	found, err := b.RefusedBatches(t.Context(), in)
	if err != nil || len(found) != 1 || !found[150] {
		t.Fatalf("%v, %v", found, err)
	}
	if err := b.WriteRefusals(t.Context(), in, 150, nil, nil); err != nil {
		t.Fatal(err)
	}
	if left, err := b.RefusedBatches(t.Context(), in); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// TestLostRejectsAreStagedAgain: an attempt of the same run that was reset in Temporal may have
// deleted the staged files of this one.
func TestLostRejectsAreStagedAgain(t *testing.T) {
	b := newLedger(t)
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	if err := b.Root.Write(t.Context(), path.Join(dataroot.StagedDir(run, ledgertest.Attempt), ledger.FilesFile), []byte(`["a.parquet"]`)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishRejects(t.Context(), run, ledgertest.Export, ledgertest.Attempt); !ledger.Unusable(err) {
		t.Errorf("%v: it is retried for good", err)
	}
}
