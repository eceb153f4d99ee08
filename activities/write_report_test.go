package activities

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestAReportWithoutPastRuns: a run has its report, even if the past runs can't be read or
// written.
func TestAReportWithoutPastRuns(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.WriteRunReport, activity.RegisterOptions{Name: schemas.ActivityWriteRunReport})
	in := schemas.RunReportInput{
		Export: schemas.Export{Name: "Spring", Connection: "sandbox"}, Connection: schemas.ConnectionInfo{Name: "sandbox"}, State: schemas.StateDone, Result: schemas.RunResult{RunID: "r1"},
	}
	past, report := dataroot.PastRunsKey("sandbox", "Spring"), dataroot.RunReport("sandbox", "Spring", "r1")
	for name, change := range map[string]func() error{
		"are damaged":            func() error { return b.Root.Write(t.Context(), past, []byte("{")) },
		"have another key":       func() error { return b.Root.Write(t.Context(), past, []byte("age-encryption.org/v1\nsealed")) },
		"are not to be replaced": func() error { return b.Root.Write(t.Context(), past+"/x", nil) },
	} {
		if err := errors.Join(b.Root.DeletePrefix(t.Context(), dataroot.ReportsDir), b.Root.DeletePrefix(t.Context(), dataroot.HistoryDir), change()); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		b.Log = slog.New(slog.NewTextHandler(&log, nil))
		if _, err := b.env.ExecuteActivity(schemas.ActivityWriteRunReport, in); err != nil {
			t.Errorf("the past runs %s: %v", name, err)
		}
		if _, err := b.Root.Read(t.Context(), report); err != nil || !strings.Contains(log.String(), "past runs of the export not complete") {
			t.Errorf("the past runs %s: %v; the log is %s", name, err, log.String())
		}
	}
}

// TestTheReportHasWhoIsChosen: the settings that decide who is sent, and what of them.
func TestTheReportHasWhoIsChosen(t *testing.T) {
	e := schemas.Export{
		Name: "Spring", Connection: "sandbox",
		Fields: schemas.Fields{List: []schemas.Field{
			{Column: "Name", As: "first", Transform: []string{"trim", "titleCase"}, Default: `"ann@example.com"`, Nulls: schemas.NullsSend},
			{Value: `"2026-spring"`, As: "campaign"}, {Column: "Score", Type: "string"},
		}},
		Settings: schemas.Settings{Record: schemas.RecordAll, RecordIdentity: schemas.IdentityHash, Dedupe: schemas.Dedupe{By: "UpdatedAt", Keep: schemas.KeepNewest}},
		Segments: []schemas.Segment{
			{Name: "Customers", Where: &schemas.Condition{Column: "N", AtLeast: "2"}, Split: &schemas.Split{Groups: map[string]string{"control": "10%", "A": "45%", "B": "45%"}, Holdout: []string{"control"}}},
			{Name: "More", Split: &schemas.Split{Groups: map[string]string{"A": "100%"}, Salt: "spring"}},
			{Name: "In {Country}", ForEach: "Country", MaxLists: 20, Vanished: schemas.VanishedKeep}, {Name: "At {Shop}", ForEach: "Shop"},
		},
	}
	all := map[string]string{}
	for _, s := range settingsUsed(e, schemas.ConnectionInfo{}, limits.Learned{}) {
		all[s.Name] = s.Value
	}
	for name, want := range map[string]string{
		"Fields":                   "Name as first (trim, titleCase, nulls: send, with a default), a constant as campaign, Score (string)",
		"Record of the rows":       "all, identities hash",
		"Rows of one person":       "newest UpdatedAt",
		`Condition of "Customers"`: `{"column":"N","atLeast":2}`,
		`Groups of "Customers"`:    `A 45%, B 45%, control 10% (held out); salt "Customers"`,
		`Groups of "More"`:         `A 100%; salt "spring"`,
		`Lists of "In {Country}"`:  "one for each value of Country, at most 20; that of a value that vanished: keep",
		`Lists of "At {Shop}"`:     "one for each value of Shop, at most 100; that of a value that vanished: empty",
	} {
		if all[name] != want {
			t.Errorf("%s: %q, want %q", name, all[name], want)
		}
	}
	if def := settingsUsed(schemas.Export{}, schemas.ConnectionInfo{}, limits.Learned{}); !slices.Contains(def, report.Setting{Name: "Record of the rows", Value: "changes, identities plain"}) {
		t.Errorf("by default: %+v", def)
	}
}
