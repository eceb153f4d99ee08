package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/arrowfile/arrowtest"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

var springExport = ledgertest.Export

// TestAnOldComparisonSendsNothing: a run is reset in Temporal to where it was about to send,
// after another one has changed the list.
func TestAnOldComparisonSendsNothing(t *testing.T) {
	s := sandbox.New(sandbox.Config{Fast: true})
	b := newBench(t, s)
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	ledgertest.Remember(t, b.Ledger(), run, 7, "eve@example.com")
	ledgertest.LeaveBehind(t, b.Ledger(), run, 7, ledgertest.Sent{Kind: schemas.Unsubscribe, People: []string{"eve@example.com"}})
	ledgertest.Remember(t, b.Ledger(), schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}, 7, "eve@example.com")
	in := schemas.UploadInput{
		Run: run, Connection: schemas.ConnectionInfo{Name: "sandbox"}, ListID: 7, Kind: schemas.Unsubscribe, End: 1, Attempt: ledgertest.Attempt, SnapshotVersion: 1,
	}
	_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, in)
	isOfType(t, err, schemas.ErrorStaging)
	if n := s.Stats(false).Endpoints["lists/unsubscribe"].Requests; n > 0 || err == nil || !strings.Contains(err.Error(), "another run has changed the list") {
		t.Errorf("%d requests, %v", n, err)
	}
}

// TestWhoIsNotSureToBeOnTheListCountsForNothing: additions without an answer neither make
// removals look few nor are removed themselves.
func TestWhoIsNotSureToBeOnTheListCountsForNothing(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	ledgertest.Remember(t, b.Ledger(), before, 7, "ann@example.com")
	var strangers []string
	people := map[string]float64{}
	for i := range 25 {
		strangers = append(strangers, fmt.Sprintf("p%d@example.com", i))
		people[strangers[i]] = 1
	}
	ledgertest.LeaveBehind(t, b.Ledger(), before, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: strangers, Begun: true})
	m := b.stage(t, schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}, people)
	if m.Members != 1 || m.Removals != 1 || m.Adds != 25 || m.Updates != 0 {
		t.Errorf("with them in the segment: %+v", m)
	}
	m = b.stage(t, schemas.RunRef{Export: "Spring", RunID: "r3", Segment: "High-value"}, map[string]float64{"ann@example.com": 1})
	if m.Members != 1 || m.Removals != 0 || m.Unconfirmed != 25 {
		t.Errorf("without them: %+v", m)
	}
}

// TestNothingIsSentToAListThatWasHandedOver: another export has taken it since the run asked
// for it. The answers that only Temporal has, of an attempt whose worker was killed, are stored
// all the same: the run starts over, and must know whom it has added.
func TestNothingIsSentToAListThatWasHandedOver(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	list := iterable.List{ID: 7}
	in := schemas.UploadInput{Run: run, Connection: schemas.ConnectionInfo{Name: "sandbox"}, ListID: 7, ListOwner: ownerName(list), Kind: schemas.Subscribe, End: 2, Attempt: ledgertest.Attempt,
		Resume: &schemas.UploadProgress{Next: 1, Counts: schemas.UploadCounts{Sent: 1}}}
	ledgertest.LeaveBehind(t, b.Ledger(), run, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"ann@example.com", "bob@example.com"}, Begun: true})
	claim := func(export string) {
		t.Helper()
		if err := b.Root.DeletePrefix(t.Context(), dataroot.ListOwners); err != nil {
			t.Fatal(err)
		}
		o := ownership{Activities: b.Activities, in: schemas.EnsureListInput{Run: schemas.RunRef{Export: export, Segment: run.Segment}, Connection: "sandbox"}}
		if _, err := o.claim(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	upload := func(want string) {
		t.Helper()
		_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, in)
		isOfType(t, err, schemas.ErrorStaging)
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
	}
	claim("Autumn")
	upload("was handed over to segment \"High-value\" of export \"Autumn\"")
	if err := b.Ledger().Absorb(t.Context(), run, springExport, 7, nil); err != nil {
		t.Fatal(err)
	}
	ledgertest.SameEntries(t, b.Ledger(), run, 7, map[string]uint64{"ann@example.com": 100, "bob@example.com": snapshot.Unconfirmed})
	claim("Spring")
	if err := b.Ledger().Discard(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	upload("missing")
	if n := b.sandbox.Stats(false).Endpoints["lists/subscribe"].Requests; n > 0 {
		t.Errorf("%d requests", n)
	}
}

// TestAnUploadThatMayNotBeginLeavesNoTrace: ann came onto a suppression list while the run waited
// for a person. Nothing was sent, so nobody counts as perhaps added: ann would be removed from a
// list that she was never on, by a request with her address.
func TestAnUploadThatMayNotBeginLeavesNoTrace(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	ledgertest.LeaveBehind(t, b.Ledger(), run, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"ann@example.com", "bob@example.com"}})
	never := t.TempDir()
	writeIdentities(t, filepath.Join(never, "never.arrow"), []identity{{email: "ann@example.com"}})
	c := b.Activities.Connections.(oneConnection).c
	c.Suppress = []schemas.Suppression{{Name: "Never", Source: never, Email: "Mail"}}
	b.Activities.Connections = oneConnection{c}
	for name, staged := range map[string][]schemas.SuppressionCount{"the first list": nil, "a changed list": {{Name: "Never", Fingerprint: "before"}}} {
		_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, schemas.UploadInput{
			Run: run, Connection: schemas.ConnectionInfo{Name: "sandbox"}, ListID: 7, Kind: schemas.Subscribe, End: 2, Attempt: ledgertest.Attempt,
			Waited: true, Suppression: staged,
		})
		if isOfType(t, err, schemas.ErrorSuppressionChanged); b.sandbox.Stats(false).Endpoints["lists/subscribe"].Requests > 0 {
			t.Fatalf("%s: ann was sent", name)
		}
	}
	ledgertest.Remember(t, b.Ledger(), run, 7, "eve@example.com")
	if err := b.Ledger().Absorb(t.Context(), run, springExport, 7, nil); err != nil {
		t.Fatal(err)
	}
	ledgertest.SameEntries(t, b.Ledger(), run, 7, map[string]uint64{"eve@example.com": 100})
}

