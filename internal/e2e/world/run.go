package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Export returns an export of one segment with the addresses in a column.
func (w *World) Export(segment, email string) schemas.Export {
	e := schemas.Export{
		Name: segment, Connection: "sandbox", Email: email,
		Segments: []schemas.Segment{{Name: segment, Source: w.Sources}},
	}
	e.Ready.Settle = new(schemas.Duration) // tests write segments just before they are read
	return e
}

// Of returns an export of a segment that People wrote.
func (w *World) Of(name string) schemas.Export {
	e := w.Export(name, "email")
	e.Segments[0].Source = filepath.Join(w.Sources, name)
	e.Fields.List = []schemas.Field{{Column: "n"}}
	return e
}

// From returns an export of one of the folders of Versions.
func (w *World) From(folder, segment string) schemas.Export {
	e := w.Export(segment, "EmailAddress")
	e.Segments[0].Source = folder
	return e
}

// Run runs the export to its end, or until it waits.
func (w *World) Run(e schemas.Export) operate.View {
	w.T.Helper()
	return w.Watch(w.Start(e))
}

// Start starts a run of the export.
func (w *World) Start(e schemas.Export) operate.Run {
	w.T.Helper()
	run, _, err := w.Operator.Start(w.T.Context(), e, false)
	if err != nil {
		w.T.Fatal(err)
	}
	return run
}

// Full is Run with all profiles sent.
func (w *World) Full(e schemas.Export) operate.View {
	w.T.Helper()
	run, _, err := w.Operator.Start(w.T.Context(), e, true)
	if err != nil {
		w.T.Fatal(err)
	}
	return w.Watch(run)
}

// Watch waits for the run's end, or until it waits for an answer.
func (w *World) Watch(run operate.Run) operate.View {
	w.T.Helper()
	return w.watch(run, Patience)
}

// watch is Watch for at most that long. It looks less often the longer it takes: a look costs
// two queries, which the worker answers.
func (w *World) watch(run operate.Run, most time.Duration) operate.View {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), most)
	defer cancel()
	for every := LookEvery; ; every = min(2*every, time.Second) {
		some, stop := context.WithTimeout(ctx, 20*every)
		v, err := w.Operator.Watch(some, run, every, true, nil)
		stop()
		if err == nil {
			return v
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			w.T.Fatalf("%v; last seen: %+v", err, v)
		}
	}
}

// Done fails the test unless the run succeeded, and returns the report of its first segment.
func (w *World) Done(v operate.View) schemas.ExportReport {
	w.T.Helper()
	if v.State != schemas.StateDone {
		w.T.Fatalf("the run is %s: %s %+v", v.State, v.Error, v.Segments)
	}
	return v.Segments[0].Report
}

// DoneWithin is Done after waiting for the run's end, at most that long.
func (w *World) DoneWithin(run operate.Run, most time.Duration) schemas.ExportReport {
	w.T.Helper()
	return w.Done(w.watch(run, most))
}

// Waiting fails the test unless the run waits for an answer, and returns the first wait.
func (w *World) Waiting(v operate.View) schemas.Waiting {
	w.T.Helper()
	if v.State != schemas.StateWaiting {
		w.T.Fatalf("the run is %s: %s %+v", v.State, v.Error, v.Segments)
	}
	if v.Waiting != nil {
		return *v.Waiting
	}
	for _, s := range v.Segments {
		if s.Waiting != nil {
			return *s.Waiting
		}
	}
	w.T.Fatalf("the waiting run has no wait: %+v", v)
	return schemas.Waiting{}
}

// WaitsWith fails the test unless the run waits with an error of that type, whose message
// contains the parts.
func (w *World) WaitsWith(v operate.View, kind schemas.ErrorType, parts ...string) {
	w.T.Helper()
	waiting := w.Waiting(v)
	if waiting.Type != kind {
		w.T.Fatalf("waits for %s: %s; want %s", waiting.Type, waiting.Message, kind)
	}
	for _, s := range parts {
		if !strings.Contains(waiting.Message, s) {
			w.T.Errorf("waits with %q, which lacks %q", waiting.Message, s)
		}
	}
}

// WaitsFor runs an export, checks that it waits like WaitsWith, and returns a function that
// answers the wait and checks the run's end.
func (w *World) WaitsFor(e schemas.Export, kind schemas.ErrorType, message ...string) func(answer string) {
	w.T.Helper()
	v := w.Run(e)
	w.WaitsWith(v, kind, message...)
	return func(answer string) {
		w.T.Helper()
		v = w.Answer(v, answer)
		want := schemas.StateDone
		if answer == schemas.UpdateAbort {
			want = schemas.StateAborted
		}
		if v.State != want {
			w.T.Fatalf("after %s the run is %s: %+v", answer, v.State, v)
		}
	}
}

