package activities

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/upload"
	"iterable-segment-export/schemas"
)

// listOwner is the record of the one segment that fills a list. Two segments that filled one
// list would remove each other's members.
type listOwner struct {
	Export     string    `json:"export"`
	Connection string    `json:"connection"`
	Segment    string    `json:"segment"`
	ListID     int64     `json:"listId"`
	Name       string    `json:"name"`
	Since      time.Time `json:"since"`
	// Run is the run that claimed the list.
	Run string `json:"run,omitempty"`
	// Handover is the unique name of the handover, if another segment filled the list before.
	Handover string `json:"handover,omitempty"`
}

// sentSince records that all profiles were sent after a handover.
type sentSince struct {
	Export   string `json:"export"`
	Handover string `json:"handover"`
}

// sentSinceKey returns the key of a list's sentSince, beside its record.
func sentSinceKey(host, owner string) string {
	return path.Join(dataroot.ListOwnersDir(host), strings.TrimSuffix(path.Base(owner), ".json")+"-sent.json")
}

// is reports whether a run's segment is the owner.
func (o *listOwner) is(run schemas.RunRef, connection string) bool {
	return o.Export == run.Export && o.Connection == connection && o.Segment == run.Segment
}

// ownership finds, creates and claims lists.
type ownership struct {
	*Activities
	in         schemas.EnsureListInput
	deployment string
	run        *schemas.RunRecord // nil if runs need no grant
	// handedOver is set if another export has handed the list over to this run, and busy if
	// that one may still be sending.
	handedOver, busy bool
}

// ownerName returns the name of a list's record. Iterable's answers do not name the project, so
// that the creation time of the list, in milliseconds, distinguishes lists with the same
// number in two projects of one host.
func ownerName(l iterable.List) string {
	var made int64
	if !l.CreatedAt.IsZero() {
		made = l.CreatedAt.UnixMilli()
	}
	return fmt.Sprintf("%d-%d.json", l.ID, made)
}

// ownerKey returns the key of a list's record.
func ownerKey(host string, l iterable.List) string {
	return path.Join(dataroot.ListOwnersDir(host), ownerName(l))
}

// listOwner returns the list's record of that name on a host, and whether there is one.
func (a *Activities) listOwner(ctx context.Context, host, name string) (owner listOwner, found bool, err error) {
	found, err = a.Root.ReadJSON(ctx, path.Join(dataroot.ListOwnersDir(host), path.Base(name)), &owner)
	return owner, found, err
}

// owner returns the record of a list, or nil.
func (o *ownership) owner(ctx context.Context, l iterable.List) (*listOwner, error) {
	owner, found, err := o.listOwner(ctx, o.in.Host, ownerName(l))
	if err != nil || !found {
		return nil, err
	}
	return &owner, nil
}

// claim records that the run's segment fills the list. If another one does, the run must
// wait for approval. A check changes nothing. before reports whether an earlier run has
// filled it for the same segment.
func (o *ownership) claim(ctx context.Context, l iterable.List) (before bool, err error) {
	owner, err := o.owner(ctx, l)
	if err != nil {
		return false, err
	}
	mine := listOwner{
		Export: o.in.Run.Export, Connection: o.in.Connection, Segment: o.in.Run.Segment, ListID: l.ID, Name: l.Name, Since: o.clock().UTC(),
		Run: o.in.Run.RunID,
	}
	by, elsewhere := "", false
	switch {
	case owner != nil && owner.is(o.in.Run, o.in.Connection):
		o.handedOver = owner.Handover != "" && owner.Run == o.in.Run.RunID
		return owner.Run != o.in.Run.RunID, nil
	case owner != nil:
		by = fmt.Sprintf("segment %q of export %q over connection %q, since %s",
			owner.Segment, owner.Export, owner.Connection, schemas.Moment(owner.Since))
	case strings.HasPrefix(l.Description, keptBy) && l.Description != description(o.deployment, o.in.Connection, o.in.Run.Export):
		by, elsewhere = fmt.Sprintf("another data root or export, as its description says (%q)", l.Description), true
	}
	if by != "" {
		kind := schemas.ErrorListOwned
		// A name is moved to another connection by those who may use both.
		if owner == nil || owner.Connection != o.in.Connection && owner.Export != o.in.Run.Export {
			kind = schemas.ErrorListForeign
			if err := o.mayTake(owner, l); err != nil {
				return false, err
			}
		}
		if schemas.IsTrial(o.in.Run.Export) {
			return false, step.NeedOperator(kind, fmt.Sprintf("list %d, %q, is filled by %s; a trial does not send to the list of another export: name another one with --list", l.ID, l.Name, by))
		}
		then := "the other one then asks at its next run"
		if elsewhere {
			then = "but remove the other export first: it does not notice"
		}
		question := fmt.Sprintf(
			"list %d, %q, is filled by %s; two that fill one list remove each other's members. "+
				"Approve to hand it over to export %q; %s. Or abort, and give this segment another name",
			l.ID, l.Name, by, o.in.Run.Export, then)
		if o.in.TakeFrom != question { // or the answer was to another question
			return false, step.NeedOperator(kind, question)
		}
		mine.Handover, o.handedOver = rand.Text(), true
		if o.busy, err = o.sends(ctx, owner); err != nil {
			return false, err
		}
	}
	record, err := json.Marshal(mine)
	switch {
	case err != nil:
		return false, err
	case mine.Handover != "":
		return false, o.Root.Write(ctx, ownerKey(o.in.Host, l), record)
	case o.in.Check:
		return false, nil
	}
	err = o.Root.WriteNew(ctx, ownerKey(o.in.Host, l), record)
	if errors.Is(err, storage.ErrExists) { // another run has just claimed it, or this one has and got no answer
		return o.claim(ctx, l)
	}
	return false, err
}

