package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/internal/timing"
	"iterable-segment-export/schemas"
)

// Applied is an applied export with its schedule.
type Applied struct {
	schemas.ScheduledInput
	ScheduleID string `json:"scheduleId"`
	Paused     bool   `json:"paused,omitempty"`
	// Stopped reports whether Temporal's schedule is paused. Then it starts no refresh of the
	// exports that are after this one either. A pause of an export with Followers is in the
	// ScheduledInput instead.
	Stopped bool `json:"stopped,omitempty"`
	// Detached reports whether it is paused because its connection was disconnected.
	Detached bool   `json:"detached,omitempty"`
	Note     string `json:"note,omitempty"`
	// Words is the schedule in words, empty without one.
	Words string `json:"words,omitempty"`
	// Next is the next scheduled start, zero if there is none. Starts has the next ones, at
	// most three, in the time zone of the schedule.
	Next   time.Time   `json:"next,omitzero"`
	Starts []time.Time `json:"starts,omitempty"`
	// Begins has the next starts of the schedule, at most three. They are those of the refreshes
	// of the exports that are after this one, also while only this one is paused.
	Begins []time.Time `json:"-"`
	// Updated is when the schedule was applied or resumed last, at first when it was made.
	Updated time.Time `json:"-"`
	// Late says that its run is overdue or slow, empty if neither.
	Late string `json:"late,omitempty"`
	// Skipped counts the starts that were skipped because the schedule's last run was
	// still under way.
	Skipped int `json:"skipped,omitempty"`
	// Standing is what the schedule's grant is worth, nil if runs need none or if that is
	// not known.
	Standing *access.Standing `json:"standing,omitempty"`
}

// renewal says why the next apply grants the export again, empty if it does not.
func (a Applied) renewal(asked bool) string {
	switch s := a.Standing; {
	case s != nil && s.Invalid != "":
		return "renewed: " + s.Invalid
	case s != nil && s.NotAllowed != "":
		return "renewed: " + s.NotAllowed
	case s != nil && s.OldSecret:
		return "renewed: an older WORKER_SECRET signed it"
	case asked:
		return "renewed"
	}
	return ""
}

// ErrNotApplied is the error for a name that no applied export has.
var ErrNotApplied = errors.New("no such export was applied")

// Active reports whether the schedule, or that of an export before it, starts runs.
func (a Applied) Active() bool { return (a.Timing != nil || len(a.Export.After) > 0) && !a.Paused }

// Applied returns the applied exports, sorted by name. It describes every schedule.
func (o *Session) Applied(ctx context.Context) ([]Applied, error) {
	schedules := o.Client.ScheduleClient()
	list, err := schedules.List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the schedules: %w", err)
	}
	var found []Applied
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return nil, fmt.Errorf("list the schedules: %w", err)
		}
		a, err := o.describe(ctx, entry.ID)
		if errors.Is(err, ErrNotApplied) {
			continue // not a schedule of this program, or deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		found = append(found, a)
	}
	slices.SortFunc(found, func(a, b Applied) int { return strings.Compare(a.Export.Name, b.Export.Name) })
	return found, nil
}

// AppliedExport returns one applied export, or ErrNotApplied.
func (o *Session) AppliedExport(ctx context.Context, export string) (Applied, error) {
	a, err := o.describe(ctx, schemas.ScheduleID(export))
	if errors.Is(err, ErrNotApplied) {
		names, _ := o.Names(ctx) // only for the suggestion
		if guess := spelling.Guess(export, names); guess != "" {
			return a, fmt.Errorf("%w: %q%s", ErrNotApplied, export, guess)
		}
		return a, fmt.Errorf("%w: %q; starter exports lists them, and starter apply makes them", ErrNotApplied, export)
	}
	return a, err
}

// AppliedNow returns what the schedule of an export starts now, nothing if it is not applied.
func (o *Session) AppliedNow(ctx context.Context, export string) (out schemas.AppliedNow, err error) {
	a, err := o.describe(ctx, schemas.ScheduleID(export))
	switch {
	case errors.Is(err, ErrNotApplied):
		return out, nil
	case err != nil:
		return out, err
	}
	return schemas.AppliedNow{Input: &a.ScheduledInput, Paused: a.Paused}, nil
}