// Answer answers every wait of a run that accepts the answer, and watches the run again.
func (w *World) Answer(v operate.View, answer string) operate.View {
	w.T.Helper()
	answered := 0
	for _, wait := range v.Waits() {
		if !slices.Contains(wait.Answers, answer) {
			continue
		}
		if _, err := w.Operator.Answer(w.T.Context(), v, answer, wait.ID); err != nil {
			w.T.Fatal(err)
		}
		answered++
	}
	if answered == 0 {
		w.T.Fatalf("no wait accepts %s: %+v", answer, v)
	}
	return w.Watch(v.Run)
}

// ReadRejects returns the rows of a rejects file.
func (w *World) ReadRejects(r schemas.ExportReport) []rejects.Reject {
	w.T.Helper()
	if r.Rejects == "" {
		return nil
	}
	file, err := w.Root.Open(w.T.Context(), r.Rejects)
	if err != nil {
		w.T.Fatal(err)
	}
	defer file.Close()
	reader, err := rejects.Open(file)
	if err != nil {
		w.T.Fatal(err)
	}
	defer reader.Close()
	var out []rejects.Reject
	for row, ok := reader.Next(); ok; row, ok = reader.Next() {
		out = append(out, row)
	}
	if reader.Err() != nil {
		w.T.Fatal(reader.Err())
	}
	return out
}

// RejectsAre fails the test unless the rejects file has the expected rows, in order.
func (w *World) RejectsAre(r schemas.ExportReport, expected generate.Expected) {
	w.T.Helper()
	counts := map[schemas.Reason]int64{}
	last, seen := rejects.Reject{}, map[string]bool{}
	for _, row := range w.ReadRejects(r) {
		counts[row.Reason]++
		if row.File != last.File && seen[row.File] || row.File == last.File && row.Row <= last.Row {
			w.T.Errorf("%s row %d comes after %s row %d", row.File, row.Row, last.File, last.Row)
		}
		last, seen[row.File] = row, true
	}
	want := maps.Clone(expected.Rejected)
	want[schemas.ReasonDuplicate] = expected.Duplicates
	if !maps.Equal(counts, want) {
		w.T.Errorf("the rejects file has %v, expected %v", counts, want)
	}
}

// NothingIsLeft fails the test if the data root has staged data.
func (w *World) NothingIsLeft() {
	w.T.Helper()
	left, err := w.Root.List(w.T.Context(), "staging")
	if err != nil || len(left) > 0 {
		w.T.Errorf("left in staging: %v, %v", left, err)
	}
}

// NobodyIsLeft fails the test if the data root has a folder with personal data, or past runs of
// an export.
func (w *World) NobodyIsLeft() {
	w.T.Helper()
	for _, folder := range []string{"staging", "snapshots", "reports", dataroot.HistoryDir} {
		left, err := w.Root.List(w.T.Context(), folder)
		left = slices.DeleteFunc(left, func(o storage.Object) bool { return o.Name == dataroot.OverviewKey })
		if err != nil || len(left) > 0 {
			w.T.Errorf("left in %s: %v, %v", folder, left, err)
		}
	}
}

// Apply applies a file of exports.
func (w *World) Apply(file schemas.Exports) {
	w.T.Helper()
	steps, err := operate.Plan(&file, nil, false, false)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, s := range steps {
		if err := w.Operator.ApplyStep(w.T.Context(), s); err != nil {
			w.T.Fatal(err)
		}
	}
}

// Trigger triggers the schedule of an export. What becomes of the start while another one is under
// way is left to the schedule's policy.
func (w *World) Trigger(export string) {
	w.T.Helper()
	handle := w.Client.ScheduleClient().GetHandle(w.T.Context(), schemas.ScheduleID(export))
	if err := handle.Trigger(w.T.Context(), client.ScheduleTriggerOptions{}); err != nil {
		w.T.Fatal(err)
	}
}

// Last returns the state of the latest run of an export, and reports whether it has one.
func (w *World) Last(export string) (operate.View, bool) {
	run, err := w.Operator.Find(w.T.Context(), export)
	if err != nil {
		return operate.View{}, false
	}
	v, err := w.Operator.Look(w.T.Context(), run)
	return v, err == nil
}

// Refreshes returns the results of the refreshes that have ended, the newest first.
func (w *World) Refreshes() (all []schemas.RefreshResult) {
	w.T.Helper()
	list, err := w.Client.ListWorkflow(w.T.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: "default", Query: fmt.Sprintf("WorkflowType = %q AND ExecutionStatus != 'Running'", schemas.WorkflowRefresh)})
	if err != nil {
		w.T.Fatal(err)
	}
	for _, e := range list.Executions {
		var out schemas.RefreshResult
		if err := w.Client.GetWorkflow(w.T.Context(), e.Execution.WorkflowId, e.Execution.RunId).Get(w.T.Context(), &out); err != nil {
			w.T.Fatal(err)
		}
		all = append(all, out)
	}
	return all
}