// TestStagingAnnouncesItself before anything else, so that a run that follows knows of it
// whatever becomes of it.
func TestStagingAnnouncesItself(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	var changed []string
	b.Root.Around = func(_ context.Context, key string, _, do func() error) error {
		changed = append(changed, key)
		return do()
	}
	m := b.stage(t, run, map[string]float64{"ann@example.com": 1})
	if changed[0] != ledgertest.PendingKey(run, m.Attempt) {
		t.Errorf("the first change is %s", changed[0])
	}
	left, err := b.Ledger().Unfinished(t.Context(), run)
	if p := left[ledgertest.PendingKey(run, m.Attempt)]; err != nil || len(left) != 1 || p.Execution == "" || p.ListID != 7 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestAListThatCameBackIsSentInFull: another export may have changed it meanwhile, also if
// the first run after that came to nothing, and if no run has come to its end at all.
func TestAListThatCameBackIsSentInFull(t *testing.T) {
	t.Run("after a run", func(t *testing.T) { listThatCameBack(t, true) })
	t.Run("after none", func(t *testing.T) { listThatCameBack(t, false) })
}

func listThatCameBack(t *testing.T, done bool) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	if done {
		ledgertest.Remember(t, b.Ledger(), before, 7, "ann@example.com")
	}
	other := schemas.RunRef{Export: "Autumn", RunID: "r3", Segment: "High-value"}
	for _, who := range []schemas.RunRef{other, run} {
		o := ownership{Activities: b.Activities, in: schemas.EnsureListInput{Run: who, Connection: "sandbox"}, deployment: "d"}
		_, err := o.claim(t.Context(), iterable.List{ID: 7})
		var asks *temporal.ApplicationError
		if errors.As(err, &asks) {
			o.in.TakeFrom = asks.Message()
			_, err = o.claim(t.Context(), iterable.List{ID: 7})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ledgertest.LeaveBehind(t, b.Ledger(), before, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"bob@example.com"}, Answered: 1, Begun: true})
	if err := b.Ledger().Absorb(t.Context(), run, springExport, 7, nil); err != nil {
		t.Fatal(err)
	}
	in := schemas.StageInput{Run: run, Export: springExport, Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: schemas.ProjectEmail}, ListID: 7}
	// The export that the list was taken from does not settle the handover, nor end as if it
	// still had the list.
	late := in
	late.Run, late.ListOwner = other, ownerName(iterable.List{ID: 7})
	name, err := b.handover(t.Context(), late)
	isOfType(t, err, schemas.ErrorStaging)
	if name != "" {
		t.Error(name)
	}
	for owner, full := range map[string]bool{"": false, ownerName(iterable.List{ID: 7}): true} {
		in.ListOwner = owner
		c, err := b.compareWith(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if c.Full != full {
			t.Errorf("owner record %q: full %v, want %v (%v)", owner, c.Full, full, c.Warnings)
		}
	}
}