// mayTake refuses a list to a person who may not use the connection of its owner. An unknown
// owner is the administrators'.
func (o *ownership) mayTake(owner *listOwner, l iterable.List) error {
	if o.run == nil {
		return nil
	}
	var c schemas.Connection
	if owner != nil {
		c, _ = o.Connections.Get(owner.Connection)
	}
	if access.MayUse(o.run.Person.Role, c) {
		return nil
	}
	return step.NeedOperator(schemas.ErrorNotAllowed, fmt.Sprintf(
		"list %d, %q, is filled by an export over a connection that %s may not use; abort, and give this segment another name, or have an administrator run export %q",
		l.ID, l.Name, o.run.Person.Name, o.in.Run.Export))
}

// stillOurs returns the record of a list, and an error if the list was handed over to another
// export since the run began. Without a record it returns an empty one.
func (a *Activities) stillOurs(ctx context.Context, run schemas.RunRef, c schemas.ConnectionInfo, list int64, record string) (owner listOwner, err error) {
	if record == "" {
		return owner, nil
	}
	owner, found, err := a.listOwner(ctx, c.Host, record)
	if err != nil {
		return owner, fmt.Errorf("read the owner of list %d: %w", list, err)
	}
	if found && !owner.is(run, c.Name) {
		return owner, step.NeedOperator(schemas.ErrorStaging, fmt.Sprintf(
			"list %d was handed over to segment %q of export %q during the run; abort the run, or retry to start over and ask for the list again",
			list, owner.Segment, owner.Export))
	}
	return owner, nil
}

// disown deletes the records of the lists that an export fills.
func (a *Activities) disown(ctx context.Context, export string) error {
	var errs []error
	err := a.Root.Walk(ctx, dataroot.ListOwners, func(f storage.Object) error {
		var owner listOwner
		if found, err := a.Root.ReadJSON(ctx, f.Name, &owner); err != nil || !found || owner.Export != export {
			return err
		}
		errs = append(errs, a.Root.DeletePrefix(ctx, f.Name))
		return nil
	})
	return errors.Join(append(errs, err)...)
}

// sends reports whether the owner of a list may be sending to it just now.
func (o *ownership) sends(ctx context.Context, owner *listOwner) (bool, error) {
	if owner == nil {
		return true, nil // of another data root
	}
	found, err := o.Ledger().Unfinished(ctx, schemas.RunRef{Connection: owner.Connection, Export: owner.Export, Segment: owner.Segment})
	return len(found) > 0, err
}

// handoverPause is how long the previous owner of a list may still change it: it checks its
// ownership every upload.LookEvery, and Iterable may need two minutes to answer open requests.
const handoverPause = upload.LookEvery + 2*time.Minute + 10*time.Second

// handover returns the name of the handover after which all profiles must be sent, since
// another export may have changed the list. It is "" if there was none, or all profiles were
// sent since.
func (a *Activities) handover(ctx context.Context, in schemas.StageInput) (string, error) {
	owner, err := a.stillOurs(ctx, in.Run, in.Connection, in.ListID, in.ListOwner) // there may be nothing to upload, which would notice it
	if err != nil || owner.Handover == "" {
		return "", err
	}
	var sent sentSince
	if _, err := a.Root.ReadJSON(ctx, sentSinceKey(in.Connection.Host, in.ListOwner), &sent); err != nil || sent.Handover == owner.Handover {
		return "", err
	}
	return owner.Handover, nil
}

// keepSent records that all profiles were sent after a handover.
func (a *Activities) keepSent(ctx context.Context, in schemas.CommitInput) error {
	m := in.Report.Manifest
	if m.Handover == "" || in.ListOwner == "" {
		return nil
	}
	return a.Root.WriteJSON(ctx, sentSinceKey(in.Connection.Host, in.ListOwner), sentSince{Export: in.Run.Export, Handover: m.Handover})
}
