package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"iterable-segment-export/schemas"
)

const (
	// lateMargin is how much later than its schedule, jitter and catch-up allow a run may
	// begin: Temporal's list of runs lags.
	lateMargin = time.Minute
	// comparedRuns is how many finished runs a run is compared with, and fewestCompared how
	// many there have to be.
	comparedRuns, fewestCompared = 10, 3
	// A run is slow when it takes slowFactor times as long as the longest of them, and
	// slowMargin longer.
	slowFactor, slowMargin = 1.5, 5 * time.Minute
)

// ranRun is a run as Temporal lists it.
type ranRun struct {
	Run
	began, ended time.Time // ended is zero if it is under way
	done         bool
}

// FindLate looks for late runs of the applied exports. before is the result of the look before;
// it may be empty. seen is called for every export.
func (o *Session) FindLate(ctx context.Context, before schemas.LateRuns, now time.Time, seen func(export string)) (schemas.LateRuns, error) {
	applied, err := o.Applied(ctx)
	if err != nil {
		return schemas.LateRuns{LookedAt: now}, err
	}
	return o.findLate(ctx, applied, before, now, seen)
}

// findLate is FindLate for exports that were just described.
func (o *Session) findLate(ctx context.Context, applied []Applied, before schemas.LateRuns, now time.Time, seen func(export string)) (schemas.LateRuns, error) {
	out := schemas.LateRuns{LookedAt: now, Exports: map[string]schemas.Watched{}}
	missed := map[string]time.Time{} // the scheduled starts that this look finds overdue
	known := map[string]Applied{}
	applied = slices.Clone(applied)
	slices.SortStableFunc(applied, func(a, b Applied) int { return cmp.Compare(len(a.Export.After), len(b.Export.After)) })
	roots := order{known: map[string]schemas.ScheduledInput{}, roots: map[string][]string{}}
	for _, a := range applied {
		roots.known[a.Export.Name], known[a.Export.Name] = a.ScheduledInput, a
	}
	for _, a := range applied {
		seen(a.Export.Name)
		if !a.Active() {
			continue
		}
		runs, err := o.ran(ctx, a.Export.Name)
		if err != nil {
			return out, err
		}
		l := late{Watched: before.Exports[a.Export.Name], a: a, runs: runs, now: now}
		l.skipped = func(r Run) (bool, error) { return o.skippedAll(ctx, r) }
		l.next = func(after time.Time) (time.Time, error) { return o.firstStart(ctx, a.ScheduleID, after, now) }
		l.running = func(r Run) bool {
			v, err := o.Look(ctx, r)
			return err == nil && v.State == schemas.StateRunning
		}
		starts := a.Begins
		if a.Timing != nil {
			l.follow(*a.Timing, before.LookedAt, a.Updated)
			if l.Due.IsZero() && !before.LookedAt.IsZero() && a.Updated.After(before.LookedAt) {
				if l.Due, err = o.firstStart(ctx, a.ScheduleID, a.Updated, now); err != nil {
					return out, err
				}
			}
			if err := l.overdue(); err != nil {
				return out, err
			}
		} else {
			leftOut, err := o.leftOut(ctx, a.Export.Name)
			if err != nil {
				return out, err
			}
			if err := l.leftOut(leftOut); err != nil {
				return out, err
			}
			first, _ := roots.rootsOf(a.Export.Name, nil) // the doctor finds one that is not applied
			if root, updated, ok := begins(known, first, a.Export.Name); ok {
				for _, name := range first {
					l.missed(missed[name])
				}
				l.follow(*root.Timing, before.LookedAt, updated)
				starts = root.Begins
			} else {
				l.forget()
			}
		}
		if err := l.undone(starts); err != nil {
			return out, err
		}
		if len(l.found) > 0 {
			missed[a.Export.Name] = l.Overdue
		}
		l.slow()
		if err := l.recovered(); err != nil {
			return out, err
		}
		out.Exports[a.Export.Name] = l.Watched
		out.Found = append(out.Found, l.found...)
	}
	return out, nil
}

