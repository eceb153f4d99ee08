package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// Authorize looks up the run's connection and reports whether the run may use it, with
// the present connections.yaml. It examines the grant first: a run without a valid one ends
// before its input is used.
func (a *Activities) Authorize(ctx context.Context, in schemas.AuthorizeInput) (_ schemas.AuthorizeResult, err error) {
	e := in.Input.Export
	ctx, attempt := a.begin(ctx, e.Deadline, nil)
	defer attempt.End(ctx, &err)
	who, err := a.granted(ctx, in)
	if err != nil {
		return schemas.AuthorizeResult{}, err
	}
	if export, trial := schemas.TriedExport(e.Name); trial {
		// A removal has begun before it looks for trials, and a trial before it looks for removals.
		if kind, err := a.underWay(ctx, schemas.RunWorkflowID(export)); err != nil {
			return schemas.AuthorizeResult{}, err
		} else if kind == schemas.WorkflowRemoveExport {
			return schemas.AuthorizeResult{}, step.NeedOperator(schemas.ErrorConflict, fmt.Sprintf("export %q is being removed, so it can't be tried", export))
		}
	}
	c, unknown := a.known(e.Connection)
	out := schemas.AuthorizeResult{Connection: schemas.ConnectionInfo{
		Name: e.Connection, ProjectType: projectType(c), MaxProfiles: c.MaxProfiles, Limits: c.Limits.WithDefaults(),
		TaskQueue: schemas.UploadTaskQueue(e.Connection), Host: access.Host(c),
	}}
	if a.Access.Required() {
		run := schemas.RunRef{Connection: e.Connection, Export: e.Name, RunID: in.RunID}
		record := schemas.RunRecord{RunID: in.RunID, Input: in.Input, Connection: out.Connection, Person: who}
		if err := a.Access.Admit(ctx, run, record); err != nil {
			return out, err
		}
	}
	if err := a.auditStart(ctx, in); err != nil {
		return out, err
	}
	if err := cmp.Or(unknown, noAccess(access.CheckUse(who, c))); err != nil {
		return out, err
	}
	if err := noAccess(a.Access.CheckConsent(ctx, c)); err != nil {
		return out, err
	}
	if _, err := a.Connections.Key(c); err != nil {
		return out, step.NeedOperator(schemas.ErrorNoKey, err.Error())
	}
	if err := identified(e, c); err != nil {
		return out, err
	}
	if !in.Input.Check {
		if err := noAccess(a.Access.Claim(ctx, e.Name, e.Connection, who.Name)); err != nil {
			return out, err
		}
	}
	out.SearchAttributes = a.SearchAttributes != nil && a.SearchAttributes(ctx)
	for _, s := range e.Segments {
		list, _ := a.lastRun(ctx, e, s)
		out.Lists = append(out.Lists, list)
	}
	return out, nil
}

// lastRun returns the ID of the list that the last run sent a segment to, or 0 if it is not
// known, and when that run published what it had changed.
func (a *Activities) lastRun(ctx context.Context, e schemas.Export, s schemas.Segment) (list int64, changed time.Time) {
	h, err := a.Ledger().Header(ctx, schemas.RunRef{Connection: e.Connection, Export: e.Name, Segment: s.Name})
	if err != nil || h == nil {
		return s.ListID, time.Time{}
	}
	return cmp.Or(s.ListID, h.ListID), h.CreatedAt
}

// Execution is what Temporal knows of a workflow.
type Execution struct {
	// First is the run id of its first execution, Started when this one began.
	First   string
	Started time.Time
	// Running is the type of a workflow that has not ended, and empty of others.
	Running string
}

