package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/schemas"
)

// EnsureList finds the list with exactly the segment's name, or creates it, once
// it knows that the mapped fields fit those that the project has. A check gets
// list 0 where none has the name.
func (a *Activities) EnsureList(ctx context.Context, in schemas.EnsureListInput) (schemas.ListRef, error) {
	defer beat(ctx, nil)()
	if err := a.mayCall(in.Run, in.Connection, !in.Check); err != nil {
		return schemas.ListRef{}, err
	}
	if in.Name != in.Run.Segment {
		return schemas.ListRef{}, needOperator(schemas.ErrorGrant, fmt.Sprintf("a list bears its segment's name, «%s», and not «%s»", in.Run.Segment, in.Name))
	}
	if err := a.stillLeadsThere(in.Connection, in.Host); err != nil {
		return schemas.ListRef{}, err
	}
	client, err := a.Clients.Get(in.Connection)
	if err != nil {
		return schemas.ListRef{}, err
	}
	last := a.lastList(ctx, in.Run.Export, schemas.Segment{Name: in.Name, ListID: in.ListID})
	project, err := look(ctx, client, in, last)
	if err != nil {
		return schemas.ListRef{}, failure(err, in.Connection)
	}
	clashes, warnings := compareFields(in.Fields, project.fields)
	if len(clashes) > 0 && !in.Check {
		return schemas.ListRef{}, needOperator(schemas.ErrorFieldTypes, strings.Join(clashes, "; ")+
			"; change the segment's column or the field in Iterable and retry, or abort, change the export and run it again")
	}
	list, err := ensureList(ctx, client, in, project.lists)
	if err != nil {
		return schemas.ListRef{}, failure(err, in.Connection)
	}
	list.Warnings, list.Clashes = warnings, clashes
	if list.ID == 0 {
		return list, nil // a check, and no list yet
	}
	if list.Size = project.size; list.ID != last || !project.sized {
		if list.Size, err = client.ListSize(ctx, list.ID); err != nil {
			return schemas.ListRef{}, failure(err, in.Connection)
		}
	}
	list.Seal, err = a.Access.SealList(in.Run, in.Connection, list.ID)
	return list, err
}

// project is what EnsureList has to know of an Iterable project.
type project struct {
	lists  []iterable.List
	fields map[string]string // only where fields are mapped
	size   int64             // of the list that the last run filled
	sized  bool              // there is such a list
}

// look asks for all of it at the same time: a refresh with nothing to send takes
// hardly longer than the answers.
func look(ctx context.Context, client *iterable.Client, in schemas.EnsureListInput, last int64) (p project, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { p.lists, err = client.Lists(ctx); return err })
	if len(in.Fields) > 0 {
		g.Go(func() (err error) { p.fields, err = client.Fields(ctx); return err })
	}
	if last != 0 {
		g.Go(func() error {
			size, err := client.ListSize(ctx, last)
			p.size, p.sized = size, err == nil // or it is asked for again, where it matters
			return nil
		})
	}
	return p, g.Wait()
}

func ensureList(ctx context.Context, client *iterable.Client, in schemas.EnsureListInput, lists []iterable.List) (_ schemas.ListRef, err error) {
	if !in.Check {
		if lists, err = dropTwins(ctx, client, lists, in); err != nil {
			return schemas.ListRef{}, err
		}
	}
	found, err := pick(lists, in)
	if err != nil || found != 0 || in.Check {
		return schemas.ListRef{ID: found, Ours: keptByUs(lists, found, in.Run)}, err
	}
	made, err := client.CreateList(ctx, in.Name, description(in.Run))
	if err != nil {
		return schemas.ListRef{}, err
	}
	return settleRace(ctx, client, in, made)
}

// compareFields compares the mapped fields with those that the project has. A
// clash would make Iterable refuse every profile with a value in the field, or
// all of a request.
func compareFields(fields []schemas.MappedField, existing map[string]string) (clashes, warnings []string) {
	for _, c := range mapping.Clashes(fields, existing) {
		if c.Lossy {
			warnings = append(warnings, c.String())
		} else {
			clashes = append(clashes, c.String())
		}
	}
	return clashes, warnings
}

// keptByUs tells whether an earlier run of the export made the list.
func keptByUs(lists []iterable.List, id int64, run schemas.RunRef) bool {
	return slices.ContainsFunc(lists, func(l iterable.List) bool { return l.ID == id && l.Description == description(run) })
}

