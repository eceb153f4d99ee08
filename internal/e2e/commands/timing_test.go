package commands

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestSchedulesAreAsTheFileSays applies exports with every kind of schedule, looks at
// what Temporal has of them, and runs all that are active.
func TestSchedulesAreAsTheFileSays(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	s := w.Starter()
	var text strings.Builder
	text.WriteString("refresh: {cron: \"" + world.Seldom + "\", timeZone: Europe/Oslo}\nexports:\n")
	for name, schedule := range map[string]string{
		"Refreshed": "refresh", "Off": "off", "Paused": "refresh",
		"Own": "{cron: \"0 5 29 2 *\", timeZone: Asia/Tokyo, jitter: 10m, catchUp: 2h}",
	} {
		fmt.Fprintf(&text, "  - {name: %s, connection: sandbox, email: email, schedule: %s, segments: [{name: %s, source: %q}]}\n",
			name, schedule, name, w.People(name, 1, 3, 1))
	}
	file := filepath.Join(w.Dir, "exports.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Contains(s.Want(0, "apply", file, "--yes"), "Applied 4 changes.")
	s.Want(0, "pause", "Paused")

	for _, c := range []struct {
		name, zone        string
		jitter, catchUp   time.Duration
		paused, scheduled bool
	}{
		{name: "Own", zone: "Asia/Tokyo", jitter: 10 * time.Minute, catchUp: 2 * time.Hour, scheduled: true},
		{name: "Refreshed", zone: "Europe/Oslo", catchUp: schemas.DefaultCatchUp, scheduled: true},
		{name: "Off", paused: true},
	} {
		applied, err := w.Operator.AppliedExport(t.Context(), c.name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := w.Client.ScheduleClient().GetHandle(t.Context(), applied.ScheduleID).Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		spec, policy := d.Schedule.Spec, d.Schedule.Policy
		if policy.Overlap != enums.SCHEDULE_OVERLAP_POLICY_SKIP {
			t.Errorf("%s: overlap policy %v", c.name, policy.Overlap)
		}
		if next := len(d.Info.NextActionTimes) > 0; next != c.scheduled {
			t.Errorf("%s: is to run: %v", c.name, next)
		}
		if c.scheduled && (spec.TimeZoneName != c.zone || spec.Jitter != c.jitter || policy.CatchupWindow != c.catchUp || d.Schedule.State.Paused) {
			t.Errorf("%s: %+v, %+v", c.name, spec, policy)
		}
	}

	w.Until("the plan's own schedules are deleted", func() bool { return len(outlooks(w)) == 0 })
	leaveOutlook(w)
	w.Until("Temporal lists a schedule that was left", func() bool { return len(outlooks(w)) == 1 })
	for _, c := range []struct {
		after time.Duration
		left  int
	}{{time.Minute, 1}, {2 * time.Hour, 0}} {
		if err := w.Operator.DeleteOutlooks(t.Context(), time.Now().Add(c.after)); err != nil {
			t.Fatal(err)
		}
		w.Until("as many are left", func() bool { return len(outlooks(w)) == c.left })
	}

	s.Contains(s.Want(0, "apply", file, "--yes"), "No changes.")
	s.Contains(s.Want(0, "apply", file, "--yes", "--renew"), "Applied ")
	w.Until("they are listed", func() bool { return strings.Count(s.Want(0, "exports"), "sandbox") == 4 })
	out := s.Want(0, "run", "--all")
	for name, runs := range map[string]bool{"Own": true, "Refreshed": true, "Off": false, "Paused": false} {
		if strings.Contains(out, " "+name+" ") != runs {
			t.Errorf("run --all of «%s»: want %v:\n%s", name, runs, out)
		}
	}
}

// outlooks returns the schedules that were made to compute starts.
func outlooks(w *world.World) (ids []string) {
	w.T.Helper()
	list, err := w.Client.ScheduleClient().List(w.T.Context(), client.ScheduleListOptions{})
	if err != nil {
		w.T.Fatal(err)
	}
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			w.T.Fatal(err)
		}
		if strings.HasPrefix(entry.ID, schemas.OutlookPrefix) {
			ids = append(ids, entry.ID)
		}
	}
	return ids
}

// leaveOutlook makes a schedule as a plan does that is ended before it deletes it.
func leaveOutlook(w *world.World) {
	w.T.Helper()
	_, err := w.Client.ScheduleClient().Create(w.T.Context(), client.ScheduleOptions{
		ID: schemas.OutlookPrefix + "left", Paused: true,
		Action: &client.ScheduleWorkflowAction{ID: "left", Workflow: schemas.WorkflowScheduledRun, TaskQueue: schemas.TaskQueue},
	})
	if err != nil {
		w.T.Fatal(err)
	}
}