// granted checks the run's grant and the owner of its name, and returns the person it was
// granted to. It asks Temporal for the run's ID and start: the workflow's own input may be
// forged.
func (a *Activities) granted(ctx context.Context, in schemas.AuthorizeInput) (schemas.Person, error) {
	e := in.Input.Export
	var this Execution
	if a.Access.Required() {
		id := schemas.RunWorkflowID(e.Name)
		if in.Input.Check {
			id = schemas.CheckWorkflowID(e.Name)
		}
		var err error
		if this, err = a.execution(ctx, schemas.WorkflowRunExport, id); err != nil {
			return schemas.Person{}, err
		}
		if this.First != in.RunID {
			return schemas.Person{}, step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("the run of %q claims the ID %q of another run", e.Name, in.RunID))
		}
	}
	who, err := a.Access.CheckRun(ctx, in.Input, this.Started)
	if err == nil {
		err = a.Access.CheckName(ctx, e.Name, e.Connection)
	}
	return who, noAccess(err)
}

// execution returns what Temporal knows of the activity's workflow, which must have that
// type and ID.
func (a *Activities) execution(ctx context.Context, kind, id string) (Execution, error) {
	info := activity.GetInfo(ctx)
	if info.WorkflowType.Name != kind || info.WorkflowExecution.ID != id {
		return Execution{}, step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("only the workflow %s with the ID %s may do this", kind, id))
	}
	return a.Executions(ctx, id, info.WorkflowExecution.RunID)
}

// underWay returns the type of the newest execution of a workflow ID, or "" if it has ended or there
// is none.
func (a *Activities) underWay(ctx context.Context, id string) (kind string, err error) {
	if a.Executions == nil {
		return "", nil // a test without Temporal
	}
	e, err := a.Executions(ctx, id, "")
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return "", nil
	}
	return e.Running, err
}

// noAccess turns an error of package access into an error for Temporal.
func noAccess(err error) error {
	var no *access.Refused
	if errors.As(err, &no) {
		return step.NeedOperator(no.Type, no.Message)
	}
	return err
}

// known returns the connection with the name, or an error for the run.
func (a *Activities) known(name string) (schemas.Connection, error) {
	c, err := a.Connections.Get(name)
	if err != nil {
		return c, step.NeedOperator(schemas.ErrorUnknownConnection, err.Error())
	}
	return c, nil
}

// effect is what an activity is about to do.
type effect int

const (
	// keeps writes or deletes the run's own files.
	keeps effect = iota
	// reads reads personal data.
	reads
	// sends changes something in Iterable.
	sends
)

// admitted compares an activity with its run's record, and with the present rights of the
// person it was granted to. It returns nil if runs need no grant.
func (a *Activities) admitted(ctx context.Context, run schemas.RunRef, does effect) (*schemas.RunRecord, error) {
	if !a.Access.Required() {
		return nil, nil
	}
	r, err := a.Access.Admitted(ctx, run)
	if err != nil {
		return nil, noAccess(err)
	}
	_, ofIt := r.Input.Export.Find(run.Segment)
	switch {
	case !ofIt && run.Segment != "":
		return nil, step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("the run of %q has no segment %q", run.Export, run.Segment))
	case does == sends && r.Input.Check:
		return nil, step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("the run of %q is a check, and may change nothing", run.Export))
	case does == keeps:
		return &r, nil
	}
	c, err := a.known(run.Connection)
	if err == nil {
		err = noAccess(cmp.Or(access.CheckUse(r.Person, c), a.Access.CheckRevoked(ctx, r.Input.Grant, r.Input.Export), a.Access.CheckName(ctx, run.Export, run.Connection)))
	}
	return &r, err
}

// mayWork compares an activity that has a segment's whole input with its run's record.
func (a *Activities) mayWork(ctx context.Context, run schemas.RunRef, e schemas.Export, s schemas.Segment, c schemas.ConnectionInfo, does effect) (*schemas.RunRecord, error) {
	r, err := a.admitted(ctx, run, does)
	if err != nil || r == nil {
		return r, err
	}
	want := r.Input.Export
	e.Segments = want.Segments
	of, ok := want.Find(run.Segment)
	if !schemas.Equal(e, want) || !ok || !schemas.Equal(of, s) || c != r.Connection {
		return r, altered(run)
	}
	return r, nil
}