// dropTwins deletes what is left of a race that a worker lost and did not live to
// settle: lists of the segment's name, made by this export and still empty, of
// which an older one exists.
func dropTwins(ctx context.Context, client *iterable.Client, lists []iterable.List, in schemas.EnsureListInput) ([]iterable.List, error) {
	var ours []iterable.List
	for _, l := range lists {
		if l.Name == in.Name && l.Type == iterable.Standard && l.Description == description(in.Run) {
			ours = append(ours, l)
		}
	}
	if len(ours) < 2 || in.ListID != 0 {
		return lists, nil
	}
	slices.SortFunc(ours, func(a, b iterable.List) int { return cmp.Compare(a.ID, b.ID) })
	for _, l := range ours[1:] {
		gone, err := deleteEmpty(ctx, client, l.ID)
		if err != nil {
			return nil, err
		}
		if !gone {
			continue
		}
		lists = slices.DeleteFunc(slices.Clone(lists), func(x iterable.List) bool { return x.ID == l.ID })
	}
	return lists, nil
}

// pick chooses the list to fill among those that there are, 0 if none has the
// name.
func pick(lists []iterable.List, in schemas.EnsureListInput) (int64, error) {
	var named []iterable.List
	for _, l := range lists {
		if in.ListID != 0 && l.ID == in.ListID {
			if l.Name != in.Name {
				return 0, needOperator(schemas.ErrorListUnusable, fmt.Sprintf(
					"listId %d is the list «%s», not «%s»; correct listId in the segment's settings, and run the export again", l.ID, l.Name, in.Name))
			}
			return usable(l)
		}
		if l.Name == in.Name {
			named = append(named, l)
		}
	}
	switch {
	case in.ListID != 0:
		return 0, needOperator(schemas.ErrorListGone, fmt.Sprintf(
			"there is no list with the id %d, which the segment's listId asks for; correct or remove listId, and run the export again", in.ListID))
	case len(named) == 0:
		return 0, nil
	case len(named) > 1:
		ids := make([]string, len(named))
		for i, l := range named {
			ids[i] = fmt.Sprintf("%d (%s)", l.ID, l.Type)
		}
		return 0, needOperator(schemas.ErrorListAmbiguous, fmt.Sprintf(
			"%d lists are named «%s»: %s; set listId in the segment's settings to the one to fill, or rename the others in Iterable and retry",
			len(named), in.Name, strings.Join(ids, ", ")))
	}
	return usable(named[0])
}

func usable(l iterable.List) (int64, error) {
	if l.Type != "" && l.Type != iterable.Standard {
		return 0, needOperator(schemas.ErrorListUnusable, fmt.Sprintf(
			"list %d, «%s», is of type %s, and only a %s list takes profiles; rename it in Iterable and retry, or set listId in the segment's settings to another list of this name",
			l.ID, l.Name, l.Type, iterable.Standard))
	}
	return l.ID, nil
}

// settleRace looks again after a list was made: where two workers have made one
// at the same time, the lower id stays and the twin of our own making, still
// empty, goes.
func settleRace(ctx context.Context, client *iterable.Client, in schemas.EnsureListInput, made int64) (schemas.ListRef, error) {
	lists, err := client.Lists(ctx)
	if err != nil {
		return schemas.ListRef{}, err
	}
	lowest := made
	for _, l := range lists {
		if l.Name == in.Name && l.Type == iterable.Standard {
			lowest = min(lowest, l.ID)
		}
	}
	if lowest == made {
		return schemas.ListRef{ID: made, Created: true}, nil
	}
	_, err = deleteEmpty(ctx, client, made)
	return schemas.ListRef{ID: lowest}, err
}

// deleteEmpty deletes a list unless it has members, and tells whether it is gone.
// Another worker may be doing the same.
func deleteEmpty(ctx context.Context, client *iterable.Client, id int64) (gone bool, err error) {
	size, err := client.ListSize(ctx, id)
	if err == nil && size == 0 {
		err = client.DeleteList(ctx, id)
	}
	if iterable.ClassOf(err) == iterable.NotFound {
		return true, nil
	}
	return size == 0, err
}

// description says where a list comes from.
func description(run schemas.RunRef) string {
	d := []rune("Kept by iterable-segment-export, export «" + run.Export + "»")
	return string(slices.Clip(d[:min(len(d), iterable.MaxDescription)]))
}
