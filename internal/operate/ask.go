package operate

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// askTime bounds how long a question waits for a worker.
const askTime = 5 * time.Minute

// Refusal is the worker's no.
type Refusal struct {
	Type    schemas.ErrorType
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// Ask asks the worker for an operation and decodes its answer into answer, which
// may be nil. The error is a *Refusal where the worker says no.
func (o *Operator) Ask(ctx context.Context, operation schemas.Operation, arguments, answer any) error {
	in := schemas.AskInput{Operation: operation, Who: o.Who}
	var err error
	if in.Arguments, err = json.Marshal(arguments); err != nil {
		return fmt.Errorf("ask for %s: %w", operation, err)
	}
	id := schemas.AdministerWorkflowID(operation, rand.Text())
	if operation != schemas.OperationWorkerKey {
		q := access.Question{Operation: operation, Arguments: in.Arguments, WorkflowID: id}
		if in.Proof, err = o.prove(ctx, q); err != nil {
			return err
		}
	}
	out, err := o.administer(ctx, id, in)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(out.Answer, answer); err != nil {
		return fmt.Errorf("understand the worker's answer to %s (is it of another version?): %w", operation, err)
	}
	return nil
}

func (o *Operator) administer(ctx context.Context, id string, in schemas.AskInput) (schemas.AskAnswer, error) {
	var out schemas.AskAnswer
	if err := o.attended(ctx); err != nil {
		return out, err
	}
	handle, err := o.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                    id,
		TaskQueue:             schemas.TaskQueue,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowRunTimeout:    askTime,
		StaticSummary:         "Ask the worker: " + in.Operation,
	}, schemas.WorkflowAdminister, in)
	if err == nil {
		err = handle.Get(ctx, &out)
	}
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &app):
		return out, &Refusal{Type: app.Type(), Message: app.Message()}
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return out, fmt.Errorf("%w in time (%s, namespace %s); look at the workers' logs, and see starter doctor", ErrNoWorker, in.Operation, o.Namespace)
	}
	return out, fmt.Errorf("ask the worker (%s): %w", in.Operation, err)
}

// Grant asks for the worker's word that the person may run the export, for one of
// the schemas.Purpose names. It is nil where the worker wants
// none. The worker refuses what it would refuse at the run: a connection that
// there is not, or that is not shared with the person's role.
func (o *Operator) Grant(ctx context.Context, purpose string, export schemas.Export) (*schemas.Grant, error) {
	var out schemas.GrantAnswer
	err := o.Ask(ctx, schemas.OperationGrant, schemas.GrantRequest{Purpose: purpose, Export: export}, &out)
	return out.Grant, err
}

// Revoke makes the grants worthless that the export has until now, such as when
// it is removed.
func (o *Operator) Revoke(ctx context.Context, export string) error {
	return o.Ask(ctx, schemas.OperationRevoke, schemas.RevokeRequest{Export: export}, nil)
}

// Connections lists the connections, with what the person may see of them.
func (o *Operator) Connections(ctx context.Context) (schemas.ConnectionsAnswer, error) {
	var out schemas.ConnectionsAnswer
	return out, o.Ask(ctx, schemas.OperationConnections, struct{}{}, &out)
}

// CheckConnection has the worker try the connection's key. The check can find
// something wrong, which is no error.
func (o *Operator) CheckConnection(ctx context.Context, connection string) (schemas.ConnectionCheck, error) {
	var out schemas.ConnectionCheck
	return out, o.Ask(ctx, schemas.OperationCheckConnection, schemas.ConnectionRequest{Connection: connection}, &out)
}

// RecordConsent records that the person agrees to schemas.ConsentStatement for
// the connection.
func (o *Operator) RecordConsent(ctx context.Context, connection string) (schemas.ConsentRecord, error) {
	var out schemas.ConsentRecord
	return out, o.Ask(ctx, schemas.OperationConsent, schemas.ConsentRequest{
		Connection: connection, Statement: schemas.ConsentStatementSHA256(),
	}, &out)
}

// Disconnect withdraws the consent to the connection.
func (o *Operator) Disconnect(ctx context.Context, connection string) (schemas.ConsentRecord, error) {
	var out schemas.ConsentRecord
	return out, o.Ask(ctx, schemas.OperationDisconnect, schemas.ConnectionRequest{Connection: connection}, &out)
}

// Examine asks a worker how it is.
func (o *Operator) Examine(ctx context.Context) (schemas.Examination, error) {
	var out schemas.Examination
	return out, o.Ask(ctx, schemas.OperationExamine, struct{}{}, &out)
}

// ExamineSources asks the worker whether it can read an export's segments. What it
// can't read is no error.
func (o *Operator) ExamineSources(ctx context.Context, export schemas.Export) (schemas.ExamineSourcesAnswer, error) {
	var out schemas.ExamineSourcesAnswer
	return out, o.Ask(ctx, schemas.OperationExamineSources, schemas.ExamineSourcesRequest{Export: export}, &out)
}
