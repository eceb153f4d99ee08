package activities

import (
	"context"
	"fmt"
	"slices"

	"iterable-segment-export/internal/staging"
	"iterable-segment-export/internal/suppression/lists"
	"iterable-segment-export/schemas"
)

// suppressions reads the suppression lists of the export's connection, if it has any. A list
// that can't be read, or that the export's rows can't be compared with, is an error: without it
// the export may not send.
func (a *Activities) suppressions(ctx context.Context, in schemas.StageInput) (out staging.Suppressed, err error) {
	c, err := a.known(in.Export.Connection)
	if err != nil || len(c.Suppress) == 0 {
		return out, err
	}
	if err := lists.CanCompare(c, in.Export); err != nil {
		return out, err
	}
	set, counts, warnings, err := a.suppressionReader().Read(ctx, c)
	if err != nil {
		return out, err
	}
	for i := range counts {
		if counts[i].Before, err = a.Ledger().SuppressionCount(ctx, in.Export.Connection, counts[i].Name); err != nil {
			return out, err
		}
		if n := counts[i].Unreadable; n > 0 {
			warnings = append(warnings, fmt.Sprintf("suppression list %q: %d of %d entries are not an e-mail address, so they suppress no profile", counts[i].Name, n, counts[i].Entries))
		}
	}
	return staging.Suppressed{
		Set: set, Lists: counts, Warnings: warnings,
		ByAddress: slices.ContainsFunc(c.Suppress, schemas.Suppression.ByEmail),
		ByUserID:  slices.ContainsFunc(c.Suppress, schemas.Suppression.ByUserID),
	}, nil
}

func (a *Activities) suppressionReader() *lists.Reader {
	return &lists.Reader{Cache: &a.lists, Root: a.Root, Log: a.Log, Now: a.clock}
}

// sameLists returns an error if a suppression list is not as it was when the segment was staged, or
// the connection has other lists now.
func (a *Activities) sameLists(ctx context.Context, connection string, staged []schemas.SuppressionCount) error {
	c, err := a.known(connection)
	if err != nil {
		return err
	}
	return lists.Same(ctx, c, staged)
}