func (o *Session) describe(ctx context.Context, id string) (Applied, error) {
	d, err := o.Client.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
	if absent(err) {
		return Applied{}, ErrNotApplied
	}
	if err != nil {
		return Applied{}, fmt.Errorf("describe schedule %q: %w", id, err)
	}
	in, ok := scheduled(d)
	if !ok {
		return Applied{}, ErrNotApplied
	}
	a := Applied{ScheduledInput: in, ScheduleID: id, Skipped: d.Info.NumActionsSkippedOverlap, Updated: d.Info.LastUpdateAt}
	if a.Updated.IsZero() {
		a.Updated = d.Info.CreatedAt
	}
	if s := d.Schedule.State; s != nil {
		a.Stopped, a.Paused, a.Note = s.Paused, s.Paused || in.Held, s.Note
		a.Detached = a.Paused && strings.HasPrefix(s.Note, NoteNoConnection)
	}
	if a.Timing != nil {
		a.Words = Words(*a.Timing)
	} else {
		a.Words = a.Export.Follows()
	}
	if times := d.Info.NextActionTimes; len(times) > 0 && a.Timing != nil && !a.Stopped {
		a.Begins = times[:min(nextStarts, len(times))]
		if a.Active() {
			a.Next, a.Starts = times[0], a.Begins
		}
	}
	return a, nil
}

// scheduled returns what a schedule runs, and reports whether it is one of this program.
func scheduled(d *client.ScheduleDescription) (in schemas.ScheduledInput, ok bool) {
	action, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	if !ok || len(action.Args) == 0 {
		return in, false
	}
	payload, ok := action.Args[0].(*commonpb.Payload)
	if !ok || converter.GetDefaultDataConverter().FromPayload(payload, &in) != nil {
		return in, false
	}
	return in, in.Export.Name != "" && in.Export.Connection != ""
}

// create makes the schedule of an export. Nothing runs because of it.
func (o *Session) create(ctx context.Context, in schemas.ScheduledInput) error {
	_, err := o.Client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: schemas.ScheduleID(in.Export.Name), Spec: spec(in.Timing), Action: action(in),
		Overlap: overlap(in), CatchupWindow: catchUp(in.Timing), Note: o.note(in),
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		// It was made after the schedules were listed, or Temporal's list lags.
		return o.change(ctx, in)
	}
	return err
}

// change replaces the definition and the times of an export's schedule. It keeps the followers
// that the schedule has by then and that are still after the export. A paused schedule stays
// paused, unless it was paused for its connection and the connection changes.
func (o *Session) change(ctx context.Context, in schemas.ScheduledInput) error {
	return o.edit(ctx, in.Export.Name, func(now schemas.ScheduledInput, state *client.ScheduleState) (schemas.ScheduledInput, error) {
		kept, err := o.stillAfter(ctx, in.Export.Name, now.Followers, in.Followers)
		if err != nil {
			return in, err
		}
		in := in
		in.Followers = slices.Sorted(slices.Values(append(kept, in.Followers...)))
		if forConnection(state.Note) && now.Export.Connection != in.Export.Connection {
			state.Paused = false
		}
		if !state.Paused {
			state.Note = o.note(in)
		}
		return in, nil
	})
}

// edit replaces what an export's schedule starts, and when, by what next returns. next is called
// with what the schedule starts now, which is empty in one that is not of this program, and may
// change the state. Paused in the state is whether the export is.
func (o *Session) edit(ctx context.Context, export string, next func(now schemas.ScheduledInput, state *client.ScheduleState) (schemas.ScheduledInput, error)) error {
	return o.Client.ScheduleClient().GetHandle(ctx, schemas.ScheduleID(export)).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			s := u.Description.Schedule
			if s.State == nil {
				s.State = &client.ScheduleState{}
			}
			now, ok := scheduled(&u.Description)
			if !ok {
				now = schemas.ScheduledInput{}
			}
			s.State.Paused = s.State.Paused || now.Held
			in, err := next(now, s.State)
			if err != nil {
				return nil, err
			}
			if in.Held = s.State.Paused && len(in.Followers) > 0; in.Held {
				s.State.Paused = false
			}
			if in.Export.Name != "" {
				times := spec(in.Timing)
				s.Spec, s.Action = &times, action(in)
				s.Policy = &client.SchedulePolicies{Overlap: overlap(in), CatchupWindow: catchUp(in.Timing)}
			}
			return &client.ScheduleUpdate{Schedule: &s}, nil
		},
	})
}

