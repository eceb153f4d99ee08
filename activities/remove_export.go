package activities

import (
	"context"
	"fmt"
	"path"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// removeExport deletes the snapshots, the staged data and the reports of an
// export, and on request its lists in Iterable. The lists come first: whether the
// export made one can't be told once the rest is gone. It may be repeated.
func (a *Activities) removeExport(ctx context.Context, who schemas.Person, in schemas.RemoveRequest) (schemas.RemoveAnswer, error) {
	var out schemas.RemoveAnswer
	if in.Export.Name == "" {
		return out, needOperator(schemas.ErrorBadExport, "the export to remove has no name")
	}
	// An export can outlive its connection, and has to be removable then too.
	if c, err := a.Connections.Get(in.Export.Connection); err == nil {
		if err := mayUse(who, c); err != nil {
			return out, err
		}
	} else if in.DeleteLists {
		return out, needOperator(schemas.ErrorUnknownConnection, err.Error())
	}
	if err := a.mayRemove(ctx, who, in.Export.Name); err != nil {
		return out, err
	}
	if in.DeleteLists {
		var err error
		if out.Lists, err = a.deleteLists(ctx, in.Export); err != nil {
			return out, failure(err, in.Export.Connection)
		}
	}
	if err := a.disown(ctx, in.Export.Name); err != nil {
		return out, err
	}
	for _, dir := range schemas.ExportDirs(in.Export.Name) {
		files, err := a.Root.List(ctx, dir)
		if err != nil {
			return out, err
		}
		if err := a.Root.DeletePrefix(ctx, dir); err != nil {
			return out, err
		}
		out.Files += len(files)
	}
	return out, nil
}

// mayRemove holds the person against the connections that the export's snapshots are
// of, whatever the question says of it.
func (a *Activities) mayRemove(ctx context.Context, who schemas.Person, export string) error {
	return a.Root.Walk(ctx, schemas.SnapshotsDir(export), func(o storage.Object) error {
		if _, ok := schemas.SnapshotVersion(path.Base(o.Name)); !ok {
			return nil
		}
		h, err := a.headerOf(ctx, o.Name)
		if err != nil || h == nil {
			return err // a damaged one is of no use but to be deleted
		}
		if c, err := a.Connections.Get(h.Connection); err == nil {
			return mayUse(who, c)
		}
		return nil
	})
}

// deleteLists deletes the lists that the export made for its segments; what
// anybody else made stays.
func (a *Activities) deleteLists(ctx context.Context, e schemas.Export) ([]schemas.RemovedList, error) {
	client, err := a.Clients.Get(e.Connection)
	if err != nil {
		return nil, err
	}
	lists, err := client.Lists(ctx)
	if err != nil {
		return nil, err
	}
	deployment, err := a.deployment(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the data root's id: %w", err)
	}
	ours := description(deployment, e.Name)
	var out []schemas.RemovedList
	for _, s := range e.Segments {
		found := false
		for _, l := range lists {
			if l.Name != s.Name || s.ListID != 0 && l.ID != s.ListID {
				continue
			}
			found = true
			r := schemas.RemovedList{Name: l.Name, ID: l.ID}
			if l.Description != ours || l.Type != "" && l.Type != api.Standard {
				r.Why = fmt.Sprintf("this export did not make list %d, so it stays; delete it in Iterable if nobody needs it", l.ID)
			} else if err := client.DeleteList(ctx, l.ID); iterable.ClassOf(err) == iterable.ListInUse {
				r.Why = fmt.Sprintf("a campaign or a journey uses list %d, so it stays; delete it in Iterable when it is not used any more", l.ID)
			} else if err != nil && iterable.ClassOf(err) != iterable.UnknownList {
				return out, err
			} else {
				r.Deleted = true
			}
			out = append(out, r)
		}
		if !found {
			out = append(out, schemas.RemovedList{Name: s.Name, Why: "there is no such list"})
		}
	}
	return out, nil
}
