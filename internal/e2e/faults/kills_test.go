package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// What a round of the kill test kills.
const (
	theWorker   = "worker"
	oneOfTwo    = "one of two workers"
	theTemporal = "Temporal"
)

// Moments of a kill that are no activity.
const (
	removing = "remove" // UploadBatches of the people who left
	adding   = "add"    // UploadBatches of those who joined
	anywhere = "any"
)

// killSteps are the steps of a run, in their order.
var killSteps = []string{
	schemas.ActivityInspectSegment, schemas.ActivityEnsureList, schemas.ActivityStageSegment, removing, adding,
	schemas.ActivityCommitSnapshot,
}

// mostAtRisk is the most requests of a worker over a connection whose outcome
// Temporal does not know.
const mostAtRisk = 16

// killed is what became of one round.
type killed struct {
	what, wanted, hit    string
	inFlight, late, sent int // requests: unanswered at the kill, answered just before it, sent twice
	recovered, total     time.Duration
}

// kills is the state of the kill test.
type kills struct {
	*world.World
	bin     string
	server  *world.TemporalProcess
	workers []*exec.Cmd
	version int
	rows    []killed
}

// TestKills kills workers and Temporal with SIGKILL, at every step and at random,
// while a list follows one version of a segment after the other. It prints what
// came of each kill.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	w, temporal := world.NewApart(t, sandbox.Config{Rate: 40, Latency: 30 * time.Millisecond}, "{requestsPerSecond: 40, subscribersPerRequest: 50}")
	k := &kills{World: w, bin: world.Build(t, "worker"), server: temporal}
	k.startWorker()
	k.next()
	w.Done(w.Run(k.export()))
	t.Cleanup(k.print)
	k.round(theWorker, adding)
	k.round(theTemporal, removing)
	if world.Earnest(true, false) {
		return
	}
	for range 3 {
		for _, step := range killSteps {
			k.hit(theWorker, step)
		}
		for _, step := range []string{schemas.ActivityStageSegment, removing, adding} {
			k.round(oneOfTwo, step)
			k.round(theTemporal, step)
		}
	}
	for range 30 {
		k.round(theWorker, anywhere)
	}
	k.NothingIsLeft()
}

// hit repeats a round until it kills in the step that it is to kill in.
func (k *kills) hit(what, step string) {
	k.T.Helper()
	for range 10 {
		if k.round(what, step).hit == step {
			return
		}
	}
	k.T.Errorf("no kill has met %s", step)
}

func (k *kills) startWorker() {
	k.T.Helper()
	k.workers = append(k.workers, k.Process(k.bin, fmt.Sprintf("worker-%d.log", time.Now().UnixNano())))
}

const killList = "Killed"

func (k *kills) folder() string { return filepath.Join(k.Sources, fmt.Sprintf("v%d", k.version)) }

func (k *kills) export() schemas.Export { return k.From(k.folder(), killList) }

// next writes the next version of the segment.
func (k *kills) next() generate.Expected {
	k.T.Helper()
	if k.version > 0 {
		if err := os.RemoveAll(k.folder()); err != nil {
			k.T.Fatal(err)
		}
	}
	k.version++
	expected, err := generate.Segment(k.T.Context(), generate.Options{
		Rows: 10_000, Out: k.folder(), Files: 4, Bad: 0.02, Seed: 7, Version: k.version, Churn: 0.2,
	})
	if err != nil {
		k.T.Fatal(err)
	}
	return expected
}

// round runs the export of a new version, kills something in the midst of it, and
// checks that the list is right all the same.
func (k *kills) round(what, step string) killed {
	k.T.Helper()
	expected := k.next()
	if what == oneOfTwo {
		k.startWorker()
	}
	began := time.Now()
	run := k.Start(k.export())
	seen := k.reach(step, began)
	at := time.Now()
	var dead time.Time
	switch what {
	case theTemporal:
		k.server.Kill()
		dead = time.Now()
		k.server.Start()
	default:
		victim := k.workers[0]
		_ = victim.Process.Kill()
		_ = victim.Wait()
		dead = time.Now()
		k.workers = k.workers[1:]
		if len(k.workers) == 0 {
			k.startWorker()
		}
	}
	k.Done(k.Watch(run))
	k.Holds(killList, expected)
	r := killed{what: what, wanted: step, hit: seen, total: time.Since(began)}
	k.trace(run, at, &r)
	k.count(began, at, dead, &r)
	if r.sent > world.Earnest(mostAtRisk, min(mostAtRisk, r.inFlight+r.late)) {
		k.T.Errorf("%s killed in %s: %d requests were sent again; %d were in flight and %d just answered",
			what, r.hit, r.sent, r.inFlight, r.late)
	}
	k.rows = append(k.rows, r)
	return r
}

