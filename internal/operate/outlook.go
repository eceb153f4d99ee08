package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"iterable-segment-export/internal/timing"
	"iterable-segment-export/schemas"
)

// Outlook is what a schedule means.
type Outlook struct {
	// Words is the schedule in words, with its time zone.
	Words string `json:"words"`
	// Follows reports whether the export has no times of its own, because it is after others.
	Follows bool `json:"follows,omitempty"`
	// TimeZone is the zone in which the starts are shown, default UTC.
	TimeZone string `json:"timeZone,omitempty"`
	// Next has the next starts, at most three, as Temporal computes them. Unknown says why
	// they are not known.
	Next    []time.Time `json:"next,omitempty"`
	Unknown string      `json:"unknown,omitempty"`
	// Warnings name the days of the next year on which the zone skips or repeats a start.
	Warnings []string `json:"warnings,omitempty"`
}

// nextStarts is how many starts an Outlook has.
const nextStarts = 3

// Words returns a timing in words.
func Words(t schemas.Timing) string {
	s, err := timing.Parse(t)
	if err != nil { // it was changed in Temporal itself
		return strings.Join(t.Cron, "; and ") + " " + t.TimeZone
	}
	return s.Words() + timing.Later(time.Duration(t.Jitter))
}

// Outlooks computes outlooks. Equal schedules are computed once.
type Outlooks struct {
	o    *Session
	seen map[string]Outlook
}

// Outlooks returns an empty Outlooks.
func (o *Session) Outlooks() Outlooks { return Outlooks{o, map[string]Outlook{}} }

// Of returns the outlook of a timing.
func (all Outlooks) Of(ctx context.Context, t schemas.Timing) Outlook {
	t.CatchUp = 0 // it moves no start
	key, err := json.Marshal(t)
	if out, ok := all.seen[string(key)]; ok && err == nil {
		return out
	}
	out := all.o.outlook(ctx, t)
	all.seen[string(key)] = out
	return out
}

// outlook asks Temporal's own matcher when a timing starts: it creates a schedule that is
// paused, reads its times and deletes it. Temporal has no call for a schedule that does not
// exist, and a matcher of ours would be a second opinion. The times are without jitter.
func (o *Session) outlook(ctx context.Context, t schemas.Timing) Outlook {
	out := Outlook{Words: Words(t), TimeZone: t.TimeZone}
	parsed, err := timing.Parse(t)
	if err != nil {
		out.Unknown = err.Error()
		return out
	}
	times := spec(&t)
	times.Jitter = 0
	id := schemas.OutlookPrefix + uuid.NewString()
	h, err := o.Client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: id, Spec: times, Paused: true, Note: "Made to compute when an export would start. It runs nothing and can be deleted.",
		Action: &client.ScheduleWorkflowAction{ID: id, Workflow: schemas.WorkflowScheduledRun, TaskQueue: schemas.TaskQueue},
	})
	if err == nil {
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			_ = h.Delete(ctx) // FindLateRuns deletes what is left
		}()
		err = o.computed(ctx, h, parsed, &out)
	}
	if err != nil {
		out.Unknown = err.Error()
	}
	return out
}

// computed adds what Temporal computes for a schedule.
func (o *Session) computed(ctx context.Context, h client.ScheduleHandle, s *timing.Spec, out *Outlook) error {
	d, err := h.Describe(ctx)
	if err != nil {
		return err
	}
	if len(d.Info.NextActionTimes) == 0 {
		return errors.New("it never starts")
	}
	out.Next = d.Info.NextActionTimes[:min(nextStarts, len(d.Info.NextActionTimes))]
	now := time.Now()
	for _, c := range s.ClockChanges(now, now.AddDate(1, 0, 0)) {
		from, to := c.Window()
		m, err := o.Client.WorkflowService().ListScheduleMatchingTimes(ctx, &workflowservice.ListScheduleMatchingTimesRequest{
			Namespace: o.Namespace, ScheduleId: h.GetID(), StartTime: timestamppb.New(from.Add(-time.Second)), EndTime: timestamppb.New(to),
		})
		if err != nil {
			return fmt.Errorf("ask Temporal for the starts around %s: %w", schemas.Moment(c.At), err)
		}
		var starts []time.Time
		for _, at := range m.StartTime {
			starts = append(starts, at.AsTime())
		}
		out.Warnings = append(out.Warnings, c.Warning(starts))
	}
	return nil
}

// Starts returns starts in the zone of a timing, such as "Thu 26 Nov 04:00".
func Starts(t schemas.Timing, starts []time.Time, now time.Time) []string {
	zone, err := time.LoadLocation(t.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	var out []string
	for _, at := range starts {
		out = append(out, timing.Start(at.In(zone), now))
	}
	return out
}