// note is shown beside the schedule in Temporal.
func (o *Session) note(in schemas.ScheduledInput) string {
	who := o.Who.Name
	if in.Grant != nil {
		who = in.Grant.Person.Name
	}
	return fmt.Sprintf("Applied by %s. A start is skipped while a run is under way.", who)
}

// spec returns when a schedule starts runs: never without a timing.
func spec(t *schemas.Timing) client.ScheduleSpec {
	if t == nil {
		return client.ScheduleSpec{}
	}
	expressions := []string(t.Cron)
	if parsed, err := timing.Parse(*t); err == nil {
		expressions = parsed.Expressions()
	}
	return client.ScheduleSpec{CronExpressions: expressions, TimeZoneName: t.TimeZone, Jitter: time.Duration(t.Jitter)}
}

func catchUp(t *schemas.Timing) time.Duration {
	if t == nil {
		return schemas.DefaultCatchUp
	}
	return t.CatchUp.Or(schemas.DefaultCatchUp)
}

// overlap returns what becomes of a start while the last one is under way. Refreshes skip what
// is under way export by export, so that one that waits does not stop the others.
func overlap(in schemas.ScheduledInput) enums.ScheduleOverlapPolicy {
	if len(in.Followers) > 0 {
		return enums.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
	}
	return enums.SCHEDULE_OVERLAP_POLICY_SKIP
}

func action(in schemas.ScheduledInput) *client.ScheduleWorkflowAction {
	if len(in.Followers) > 0 {
		return &client.ScheduleWorkflowAction{
			ID: schemas.RefreshWorkflowID(in.Export.Name), Workflow: schemas.WorkflowRefresh,
			Args: []any{in}, TaskQueue: schemas.TaskQueue,
			StaticSummary: fmt.Sprintf("Refresh of export %q and those after it", in.Export.Name),
		}
	}
	return &client.ScheduleWorkflowAction{
		ID: schemas.ScheduledWorkflowID(in.Export.Name), Workflow: schemas.WorkflowScheduledRun,
		Args: []any{in}, TaskQueue: schemas.TaskQueue,
		StaticSummary: fmt.Sprintf("Schedule of export %q", in.Export.Name),
	}
}

// Pause stops the scheduled runs of an export until Resume. Refreshes of those after it go on.
func (o *Session) Pause(ctx context.Context, a Applied) error {
	return o.pause(ctx, a.ScheduleID, "Paused by "+o.Who.Name)
}

// pause pauses a schedule with a note. It pauses an export with followers in what the schedule
// starts, because Temporal's own pause would also stop the followers.
func (o *Session) pause(ctx context.Context, id, note string) error {
	a, err := o.describe(ctx, id)
	switch {
	case err != nil && !errors.Is(err, ErrNotApplied):
		return err
	case len(a.Followers) == 0:
		return o.Client.ScheduleClient().GetHandle(ctx, id).Pause(ctx, client.SchedulePauseOptions{Note: note})
	}
	return o.edit(ctx, a.Export.Name, func(now schemas.ScheduledInput, state *client.ScheduleState) (schemas.ScheduledInput, error) {
		state.Paused, state.Note = true, note
		return now, nil
	})
}

// Resume ends the pause of an export's schedule. It updates the schedule instead of using
// Unpause, which does not set the time of the last update in every version of Temporal.
func (o *Session) Resume(ctx context.Context, a Applied) error {
	return o.edit(ctx, a.Export.Name, func(now schemas.ScheduledInput, state *client.ScheduleState) (schemas.ScheduledInput, error) {
		state.Paused, state.Note = false, "Resumed by "+o.Who.Name
		return now, nil
	})
}

// Names returns the names of the applied exports, sorted. It reads Temporal's list and describes
// no schedule, so it is quick.
func (o *Session) Names(ctx context.Context) ([]string, error) {
	list, err := o.Client.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: maxListed})
	var names []string
	for err == nil && list.HasNext() {
		var entry *client.ScheduleListEntry
		if entry, err = list.Next(); err != nil {
			break
		}
		if name, ok := schemas.ExportOfSchedule(entry.ID); ok {
			names = append(names, name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the schedules: %w", err)
	}
	slices.Sort(names)
	return names, nil
}
