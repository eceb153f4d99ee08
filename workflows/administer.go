package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// administerTime bounds one question to the worker. The slowest, the check of a
// key, makes a few requests to Iterable.
const administerTime = 5 * time.Minute

// Administer asks the worker for one operation, and returns its answer.
func Administer(ctx workflow.Context, in schemas.AskInput) (schemas.AskAnswer, error) {
	workflow.SetCurrentDetails(ctx, "Asks the worker for **"+in.Operation+"**.")
	ctx = workflow.WithScheduleToCloseTimeout(access(ctx, in.Operation), administerTime)
	var out schemas.AskAnswer
	err := workflow.ExecuteActivity(ctx, schemas.ActivityAdminister, in).Get(ctx, &out)
	return out, err
}

// access is for activities that say who may do what.
func access(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithTaskQueue(quick(ctx, summary), schemas.AccessTaskQueue)
}
