package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Office is what Local works with. What is a function may be slow, or fail, and is asked
// for by those who need it.
type Office struct {
	Client    client.Client
	Namespace string
	// Gate keeps the records and makes the grants; it is nil where there is no data root
	// to keep them in, and then the workers do.
	Gate  func(context.Context) (*access.Gate, error)
	Known func() (ConnectionSource, error)
	Root  func(context.Context) (*storage.Root, error)
	// TryKey tries a connection's key.
	TryKey func(ctx context.Context, c schemas.Connection) (lists, fields int, err error)
	// Inspect reads the footers of a segment.
	Inspect func(ctx context.Context, e schemas.Export, s schemas.Segment) (files int, rows int64, err error)
	// NewFields finds the data fields that a run of a segment would create in Iterable.
	NewFields func(ctx context.Context, e schemas.Export, s schemas.Segment) ([]string, error)
	// Version is the program's, and Temporal where it looks for Temporal.
	Version, Temporal string
	// Log has the errors that only administrators may see.
	Log *slog.Logger
}

// ConnectionSource finds connections by name.
type ConnectionSource interface {
	// Get returns the connection, or an error for people that lists the names that
	// come near.
	Get(name string) (schemas.Connection, error)
	Names() []string
	// Status is whether the newest version of connections.yaml is in force.
	Status() config.Status
}

// Local is a Service in this process, as one person sees it. What a person's role allows
// is for the Handler to say, by its table of routes; whether they may use a connection is
// said here.
type Local struct {
	*Office
	who schemas.Person
}

// As is the office as a person sees it.
func (o *Office) As(who schemas.Person) *Local { return &Local{o, who} }

// mostBackfill is the longest time that one request makes up for: a schedule can have a
// start each minute of it.
const mostBackfill = 31 * 24 * time.Hour

// lookEvery is how often a run that somebody watches is looked at.
const lookEvery = 500 * time.Millisecond

// operator is what works on Temporal in the person's name.
func (l *Local) operator(ctx context.Context) (*operate.Operator, error) {
	gate, err := l.Gate(ctx)
	return &operate.Operator{Client: l.Client, Namespace: l.Namespace, Who: l.who, Gate: gate}, err
}

// looker is an operator that only looks, for which it takes no right.
func (l *Local) looker() *operate.Operator {
	return &operate.Operator{Client: l.Client, Namespace: l.Namespace, Who: l.who}
}

// mayUse refuses those who may not use a connection. One that there is not (any more) is
// the administrators'; others are not told which there are.
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

// mayChange refuses those who may not use the connection of an export, and an export
// whose name belongs to another connection.
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

// claim has an export's name belong to its connection from now on.
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

// Me implements Service.
func (l *Local) Me(ctx context.Context) (Me, error) {
	gate, err := l.Gate(ctx)
	return Me{Person: l.who, Required: gate != nil && gate.Required(), Namespace: l.Namespace, Version: l.Version}, err
}

// Exports implements Service.
func (l *Local) Exports(ctx context.Context) ([]operate.Applied, error) {
	all, err := l.looker().Applied(ctx)
	for i := range all {
		all[i].Grant = shown(all[i].Grant)
	}
	return all, err
}

// Names implements Service.
func (l *Local) Names(ctx context.Context) ([]string, error) { return l.looker().Names(ctx) }

// Export implements Service.
func (l *Local) Export(ctx context.Context, export string) (operate.Applied, error) {
	a, err := l.looker().AppliedExport(ctx, export)
	a.Grant = shown(a.Grant)
	return a, err
}

// shown is a grant for people: whose it is, and nothing to start anything with.
func shown(g *schemas.Grant) *schemas.Grant {
	if g == nil {
		return nil
	}
	out := *g
	out.MAC = nil
	return &out
}

// Plan implements Service.
func (l *Local) Plan(ctx context.Context, in PlanRequest) (Plan, error) {
	plan, err := l.plan(ctx, in)
	for i := range plan.Steps {
		l.foresee(ctx, &plan.Steps[i])
	}
	return plan, err
}

