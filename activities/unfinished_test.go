package activities

import (
	"errors"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

var springExport = schemas.Export{Name: "Spring", Connection: "sandbox", Email: "Mail", Fields: schemas.Fields{All: true}, Settings: schemas.Settings{OnInvalid: schemas.InvalidReject}}

// remembers writes a snapshot of one member, and gives its path.
func (b *bench) remembers(t *testing.T, run schemas.RunRef, list int64, address string) string {
	t.Helper()
	u := snapshot.NewUpdate(nil, 0)
	m := member(address)
	if err := u.Put(&m); err != nil {
		t.Fatal(err)
	}
	if err := b.publish(t.Context(), run, u, nil, header(run, springExport, list, schemas.ProjectEmail)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(b.dir, filepath.FromSlash(snapshotKey(run, schemas.SnapshotFile)))
}

func member(address string) snapshot.Member {
	return snapshot.Member{Key: batch.KeyHash([]byte(address), nil, schemas.ProjectEmail), Fields: 1, Email: []byte(address)}
}

// leftBehind leaves what a run does that was ended while it sent somebody.
func (b *bench) leftBehind(t *testing.T, run schemas.RunRef, list int64, address string) {
	t.Helper()
	file, err := b.Root.Create(t.Context(), path.Join(schemas.StagingDir(run), schemas.AddsFile))
	if err != nil {
		t.Fatal(err)
	}
	w, err := batch.NewWriter(file, limits(schemas.Limits{}), batch.Options{Body: batch.BodyOptions{ListID: list}})
	m := member(address)
	if err == nil {
		err = w.Append(batch.Profile{Email: m.Email, Key: m.Key, Fields: m.Fields})
	}
	for _, end := range []func() error{w.Close, file.Close} {
		if err == nil {
			err = end()
		}
	}
	if err == nil {
		err = b.announce(t.Context(), run, list)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// members are the addresses that the snapshot has.
func (b *bench) members(t *testing.T, run schemas.RunRef, list int64) map[string]bool {
	t.Helper()
	o, err := b.readSnapshot(t.Context(), run, header(run, springExport, list, schemas.ProjectEmail))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	found := map[string]bool{}
	if err := o.Each(t.Context(), func(m *snapshot.Member) error { found[string(m.Email)] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAnUnfinishedRunIsAddedToTheSnapshot: whoever it may have put on the list
// joins those who are known. A snapshot that is only out of reach is waited for, one
// that is damaged is given up.
func TestAnUnfinishedRunIsAddedToTheSnapshot(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	file := b.remembers(t, before, 7, "ann@example.com")
	b.leftBehind(t, before, 7, "bob@example.com")

	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil { // can be opened, and not read
		t.Fatal(err)
	}
	if err := b.absorb(t.Context(), run, springExport, 7); err == nil {
		t.Error("a snapshot that can't be read was passed over")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	if err := b.absorb(t.Context(), run, springExport, 7); err != nil {
		t.Fatal(err)
	}
	if m := b.members(t, run, 7); len(m) != 2 || !m["ann@example.com"] || !m["bob@example.com"] {
		t.Errorf("known are %v", m)
	}

	b.leftBehind(t, before, 7, "eve@example.com")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(ipc.Magic)+200] ^= 1 // in the first batch
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.absorb(t.Context(), run, springExport, 7); err != nil {
		t.Fatalf("a damaged snapshot: %v", err)
	}
	if m := b.members(t, run, 7); len(m) != 1 || !m["eve@example.com"] {
		t.Errorf("known are %v", m)
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
	seg, err := b.inspect(t.Context(), springExport, s, nil)
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

// TestAStartOverForgetsWhatWasRefused: whom Iterable refused before the run started
// over has been sent again since, and may have been taken.
func TestAStartOverForgetsWhatWasRefused(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	stale := path.Join(schemas.StagingDir(run), refusedDir, "subscribe-000000000.jsonl")
	if err := b.Root.Write(t.Context(), stale, []byte(`{"key":"00"}`+"\n")); err != nil {
		t.Fatal(err)
	}
	b.stage(t, run, map[string]float64{"ann@example.com": 1})
	if left, err := b.readRefusals(t.Context(), run); err != nil || len(left) > 0 {
		t.Errorf("%d refusals are left, %v", len(left), err)
	}
}

// TestABadValueTakesNobodyOffTheList: somebody whose row can't be sent has not left
// the segment.
func TestABadValueTakesNobodyOffTheList(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	b.remembers(t, run, 7, "ann@example.com")
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
	writeRecord(t, file, build.NewRecord())
}

// TestARunThatEndsEarlyForgetsNobody: it ends before it knows its list, and an
// earlier one may have put somebody on it.
func TestARunThatEndsEarlyForgetsNobody(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.CloseRun, activity.RegisterOptions{Name: schemas.ActivityCloseRun})
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	b.remembers(t, before, 7, "ann@example.com")
	b.leftBehind(t, before, 7, "bob@example.com")
	in := schemas.CloseInput{Run: run, Export: springExport, Segment: schemas.Segment{Name: "High-value"}, Report: schemas.ExportReport{State: schemas.StateAborted}}
	if _, err := b.env.ExecuteActivity(schemas.ActivityCloseRun, in); err != nil {
		t.Fatal(err)
	}
	if m := b.members(t, run, 7); len(m) != 2 || !m["bob@example.com"] {
		t.Errorf("known are %v", m)
	}
}

// TestWhoIsNotSureToBeOnTheListIsSentAgain, and who is not sure to be off it is kept.
func TestWhoIsNotSureToBeOnTheListIsSentAgain(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.CommitSnapshot, activity.RegisterOptions{Name: schemas.ActivityCommitSnapshot})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	people := map[string]float64{"ann@example.com": 1}
	b.remembers(t, run, 7, "bob@example.com")
	m := b.stage(t, schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}, people)
	if m.Adds != 1 || m.Removals != 1 {
		t.Fatalf("%+v", m)
	}
	run.RunID = "r2"
	for kind, name := range map[string]string{schemas.Subscribe: schemas.AddsFile, schemas.Unsubscribe: schemas.RemovesFile} {
		staged, err := b.openStaged(t.Context(), path.Join(schemas.StagingDir(run), name))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := staged.batch(0)
		if err == nil {
			err = b.writeRefusals(t.Context(), run, kind, 0, rows, []refusal{{row: 0, unsure: true}})
			rows.Release()
		}
		staged.close()
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
	if m = b.stage(t, run, people); m.Updates != 1 || m.Adds != 0 || m.Removals != 1 || m.Unchanged != 0 {
		t.Errorf("%+v", m)
	}

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

// TestARepeatForgetsWhatWasRefused: an earlier try of a batch may have been refused
// people whom this one was not.
func TestARepeatForgetsWhatWasRefused(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	in := schemas.UploadInput{Run: run, Kind: schemas.Subscribe, First: 100, End: 200}
	if err := b.writeRefusals(t.Context(), run, schemas.Subscribe, 150, twoPeople(t), []refusal{{row: 1, reason: schemas.ReasonIterableConflict}}); err != nil {
		t.Fatal(err)
	}
	for _, other := range []schemas.UploadInput{{Run: run, Kind: schemas.Unsubscribe, First: 100, End: 200}, {Run: run, Kind: schemas.Subscribe, First: 200, End: 300}} {
		if found, err := b.refusedBatches(t.Context(), other); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
	}
	found, err := b.refusedBatches(t.Context(), in)
	if err != nil || len(found) != 1 || !found[150] {
		t.Fatalf("%v, %v", found, err)
	}
	if err := b.writeRefusals(t.Context(), run, schemas.Subscribe, 150, nil, nil); err != nil {
		t.Fatal(err)
	}
	if left, err := b.readRefusals(t.Context(), run); err != nil || len(left) > 0 {
		t.Errorf("%d refusals are left, %v", len(left), err)
	}
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