// stage stages people with a value each, over a connection that may read them.
func (b *bench) stage(t *testing.T, run schemas.RunRef, people map[string]float64) schemas.Manifest {
	t.Helper()
	source := filepath.Join(t.TempDir(), "people.arrow")
	b.source = source
	writePeople(t, source, people)
	b.Activities.Connections = oneConnection{schemas.Connection{Name: "sandbox", AllowedSources: []string{filepath.Dir(source)}}}
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	s := schemas.Segment{Name: "High-value", Source: source}
	seg, err := b.inspect(t.Context(), springExport, s, time.Now(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.env.ExecuteActivity(schemas.ActivityStageSegment, schemas.StageInput{
		Run: run, Export: springExport, Segment: s, Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: schemas.ProjectEmail},
		Info: seg.Info(), ListID: 7,
	})
	var m schemas.Manifest
	if err == nil {
		err = v.Get(&m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAStartOverBeginsAfresh: a person that Iterable refused before the run started over has been
// sent again since, and may have been taken; what was acknowledged before is known.
func TestAStartOverBeginsAfresh(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	ledgertest.LeaveBehind(t, b.Ledger(), run, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"bob@example.com"}, Answered: 1, Begun: true})
	m := b.stage(t, run, map[string]float64{"ann@example.com": 1})
	if m.Adds != 1 || m.Removals != 1 || m.Members != 1 {
		t.Errorf("%+v", m)
	}
	files, err := b.Root.List(t.Context(), dataroot.StagingDir(run))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.Contains(f.Name, ledgertest.Attempt) {
			t.Errorf("%s is left of the earlier start", f.Name)
		}
	}
}

// TestStagedFilesOfALateAttemptReplaceNone: an attempt that was abandoned may write its files after
// the one that replaced it.
func TestStagedFilesOfALateAttemptReplaceNone(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	m := b.stage(t, run, map[string]float64{"ann@example.com": 1})
	adds := path.Join(dataroot.StagedDir(run, m.Attempt), ledger.StagedName(schemas.Subscribe))
	before, err := b.Root.Read(t.Context(), adds)
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.LeaveBehind(t, b.Ledger(), run, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"bob@example.com"}, Begun: true})
	if after, err := b.Root.Read(t.Context(), adds); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the staged file has changed, %v", err)
	}
}

// TestABadValueTakesNobodyOffTheList: somebody whose row can't be sent has not left
// the segment.
func TestABadValueTakesNobodyOffTheList(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	ledgertest.Remember(t, b.Ledger(), run, 7, "ann@example.com")
	m := b.stage(t, run, map[string]float64{"ann@example.com": math.NaN(), "eve@example.com": math.NaN(), "bob@example.com": 1})
	if m.Removals != 0 || m.Adds != 1 || m.Rejected[schemas.ReasonInvalidValue] != 2 || m.Members != 1 {
		t.Errorf("%+v", m)
	}
	if m = b.stage(t, run, map[string]float64{"bob@example.com": 1}); m.Removals != 1 {
		t.Errorf("who has left the segment: %+v", m)
	}
}

func writePeople(t *testing.T, file string, people map[string]float64) {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "Mail", Type: arrow.BinaryTypes.String}, {Name: "Value", Type: arrow.PrimitiveTypes.Float64}}, nil)
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer build.Release()
	for who, value := range people {
		build.Field(0).(*array.StringBuilder).Append(who)
		build.Field(1).(*array.Float64Builder).Append(value)
	}
	arrowtest.Write(t, file, build.NewRecord())
}

// TestARunThatEndsEarlyForgetsNobody: it ends before it knows its list, and an
// earlier one may have put somebody on it, which the next run takes into account.
func TestARunThatEndsEarlyForgetsNobody(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.CloseRun, activity.RegisterOptions{Name: schemas.ActivityCloseRun})
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	ledgertest.Remember(t, b.Ledger(), before, 7, "ann@example.com")
	ledgertest.LeaveBehind(t, b.Ledger(), before, 7, ledgertest.Sent{Kind: schemas.Subscribe, People: []string{"bob@example.com"}, Answered: 1, Begun: true})
	in := schemas.CloseInput{Run: run, Export: springExport, Segment: schemas.Segment{Name: "High-value"}, Report: schemas.ExportReport{State: schemas.StateAborted}}
	if _, err := b.env.ExecuteActivity(schemas.ActivityCloseRun, in); err != nil {
		t.Fatal(err)
	}
	ledgertest.SameEntries(t, b.Ledger(), run, 7, map[string]uint64{"ann@example.com": 100})
	if err := b.Ledger().Absorb(t.Context(), run, springExport, 7, nil); err != nil {
		t.Fatal(err)
	}
	ledgertest.SameEntries(t, b.Ledger(), run, 7, map[string]uint64{"ann@example.com": 100, "bob@example.com": 100})
}

