package activities

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/storage"
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
	if out.DataRoot, err = a.writable(ctx); err != nil {
		out.DataRootError = err.Error()
	}
	return out, ctx.Err()
}

// deployment returns the data root's id, and makes it where there is none.
func (a *Activities) deployment(ctx context.Context) (string, error) {
	var d schemas.Deployment
	found, err := a.readJSON(ctx, schemas.DeploymentKey, &d)
	if err != nil || found && d.ID != "" {
		return d.ID, err
	}
	data, err := json.Marshal(schemas.Deployment{ID: rand.Text()})
	if err != nil {
		return "", err
	}
	err = a.Root.WriteNew(ctx, schemas.DeploymentKey, data)
	if err != nil && !errors.Is(err, storage.ErrExists) { // another worker made one at the same time
		return "", err
	}
	_, err = a.readJSON(ctx, schemas.DeploymentKey, &d)
	return d.ID, err
}

// writable returns the data root's id once it could be written to, since a run has to.
func (a *Activities) writable(ctx context.Context) (string, error) {
	id, err := a.deployment(ctx)
	if err != nil {
		return "", err
	}
	return id, a.Root.Write(ctx, schemas.ProbeKey, []byte("{}"))
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
		seg, err := a.inspect(ctx, in.Export, s, nil, nil, nil)
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
