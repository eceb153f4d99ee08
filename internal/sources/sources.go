// Package sources finds the files that a connection allows segments and suppression lists to
// read.
package sources

import (
	"context"
	"fmt"
	"slices"

	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// OfSuppression finds the files of a suppression list. Administrators have named its source,
// so that it is allowed without being one of the AllowedSources.
func OfSuppression(ctx context.Context, c schemas.Connection, list schemas.Suppression) (*segment.Located, error) {
	base, _, err := storage.Base(list.Source)
	if err != nil {
		return nil, err
	}
	c.Suppress, c.AllowedSources = nil, append(slices.Clone(c.AllowedSources), base)
	return Files(ctx, c, list.Source, segment.Search{Version: segment.Latest})
}

// places returns the places that segments may not read, since suppression lists are
// there. The folder of a pattern is one of them, unless an allowed source is the folder itself or
// in it.
func places(c schemas.Connection) (places []string, err error) {
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

// refusePlaces returns an error if a segment's file is in one of the places.
func refusePlaces(o storage.Object, places []string, c schemas.Connection) error {
	if len(places) == 0 {
		return nil
	}
	if _, err := storage.WithinObject(o, places); err != nil {
		return nil
	}
	return step.NeedOperator(schemas.ErrorSourceNotAllowed, fmt.Sprintf(
		"%s is in the source of a suppression list of connection %q, which segments may not read; name another source, and retry", o.Name, c.Name))
}

// Files finds the files of a source, if the connection allows all of them. Files in the source
// of a suppression list are not allowed.
func Files(ctx context.Context, c schemas.Connection, source string, search segment.Search) (*segment.Located, error) {
	refused, err := places(c)
	if err != nil {
		return nil, step.NeedOperator(schemas.ErrorSuppression, err.Error())
	}
	if source, err = storage.Within(source, c.AllowedSources); err != nil {
		return nil, Refused(err, c)
	}
	return segment.Locate(ctx, source, search, func(o storage.Object) (storage.Object, error) {
		o, err := storage.WithinObject(o, c.AllowedSources)
		if err != nil {
			return o, Refused(err, c)
		}
		return o, refusePlaces(o, refused, c)
	})
}

// Refused returns the error of a source that the connection does not allow. It does
// not name the allowed ones, which only administrators may see.
func Refused(err error, c schemas.Connection) error {
	return step.NeedOperator(schemas.ErrorSourceNotAllowed, fmt.Sprintf(
		"%v; move the segment, or have an administrator add its folder to allowedSources of connection %q, then retry", err, c.Name))
}
