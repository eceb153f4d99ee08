package activities

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

var springExport = schemas.Export{Name: "Spring", Connection: "sandbox", Email: "Mail", Fields: schemas.Fields{All: true}}

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
	b := newBench(t, sandbox.New(sandbox.Config{}))
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
	writePeople(t, source, people)
	b.Activities.Connections = oneConnection{schemas.Connection{Name: "sandbox", AllowedSources: []string{filepath.Dir(source)}}}
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	s := schemas.Segment{Name: "High-value", Source: source}
	seg, err := b.inspect(t.Context(), springExport, s)
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
	b := newBench(t, sandbox.New(sandbox.Config{}))
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
	b := newBench(t, sandbox.New(sandbox.Config{}))
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
