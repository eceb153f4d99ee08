package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// refresh is the state of one Refresh execution.
type refresh struct {
	in      schemas.RefreshInput
	at      string // the end of the IDs of what it starts
	members []*refreshed
	by      map[string]*refreshed
}

// refreshed is one export of a refresh.
type refreshed struct {
	schemas.RefreshedExport
	plan  schemas.RefreshMember
	ended bool
	// waits is set once a person has to answer before the run goes on.
	waits bool
	// watched is set once its run is looked at, for those after it that go on anyway.
	watched bool
	// tell reports whether those who are told of late runs are told that this one, or one
	// after it, did not start.
	tell bool
}

// Refresh runs an export and those that are after it: each as its schedule does, once those
// that it is after have ended. The schedule of the first export starts it, under an ID that
// contains the time. It ends with an error of type schemas.ErrorRefreshFailed if a run has
// failed; its details are the RefreshResult.
func Refresh(ctx workflow.Context, in schemas.RefreshInput) (schemas.RefreshResult, error) {
	r := &refresh{in: in, by: map[string]*refreshed{}}
	r.at = cmp.Or(schemas.StartTime(workflow.GetInfo(ctx).WorkflowExecution.ID), "-"+workflow.Now(ctx).UTC().Format(time.RFC3339))
	var plan schemas.RefreshPlan
	request := schemas.RefreshRequest{Export: in.Export.Name, Alone: in.Ended != nil}
	if !request.Alone {
		request.At = r.at
	}
	if err := workflow.ExecuteActivity(quick(ctx, "Read the order of the exports"), schemas.ActivityReadRefresh, request).Get(ctx, &plan); err != nil {
		return schemas.RefreshResult{}, err
	}
	if plan.Later != "" {
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("The refresh of **export %q** was left out: `%s` is for a later time.", in.Export.Name, plan.Later))
		return schemas.RefreshResult{Later: plan.Later}, nil
	}
	if plan.Leader != in.Export.Name {
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Export %q** is refreshed together with others, by the schedule of %q.", in.Export.Name, plan.Leader))
		return schemas.RefreshResult{Leader: plan.Leader}, nil
	}
	for _, m := range plan.Members {
		one := &refreshed{plan: m, RefreshedExport: schemas.RefreshedExport{Export: m.Export, State: schemas.StateUpstream}}
		if in.Ended != nil && in.Ended.Export == m.Export {
			one.RefreshedExport, one.ended, one.tell = *in.Ended, true, true
		}
		r.members, r.by[m.Export] = append(r.members, one), one
	}
	r.show(ctx)
	for _, m := range r.members {
		if !m.ended {
			workflow.Go(ctx, func(ctx workflow.Context) { r.member(ctx, m) })
		}
	}
	until, _ := workflow.NewDisconnectedContext(ctx) // a cancelled refresh waits for its runs
	if err := workflow.Await(until, func() bool { return !slices.ContainsFunc(r.members, func(m *refreshed) bool { return !m.ended }) }); err != nil {
		return schemas.RefreshResult{}, err
	}
	return r.result(ctx)
}

// member runs one export as its schedule does now, or records why not.
func (r *refresh) member(ctx workflow.Context, m *refreshed) {
	defer func() {
		m.ended = true
		r.show(ctx)
	}()
	why, tell, err := r.upstream(ctx, m)
	if err != nil {
		m.State, m.Why, m.tell = EndState(err), err.Error(), true
		return
	}
	ended := func(look schemas.RunLook, err error) bool { return err == nil && look.Ended }
	for since := workflow.Now(ctx); r.attempt(ctx, m, why, tell); {
		if err := workflow.Sleep(ctx, fewestWatch); err != nil {
			m.State, m.tell = EndState(err), true
			return
		}
		if !r.follow(ctx, m, since, ended) {
			return
		}
	}
}

// attempt runs an export as its schedule does now. It reports whether a run was under way that may
// have looked at the data before the news that the refresh is for: only after that one's end can
// another one run.
func (r *refresh) attempt(ctx workflow.Context, m *refreshed, why string, tell bool) (again bool) {
	var now schemas.AppliedNow
	read := quick(ctx, fmt.Sprintf("Read the schedule of %q", m.Export))
	err := workflow.ExecuteActivity(read, schemas.ActivityReadSchedule, m.Export).Get(ctx, &now)
	switch {
	case err != nil:
		m.State, m.Why, m.tell = EndState(err), err.Error(), true
	case now.Input == nil:
		m.State, m.Why, m.tell = schemas.StateSkipped, "it was removed", true
	case now.Paused:
		r.leaveOut(ctx, m, *now.Input, fmt.Sprintf("%q is paused", m.Export), false)
	case why != "" && m.plan.AfterFailure != schemas.AfterRun:
		r.leaveOut(ctx, m, *now.Input, why, tell)
	default:
		if why != "" {
			why = "started although " + why
		}
		m.State, m.Why = schemas.StateRunning, why
		r.show(ctx)
		return r.run(ctx, m, *now.Input)
	}
	return false
}

