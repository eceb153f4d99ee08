package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// operator is the run's line to the people who look after it: a step that
// retries can't cure waits here for their answer.
type operator struct {
	connection string // the run's
	waiting    *schemas.Waiting
	answer     string // the update that ended the wait
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
				Validator:   func(schemas.Answer) error { return o.takes(name) },
				Description: "answers a run that waits",
			})
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

// takes says why an answer can't be taken now, nil if it can.
func (o *operator) takes(answer string) error {
	if o.waiting == nil || o.answer != "" {
		return fmt.Errorf("the run is not waiting for an answer")
	}
	for _, a := range o.waiting.Answers {
		if a == answer {
			return nil
		}
	}
	return fmt.Errorf("the run waits for %v, not for %q: %s", o.waiting.Answers, answer, o.waiting.Message)
}

// take takes an answer from somebody who may give it.
func (o *operator) take(ctx workflow.Context, name string, a schemas.Answer) (string, error) {
	in := schemas.AdmitInput{Update: name, Connection: o.connection, Since: o.waiting.Since, Answer: a}
	var who schemas.Person
	ctx = workflow.WithScheduleToCloseTimeout(access(ctx, "May they answer «"+name+"»?"), admitTime)
	if err := workflow.ExecuteActivity(ctx, schemas.ActivityAdmit, in).Get(ctx, &who); err != nil {
		return "", err
	}
	// Somebody else may have been faster, and the run may wait for another thing.
	if err := o.takes(name); err != nil || !o.waiting.Since.Equal(in.Since) {
		return "", errors.Join(errors.New("the run waits for this answer no more"), err)
	}
	o.answer = name
	workflow.GetLogger(ctx).Info("an operator answered", "answer", name, "who", who.Name)
	return name, nil
}

// admitTime bounds the question whether somebody may answer.
const admitTime = time.Minute

// errAborted ends a run that an operator has aborted.
var errAborted = errors.New("aborted by an operator")

// errStartOver makes a segment's run begin again from its first step.
var errStartOver = errors.New("start over")

// step does one step of a run until it succeeds. A failure that retries did not
// cure waits for an operator: on retry the step is tried again (or, where what
// was prepared for it is gone, the run starts over), on abort the run ends.
func (o *operator) step(ctx workflow.Context, name string, d *deadline, do func(workflow.Context) error) error {
	for {
		began := workflow.Now(ctx)
		err := do(d.limit(ctx))
		d.spent += workflow.Now(ctx).Sub(began)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errStartOver), errors.Is(err, errAborted), workflow.IsContinueAsNewError(err):
			return err
		}
		kind, message := d.explain(err)
		if o.absent || kind == schemas.ErrorGrant {
			return err
		}
		if err := o.ask(ctx, name, kind, message, schemas.UpdateRetry); err != nil {
			return err
		}
		d.spent = 0
		switch kind {
		case schemas.ErrorSegmentChanged, schemas.ErrorStaging, schemas.ErrorListGone, schemas.ErrorFieldTypes:
			return errStartOver
		}
	}
}

// ask waits for an operator to say go (one of the updates) or abort.
func (o *operator) ask(ctx workflow.Context, step string, kind schemas.ErrorType, message, goOn string) error {
	o.answer = ""
	o.waiting = &schemas.Waiting{
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

// defaultDeadline is how long a run may try when its export doesn't say.
const defaultDeadline = 24 * time.Hour

// deadline is the time that a run may spend on trying. Waiting for an operator
// does not count, and an operator's retry starts it anew.
type deadline struct {
	total time.Duration
	spent time.Duration
}

func newDeadline(d schemas.Duration) *deadline { return &deadline{total: d.Or(defaultDeadline)} }

// limit bounds the activities of a step by what is left. Temporal has no
// deadline of no time at all, so at least a second is left.
func (d *deadline) limit(ctx workflow.Context) workflow.Context {
	return workflow.WithScheduleToCloseTimeout(ctx, max(d.total-d.spent, time.Second))
}

// explain finds the type and the message for people in an activity's failure.
func (d *deadline) explain(err error) (schemas.ErrorType, string) {
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &timeout):
		message := fmt.Sprintf("the run has tried for %s, its deadline", d.total)
		if errors.As(timeout.Unwrap(), &app) {
			message += "; last trouble: " + app.Message()
		}
		return schemas.ErrorDeadline, message
	case errors.As(err, &app):
		return app.Type(), app.Message()
	}
	return "", err.Error()
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
