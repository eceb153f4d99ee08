package activities

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/arrowfile/arrowtest"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/staging"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// stageDivided divides a segment and stages its parts.
func stageDivided(t testing.TB, w *bench, in schemas.StageInput, seg *segment.Segment) {
	t.Helper()
	var read atomic.Int64
	divided, err := staging.Divide(t.Context(), w.Ledger(), schemas.DivideInput{
		Run: in.Run, Export: in.Export, Segment: in.Segment, Connection: in.Connection, Info: in.Info,
	}, ledgertest.Attempt, seg, staging.Known{}, &read)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range divided.Divided.Lists {
		one := in
		one.Segment, one.Divided, one.Run.Segment = in.Segment.Part(list.List), ledgertest.Attempt, list.List
		from, err := staging.Part(t.Context(), w.Ledger(), one)
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.Activities.stage(t.Context(), one, ledgertest.Attempt, from, &read)
		if err != nil || m.Read != list.Rows {
			t.Fatalf("%+v, %v", m, err)
		}
	}
}

// dividing is a segment whose rows are divided and staged by list.
type dividing struct {
	*bench
	t       *testing.T
	export  schemas.Export
	segment schemas.Segment
	project string
	never   []schemas.Suppression
	runs    int
	check   bool
}

func newDividing(t *testing.T, export schemas.Export, segment schemas.Segment) *dividing {
	d := &dividing{bench: newBench(t, sandbox.New(sandbox.Config{Fast: true})), t: t, export: export, segment: segment}
	d.env.RegisterActivityWithOptions(d.DivideSegment, activity.RegisterOptions{Name: schemas.ActivityDivideSegment})
	d.env.RegisterActivityWithOptions(d.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	d.env.RegisterActivityWithOptions(d.CloseDivided, activity.RegisterOptions{Name: schemas.ActivityCloseDivided})
	d.export.Name, d.export.Connection, d.export.Email = "Spring", "sandbox", "Mail"
	return d
}

// divide divides rows, which are JSON of the fields.
func (d *dividing) divide(fields []arrow.Field, rows ...string) (in schemas.DivideInput, out schemas.DivideResult, err error) {
	d.t.Helper()
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader("["+strings.Join(rows, ",")+"]"))
	if err != nil {
		d.t.Fatal(err)
	}
	folder := d.t.TempDir()
	half := rec.NumRows() / 2
	arrowtest.Write(d.t, filepath.Join(folder, "a.arrow"), rec.NewSlice(0, half))
	arrowtest.Write(d.t, filepath.Join(folder, "b.arrow"), rec.NewSlice(half, rec.NumRows()))
	d.Activities.Connections = oneConnection{schemas.Connection{Name: "sandbox", AllowedSources: []string{folder}, Suppress: d.never, ProjectType: d.project}}
	d.segment.Source = folder
	d.runs++
	run := schemas.RunRef{Export: "Spring", RunID: fmt.Sprintf("r%d", d.runs), Segment: d.segment.Name}
	seg, err := d.inspect(d.t.Context(), d.export, d.segment, time.Now(), nil, nil)
	if err != nil {
		return in, out, err
	}
	in = schemas.DivideInput{
		Run: run, Export: d.export, Segment: d.segment, Info: seg.Info(), Began: time.Now(), Check: d.check,
		Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: cmp.Or(d.project, schemas.ProjectEmail)},
	}
	v, err := d.env.ExecuteActivity(schemas.ActivityDivideSegment, in)
	if err == nil {
		err = v.Get(&out)
	}
	return in, out, err
}

// stageParts stages the parts, and returns what is staged for each list.
func (d *dividing) stageParts(in schemas.DivideInput, out schemas.DivideResult) map[string]string {
	d.t.Helper()
	all := map[string]string{}
	for _, list := range out.Divided.Lists {
		part := in.Segment.Part(list.List)
		run := in.Run
		run.Segment = part.Name
		v, err := d.env.ExecuteActivity(schemas.ActivityStageSegment, schemas.StageInput{
			Run: run, Export: in.Export, Segment: part, Connection: in.Connection, Info: in.Info, ListID: 7, Divided: out.Manifest.Attempt,
		})
		var m schemas.Manifest
		if err == nil {
			err = v.Get(&m)
		}
		if err != nil {
			d.t.Fatal(err)
		}
		adds, counts := addsOf(d.t, d.bench, run, m, in.Info.Rows/2)
		all[list.List] = strings.TrimSuffix(adds+"; "+counts, "; ")
		if m.Reads != 0 || m.Read != list.Rows {
			d.t.Errorf("%s: %d reads of the source, %d of %d rows", list.List, m.Reads, m.Read, list.Rows)
		}
	}
	return all
}