// upstream blocks until the exports that m is after have ended. It returns which are not done,
// and whether those who want to know of late runs are told.
func (r *refresh) upstream(ctx workflow.Context, m *refreshed) (why string, tell bool, err error) {
	var notDone []string
	for _, name := range m.plan.After {
		up := r.by[name]
		switch {
		case up == nil && r.in.Ended != nil:
			continue // not of this refresh
		case up == nil:
			notDone, tell = append(notDone, fmt.Sprintf("%q is not applied", name)), true
			continue
		}
		anyway := m.plan.AfterFailure == schemas.AfterRun
		if err := workflow.Await(ctx, func() bool { return up.ended || anyway && up.waits }); err != nil {
			return "", false, err
		}
		switch {
		case !up.ended:
			notDone = append(notDone, fmt.Sprintf("%q waits for a person", name))
		case up.State != schemas.StateDone:
			notDone, tell = append(notDone, fmt.Sprintf("%q was not done: %s", name, up.State)), tell || up.tell
		}
	}
	return strings.Join(notDone, "; "), tell, nil
}

// run runs an export once, and returns as attempt does.
func (r *refresh) run(ctx workflow.Context, m *refreshed, in schemas.ScheduledInput) (again bool) {
	if !m.watched && slices.ContainsFunc(r.members, func(f *refreshed) bool {
		return f.plan.AfterFailure == schemas.AfterRun && slices.Contains(f.plan.After, m.Export)
	}) {
		m.watched = true
		workflow.Go(ctx, func(ctx workflow.Context) { m.watch(ctx) })
	}
	var out schemas.ScheduledResult
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	switch err := r.start(ctx, schemas.ScheduledStart{ScheduledInput: in, By: r.in.By}).Get(ctx, &out); {
	case errors.As(err, &started): // before this refresh was reset in Temporal
		r.join(ctx, m, true)
	case err != nil:
		m.RefreshedExport, m.tell = endedAs(m.Export, err, schemas.RunResult{}, m.Why), true
	case out.Run != nil:
		m.RefreshedExport, m.tell = endedAs(m.Export, nil, *out.Run, m.Why), true
	default:
		m.Why = strings.TrimPrefix(out.Skipped, "skipped: ")
		if r.in.Ended != nil {
			return true
		}
		r.join(ctx, m, false)
	}
	return false
}

// mostJoined bounds the wait for a run that a refresh has not started.
const mostJoined = 24 * time.Hour

// join waits for the run of m that was already under way, and goes on with its end: the run of
// a person starts nothing after it. Another refresh goes on with what is after its own runs, so
// m is then only skipped. ours says that the run is of this refresh.
func (r *refresh) join(ctx workflow.Context, m *refreshed, ours bool) {
	if !ours && !r.followed(m) {
		m.State = schemas.StateSkipped
		return
	}
	r.follow(ctx, m, workflow.Now(ctx), func(look schemas.RunLook, err error) bool {
		switch {
		case err != nil, ours && look.StartedAt.Before(workflow.GetInfo(ctx).WorkflowStartTime):
			return false
		case !ours && !look.Alone:
			m.State = schemas.StateSkipped
		case look.Ended:
			m.State, m.RunID, m.tell = look.State, look.RunID, true
		default:
			return false
		}
		return true
	})
}

// follow looks at the run of m that is under way until done is true. It returns false if it can't, or
// no longer, wait, which is then the state of m. since is when it was under way first.
func (r *refresh) follow(ctx workflow.Context, m *refreshed, since time.Time, done func(schemas.RunLook, error) bool) bool {
	r.show(ctx)
	for pause := fewestWatch; workflow.Now(ctx).Sub(since) < mostJoined; pause = min(2*pause, mostWatch) {
		look, err := m.look(ctx)
		if done(look, err) {
			return true
		}
		m.waits = m.waits || err == nil && look.State == schemas.StateWaiting
		if err := workflow.Sleep(ctx, pause); err != nil {
			m.State, m.tell = EndState(err), true
			return false
		}
	}
	m.State, m.tell = schemas.StateSkipped, true
	m.Why = fmt.Sprintf("a run of %q has been under way for more than a day", m.Export)
	return false
}

// followed reports whether an export of the refresh is after m.
func (r *refresh) followed(m *refreshed) bool {
	return slices.ContainsFunc(r.members, func(f *refreshed) bool { return slices.Contains(f.plan.After, m.Export) })
}

// Looks at a run that others are after, whatever becomes of it: the first after fewestWatch,
// later ones up to mostWatch apart.
const (
	fewestWatch = 20 * time.Second
	mostWatch   = 10 * time.Minute
)

// watch looks at the run of m until it has ended or waits for a person.
func (m *refreshed) watch(ctx workflow.Context) {
	for pause := fewestWatch; ; pause = min(2*pause, mostWatch) {
		if ended, err := workflow.AwaitWithTimeout(ctx, pause, func() bool { return m.ended }); ended || err != nil {
			return
		}
		if run, err := m.look(ctx); err == nil && run.State == schemas.StateWaiting {
			m.waits = true
			return
		}
	}
}

