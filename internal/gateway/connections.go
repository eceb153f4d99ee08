package gateway

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

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
			continue // it was removed from the file just now
		}
		v := schemas.ConnectionView{Name: c.Name, ProjectType: cmp.Or(c.ProjectType, schemas.ProjectEmail)}
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
	out.Exports, err = l.reader().Connected(ctx)
	return out, err
}

// describe adds what administrators see.
func (l *Local) describe(ctx context.Context, c schemas.Connection, v *schemas.ConnectionView) error {
	v.Description, v.Region, v.BaseURL, v.Allowed = c.Description, c.Region, c.BaseURL, c.Allowed
	v.Limits = c.Limits
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
	if found, err := root.ReadJSON(ctx, dataroot.ConnectionCheckKey(c.Name), &check); err != nil {
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

// records returns the gate, or an error if there is none.
func (l *Local) records(ctx context.Context) (*access.Gate, error) {
	gate, err := l.Gate(ctx)
	if err == nil && gate == nil {
		if _, err = l.Root(ctx); err == nil {
			err = errors.New("the data root has no records of connections")
		}
	}
	return gate, err
}

// connection returns a connection, and the gate with its records.
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

func (l *Local) CheckConnection(ctx context.Context, name string) (schemas.ConnectionCheck, error) {
	c, _, err := l.connection(ctx, name)
	if err != nil {
		return schemas.ConnectionCheck{}, err
	}
	check := schemas.ConnectionCheck{Connection: c.Name, At: time.Now().UTC(), By: l.who.Name, ProjectType: cmp.Or(c.ProjectType, schemas.ProjectEmail)}
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
	return check, root.WriteJSON(ctx, dataroot.ConnectionCheckKey(c.Name), check)
}

func (l *Local) Connect(ctx context.Context, name string, in ConnectRequest) (schemas.ConsentRecord, error) {
	c, gate, err := l.connection(ctx, name)
	if err != nil {
		return schemas.ConsentRecord{}, err
	}
	record, err := gate.Agree(ctx, l.who, c, in.Statement)
	if err == nil {
		err = l.audit(ctx, schemas.AuditConnected, schemas.AuditEntry{Connection: name, Details: "agreed to the transfer to " + record.Host})
	}
	return record, err
}

func (l *Local) Disconnect(ctx context.Context, name string, in DisconnectRequest) (Disconnected, error) {
	c, gate, err := l.connection(ctx, name)
	if err != nil {
		return Disconnected{}, err
	}
	o := l.reader()
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
		var names []string
		for _, e := range out.Detached {
			names = append(names, strconv.Quote(e.Export))
		}
		return Disconnected{}, access.No(schemas.ErrorUnderWay,
			"connection %q is used by %s: %s; give them another connection or remove them, or pause them with: starter disconnect %s --detach",
			name, console.Things(len(names), "export"), strings.Join(names, ", "), schemas.ShellWord(name))
	}
	if out.Consent, err = gate.Withdraw(ctx, l.who, c); err != nil {
		return out, err
	}
	if err := o.Detach(ctx, out.Consent, out.Detached); err != nil {
		return out, err
	}
	return out, l.audit(ctx, schemas.AuditDisconnected, schemas.AuditEntry{Connection: name})
}

// sight implements doctor.Sight.
type sight struct{ *Local }

var _ doctor.Sight = sight{}

func (s sight) Connections(ctx context.Context) (schemas.ConnectionsAnswer, error) {
	all, err := s.Local.Connections(ctx)
	return all.ConnectionsAnswer, err
}

// Sources reads the footers of an export's segments, as a run would.
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

// keyLooks is how many of the newest files of snapshots the doctor tries to decrypt. A bucket
// answers for each within about 50 ms, and the doctor waits for 20 s.
const keyLooks = 50

// DataRoot writes a file to the data root, reads it again and tries conditional writes. The error is a storage.ErrKey if
// one of the newest snapshots is encrypted with another key.
func (s sight) DataRoot(ctx context.Context) (string, error) {
	root, err := s.Root(ctx)
	if err != nil {
		return "", err
	}
	if err := root.Write(ctx, dataroot.ProbeKey, []byte("{}")); err != nil {
		return "", err
	}
	if _, err := root.Read(ctx, dataroot.ProbeKey); err != nil {
		return "", err
	}
	if err := root.CheckConditions(ctx, dataroot.ProbeKey); err != nil {
		return "", err
	}
	if err := root.CheckKey(ctx, keyLooks, dataroot.SnapshotsDir); err != nil {
		return "", err
	}
	if s.who.Role != schemas.RoleAdministrator {
		return "", nil
	}
	return root.URL(), nil
}
