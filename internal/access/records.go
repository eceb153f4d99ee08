package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Owner returns the record of an export's name; ok reports whether it has one.
func (g *Gate) Owner(ctx context.Context, export string) (r schemas.NameRecord, ok bool, err error) {
	data, err := g.root.Read(ctx, dataroot.NameKey(export))
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err == nil {
		r, err = nameRecord(export, data)
	}
	return r, err == nil, err
}

// nameRecord parses the record of an export's name.
func nameRecord(export string, data []byte) (r schemas.NameRecord, err error) {
	if err = json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", dataroot.NameKey(export), err)
	}
	if r.Export != export {
		err = fmt.Errorf("the record of the name %q is damaged: %s is about %q", export, dataroot.NameKey(export), r.Export)
	}
	return r, err
}

// CheckName returns a Refused if an export's name belongs to another connection.
func (g *Gate) CheckName(ctx context.Context, export, connection string) error {
	r, ok, err := g.Owner(ctx, export)
	if err == nil && ok && r.Connection != connection {
		err = No(schemas.ErrorNameTaken,
			"the export name %q belongs to connection %q, not to %q; give this export another name, or have a person who may use both move it: starter move %s %s",
			export, r.Connection, connection, schemas.ShellWord(export), schemas.ShellWord(connection))
	}
	return err
}

// Claim records that an export's name belongs to a connection. It returns a Refused if
// the name belongs to another connection.
func (g *Gate) Claim(ctx context.Context, export, connection, by string) error {
	_, ok, err := g.Owner(ctx, export)
	if err != nil || ok {
		return errors.Join(err, g.CheckName(ctx, export, connection))
	}
	data, err := json.MarshalIndent(schemas.NameRecord{Export: export, Connection: connection, By: by, Since: g.now().UTC()}, "", "  ")
	if err != nil {
		return err
	}
	err = g.root.WriteNew(ctx, dataroot.NameKey(export), data)
	if errors.Is(err, storage.ErrExists) { // claimed concurrently
		return g.CheckName(ctx, export, connection)
	}
	return err
}

// Move transfers an export's name to another connection, and revokes the export's grants.
// The caller must have checked that no run is under way and that the person may use both
// connections. It refuses a name that no longer belongs to from, also if that changes before
// the record is written.
func (g *Gate) Move(ctx context.Context, export, from, connection, by string) (r schemas.NameRecord, err error) {
	err = g.root.Update(ctx, dataroot.NameKey(export), func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, No(schemas.ErrorNameTaken, "the export name %q does not belong to a connection yet, so there is nothing to move", export)
		}
		if r, err = nameRecord(export, old); err != nil || r.Connection == connection {
			return nil, err
		}
		if r.Connection != from {
			return nil, No(schemas.ErrorChanged, "the export name %q was moved to another connection meanwhile", export)
		}
		if err := g.Revoke(ctx, from, export, by); err != nil { // in each try: grants may have been made since the last
			return nil, err
		}
		if !slices.Contains(r.Before, from) {
			r.Before = append(r.Before, from)
		}
		r.Connection, r.By, r.Since = connection, by, g.now().UTC()
		return json.MarshalIndent(r, "", "  ")
	})
	return r, err
}

// Release deletes the record of an export's name.
func (g *Gate) Release(ctx context.Context, export string) error {
	return g.root.Delete(ctx, dataroot.NameKey(export))
}

// Admit records what a run was admitted with. Every step of the run is checked against it.
func (g *Gate) Admit(ctx context.Context, run schemas.RunRef, r schemas.RunRecord) error {
	r.At = g.now().UTC()
	return g.root.WriteJSON(ctx, dataroot.RunRecordKey(run), r)
}

// KeepList records the list that a segment's run fills.
func (g *Gate) KeepList(ctx context.Context, run schemas.RunRef, list int64) error {
	if !g.Required() {
		return nil
	}
	return g.root.WriteJSON(ctx, dataroot.RunListKey(run), list)
}

// CheckList returns a Refused if list is not the one that a segment's run fills.
func (g *Gate) CheckList(ctx context.Context, run schemas.RunRef, list int64) error {
	if !g.Required() {
		return nil
	}
	var kept int64
	_, err := g.root.ReadJSON(ctx, dataroot.RunListKey(run), &kept)
	if err == nil && kept != list {
		err = No(schemas.ErrorGrant, "list %d is not the one that the run of %q fills", list, run.Export)
	}
	return err
}

// Admitted returns the record of an admitted run, or a Refused if it has none.
func (g *Gate) Admitted(ctx context.Context, run schemas.RunRef) (schemas.RunRecord, error) {
	var r schemas.RunRecord
	ok, err := g.root.ReadJSON(ctx, dataroot.RunRecordKey(run), &r)
	if err == nil && (!ok || r.Input.Export.Name != run.Export || r.Input.Export.Connection != run.Connection || r.RunID != run.RunID) {
		err = No(schemas.ErrorGrant, "run %s of %q was not admitted over connection %q: only RunExport starts this step, with a grant; "+
			"if the data root was restored or emptied since the run began, its record is gone: run the export again", run.RunID, run.Export, run.Connection)
	}
	return r, err
}