// foresee has a step say which data fields the next run would create. Where that can't be
// found out, a run finds out by itself.
func (l *Local) foresee(ctx context.Context, s *operate.Step) {
	e := s.Want()
	if s.Verb != operate.VerbCreate && s.Verb != operate.VerbChange || e.Fields.IsZero() {
		return
	}
	for _, segment := range e.Segments {
		err := l.mayUse(e.Connection)
		var found []string
		if err == nil {
			found, err = l.NewFields(ctx, e, segment)
		}
		if err != nil {
			s.Unforeseen = fmt.Sprintf("which data fields a run would create is not known, since segment «%s» can't be looked at: %v", segment.Name, err)
			return
		}
		for _, f := range found {
			if !slices.Contains(s.NewFields, f) {
				s.NewFields = append(s.NewFields, f)
			}
		}
	}
}

// plan is what applying a file would change.
func (l *Local) plan(ctx context.Context, in PlanRequest) (Plan, error) {
	if err := config.CheckExports(&in.File); err != nil {
		return Plan{}, access.No(schemas.ErrorBadExport, "%s", err.Error())
	}
	applied, err := l.looker().Applied(ctx)
	if err != nil {
		return Plan{}, err
	}
	steps, err := operate.Plan(&in.File, applied, in.Prune, in.Renew)
	if err != nil {
		return Plan{}, access.No(schemas.ErrorBadExport, "%s", err.Error())
	}
	// What nothing is done to may change meanwhile.
	data, err := json.Marshal(slices.DeleteFunc(slices.Clone(steps), func(s operate.Step) bool {
		return s.Verb == operate.VerbKeep || s.Verb == operate.VerbUnchanged
	}))
	sum := sha256.Sum256(data)
	return Plan{ID: hex.EncodeToString(sum[:16]), Steps: steps}, err
}

// Apply implements Service. Each step is done as far as the others let it; a second
// Apply of the same file mends what the first left undone.
func (l *Local) Apply(ctx context.Context, in PlanRequest) (Plan, error) {
	plan, err := l.plan(ctx, in)
	if err != nil {
		return plan, err
	}
	if in.Plan != "" && in.Plan != plan.ID {
		return plan, access.No(schemas.ErrorChanged, "what was applied has changed since the plan was made; look at it again and apply the file again")
	}
	o, err := l.operator(ctx)
	if err != nil {
		return plan, err
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		var err error
		switch s.Verb {
		case operate.VerbCreate:
			err = l.claim(ctx, s.Want())
		case operate.VerbChange:
			if err = l.mayChange(ctx, s.Export, s.Want().Connection); err == nil {
				err = l.mayUse(s.Have().Connection)
			}
			if err == nil {
				err = l.claim(ctx, s.Want())
			}
		case operate.VerbRemove:
			err = l.mayChange(ctx, s.Export, s.Have().Connection)
		}
		if err == nil {
			err = o.ApplyStep(ctx, *s)
		}
		if err != nil {
			s.Error = l.told(s.Verb, s.Export, err)
			plan.Failed++
		}
	}
	return plan, nil
}

// told returns an error of one thing of several as the person may read it.
func (l *Local) told(verb, export string, err error) string {
	p := problemOf(err)
	if p.inside() {
		l.Log.Error("a part of an operation failed", "verb", verb, "export", export, "error", err)
	}
	return p.forPerson(l.who).Detail
}

// Remove implements Service.
func (l *Local) Remove(ctx context.Context, export string, in RemoveRequest) (schemas.RemoveAnswer, error) {
	o, err := l.operator(ctx)
	if err != nil {
		return schemas.RemoveAnswer{}, err
	}
	a, err := o.AppliedExport(ctx, export)
	if err == nil {
		if err := l.mayChange(ctx, export, a.Export.Connection); err != nil {
			return schemas.RemoveAnswer{}, err
		}
		return o.Remove(ctx, a, in.DeleteLists)
	}
	if !errors.Is(err, operate.ErrNotApplied) {
		return schemas.RemoveAnswer{}, err
	}
	e := o.Described(ctx, export)
	if o.Gate != nil {
		owner, ok, err := o.Gate.Owner(ctx, export)
		if err != nil {
			return schemas.RemoveAnswer{}, err
		}
		if ok && e.Connection != owner.Connection {
			e = schemas.Export{Name: export, Connection: owner.Connection}
		}
	}
	if e.Connection == "" {
		return schemas.RemoveAnswer{}, fmt.Errorf("%w: %q, and nothing is kept of one; starter exports lists what was applied", operate.ErrNotApplied, export)
	}
	if err := l.mayChange(ctx, export, e.Connection); err != nil {
		return schemas.RemoveAnswer{}, err
	}
	return o.RemoveUnapplied(ctx, e, in.DeleteLists)
}

