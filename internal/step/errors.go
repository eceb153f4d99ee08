package step

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/schemas"
)

// ErrWorkerStops ends an activity when its worker shuts down; another worker continues.
var ErrWorkerStops = errors.New("the worker is shutting down; another one continues from here")

// NeedOperator returns a permanent error, for which the run waits for an operator. The details
// are the activity's progress. It is benign to Temporal's SDK, which would otherwise log it as
// an error and count it as a failed activity: the workflow logs the wait.
func NeedOperator(kind schemas.ErrorType, message string, details ...any) error {
	return temporal.NewApplicationErrorWithOptions(message, kind,
		temporal.ApplicationErrorOptions{NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign, Details: details})
}

// Plain returns an error without Temporal's wrapping.
func Plain(err error) error {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return errors.New(app.Message())
	}
	return err
}

// Message returns the text of an error without Temporal's additions.
func Message(err error) string { return Plain(err).Error() }