// mayWorkAs is mayWork for an activity that is told whether the run is a check.
func (a *Activities) mayWorkAs(ctx context.Context, check bool, run schemas.RunRef, e schemas.Export, s schemas.Segment, c schemas.ConnectionInfo, does effect) error {
	r, err := a.mayWork(ctx, run, e, s, c, does)
	if err == nil && r != nil && check != r.Input.Check {
		err = altered(run)
	}
	return err
}

// mayClose is mayWorkAs for an activity that ends a segment's run. It returns an error too if the
// report names an attempt in a form that no attempt has: the name becomes part of keys.
func (a *Activities) mayClose(ctx context.Context, check bool, run schemas.RunRef, e schemas.Export, s schemas.Segment, c schemas.ConnectionInfo, r schemas.ExportReport) error {
	err := a.mayWorkAs(ctx, check, run, e, s, c, keeps)
	if name := r.Manifest.Attempt; err == nil && name != "" && !dataroot.IsAttempt(name) {
		err = step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("segment %q of export %q: the report has an invalid attempt", run.Segment, run.Export))
	}
	return err
}

func altered(run schemas.RunRef) error {
	return step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("the export %q was changed between the start of its run and this step", run.Export))
}

// maySend returns an error if the run may no longer send, over the connection that it began
// with. It is called before anything is sent.
func (a *Activities) maySend(ctx context.Context, run schemas.RunRef, connection, host string) (*schemas.RunRecord, error) {
	if connection != run.Connection && run.Connection != "" {
		return nil, altered(run)
	}
	r, err := a.admitted(ctx, run, sends)
	if err != nil {
		return r, err
	}
	if err := a.sameHost(connection, host); err != nil {
		return r, err
	}
	c, err := a.known(connection)
	if err != nil {
		return r, err
	}
	return r, noAccess(a.Access.CheckConsent(ctx, c))
}

// sameHost returns an error if the connection's API host has changed since the run began:
// there the list's ID is another list's, and consent may be missing.
func (a *Activities) sameHost(name, host string) error {
	c, err := a.known(name)
	if err != nil || host == "" || host == access.Host(c) {
		return err
	}
	return step.NeedOperator(schemas.ErrorNoConnection, fmt.Sprintf(
		"connection %q uses the host %s now, and used %s when the run began; abort the run and start it again, or restore the connection and retry",
		name, access.Host(c), host))
}

// mayReport returns an error unless a report is about one run and reads nothing else.
func (a *Activities) mayReport(ctx context.Context, in schemas.RunReportInput) error {
	run := schemas.RunRef{Connection: in.Export.Connection, Export: in.Export.Name, RunID: in.Result.RunID}
	r, err := a.admitted(ctx, run, keeps)
	if err != nil || r == nil {
		return err
	}
	if !schemas.Equal(in.Export, r.Input.Export) || in.Connection != r.Connection || in.Trigger != r.Input.Trigger {
		return altered(run)
	}
	for _, s := range in.Result.Segments {
		run.Segment = s.Segment
		_, known := r.Input.Export.Find(s.Segment)
		if !known || s.Export != run.Export || s.RunID != run.RunID || s.Connection != run.Connection || s.Rejects != "" && path.Dir(s.Rejects) != dataroot.ReportDir(run) {
			return step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("the report of a run of %q is about another one", run.Export))
		}
	}
	return nil
}

func projectType(c schemas.Connection) string {
	if c.ProjectType == "" {
		return schemas.ProjectEmail
	}
	return c.ProjectType
}

// identified returns an error unless the export maps the project's identifier.
func identified(e schemas.Export, c schemas.Connection) error {
	var missing string
	switch p := projectType(c); {
	case p == schemas.ProjectEmail && e.Email == "":
		missing = "email"
	case p == schemas.ProjectUserID && e.UserID == "":
		missing = "userID"
	case p == schemas.ProjectHybrid && e.Email == "" && e.UserID == "":
		missing = "email or userID"
	default:
		return nil
	}
	return step.NeedOperator(schemas.ErrorBadExport, fmt.Sprintf(
		"export %q names no %s column, but connection %q leads to a project of type %s; add it to the export, and run it again",
		e.Name, missing, c.Name, projectType(c)))
}
