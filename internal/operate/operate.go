// Package operate is what operators do with runs: start one, follow it, answer
// it when it waits, cancel it, and find out how it ended. It talks to Temporal
// and never sees a profile or a key. The starter and the development server are
// built on it.
package operate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

// Operator works on the runs of one Temporal namespace.
type Operator struct {
	Client    client.Client
	Namespace string
	// Who is recorded with what is started, answered and applied.
	Who schemas.Person
	// Gate grants it; nil where nothing needs a grant.
	Gate *access.Gate
	// Key, where it is not empty, makes a start one that can be repeated: a run that was
	// started with the same key is not started again.
	Key string
}

// Run names one execution of an export.
type Run struct {
	Export     string `json:"export"`
	WorkflowID string `json:"workflowId"`
	RunID      string `json:"runId"`
}

// ErrNoRun says that there is no run of that name.
var ErrNoRun = errors.New("no such run")

// Start starts a run of the export, which nobody needs to have applied. When one is
// under way already it joins that one instead, and says so. An export that would feed
// the list of another one that was applied is refused.
func (o *Operator) Start(ctx context.Context, export schemas.Export, full bool) (run Run, joined bool, err error) {
	applied, err := o.Applied(ctx)
	if err != nil {
		return Run{}, false, err
	}
	all := []schemas.Export{export}
	for _, a := range applied {
		switch {
		case a.Export.Name != export.Name:
			all = append(all, a.Export)
		case !same(a.Export, export):
			return Run{}, false, access.No(schemas.ErrorConflict, "«%s» is applied with another definition, and a run of this one would change its lists; run it as it is with: starter run %s, or give this one another name with --export",
				export.Name, schemas.ShellWord(export.Name))
		}
	}
	if err := clash(all); err != nil {
		return Run{}, false, err
	}
	return o.join(ctx, export, full)(o.start(ctx, schemas.RunWorkflowID(export.Name), "Export", schemas.RunInput{Export: export, Full: full}))
}

// Check starts a check of the export: it tells what a run would do, and changes
// nothing. When one is under way already it joins that one, and says so.
func (o *Operator) Check(ctx context.Context, export schemas.Export, full bool) (run Run, joined bool, err error) {
	return o.join(ctx, export, full)(o.start(ctx, schemas.CheckWorkflowID(export.Name), "Check of", schemas.RunInput{Export: export, Full: full, Check: true}))
}

// join refuses to join a run of another definition of the export.
func (o *Operator) join(ctx context.Context, export schemas.Export, full bool) func(Run, bool, error) (Run, bool, error) {
	return func(run Run, joined bool, err error) (Run, bool, error) {
		if err != nil || !joined {
			return run, joined, err
		}
		in, err := o.Input(ctx, run)
		switch {
		case err != nil:
		case full && !in.Full:
			err = access.No(schemas.ErrorConflict, "a run of «%s» that is not full is under way; wait for its end, and start the full one then: starter runs %s", export.Name, schemas.ShellWord(export.Name))
		case !same(in.Export, export):
			err = access.No(schemas.ErrorConflict, "«%s» is under way with another definition; wait for its end: starter runs %s", export.Name, schemas.ShellWord(export.Name))
		}
		return run, joined, err
	}
}

// same tells whether two definitions of an export are the same.
func same(a, b schemas.Export) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (o *Operator) start(ctx context.Context, id, what string, in schemas.RunInput) (run Run, joined bool, err error) {
	export := in.Export
	if run, again, err := o.startedBefore(ctx, export.Name, id); again || err != nil {
		return run, false, err
	}
	if in, err = o.granted(ctx, in, schemas.TriggerPerson); err != nil {
		return Run{}, false, err
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
		StaticSummary:                            fmt.Sprintf("%s «%s» over connection «%s»", what, export.Name, export.Connection),
	}, schemas.WorkflowRunExport, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &started):
		if run, again, err := o.startedBefore(ctx, export.Name, id); again || err != nil {
			return run, false, err
		}
		return Run{Export: export.Name, WorkflowID: id, RunID: started.RunId}, true, nil
	case err != nil:
		return Run{}, false, fmt.Errorf("start export «%s»: %w", export.Name, err)
	}
	return Run{Export: export.Name, WorkflowID: id, RunID: handle.GetRunID()}, false, nil
}

// keyTime is how long a start with the same key is not done again.
const keyTime = 24 * time.Hour

