package gateway

import (
	"context"
	"errors"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Connections implements Service. Administrators see everything but keys, others the
// names and types of the connections that are shared with contributors.
func (l *Local) Connections(ctx context.Context) (Connections, error) {
	out := Connections{ConnectionsAnswer: schemas.ConnectionsAnswer{Person: l.who, Connections: []schemas.ConnectionView{}}}
	all, err := l.Known()
	if err != nil {
		return out, err
	}
	admin := l.who.Role == schemas.RoleAdministrator
	for _, name := range all.Names() {
		c, err := all.Get(name)
		if err != nil {
			continue // taken out of the file just now
		}
		v := schemas.ConnectionView{Name: c.Name, ProjectType: projectType(c)}
		switch {
		case admin:
			if err := l.describe(ctx, c, &v); err != nil {
				return out, err
			}
		case !access.MayUse(schemas.RoleContributor, c):
			continue
		}
		out.Connections = append(out.Connections, v)
	}
	if !admin {
		return out, nil
	}
	if s := all.Status(); s.Err != nil {
		out.Broken, out.Since = s.Err.Error(), s.Since.UTC()
	}
	out.Exports, err = l.looker().Connected(ctx)
	return out, err
}

func projectType(c schemas.Connection) string {
	if c.ProjectType == "" {
		return schemas.ProjectEmail
	}
	return c.ProjectType
}

// describe fills in what administrators see.
func (l *Local) describe(ctx context.Context, c schemas.Connection, v *schemas.ConnectionView) error {
	v.Description, v.Region, v.BaseURL, v.Allowed = c.Description, c.Region, c.BaseURL, c.Allowed
	if len(v.Allowed) == 0 {
		v.Allowed = []string{schemas.AllowAdministrators}
	}
	gate, err := l.records(ctx)
	if err != nil {
		return err
	}
	if v.Consent, err = gate.Consent(ctx, c); err != nil {
		return err
	}
	if v.Consent != nil {
		v.Consent.Statement = "" // long, and in the data root
	}
	root, err := l.Root(ctx)
	if err != nil {
		return err
	}
	var check schemas.ConnectionCheck
	if found, err := root.ReadJSON(ctx, schemas.ConnectionCheckKey(c.Name), &check); err != nil {
		return err
	} else if found {
		v.Check = &check
	}
	stored, err := limits.Read(ctx, root, c.Name)
	for endpoint, learned := range stored.Limits {
		if v.Learned == nil {
			v.Learned = map[string]schemas.LearnedLimits{}
		}
		one := schemas.LearnedLimits{Profiles: learned.Rows}
		if learned.Found {
			one.RequestsPerSecond = learned.Rate
		}
		v.Learned[endpoint] = one
	}
	return err
}

// records is the gate where there has to be one.
func (l *Local) records(ctx context.Context) (*access.Gate, error) {
	gate, err := l.Gate(ctx)
	if err == nil && gate == nil {
		if _, err = l.Root(ctx); err == nil {
			err = errors.New("the data root keeps no records")
		}
	}
	return gate, err
}

// connection returns a connection, and where its records are.
func (l *Local) connection(ctx context.Context, name string) (schemas.Connection, *access.Gate, error) {
	all, err := l.Known()
	if err != nil {
		return schemas.Connection{}, nil, err
	}
	c, err := all.Get(name)
	if err != nil {
		return c, nil, access.No(schemas.ErrorUnknownConnection, "%s", err.Error())
	}
	gate, err := l.records(ctx)
	return c, gate, err
}

// CheckConnection implements Service. It keeps what it found for Connections.
func (l *Local) CheckConnection(ctx context.Context, name string) (schemas.ConnectionCheck, error) {
	c, _, err := l.connection(ctx, name)
	if err != nil {
		return schemas.ConnectionCheck{}, err
	}
	check := schemas.ConnectionCheck{Connection: c.Name, At: time.Now().UTC(), By: l.who.Name, ProjectType: projectType(c)}
	check.Lists, check.Fields, err = l.TryKey(ctx, c)
	if ctx.Err() != nil {
		return check, ctx.Err()
	}
	if err != nil {
		check.Error = err.Error()
	}
	root, err := l.Root(ctx)
	if err != nil {
		return check, err
	}
	return check, root.WriteJSON(ctx, schemas.ConnectionCheckKey(c.Name), check)
}

// Connect implements Service.
func (l *Local) Connect(ctx context.Context, name string, in ConnectRequest) (schemas.ConsentRecord, error) {
	c, gate, err := l.connection(ctx, name)
	if err != nil {
		return schemas.ConsentRecord{}, err
	}
	return gate.Agree(ctx, l.who, c, in.Statement)
}

// Disconnect implements Service.
func (l *Local) Disconnect(ctx context.Context, name string, in DisconnectRequest) (Disconnected, error) {
	c, gate, err := l.connection(ctx, name)
	if err != nil {
		return Disconnected{}, err
	}
	o := l.looker()
	all, err := o.Connected(ctx)
	if err != nil {
		return Disconnected{}, err
	}
	out := Disconnected{Detached: []operate.Connected{}}
	for _, e := range all[name] {
		if !e.Detached {
			out.Detached = append(out.Detached, e)
		}
	}
	if len(out.Detached) > 0 && !in.Detach {
		return Disconnected{}, inUse(name, out.Detached)
	}
	if out.Consent, err = gate.Withdraw(ctx, l.who, c); err != nil {
		return out, err
	}
	return out, o.Detach(ctx, out.Consent, out.Detached)
}

// sight is what a doctor looks through.
type sight struct{ *Local }

var _ doctor.Sight = sight{}

func (s sight) Connections(ctx context.Context) (schemas.ConnectionsAnswer, error) {
	all, err := s.Local.Connections(ctx)
	return all.ConnectionsAnswer, err
}

// Sources looks at the footers of an export's segments, as a run would.
func (s sight) Sources(ctx context.Context, e schemas.Export) ([]doctor.Source, error) {
	if err := s.mayUse(e.Connection); err != nil {
		return nil, err
	}
	var out []doctor.Source
	for _, segment := range e.Segments {
		found := doctor.Source{Segment: segment.Name}
		var err error
		if found.Files, found.Rows, err = s.Inspect(ctx, e, segment); err != nil {
			found.Error = err.Error()
		}
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		out = append(out, found)
	}
	return out, nil
}

// DataRoot writes to the data root and reads what it wrote, since a run has to.
func (s sight) DataRoot(ctx context.Context) (string, error) {
	root, err := s.Root(ctx)
	if err != nil {
		return "", err
	}
	if err := root.Write(ctx, schemas.ProbeKey, []byte("{}")); err != nil {
		return "", err
	}
	if _, err := root.Read(ctx, schemas.ProbeKey); err != nil {
		return "", err
	}
	if s.who.Role != schemas.RoleAdministrator {
		return "", nil
	}
	return root.URL(), nil
}
