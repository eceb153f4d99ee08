package activities

import (
	"context"
	"fmt"

	"iterable-segment-export/schemas"
)

// Authorize looks up the run's connection and says whether the run may use it,
// with connections.yaml as it is now.
func (a *Activities) Authorize(ctx context.Context, in schemas.AuthorizeInput) (schemas.AuthorizeResult, error) {
	defer beat(ctx, nil)()
	c, err := a.known(in.Export.Connection)
	if err != nil {
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
	return schemas.AuthorizeResult{
		Connection: schemas.ConnectionInfo{
			Name:        c.Name,
			ProjectType: projectType(c),
			MaxProfiles: c.MaxProfiles,
			Limits:      c.Limits.WithDefaults(),
			TaskQueue:   schemas.UploadTaskQueue(c.Name),
		},
		SearchAttributes: a.SearchAttributes != nil && a.SearchAttributes(ctx),
	}, nil
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
