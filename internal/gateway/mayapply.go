package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// grantsAtOnce is how many grants are examined concurrently: each takes a read of the data
// root, which may be a bucket.
const grantsAtOnce = 16

// applied returns the applied exports with the standing of their grants.
func (l *Local) applied(ctx context.Context) ([]operate.Applied, error) {
	all, err := l.reader().Applied(ctx)
	if err == nil {
		err = l.examineGrants(ctx, all)
	}
	return all, err
}

// examineGrants sets the standings of the exports' grants.
func (l *Local) examineGrants(ctx context.Context, all []operate.Applied) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(grantsAtOnce)
	for i := range all {
		group.Go(func() error { return l.examineGrant(ctx, &all[i]) })
	}
	return group.Wait()
}

// examineGrant sets the standing of an applied export's grant.
func (l *Local) examineGrant(ctx context.Context, a *operate.Applied) error {
	gate, err := l.Gate(ctx)
	if err != nil || gate == nil {
		return err
	}
	if a.Standing, err = gate.Standing(ctx, a.ScheduledInput); err != nil {
		return fmt.Errorf("examine the grant of export %q: %w", a.Export.Name, err)
	}
	if a.Standing == nil || a.Standing.Invalid != "" {
		return nil
	}
	all, err := l.Known()
	if err != nil {
		return nil // the run finds out
	}
	if c, err := all.Get(a.Export.Connection); err == nil {
		if no := access.CheckUse(a.Grant.Person, c); no != nil {
			a.Standing.NotAllowed = no.Error()
		}
	}
	return nil
}

// trusted refuses an applied export whose schedule has no valid grant: whoever can write to
// Temporal may have altered it, and a grant that is issued for a run of it would cover that.
func (l *Local) trusted(ctx context.Context, export string, a operate.Applied) error {
	gate, err := l.Gate(ctx)
	if err != nil || gate == nil {
		return err
	}
	standing, err := gate.Standing(ctx, a.ScheduledInput)
	if err != nil {
		return fmt.Errorf("examine the grant of export %q: %w", export, err)
	}
	why := ""
	switch {
	case standing == nil:
		return nil
	case a.Export.Name != export:
		why = fmt.Sprintf("it is of export %q", a.Export.Name)
	default:
		why = standing.Invalid
	}
	if why == "" {
		return nil
	}
	return access.No(schemas.ErrorGrant, "export %q was not started, because its schedule can't be trusted: %s; apply it again with starter apply FILE", export, why)
}

// keepsGrant refuses to change a schedule that has a grant where no other can be issued: its
// runs would fail. Renew says that the workers have no secret any more.
func (l *Local) keepsGrant(ctx context.Context, s *operate.Step, renew bool) error {
	gate, err := l.Gate(ctx)
	if err != nil || !s.Granted() || renew || gate != nil && gate.Required() {
		return err
	}
	return access.No(schemas.ErrorGrant,
		"its schedule has a grant, and without WORKER_SECRET no other can be issued; set WORKER_SECRET (or WORKER_SECRET_FILE) as for the workers, or EXPORT_API for the gateway; if the workers have no secret any more, use --renew")
}

// mayPlan refuses a step over a connection that the person may not use, and an export after
// one of another connection that they may not use: starting and ending runs is for those who
// may. Everyone may let an export no longer be followed.
func (l *Local) mayPlan(s *operate.Step) error {
	if s.Unfollows() {
		return nil
	}
	upstream := s.Upstream()
	for _, name := range slices.Sorted(maps.Keys(upstream)) {
		if err := l.mayUse(upstream[name]); err != nil {
			return access.No(schemas.ErrorNotAllowed, "it is after %q, whose connection %q you may not use: %s", name, upstream[name], err.Error())
		}
	}
	return l.usable(s.Want().Connection)
}

// mayFollow refuses to move an export to a connection if one that is after it was applied by a
// person who may not use that connection: they could not put it after the export there.
func (l *Local) mayFollow(ctx context.Context, a operate.Applied, to schemas.Connection) error {
	following, err := l.reader().Following(ctx, a)
	if err != nil {
		return err
	}
	for _, f := range following {
		if f.Grant == nil {
			continue // runs need no grant
		}
		if err := access.CheckUse(f.Grant.Person, to); err != nil {
			return access.No(schemas.ErrorNotAllowed,
				"export %q is after it and was applied by %s, who may not use connection %q; have someone who may apply %[1]q again (starter apply FILE --renew), or take %[4]q out of its after and apply that",
				f.Export.Name, f.Grant.Person.Name, to.Name, a.Export.Name)
		}
	}
	return nil
}

// usable refuses a connection that the person may not use or that connections.yaml does not
// have. A starter without that file leaves the second to the run.
func (l *Local) usable(connection string) error {
	if err := l.mayUse(connection); err != nil {
		return err
	}
	all, err := l.Known()
	if err != nil {
		return nil
	}
	if _, err := all.Get(connection); err != nil {
		return access.No(schemas.ErrorUnknownConnection, "%s", err.Error())
	}
	return nil
}