// begins returns the one of the first exports whose schedule begins the refreshes of an export, and
// when that export, or one that it is after, was changed last. ok is false if no schedule does, or
// if refreshes leave the export out because one of them is paused.
func begins(known map[string]Applied, first []string, export string) (root Applied, updated time.Time, ok bool) {
	i := slices.IndexFunc(first, func(name string) bool { return known[name].Timing != nil && !known[name].Stopped })
	if i < 0 {
		return root, updated, false
	}
	root, updated, ok = known[first[i]], known[first[i]].Updated, true
	seen := map[string]bool{}
	for queue := []string{export}; len(queue) > 0; queue = queue[1:] {
		if seen[queue[0]] {
			continue
		}
		a := known[queue[0]]
		seen[queue[0]], ok, updated = true, ok && !a.Paused, later(updated, a.Updated)
		if a.Export.AfterFailure != schemas.AfterRun {
			queue = append(queue, a.Export.After...)
		}
	}
	return root, updated, ok
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// leftOut returns when the last run of an export was due that a Refresh did not start, and told
// of; zero if there is none.
func (o *Session) leftOut(ctx context.Context, export string) (due time.Time, err error) {
	list, err := o.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: o.Namespace, PageSize: listedRuns,
		Query: fmt.Sprintf("WorkflowType = %q AND WorkflowId STARTS_WITH %q", schemas.WorkflowScheduledRun, schemas.ScheduledWorkflowID(export)+"-"),
	})
	if err != nil {
		return due, fmt.Errorf("list the skipped starts of %q: %w", export, err)
	}
	for _, e := range list.Executions {
		var at time.Time
		name, _ := schemas.ExportOfScheduled(e.Execution.WorkflowId)
		if name == export && memo(e, schemas.MemoOverdue, &at) && at.After(due) {
			due = at
		}
	}
	return due, nil
}

// firstStart returns the first start of a schedule between two times, zero if there is none. It
// is due although no look has seen it coming: the worker may have been down since the schedule
// was applied.
func (o *Session) firstStart(ctx context.Context, id string, from, to time.Time) (time.Time, error) {
	m, err := o.Client.WorkflowService().ListScheduleMatchingTimes(ctx, &workflowservice.ListScheduleMatchingTimesRequest{
		Namespace: o.Namespace, ScheduleId: id, StartTime: timestamppb.New(from), EndTime: timestamppb.New(to),
	})
	switch {
	case absent(err): // it was removed just now
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("ask Temporal for the starts of schedule %q: %w", id, err)
	case len(m.StartTime) == 0:
		return time.Time{}, nil
	}
	return m.StartTime[0].AsTime(), nil
}

// dueAfter returns the start that is still due, if any, after the schedule was updated: it
// skips the starts before that, such as those during a pause.
func dueAfter(due, lookedAt, updated time.Time) time.Time {
	if updated.After(due) && updated.After(lookedAt) {
		return time.Time{}
	}
	return due
}

// late is the look at one export.
type late struct {
	schemas.Watched
	a     Applied
	runs  []ranRun // newest first
	now   time.Time
	found []schemas.LateRun
	// skipped reports whether a run that completed has skipped every segment.
	skipped func(Run) (bool, error)
	// next returns the first start of the schedule after that one, until now.
	next func(after time.Time) (time.Time, error)
	// running reports whether a run under way waits for nothing.
	running func(Run) bool
}

func (l *late) add(event string, of schemas.Lateness) {
	l.found = append(l.found, schemas.LateRun{
		Event: event, Export: l.a.Export.Name, Connection: l.a.Export.Connection, Notify: l.a.Export.Notify, Late: of,
	})
}

// follow continues with what is due by the schedule that starts the export, unless that has
// changed, or skipped a start since the last look. updated is when what starts the export was
// applied or resumed last.
func (l *late) follow(timing schemas.Timing, lookedAt, updated time.Time) {
	if !reflect.DeepEqual(l.Timing, timing) {
		l.Timing, l.Due = timing, time.Time{}
		l.forget()
	}
	l.Due = dueAfter(l.Due, lookedAt, updated)
	for _, start := range []time.Time{l.Since, l.Until} {
		if start.After(lookedAt) && updated.After(start) {
			l.forget()
		}
	}
}

