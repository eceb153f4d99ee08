package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
		schemas.OperationRemove:          {schemas.RoleContributor, asked(a.removeExport)},
		schemas.OperationCancel:          {schemas.RoleContributor, asked(a.mayCancel)},
		schemas.OperationConnections:     {schemas.RoleViewer, asked(a.listConnections)},
		schemas.OperationExamine:         {schemas.RoleViewer, asked(a.examine)},
		schemas.OperationExamineSources:  {schemas.RoleContributor, asked(a.examineSources)},
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
func (a *Activities) Administer(ctx context.Context, in schemas.AskInput) (_ schemas.AskAnswer, err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.end(ctx, &err)
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
		return who, needOperator(schemas.ErrorNotAllowed, fmt.Sprintf("%s has the role %s, and this takes %s: %s", who.Name, who.Role, least, in.Operation))
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

// grant gives the person the right to run an export as it is. What would be
// refused at the run is refused here already.
func (a *Activities) grant(ctx context.Context, who schemas.Person, in schemas.GrantRequest) (schemas.GrantAnswer, error) {
	c, err := a.known(in.Export.Connection)
	if err != nil {
		return schemas.GrantAnswer{}, err
	}
	if err := mayUse(who, c); err != nil {
		return schemas.GrantAnswer{}, err
	}
	revoked, err := a.revokedAt(ctx, in.Export.Name)
	if err != nil {
		return schemas.GrantAnswer{}, err
	}
	grant, err := a.Access.Grant(who, in.Purpose, in.Export, revoked)
	return schemas.GrantAnswer{Grant: grant}, noAccess(err)
}

// revocation is kept for an export whose grants were revoked.
type revocation struct {
	Export string    `json:"export"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// revoke makes the grants worthless that the export has until now.
func (a *Activities) revoke(ctx context.Context, who schemas.Person, in schemas.RevokeRequest) (struct{}, error) {
	data, err := json.MarshalIndent(revocation{Export: in.Export, By: who.Name, At: time.Now().UTC()}, "", "  ")
	if err != nil || !a.Access.Required() {
		return struct{}{}, err
	}
	return struct{}{}, a.Root.Write(ctx, schemas.RevokedKey(in.Export), data)
}

// revokedAt is until when the export's grants are revoked, zero if they never were.
func (a *Activities) revokedAt(ctx context.Context, export string) (time.Time, error) {
	var r revocation
	if !a.Access.Required() {
		return r.At, nil
	}
	_, err := a.readJSON(ctx, schemas.RevokedKey(export), &r)
	return r.At, err
}

// Admit says who gives an answer to the waiting run that it is called by, and that
// they may.
func (a *Activities) Admit(ctx context.Context, in schemas.AdmitInput) (_ schemas.Person, err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.end(ctx, &err)
	operation, arguments := access.AnswerQuestion(in.Update, in.Since)
	ask := schemas.AskInput{Operation: operation, Arguments: arguments, Who: in.Answer.Who, Proof: in.Answer.Proof}
	who, err := a.person(ctx, ask, schemas.RoleContributor)
	if err != nil {
		return who, err
	}
	return who, a.mayEnd(who, in.Connection)
}

// mayEnd says why a person may not answer or stop a run over a connection. A run can
// wait because there is no such connection; anybody may end that.
func (a *Activities) mayEnd(who schemas.Person, connection string) error {
	if c, err := a.Connections.Get(connection); err == nil {
		return mayUse(who, c)
	}
	return nil
}

// mayCancel says whether the person may stop a run over the connection.
func (a *Activities) mayCancel(_ context.Context, who schemas.Person, in schemas.CancelRequest) (struct{}, error) {
	return struct{}{}, a.mayEnd(who, in.Connection)
}
