package activities

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/dataroot"
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