// by returns fields of rows with a country.
func countries() []arrow.Field {
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	return []arrow.Field{
		{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "Country", Type: dict, Nullable: true},
		{Name: "N", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "Tags", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), Nullable: true},
	}
}

func TestEachValueHasAList(t *testing.T) {
	each := schemas.Segment{Name: "In {Country}", ForEach: "Country"}
	export := schemas.Export{Fields: schemas.Fields{All: true}}
	d := newDividing(t, export, each)
	rows := []string{
		`{"Mail":"ann@example.com","Country":"NO","N":1,"Tags":[{"key":"a","value":1}]}`,
		`{"Mail":"bob@example.com","Country":"SE","N":2,"Tags":null}`,
		`{"Mail":"eve@example.com","Country":null,"N":3,"Tags":null}`,
		`{"Mail":"joe@example.com","Country":" ","N":4,"Tags":null}`,
		`{"Mail":"no address","Country":" NO ","N":5,"Tags":null}`,
		`{"Mail":"ANN@example.com","Country":"SE","N":6,"Tags":[]}`,
		`{"Mail":"kim@example.com","Country":"NO","N":7,"Tags":[{"key":"b","value":2},{"key":"c","value":3}]}`,
	}
	in, out, err := d.divide(countries(), rows...)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"In NO": `ann@0 {"Country":"NO","N":1,"Tags":{"a":1}}, kim@6 {"Country":"NO","N":7,"Tags":{"b":2,"c":3}}; 1 syntax`,
		"In SE": `bob@1 {"Country":"SE","N":2}; 1 duplicate`,
	}
	if got := d.stageParts(in, out); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if m := out.Manifest; m.Read != 7 || out.Divided.WithoutValue != 2 || m.Filtered != 0 || m.Reads == 0 {
		t.Errorf("%+v", out)
	}

	// The newest row of a person decides, and rows that do not match count for no value.
	d.export = schemas.Export{Name: "Spring", Connection: "sandbox", Email: "Mail", Settings: schemas.Settings{Dedupe: schemas.Dedupe{By: "N", Keep: schemas.KeepNewest}}}
	d.segment.Where = &schemas.Condition{Column: "Country", IsNull: new(bool)}
	in, out, err = d.divide(countries(), rows...)
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{"In NO": `kim@6; 1 duplicate, 1 syntax`, "In SE": `bob@1, ann@5`}
	if got := d.stageParts(in, out); fmt.Sprint(got) != fmt.Sprint(want) || out.Manifest.Filtered != 1 || out.Divided.WithoutValue != 1 {
		t.Errorf("newest:\n got %s\nwant %s; %+v", got, want, out)
	}
}

