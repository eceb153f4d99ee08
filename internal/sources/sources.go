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

// kept is the source of a suppression list, which segments may not read: the folder before its first
// wildcard, or only the files that match if an allowed source is that folder or in it.
type kept struct {
	source string
	whole  bool
}

func keptOf(c schemas.Connection) (lists []kept, err error) {
	for _, list := range c.Suppress {
		if _, _, err := storage.Base(list.Source); err != nil {
			return nil, fmt.Errorf("suppression list %q of connection %q: %w", list.Name, c.Name, err)
		}
		lists = append(lists, kept{list.Source, !slices.ContainsFunc(c.AllowedSources, func(allowed string) bool {
			return storage.Covers(list.Source, allowed, true) && !storage.Covers(list.Source, allowed, false)
		})})
	}
	return lists, nil
}

// refuseKept returns an error if a segment's file is one of a suppression list.
func refuseKept(o storage.Object, lists []kept, c schemas.Connection) error {
	if !slices.ContainsFunc(lists, func(k kept) bool { return storage.Covers(k.source, o.URL, k.whole) }) {
		return nil
	}
	return step.NeedOperator(schemas.ErrorSourceNotAllowed, fmt.Sprintf(
		"%s is in the source of a suppression list of connection %q, which segments may not read; name another source, and retry", o.Name, c.Name))
}

// Files finds the files of a source, if the connection allows all of them. Files in the source
// of a suppression list are not allowed.
func Files(ctx context.Context, c schemas.Connection, source string, search segment.Search) (*segment.Located, error) {
	lists, err := keptOf(c)
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
		return o, refuseKept(o, lists, c)
	})
}

// Refused returns the error of a source that the connection does not allow. It does
// not name the allowed ones, which only administrators may see.
func Refused(err error, c schemas.Connection) error {
	return step.NeedOperator(schemas.ErrorSourceNotAllowed, fmt.Sprintf(
		"%v; move the segment, or have an administrator add its folder to allowedSources of connection %q, then retry", err, c.Name))
}
