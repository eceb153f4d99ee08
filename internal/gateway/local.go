package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Office is what a Local works with. Functions may be slow or fail, and are called only
// by the methods that need their result.
type Office struct {
	Client    client.Client
	Namespace string
	// Gate returns what keeps the records and issues the grants. It returns nil where
	// there is no data root to keep them in; then the workers do.
	Gate  func(context.Context) (*access.Gate, error)
	Known func() (ConnectionSource, error)
	Root  func(context.Context) (*storage.Root, error)
	// TryKey tries a connection's key.
	TryKey func(ctx context.Context, c schemas.Connection) (lists, fields int, err error)
	// Inspect reads the footers of a segment.
	Inspect func(ctx context.Context, e schemas.Export, s schemas.Segment) (files int, rows int64, err error)
	// Foresee returns what the next run of each export does that can't be undone in Iterable.
	Foresee func(ctx context.Context, exports []schemas.Export) []schemas.Foreseen
	// Version is the program's version, Temporal the address of Temporal.
	Version, Temporal string
	// Log has the errors that only administrators may see.
	Log *slog.Logger
}

// ConnectionSource finds connections by name.
type ConnectionSource interface {
	// Get returns the connection called name. The error suggests similar names.
	Get(name string) (schemas.Connection, error)
	Names() []string
	// Status reports whether the newest version of connections.yaml is in force.
	Status() config.Status
}

// Local implements Service in this process for one person. The Handler checks what the
// person's role allows, by its table of routes. Local checks which connections they may
// use. Its methods are documented at Service.
type Local struct {
	*Office
	who schemas.Person
}

// As returns a Local for a person.
func (o *Office) As(who schemas.Person) *Local { return &Local{o, who} }

// lookEvery is how often a watched run is queried.
const lookEvery = 500 * time.Millisecond

// session returns a session that acts for the person, with grants.
func (l *Local) session(ctx context.Context) (*operate.Session, error) {
	gate, err := l.Gate(ctx)
	o := l.reader()
	o.Gate = gate
	return o, err
}

// reader returns a session for what needs no grant.
func (l *Local) reader() *operate.Session {
	return &operate.Session{Client: l.Client, Namespace: l.Namespace, Who: l.who}
}

// mayUse refuses a person who may not use a connection. A connection that does not exist
// is refused with the same words, so that the refusal does not disclose which exist.
func (l *Local) mayUse(connection string) error {
	c := schemas.Connection{Name: connection}
	if l.who.Role == schemas.RoleContributor {
		all, err := l.Known()
		if err != nil {
			return err
		}
		if known, err := all.Get(connection); err == nil {
			c = known
		}
	}
	return access.CheckUse(l.who, c)
}

// mayChange refuses a person who may not use the connection of an export, and an export
// with a name that belongs to another connection.
func (l *Local) mayChange(ctx context.Context, export, connection string) error {
	if err := l.mayUse(connection); err != nil {
		return err
	}
	gate, err := l.Gate(ctx)
	if err != nil || gate == nil {
		return err
	}
	return gate.CheckName(ctx, export, connection)
}

// claim assigns an export's name to its connection.
func (l *Local) claim(ctx context.Context, e schemas.Export) error {
	if err := l.mayChange(ctx, e.Name, e.Connection); err != nil {
		return err
	}
	gate, err := l.Gate(ctx)
	if err != nil || gate == nil {
		return err
	}
	return gate.Claim(ctx, e.Name, e.Connection, l.who.Name)
}

func (l *Local) Me(ctx context.Context) (Me, error) {
	gate, err := l.Gate(ctx)
	return Me{Person: l.who, Required: gate != nil && gate.Required(), Namespace: l.Namespace, Version: l.Version}, err
}

func (l *Local) Exports(ctx context.Context) ([]operate.Applied, error) {
	all, err := l.reader().Applied(ctx)
	if err == nil {
		_ = l.examineGrants(ctx, all) // while the data root can't be read, the rest is of use
		_ = l.reader().Late(ctx, all) // the list is of use without it
	}
	for i := range all {
		all[i].Grant = shown(all[i].Grant)
	}
	return all, err
}

func (l *Local) Names(ctx context.Context) ([]string, error) { return l.reader().Names(ctx) }

