package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// waiter pauses a run at a step that retries can't repair, until an operator answers.
type waiter struct {
	connection string           // of the run
	waits      int              // how often the run has waited
	waiting    *schemas.Waiting // the present wait
	answer     string           // the update that ended the wait
	who        string           // the person who gave the answer
	approved   string           // the message of the last handover that was approved
	over       string           // the last problem, for which the run starts over
	unattended bool             // permanent errors end the run instead of waiting
	restart    func() bool      // whether the run starts over by itself after a change; may be nil
	show       func(workflow.Context)
	notify     func(workflow.Context, schemas.Waiting)
	record     func(schemas.Answered)
}

// listen registers the updates that a waiting workflow accepts. It calls show when a wait
// begins or ends.
func listen(ctx workflow.Context, connection string, show func(workflow.Context)) (*waiter, error) {
	w := &waiter{connection: connection, show: show}
	for _, name := range []string{schemas.UpdateRetry, schemas.UpdateAbort, schemas.UpdateApprove} {
		err := workflow.SetUpdateHandlerWithOptions(ctx, name,
			func(ctx workflow.Context, a schemas.Answer) (string, error) { return w.accept(ctx, name, a) },
			workflow.UpdateHandlerOptions{
				Validator:   func(a schemas.Answer) error { return w.validate(name, a.Wait) },
				Description: "answers a run that waits",
			})
		if err != nil {
			return nil, err
		}
	}
	return w, nil
}

// validate returns why an answer can't be accepted now, or nil. An answer is for the one
// wait that it names: the person who answers has seen that wait's message, and no other.
func (w *waiter) validate(answer, wait string) error {
	switch {
	case w.waiting == nil || w.answer != "":
		return fmt.Errorf("the run is not waiting for an answer")
	case wait == "":
		return fmt.Errorf("the answer does not name the wait; the run waits at %s (%s): %s", w.waiting.Step, w.waiting.ID, w.waiting.Message)
	case wait != w.waiting.ID:
		return fmt.Errorf("the run now waits for something else, at %s (%s): %s", w.waiting.Step, w.waiting.ID, w.waiting.Message)
	}
	for _, a := range w.waiting.Answers {
		if a == answer {
			return nil
		}
	}
	return fmt.Errorf("the run waits for %v, not for %q: %s", w.waiting.Answers, answer, w.waiting.Message)
}

// accept accepts an answer. The gateway, which sends it, decides who may answer.
func (w *waiter) accept(ctx workflow.Context, name string, a schemas.Answer) (string, error) {
	if err := w.validate(name, a.Wait); err != nil {
		return "", err
	}
	w.answer, w.who = name, a.Who
	workflow.GetLogger(ctx).Info("wait answered", "answer", name, "who", a.Who)
	return name, nil
}

// errAborted ends a run that an operator aborts. It is wrapped in what was decided.
var errAborted = errors.New("nothing more was sent")

// errStartOver restarts a segment's run at its first step.
var errStartOver = errors.New("start over")

// step runs one step of a run until it succeeds. After a permanent failure it waits for an
// operator: retry runs the step again (or starts the run over, if what was prepared for it
// is no longer valid), abort ends the run.
func (w *waiter) step(ctx workflow.Context, name string, do func(workflow.Context) error) error {
	for {
		err := do(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errStartOver), errors.Is(err, errAborted), workflow.IsContinueAsNewError(err):
			return err
		}
		kind, message := explain(err)
		if unserved(err) {
			served, why := w.served(ctx)
			if served {
				continue // the workers were busy
			}
			kind, message = schemas.ErrorNoWorker, why
		}
		w.over = message
		if kind == schemas.ErrorSuppressionChanged { // only after a wait, so it can't go on for ever
			return errStartOver
		}
		if w.unattended || kind == schemas.ErrorGrant {
			return err
		}
		if kind == schemas.ErrorSegmentChanged && w.restart != nil && w.restart() {
			return errStartOver
		}
		proceed := schemas.UpdateRetry
		if kind == schemas.ErrorListOwned || kind == schemas.ErrorListForeign {
			proceed = schemas.UpdateApprove
		}
		if err := w.wait(ctx, name, kind, message, proceed); err != nil {
			return err
		}
		switch kind {
		case schemas.ErrorListOwned, schemas.ErrorListForeign:
			w.approved = message
		case schemas.ErrorSegmentChanged, schemas.ErrorStaging, schemas.ErrorListGone, schemas.ErrorFieldTypes:
			return errStartOver
		}
	}
}

