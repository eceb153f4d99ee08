package activities

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/schemas"
)

// examine says how this worker is: its clock, and whether it can write and read the
// data root.
func (a *Activities) examine(ctx context.Context, who schemas.Person, _ struct{}) (schemas.Examination, error) {
	out := schemas.Examination{
		Person: who, Version: a.Version, Now: time.Now().UTC(), Started: activity.GetInfo(ctx).StartedTime.UTC(),
	}
	if who.Role == schemas.RoleAdministrator {
		out.DataRootURL = a.Root.URL()
	}
	var err error
	if out.DataRoot, err = a.deployment(ctx); err != nil {
		out.DataRootError = err.Error()
	}
	return out, ctx.Err()
}

// deployment gives the data root's id, and makes it where there is none. It writes
// in any case, since a run has to.
func (a *Activities) deployment(ctx context.Context) (string, error) {
	var d schemas.Deployment
	if _, err := a.readJSON(ctx, schemas.DeploymentKey, &d); err != nil {
		return "", err
	}
	if d.ID == "" {
		d.ID = rand.Text()
	}
	data, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	if err := a.Root.Write(ctx, schemas.DeploymentKey, data); err != nil {
		return "", err
	}
	// Another worker may have made one at the same time.
	_, err = a.readJSON(ctx, schemas.DeploymentKey, &d)
	return d.ID, err
}

// examineSources looks at the footers of an export's segments, as a run would.
func (a *Activities) examineSources(ctx context.Context, who schemas.Person, in schemas.ExamineSourcesRequest) (schemas.ExamineSourcesAnswer, error) {
	c, err := a.known(in.Export.Connection)
	if err != nil {
		return schemas.ExamineSourcesAnswer{}, err
	}
	if err := mayUse(who, c); err != nil {
		return schemas.ExamineSourcesAnswer{}, err
	}
	var out schemas.ExamineSourcesAnswer
	for _, s := range in.Export.Segments {
		found := schemas.ExaminedSegment{Segment: s.Name, Source: s.Source}
		seg, err := a.inspect(ctx, in.Export, s, nil)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		var app *temporal.ApplicationError
		switch {
		case errors.As(err, &app):
			found.Error = app.Message()
		case err != nil:
			found.Error = err.Error()
		default:
			found.Files, found.Rows = len(seg.Files()), seg.Info().Rows
		}
		out.Segments = append(out.Segments, found)
	}
	return out, nil
}
