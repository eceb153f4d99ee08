package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/iterable/api"
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
	project, err := a.look(ctx, client, in, last)
	if err != nil {
		return schemas.ListRef{}, failure(err, in.Connection)
	}
	clashes, warnings := compareFields(in.Fields, project.fields)
	if len(clashes) > 0 && !in.Check {
		return schemas.ListRef{}, needOperator(schemas.ErrorFieldTypes, strings.Join(clashes, "; ")+
			"; change the segment's column or the field in Iterable and retry, or abort, change the export and run it again")
	}
	list, err := ensureList(ctx, client, in, project.lists, last)
	if err != nil {
		return schemas.ListRef{}, failure(err, in.Connection)
	}
	list.Warnings, list.Clashes = append(list.Warnings, warnings...), clashes
	if list.ID == 0 {
		return list, nil // a check, and no list yet
	}
	switch {
	case list.Created:
	case list.ID == last:
		list.Size = project.size
		list.CreatedAt = time.Time{} // Iterable has known it since
	default:
		list.Size = a.listSize(ctx, client, in.Connection, list.ID)
	}
	list.Seal, err = a.Access.SealList(in.Run, in.Connection, list.ID)
	return list, err
}

// project is what EnsureList has to know of an Iterable project.
type project struct {
	lists  []iterable.List
	fields map[string]string // only where fields are mapped
	size   int64             // of the list that the last run filled, -1 where it is not known
}

// look asks for all of it at the same time: a refresh with nothing to send takes
// hardly longer than the answers.
func (a *Activities) look(ctx context.Context, client *iterable.Client, in schemas.EnsureListInput, last int64) (p project, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { p.lists, err = client.Lists(ctx); return err })
	if len(in.Fields) > 0 {
		g.Go(func() (err error) { p.fields, err = client.Fields(ctx); return err })
	}
	if last != 0 {
		g.Go(func() error { p.size = a.listSize(ctx, client, in.Connection, last); return nil })
	}
	return p, g.Wait()
}

// sizeEvery is how often the workers of a deployment may ask for a list's size over
// one connection: Iterable allows five such requests a minute.
const sizeEvery = 15 * time.Second

// listSize returns how many members a list had a short while ago, or -1: the
// workers have asked for a size just now, or Iterable could not tell.
func (a *Activities) listSize(ctx context.Context, client *iterable.Client, connection string, id int64) int64 {
	dir := schemas.SizesDir(connection)
	turn := path.Join(dir, strconv.FormatInt(time.Now().UnixNano()/int64(sizeEvery), 10))
	if taken, err := a.Root.Exists(ctx, turn); taken || err != nil {
		return -1
	}
	if err := errors.Join(a.Root.DeletePrefix(ctx, dir+"/"), a.Root.Write(ctx, turn, nil)); err != nil {
		return -1
	}
	size, err := client.ListSize(ctx, id)
	if err != nil {
		return -1
	}
	return size
}

// ensureList chooses the list to fill, or makes it. last is the list that the last
// run filled.
func ensureList(ctx context.Context, client *iterable.Client, in schemas.EnsureListInput, lists []iterable.List, last int64) (schemas.ListRef, error) {
	found, err := pick(lists, in, last)
	if err != nil || found.ID != 0 || in.Check {
		return found, err
	}
	made, err := client.CreateList(ctx, in.Name, description(in.Run))
	class := iterable.ClassOf(err)
	if err != nil && class != iterable.BadRequest && class != iterable.ListInUse {
		return schemas.ListRef{}, err
	}
	after, lookErr := client.Lists(ctx)
	if lookErr != nil {
		return schemas.ListRef{}, lookErr
	}
	if err == nil {
		return settle(ctx, client, in, after, made)
	}
	// Iterable refuses a second list of a name.
	if found, pickErr := pick(after, in, last); pickErr != nil || found.ID != 0 {
		return found, pickErr
	}
	for _, l := range after {
		if strings.EqualFold(strings.TrimSpace(l.Name), strings.TrimSpace(in.Name)) {
			return schemas.ListRef{}, needOperator(schemas.ErrorListUnusable, fmt.Sprintf(
				"Iterable does not create the list %q beside list %d, %q, whose name differs only in case or spaces; rename one of the two and retry",
				in.Name, l.ID, l.Name))
		}
	}
	return schemas.ListRef{}, err
}