// forget ends the interval in which a run has to be done, unless that was reported.
func (l *late) forget() {
	if !l.Undone {
		l.Since, l.Until = time.Time{}, time.Time{}
	}
}

// leftOut takes note of a run that a Refresh did not start, and told of.
func (l *late) leftOut(due time.Time) error {
	if !l.Overdue.IsZero() || !due.After(l.a.Updated) {
		return nil
	}
	done, err := l.exported(func(r ranRun) bool { return !r.began.Before(due) })
	if err == nil && done == "" {
		l.Overdue = due
	}
	return err
}

// missed finds a run overdue that has not begun since the first export of its refresh was due,
// which did not begin in time.
func (l *late) missed(due time.Time) {
	if _, begun := l.covers(due); due.IsZero() || begun || !l.Overdue.IsZero() {
		return
	}
	l.Overdue = due
	l.add(schemas.EventOverdue, schemas.Lateness{Due: due})
}

// mostDue is how many starts since the last look one look judges.
const mostDue = 100

// overdue compares when the runs that were due since the last look began with when they had to.
func (l *late) overdue() error {
	if l.Due.IsZero() {
		l.Due = l.a.Next
		return nil
	}
	for range mostDue {
		latest := l.Due.Add(catchUp(&l.Timing) + lateMargin)
		due := l.Due
		if len(l.a.Followers) > 0 { // another schedule may start it, whose jitter is less
			due = due.Add(-time.Duration(l.Timing.Jitter))
		}
		run, begun := l.covers(due)
		if l.Overdue.IsZero() && (!begun && l.now.After(latest) || begun && run.began.After(latest)) {
			l.Overdue = l.Due
			l.add(schemas.EventOverdue, schemas.Lateness{Due: l.Due, Began: run.began, RunID: run.RunID})
		}
		if !begun {
			return nil
		}
		next, err := l.next(l.Due)
		switch {
		case err != nil:
			return err
		case !next.After(l.Due):
			l.Due = l.a.Next
			return nil
		}
		l.Due = next
	}
	return nil
}

// covers returns the first run that was under way at a scheduled start or began after it.
func (l *late) covers(start time.Time) (ranRun, bool) {
	for _, r := range slices.Backward(l.runs) {
		if !r.began.Before(start) || r.ended.IsZero() || r.ended.After(start) {
			return r, true
		}
	}
	return ranRun{}, false
}

// took returns how long the last runs took that are done.
func (l *late) took() (took []time.Duration) {
	for _, r := range l.runs {
		if r.done && len(took) < comparedRuns {
			took = append(took, r.ended.Sub(r.began))
		}
	}
	return took
}

// tookToExport returns how long the last runs took that are done and have not skipped every segment.
func (l *late) tookToExport() (took []time.Duration, err error) {
	for _, r := range l.runs {
		if !r.done || len(took) == comparedRuns {
			continue
		}
		skipped, err := l.skipped(r.Run)
		if err != nil {
			return nil, err
		}
		if !skipped {
			took = append(took, r.ended.Sub(r.began))
		}
	}
	return took, nil
}