// TestASuppressedPersonIsOnNoList: the row of one list has the address that is suppressed, and the
// row of another only the user ID.
func TestASuppressedPersonIsOnNoList(t *testing.T) {
	fields := append(countries(), arrow.Field{Name: "Id", Type: arrow.BinaryTypes.String, Nullable: true})
	d := newDividing(t, schemas.Export{UserID: "Id", Settings: schemas.Settings{Dedupe: schemas.Dedupe{By: "N", Keep: schemas.KeepNewest}}}, schemas.Segment{Name: "In {Country}", ForEach: "Country"})
	never := t.TempDir()
	writeIdentities(t, filepath.Join(never, "never.arrow"), []identity{{email: "ann@example.com"}})
	d.project, d.never = schemas.ProjectUserID, []schemas.Suppression{{Name: "Never", Source: never, Email: "Mail"}}
	in, out, err := d.divide(fields,
		`{"Mail":"ann@example.com","Id":"u1","Country":"NO","N":1,"Tags":null}`,
		`{"Mail":"bob@example.com","Id":"u2","Country":"NO","N":1,"Tags":null}`,
		`{"Mail":null,"Id":"u1","Country":"SE","N":2,"Tags":null}`,
		`{"Mail":"eve@example.com","Id":"u3","Country":"SE","N":2,"Tags":null}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"In NO": "bob@1", "In SE": "eve@3"}
	if got := d.stageParts(in, out); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestRowsOfNoListAreRecorded: with record: all, a person who is filtered or has no value is found.
func TestRowsOfNoListAreRecorded(t *testing.T) {
	each := schemas.Segment{Name: "In {Country}", ForEach: "Country", Where: &schemas.Condition{Column: "N", AtLeast: "2"}}
	d := newDividing(t, schemas.Export{Settings: schemas.Settings{Record: schemas.RecordAll}}, each)
	in, out, err := d.divide(countries(),
		`{"Mail":"ann@example.com","Country":"NO","N":1,"Tags":null}`,
		`{"Mail":"bob@example.com","Country":null,"N":2,"Tags":null}`,
		`{"Mail":"no address","Country":null,"N":2,"Tags":null}`,
		`{"Mail":"eve@example.com","Country":"NO","N":2,"Tags":null}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	got := d.unlisted(in, out)
	if fmt.Sprint(got) != "[ann@example.com filtered  a.arrow 0 bob@example.com filtered no_value a.arrow 1 no address filtered no_value b.arrow 0]" {
		t.Errorf("%s", got)
	}
}

// TestAHoldoutIsRecorded: with record: all, a person who is held out is found, and why.
func TestAHoldoutIsRecorded(t *testing.T) {
	split := &schemas.Split{Groups: map[string]string{"A": "50%", "control": "50%"}, Holdout: []string{"control"}}
	d := newDividing(t, schemas.Export{Settings: schemas.Settings{Record: schemas.RecordAll}}, schemas.Segment{Name: "Spring", Split: split})
	var rows []string
	for i := range 40 {
		rows = append(rows, fmt.Sprintf(`{"Mail":"p%02d@example.com","Country":"NO","N":2,"Tags":null}`, i))
	}
	in, out, err := d.divide(countries(), rows...)
	if err != nil {
		t.Fatal(err)
	}
	sent := d.stageParts(in, out)["Spring/A"]
	got := d.unlisted(in, out)
	if len(got) != int(out.Divided.HeldOut) || len(got) < 5 || len(got) > 35 {
		t.Errorf("%d rows are recorded, and %d held out", len(got), out.Divided.HeldOut)
	}
	for _, row := range got {
		who, _, _ := strings.Cut(row, "@")
		if !strings.Contains(row, " filtered holdout ") || strings.Contains(sent, who+"@") {
			t.Errorf("%s; sent are %s", row, sent)
		}
	}
}

// unlisted closes a divided segment and returns what is recorded of the rows that are for no list.
func (d *dividing) unlisted(in schemas.DivideInput, out schemas.DivideResult) (got []string) {
	d.t.Helper()
	for range 2 { // it may be repeated
		v, err := d.env.ExecuteActivity(schemas.ActivityCloseDivided, schemas.CloseDividedInput{
			Run: in.Run, Export: in.Export, Segment: in.Segment, Connection: in.Connection, Report: schemas.ExportReport{Manifest: out.Manifest},
		})
		var report schemas.ExportReport
		if err == nil {
			err = v.Get(&report)
		}
		if err != nil {
			d.t.Fatal(err)
		}
		file, err := d.Root.Open(d.t.Context(), report.Record)
		if err != nil {
			d.t.Fatal(err)
		}
		before := got
		got = nil
		err = rejects.ReadRows(d.t.Context(), file, func(r *rejects.Row) error {
			got = append(got, fmt.Sprintf("%s %s %s %s %d", r.Email, r.Outcome, r.Reason, path.Base(r.File), r.Row))
			return nil
		})
		if file.Close(); err != nil || before != nil && !slices.Equal(before, got) {
			d.t.Errorf("%s, before %s, %v", got, before, err)
		}
	}
	return got
}

// TestARejectedMemberStaysInItsGroup: the user ID of a row whose address is invalid says whose it is.
func TestARejectedMemberStaysInItsGroup(t *testing.T) {
	split := &schemas.Split{Groups: map[string]string{"A": "50%", "B": "50%"}}
	fields := append(countries(), arrow.Field{Name: "Id", Type: arrow.BinaryTypes.String, Nullable: true})
	for _, project := range []string{schemas.ProjectUserID, schemas.ProjectHybrid} {
		d := newDividing(t, schemas.Export{UserID: "Id"}, schemas.Segment{Name: "Spring", Split: split})
		d.project = project
		lists := func(mail string) (rows [2]int64) {
			t.Helper()
			var all []string
			for i := range 40 {
				all = append(all, strings.ReplaceAll(`{"Mail":"`+mail+`","Id":"u#","Country":null,"N":1,"Tags":null}`, "#", fmt.Sprint(i)))
			}
			_, out, err := d.divide(fields, all...)
			if err != nil || len(out.Divided.Lists) != 2 {
				t.Fatalf("%+v, %v", out, err)
			}
			return [2]int64{out.Divided.Lists[0].Rows, out.Divided.Lists[1].Rows}
		}
		before, after := lists("p#@example.com"), lists("no address")
		if before != after || before[0] == 0 || before[1] == 0 {
			t.Errorf("%s: the groups have %v rows, and %v once the addresses are invalid", project, before, after)
		}
	}
}

func TestVanishedValues(t *testing.T) {
	row := func(who, country string) string {
		return fmt.Sprintf(`{"Mail":"%s@example.com","Country":%q,"N":1,"Tags":null}`, who, country)
	}
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "In {Country}", ForEach: "Country"})
	in, out, err := d.divide(countries(), row("ann", "NO"), row("bob", "SE"))
	if err != nil || len(out.Divided.Lists) != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	d.check = true // changes no record
	if _, out, err = d.divide(countries(), row("ann", "NO"), row("bob", "DK")); err != nil || fmt.Sprint(out.Divided.Lists) != "[{In DK 1 false false} {In NO 1 false false} {In SE 0 true false}]" {
		t.Fatalf("%+v, %v", out, err)
	}
	d.check = false
	if _, out, err = d.divide(countries(), row("ann", "NO"), row("bob", "NO")); err != nil || fmt.Sprint(out.Divided.Lists) != "[{In NO 2 false false} {In SE 0 true false}]" {
		t.Fatalf("%+v, %v", out, err)
	}
	d.segment.Vanished = schemas.VanishedKeep
	if _, out, err = d.divide(countries(), row("ann", "NO"), row("bob", "NO")); err != nil || fmt.Sprint(out.Divided.Lists, out.Divided.Kept) != "[{In NO 2 false false}] [In SE]" || len(out.Manifest.Warnings) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	d.segment.Vanished, d.export.Mode = "", schemas.ModeAppend // which removes nobody
	if in, out, err = d.divide(countries(), row("ann", "NO"), row("bob", "NO")); err != nil || fmt.Sprint(out.Divided.Kept) != "[In SE]" {
		t.Fatalf("%+v, %v", out, err)
	}
	files, err := d.Root.List(t.Context(), dataroot.StagingDir(in.Run))
	if err != nil || slices.ContainsFunc(files, func(o storage.Object) bool { return path.Base(o.Name) == dataroot.RowsFile }) {
		t.Errorf("without record: all: %v, %v", files, err)
	}
	// The list of a value is known until it is empty.
	if _, err := d.env.ExecuteActivity(schemas.ActivityCloseDivided, schemas.CloseDividedInput{
		Run: in.Run, Export: in.Export, Segment: in.Segment, Connection: in.Connection, Emptied: []string{"In SE"}, Done: true,
		Report: schemas.ExportReport{Info: schemas.SegmentInfo{Newest: time.Now()}, State: schemas.StateDone},
	}); err != nil {
		t.Fatal(err)
	}
	known, err := d.dividedLists(t.Context(), in.Run)
	if err != nil || fmt.Sprint(known.Lists) != "[In NO]" || known.Read.Newest.IsZero() {
		t.Errorf("%+v, %v", known, err)
	}
	if files, err := d.Root.List(t.Context(), dataroot.StagingDir(in.Run)); err != nil || len(files) > 0 {
		t.Errorf("left: %v, %v", files, err)
	}
}

