// Package operate is what operators do with exports and their runs: apply and remove
// exports, start runs, follow them, answer those that wait, and find out how they
// ended. It talks to Temporal and never sees a profile or a key.
package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

// Session does what one person, Who, asks of the exports and runs of one Temporal namespace.
type Session struct {
	Client    client.Client
	Namespace string
	// Who is recorded with what is started, answered and applied.
	Who schemas.Person
	// Gate issues the grants; nil where runs need none.
	Gate *access.Gate
	// Key makes a start idempotent: a run that was started with the same key is not
	// started again. Empty means that every start is a new one.
	Key string
	// AwaitData is RunInput.AwaitData of the runs that are started.
	AwaitData bool
	// By names the program that starts runs, and is empty if the person does.
	By string
}

// Run names one execution of an export.
type Run struct {
	Export     string `json:"export"`
	WorkflowID string `json:"workflowId"`
	RunID      string `json:"runId"`
}

// ErrNoRun is the error for a run that does not exist.
var ErrNoRun = errors.New("no such run")

// Start starts a run of an export that need not have been applied. If a run of it is
// under way, Start joins that run and joined is true. It refuses an export that was
// applied with another definition. Whether another export owns the list is checked by
// the run itself.
func (o *Session) Start(ctx context.Context, export schemas.Export, full bool) (run Run, joined bool, err error) {
	a, err := o.describe(ctx, schemas.ScheduleID(export.Name))
	switch {
	case errors.Is(err, ErrNotApplied):
	case err != nil:
		return Run{}, false, err
	case !schemas.Equal(a.Export, export):
		return Run{}, false, access.No(schemas.ErrorConflict, "export %q is applied with another definition, and a run of this one would change its lists; run the applied one with: starter run %s, or name this one with --export",
			export.Name, schemas.ShellWord(export.Name))
	}
	return o.Run(ctx, export, full)
}

// Run starts a run of an applied export, or joins the one under way.
func (o *Session) Run(ctx context.Context, export schemas.Export, full bool) (run Run, joined bool, err error) {
	return o.start(ctx, schemas.RunWorkflowID(export.Name), "Export", schemas.RunInput{Export: export, Full: full, AwaitData: o.AwaitData})
}

// Check starts a check of the export, which reports what a run would do and changes
// nothing. It joins a check under way.
func (o *Session) Check(ctx context.Context, export schemas.Export, full bool) (run Run, joined bool, err error) {
	return o.start(ctx, schemas.CheckWorkflowID(export.Name), "Check of", schemas.RunInput{Export: export, Full: full, Check: true})
}

// Try starts a trial, or returns the one that was started with the operator's key. It does not
// join another one. begun reports whether this call started it, or may have, if there is an error.
func (o *Session) Try(ctx context.Context, export schemas.Export) (run Run, begun bool, err error) {
	run, how, err := o.begin(ctx, schemas.RunWorkflowID(export.Name), "Trial", schemas.RunInput{Export: export, Full: true})
	return run, how == startBegun, err
}

// Tried returns the trial of that name that was started with the operator's key, if there is one.
func (o *Session) Tried(ctx context.Context, name string) (run Run, found bool, err error) {
	return o.startedBefore(ctx, name, schemas.RunWorkflowID(name))
}

// startResult is what a request to start a run led to.
type startResult int

const (
	startRefused startResult = iota
	// startBegun: the run was started. With an error, nobody knows whether it was.
	startBegun
	// startJoined: it is one under way; startRepeated: it was started with the same key.
	startJoined
	startRepeated
)

func (o *Session) start(ctx context.Context, id, what string, in schemas.RunInput) (run Run, joined bool, err error) {
	run, how, err := o.begin(ctx, id, what, in)
	return run, how == startJoined, err
}

func (o *Session) begin(ctx context.Context, id, what string, in schemas.RunInput) (run Run, how startResult, err error) {
	export, full := in.Export, in.Full
	if run, again, err := o.startedBefore(ctx, export.Name, id); again || err != nil {
		return run, startRepeated, err
	}
	kind := schemas.TriggerPerson
	if o.By != "" {
		kind = schemas.TriggerEvent
	}
	if in, err = o.granted(ctx, in, kind); err != nil {
		return Run{}, startRefused, err
	}
	memo := map[string]any{schemas.MemoTrigger: in.Trigger}
	if o.Key != "" {
		memo[schemas.MemoKey] = o.Key
	}
	handle, err := o.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       id,
		TaskQueue:                                schemas.TaskQueue,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		Memo:                                     memo,
		StaticSummary:                            fmt.Sprintf("%s %q over connection %q", what, export.Name, export.Connection),
	}, schemas.WorkflowRunExport, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &started):
		if run, again, err := o.startedBefore(ctx, export.Name, id); again || err != nil {
			return run, startRepeated, err
		}
		run = Run{Export: export.Name, WorkflowID: id, RunID: started.RunId}
		return run, startJoined, o.mayJoin(ctx, run, export, full)
	case err != nil && refusedStart(err):
		return Run{}, startRefused, fmt.Errorf("start export %q: %w", export.Name, err)
	case err != nil:
		return Run{}, startBegun, fmt.Errorf("start export %q: %w", export.Name, err)
	}
	return Run{Export: export.Name, WorkflowID: id, RunID: handle.GetRunID()}, startBegun, nil
}