// reach waits until the run is in a step, or, for anywhere, a random time. It
// gives the step that was last seen.
func (k *kills) reach(step string, began time.Time) string {
	k.T.Helper()
	switch step {
	case anywhere:
		time.Sleep(rand.N(2500 * time.Millisecond))
		return "between steps"
	case removing:
		k.Until("people are taken off the list", func() bool { return k.sentSince(began, "lists/unsubscribe") > 2 })
		return removing
	case adding:
		k.Until("people are put on the list", func() bool { return k.sentSince(began, "lists/subscribe") > 2 })
		return adding
	}
	id := schemas.SegmentWorkflowID(killList, killList)
	for end := time.Now().Add(world.Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		d, err := k.Client.DescribeWorkflowExecution(k.T.Context(), id, "")
		if err != nil || d.WorkflowExecutionInfo.StartTime.AsTime().Before(began) {
			continue
		}
		for _, a := range d.PendingActivities {
			if a.ActivityType.Name == step && a.State == enums.PENDING_ACTIVITY_STATE_STARTED {
				return "between steps" // unless the history tells otherwise
			}
		}
		if d.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return "after the end"
		}
	}
	k.T.Fatalf("the run did not come to %s", step)
	return ""
}

func (k *kills) sentSince(began time.Time, endpoint string) (n int) {
	for _, r := range k.Sandbox.Requests(200) {
		if r.Endpoint == endpoint && r.Time.After(began) {
			n++
		}
	}
	return n
}

// trace finds in the histories which activity the kill has met, and when somebody
// went on with it.
func (k *kills) trace(run operate.Run, at time.Time, r *killed) {
	k.T.Helper()
	var next, again time.Time
	for _, id := range []string{run.WorkflowID, schemas.SegmentWorkflowID(killList, killList)} {
		scheduled := map[int64]string{}
		events := k.Client.GetWorkflowHistory(k.T.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				k.T.Fatal(err)
			}
			when := e.EventTime.AsTime()
			if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
				scheduled[e.EventId] = activityName(e)
			}
			a := e.GetActivityTaskStartedEventAttributes()
			if a == nil && e.GetWorkflowTaskCompletedEventAttributes() == nil || when.Before(at) {
				continue
			}
			if next.IsZero() || when.Before(next) {
				next = when
			}
			if a != nil && a.Attempt > 1 && again.IsZero() {
				again, r.hit = when, scheduled[a.ScheduledEventId]
			}
		}
	}
	switch {
	case !again.IsZero():
		r.recovered = again.Sub(at)
	case !next.IsZero():
		r.recovered = next.Sub(at)
	default:
		r.hit = "after the end"
	}
}

// activityName names an activity, and an upload by what it does.
func activityName(e *history.HistoryEvent) string {
	name := e.GetActivityTaskScheduledEventAttributes().ActivityType.Name
	var summary string
	if name != schemas.ActivityUploadBatches || converter.GetDefaultDataConverter().FromPayload(e.GetUserMetadata().GetSummary(), &summary) != nil {
		return name
	}
	verb, _, _ := strings.Cut(summary, ":")
	return verb
}

// lateFor is how long an answer is known to the worker and not yet to Temporal,
// on a machine with other things to do.
const lateFor = 100 * time.Millisecond

// count counts the requests around the kill, which took from at to dead.
func (k *kills) count(began, at, dead time.Time, r *killed) {
	times := map[string]int{}
	for _, q := range k.Sandbox.Requests(2000) {
		if q.Time.Before(began) || !slices.Contains([]string{"lists/subscribe", "lists/unsubscribe"}, q.Endpoint) {
			continue
		}
		if times[q.Body]++; times[q.Body] > 1 {
			r.sent++
		}
		answered := q.Time.Add(time.Duration(q.Milliseconds * float64(time.Millisecond)))
		switch {
		case q.Time.After(dead), answered.Before(at.Add(-lateFor)):
		case answered.After(at):
			r.inFlight++
		default:
			r.late++
		}
	}
}

// print prints a table of the rounds.
func (k *kills) print() {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "killed\tin\tin flight\tanswered within 0.1 s before\tsent again\tgone on after\trun took")
	for _, r := range k.rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%.1f s\t%.1f s\n", r.what, r.hit, r.inFlight, r.late, r.sent, r.recovered.Seconds(), r.total.Seconds())
	}
	_ = t.Flush()
	k.T.Logf("%d rounds\n%s", len(k.rows), b.String())
}