func TestValuesThatCanNotNameLists(t *testing.T) {
	fields := []arrow.Field{{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "V", Type: arrow.BinaryTypes.String, Nullable: true}}
	many := make([]string, 0, 30)
	for i := range 30 {
		many = append(many, fmt.Sprintf("secret%d", i))
	}
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{"NO", "secret@example.com"}, "row 0 of "},
		{[]string{"NO", "secret\u0007"}, "has an invisible character"},
		{[]string{"NO", "secret" + strings.Repeat("x", 260)}, "is too long for the name of a list, which may have 255 characters"},
		{[]string{"NO", "{v}"}, "makes a list with the name of the segment"},
		{[]string{"secret", "SECRET"}, "differs from that in row 0 of "},
		{many, `column "V" has 30 values, each of which would be the name of a list, and maxLists is 20`},
		{[]string{" ", ""}, `none of its 2 rows has a value in column "V"`},
	} {
		d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "{V}", ForEach: "V", MaxLists: 20})
		var rows []string
		for i, v := range c.values {
			text, _ := json.Marshal(v)
			rows = append(rows, fmt.Sprintf(`{"Mail":"p%d@example.com","V":%s}`, i, text))
		}
		_, _, err := d.divide(fields, rows...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(strings.ToLower(err.Error()), "secret") {
			t.Errorf("%.40s: %v, want %s", c.values, err, c.want)
		}
	}
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "In {N}", ForEach: "N"})
	fields[1] = arrow.Field{Name: "N", Type: arrow.PrimitiveTypes.Float64, Nullable: true}
	if _, _, err := d.divide(fields, `{"Mail":"ann@example.com","N":1.5}`); err == nil || !strings.Contains(err.Error(), "forEach needs text or whole numbers") {
		t.Errorf("of another type: %v", err)
	}
}