// TestWhoIsNotSureToBeOnTheListIsSentAgain, and who is not sure to be off it is kept.
func TestWhoIsNotSureToBeOnTheListIsSentAgain(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.CommitSnapshot, activity.RegisterOptions{Name: schemas.ActivityCommitSnapshot})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	people := map[string]float64{"ann@example.com": 1}
	ledgertest.Remember(t, b.Ledger(), run, 7, "bob@example.com")
	m := b.stage(t, schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}, people)
	if m.Adds != 1 || m.Removals != 1 {
		t.Fatalf("%+v", m)
	}
	run.RunID = "r2"
	for _, kind := range []string{schemas.Subscribe, schemas.Unsubscribe} {
		in := schemas.UploadInput{Run: run, Attempt: m.Attempt, Kind: kind, End: 1}
		staged, err := b.Ledger().OpenStaged(t.Context(), path.Join(dataroot.StagedDir(run, m.Attempt), ledger.StagedName(kind)))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := staged.Batch(0)
		if err == nil {
			err = b.Ledger().WriteRefusals(t.Context(), in, 0, rows, []ledger.Refusal{{Row: 0, Unsure: true}})
			rows.Release()
		}
		staged.Close()
		if err == nil {
			err = b.Ledger().WriteAnswered(t.Context(), in, "1", schemas.UploadProgress{Next: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	in := schemas.CommitInput{Run: run, Export: springExport, Segment: schemas.Segment{Name: "High-value"},
		Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: schemas.ProjectEmail},
		Report:     schemas.ExportReport{ListID: 7, Manifest: m, State: schemas.StateDone}}
	v, err := b.env.ExecuteActivity(schemas.ActivityCommitSnapshot, in)
	var report schemas.ExportReport
	if err == nil {
		err = v.Get(&report)
	}
	if err != nil || report.Rejects != "" {
		t.Fatalf("%+v, %v", report, err)
	}
	run.RunID = "r3"
	if m = b.stage(t, run, people); m.Updates != 0 || m.Adds != 1 || m.Removals != 1 || m.Unchanged != 0 || m.Members != 1 {
		t.Errorf("%+v", m)
	}

	// What it staged after a reset in Temporal is not held to be published.
	reset := in
	reset.Run.RunID, reset.Report.Manifest.Attempt = "r2", ledgertest.Attempt
	_, err = b.env.ExecuteActivity(schemas.ActivityCommitSnapshot, reset)
	isOfType(t, err, schemas.ErrorStaging)

	// A run that was done is not done again when Temporal is made to begin it anew.
	run.RunID = "r2"
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: "again"})
	_, err = b.env.ExecuteActivity("again", schemas.StageInput{Run: run, Export: springExport, Segment: schemas.Segment{Name: "High-value", Source: b.source},
		Connection: in.Connection, ListID: 7})
	isOfType(t, err, schemas.ErrorStaging)
	if err != nil && !strings.Contains(err.Error(), "was done already") {
		t.Error(err)
	}
}

// TestAFailedCommitCancelsThePublishing: the record takes until it is cancelled, here.
func TestAFailedCommitCancelsThePublishing(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.CommitSnapshot, activity.RegisterOptions{Name: schemas.ActivityCommitSnapshot})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	m := b.stage(t, run, map[string]float64{"ann@example.com": 1})
	up := schemas.UploadInput{Run: run, Attempt: m.Attempt, Kind: schemas.Subscribe, End: 1}
	if err := b.Ledger().WriteAnswered(t.Context(), up, "1", schemas.UploadProgress{Next: 1}); err != nil {
		t.Fatal(err)
	}
	ledgertest.Remember(t, b.Ledger(), run, 7, "bob@example.com") // so that the snapshot is another one
	b.Root.Around = func(ctx context.Context, key string, _, do func() error) error {
		if path.Base(key) != dataroot.RowsFile {
			return do()
		}
		<-ctx.Done()
		return ctx.Err()
	}
	_, err := b.env.ExecuteActivity(schemas.ActivityCommitSnapshot, schemas.CommitInput{Run: run, Export: springExport, Segment: schemas.Segment{Name: "High-value"},
		Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: schemas.ProjectEmail},
		Report:     schemas.ExportReport{ListID: 7, Manifest: m, State: schemas.StateDone}})
	isOfType(t, err, schemas.ErrorStaging)
}

// TestAnUploadThatCannotBeginKeepsItsProgress.
func TestAnUploadThatCannotBeginKeepsItsProgress(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, schemas.UploadInput{
		Run:        schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"},
		Connection: schemas.ConnectionInfo{Name: "sandbox", Host: "elsewhere.example.com"}, ListID: 1, Kind: schemas.Subscribe, End: 100,
		Resume: &schemas.UploadProgress{Next: 40, Done: []int{42}, Counts: schemas.UploadCounts{Sent: 41_000}},
	})
	isOfType(t, err, schemas.ErrorNoConnection)
	var app *temporal.ApplicationError
	var p schemas.UploadProgress
	if !errors.As(err, &app) || app.Details(&p) != nil || p.Next != 40 || len(p.Done) != 1 || p.Counts.Sent != 41_000 {
		t.Errorf("%+v of %v", p, err)
	}
}
