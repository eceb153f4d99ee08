package activities

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// EnsureList finds the list with exactly the segment's name, after it has compared the
// mapped fields with those of the project. If no list has the name, it creates one when
// in.Create is set, and otherwise returns list 0.
func (a *Activities) EnsureList(ctx context.Context, in schemas.EnsureListInput) (_ schemas.ListRef, err error) {
	ctx, attempt := a.begin(ctx, in.Run.Deadline, nil)
	defer attempt.End(ctx, &err)
	run, err := a.mayEnsure(ctx, in)
	if err != nil {
		return schemas.ListRef{}, err
	}
	if in.Name != in.Run.Segment {
		return schemas.ListRef{}, step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("the list must have its segment's name, %q, not %q", in.Run.Segment, in.Name))
	}
	client, err := a.Clients.Get(in.Connection)
	if err != nil {
		return schemas.ListRef{}, err
	}
	deployment, err := a.deployment(ctx)
	if err != nil {
		return schemas.ListRef{}, fmt.Errorf("read the data root's id: %w", err)
	}
	last, changed := a.lastRun(ctx, schemas.Export{Name: in.Run.Export, Connection: in.Run.Connection}, schemas.Segment{Name: in.Name, ListID: in.ListID})
	late := a.clock().Sub(changed) < sizeLag
	project, err := a.look(ctx, client, in, last, late)
	if err != nil {
		return schemas.ListRef{}, failure(err, in.Connection)
	}
	if err := a.leads(ctx, in, project.lists); err != nil {
		return schemas.ListRef{}, err
	}
	clashes, warnings := compareFields(in.Fields, project.fields)
	if len(clashes) > 0 && !in.Check {
		return schemas.ListRef{}, step.NeedOperator(schemas.ErrorFieldTypes, strings.Join(clashes, "; ")+
			"; change the segment's column or the field in Iterable and retry, or abort, change the export and run it again")
	}
	fresh := mapping.NewFields(in.Fields, project.fields)
	if len(fresh) > 0 && in.NewFields == schemas.Refuse && !in.Check {
		return schemas.ListRef{}, step.NeedOperator(schemas.ErrorFieldTypes, fmt.Sprintf(
			"the run would create %s in Iterable, and newFields is refuse; create them there and retry, or abort, change the export and run it again", schemas.FieldNames(fresh)))
	}
	o := ownership{Activities: a, in: in, deployment: deployment, run: run}
	list, err := o.ensureList(ctx, client, project.lists, last)
	if err != nil {
		return schemas.ListRef{}, failure(err, in.Connection)
	}
	list.Warnings, list.Clashes, list.NewFields = append(list.Warnings, warnings...), clashes, fresh
	if list.HandedOver = o.handedOver; o.busy {
		list.Pause = schemas.Duration(handoverPause)
	}
	switch {
	case list.ID == 0, list.Created:
	case late:
		list.Size = -1
	case list.ID == last:
		list.Size = project.size
	default:
		list.Size = a.listSize(ctx, client, in.Connection, list.ID)
	}
	return list, noAccess(a.Access.KeepList(ctx, in.Run, list.ID))
}

// mayEnsure compares the input with the run's record, and returns that.
func (a *Activities) mayEnsure(ctx context.Context, in schemas.EnsureListInput) (r *schemas.RunRecord, err error) {
	if in.Check {
		if r, err = a.admitted(ctx, in.Run, reads); err == nil {
			err = a.sameHost(in.Connection, in.Host)
		}
	} else {
		r, err = a.maySend(ctx, in.Run, in.Connection, in.Host)
	}
	if err != nil || r == nil {
		return r, err
	}
	of, _ := r.Input.Export.Find(in.Run.Segment)
	if in.Connection != in.Run.Connection || in.ListID != of.ListID || of.Divided() || in.NewFields != r.Input.Export.NewFields || in.Check != r.Input.Check {
		return r, altered(in.Run)
	}
	return r, nil
}

// project is what EnsureList must know of an Iterable project.
type project struct {
	lists  []iterable.List
	fields map[string]string // only where fields are mapped
	size   int64             // of the list that the last run filled, or -1
}

// look asks for all of it at the same time, so that a refresh with nothing to send is fast. It
// does not ask for a size that would be late.
func (a *Activities) look(ctx context.Context, client *iterable.Client, in schemas.EnsureListInput, last int64, late bool) (p project, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { p.lists, err = client.Lists(ctx); return err })
	if len(in.Fields) > 0 {
		g.Go(func() (err error) { p.fields, err = client.SharedFields(ctx); return err })
	}
	if last != 0 && !late {
		g.Go(func() error { p.size = a.listSize(ctx, client, in.Connection, last); return nil })
	}
	return p, g.Wait()
}

