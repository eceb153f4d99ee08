package e2e

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
	schemas.ActivityVerifyList, schemas.ActivityCommitSnapshot,
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
	*world
	bin      string
	temporal *temporalProcess
	workers  []*exec.Cmd
	version  int
	rows     []killed
}

// TestKills kills workers and Temporal with SIGKILL, at every step and at random,
// while a list follows one version of a segment after the other. It prints what
// came of each kill.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	w, temporal := newApartWorld(t, sandbox.Config{Latency: 30 * time.Millisecond}, "{requestsPerSecond: 40, subscribersPerRequest: 50}")
	k := &kills{world: w, bin: build(t, "worker"), temporal: temporal}
	k.startWorker()
	k.next()
	w.done(w.run(k.export()))
	t.Cleanup(k.print)
	k.round(theWorker, adding)
	k.round(theTemporal, removing)
	if earnest(true, false) {
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
	k.nothingIsLeft()
}

// hit repeats a round until it kills in the step that it is to kill in.
func (k *kills) hit(what, step string) {
	k.t.Helper()
	for range 10 {
		if k.round(what, step).hit == step {
			return
		}
	}
	k.t.Errorf("no kill has met %s", step)
}

func (k *kills) startWorker() {
	k.t.Helper()
	k.workers = append(k.workers, k.process(k.bin, fmt.Sprintf("worker-%d.log", time.Now().UnixNano())))
}

const killList = "Killed"

func (k *kills) folder() string { return filepath.Join(k.sources, fmt.Sprintf("v%d", k.version)) }

func (k *kills) export() schemas.Export { return k.from(k.folder(), killList) }

// next writes the next version of the segment.
func (k *kills) next() generate.Expected {
	k.t.Helper()
	if k.version > 0 {
		if err := os.RemoveAll(k.folder()); err != nil {
			k.t.Fatal(err)
		}
	}
	k.version++
	expected, err := generate.Segment(k.t.Context(), generate.Options{
		Rows: 10_000, Out: k.folder(), Files: 4, Bad: 0.02, Seed: 7, Version: k.version, Churn: 0.2,
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return expected
}

// round runs the export of a new version, kills something in the midst of it, and
// checks that the list is right all the same.
func (k *kills) round(what, step string) killed {
	k.t.Helper()
	expected := k.next()
	if what == oneOfTwo {
		k.startWorker()
	}
	began := time.Now()
	run := k.start(k.export())
	seen := k.reach(step, began)
	at := time.Now()
	var dead time.Time
	switch what {
	case theTemporal:
		k.temporal.kill()
		dead = time.Now()
		k.temporal.start()
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
	k.done(k.watch(run))
	k.holds(killList, expected)
	r := killed{what: what, wanted: step, hit: seen, total: time.Since(began)}
	k.trace(run, at, &r)
	k.count(began, at, dead, &r)
	if r.sent > earnest(mostAtRisk, min(mostAtRisk, r.inFlight+r.late)) {
		k.t.Errorf("%s killed in %s: %d requests were sent again; %d were in flight and %d just answered",
			what, r.hit, r.sent, r.inFlight, r.late)
	}
	k.rows = append(k.rows, r)
	return r
}

// reach waits until the run is in a step, or, for anywhere, a random time. It
// gives the step that was last seen.
func (k *kills) reach(step string, began time.Time) string {
	k.t.Helper()
	switch step {
	case anywhere:
		time.Sleep(rand.N(2500 * time.Millisecond))
		return "between steps"
	case removing:
		k.until("people are taken off the list", func() bool { return k.sentSince(began, "lists/unsubscribe") > 2 })
		return removing
	case adding:
		k.until("people are put on the list", func() bool { return k.sentSince(began, "lists/subscribe") > 2 })
		return adding
	}
	id := schemas.SegmentWorkflowID(killList, killList)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		d, err := k.client.DescribeWorkflowExecution(k.t.Context(), id, "")
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
	k.t.Fatalf("the run did not come to %s", step)
	return ""
}

func (k *kills) sentSince(began time.Time, endpoint string) (n int) {
	for _, r := range k.sandbox.Requests(200) {
		if r.Endpoint == endpoint && r.Time.After(began) {
			n++
		}
	}
	return n
}

// trace finds in the histories which activity the kill has met, and when somebody
// went on with it.
func (k *kills) trace(run operate.Run, at time.Time, r *killed) {
	k.t.Helper()
	var next, again time.Time
	for _, id := range []string{run.WorkflowID, schemas.SegmentWorkflowID(killList, killList)} {
		scheduled := map[int64]string{}
		events := k.client.GetWorkflowHistory(k.t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				k.t.Fatal(err)
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
	for _, q := range k.sandbox.Requests(2000) {
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
	k.t.Logf("%d rounds\n%s", len(k.rows), b.String())
}
