package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/schemas"
)

// listConnections shows the connections: to administrators everything but keys, to
// others the names and types of those that are shared with contributors.
func (a *Activities) listConnections(ctx context.Context, who schemas.Person, _ struct{}) (schemas.ConnectionsAnswer, error) {
	out := schemas.ConnectionsAnswer{Person: who, Connections: []schemas.ConnectionView{}}
	all := who.Role == schemas.RoleAdministrator
	for _, name := range a.Connections.Names() {
		c, err := a.Connections.Get(name)
		if err != nil {
			continue // taken out of the file just now
		}
		v := schemas.ConnectionView{Name: c.Name, ProjectType: projectType(c)}
		switch {
		case all:
			if err := a.describe(ctx, c, &v); err != nil {
				return out, err
			}
		case !access.MayUse(schemas.RoleContributor, c):
			continue
		}
		out.Connections = append(out.Connections, v)
	}
	if s := a.Connections.Status(); s.Err != nil && all {
		out.Broken, out.Since = s.Err.Error(), s.Since.UTC()
	}
	return out, nil
}

// describe fills in what administrators see.
func (a *Activities) describe(ctx context.Context, c schemas.Connection, v *schemas.ConnectionView) error {
	v.Description, v.Region, v.BaseURL, v.Allowed = c.Description, c.Region, c.BaseURL, c.Allowed
	if len(v.Allowed) == 0 {
		v.Allowed = []string{schemas.AllowAdministrators}
	}
	var err error
	if v.Consent, err = a.consent(ctx, c); err != nil {
		return err
	}
	if v.Consent != nil {
		v.Consent.Statement = "" // long, and in the data root
	}
	var check schemas.ConnectionCheck
	found, err := a.readJSON(ctx, schemas.ConnectionCheckKey(c.Name), &check)
	if found {
		v.Check = &check
	}
	if err != nil {
		return err
	}
	stored, err := limits.Read(ctx, a.Root, c.Name)
	for endpoint, l := range stored.Limits {
		if v.Learned == nil {
			v.Learned = map[string]schemas.LearnedLimits{}
		}
		one := schemas.LearnedLimits{Profiles: l.Rows}
		if l.Found {
			one.RequestsPerSecond = l.Rate
		}
		v.Learned[endpoint] = one
	}
	return err
}

// checkConnection tries the connection's key, and keeps what it found for
// listConnections.
func (a *Activities) checkConnection(ctx context.Context, who schemas.Person, in schemas.ConnectionRequest) (schemas.ConnectionCheck, error) {
	c, err := a.known(in.Connection)
	if err != nil {
		return schemas.ConnectionCheck{}, err
	}
	check := schemas.ConnectionCheck{Connection: c.Name, At: time.Now().UTC(), By: who.Name, ProjectType: projectType(c)}
	if err := a.tryKey(ctx, &check); err != nil {
		if ctx.Err() != nil {
			return check, ctx.Err()
		}
		var app *temporal.ApplicationError
		if check.Error = err.Error(); errors.As(failure(err, c.Name), &app) {
			check.Error = app.Message()
		}
	}
	data, err := json.MarshalIndent(check, "", "  ")
	if err != nil {
		return check, err
	}
	if err := a.Root.Write(ctx, schemas.ConnectionCheckKey(c.Name), data); err != nil {
		return check, fmt.Errorf("keep the result of the check: %w", err)
	}
	return check, nil
}

func (a *Activities) tryKey(ctx context.Context, check *schemas.ConnectionCheck) error {
	client, err := a.Clients.Get(check.Connection)
	if err != nil {
		return err
	}
	found, err := client.CheckKey(ctx)
	check.Lists, check.Fields = found.Lists, found.Fields
	return err
}