// refusedStart reports whether Temporal's error means that nothing was started. After others, such
// as a timeout, the run may have been.
func refusedStart(err error) bool {
	switch serviceerror.ToStatus(err).Code() {
	case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition, codes.Unimplemented:
		return true
	}
	return false
}

// News tells the workflow that collects the news of an applied export's data that there is
// some, and starts it if need be.
func (o *Session) News(ctx context.Context, a Applied, by string) (Run, error) {
	id := schemas.TriggeredWorkflowID(a.Export.Name)
	run, err := o.Client.SignalWithStartWorkflow(ctx, id, schemas.SignalNews, schemas.News{Export: a.Export.Name, By: by}, client.StartWorkflowOptions{
		ID: id, TaskQueue: schemas.TaskQueue, WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary: fmt.Sprintf("News for export %q", a.Export.Name),
	}, schemas.WorkflowTriggeredRun, schemas.TriggeredInput{})
	if err != nil {
		return Run{}, fmt.Errorf("signal the news of export %q: %w", a.Export.Name, err)
	}
	return Run{Export: a.Export.Name, WorkflowID: id, RunID: run.GetRunID()}, nil
}

// forgetNews ends the workflow that collects the news of an export.
func (o *Session) forgetNews(ctx context.Context, export string) error {
	err := o.Client.TerminateWorkflow(ctx, schemas.TriggeredWorkflowID(export), "", "the export was removed")
	if absent(err) {
		return nil
	}
	return err
}

// mayJoin refuses to join a run that does less than, or something else than, the one
// that was asked for.
func (o *Session) mayJoin(ctx context.Context, run Run, export schemas.Export, full bool) error {
	in, err := o.Input(ctx, run)
	switch {
	case err != nil:
		return err
	case export.Trial() != nil:
		return access.No(schemas.ErrorConflict, "a trial of this export is under way; start another one when it has ended: starter status %s", schemas.ShellWord(export.Name))
	case full && !in.Full:
		return access.No(schemas.ErrorConflict, "a run of %q that is not full is under way; start the full one when it has ended: starter runs %s", export.Name, schemas.ShellWord(export.Name))
	case !schemas.Equal(in.Export, export):
		return access.No(schemas.ErrorConflict, "a run of %q with another definition is under way; wait until it has ended: starter runs %s", export.Name, schemas.ShellWord(export.Name))
	}
	if !o.AwaitData {
		return nil
	}
	v, err := o.Look(ctx, run)
	if err == nil && (!waits(in) || v.looked()) {
		err = access.No(schemas.ErrorHasLooked, "a run of %q is under way that may have read the data before it was complete; start another one when it has ended: starter runs %s",
			export.Name, schemas.ShellWord(export.Name))
	}
	return err
}

// waits reports whether a run waits until its files have settled. A person's run without
// AwaitData reads what is there.
func waits(in schemas.RunInput) bool {
	return in.AwaitData || in.Trigger.Kind != schemas.TriggerPerson
}

// looked reports whether the run has read the data of a segment, or has left one out. Newer
// data is then for another run.
func (v View) looked() bool {
	return v.Ended() || slices.ContainsFunc(v.Segments, func(s SegmentView) bool {
		ended := s.State != schemas.StateRunning && s.State != schemas.StateWaiting && s.State != schemas.StateAwaitingData
		return ended || !s.Report.Info.LookedAt.IsZero()
	})
}

// keyTime is how long a start with the same key is not repeated.
const keyTime = 24 * time.Hour

// startedBefore reports whether a run of a workflow ID was started with the operator's key.
// The error is an *access.Refused if the key was used for another start.
func (o *Session) startedBefore(ctx context.Context, export, id string) (run Run, found bool, err error) {
	if o.Key == "" {
		return run, false, nil
	}
	mine, _, _ := strings.Cut(o.Key, "/")
	var key string
	keyed := func(e *workflow.WorkflowExecutionInfo) (Run, bool) {
		ok := memo(e, schemas.MemoKey, &key) && strings.HasPrefix(key, mine+"/")
		return Run{Export: export, WorkflowID: id, RunID: e.Execution.RunId}, ok
	}
	newest, err := o.execution(ctx, id, "")
	if err != nil || newest == nil {
		return run, false, err
	}
	if run, found = keyed(newest); !found { // the list of earlier ones is some moments late
		earlier, err := o.list(ctx, fmt.Sprintf("WorkflowId = %q AND StartTime > %q", id, time.Now().Add(-keyTime).UTC().Format(time.RFC3339)), keyed, 1)
		if err != nil || len(earlier) == 0 {
			return Run{}, false, err
		}
		run = earlier[0].Run
	}
	if key != o.Key {
		return Run{}, false, access.No(schemas.ErrorBadRequest, "the idempotency key was used for another start of %q; use a new one", export)
	}
	return run, true, nil
}

