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

// operator is the run's line to the people who look after it: a step that
// retries can't cure waits here for their answer.
type operator struct {
	connection string // the run's
	waits      int    // so far
	waiting    *schemas.Waiting
	answer     string // the update that ended the wait
	approved   string // the message of the last wait for somebody's list that was approved
	absent     bool   // nobody is asked: what can't be cured ends the run
	show       func(workflow.Context)
	tell       func(workflow.Context, schemas.Waiting) // has those told who want to know
}

// listen registers the updates that a waiting workflow takes. show is called
// when a wait begins or ends.
func listen(ctx workflow.Context, connection string, show func(workflow.Context)) (*operator, error) {
	o := &operator{connection: connection, show: show}
	for _, name := range []string{schemas.UpdateRetry, schemas.UpdateAbort, schemas.UpdateApprove} {
		err := workflow.SetUpdateHandlerWithOptions(ctx, name,
			func(ctx workflow.Context, a schemas.Answer) (string, error) { return o.take(ctx, name, a) },
			workflow.UpdateHandlerOptions{
				Validator:   func(a schemas.Answer) error { return o.takes(name, a.Wait) },
				Description: "answers a run that waits",
			})
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

// takes says why an answer to a wait can't be taken now, nil if it can. An answer is for
// the one wait that it names: whoever gave it has seen that wait's message, and no other.
func (o *operator) takes(answer, wait string) error {
	switch {
	case o.waiting == nil || o.answer != "":
		return fmt.Errorf("the run is not waiting for an answer")
	case wait == "":
		return fmt.Errorf("the answer does not say which wait it is for; the run waits at %s (%s): %s", o.waiting.Step, o.waiting.ID, o.waiting.Message)
	case wait != o.waiting.ID:
		return fmt.Errorf("the run now waits for something else, at %s (%s): %s", o.waiting.Step, o.waiting.ID, o.waiting.Message)
	}
	for _, a := range o.waiting.Answers {
		if a == answer {
			return nil
		}
	}
	return fmt.Errorf("the run waits for %v, not for %q: %s", o.waiting.Answers, answer, o.waiting.Message)
}

// take takes an answer. Who may give one is for the gateway to say, which sends it.
func (o *operator) take(ctx workflow.Context, name string, a schemas.Answer) (string, error) {
	if err := o.takes(name, a.Wait); err != nil {
		return "", err
	}
	o.answer = name
	workflow.GetLogger(ctx).Info("an operator answered", "answer", name, "who", a.Who)
	return name, nil
}

// errAborted ends a run that an operator has aborted.
var errAborted = errors.New("aborted by an operator")

// errStartOver makes a segment's run begin again from its first step.
var errStartOver = errors.New("start over")

// step does one step of a run until it succeeds. A failure that retries did not
// cure waits for an operator: on retry the step is tried again (or, where what
// was prepared for it is gone, the run starts over), on abort the run ends.
func (o *operator) step(ctx workflow.Context, name string, do func(workflow.Context) error) error {
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
			served, why := o.served(ctx)
			if served {
				continue // its workers were busy
			}
			kind, message = schemas.ErrorNoWorker, why
		}
		if o.absent || kind == schemas.ErrorGrant {
			return err
		}
		goOn := schemas.UpdateRetry
		if kind == schemas.ErrorListOwned || kind == schemas.ErrorListForeign {
			goOn = schemas.UpdateApprove
		}
		if err := o.ask(ctx, name, kind, message, goOn); err != nil {
			return err
		}
		switch kind {
		case schemas.ErrorListOwned, schemas.ErrorListForeign:
			o.approved = message
		case schemas.ErrorSegmentChanged, schemas.ErrorStaging, schemas.ErrorListGone, schemas.ErrorFieldTypes:
			return errStartOver
		}
	}
}

// ask waits for an operator to say go (one of the updates) or abort.
func (o *operator) ask(ctx workflow.Context, step string, kind schemas.ErrorType, message, goOn string) error {
	o.answer = ""
	o.waits++
	o.waiting = &schemas.Waiting{
		ID:   waitID(workflow.GetInfo(ctx).WorkflowExecution.RunID, o.waits),
		Step: step, Type: kind, Message: message,
		Answers: []string{goOn, schemas.UpdateAbort}, Since: workflow.Now(ctx),
	}
	o.show(ctx)
	o.tell(ctx, *o.waiting)
	err := workflow.Await(ctx, func() bool { return o.answer != "" })
	answer := o.answer
	o.waiting, o.answer = nil, ""
	o.show(ctx)
	switch {
	case err != nil:
		return err
	case answer == schemas.UpdateAbort:
		return errAborted
	}
	return nil
}

// waitID names the nth wait of a workflow execution. The last part of a run ID is random;
// the first one is the time.
func waitID(runID string, n int) string {
	return fmt.Sprintf("%s-%d", runID[strings.LastIndexByte(runID, '-')+1:], n)
}

// defaultDeadline is how long a step may fail when its export doesn't say.
const defaultDeadline = 24 * time.Hour

// explain finds the type and the message for people in an activity's failure. Where
// Temporal has given up trying, the error is the last failure, and only the retry state
// says so.
func explain(err error) (schemas.ErrorType, string) {
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	var tried *temporal.ActivityError
	late := errors.As(err, &tried) && tried.RetryState() == enums.RETRY_STATE_TIMEOUT || errors.As(err, &timeout)
	switch found := errors.As(err, &app); {
	case late && found && !app.NonRetryable():
		return schemas.ErrorDeadline, "Temporal gave it up when its time was over; the last problem: " + app.Message()
	case late && !found:
		return schemas.ErrorDeadline, "Temporal gave it up when its time was over: " + err.Error()
	case found:
		return app.Type(), app.Message()
	}
	return "", err.Error()
}

// unserved reports whether no worker took an activity in time.
func unserved(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START
}

// servedTime bounds the question who serves a connection.
const servedTime = time.Minute

// served asks whether any worker serves the run's connection, and why not.
func (o *operator) served(ctx workflow.Context) (bool, string) {
	ctx = workflow.WithScheduleToCloseTimeout(access(ctx, "Who serves connection «"+o.connection+"»?"), servedTime)
	var out schemas.ServedResult
	err := workflow.ExecuteActivity(ctx, schemas.ActivityServed, schemas.ServedInput{Connection: o.connection}).Get(ctx, &out)
	if err != nil {
		return true, "" // the step is tried again, and asks again
	}
	return out.Served, out.Why
}

// endState names the state that a workflow ends in with an error.
func endState(err error) string {
	var app *temporal.ApplicationError
	switch {
	case err == nil:
		return schemas.StateDone
	case temporal.IsCanceledError(err):
		return schemas.StateCancelled
	case errors.Is(err, errAborted), errors.As(err, &app) && app.Type() == schemas.ErrorAborted:
		return schemas.StateAborted
	}
	return schemas.StateFailed
}