// settle looks at the lists after one was made. Where several workers have made
// one at the same time, the lowest ID stays and the one made here goes: nothing
// was sent to it. So it does where Iterable gave it another name than it was asked
// for, since the next run would not find it and make one more.
func settle(ctx context.Context, client *iterable.Client, in schemas.EnsureListInput, lists []iterable.List, made int64) (schemas.ListRef, error) {
	lowest := schemas.ListRef{ID: made, Created: true, CreatedAt: time.Now()}
	for _, l := range lists {
		if l.ID == made && l.Name != in.Name {
			if err := client.DeleteList(ctx, made); err != nil && iterable.ClassOf(err) != iterable.UnknownList {
				return schemas.ListRef{}, err
			}
			return schemas.ListRef{}, needOperator(schemas.ErrorListUnusable, fmt.Sprintf(
				"Iterable names a list %q when it is asked for %q; rename the segment to that and run the export again", l.Name, in.Name))
		}
		if l.Name == in.Name && l.Type == api.Standard && l.ID < lowest.ID {
			lowest = ref(l, in.Run)
		}
	}
	if lowest.ID != made {
		if err := client.DeleteList(ctx, made); err != nil && iterable.ClassOf(err) != iterable.UnknownList {
			return schemas.ListRef{}, err
		}
	}
	return lowest, nil
}

// ref describes a list that was there.
func ref(l iterable.List, run schemas.RunRef) schemas.ListRef {
	return schemas.ListRef{ID: l.ID, CreatedAt: l.CreatedAt, Ours: l.Description == description(run)}
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

// pick chooses the list to fill among those that there are; its ID is 0 if none has
// the name. Of several that this export made, as a race or an interrupted run can
// leave them, it is the one that the last run filled, or the oldest.
func pick(lists []iterable.List, in schemas.EnsureListInput, last int64) (schemas.ListRef, error) {
	var named, ours []iterable.List
	for _, l := range lists {
		if in.ListID != 0 && l.ID == in.ListID {
			if l.Name != in.Name {
				return schemas.ListRef{}, needOperator(schemas.ErrorListUnusable, fmt.Sprintf(
					"listId %d is the list «%s», not «%s»; correct listId in the segment's settings, and run the export again", l.ID, l.Name, in.Name))
			}
			return usable(l, in.Run)
		}
		if l.Name == in.Name {
			named = append(named, l)
			if l.Description == description(in.Run) && l.Type == api.Standard {
				ours = append(ours, l)
			}
		}
	}
	slices.SortFunc(ours, func(a, b iterable.List) int { return cmp.Compare(a.ID, b.ID) })
	switch {
	case in.ListID != 0:
		return schemas.ListRef{}, needOperator(schemas.ErrorListGone, fmt.Sprintf(
			"there is no list with the id %d, which the segment's listId asks for; correct or remove listId, and run the export again", in.ListID))
	case len(named) == 0:
		return schemas.ListRef{}, nil
	case len(named) == 1:
		return usable(named[0], in.Run)
	}
	ids := make([]string, len(named))
	for i, l := range named {
		ids[i] = fmt.Sprintf("%d (%s)", l.ID, l.Type)
	}
	if len(ours) == len(named) {
		fill := max(0, slices.IndexFunc(ours, func(l iterable.List) bool { return l.ID == last }))
		list := ref(ours[fill], in.Run)
		list.Warnings = []string{fmt.Sprintf(
			"this export has made %d lists named %q: %s; only list %d is filled, delete the others in Iterable", len(named), in.Name, strings.Join(ids, ", "), list.ID)}
		return list, nil
	}
	return schemas.ListRef{}, needOperator(schemas.ErrorListAmbiguous, fmt.Sprintf(
		"%d lists are named «%s»: %s; set listId in the segment's settings to the one to fill, or rename the others in Iterable and retry",
		len(named), in.Name, strings.Join(ids, ", ")))
}

func usable(l iterable.List, run schemas.RunRef) (schemas.ListRef, error) {
	if l.Type != "" && l.Type != api.Standard {
		return schemas.ListRef{}, needOperator(schemas.ErrorListUnusable, fmt.Sprintf(
			"list %d, «%s», is of type %s, and only a %s list takes profiles; rename it in Iterable and retry, or set listId in the segment's settings to another list of this name",
			l.ID, l.Name, l.Type, api.Standard))
	}
	return ref(l, run), nil
}

// description says where a list comes from.
func description(run schemas.RunRef) string {
	d := []rune("Kept by iterable-segment-export, export «" + run.Export + "»")
	return string(slices.Clip(d[:min(len(d), api.MaxDescription)]))
}