func (l *Local) Export(ctx context.Context, export string) (operate.Applied, error) {
	a, err := l.reader().AppliedExport(ctx, export)
	if err == nil {
		_ = l.examineGrant(ctx, &a) // as for Exports
	}
	a.Grant = shown(a.Grant)
	return a, err
}

// shown returns a grant without its MAC, so that it can't be used.
func shown(g *schemas.Grant) *schemas.Grant {
	if g == nil {
		return nil
	}
	out := *g
	out.MAC = nil
	return &out
}

func (l *Local) Remove(ctx context.Context, export string, in RemoveRequest) (schemas.RemoveAnswer, error) {
	var none schemas.RemoveAnswer
	o, err := l.session(ctx)
	if err != nil {
		return none, err
	}
	a, err := o.AppliedExport(ctx, export)
	if err == nil {
		if err := l.mayChange(ctx, export, a.Export.Connection); err != nil {
			return none, err
		}
		if err := o.Unfollowed(ctx, a); err != nil {
			return none, err
		}
		out, err := o.Remove(ctx, a, in.DeleteLists)
		return out, l.auditRemoved(ctx, err, a.Export)
	}
	if !errors.Is(err, operate.ErrNotApplied) {
		return none, err
	}
	e := o.Described(ctx, export)
	if o.Gate != nil {
		owner, ok, err := o.Gate.Owner(ctx, export)
		if err != nil {
			return none, err
		}
		if ok && e.Connection != owner.Connection {
			e = schemas.Export{Name: export, Connection: owner.Connection}
		}
	}
	if e.Connection == "" {
		return none, fmt.Errorf("%w: %q, and nothing is kept of one; starter exports lists the applied ones", operate.ErrNotApplied, export)
	}
	if err := l.mayChange(ctx, export, e.Connection); err != nil {
		return none, err
	}
	out, err := o.RemoveUnapplied(ctx, e, in.DeleteLists)
	return out, l.auditRemoved(ctx, err, e)
}

func (l *Local) Move(ctx context.Context, export string, in MoveRequest) (schemas.NameRecord, error) {
	var none schemas.NameRecord
	if err := l.mayUse(in.Connection); err != nil { // before anything tells which there are
		return none, err
	}
	o, err := l.session(ctx)
	if err != nil {
		return none, err
	}
	if o.Gate == nil {
		return none, errors.New("moving an export needs the data root: set it with --data-root or DATA_ROOT")
	}
	applied, err := o.AppliedExport(ctx, export)
	isApplied := err == nil
	if err != nil && !errors.Is(err, operate.ErrNotApplied) {
		return none, err
	}
	owner, ok, err := o.Gate.Owner(ctx, export)
	if err != nil {
		return none, err
	}
	unrecorded := !ok && isApplied // applied where there was no data root
	if unrecorded {
		owner.Connection = applied.Export.Connection
	}
	if !ok && !unrecorded {
		return none, fmt.Errorf("%w: %q; its name belongs to no connection, so there is nothing to move", operate.ErrNotApplied, export)
	}
	if err := l.mayUse(owner.Connection); err != nil {
		return none, err
	}
	var to schemas.Connection
	all, err := l.Known()
	if err == nil {
		to, err = all.Get(in.Connection)
	}
	if err != nil {
		return none, access.No(schemas.ErrorUnknownConnection, "%s", err.Error())
	}
	if isApplied {
		err = o.CheckMove(ctx, applied, in.Connection)
	}
	if err == nil && isApplied {
		err = l.mayFollow(ctx, applied, to)
	}
	if err == nil {
		err = o.Idle(ctx, export)
	}
	if err == nil && unrecorded {
		err = o.Gate.Claim(ctx, export, owner.Connection, l.who.Name)
	}
	if err != nil {
		return none, err
	}
	// The trials go first: if the export can't follow, the move can be repeated.
	if err := l.moveTrials(ctx, o.Gate, export, owner.Connection, in.Connection); err != nil {
		return none, err
	}
	moved, err := o.Gate.Move(ctx, export, owner.Connection, in.Connection, l.who.Name)
	if err == nil && isApplied {
		err = o.Move(ctx, applied, in.Connection)
	}
	if err == nil {
		err = l.audit(ctx, schemas.AuditMoved, schemas.AuditEntry{Export: export, Connection: in.Connection, Details: fmt.Sprintf("from connection %q", owner.Connection)})
	}
	return moved, err
}

