package activities

import (
	"context"
	"fmt"
	"slices"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// RemoveExport deletes the snapshots, the staged data and the reports of an export, on
// request its lists in Iterable, and the record of its name. The lists come first, since
// the rest shows which ones the export made. It may be repeated.
func (a *Activities) RemoveExport(ctx context.Context, in schemas.RemoveInput) (out schemas.RemoveAnswer, err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.End(ctx, &err)
	if in.Export.Name == "" {
		return out, step.NeedOperator(schemas.ErrorBadExport, "the export to remove has no name")
	}
	who, err := a.mayRemove(ctx, in)
	if err != nil {
		return out, err
	}
	trials := schemas.TrialName(in.Export.Name)
	if kind, err := a.underWay(ctx, schemas.RunWorkflowID(trials)); err != nil {
		return out, err
	} else if kind != "" {
		return out, step.NeedOperator(schemas.ErrorConflict, fmt.Sprintf("a trial of %q is under way: wait until it has ended, or stop it with: starter cancel %s", in.Export.Name, schemas.ShellWord(trials)))
	}
	if in.DeleteLists {
		if out.Lists, err = a.deleteLists(ctx, in.Export); err != nil {
			return out, failure(err, in.Export.Connection)
		}
	}
	for _, name := range []string{trials, in.Export.Name} {
		err := a.Access.CheckName(ctx, name, in.Export.Connection)
		if name != in.Export.Name && access.IsRefused(err, schemas.ErrorNameTaken) {
			continue // trials of an export that had this name over another connection
		}
		if err != nil {
			return out, noAccess(err)
		}
		if err := a.removeData(ctx, in.Export.Connection, name, &out); err != nil {
			return out, err
		}
		if err := a.Access.Revoke(ctx, in.Export.Connection, name, who.Name); err != nil {
			return out, err
		}
		if err := a.Access.Release(ctx, name); err != nil {
			return out, err
		}
	}
	return out, nil
}

// removeData deletes what the data root has of an export, or of its trials.
func (a *Activities) removeData(ctx context.Context, connection, export string, out *schemas.RemoveAnswer) error {
	owner, _, err := a.Access.Owner(ctx, export)
	if err == nil {
		err = a.disown(ctx, export)
	}
	if err != nil {
		return err
	}
	for _, connection := range slices.Compact(append([]string{connection}, owner.Before...)) {
		for _, dir := range dataroot.ExportDirs(connection, export) {
			files, err := a.Root.List(ctx, dir)
			if err != nil {
				return err
			}
			if err := a.Root.DeletePrefix(ctx, dir); err != nil {
				return err
			}
			out.Files += len(files)
		}
	}
	return nil
}

// mayRemove checks the grant, and that the person may use the connection that the export's
// name belongs to. An export can outlive its connection; only administrators remove it then.
func (a *Activities) mayRemove(ctx context.Context, in schemas.RemoveInput) (schemas.Person, error) {
	var this Execution
	if a.Access.Required() {
		var err error
		if this, err = a.execution(ctx, schemas.WorkflowRemoveExport, schemas.RunWorkflowID(in.Export.Name)); err != nil {
			return schemas.Person{}, err
		}
	}
	who, err := a.Access.CheckRemoval(ctx, in, this.Started)
	if err == nil {
		err = a.Access.CheckName(ctx, in.Export.Name, in.Export.Connection)
	}
	if err != nil {
		return who, noAccess(err)
	}
	c, err := a.known(in.Export.Connection)
	if err != nil && !in.DeleteLists && who.Role == schemas.RoleAdministrator {
		return who, nil
	}
	if err != nil {
		return who, err
	}
	return who, noAccess(access.CheckUse(who, c))
}

// deleteLists deletes the lists that the export made for its segments and its trials. Other lists
// stay.
func (a *Activities) deleteLists(ctx context.Context, e schemas.Export) ([]schemas.RemovedList, error) {
	client, err := a.Clients.Get(e.Connection)
	if err != nil {
		return nil, err
	}
	lists, err := client.Lists(ctx)
	if err != nil {
		return nil, err
	}
	var out []schemas.RemovedList
	trials := e.Name
	if !schemas.IsTrial(e.Name) {
		trials = schemas.TrialName(e.Name)
		if out, err = a.deleteSegments(ctx, client, lists, e); err != nil {
			return out, err
		}
	}
	if err := a.Access.CheckName(ctx, trials, e.Connection); access.IsRefused(err, schemas.ErrorNameTaken) {
		return out, nil // trials over another connection
	} else if err != nil {
		return out, err
	}
	// Each trial may have had another list.
	made, err := a.makerOf(ctx, e.Connection, trials)
	if err != nil {
		return out, err
	}
	more, err := made.deleteAll(ctx, client, lists)
	return append(out, more...), err
}

// deleteSegments deletes those of the project's lists that the export made for its segments.
func (a *Activities) deleteSegments(ctx context.Context, client *iterable.Client, lists []iterable.List, e schemas.Export) (out []schemas.RemovedList, err error) {
	made, err := a.makerOf(ctx, e.Connection, e.Name)
	if err != nil {
		return nil, err
	}
	segments, err := a.listsOf(ctx, e)
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		found := false
		for _, l := range lists {
			if l.Name != s.Name || s.ListID != 0 && l.ID != s.ListID {
				continue
			}
			found = true
			why, err := made.keeps(ctx, l)
			if err != nil {
				return out, err
			}
			r, err := deleteList(ctx, client, l, why)
			if err != nil {
				return out, err
			}
			out = append(out, r)
		}
		if !found {
			out = append(out, schemas.RemovedList{Name: s.Name, Why: "there is no such list"})
		}
	}
	// Lists that runs have emptied are no longer known, but are the export's.
	emptied := slices.DeleteFunc(slices.Clone(lists), func(l iterable.List) bool {
		return slices.ContainsFunc(out, func(r schemas.RemovedList) bool { return r.ID == l.ID }) ||
			!slices.ContainsFunc(e.Segments, func(s schemas.Segment) bool { return s.Divided() && s.MayFill(l.Name) })
	})
	more, err := made.deleteAll(ctx, client, emptied)
	return append(out, more...), err
}

