package access

import (
	"time"

	"iterable-segment-export/schemas"
)

// runTime is how long after it was issued a run can be started with a grant that is
// not a schedule's. A run that has started may take and wait as long as it likes.
const runTime = 15 * time.Minute

// granted is what a grant's MAC is over.
type granted struct {
	Grant  schemas.Grant  `json:"grant"` // without the MAC
	Export schemas.Export `json:"export"`
}

// Grant lets a person run the export as it is, nil where nobody has to prove who
// they are. The time is that of issue; a grant is revoked by refusing those that
// are not younger than a time.
func (g *Gate) Grant(who schemas.Person, purpose string, export schemas.Export, after time.Time) (*schemas.Grant, error) {
	if g == nil {
		return nil, nil
	}
	out := schemas.Grant{Person: who, Purpose: purpose, Export: export.Name, IssuedAt: g.now().UTC()}
	if !out.IssuedAt.After(after) {
		out.IssuedAt = after.Add(1).UTC() // another worker's clock is ahead
	}
	switch purpose {
	case schemas.PurposeRun, schemas.PurposeFull, schemas.PurposeCheck:
		out.ExpiresAt = out.IssuedAt.Add(runTime)
	case schemas.PurposeSchedule:
	default:
		return nil, no(schemas.ErrorGrant, "there are grants for %q, %q, %q and %q, and none for %q",
			schemas.PurposeSchedule, schemas.PurposeRun, schemas.PurposeFull, schemas.PurposeCheck, purpose)
	}
	var err error
	out.MAC, err = g.sign(forGrants, granted{out, export})
	return &out, err
}

// CheckGrant tells whether a run may go on with its grant, and who it runs for;
// revoked is until when the export's grants are revoked. The error is a *Refused.
func (g *Gate) CheckGrant(in schemas.AuthorizeInput, revoked time.Time) (schemas.Person, error) {
	if g == nil {
		return schemas.Person{Role: schemas.RoleAdministrator}, nil
	}
	const again = "; start the run again with starter run, or apply the export again with starter apply, as somebody who may"
	if in.Grant == nil {
		return schemas.Person{}, no(schemas.ErrorGrant, "the run of «%s» has no grant, and this worker runs nothing without one"+again, in.Export.Name)
	}
	grant := *in.Grant
	mac := grant.MAC
	grant.MAC = nil
	switch {
	case !g.signed(forGrants, granted{grant, in.Export}, mac):
		return schemas.Person{}, no(schemas.ErrorGrant, "the grant is not for the export «%s» as it stands: the export or the grant was altered, or the workers' secret was changed"+again, in.Export.Name)
	case !grant.IssuedAt.After(revoked):
		return schemas.Person{}, no(schemas.ErrorGrant, "the grants that the export «%s» had were revoked on %s"+again, in.Export.Name, revoked.UTC().Format(time.DateTime))
	case !grant.ExpiresAt.IsZero() && in.StartedAt.After(grant.ExpiresAt):
		return schemas.Person{}, no(schemas.ErrorGrant, "the grant for one run of «%s» has expired: it was for a start until %s"+again, in.Export.Name, grant.ExpiresAt.Format(time.DateTime))
	case in.StartedAt.Before(grant.IssuedAt.Add(-leeway)):
		return schemas.Person{}, no(schemas.ErrorGrant, "the run of «%s» started before its grant was issued"+again, in.Export.Name)
	case !in.Check && (grant.Purpose == schemas.PurposeCheck || in.Full && grant.Purpose != schemas.PurposeFull):
		return schemas.Person{}, no(schemas.ErrorGrant, "the grant for a %s of «%s» is not for sending %s"+again, grant.Purpose, in.Export.Name, what(in))
	}
	return grant.Person, nil
}

// what a run sends, in words.
func what(in schemas.AuthorizeInput) string {
	if in.Full {
		return "everybody"
	}
	return "anybody"
}