// undone finds an export of which no run was done in a whole interval of its schedule and, after
// that, in as long as a run may begin late and usually takes. How long the first one takes is not
// known, so nothing is found while it is under way. starts are the next scheduled ones.
func (l *late) undone(starts []time.Time) error {
	if l.Undone {
		return nil // until it has recovered
	}
	done := ""
	if !l.Since.IsZero() {
		var err error
		if done, err = l.exported(l.endedSince); err != nil {
			return err
		}
	}
	if l.Since.IsZero() || done != "" {
		l.Since, l.Until = time.Time{}, time.Time{}
		if len(starts) > 1 {
			l.Since, l.Until = starts[0], starts[1]
		}
		return nil
	}
	latest := l.Until.Add(catchUp(&l.Timing) + lateMargin)
	if !l.Overdue.IsZero() || !l.now.After(latest) {
		return nil
	}
	took, err := l.tookToExport()
	switch {
	case err != nil:
		return err
	case len(took) > 0:
		slices.Sort(took)
		latest = latest.Add(took[len(took)/2])
	case len(l.runs) > 0 && l.runs[0].ended.IsZero() && l.running(l.runs[0].Run):
		return nil
	}
	if l.now.After(latest) {
		l.Undone = true
		l.add(schemas.EventOverdue, schemas.Lateness{Due: l.Since, Undone: true})
	}
	return nil
}

func (l *late) endedSince(r ranRun) bool { return r.ended.After(l.Since) }

// exported returns the ID of the newest run of those in question that is done and has not
// skipped every segment, empty if there is none.
func (l *late) exported(inQuestion func(ranRun) bool) (string, error) {
	for _, r := range l.runs {
		if !r.done || !inQuestion(r) {
			continue
		}
		if skipped, err := l.skipped(r.Run); err != nil || !skipped {
			return r.RunID, err
		}
	}
	return "", nil
}

// slow compares the run under way with the last ones.
func (l *late) slow() {
	if len(l.runs) == 0 || !l.runs[0].ended.IsZero() || l.runs[0].RunID == l.Slow {
		return
	}
	took := l.took()
	if len(took) < fewestCompared {
		return
	}
	longest, takes := slices.Max(took), l.now.Sub(l.runs[0].began)
	if takes > max(time.Duration(slowFactor*float64(longest)), longest+slowMargin) && l.running(l.runs[0].Run) {
		l.Slow = l.runs[0].RunID
		l.add(schemas.EventSlow, schemas.Lateness{RunID: l.Slow, Takes: schemas.Duration(takes), Longest: schemas.Duration(longest)})
	}
}

// recovered ends what was late: overdue when a run is done that began later, undone when a run is
// done, slow when the run has ended. A run that skipped every segment is not done.
func (l *late) recovered() error {
	again := ""
	if l.Slow != "" {
		i := slices.IndexFunc(l.runs, func(r ranRun) bool { return r.RunID == l.Slow && r.ended.IsZero() })
		if i < 0 {
			done, err := l.exported(func(r ranRun) bool { return r.RunID == l.Slow })
			if err != nil {
				return err
			}
			again, l.Slow = done, ""
		}
	}
	if !l.Overdue.IsZero() {
		done, err := l.exported(func(r ranRun) bool { return !r.began.Before(l.Overdue) })
		if err != nil {
			return err
		}
		if done != "" {
			again, l.Overdue = done, time.Time{}
		}
	}
	if l.Undone {
		done, err := l.exported(l.endedSince)
		if err != nil {
			return err
		}
		if done != "" {
			again, l.Undone, l.Since, l.Until = done, false, time.Time{}, time.Time{}
		}
	}
	if again != "" {
		l.add(schemas.EventRecovered, schemas.Lateness{RunID: again})
	}
	return nil
}

// listedRuns is how many runs of an export are read, newest first.
const listedRuns = 50

// ran returns the newest runs of an export.
func (o *Session) ran(ctx context.Context, export string) ([]ranRun, error) {
	list, err := o.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: o.Namespace, PageSize: listedRuns,
		Query: fmt.Sprintf("WorkflowType = %q AND WorkflowId = %q", schemas.WorkflowRunExport, schemas.RunWorkflowID(export)),
	})
	if err != nil {
		return nil, fmt.Errorf("list the runs of %q: %w", export, err)
	}
	var out []ranRun
	for _, e := range list.Executions {
		r := ranRun{began: e.StartTime.AsTime(), done: e.Status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED}
		r.Run = Run{Export: export, WorkflowID: e.Execution.WorkflowId, RunID: e.Execution.RunId}
		if e.CloseTime != nil {
			r.ended = e.CloseTime.AsTime()
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b ranRun) int { return b.began.Compare(a.began) })
	return out, nil
}