// look looks at the newest run of m.
func (m *refreshed) look(ctx workflow.Context) (out schemas.RunLook, err error) {
	once := workflow.WithRetryPolicy(quick(ctx, fmt.Sprintf("Look at the run of %q", m.Export)), temporal.RetryPolicy{MaximumAttempts: 1})
	err = workflow.ExecuteActivity(once, schemas.ActivityLookAtRun, m.Export).Get(ctx, &out)
	return out, err
}

// endedAs returns what has become of a run that has ended. why is kept if the run says nothing.
func endedAs(export string, err error, result schemas.RunResult, why string) schemas.RefreshedExport {
	out := schemas.RefreshedExport{Export: export, State: result.State(EndState(err)), RunID: result.RunID, Why: why}
	var app *temporal.ApplicationError
	switch {
	case errors.As(err, &app):
		out.Why = app.Message()
	case err != nil:
		out.Why = err.Error()
	case result.Skipped() > 0:
		out.State, out.Why = schemas.StateSkipped, fmt.Sprintf("the data of %d of %d segments was not ready", result.Skipped(), len(result.Segments))
	}
	return out
}

// leaveOut records that an export is not run, where its skipped starts are recorded. With tell
// it notifies those who want to know of runs that are overdue.
func (r *refresh) leaveOut(ctx workflow.Context, m *refreshed, in schemas.ScheduledInput, why string, tell bool) {
	m.State, m.Why, m.tell = schemas.StateSkipped, why, tell
	start, due := schemas.ScheduledStart{ScheduledInput: in, By: r.in.By, Skip: why}, time.Time{}
	if tell {
		due, _ = time.Parse("-"+time.RFC3339, r.at)
		start.Overdue = due
	}
	if err := r.start(ctx, start).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("skipped start not recorded", "export", m.Export, "error", err)
	}
	if !tell {
		return
	}
	late := schemas.Lateness{Due: due, Upstream: true}
	notify(ctx, in.Export.Notify, "", schemas.Event{
		Event: schemas.EventOverdue, Export: m.Export, Connection: in.Export.Connection, Late: &late,
		Message: late.Message(schemas.EventOverdue), Commands: late.Commands(schemas.EventOverdue, m.Export),
	})
}

// start starts the ScheduledRun of one export.
func (r *refresh) start(ctx workflow.Context, in schemas.ScheduledStart) workflow.ChildWorkflowFuture {
	return workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            schemas.ScheduledWorkflowID(in.Export.Name) + r.at,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON,
		WaitForCancellation:   true,
		StaticSummary:         fmt.Sprintf("Export %q", in.Export.Name),
	}), schemas.WorkflowScheduledRun, in)
}

// refreshAfter starts a refresh of the exports that are after one whose run has ended. It
// returns once Temporal has recorded the start.
func refreshAfter(ctx workflow.Context, in schemas.ScheduledInput, by string, ended schemas.RefreshedExport) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:        schemas.RefreshWorkflowID(in.Export.Name) + "-" + workflow.Now(ctx).UTC().Format(time.RFC3339),
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     fmt.Sprintf("Refresh of those after export %q", in.Export.Name),
	})
	refresh := workflow.ExecuteChildWorkflow(ctx, schemas.WorkflowRefresh, schemas.RefreshInput{ScheduledInput: in, Ended: &ended, By: by})
	if err := refresh.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("refresh not started", "export", in.Export.Name, "error", err)
	}
}

// show updates the details of the refresh in the Temporal UI.
func (r *refresh) show(ctx workflow.Context) {
	var b strings.Builder
	fmt.Fprintf(&b, "**Refresh of export %q and those after it**\n\n| export | after | state | |\n| --- | --- | --- | --- |\n", r.in.Export.Name)
	for _, m := range r.members {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.Export, strings.Join(m.plan.After, ", "), m.State, m.Why)
	}
	workflow.SetCurrentDetails(ctx, b.String())
}

// result returns what has become of the exports.
func (r *refresh) result(ctx workflow.Context) (schemas.RefreshResult, error) {
	var out schemas.RefreshResult
	var failed []string
	for _, m := range r.members {
		out.Exports = append(out.Exports, m.RefreshedExport)
		if m.State != schemas.StateDone && m.State != schemas.StateSkipped {
			failed = append(failed, fmt.Sprintf("%q %s", m.Export, m.State))
		}
	}
	switch {
	case ctx.Err() != nil:
		return out, temporal.NewCanceledError(out)
	case len(failed) == 0:
		return out, nil
	}
	return out, temporal.NewApplicationErrorWithOptions(
		fmt.Sprintf("%d of %d exports were not done: %s", len(failed), len(out.Exports), strings.Join(failed, ", ")),
		schemas.ErrorRefreshFailed, temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{out}})
}
