package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	_ "gocloud.dev/blob/memblob" // the data root

	"iterable-segment-export/activities"
	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/iterable"
	leases "iterable-segment-export/internal/lease"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// history is a world with the product.
type history struct {
	*world
	project    *project
	product    *activities.Activities
	activities map[string]any
	dir        string
	records    []*records // by export
	runs       []*run
	attempts   []*attempt
	version    int
	rowsNow    map[int][]row
	owners     map[int64]owner
	holders    map[string]int // the export that a list's record names
	handed     []handover
	waits      []string // the IDs of all waits so far
	// backup is a saved data root. restored is set once the data root is not what the runs
	// have left, and known is the first run that Temporal knows of.
	backup     map[string][]byte
	backupCan  []records // who the exports had added then
	restored   bool
	known      int
	suppressed map[int]identifiers
	deletions
}

// owner is the export that sends to a list, and since when.
type owner struct {
	export   int
	handover int // its index
	since    time.Time
}

// handover is the time when an export took over a list.
type handover struct {
	to int
	at time.Time
}

// run is one run of an export.
type run struct {
	*history
	export     int
	turn       turn
	round      int
	id, key    string
	began      time.Time
	engine     *engine
	over       bool
	terminated bool
	parts      map[string]*part // by the ID of the workflow
	answered   map[string]bool
	asked      int
	*book
	reset     bool                 // another execution took the run's place
	mayTake   bool                 // a list that another export fills
	restarted bool                 // it is an execution that follows a reset
	beside    bool                 // it is a trial, and the export that it tries has run meanwhile
	troubled  bool                 // an answer was perhaps lost on the way to the report
	rows      []row                // of the version that was staged last
	dividing  schemas.ExportReport // of a divided segment, whose lists have the results
	// state is that of the first part that is not done, and problem its error.
	state, problem string
}

// book records the effects of a run, in all its executions.
type book struct {
	acks      []*ack          // delivered
	published map[string]bool // the parts of which a report of Temporal's says so
	outdated  bool            // an attempt to stage was held
}

// follows reports whether a later run of the export has sent something for a part and published
// it.
func (r *run) follows(workflowID string) bool {
	sent := func(a *ack) bool { return a.workflowID == workflowID }
	return slices.ContainsFunc(r.runs, func(o *run) bool {
		return o.export == r.export && o.began.After(r.began) && o.book != r.book && o.published[workflowID] && slices.ContainsFunc(o.acks, sent)
	})
}

