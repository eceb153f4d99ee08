package activities

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/arrowfile/arrowtest"
	"iterable-segment-export/internal/record"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/trial"
	"iterable-segment-export/schemas"
)

// tries stages a trial of rows, which are JSON with Mail, Id and Keep, and returns its manifest
// and what became of each row.
func tries(t *testing.T, limit int64, rows string, change func(e *schemas.Export, s *schemas.Segment), people ...string) (m schemas.Manifest, became string) {
	t.Helper()
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "Id", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "Keep", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	}, nil), strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	folder, never := t.TempDir(), t.TempDir()
	arrowtest.Write(t, filepath.Join(folder, "a.arrow"), rec)
	writeIdentities(t, filepath.Join(never, "never.arrow"), []identity{{"never@example.com", ""}})
	connection := schemas.Connection{Name: "sandbox", AllowedSources: []string{folder}, Suppress: []schemas.Suppression{{Name: "Never", Source: never, Email: "Mail"}}}
	b.Activities.Connections = oneConnection{connection}
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	export := schemas.Export{Name: "Spring (trial)", Connection: "sandbox", Email: "Mail", UserID: "Id", Settings: schemas.Settings{Mode: schemas.ModeAppend, Record: schemas.RecordAll}}
	segment := schemas.Segment{Name: "High-value (trial)", Source: folder, Trial: &schemas.Trial{Limit: limit}}
	if change != nil {
		change(&export, &segment)
	}
	run := schemas.RunRef{Connection: "sandbox", Export: export.Name, RunID: "r1", Segment: segment.Name}
	if len(people) > 0 {
		if segment.Trial.People, err = trial.Keep(t.Context(), b.Root, "sandbox", export.Name, people); err != nil {
			t.Fatal(err)
		}
	}
	seg, err := b.inspect(t.Context(), export, segment, time.Now(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err = b.stageInput(schemas.StageInput{
		Run: run, Export: export, Segment: segment, Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: schemas.ProjectEmail},
		Info: seg.Info(), Began: time.Now(), ListID: 7, Full: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := record.Publish(t.Context(), b.Ledger(), run, export, m.Attempt)
	if err != nil {
		t.Fatal(err)
	}
	file, err := b.Root.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []string
	err = rejects.ReadRows(t.Context(), file, func(r *rejects.Row) error {
		person, _, _ := strings.Cut(string(r.Email)+string(r.UserID), "@")
		all = append(all, strings.TrimSpace(fmt.Sprint(person, " ", r.Outcome, " ", r.Reason)))
		if (r.Outcome == schemas.OutcomeAbsent) != (r.File == "") {
			t.Errorf("%s: its file is %q", person, r.File)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return m, strings.Join(all, ", ")
}

const triedRows = `[
	{"Mail": "ann@example.com", "Keep": true}, {"Mail": "bad", "Keep": true}, {"Mail": "never@example.com", "Keep": true},
	{"Mail": "bo@example.com", "Keep": true}, {"Mail": "BO@example.com", "Keep": true}, {"Mail": "out@example.com", "Keep": false},
	{"Mail": "cy@example.com", "Keep": true}, {"Mail": "also bad", "Keep": true}, {"Mail": "di@example.com", "Keep": true}]`

// TestATrialSendsWhomItNames: only the people that it names are staged, each has an outcome, and
// nobody else is in the record.
func TestATrialSendsWhomItNames(t *testing.T) {
	where := func(_ *schemas.Export, s *schemas.Segment) {
		s.Where = &schemas.Condition{Column: "Keep", Is: new(bool)}
		*s.Where.Is = true
	}
	m, became := tries(t, 1000, triedRows, where, "Ann@Example.com", "bad", "never@example.com", "bo@example.com", "out@example.com", "gone@example.com")
	if want := "ann unsent, bad rejected syntax, bo duplicate duplicate, bo unsent, gone absent, never suppressed, out filtered"; became != want {
		t.Errorf("it records %s\nwant       %s", became, want)
	}
	if m.Read != 9 || m.Adds != 2 || m.Duplicates != 1 || m.Suppressed != 1 || m.Filtered != 4 || m.Rejected[schemas.ReasonSyntax] != 1 {
		t.Errorf("%+v", m)
	}
	filtered := `[{"Mail": "bad", "Keep": false}, {"Mail": "worse", "Id": "u1", "Keep": false}, {"Mail": "other", "Keep": false}]`
	if m, became = tries(t, 1, filtered, where, "bad", "u1"); became != "bad filtered, u1 filtered" || m.Filtered != 3 {
		t.Errorf("of invalid rows that are filtered it records %s; %+v", became, m)
	}
	m, became = tries(t, 1, triedRows, where, "di@example.com", "ann@example.com", "bad")
	if want := "ann unsent, bad rejected syntax, di filtered"; became != want || m.Adds != 1 || m.Filtered != 7 || len(m.Warnings) != 1 {
		t.Errorf("with a limit it records %s, want %s; %+v", became, want, m)
	}
}

// TestATrialSendsTheFirst: a limit counts what would be sent, and ends the reading.
func TestATrialSendsTheFirst(t *testing.T) {
	m, became := tries(t, 2, triedRows, nil)
	if want := "ann unsent, bad rejected syntax, bo unsent, never suppressed"; became != want || m.Adds != 2 || m.Duplicates != 0 {
		t.Errorf("it records %s, want %s; %+v", became, want, m)
	}
	sent := func(e *schemas.Export, _ *schemas.Segment) { e.Record = schemas.RecordSent }
	if m, became := tries(t, 2, triedRows, sent); became != "ann unsent, bo unsent" || m.Suppressed != 1 {
		t.Errorf("of an export without a record it records %s; %+v", became, m)
	}
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf(`{"Mail": "p%d@example.com", "Keep": true}`, i))
	}
	m, _ = tries(t, 3, "["+strings.Join(many, ",")+"]", nil)
	if m.Adds != 3 || m.Read < 3 || m.Read == 5000 || m.Filtered != m.Read-3 {
		t.Errorf("of 5,000 rows: %+v", m)
	}
}

// TestATrialOfASegmentWithSeveralLists sends the people of all of its lists, and none that a run
// would not send.
func TestATrialOfASegmentWithSeveralLists(t *testing.T) {
	rows := `[{"Mail": "ann@example.com", "Id": "NO"}, {"Mail": "bo@example.com", "Id": " "}, {"Mail": "cy@example.com", "Id": "SE"}]`
	each := func(e *schemas.Export, s *schemas.Segment) {
		e.UserID, s.Trial.Of, s.Trial.ForEach = "", "In {Id}", "Id"
	}
	m, became := tries(t, 1000, rows, each, "ann@example.com", "bo@example.com", "cy@example.com")
	if became != "ann unsent, bo filtered, cy unsent" || m.Adds != 2 || m.Filtered != 1 {
		t.Errorf("it records %s; %+v", became, m)
	}
	if m, became = tries(t, 1000, rows, each); became != "ann unsent, cy unsent" || m.Filtered != 1 {
		t.Errorf("without names it records %s; %+v", became, m)
	}
	twice := `[{"Mail": "bo@example.com", "Id": " "}, {"Mail": "bo@example.com", "Id": "NO"}, {"Mail": "cy@example.com", "Id": "SE"}, {"Mail": "CY@example.com", "Id": "NO"}]`
	if m, became = tries(t, 1000, twice, each, "bo@example.com", "cy@example.com"); became != "bo duplicate duplicate, bo filtered, cy duplicate duplicate, cy unsent" || m.Adds != 1 || m.Duplicates != 2 {
		t.Errorf("of persons with two rows, the first of which counts, it records %s; %+v", became, m)
	}
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "In {Country}", ForEach: "Country"})
	in, out, err := d.divide(countries(), `{"Mail":"bo@example.com","Country":" ","N":1,"Tags":null}`, `{"Mail":"bo@example.com","Country":"NO","N":1,"Tags":null}`,
		`{"Mail":"cy@example.com","Country":"SE","N":1,"Tags":null}`, `{"Mail":"CY@example.com","Country":"NO","N":1,"Tags":null}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.stageParts(in, out)); !strings.Contains(got, "In SE:cy") || strings.Contains(got, "bo@") {
		t.Errorf("a run stages %s", got)
	}
	groups := func(e *schemas.Export, s *schemas.Segment) {
		s.Trial.Of, s.Trial.Split = "Spring", &schemas.Split{Groups: map[string]string{"A": "50%", "control": "50%"}, Holdout: []string{"control"}}
	}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf(`{"Mail": "p%d@example.com", "Id": "%d"}`, i, i))
	}
	m, _ = tries(t, 1000, "["+strings.Join(many, ",")+"]", groups)
	if m.Adds < 30 || m.Adds > 70 || m.Filtered != 100-m.Adds {
		t.Errorf("of two halves: %+v", m)
	}
}

// TestATrialTakesNoList that another export fills, and asks nobody about it.
func TestATrialTakesNoList(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	if _, err := b.ensure(wanted); err != nil {
		t.Fatal(err)
	}
	in := wanted
	in.Run.Export = schemas.TrialName("Spring")
	_, err := b.ensure(in)
	isOfType(t, err, schemas.ErrorListOwned)
	var asked *temporal.ApplicationError
	if errors.As(err, &asked) {
		in.TakeFrom = asked.Message()
	}
	if _, err := b.ensure(in); err == nil || !strings.Contains(err.Error(), "a trial does not send to the list of another export") {
		t.Errorf("with an answer: %v", err)
	}
	in.Name, in.Run.Segment, in.TakeFrom = "Testers", "Testers", ""
	if own, err := b.ensure(in); err != nil || !own.Created {
		t.Errorf("a list of its own: %+v, %v", own, err)
	}
}