// wait blocks until an operator answers. It returns nil for the update proceed and
// errAborted for abort.
func (w *waiter) wait(ctx workflow.Context, step string, kind schemas.ErrorType, message, proceed string) error {
	_, err := w.ask(ctx, step, kind, message, proceed, schemas.UpdateAbort)
	return err
}

// ask blocks until an operator gives one of the answers, and returns it. It returns
// errAborted for abort.
func (w *waiter) ask(ctx workflow.Context, step string, kind schemas.ErrorType, message string, answers ...string) (string, error) {
	w.answer = ""
	w.waits++
	w.waiting = &schemas.Waiting{
		ID:   waitID(workflow.GetInfo(ctx).WorkflowExecution.RunID, w.waits),
		Step: step, Type: kind, Message: message,
		Answers: answers, Since: workflow.Now(ctx),
	}
	workflow.GetLogger(ctx).Info("wait began", "wait", w.waiting.ID, "step", step, "type", kind, "message", message)
	w.show(ctx)
	w.notify(ctx, *w.waiting)
	err := workflow.Await(ctx, func() bool { return w.answer != "" })
	answered := schemas.Answered{Answer: w.answer, Who: w.who, At: workflow.Now(ctx), Step: step, Type: kind, Message: message}
	w.waiting, w.answer = nil, ""
	if err == nil {
		w.record(answered)
	}
	w.show(ctx)
	if err == nil && answered.Answer == schemas.UpdateAbort {
		err = fmt.Errorf("%s; %w", answered, errAborted)
	}
	return answered.Answer, err
}

// waitID returns the ID of the nth wait of a workflow execution. It uses the random last
// part of the run ID; the first part is the time.
func waitID(runID string, n int) string {
	return fmt.Sprintf("%s-%d", runID[strings.LastIndexByte(runID, '-')+1:], n)
}

// defaultDeadline is how long a step may fail if the export sets no deadline.
const defaultDeadline = 24 * time.Hour

// explain returns the type and the message of an activity's failure. After Temporal has
// given up, the error is the last failure, and only the retry state shows it.
func explain(err error) (schemas.ErrorType, string) {
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	var tried *temporal.ActivityError
	late := errors.As(err, &tried) && tried.RetryState() == enums.RETRY_STATE_TIMEOUT || errors.As(err, &timeout)
	switch found := errors.As(err, &app); {
	case late && found && !app.NonRetryable():
		return schemas.ErrorDeadline, "Temporal gave up at the time limit; last error: " + app.Message()
	case late && !found:
		return schemas.ErrorDeadline, "Temporal gave up at the time limit: " + err.Error()
	case found:
		return app.Type(), app.Message()
	}
	return "", err.Error()
}

// unserved reports whether no worker started an activity in time.
func unserved(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START
}

// servedTime is the time limit for finding out whether a connection is served.
const servedTime = time.Minute

// served reports whether any worker serves the run's connection, and if not, why.
func (w *waiter) served(ctx workflow.Context) (bool, string) {
	ctx = workflow.WithScheduleToCloseTimeout(access(ctx, fmt.Sprintf("Workers of connection %q", w.connection)), servedTime)
	var out schemas.ServedResult
	err := workflow.ExecuteActivity(ctx, schemas.ActivityServed, schemas.ServedInput{Connection: w.connection}).Get(ctx, &out)
	if err != nil {
		return true, "" // unknown: the step is tried again, and asks again
	}
	return out.Served, out.Why
}

// EndState returns the state of a workflow that ends with err.
func EndState(err error) string {
	var app *temporal.ApplicationError
	var skipped skippedError
	switch {
	case err == nil:
		return schemas.StateDone
	case errors.As(err, &skipped):
		return schemas.StateSkipped
	case temporal.IsCanceledError(err):
		return schemas.StateCancelled
	case errors.Is(err, errAborted), errors.As(err, &app) && app.Type() == schemas.ErrorAborted:
		return schemas.StateAborted
	}
	return schemas.StateFailed
}