// leads records which project the connection leads to. Iterable's answers do not name the
// project, so its oldest list identifies it.
func (a *Activities) leads(ctx context.Context, in schemas.EnsureListInput, lists []iterable.List) error {
	if len(lists) == 0 {
		return nil
	}
	oldest := slices.MinFunc(lists, func(a, b iterable.List) int { return cmp.Compare(a.ID, b.ID) })
	return a.Senders.Leads(ctx, in.Connection, in.Host+" "+strings.TrimSuffix(ownerName(oldest), ".json"))
}

const (
	// sizeWithin is how long a run waits for a size.
	sizeWithin = 3 * time.Second
	// sizeLag is how long after a change the size may be that of before: Iterable shows a change
	// up to a minute later.
	sizeLag = 2 * time.Minute
)

// listSize returns how many members a list had a short while ago, or -1 if the workers have
// just asked for a size, or Iterable did not answer within sizeWithin.
func (a *Activities) listSize(ctx context.Context, client *iterable.Client, connection string, id int64) int64 {
	if taken, _, err := a.Senders.Documented(ctx, connection, api.ListSize); taken || err != nil {
		return -1
	}
	ctx, cancel := context.WithTimeout(ctx, sizeWithin)
	defer cancel()
	size, err := client.ListSize(ctx, id)
	if err != nil {
		return -1
	}
	return size
}

// ensureList finds or creates the list to fill, and claims it. last is the list that the
// last run filled.
func (o *ownership) ensureList(ctx context.Context, client *iterable.Client, lists []iterable.List, last int64) (schemas.ListRef, error) {
	found, err := o.found(ctx, lists, last)
	if err != nil || found.ID != 0 || !o.in.Create || o.in.Check {
		return found, err
	}
	made, err := client.CreateList(ctx, o.in.Name, description(o.deployment, o.in.Connection, o.in.Run.Export))
	class := iterable.ClassOf(err)
	if err != nil && class != iterable.BadRequest && class != iterable.ListInUse {
		return schemas.ListRef{}, err
	}
	after, lookErr := client.Lists(ctx)
	if lookErr != nil {
		return schemas.ListRef{}, lookErr
	}
	if err == nil {
		if err := o.leads(ctx, o.in, after); err != nil {
			return schemas.ListRef{}, err
		}
		return o.settle(ctx, client, lists, after, made)
	}
	// Iterable refuses a second list of a name.
	if found, pickErr := o.found(ctx, after, last); pickErr != nil || found.ID != 0 {
		return found, pickErr
	}
	for _, l := range after {
		if strings.EqualFold(strings.TrimSpace(l.Name), strings.TrimSpace(o.in.Name)) {
			return schemas.ListRef{}, step.NeedOperator(schemas.ErrorListUnusable, fmt.Sprintf(
				"Iterable does not create the list %q beside list %d, %q, whose name differs only in case or spaces; rename one of the two and retry",
				o.in.Name, l.ID, l.Name))
		}
	}
	return schemas.ListRef{}, err
}

// found returns the list to fill among existing ones, claimed; its ID is 0 if none has the
// name.
func (o *ownership) found(ctx context.Context, lists []iterable.List, last int64) (schemas.ListRef, error) {
	l, warnings, err := o.pick(ctx, lists, last)
	if err != nil || l == nil {
		return schemas.ListRef{}, err
	}
	ref := o.ref(*l)
	ref.Warnings = warnings
	before, err := o.claim(ctx, *l)
	ref.Ours = ref.Ours || before
	return ref, err
}

// settle examines the lists after one was created. If several workers have created one at
// the same time, the lowest ID stays, and the one created here is deleted: nothing was sent
// to it. It is also deleted if Iterable changed its name, since the next run would not find
// it and create one more. A list that existed before, and that Iterable took for the
// requested one, is never deleted.
func (o *ownership) settle(ctx context.Context, client *iterable.Client, before, lists []iterable.List, made int64) (schemas.ListRef, error) {
	for _, l := range before {
		if l.ID == made {
			return schemas.ListRef{}, step.NeedOperator(schemas.ErrorListUnusable, fmt.Sprintf(
				"Iterable takes list %d, %q, for the list %q that it is asked to create; rename the list or the segment, so that they are the same or differ in more than case and spaces, and retry",
				l.ID, l.Name, o.in.Name))
		}
	}
	chosen := iterable.List{ID: made, Name: o.in.Name}
	for _, l := range lists {
		if l.ID == made && l.Name != o.in.Name {
			if err := client.DeleteNew(ctx, made); err != nil {
				return schemas.ListRef{}, err
			}
			return schemas.ListRef{}, step.NeedOperator(schemas.ErrorListUnusable, fmt.Sprintf(
				"Iterable names a list %q when it is asked for %q; abort, rename the segment to that, and run the export again", l.Name, o.in.Name))
		}
		if l.Name == o.in.Name && l.Type == api.Standard && l.ID <= chosen.ID {
			chosen = l
		}
	}
	ref := o.ref(chosen)
	if chosen.ID == made {
		ref = schemas.ListRef{ID: made, Created: true, CreatedAt: o.clock(), Owner: ownerName(chosen)}
	} else if err := client.DeleteNew(ctx, made); err != nil {
		return schemas.ListRef{}, err
	}
	_, err := o.claim(ctx, chosen)
	return ref, err
}