// Move implements Service.
func (l *Local) Move(ctx context.Context, export string, in MoveRequest) (schemas.NameRecord, error) {
	var none schemas.NameRecord
	if err := l.mayUse(in.Connection); err != nil { // before anything tells which there are
		return none, err
	}
	o, err := l.operator(ctx)
	if err != nil {
		return none, err
	}
	if o.Gate == nil {
		return none, errors.New("the data root is needed to move an export: say where it is with --data-root or DATA_ROOT")
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
	unrecorded := !ok && isApplied // by a version that kept no such records
	if unrecorded {
		owner.Connection = applied.Export.Connection
	}
	if !ok && !unrecorded {
		return none, fmt.Errorf("%w: %q; its name belongs to no connection, so there is nothing to move", operate.ErrNotApplied, export)
	}
	if err := l.mayUse(owner.Connection); err != nil {
		return none, err
	}
	all, err := l.Known()
	if err == nil {
		_, err = all.Get(in.Connection)
	}
	if err != nil {
		return none, access.No(schemas.ErrorUnknownConnection, "%s", err.Error())
	}
	if isApplied {
		err = o.CheckMove(ctx, applied, in.Connection)
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
	moved, err := o.Gate.Move(ctx, export, in.Connection, l.who.Name)
	if err == nil && isApplied {
		err = o.Move(ctx, applied, in.Connection)
	}
	return moved, err
}

// Schedule implements Service.
func (l *Local) Schedule(ctx context.Context, export string, in ScheduleRequest) error {
	o := l.looker()
	a, err := o.AppliedExport(ctx, export)
	if err != nil {
		return err
	}
	if err := l.mayChange(ctx, export, a.Export.Connection); err != nil {
		return err
	}
	switch in.Do {
	case Pause:
		return o.Pause(ctx, a)
	case Resume:
		return o.Resume(ctx, a)
	case Trigger:
		return o.Trigger(ctx, a)
	case Backfill:
		if in.From.IsZero() || !in.To.After(in.From) || in.To.After(time.Now()) || in.To.Sub(in.From) > mostBackfill {
			return access.No(schemas.ErrorBadRequest, "a backfill goes from one time to a later one that is not in the future, and at most %d days later", mostBackfill/(24*time.Hour))
		}
		return o.Backfill(ctx, a, in.From, in.To)
	}
	return access.No(schemas.ErrorBadRequest, "%q can't be done with a schedule; use %s, %s, %s or %s", in.Do, Pause, Resume, Trigger, Backfill)
}

// Start implements Service.
func (l *Local) Start(ctx context.Context, in StartRequest) (Started, error) {
	o, err := l.operator(ctx)
	if err != nil {
		return Started{}, err
	}
	o.Key = startKey(l.who, in)
	var e schemas.Export
	var applied operate.Applied
	switch {
	case (in.Definition == nil) == (in.Export == ""):
		return Started{}, access.No(schemas.ErrorBadRequest, "name an export that was applied, or define one, and not both")
	case in.Definition != nil:
		e = *in.Definition
		if err := config.CheckExports(&schemas.Exports{Exports: []schemas.Export{e}}); err != nil {
			return Started{}, access.No(schemas.ErrorBadExport, "%s", err.Error())
		}
	default:
		if applied, err = o.AppliedExport(ctx, in.Export); err != nil {
			return Started{}, err
		}
		e = applied.Export
	}
	// The run claims the name once it begins: a start that is refused leaves it to others.
	if err := l.mayChange(ctx, e.Name, e.Connection); err != nil {
		return Started{}, err
	}
	var out Started
	switch {
	case in.Check:
		out.Run, out.Joined, err = o.Check(ctx, e, in.Full)
	case in.Definition != nil:
		out.Run, out.Joined, err = o.Start(ctx, e, in.Full)
	default:
		out.Run, out.Joined, err = o.Run(ctx, applied, in.Full)
	}
	return out, err
}

// startKey is what a run keeps of an idempotency key, empty without one: whose key it is,
// and for what.
func startKey(who schemas.Person, in StartRequest) string {
	if in.Key == "" {
		return ""
	}
	of := sha256.Sum256([]byte(who.Subject + "\x00" + who.Name + "\x00" + in.Key))
	body, _ := json.Marshal(in) // of a struct that was JSON
	what := sha256.Sum256(body)
	return hex.EncodeToString(of[:16]) + "/" + hex.EncodeToString(what[:16])
}

// Runs implements Service.
func (l *Local) Runs(ctx context.Context, in RunsRequest) ([]operate.View, error) {
	o := l.looker()
	if in.Brief || in.UnderWay {
		return o.RunsOf(ctx, in.UnderWay)
	}
	return o.History(ctx, in.Export, in.Limit)
}

// Find implements Service.
func (l *Local) Find(ctx context.Context, name string) (operate.Run, error) {
	return l.looker().Find(ctx, name)
}

// Look implements Service.
func (l *Local) Look(ctx context.Context, run operate.Run) (operate.View, error) {
	return l.looker().Look(ctx, run)
}

// Input implements Service.
func (l *Local) Input(ctx context.Context, run operate.Run) (schemas.RunInput, error) {
	in, err := l.looker().Input(ctx, run)
	in.Grant = shown(in.Grant)
	return in, err
}

// Watch implements Service.
func (l *Local) Watch(ctx context.Context, run operate.Run, stopAtWait bool, see func(operate.View, error)) (operate.View, error) {
	return l.looker().Watch(ctx, run, lookEvery, stopAtWait, see)
}

// mayEnd refuses those who may not answer or stop a run.
func (l *Local) mayEnd(ctx context.Context, run operate.Run) error {
	in, err := l.looker().Input(ctx, run)
	if err != nil {
		return err
	}
	return l.mayUse(in.Export.Connection)
}

// Answer implements Service.
func (l *Local) Answer(ctx context.Context, run operate.Run, in AnswerRequest) (string, error) {
	if err := l.mayEnd(ctx, run); err != nil {
		return "", err
	}
	if !slices.Contains([]string{schemas.UpdateRetry, schemas.UpdateAbort, schemas.UpdateApprove}, in.Answer) {
		return "", access.No(schemas.ErrorBadRequest, "%q is not an answer; use %s, %s or %s", in.Answer, schemas.UpdateRetry, schemas.UpdateAbort, schemas.UpdateApprove)
	}
	if in.Answer == schemas.UpdateApprove && l.who.Role != schemas.RoleAdministrator {
		v, err := l.Look(ctx, run)
		if err != nil {
			return "", err
		}
		for _, w := range v.Waits() {
			if w.ID == in.Wait && w.Type == schemas.ErrorListForeign {
				return "", access.No(schemas.ErrorNotAllowed, "only an administrator can hand over a list that an export over another connection fills: %s", w.Message)
			}
		}
	}
	return l.looker().Answer(ctx, run, in.Answer, in.Wait)
}

// Cancel implements Service.
func (l *Local) Cancel(ctx context.Context, run operate.Run) error {
	if err := l.mayEnd(ctx, run); err != nil {
		return err
	}
	return l.looker().Cancel(ctx, run)
}

// Setup implements Service.
func (l *Local) Setup(ctx context.Context) (Setup, error) {
	var out Setup
	var err error
	if out.Attributes, err = operate.Attributes(ctx, l.Client, l.Namespace); err != nil {
		return out, err
	}
	if refused := operate.AddAttributes(ctx, l.Client, l.Namespace, out.Attributes); refused != nil {
		out.Refused = refused.Error()
		return out, nil
	}
	out.Attributes, err = operate.Attributes(ctx, l.Client, l.Namespace)
	return out, err
}

// Doctor implements Service.
func (l *Local) Doctor(ctx context.Context) ([]doctor.Finding, error) {
	d := doctor.Doctor{Operator: l.looker(), Sight: sight{l}, Who: l.who, Address: "it answers"}
	if l.who.Role == schemas.RoleAdministrator {
		d.Address = l.Temporal
	}
	d.Told = func(err error) string { return l.told("examine", "", err) }
	return d.Examine(ctx), ctx.Err()
}

// inUse is the Refused of a connection that exports are in the way of disconnecting.
func inUse(connection string, using []operate.Connected) error {
	var names []string
	for _, e := range using {
		names = append(names, "«"+e.Export+"»")
	}
	return access.No(schemas.ErrorUnderWay,
		"connection «%s» is used by %s: %s; set another connection there or remove what uses it, or keep it inactive with: starter disconnect %s --detach",
		connection, console.Things(len(using), "export"), strings.Join(names, ", "), schemas.ShellWord(connection))
}
