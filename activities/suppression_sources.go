package activities

import (
	"context"
	"fmt"
	"slices"

	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// suppressionFiles finds the files of a suppression list. Administrators have named its source,
// so that it is allowed without being one of the AllowedSources.
func suppressionFiles(ctx context.Context, c schemas.Connection, list schemas.Suppression) (*segment.Located, error) {
	base, _, err := storage.Base(list.Source)
	if err != nil {
		return nil, err
	}
	c.Suppress, c.AllowedSources = nil, append(slices.Clone(c.AllowedSources), base)
	return allowedFiles(ctx, c, list.Source, segment.Latest, false)
}

// suppressionPlaces returns the places that segments may not read, since suppression lists are
// there. The folder of a pattern is one of them, unless an allowed source is the folder itself or
// in it.
func suppressionPlaces(c schemas.Connection) (places []string, err error) {
	for _, list := range c.Suppress {
		base, pattern, err := storage.Base(list.Source)
		if err != nil {
			return nil, fmt.Errorf("suppression list %q of connection %q: %w", list.Name, c.Name, err)
		}
		holds := func(source string) bool {
			_, err := storage.Within(source, []string{base})
			return err == nil
		}
		if !pattern || !slices.ContainsFunc(c.AllowedSources, holds) {
			places = append(places, base)
		}
	}
	return places, nil
}

// refuseSuppression returns an error if a segment's file is in one of the places.
func refuseSuppression(o storage.Object, places []string, c schemas.Connection) error {
	if len(places) == 0 {
		return nil
	}
	if _, err := storage.WithinObject(o, places); err != nil {
		return nil
	}
	return needOperator(schemas.ErrorSourceNotAllowed, fmt.Sprintf(
		"%s is in the source of a suppression list of connection %q, which segments may not read; name another source, and retry", o.Name, c.Name))
}

// sameLists returns an error if a suppression list is not as it was when the segment was staged.
func (a *Activities) sameLists(ctx context.Context, connection string, staged []schemas.SuppressionCount) error {
	if len(staged) == 0 {
		return nil
	}
	c, err := a.known(connection)
	if err != nil {
		return err
	}
	changed := func(what string) error {
		return needOperator(schemas.ErrorSuppressionChanged, fmt.Sprintf("%s of connection %q changed while the run waited; it starts over", what, connection))
	}
	if len(c.Suppress) != len(staged) {
		return changed("the suppression lists")
	}
	for i, list := range c.Suppress {
		found, err := inspectSuppression(ctx, c, list)
		if err != nil {
			return suppressionFailure(ctx, err, c, list)
		}
		if list.Name != staged[i].Name || found.Info().Fingerprint != staged[i].Fingerprint {
			return changed(fmt.Sprintf("suppression list %q", list.Name))
		}
	}
	return nil
}