// granted returns in with its trigger, and with a grant where runs need one.
func (o *Session) granted(ctx context.Context, in schemas.RunInput, trigger string) (schemas.RunInput, error) {
	in.Trigger = schemas.Trigger{Kind: trigger}
	switch trigger {
	case schemas.TriggerPerson:
		in.Trigger.Who = o.Who.Name
	case schemas.TriggerEvent:
		in.Trigger.Who = o.By
	}
	if o.Gate == nil {
		return in, nil
	}
	return o.Gate.GrantRun(ctx, o.Who, in)
}

// Find returns the latest run of the export called name, or the run with the ID name. What looks
// like an ID is not taken for a name: a command about a run must not reach the run of an export
// that is called like its ID.
func (o *Session) Find(ctx context.Context, name string) (Run, error) {
	if schemas.IsRunID(name) {
		found, err := o.list(ctx, fmt.Sprintf("RunId = %q AND WorkflowType = %q", name, schemas.WorkflowRunExport), runOf, 1)
		switch {
		case err != nil:
			return Run{}, fmt.Errorf("look for the run %q: %w", name, err)
		case len(found) > 0:
			return found[0].Run, nil
		}
	} else {
		d, err := o.Client.DescribeWorkflowExecution(ctx, schemas.RunWorkflowID(name), "")
		switch {
		case err == nil && d.WorkflowExecutionInfo.Type.GetName() == schemas.WorkflowRemoveExport:
			return Run{}, fmt.Errorf("%w: the export %q was removed", ErrNoRun, name)
		case err == nil:
			return Run{Export: name, WorkflowID: schemas.RunWorkflowID(name), RunID: d.WorkflowExecutionInfo.Execution.RunId}, nil
		case !absent(err):
			return Run{}, fmt.Errorf("look for the run %q: %w", name, err)
		}
	}
	names, _ := o.Names(ctx) // only for what to do
	if slices.Contains(names, name) {
		return Run{}, fmt.Errorf("%w: the export %q has not run yet; run it with: starter run %s", ErrNoRun, name, schemas.ShellWord(name))
	}
	return Run{}, fmt.Errorf("%w: neither a run ID nor an export that has run is called %q%s", ErrNoRun, name, spelling.Guess(name, names))
}

// Answer sends an answer, one of the schemas.Update names, to the wait with that ID among those
// of a view. The caller has examined that view: a wait that has begun since gets no answer. It
// returns the name of the segment that waited, or of the export if the run did. An answer
// holds for one wait only: what its message says is what was decided.
func (o *Session) Answer(ctx context.Context, v View, answer, wait string) (string, error) {
	run, waits := v.Run, v.Waits()
	for _, w := range waits {
		if w.ID == wait {
			return cmp.Or(w.Segment, run.Export), o.update(ctx, w.workflowID, answer, w.Waiting)
		}
	}
	if len(waits) == 0 {
		return "", access.No(schemas.ErrorConflict, "the run of %q is %s and waits for nothing", v.Run.Export, v.State)
	}
	var b strings.Builder
	if wait == "" {
		b.WriteString("an answer needs --wait, which names the wait")
	} else {
		fmt.Fprintf(&b, "the run of %q does not wait for %q; it now waits for something else", run.Export, wait)
	}
	for _, w := range waits {
		fmt.Fprintf(&b, "\n  %s: %s", cmp.Or(w.Segment, run.Export), w.Message)
		for _, a := range w.Answers {
			fmt.Fprintf(&b, "\n    %s", w.Command("starter", run.Export, a))
		}
	}
	return "", access.No(schemas.ErrorConflict, "%s", b.String())
}

// takenTime is how long a worker has for taking an answer.
const takenTime = time.Minute

// update sends an answer to a wait.
func (o *Session) update(ctx context.Context, workflowID, answer string, w schemas.Waiting) error {
	some, cancel := context.WithTimeout(ctx, takenTime)
	defer cancel()
	handle, err := o.Client.UpdateWorkflow(some, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: answer, Args: []any{schemas.Answer{Wait: w.ID, Who: o.Who.Name}},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(some, nil)
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return access.No(schemas.ErrorConflict, "%s", app.Message())
	}
	if some.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no worker has taken the answer within %s, so the run still waits: see with starter doctor whether one runs, and answer again", takenTime)
	}
	return err
}

// Cancel asks a run to stop. It deletes what it has staged.
func (o *Session) Cancel(ctx context.Context, run Run) error {
	e, err := o.execution(ctx, run.WorkflowID, run.RunID)
	if err == nil && unended(e) {
		err = o.Client.CancelWorkflow(ctx, run.WorkflowID, run.RunID)
	}
	if err == nil && !unended(e) || absent(err) {
		return access.No(schemas.ErrorConflict, "the run %s of %q has already ended, so there is nothing to stop", run.RunID, run.Export)
	}
	if err != nil {
		return fmt.Errorf("cancel the run of %q: %w", run.Export, err)
	}
	return nil
}
