package access

import (
	"context"
	"fmt"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

const (
	// startTime is how long a grant that is not a schedule's can start something. It does
	// not limit how long a started run may last.
	startTime = 15 * time.Minute
	// leeway is the largest expected difference between the clocks of Temporal and workers.
	leeway = time.Minute
)

// Kinds of grants.
const (
	kindRun    = "run"
	kindRemove = "remove"
)

// GrantRun grants a person the run that in describes. It returns in with the grant, and
// with who started it unless a schedule does.
func (g *Gate) GrantRun(ctx context.Context, who schemas.Person, in schemas.RunInput) (schemas.RunInput, error) {
	if in.Trigger.Kind == schemas.TriggerPerson {
		in.Trigger.Who = who.Name
	}
	in.Grant = nil
	grant, err := g.issue(ctx, who, kindRun, in, in.Export, in.Trigger.Kind == schemas.TriggerSchedule)
	if err == nil && grant != nil && !in.Check && in.Export.Trial() == nil {
		err = g.keepTargets(ctx, in.Export)
	}
	in.Grant = grant
	return in, err
}

// GrantRemoval grants a person the removal of an export.
func (g *Gate) GrantRemoval(ctx context.Context, who schemas.Person, in schemas.RemoveInput) (schemas.RemoveInput, error) {
	in.Grant = nil
	grant, err := g.issue(ctx, who, kindRemove, in, in.Export, false)
	in.Grant = grant
	return in, err
}

// CheckRun returns the person that a run was granted to. The error is a *Refused if the
// grant does not cover exactly this input and start time.
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

// issue returns a grant for in, or nil if grants are not required.
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
	if why := g.invalid(grant, kind, in, e, forSchedule, started); why != "" {
		return schemas.Person{}, No(schemas.ErrorGrant, "%s; %s", why, regrant(kind, e, forSchedule))
	}
	return grant.Person, g.CheckRevoked(ctx, grant, e)
}

// invalid returns why a grant does not cover what it is presented for, or "" if it does.
// It does not check revocations.
func (g *Gate) invalid(grant *schemas.Grant, kind string, in any, e schemas.Export, forSchedule bool, started time.Time) string {
	switch {
	case grant == nil:
		return fmt.Sprintf("the %s of %q has no grant, which workers with a WORKER_SECRET require", kind, e.Name)
	case g.signer(kind, *grant, in) < 0:
		return fmt.Sprintf("no secret of the workers has signed the grant of this %s of %q: WORKER_SECRET was changed, or the input or the grant was altered", kind, e.Name)
	case grant.ExpiresAt.IsZero() != forSchedule, !forSchedule && started.After(grant.ExpiresAt):
		return fmt.Sprintf("the grant for one %s of %q has expired: it was valid for a start until %s", kind, e.Name, schemas.Moment(grant.ExpiresAt))
	case started.Before(grant.IssuedAt.Add(-leeway)):
		return fmt.Sprintf("the %s of %q started before its grant was issued", kind, e.Name)
	}
	return ""
}

// regrant returns how to get another grant.
func regrant(kind string, e schemas.Export, forSchedule bool) string {
	name := schemas.ShellWord(e.Name)
	switch {
	case kind == kindRemove:
		return "remove it again: starter remove " + name
	case forSchedule:
		return fmt.Sprintf("have a person who may use connection %q renew the grant: starter apply FILE, which compares grants too; starter doctor lists the schedules whose grants are not valid", e.Connection)
	}
	return fmt.Sprintf("start it again: starter run %s, with EXPORT_API or with the workers' WORKER_SECRET", name)
}

// CheckRevoked returns a Refused if the grant was revoked after it was issued.
func (g *Gate) CheckRevoked(ctx context.Context, grant *schemas.Grant, e schemas.Export) error {
	if !g.Required() {
		return nil
	}
	why, err := g.revoked(ctx, grant, e)
	if err == nil && why != "" {
		err = No(schemas.ErrorGrant, "%s; %s", why, regrant(kindRun, e, grant != nil && grant.ExpiresAt.IsZero()))
	}
	return err
}

// revoked returns a message if a grant was revoked after it was issued, otherwise "".
func (g *Gate) revoked(ctx context.Context, grant *schemas.Grant, e schemas.Export) (string, error) {
	at, err := g.revokedAt(ctx, e.Connection, e.Name)
	if err != nil || grant != nil && grant.IssuedAt.After(at) {
		return "", err
	}
	return fmt.Sprintf("the grants of export %q were revoked on %s", e.Name, schemas.Moment(at)), nil
}

// revocation is the record of an export's revoked grants.
type revocation struct {
	Connection string    `json:"connection"`
	Export     string    `json:"export"`
	By         string    `json:"by"`
	At         time.Time `json:"at"`
}

// Revoke invalidates all earlier grants of an export of a connection.
func (g *Gate) Revoke(ctx context.Context, connection, export, by string) error {
	if !g.Required() {
		return nil
	}
	if err := g.root.WriteJSON(ctx, dataroot.RevokedKey(connection, export), revocation{Connection: connection, Export: export, By: by, At: g.now().UTC()}); err != nil {
		return err
	}
	return g.root.DeletePrefix(ctx, dataroot.TargetsKey(connection, export))
}

// revokedAt returns when the export's grants were last revoked, zero if never.
func (g *Gate) revokedAt(ctx context.Context, connection, export string) (time.Time, error) {
	var r revocation
	_, err := g.root.ReadJSON(ctx, dataroot.RevokedKey(connection, export), &r)
	return r.At, err
}
