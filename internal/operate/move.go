package operate

import (
	"context"
	"fmt"

	"iterable-segment-export/schemas"
)

// Idle returns ErrUnderWay while a run or a check of an export is under way.
func (o *Operator) Idle(ctx context.Context, export string) error {
	for _, id := range []string{schemas.RunWorkflowID(export), schemas.CheckWorkflowID(export)} {
		runs, err := o.runs(ctx, id)
		if err != nil {
			return fmt.Errorf("look for a run of %q: %w", export, err)
		}
		if runs {
			return underWay(export)
		}
	}
	return nil
}

// moved is an applied export over another connection.
func moved(a Applied, connection string) schemas.ScheduledInput {
	in := a.ScheduledInput
	in.Export.Connection, in.Grant = connection, nil
	return in
}

// CheckMove refuses to move an export to a connection where another one feeds its lists.
func (o *Operator) CheckMove(ctx context.Context, a Applied, connection string) error {
	applied, err := o.Applied(ctx)
	if err != nil {
		return err
	}
	all := []schemas.Export{moved(a, connection).Export}
	for _, other := range applied {
		if other.Export.Name != a.Export.Name {
			all = append(all, other.Export)
		}
	}
	return clash(all)
}

// Move has an applied export go over another connection from now on.
func (o *Operator) Move(ctx context.Context, a Applied, connection string) error {
	in := moved(a, connection)
	granted, err := o.granted(ctx, schemas.RunInput{Export: in.Export}, schemas.TriggerSchedule)
	if err != nil {
		return err
	}
	in.Grant = granted.Grant
	if err := o.change(ctx, in); err != nil {
		return fmt.Errorf("change the schedule of %q (move the export again): %w", in.Export.Name, err)
	}
	return nil
}