// newHistory sets the product up.
func newHistory(t *testing.T, p *plan) *history {
	w := &world{plan: p, wake: make(chan struct{}, 1), work: make(chan func()), serial: map[string]int{}, counts: map[string]int{}}
	h := &history{world: w, dir: t.TempDir(), rowsNow: map[int][]row{}, owners: map[int64]owner{}, holders: map[string]int{}, deletions: newDeletions()}
	w.history = h
	h.project = &project{w: w, lists: map[int64]*list{}, fields: map[int]map[string]string{}, refusals: map[int]refusal{}, gone: map[int]time.Time{}}
	root, err := storage.OpenRoot(context.Background(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	root.Around = w.rootDoor
	known := connections{}
	request := schemas.Limit(p.request)
	if p.learned {
		request = 0
	}
	for _, name := range []string{"one", "two"} {
		known[name] = schemas.Connection{
			Name: name, BaseURL: "http://iterable.test", ProjectType: p.project, AllowedSources: []string{h.dir},
			Limits:   schemas.Limits{RequestsPerSecond: 1e6, SubscribersPerRequest: request},
			Consent:  &schemas.Consent{AcceptedBy: "ann", AcceptedAt: time.Now(), Statement: "v1"},
			Suppress: []schemas.Suppression{{Name: "never", Source: h.never(), Email: "email", UserID: "user"}},
		}
	}
	registry := limits.NewRegistry()
	gate, err := access.New(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.product = &activities.Activities{
		Connections: known, Access: gate, BatchProfiles: p.request, Root: root, TempDir: h.dir, Log: slog.New(slog.DiscardHandler), Heartbeat: w.temporalAnswers,
		Polled: func(context.Context, string) (bool, error) { return true, nil },
		Clients: &activities.Clients{Connections: known, New: func(c schemas.Connection, key func() (string, error)) (*iterable.Client, error) {
			return iterable.New(iterable.Options{BaseURL: c.BaseURL, Key: key, Connection: c.Name, Limits: c.Limits, Registry: registry,
				Pause: even, HTTP: &http.Client{Transport: transport{w, leases.Transport(h.project)}}})
		}},
	}
	h.product.LastStaged = h.lastStaged
	a := h.product
	report := any(a.WriteRunReport)
	if p.seed%256 != 0 { // drawing takes longer than all the rest
		report = func(context.Context, schemas.RunReportInput) (string, error) { return "", nil }
	}
	h.activities = map[string]any{
		schemas.ActivityAuthorize: a.Authorize, schemas.ActivityInspectSegment: a.InspectSegment, schemas.ActivityEnsureList: a.EnsureList,
		schemas.ActivityFetchForgotten: a.FetchForgotten,
		schemas.ActivityDivideSegment:  a.DivideSegment, schemas.ActivityCloseDivided: a.CloseDivided,
		schemas.ActivityStageSegment: a.StageSegment, schemas.ActivityUploadBatches: a.UploadBatches,
		schemas.ActivityCommitSnapshot: a.CommitSnapshot, schemas.ActivityCloseRun: a.CloseRun, schemas.ActivityWriteRunReport: report,
		schemas.ActivityServed: a.Served, schemas.ActivityEndTrial: a.EndTrial,
	}
	if err := root.Write(context.Background(), dataroot.DeploymentKey, []byte(`{"id": "simulated"}`)); err != nil {
		t.Fatal(err)
	}
	for e := range 2 * p.exports { // and their trials
		h.records = append(h.records, &records{})
		if p.each && e < p.exports {
			h.records[e].known = map[int]identifiers{}
		}
	}
	h.suppress(nil)
	return h
}

// even waits for the longest pause that the client may choose at random.
func even(ctx context.Context, d time.Duration) error {
	most := 250 * time.Millisecond
	for most < d {
		most *= 2
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type connections map[string]schemas.Connection

func (c connections) Get(name string) (schemas.Connection, error) {
	if found, ok := c[name]; ok {
		return found, nil
	}
	return schemas.Connection{}, errors.New("there is no such connection")
}
func (c connections) Key(schemas.Connection) (string, error) { return "key", nil }
func (c connections) Names() []string                        { return []string{"one", "two"} }
func (c connections) Retention() schemas.Retention           { return schemas.Retention{} }
func (c connections) Status() config.Status                  { return config.Status{} }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// goes runs a function of the product in a goroutine. It prefers an idle one, whose stack has
// grown already.
func (w *world) goes(do func()) {
	w.running.Add(1)
	select {
	case w.work <- do:
		return
	default:
	}
	go func() {
		for more := true; more; do, more = <-w.work {
			do()
			w.running.Add(-1)
		}
	}()
}

// begin starts a run, or another execution of one that was reset.
func (h *history) begin(round, e int, t turn, of *run) *run {
	r := &run{history: h, export: e, turn: t, round: round, began: time.Now(), answered: map[string]bool{}, parts: map[string]*part{}, book: &book{published: map[string]bool{}}}
	what, workflowID := "run", schemas.RunWorkflowID(h.exportName(e))
	switch {
	case t.check:
		what, workflowID = "check", schemas.CheckWorkflowID(h.exportName(e))
	case t.trial != nil:
		what = "trial"
	}
	r.key = h.named(fmt.Sprintf("%s %d of %s", what, round, h.exportName(e)))
	r.id = fmt.Sprintf("%04d%s%03x-%d", round, string(rune('a'+e)), h.plan.seed&0xfff, len(h.runs))
	r.engine = &engine{run: r, number: len(h.runs), changed: true, open: map[int]*task{}, over: map[int]outcome{}}
	if of != nil {
		r.id, r.book, r.rows = of.id, of.book, of.rows
		r.troubled, r.restarted = true, true
		h.records[e].mixUp()
		for id, is := range of.published {
			r.part(id).again = is
		}
		r.engine.recorded = map[string][]ended{}
		kept := int(h.roll("reset", r.key) * float64(len(of.engine.played)+1))
		if of.outdated && len(of.acks) == 0 { // it is to stage again
			kept = 0
		}
		for _, one := range of.engine.played[:kept] {
			r.engine.recorded[one.workflowID] = append(r.engine.recorded[one.workflowID], one)
		}
	}
	h.tell("%s starts: segment %s", r.key, t)
	h.count(what + "s")
	if h.plan.divided {
		h.count(what + "s of a divided segment")
	}
	if h.plan.holdout {
		h.count(what + "s with a holdout")
	}
	if h.plan.each {
		h.count(what + "s with a list for each value")
	}
	for kind, is := range map[string]bool{
		"with dedupe": t.dedupe != "", "with a constant": t.constant > 0, "with a text": t.text != nil, "by a schedule": t.scheduled && !t.check, "that wait for data": t.late > 0,
	} {
		if is {
			h.count("runs " + kind)
		}
	}
	h.besides(r)
	h.runs = append(h.runs, r)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(1000 * 24 * time.Hour)
	env.SetWorkflowRunTimeout(0) // its timer would fire at once
	workflows.Register(env)
	r.engine.env = env
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: math.MaxInt64, Interceptors: []interceptor.WorkerInterceptor{&workflowDoor{engine: r.engine}}})
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflowID, TaskQueue: schemas.TaskQueue})
	in := schemas.RunInput{Export: h.export(e, t), Trigger: schemas.Trigger{Kind: schemas.TriggerPerson, Who: "ann"}, Full: t.full, Check: t.check, AwaitData: t.late > 0}
	if t.scheduled && !t.check {
		in.Trigger = schemas.Trigger{Kind: schemas.TriggerSchedule}
	}
	h.goes(func() {
		env.ExecuteWorkflow(schemas.WorkflowRunExport, in)
		h.add(&step{key: r.key + " ends", do: r.ends})
	})
	return r
}

// ends handles the end of a run.
func (r *run) ends() {
	r.over = true
	for _, a := range r.attempts {
		if a.run == r && a.replaced == 0 {
			a.mu.Lock()
			a.replaced = max(1, r.steps)
			if a.timer != nil {
				a.timer.Stop()
			}
			a.mu.Unlock()
		}
	}
	var result schemas.RunResult
	err := r.engine.env.GetWorkflowError()
	if err == nil {
		must(r.engine.env.GetWorkflowResult(&result))
	}
	var app *temporal.ApplicationError
	var canceled *temporal.CanceledError
	if errors.As(err, &app) && app.HasDetails() {
		_ = app.Details(&result)
	}
	if errors.As(err, &canceled) && canceled.HasDetails() {
		_ = canceled.Details(&result)
	}
	for _, report := range result.Segments {
		if report.Divided != nil {
			r.dividing = report
		} else {
			r.part(r.workflowOf(report.Segment)).result = report
		}
		if r.state == "" || r.state == schemas.StateDone {
			r.state, r.problem = report.State, report.Error
		}
	}
	state := r.state
	switch {
	case r.reset:
		state = "reset"
	case r.terminated:
		state = "terminated"
	}
	if state == "" {
		state = fmt.Sprint("over: ", err)
	}
	r.tell("%s is %s: %s", r.key, state, strings.ReplaceAll(r.problem, r.dir, ""))
	switch what := "runs "; state {
	case schemas.StateDone, schemas.StateAborted, schemas.StateCancelled, schemas.StateFailed, schemas.StateSkipped, "terminated", "reset":
		switch {
		case r.turn.check:
			what = "checks "
		case r.turn.trial != nil:
			what = "trials "
		}
		r.count(what + state)
	default:
		r.count("runs without a report")
	}
	if !r.reset {
		r.checkTrialEnd()
		r.checkEnd()
	}
}

// sees records what the workflow waits for.
func (e *engine) sees(t *task, in any) {
	switch in := in.(type) {
	case schemas.DivideInput:
		t.reads(new(e.history.rowsNow[e.history.tried(e.export)]))
	case schemas.StageInput:
		if in.Segment.Of == "" {
			t.reads(new(e.history.rowsNow[e.history.tried(e.export)]))
		}
	case schemas.UploadInput:
		t.part.checkUpload(in)
	}
}

// reads records the rows that an activity reads, unless they are nil. An execution after a reset
// has those of the activities that it does not repeat.
func (t *task) reads(rows *[]row) {
	if rows != nil {
		t.read, t.engine.rows = rows, *rows
	}
}

// files returns the keys of the data root.
func (h *history) files() (keys []string) {
	all, err := h.product.Root.List(context.Background(), "")
	must(err)
	for _, o := range all {
		keys = append(keys, o.Name)
	}
	return keys
}

// list returns the list of a name that an export fills, or nil.
func (h *history) list(name string) *list {
	var found *list
	for _, l := range h.project.lists {
		if l.Name == name && (found == nil || l.ID < found.ID) {
			found = l
		}
	}
	return found
}

// active returns the runs in progress.
func (h *history) active() (all []*run) {
	for _, r := range h.runs {
		if !r.over {
			all = append(all, r)
		}
	}
	return all
}

// live returns the attempts that have not ended.
func (h *history) live() (all []*attempt) {
	for _, a := range h.attempts {
		if a.ctx.Err() == nil {
			all = append(all, a)
		}
	}
	return all
}
