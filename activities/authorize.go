package activities

import (
	"context"
	"fmt"
	"path"
	"strings"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// Authorize looks up the run's connection and says whether the run may use it,
// with connections.yaml as it is now. The grant comes first: a run without a good
// one ends before anything else is made of what it says.
func (a *Activities) Authorize(ctx context.Context, in schemas.AuthorizeInput) (_ schemas.AuthorizeResult, err error) {
	ctx, attempt := a.begin(ctx, in.Export.Deadline, nil)
	defer attempt.end(ctx, &err)
	who, err := a.granted(ctx, in)
	if err != nil {
		return schemas.AuthorizeResult{}, err
	}
	c, err := a.known(in.Export.Connection)
	if err != nil {
		return schemas.AuthorizeResult{}, err
	}
	// A connection that is shared no more stops the exports of those whom it was
	// shared with.
	if err := mayUse(who, c); err != nil {
		return schemas.AuthorizeResult{}, err
	}
	if err := a.agreed(ctx, c); err != nil {
		return schemas.AuthorizeResult{}, err
	}
	if _, err := a.Connections.Key(c); err != nil {
		return schemas.AuthorizeResult{}, needOperator(schemas.ErrorNoKey, err.Error())
	}
	if err := identified(in.Export, c); err != nil {
		return schemas.AuthorizeResult{}, err
	}
	out := schemas.AuthorizeResult{
		Connection: schemas.ConnectionInfo{
			Name:        c.Name,
			ProjectType: projectType(c),
			MaxProfiles: c.MaxProfiles,
			Limits:      c.Limits.WithDefaults(),
			TaskQueue:   schemas.UploadTaskQueue(c.Name),
			Host:        apiHost(c),
		},
		Person:           who.Name,
		SearchAttributes: a.SearchAttributes != nil && a.SearchAttributes(ctx),
	}
	for _, s := range in.Export.Segments {
		out.Lists = append(out.Lists, a.lastList(ctx, in.Export.Name, s))
	}
	out.Passes, err = a.passes(in, out.Connection)
	return out, err
}

// lastList is the id of the list that the last run sent a segment to, 0 where that
// is not known.
func (a *Activities) lastList(ctx context.Context, export string, s schemas.Segment) int64 {
	if s.ListID != 0 {
		return s.ListID
	}
	h, err := a.snapshotHeader(ctx, schemas.RunRef{Export: export, Segment: s.Name})
	if err != nil || h == nil {
		return 0
	}
	return h.ListID
}

// granted checks the run's grant, and gives whom it was given to.
func (a *Activities) granted(ctx context.Context, in schemas.AuthorizeInput) (schemas.Person, error) {
	revoked, err := a.revokedAt(ctx, in.Export.Name)
	if err != nil {
		return schemas.Person{}, err
	}
	who, err := a.Access.CheckGrant(in, revoked)
	return who, noAccess(err)
}

// mayUse says why a person may not use a connection, nil if they may.
func mayUse(who schemas.Person, c schemas.Connection) error {
	if access.MayUse(who.Role, c) {
		return nil
	}
	return needOperator(schemas.ErrorNotAllowed, fmt.Sprintf(
		"%s has the role %s, and connection «%s» is not shared with contributors; have an administrator add contributors to its \"allowed\", or run the export as an administrator",
		who.Name, who.Role, c.Name))
}

// passes are those of the run's segments.
func (a *Activities) passes(in schemas.AuthorizeInput, c schemas.ConnectionInfo) ([]*schemas.Pass, error) {
	if !a.Access.Required() {
		return nil, nil
	}
	// The id is part of the names of files, and whoever starts a workflow of their
	// own can make it up.
	if in.RunID == "" || strings.Trim(in.RunID, ".") == "" || strings.ContainsAny(in.RunID, `/\`) {
		return nil, needOperator(schemas.ErrorGrant, fmt.Sprintf("%q is no run id", in.RunID))
	}
	part := access.Part{Export: in.Export, Connection: c}
	part.Export.Segments = nil
	var out []*schemas.Pass
	for _, s := range in.Export.Segments {
		part.Segment = s
		pass, err := a.Access.Pass(schemas.RunRef{Export: in.Export.Name, RunID: in.RunID, Segment: s.Name}, part, in.Check)
		if err != nil {
			return nil, err
		}
		out = append(out, pass)
	}
	return out, nil
}

// mayWork checks the pass of an activity that has the whole of a segment's part of
// a run; changes tells that it will change something.
func (a *Activities) mayWork(run schemas.RunRef, e schemas.Export, s schemas.Segment, c schemas.ConnectionInfo, changes bool) error {
	return noAccess(a.Access.CheckPart(run, access.Part{Export: e, Segment: s, Connection: c}, changes))
}

// mayReport checks that a report is about one run, and reads nothing else.
func (a *Activities) mayReport(in schemas.RunReportInput) error {
	if !a.Access.Required() {
		return nil
	}
	if len(in.Result.Segments) == 0 { // no pass to look at
		return needOperator(schemas.ErrorGrant, fmt.Sprintf("the report of a run of «%s» has no segments", in.Export.Name))
	}
	for i, s := range in.Result.Segments {
		run := schemas.RunRef{Export: in.Export.Name, RunID: in.Result.RunID, Segment: s.Segment}
		if s.Export != run.Export || s.RunID != run.RunID || s.Rejects != "" && path.Dir(s.Rejects) != schemas.ReportDir(run) {
			return needOperator(schemas.ErrorGrant, fmt.Sprintf("the report of a run of «%s» is about another one", run.Export))
		}
		if i < len(in.Passes) {
			run.Pass = in.Passes[i]
		}
		if err := a.mayCall(run, in.Connection.Name, false); err != nil {
			return err
		}
	}
	return nil
}

// mayCall checks the pass of an activity that calls Iterable.
func (a *Activities) mayCall(run schemas.RunRef, connection string, changes bool) error {
	return noAccess(a.Access.CheckPass(run, connection, changes))
}

func projectType(c schemas.Connection) string {
	if c.ProjectType == "" {
		return schemas.ProjectEmail
	}
	return c.ProjectType
}

// identified checks that the export maps what the project identifies people by.
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
	return needOperator(schemas.ErrorBadExport, fmt.Sprintf(
		"export «%s» names no %s column, but connection «%s» leads to a project of type %s; add it to the export, and run it again",
		e.Name, missing, c.Name, projectType(c)))
}