// startedBefore reports whether a run of a workflow id was started with the operator's
// key. The error is a *access.Refused where it was for something else.
func (o *Operator) startedBefore(ctx context.Context, export, id string) (run Run, found bool, err error) {
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

// granted is in with what started it, and with the grant for that.
func (o *Operator) granted(ctx context.Context, in schemas.RunInput, trigger string) (schemas.RunInput, error) {
	in.Trigger = schemas.Trigger{Kind: trigger}
	if trigger == schemas.TriggerPerson {
		in.Trigger.Who = o.Who.Name
	}
	if o.Gate == nil {
		return in, nil
	}
	return o.Gate.GrantRun(ctx, o.Who, in)
}

// Find finds a run by the name of its export (its latest run) or by its run id.
func (o *Operator) Find(ctx context.Context, name string) (Run, error) {
	d, err := o.Client.DescribeWorkflowExecution(ctx, schemas.RunWorkflowID(name), "")
	switch {
	case err == nil && d.WorkflowExecutionInfo.Type.GetName() == schemas.WorkflowRemoveExport:
		return Run{}, fmt.Errorf("%w: the export «%s» was removed", ErrNoRun, name)
	case err == nil:
		return Run{Export: name, WorkflowID: schemas.RunWorkflowID(name),
			RunID: d.WorkflowExecutionInfo.Execution.RunId}, nil
	case !absent(err):
		return Run{}, fmt.Errorf("look for the run %q: %w", name, err)
	}
	list, err := o.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: o.Namespace, PageSize: 1,
		Query: fmt.Sprintf("RunId = %q AND WorkflowType = %q", name, schemas.WorkflowRunExport),
	})
	if err != nil {
		return Run{}, fmt.Errorf("look for the run %q: %w", name, err)
	}
	for _, e := range list.Executions {
		if export, ok := schemas.ExportOfRun(e.Execution.WorkflowId); ok {
			return Run{Export: export, WorkflowID: e.Execution.WorkflowId, RunID: e.Execution.RunId}, nil
		}
	}
	names, _ := o.Names(ctx) // a guess is a help, not a must
	return Run{}, fmt.Errorf("%w: neither an export that has ever run nor a run id is called %q%s", ErrNoRun, name, spelling.Guess(name, names))
}

// Answer gives an answer (one of the schemas.Update names) to the wait of that ID, and
// returns the name of the segment that waited, or of the export where the whole run did.
// An answer is for one wait alone: what its message said is what was decided.
func (o *Operator) Answer(ctx context.Context, run Run, answer, wait string) (string, error) {
	v, err := o.Look(ctx, run)
	if err != nil {
		return "", err
	}
	waits := v.Waits()
	for _, w := range waits {
		if w.ID != wait {
			continue
		}
		name := w.Segment
		if name == "" {
			name = run.Export
		}
		return name, o.update(ctx, w.workflowID, answer, w.Waiting)
	}
	if len(waits) == 0 {
		return "", access.No(schemas.ErrorConflict, "the run of «%s» is %s, and waits for nothing", v.Run.Export, v.State)
	}
	var now strings.Builder
	fmt.Fprintf(&now, "the run of «%s» does not wait for %q", run.Export, wait)
	if wait == "" {
		now.Reset()
		fmt.Fprintf(&now, "an answer is for one wait: say which with --wait")
	} else {
		now.WriteString("; it now waits for something else")
	}
	for _, w := range waits {
		fmt.Fprintf(&now, "\n  %s: %s", cmp.Or(w.Segment, run.Export), w.Message)
		for _, a := range w.Answers {
			fmt.Fprintf(&now, "\n    %s", w.Command("starter", run.Export, a))
		}
	}
	return "", access.No(schemas.ErrorConflict, "%s", now.String())
}

// Wait is a wait of a run, or of a segment of it.
type Wait struct {
	schemas.Waiting
	Segment    string // empty where the whole run waits
	workflowID string
}

// Waits are what a run waits for.
func (v View) Waits() (all []Wait) {
	if v.Waiting != nil {
		all = append(all, Wait{Waiting: *v.Waiting, workflowID: v.Run.WorkflowID})
	}
	for _, s := range v.Segments {
		if s.Waiting != nil {
			all = append(all, Wait{Waiting: *s.Waiting, Segment: s.Run.Segment, workflowID: s.WorkflowID})
		}
	}
	return all
}

// update sends an answer to a wait.
func (o *Operator) update(ctx context.Context, workflowID, answer string, w schemas.Waiting) error {
	handle, err := o.Client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: answer, Args: []any{schemas.Answer{Wait: w.ID, Who: o.Who.Name}},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return access.No(schemas.ErrorConflict, "%s", app.Message())
	}
	return err
}