// maker is an export, or its trials, that may have made lists.
type maker struct {
	*Activities
	export       string
	connections  []string // that its name belongs to, or belonged to before
	host         string
	descriptions []string // of the lists that it makes, or has made over another connection
}

// deleteAll deletes those of the lists that the maker has made.
func (m *maker) deleteAll(ctx context.Context, client *iterable.Client, lists []iterable.List) (out []schemas.RemovedList, err error) {
	for _, l := range lists {
		why, err := m.keeps(ctx, l)
		if err != nil {
			return out, err
		}
		if why != "" {
			continue
		}
		r, err := deleteList(ctx, client, l, "")
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// makerOf returns the maker of that name over a connection.
func (a *Activities) makerOf(ctx context.Context, connection, export string) (*maker, error) {
	c, err := a.known(connection)
	if err != nil {
		return nil, err
	}
	deployment, err := a.deployment(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the data root's id: %w", err)
	}
	name, _, err := a.Access.Owner(ctx, export)
	m := &maker{Activities: a, export: export, connections: append([]string{connection}, name.Before...), host: access.Host(c)}
	for _, c := range m.connections {
		m.descriptions = append(m.descriptions, description(deployment, c, export))
	}
	return m, err
}

// keeps returns why a list must stay: the export did not make it, or another one fills it now. It
// returns "" if the list may be deleted.
func (m *maker) keeps(ctx context.Context, l iterable.List) (why string, err error) {
	if !slices.Contains(m.descriptions, l.Description) {
		return fmt.Sprintf("this export did not make list %d, so it stays; delete it in Iterable if it is not needed", l.ID), nil
	}
	owner, found, err := m.listOwner(ctx, m.host, ownerName(l))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the owner of list %d: %w", l.ID, err)
	case found && (owner.Export != m.export || !slices.Contains(m.connections, owner.Connection)):
		return fmt.Sprintf("another export fills list %d now, so it stays", l.ID), nil
	}
	return "", nil
}

// deleteList deletes a list, unless why says why it must stay.
func deleteList(ctx context.Context, client *iterable.Client, l iterable.List, why string) (schemas.RemovedList, error) {
	r := schemas.RemovedList{Name: l.Name, ID: l.ID, Why: why}
	if why == "" && l.Type != "" && l.Type != api.Standard {
		r.Why = fmt.Sprintf("list %d is not a static list, so it stays", l.ID)
	}
	if r.Why != "" {
		return r, nil
	}
	err := client.DeleteList(ctx, l.ID)
	switch class := iterable.ClassOf(err); {
	case err != nil && class == iterable.ListInUse:
		r.Why = fmt.Sprintf("a campaign or a journey uses list %d, so it stays; delete it in Iterable when it is not used any more", l.ID)
	case err != nil && class != iterable.UnknownList:
		return r, err
	default:
		r.Deleted = true
	}
	return r, nil
}
