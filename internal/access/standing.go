package access

import (
	"context"
	"slices"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

// Standing is what the grant of a schedule is worth.
type Standing struct {
	// Invalid says why runs of the schedule would be refused, empty if they would not.
	Invalid string `json:"invalid,omitempty"`
	// OldSecret reports whether the grant is valid only until an older secret is removed
	// from WORKER_SECRET.
	OldSecret bool `json:"oldSecret,omitempty"`
	// NotAllowed says why the person who granted may not use the connection any more, so
	// that runs wait. It is empty if they may, or if the connection is not known here.
	NotAllowed string `json:"notAllowed,omitempty"`
}

// ScheduledRun returns what a schedule starts its runs with.
func ScheduledRun(in schemas.ScheduledInput) schemas.RunInput {
	return schemas.RunInput{Export: in.Export, Grant: in.Grant, Trigger: schemas.Trigger{Kind: schemas.TriggerSchedule}}
}

// Standing examines the grant of a schedule as a run would that starts now. It returns nil
// if runs need no grant.
func (g *Gate) Standing(ctx context.Context, scheduled schemas.ScheduledInput) (*Standing, error) {
	if !g.Required() {
		return nil, nil
	}
	in := ScheduledRun(scheduled)
	grant := in.Grant
	in.Grant = nil
	s := Standing{Invalid: g.invalid(grant, kindRun, in, in.Export, true, g.now())}
	if s.Invalid != "" {
		return &s, nil
	}
	s.OldSecret = g.signer(kindRun, *grant, in) > 0
	why, err := g.revoked(ctx, grant, in.Export)
	if err != nil {
		return nil, err
	}
	s.Invalid = why
	return &s, nil
}

// keepTargets records the webhooks of an export that a person was granted, so that a run
// whose own input can't be trusted still notifies them.
func (g *Gate) keepTargets(ctx context.Context, e schemas.Export) error {
	kept, err := g.Targets(ctx, e.Connection, e.Name)
	if err != nil || slices.EqualFunc(kept, e.Notify, sameTarget) {
		return err
	}
	return g.root.WriteJSON(ctx, dataroot.TargetsKey(e.Connection, e.Name), e.Notify)
}

// Targets returns the webhooks of the export of that name that was granted last.
func (g *Gate) Targets(ctx context.Context, connection, export string) (all []schemas.Notify, err error) {
	_, err = g.root.ReadJSON(ctx, dataroot.TargetsKey(connection, export), &all)
	return all, err
}

func sameTarget(a, b schemas.Notify) bool {
	return a.URL == b.URL && a.Format == b.Format && slices.Equal(a.On, b.On)
}
