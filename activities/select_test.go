package activities

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/arrowfile/arrowtest"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// selected is what staging made of a segment: the rows to add as address, row and fields, and
// how many rows have each reason.
type selected struct {
	adds, counts string
	manifest     schemas.Manifest
}

// selecting stages rows, which are JSON of the fields.
func selecting(t *testing.T, export schemas.Export, segment schemas.Segment, fields []arrow.Field, rows string) selected {
	t.Helper()
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	half := rec.NumRows() / 2 // so that rows of two files compete
	arrowtest.Write(t, filepath.Join(folder, "a.arrow"), rec.NewSlice(0, half))
	arrowtest.Write(t, filepath.Join(folder, "b.arrow"), rec.NewSlice(half, rec.NumRows()))
	b.Activities.Connections = oneConnection{schemas.Connection{Name: "sandbox", AllowedSources: []string{folder}}}
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	export.Name, export.Connection, export.Email = "Spring", "sandbox", "Mail"
	segment.Name, segment.Source = "High-value", folder
	seg, err := b.inspect(t.Context(), export, segment, time.Now(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	v, err := b.env.ExecuteActivity(schemas.ActivityStageSegment, schemas.StageInput{
		Run: run, Export: export, Segment: segment, Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: schemas.ProjectEmail},
		Info: seg.Info(), Began: time.Now(), ListID: 7,
	})
	var out selected
	if err == nil {
		err = v.Get(&out.manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := out.manifest
	out.adds, out.counts = addsOf(t, b, run, m, half)
	rejected := int64(0)
	for _, n := range m.Rejected {
		rejected += n
	}
	if sum := m.Adds + m.Duplicates + m.Filtered + rejected; m.Read != rec.NumRows() || sum != m.Read {
		t.Errorf("%d rows, %d read, %d accounted for", rec.NumRows(), m.Read, sum)
	}
	return out
}

// addsOf returns the rows to add and the counts of a manifest, as in selected. half is how many
// rows the first file has.
func addsOf(t *testing.T, b *bench, run schemas.RunRef, m schemas.Manifest, half int64) (_, _ string) {
	t.Helper()
	file, err := b.Ledger().OpenStaged(t.Context(), path.Join(dataroot.StagedDir(run, m.Attempt), dataroot.AddsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var adds []string
	for k := range m.AddBatches {
		one, err := file.Batch(k)
		if err != nil {
			t.Fatal(err)
		}
		for i := range one.Len() {
			adds = append(adds, strings.TrimSpace(fmt.Sprintf("%s@%d %s", strings.TrimSuffix(string(one.Email(i)), "@example.com"), int64(one.File(i))*half+one.Row(i), one.DataFields(i))))
		}
	}
	counts := map[schemas.Reason]int64{"duplicate": m.Duplicates, "filtered": m.Filtered}
	maps.Copy(counts, m.Rejected)
	var words []string
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		if counts[r] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[r], r))
		}
	}
	return strings.Join(adds, ", "), strings.Join(words, ", ")
}

func TestDedupeChoosesTheRow(t *testing.T) {
	fields := []arrow.Field{
		{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "N", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "At", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true}, {Name: "Keep", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	}
	rows := `[
		{"Mail":"ann@example.com","N":0,"At":"2026-03-02","Keep":true},
		{"Mail":"bob@example.com","N":1,"At":"2026-03-01","Keep":true},
		{"Mail":"eve@example.com","N":2,"At":null,"Keep":true},
		{"Mail":"no address","N":3,"At":"2026-03-09","Keep":true},
		{"Mail":"ANN@example.com","N":4,"At":"2026-03-03","Keep":true},
		{"Mail":"ann@example.com","N":5,"At":"2026-03-01","Keep":true},
		{"Mail":"ann@example.com","N":6,"At":"2026-03-03","Keep":true},
		{"Mail":"eve@example.com","N":7,"At":"1815-12-10","Keep":true},
		{"Mail":"ann@example.com","N":8,"At":"2026-03-30","Keep":false}]`
	where := schemas.Segment{Where: &schemas.Condition{Column: "Keep", Is: new(bool)}}
	*where.Where.Is = true
	for _, c := range []struct {
		dedupe       schemas.Dedupe
		segment      schemas.Segment
		adds, counts string
	}{
		{schemas.Dedupe{}, schemas.Segment{}, "ann@0, bob@1, eve@2", "5 duplicate, 1 syntax"},
		{schemas.Dedupe{By: "At", Keep: schemas.KeepNewest}, where, "bob@1, ann@4, eve@7", "4 duplicate, 1 filtered, 1 syntax"},
		{schemas.Dedupe{By: "At", Keep: schemas.KeepNewest}, schemas.Segment{}, "bob@1, eve@7, ann@8", "5 duplicate, 1 syntax"},
		{schemas.Dedupe{By: "At", Keep: schemas.KeepOldest}, where, "bob@1, ann@5, eve@7", "4 duplicate, 1 filtered, 1 syntax"},
		{schemas.Dedupe{By: "N", Keep: schemas.KeepNewest}, where, "bob@1, ann@6, eve@7", "4 duplicate, 1 filtered, 1 syntax"},
		{schemas.Dedupe{Keep: schemas.KeepNone}, where, "bob@1", "6 ambiguous, 1 filtered, 1 syntax"},
	} {
		got := selecting(t, schemas.Export{Settings: schemas.Settings{Dedupe: c.dedupe}}, c.segment, fields, rows)
		if got.adds != c.adds || got.counts != c.counts {
			t.Errorf("%+v: %s; %s, want %s; %s", c.dedupe, got.adds, got.counts, c.adds, c.counts)
		}
	}
	// The column that decides is not sent unless it is mapped.
	got := selecting(t, schemas.Export{Fields: schemas.Fields{List: []schemas.Field{{Column: "N"}}}, Settings: schemas.Settings{Dedupe: schemas.Dedupe{By: "N", Keep: schemas.KeepNewest}}}, where, fields, rows)
	if got.adds != `bob@1 {"N":1}, ann@6 {"N":6}, eve@7 {"N":7}` {
		t.Errorf("with fields: %s", got.adds)
	}
}

func TestFieldsAreConstantsAndTransformed(t *testing.T) {
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	fields := []arrow.Field{
		{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "First", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "City", Type: dict, Nullable: true}, {Name: "Spend", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	}
	rows := `[
		{"Mail":"ann@example.com","First":"  anne-MARIE  o'brien ","City":" oslo","Spend":7},
		{"Mail":"bob@example.com","First":"  ","City":null,"Spend":null},
		{"Mail":"eve@example.com","First":null,"City":"ÅLESUND","Spend":0}]`
	f := []schemas.Field{
		{Column: "First", As: "firstName", Transform: []string{"collapseSpaces", "titleCase", "emptyToNull"}, Default: `"there"`},
		{Column: "City", Transform: []string{"trim", "upperCase"}, Nulls: schemas.NullsSend},
		{Column: "Spend", Default: "-1"},
		{Value: `"2026-spring"`, As: "campaign"}, {Value: "true", As: "vip"}, {Value: "2.5", As: "weight"},
	}
	rest := `"campaign":"2026-spring","vip":true,"weight":2.5}`
	got := selecting(t, schemas.Export{Fields: schemas.Fields{List: f}}, schemas.Segment{}, fields, rows)
	want := `ann@0 {"firstName":"Anne-Marie O'brien","City":"OSLO","Spend":7,` + rest +
		`, bob@1 {"firstName":"there","City":null,"Spend":-1,` + rest + `, eve@2 {"firstName":"there","City":"ÅLESUND","Spend":0,` + rest
	if got.adds != want {
		t.Errorf("\n got %s\nwant %s", got.adds, want)
	}
}
