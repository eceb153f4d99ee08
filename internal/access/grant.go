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
	in.Grant = nil
	if in.Trigger.Kind == schemas.TriggerPerson {
		in.Trigger.Who = who.Name
	}
	if !g.Required() {
		return in, nil
	}
	grant, err := g.issue(ctx, who, in.Export, in.Trigger.Kind == schemas.TriggerSchedule)
	if err != nil {
		return in, err
	}
	in.Grant = grant
	mac, err := mac(g.keys[0], kindRun, in)
	grant.MAC = mac
	return in, err
}

// GrantRemoval lets a person have an export removed.
func (g *Gate) GrantRemoval(ctx context.Context, who schemas.Person, in schemas.RemoveInput) (schemas.RemoveInput, error) {
	in.Grant = nil
	if !g.Required() {
		return in, nil
	}
	grant, err := g.issue(ctx, who, in.Export, false)
	if err != nil {
		return in, err
	}
	in.Grant = grant
	mac, err := mac(g.keys[0], kindRemove, in)
	grant.MAC = mac
	return in, err
}

// issue makes a grant without its MAC.
func (g *Gate) issue(ctx context.Context, who schemas.Person, e schemas.Export, forSchedule bool) (*schemas.Grant, error) {
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
	return &out, nil
}

// CheckRun reports who a run was granted to that started then. The error is a *Refused
// for a run that was not granted as it is.
func (g *Gate) CheckRun(ctx context.Context, in schemas.RunInput, started time.Time) (schemas.Person, error) {
	bare := in
	return g.check(ctx, kindRun, in.Grant, started, in.Export, in.Trigger.Kind == schemas.TriggerSchedule, func(grant *schemas.Grant) any {
		bare.Grant = grant
		return bare
	})
}

// CheckRemoval is CheckRun for the removal of an export.
func (g *Gate) CheckRemoval(ctx context.Context, in schemas.RemoveInput, started time.Time) (schemas.Person, error) {
	bare := in
	return g.check(ctx, kindRemove, in.Grant, started, in.Export, false, func(grant *schemas.Grant) any {
		bare.Grant = grant
		return bare
	})
}

func (g *Gate) check(ctx context.Context, kind string, grant *schemas.Grant, started time.Time, e schemas.Export, forSchedule bool, with func(*schemas.Grant) any) (schemas.Person, error) {
	if !g.Required() {
		return schemas.Person{Role: schemas.RoleAdministrator}, nil
	}
	const again = "; start it again with starter run, or apply the export again with starter apply, as somebody who may"
	if grant == nil {
		return schemas.Person{}, No(schemas.ErrorGrant, "the %s of %q has no grant, and this worker does nothing without one"+again, kind, e.Name)
	}
	bare := *grant
	bare.MAC = nil
	switch {
	case !g.signed(kind, with(&bare), grant.MAC):
		return schemas.Person{}, No(schemas.ErrorGrant, "the grant is not for this %s of %q: what it was started with or the grant was altered, or the workers' secret was changed"+again, kind, e.Name)
	case grant.ExpiresAt.IsZero() != forSchedule, !grant.ExpiresAt.IsZero() && started.After(grant.ExpiresAt):
		return schemas.Person{}, No(schemas.ErrorGrant, "the grant for one %s of %q has expired: it was for a start until %s"+again, kind, e.Name, grant.ExpiresAt.Format(time.DateTime))
	case started.Before(grant.IssuedAt.Add(-leeway)):
		return schemas.Person{}, No(schemas.ErrorGrant, "the %s of %q started before its grant was issued"+again, kind, e.Name)
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
	return g.write(ctx, schemas.RevokedKey(connection, export), revocation{Connection: connection, Export: export, By: by, At: g.now().UTC()})
}

// revokedAt is until when the export's grants are revoked, zero if they never were.
func (g *Gate) revokedAt(ctx context.Context, connection, export string) (time.Time, error) {
	var r revocation
	_, err := g.root.ReadJSON(ctx, schemas.RevokedKey(connection, export), &r)
	return r.At, err
}