func TestEachProfileIsInOneGroup(t *testing.T) {
	fields := []arrow.Field{{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}}
	var rows []string
	for i := range 400 {
		rows = append(rows, fmt.Sprintf(`{"Mail":"p%d@example.com"}`, i))
	}
	rows = append(rows, `{"Mail":"no address"}`, `{"Mail":null}`, `{"Mail":"P7@example.com"}`)
	split := &schemas.Split{Groups: map[string]string{"control": "10%", "A": "45%", "B": "45%"}}
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "Spring", Split: split})
	in, out, err := d.divide(fields, rows...)
	if err != nil {
		t.Fatal(err)
	}
	seen, counts := map[string]string{}, ""
	for list, what := range d.stageParts(in, out) {
		adds, rest, _ := strings.Cut(what, "; ")
		counts += rest
		who := strings.Split(adds, ", ")
		for _, one := range who {
			if before, ok := seen[one]; ok {
				t.Errorf("%s is in %s and in %s", one, before, list)
			}
			seen[one] = list
		}
		share := map[string]int{"Spring/control": 40, "Spring/A": 180, "Spring/B": 180}[list]
		if n := len(who); n < share-35 || n > share+35 {
			t.Errorf("%s has %d of 400", list, n)
		}
	}
	if len(seen) != 400 || strings.Count(counts, "1 syntax") != 1 || strings.Count(counts, "1 missing") != 1 || strings.Count(counts, "1 duplicate") != 1 {
		t.Errorf("%d profiles, %s", len(seen), counts)
	}
	split.Holdout = []string{"control"}
	_, held, err := d.divide(fields, rows...)
	if err != nil || len(held.Divided.Lists) != 3 || held.Divided.HeldOut != out.Divided.Lists[2].Rows {
		t.Errorf("with a holdout: %+v, before %+v, %v", held.Divided, out.Divided, err)
	}
}

// TestLostParts: only a new run has the rows again.
func TestLostParts(t *testing.T) {
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "In {Country}", ForEach: "Country"})
	in, out, err := d.divide(countries(), `{"Mail":"ann@example.com","Country":"NO","N":1,"Tags":null}`, `{"Mail":"bob@example.com","Country":"NO","N":1,"Tags":null}`)
	if err != nil {
		t.Fatal(err)
	}
	key := path.Join(dataroot.StagedDir(in.Run, out.Manifest.Attempt), "parts.arrow")
	data, err := d.Root.Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	stage := func() error {
		run := in.Run
		run.Segment = "In NO"
		_, err := d.env.ExecuteActivity(schemas.ActivityStageSegment, schemas.StageInput{
			Run: run, Export: in.Export, Segment: in.Segment.Part("In NO"), Connection: in.Connection, ListID: 7, Divided: out.Manifest.Attempt,
		})
		return err
	}
	for name, data := range map[string][]byte{"cut": data[:len(data)-9], "changed": append(append([]byte{}, data[:99]...), append([]byte{data[99] ^ 1}, data[100:]...)...)} {
		if err := d.Root.Write(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
		if err := stage(); err == nil || !strings.Contains(err.Error(), "abort, and run the export again") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Root.DeletePrefix(t.Context(), dataroot.StagingDir(in.Run)); err != nil {
		t.Fatal(err)
	}
	if err := stage(); err == nil || !strings.Contains(err.Error(), "abort, and run the export again") {
		t.Errorf("deleted: %v", err)
	}
}