// skippedAll reports whether a run that completed has skipped every segment. A run whose result
// is gone, or can't be read, counts as done.
func (o *Session) skippedAll(ctx context.Context, run Run) (bool, error) {
	var result schemas.RunResult
	err := o.Client.GetWorkflow(ctx, run.WorkflowID, run.RunID).Get(ctx, &result)
	if err != nil && !absent(err) && !errors.Is(err, converter.ErrUnableToDecode) {
		return false, fmt.Errorf("read the result of the run of %q: %w", run.Export, err)
	}
	return result.State(schemas.StateDone) == schemas.StateSkipped, nil
}

// LastLook returns the result of the last FindLateRuns, empty if there is none.
func (o *Session) LastLook(ctx context.Context) (out schemas.LateRuns, err error) {
	last, err := o.lastLook(ctx)
	if err != nil || last == nil {
		return out, err
	}
	err = o.Client.GetWorkflow(ctx, last.Execution.WorkflowId, last.Execution.RunId).Get(ctx, &out)
	return out, err
}

// lastLook returns the last FindLateRuns that completed, nil if there is none.
func (o *Session) lastLook(ctx context.Context) (*workflow.WorkflowExecutionInfo, error) {
	list, err := o.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: o.Namespace, PageSize: 1, Query: fmt.Sprintf("WorkflowType = %q AND ExecutionStatus = 'Completed'", schemas.WorkflowFindLateRuns),
	})
	if err != nil || len(list.Executions) == 0 {
		return nil, err
	}
	return list.Executions[0], nil
}

// Looked returns when the last look for late runs ended. If Temporal knows of none, it returns
// when they were scheduled, and zero if they are not.
func (o *Session) Looked(ctx context.Context) (time.Time, error) {
	last, err := o.lastLook(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask Temporal for the last look for late runs: %w", err)
	}
	if last != nil {
		return last.CloseTime.AsTime(), nil
	}
	d, err := o.Client.ScheduleClient().GetHandle(ctx, schemas.LateRunsID).Describe(ctx)
	if absent(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("describe schedule %q: %w", schemas.LateRunsID, err)
	}
	return d.Info.CreatedAt, nil
}

// Late adds to applied exports what is late now. It looks by itself, since no worker may have
// done so.
func (o *Session) Late(ctx context.Context, applied []Applied) error {
	before, err := o.LastLook(ctx)
	if err != nil || before.LookedAt.IsZero() {
		return err
	}
	now, err := o.findLate(ctx, applied, before, time.Now(), func(string) {})
	if err != nil {
		return err
	}
	told := map[string]string{}
	for _, f := range now.Found {
		if f.Event != schemas.EventRecovered {
			told[f.Export] = f.Event + ": " + f.Late.Message(f.Event)
		}
	}
	for i := range applied {
		name := applied[i].Export.Name
		w := now.Exports[name]
		if applied[i].Late = w.Late(); applied[i].Late != "" {
			applied[i].Late = cmp.Or(told[name], applied[i].Late)
		}
	}
	return nil
}

// outlookTime is how long a schedule that was made to compute starts may exist.
const outlookTime = time.Hour

// DeleteOutlooks deletes the schedules that were made to compute starts and were left, because
// the process ended.
func (o *Session) DeleteOutlooks(ctx context.Context, now time.Time) error {
	list, err := o.Client.ScheduleClient().List(ctx, client.ScheduleListOptions{})
	for err == nil && list.HasNext() {
		entry, next := list.Next()
		if err = next; err != nil || !strings.HasPrefix(entry.ID, schemas.OutlookPrefix) {
			continue
		}
		h := o.Client.ScheduleClient().GetHandle(ctx, entry.ID)
		d, gone := h.Describe(ctx)
		if gone == nil && now.Sub(d.Info.CreatedAt) > outlookTime {
			err = h.Delete(ctx)
		}
	}
	return err
}
