package ledger_test

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// forgets removes a person from the data root.
func forgets(t *testing.T, l *ledger.Ledger, address string) people.ForgetAnswer {
	t.Helper()
	who, _ := people.Parse(address)
	out, err := people.Place{Root: l.Root}.Forget(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestForgettingIsNoRun: a snapshot without a forgotten person is not taken for a run's, neither
// for one that Temporal does not know nor instead of one that a backup lacks.
func TestForgettingIsNoRun(t *testing.T) {
	l := newLedger(t)
	run := schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r2"}
	ledgertest.Remember(t, l, run, 1, "ada@example.com") // version 1
	ledgertest.Remember(t, l, run, 1, "bob@example.com")
	var last schemas.Staged
	l.LastStaged = func(context.Context, schemas.RunRef) (*schemas.Staged, error) { return &last, nil }
	stale := func(what string, s schemas.Staged, want bool) {
		t.Helper()
		last = s
		h, err := l.Header(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ledger.Behind(l, t.Context(), run, h, nil); got != want || err != nil {
			t.Errorf("%s: stale is %v, %v", what, got, err)
		}
	}
	committed, next := schemas.Staged{Version: 1, Sending: true, Sent: true, Committed: true}, schemas.Staged{Version: 2, Sending: true, Sent: true, Committed: true}
	stale("committed", committed, false)
	stale("restored from before the last run", next, true)
	if out := forgets(t, l, "bob@example.com"); !out.Complete() || len(out.Lists) != 1 {
		t.Fatalf("%+v", out)
	}
	stale("committed, then forgotten", committed, false)
	stale("restored, then forgotten", next, true)
	stale("staged after that, and sent nothing", schemas.Staged{Version: 3}, false)
	stale("restored from before a run that was after that", schemas.Staged{Version: 3, Sending: true, Sent: true, Committed: true}, true)
	stale("restored from before two runs that were after that", schemas.Staged{Version: 4, Sending: true}, true)

	ledgertest.Remember(t, l, run, 1, "eve@example.com") // a run again
	h, err := l.Header(t.Context(), run)
	if err != nil || h.Base != 0 {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestForgettingBesideARun: a run that has not finished is left alone. Its members do not come
// back once it has, and a run that was staged before does not go on.
func TestForgettingBesideARun(t *testing.T) {
	l := newLedger(t)
	run := schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r2"}
	ledgertest.Remember(t, l, run, 1, "bob@example.com")
	ledgertest.LeaveBehind(t, l, run, 1, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"ann@example.com", "eve@example.com"}, Answered: 2, Begun: true})
	out := forgets(t, l, "bob@example.com")
	if out.Complete() || len(out.Files) > 0 || len(out.Unfinished) != 1 || out.Unfinished[0].RunID != "r2" || out.Unfinished[0].Export != "Spring" {
		t.Errorf("beside a run: %+v", out)
	}
	if err := l.Absorb(t.Context(), run, ledgertest.Export, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Discard(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if out = forgets(t, l, "ann@example.com"); !out.Complete() || len(out.Lists) != 1 {
		t.Errorf("after it: %+v", out)
	}
	got := slices.Sorted(maps.Keys(ledgertest.Entries(t, l, run, 1)))
	if !slices.Equal(got, []string{"bob@example.com", "eve@example.com"}) {
		t.Errorf("the snapshot has %v", got)
	}
	// One that was staged just before that may not send.
	err := l.AnnounceSending(t.Context(), schemas.UploadInput{Run: run, Attempt: "a", ListID: 1, SnapshotVersion: 2})
	if err == nil || !strings.Contains(err.Error(), "another run has changed the list") {
		t.Errorf("sending after a deletion: %v", err)
	}

	// The marker of a deletion that was killed stops nobody, and changes nothing.
	marker := ledger.Key(run, dataroot.PendingPrefix+"forget-X.json")
	if err := l.Root.WriteJSON(t.Context(), marker, struct{}{}); err != nil {
		t.Fatal(err)
	}
	found, err := l.Unfinished(t.Context(), run)
	if _, ok := found[marker]; !ok || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	if err := l.Absorb(t.Context(), run, ledgertest.Export, 0, nil); err != nil {
		t.Fatal(err)
	}
	if entries := ledgertest.Entries(t, l, run, 1); len(entries) != 2 || entries["eve@example.com"] < snapshot.Reserved {
		t.Errorf("%v", entries)
	}
	if files, err := l.Root.List(t.Context(), path.Dir(marker)); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}