func (l *Local) Schedule(ctx context.Context, export string, in ScheduleRequest) error {
	o := l.reader()
	a, err := o.AppliedExport(ctx, export)
	if err != nil {
		return err
	}
	if err := l.mayChange(ctx, export, a.Export.Connection); err != nil {
		return err
	}
	if a.Paused == in.Paused {
		return nil
	}
	change, what := o.Resume, schemas.AuditResumed
	if in.Paused {
		change, what = o.Pause, schemas.AuditPaused
	}
	if err := change(ctx, a); err != nil {
		return err
	}
	return l.audit(ctx, what, schemas.AuditEntry{Export: export, Connection: a.Export.Connection})
}

func (l *Local) Start(ctx context.Context, in StartRequest) (out Started, err error) {
	o, err := l.session(ctx)
	if err != nil {
		return out, err
	}
	o.Key, o.AwaitData = startKey(l.who, in), in.AwaitData
	var e schemas.Export
	switch {
	case (in.Definition == nil) == (in.Export == ""):
		return out, access.No(schemas.ErrorBadRequest, "name an applied export, or define one, but not both")
	case in.Definition != nil:
		e = *in.Definition
		if err := config.CheckExports(&schemas.Exports{Exports: []schemas.Export{e}}); err != nil {
			return out, access.No(schemas.ErrorBadExport, "%s", err.Error())
		}
	default:
		a, err := o.AppliedExport(ctx, in.Export)
		if err != nil {
			return out, err
		}
		if in.Scheduled {
			if out.Unscheduled = !a.Active(); out.Unscheduled {
				return out, nil
			}
			out.Follows = a.Export.Follows()
		}
		if err := l.trusted(ctx, in.Export, a); err != nil {
			return out, err
		}
		e = a.Export
	}
	// The run claims the name once it begins: a refused start leaves it to others.
	if err := l.mayChange(ctx, e.Name, e.Connection); err != nil {
		return out, err
	}
	if in.Trial != nil {
		out.Run, err = l.try(ctx, o, e, in)
		return out, err
	}
	if in.Check {
		out.Run, out.Joined, err = o.Check(ctx, e, in.Full)
		return out, err
	}
	start := o.Run
	if in.Definition != nil {
		start = o.Start
	}
	out.Run, out.Joined, err = start(ctx, e, in.Full)
	return out, err
}

// startKey returns what a run keeps of an idempotency key: a hash of the person and the
// key, and one of the request. It is empty without a key.
func startKey(who schemas.Person, in StartRequest) string {
	body, _ := json.Marshal(in) // it was decoded from JSON
	what := sha256.Sum256(body)
	return keyOf(who, in.Key, what[:])
}

func keyOf(who schemas.Person, key string, what []byte) string {
	if key == "" {
		return ""
	}
	of := sha256.Sum256([]byte(who.Subject + "\x00" + who.Name + "\x00" + key))
	return hex.EncodeToString(of[:16]) + "/" + hex.EncodeToString(what[:16])
}

func (l *Local) Setup(ctx context.Context) (Setup, error) {
	var out Setup
	var err error
	if out.Namespace, err = dial.MakeNamespace(ctx, l.Client, l.Namespace); err != nil {
		return out, err
	}
	if out.Attributes, err = dial.Attributes(ctx, l.Client, l.Namespace); err != nil {
		return out, err
	}
	if refused := dial.AddAttributes(ctx, l.Client, l.Namespace, out.Attributes); refused != nil {
		out.Refused = refused.Error()
		return out, nil
	}
	out.Attributes, err = dial.Attributes(ctx, l.Client, l.Namespace)
	return out, err
}

func (l *Local) Doctor(ctx context.Context) ([]doctor.Finding, error) {
	d := doctor.Doctor{Session: l.reader(), Sight: sight{l}, Applied: l.applied, Who: l.who, Address: "it answers"}
	if l.who.Role == schemas.RoleAdministrator {
		d.Address = l.Temporal
	}
	d.Told = func(err error) string { return l.told("examine", "", err) }
	return d.Examine(ctx), ctx.Err()
}
