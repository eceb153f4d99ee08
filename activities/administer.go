package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// operation is something that the worker can be asked for.
type operation struct {
	// least is the role that it takes; empty where everybody may ask, without a
	// proof.
	least schemas.Role
	do    func(ctx context.Context, who schemas.Person, arguments json.RawMessage) (any, error)
}

// operations are all that the worker can be asked for.
func (a *Activities) operations() map[schemas.Operation]operation {
	return map[schemas.Operation]operation{
		schemas.OperationWorkerKey:       {"", asked(a.workerKey)},
		schemas.OperationGrant:           {schemas.RoleContributor, asked(a.grant)},
		schemas.OperationRevoke:          {schemas.RoleContributor, asked(a.revoke)},
		schemas.OperationConnections:     {schemas.RoleViewer, asked(a.listConnections)},
		schemas.OperationCheckConnection: {schemas.RoleAdministrator, asked(a.checkConnection)},
		schemas.OperationConsent:         {schemas.RoleAdministrator, asked(a.recordConsent)},
		schemas.OperationDisconnect:      {schemas.RoleAdministrator, asked(a.disconnect)},
	}
}

// asked adapts a method to operation.do. Arguments that the method does not know
// are refused: they would be left undone without a word.
func asked[In, Out any](do func(context.Context, schemas.Person, In) (Out, error)) func(context.Context, schemas.Person, json.RawMessage) (any, error) {
	return func(ctx context.Context, who schemas.Person, arguments json.RawMessage) (any, error) {
		var in In
		if len(arguments) > 0 {
			d := json.NewDecoder(bytes.NewReader(arguments))
			d.DisallowUnknownFields()
			if err := d.Decode(&in); err != nil {
				return nil, needOperator(schemas.ErrorBadExport, fmt.Sprintf("the worker does not understand the question (is the starter of another version?): %v", err))
			}
		}
		return do(ctx, who, in)
	}
}

// Administer does what it is asked for, if the person may ask for it.
func (a *Activities) Administer(ctx context.Context, in schemas.AskInput) (schemas.AskAnswer, error) {
	defer beat(ctx, nil)()
	op, ok := a.operations()[in.Operation]
	if !ok {
		return schemas.AskAnswer{}, needOperator(schemas.ErrorBadExport, fmt.Sprintf("this worker knows no operation %q; is the starter of another version?", in.Operation))
	}
	var who schemas.Person
	if op.least != "" {
		var err error
		if who, err = a.person(ctx, in, op.least); err != nil {
			return schemas.AskAnswer{}, err
		}
	}
	answer, err := op.do(ctx, who, in.Arguments)
	if err != nil {
		return schemas.AskAnswer{}, err
	}
	data, err := json.Marshal(answer)
	return schemas.AskAnswer{Answer: data}, err
}

// person finds out who asks, and that their role is at least that.
func (a *Activities) person(ctx context.Context, in schemas.AskInput, least schemas.Role) (schemas.Person, error) {
	who, err := a.Access.Person(ctx, in.Proof, access.Question{
		Operation: in.Operation, Arguments: in.Arguments, WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
	}, in.Who)
	if err != nil {
		return who, noAccess(err)
	}
	if !access.AtLeast(who.Role, least) {
		return who, needOperator(schemas.ErrorNotAllowed, fmt.Sprintf("%s is a %s, and this takes a %s: %s", who.Name, who.Role, least, in.Operation))
	}
	return who, nil
}

// noAccess turns an error of package access into what Temporal is told.
func noAccess(err error) error {
	var no *access.Refused
	if errors.As(err, &no) {
		return needOperator(no.Type, no.Message)
	}
	return err
}

func (a *Activities) workerKey(context.Context, schemas.Person, struct{}) (schemas.WorkerKey, error) {
	return a.Access.WorkerKey(), nil
}

// grant gives the person the right to run an export as it is.
func (a *Activities) grant(context.Context, schemas.Person, schemas.GrantRequest) (schemas.GrantAnswer, error) {
	return schemas.GrantAnswer{}, nil
}

// revoke makes the export's grants worthless.
func (a *Activities) revoke(context.Context, schemas.Person, schemas.RevokeRequest) (struct{}, error) {
	return struct{}{}, nil
}

// Admit says who gives an answer to the waiting run that it is called by, and that
// they may.
func (a *Activities) Admit(ctx context.Context, in schemas.AdmitInput) (schemas.Person, error) {
	return schemas.Person{Name: in.Answer.Who, Role: schemas.RoleAdministrator}, nil
}