// ref returns the ListRef of an existing list.
func (o *ownership) ref(l iterable.List) schemas.ListRef {
	return schemas.ListRef{ID: l.ID, CreatedAt: l.CreatedAt, Owner: ownerName(l), Ours: l.Description == description(o.deployment, o.in.Connection, o.in.Run.Export)}
}

// compareFields compares the mapped fields with those of the project. With a clash Iterable
// would refuse every profile with a value in the field, or the whole request.
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

// pick returns the list to fill among existing ones, or nil if none has the name. Of several
// with the name it prefers the one that this segment fills already, then those that this
// export has created (a race or an interrupted run can leave several): the one that the last
// run filled, or the oldest.
func (o *ownership) pick(ctx context.Context, lists []iterable.List, last int64) (_ *iterable.List, warnings []string, err error) {
	in := o.in
	var named []iterable.List
	for _, l := range lists {
		if in.ListID != 0 && l.ID == in.ListID {
			if l.Name != in.Name {
				return nil, nil, step.NeedOperator(schemas.ErrorListUnusable, fmt.Sprintf(
					"listId %d is the list %q, not %q; abort, correct listId in the segment's settings, and run the export again", l.ID, l.Name, in.Name))
			}
			return &l, nil, usable(l)
		}
		if l.Name == in.Name {
			named = append(named, l)
		}
	}
	switch {
	case in.ListID != 0:
		return nil, nil, step.NeedOperator(schemas.ErrorListGone, fmt.Sprintf(
			"there is no list with the id %d, which the segment's listId asks for; abort, correct or remove listId, and run the export again", in.ListID))
	case len(named) == 0:
		return nil, nil, nil
	case len(named) == 1:
		return &named[0], nil, usable(named[0])
	}
	slices.SortFunc(named, func(a, b iterable.List) int { return cmp.Compare(a.ID, b.ID) })
	ids := make([]string, len(named))
	mine, ours := -1, 0
	for i, l := range named {
		ids[i] = fmt.Sprintf("%d (%s)", l.ID, l.Type)
		owner, err := o.owner(ctx, l)
		if err != nil {
			return nil, nil, err
		}
		if owner != nil && owner.is(in.Run, in.Connection) {
			mine, ours = i, len(named)
			continue
		}
		if owner == nil && l.Type == api.Standard && o.ref(l).Ours {
			if ours++; mine < 0 || ours <= len(named) && l.ID == last {
				mine = i
			}
		}
	}
	if ours < len(named) {
		return nil, nil, step.NeedOperator(schemas.ErrorListAmbiguous, fmt.Sprintf(
			"%d lists are named %q: %s; set listId in the segment's settings to the one to fill, or rename the others in Iterable and retry",
			len(named), in.Name, strings.Join(ids, ", ")))
	}
	return &named[mine], []string{fmt.Sprintf("%d lists are named %q: %s; only list %d is filled, delete or rename the others in Iterable",
		len(named), in.Name, strings.Join(ids, ", "), named[mine].ID)}, usable(named[mine])
}

func usable(l iterable.List) error {
	if l.Type != "" && l.Type != api.Standard {
		return step.NeedOperator(schemas.ErrorListUnusable, fmt.Sprintf(
			"list %d, %q, is of type %s, and only a %s list can be filled; rename it in Iterable and retry, or set listId in the segment's settings to another list of this name",
			l.ID, l.Name, l.Type, api.Standard))
	}
	return nil
}

const keptBy = "Kept by iterable-segment-export"

// description returns the description of a list: the data root and the export that fill it. A hash
// stands for the connection, since others may have an export of that name later. Of a long name
// only the beginning fits, and the hash stands for its end too. That hash is longer, because
// people choose the names of exports: a name with the same 32 bits is found in minutes.
func description(deployment, connection, export string) string {
	of := sha256.Sum256([]byte(connection + "\x00" + export))
	d := []rune{}
	for _, bytes := range []int{4, 16} {
		d = []rune(fmt.Sprintf("%s (%s-%s), export %q", keptBy, deployment[:min(len(deployment), 8)], hex.EncodeToString(of[:bytes]), export))
		if len(d) <= api.MaxDescription {
			return string(d)
		}
	}
	return string(d[:api.MaxDescription])
}
