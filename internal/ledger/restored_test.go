package ledger_test

import (
	"context"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/schemas"
)

// TestABackupOfAnUpload: a data root that was saved while a run sent, and restored after that
// run had ended early, does not have all that was sent.
func TestABackupOfAnUpload(t *testing.T) {
	l := newLedger(t)
	run := schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r2"}
	ledgertest.Remember(t, l, run, 1, "ada@example.com")
	found := map[string]ledger.Pending{"marker": {RunID: "r1", Attempt: "a", Sent: true}}
	for _, closed := range []bool{false, true} {
		l.LastStaged = func(context.Context, schemas.RunRef) (*schemas.Staged, error) {
			return &schemas.Staged{Attempt: "a", Version: 1, Sending: true, Closed: closed}, nil
		}
		if got, err := ledger.Behind(l, t.Context(), run, nil, found); got != closed || err != nil {
			t.Errorf("closed %v: behind is %v, %v", closed, got, err)
		}
	}
}

// TestARunAfterADeclaredRestore: what a run has sent since a restore was declared is certain,
// even if it ended before it had published a snapshot.
func TestARunAfterADeclaredRestore(t *testing.T) {
	l := newLedger(t)
	if err := l.Root.WriteJSON(t.Context(), dataroot.RestoreKey, dataroot.Restore{ID: "monday"}); err != nil {
		t.Fatal(err)
	}
	for restore, want := range map[string]bool{"": true, "monday": false} {
		got, err := ledger.Declared(l, t.Context(), nil, map[string]ledger.Pending{"marker": {Attempt: "a", Sent: true, Restore: restore}})
		if got != want || err != nil {
			t.Errorf("after %q: %v, %v", restore, got, err)
		}
	}
}

// TestWhatLeavesNoSnapshot leaves no sign of a restored backup either, although Temporal knows
// that the attempt was about to send.
func TestWhatLeavesNoSnapshot(t *testing.T) {
	for name, left := range map[string]ledger.Pending{
		"a first run that sent nothing":          {RunID: "r1", Attempt: ledgertest.Attempt},
		"a run that sent to a list that is gone": {RunID: "r1", Attempt: ledgertest.Attempt, ListID: 1, Sent: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			run := schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r1"}
			if err := l.Root.WriteJSON(t.Context(), ledgertest.PendingKey(run, ledgertest.Attempt), left); err != nil {
				t.Fatal(err)
			}
			if err := l.Absorb(t.Context(), run, ledgertest.Export, 2, nil); err != nil {
				t.Fatal(err)
			}
			l.LastStaged = func(context.Context, schemas.RunRef) (*schemas.Staged, error) {
				return &schemas.Staged{Attempt: ledgertest.Attempt, Sending: true}, nil
			}
			if got, err := ledger.Behind(l, t.Context(), run, nil, nil); got || err != nil {
				t.Errorf("behind is %v, %v", got, err)
			}
		})
	}
}
