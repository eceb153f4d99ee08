package access

import (
	"context"
	"time"

	"iterable-segment-export/schemas"
)

const (
	// startTime is how long after it was issued something can be started with a grant
	// that is not a schedule's. A run that has started may take as long as it likes.
	startTime = 15 * time.Minute
	// leeway is how far the clocks of Temporal and of workers may be apart.
	leeway = time.Minute
)

// Kinds of what is granted.
const (
	kindRun    = "run"
	kindRemove = "remove"
)

// GrantRun lets a person start a run as in describes it. It returns in with the grant,
// and with who started it, unless a schedule does.
func (g *Gate) GrantRun(ctx context.Context, who schemas.Person, in schemas.RunInput) (schemas.RunInput, error) {
	if in.Trigger.Kind == schemas.TriggerPerson {
		in.Trigger.Who = who.Name
	}
	in.Grant = nil
	grant, err := g.issue(ctx, who, kindRun, in, in.Export, in.Trigger.Kind == schemas.TriggerSchedule)
	in.Grant = grant
	return in, err
}

// GrantRemoval lets a person have an export removed.
func (g *Gate) GrantRemoval(ctx context.Context, who schemas.Person, in schemas.RemoveInput) (schemas.RemoveInput, error) {
	in.Grant = nil
	grant, err := g.issue(ctx, who, kindRemove, in, in.Export, false)
	in.Grant = grant
	return in, err
}

// CheckRun reports who a run was granted to that started then. The error is a *Refused
// for a run that was not granted as it is.
func (g *Gate) CheckRun(ctx context.Context, in schemas.RunInput, started time.Time) (schemas.Person, error) {
	grant := in.Grant
	in.Grant = nil
	return g.check(ctx, grant, kindRun, in, in.Export, in.Trigger.Kind == schemas.TriggerSchedule, started)
}

// CheckRemoval is CheckRun for the removal of an export.
func (g *Gate) CheckRemoval(ctx context.Context, in schemas.RemoveInput, started time.Time) (schemas.Person, error) {
	grant := in.Grant
	in.Grant = nil
	return g.check(ctx, grant, kindRemove, in, in.Export, false, started)
}

// issue makes a grant for in, nil where nothing needs one.
func (g *Gate) issue(ctx context.Context, who schemas.Person, kind string, in any, e schemas.Export, forSchedule bool) (*schemas.Grant, error) {
	if !g.Required() {
		return nil, nil
	}
	revoked, err := g.revokedAt(ctx, e.Connection, e.Name)
	if err != nil {
		return nil, err
	}
	out := schemas.Grant{Person: who, IssuedAt: g.now().UTC()}
	if !out.IssuedAt.After(revoked) {
		out.IssuedAt = revoked.Add(1).UTC() // another worker's clock is ahead
	}
	if !forSchedule {
		out.ExpiresAt = out.IssuedAt.Add(startTime)
	}
	out.MAC, err = mac(g.keys[0], kind, out, in)
	return &out, err
}

func (g *Gate) check(ctx context.Context, grant *schemas.Grant, kind string, in any, e schemas.Export, forSchedule bool, started time.Time) (schemas.Person, error) {
	if !g.Required() {
		return schemas.Person{Role: schemas.RoleAdministrator}, nil
	}
	no := func(format string, args ...any) (schemas.Person, error) {
		return schemas.Person{}, No(schemas.ErrorGrant, format+"; start it again with starter run, or apply the export again with starter apply, as somebody who may", args...)
	}
	switch {
	case grant == nil:
		return no("the %s of %q has no grant, and this worker does nothing without one", kind, e.Name)
	case !g.signed(kind, *grant, in):
		return no("the grant is not for this %s of %q: what it was started with or the grant was altered, or the workers' secret was changed", kind, e.Name)
	case grant.ExpiresAt.IsZero() != forSchedule, !forSchedule && started.After(grant.ExpiresAt):
		return no("the grant for one %s of %q has expired: it was for a start until %s", kind, e.Name, grant.ExpiresAt.Format(time.DateTime))
	case started.Before(grant.IssuedAt.Add(-leeway)):
		return no("the %s of %q started before its grant was issued", kind, e.Name)
	}
	return grant.Person, g.CheckRevoked(ctx, grant, e)
}

// CheckRevoked returns the Refused of a grant that was revoked since it was issued.
func (g *Gate) CheckRevoked(ctx context.Context, grant *schemas.Grant, e schemas.Export) error {
	if !g.Required() {
		return nil
	}
	revoked, err := g.revokedAt(ctx, e.Connection, e.Name)
	if err == nil && (grant == nil || !grant.IssuedAt.After(revoked)) {
		err = No(schemas.ErrorGrant, "the grants that the export %q had were revoked on %s; start it again with starter run, or apply it again with starter apply, as somebody who may",
			e.Name, revoked.UTC().Format(time.DateTime))
	}
	return err
}

// revocation is kept for an export whose grants were revoked.
type revocation struct {
	Connection string    `json:"connection"`
	Export     string    `json:"export"`
	By         string    `json:"by"`
	At         time.Time `json:"at"`
}

// Revoke invalidates the grants that an export of a connection has until now.
func (g *Gate) Revoke(ctx context.Context, connection, export, by string) error {
	if !g.Required() {
		return nil
	}
	return g.root.WriteJSON(ctx, schemas.RevokedKey(connection, export), revocation{Connection: connection, Export: export, By: by, At: g.now().UTC()})
}

// revokedAt is until when the export's grants are revoked, zero if they never were.
func (g *Gate) revokedAt(ctx context.Context, connection, export string) (time.Time, error) {
	var r revocation
	_, err := g.root.ReadJSON(ctx, schemas.RevokedKey(connection, export), &r)
	return r.At, err
}
