package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
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
	"iterable-segment-export/internal/sweep"
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
	suppressed map[int]bool
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
	staged     schemas.Manifest
	approved   string
	answered   map[string]bool
	asked      int
	*book
	// reset is set once another execution took the run's place, again where the run had
	// published its snapshot before that.
	reset, again bool
	mayTake      bool  // a list that another export fills
	restarted    bool  // it is an execution that follows a reset
	troubled     bool  // an answer was perhaps lost on the way to the report
	rows         []row // of the version that was staged last
	// always are on the suppression list for as long as the run lasts, ever at some time of it.
	always, ever map[int]bool
	result       schemas.ExportReport
	dividing     schemas.ExportReport // of a divided segment, whose list has the result
	lastStaged   *schemas.Staged      // by the events of its histories
}

// book records the effects of a run, in all its executions.
type book struct {
	acks      []*ack // delivered
	published bool   // a report of Temporal's says so
}

// follows reports whether a later run of the export has sent something and published it.
func (r *run) follows() bool {
	return slices.ContainsFunc(r.runs, func(o *run) bool {
		return o.export == r.export && o.began.After(r.began) && o.book != r.book && o.published && len(o.acks) > 0
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
		schemas.ActivityServed: a.Served,
	}
	if err := root.Write(context.Background(), dataroot.DeploymentKey, []byte(`{"id": "simulated"}`)); err != nil {
		t.Fatal(err)
	}
	for range p.exports {
		h.records = append(h.records, &records{})
	}
	h.suppress(nil)
	return h
}

// never is the path of the file with the suppression list.
func (h *history) never() string { return filepath.Join(h.dir, "never.arrow") }

// suppress sets the suppression list.
func (h *history) suppress(people []int) {
	var rows []row
	h.suppressed = map[int]bool{}
	for _, who := range people {
		rows = append(rows, row{who: who, user: true})
		h.suppressed[who] = true
	}
	h.writeRows(h.never(), rows)
	for _, r := range h.active() {
		maps.DeleteFunc(r.always, func(who int, _ bool) bool { return !h.suppressed[who] })
		maps.Copy(r.ever, h.suppressed)
	}
	if len(people) > 0 {
		h.tell("%v are on the suppression list", people)
		h.count("rounds with a suppression list")
	}
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

// exportName, segmentName and listName return the names in a history.
func (h *history) exportName(e int) string { return string(rune('A' + e)) }

func (h *history) segmentName(e int) string {
	if h.plan.sameList {
		return "List"
	}
	return "List " + h.exportName(e)
}

// listName differs from the segment's name if that is divided.
func (h *history) listName(e int) string {
	if h.plan.divided {
		return h.segmentName(e) + "/all"
	}
	return h.segmentName(e)
}

func (h *history) source(e int) string { return filepath.Join(h.dir, h.exportName(e)+".arrow") }

// fieldNames returns the names of an export's mapped fields. Each export has different ones, so
// that the writer of a value is known.
func (h *history) export(e int, t turn) schemas.Export {
	out := schemas.Export{
		Name: h.exportName(e), Connection: []string{"one", "two"}[e], Email: "email",
		Segments: []schemas.Segment{{Name: h.segmentName(e), Source: h.source(e)}},
	}
	if h.plan.divided {
		out.Segments[0].Split = &schemas.Split{Groups: map[string]string{"all": "100%"}}
	}
	if t.least > 0 {
		out.Segments[0].Where = &schemas.Condition{Column: "n", AtLeast: schemas.Literal(fmt.Sprint(t.least))}
	}
	if h.plan.project != schemas.ProjectEmail {
		out.UserID = "user"
	}
	out.Mode, out.Deadline = t.mode, schemas.Duration(t.deadline)
	if t.dedupe != "" {
		out.Dedupe.Keep = t.dedupe
		if t.dedupe != schemas.KeepNone {
			out.Dedupe.By = "n"
		}
	}
	if t.constant > 0 {
		out.Fields.List = append(out.Fields.List, schemas.Field{Value: schemas.Literal(fmt.Sprint(t.constant)), As: "c" + out.Name})
	}
	var now schemas.Duration
	out.Ready = schemas.Ready{Settle: &now, Then: t.then} // the files are newer than the simulated time
	if t.restart {
		out.Ready.OnChange = schemas.ChangeRestart
	}
	if t.reject {
		out.OnInvalid = schemas.InvalidReject
	}
	for i := range t.fields {
		out.Fields.List = append(out.Fields.List, schemas.Field{Column: []string{"n", "m"}[i], As: []string{"n", "m"}[i] + out.Name})
	}
	if !t.strict {
		all := 1.0
		out.Guardrails = schemas.Guardrails{MaxRemovedShare: &all, MaxRejectedShare: &all, MaxLeftOutShare: &all, AllowEmpty: true, MaxGrowth: 1e9, MaxShrink: 1e9}
	}
	return out
}

// write writes a version of a segment.
func (h *history) write(e int, rows []row) { h.writeRows(h.source(e), rows) }

func (h *history) writeRows(name string, rows []row) {
	h.version++
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "user", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "m", Type: arrow.PrimitiveTypes.Float64}, {Name: "version", Type: arrow.PrimitiveTypes.Int64},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	text := func(f int, v string) {
		if v == "" {
			b.Field(f).AppendNull()
		} else {
			b.Field(f).(*array.StringBuilder).Append(v)
		}
	}
	for _, r := range rows {
		mail, user := address(r.who), ""
		if r.bad {
			mail = mark + "@@"
		}
		if r.user {
			user = userID(r.who)
		}
		if r.none {
			mail, user = "", ""
		}
		text(0, mail)
		text(1, user)
		b.Field(2).(*array.Int64Builder).Append(int64(r.n))
		m := float64(r.n % 2)
		if r.nan {
			m = math.NaN()
		}
		b.Field(3).(*array.Float64Builder).Append(m)
		b.Field(4).(*array.Int64Builder).Append(int64(h.version))
	}
	record := b.NewRecord()
	defer record.Release()
	f, err := os.Create(name)
	must(err)
	w, err := ipc.NewFileWriter(f, ipc.WithSchema(schema))
	must(err)
	must(w.Write(record))
	must(w.Close())
	must(f.Close())
}

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
	r := &run{history: h, export: e, turn: t, round: round, began: time.Now(), answered: map[string]bool{}, book: &book{}}
	r.always, r.ever = maps.Clone(h.suppressed), maps.Clone(h.suppressed)
	what, workflowID := "run", schemas.RunWorkflowID(h.exportName(e))
	if t.check {
		what, workflowID = "check", schemas.CheckWorkflowID(h.exportName(e))
	}
	r.key = h.named(fmt.Sprintf("%s %d of %s", what, round, h.exportName(e)))
	r.id = fmt.Sprintf("%04d%s%03x-%d", round, strings.ToLower(h.exportName(e)), h.plan.seed&0xfff, len(h.runs))
	r.engine = &engine{run: r, number: len(h.runs), open: map[int]*task{}, over: map[int]outcome{}}
	if of != nil {
		r.id, r.book, r.rows = of.id, of.book, of.rows
		maps.DeleteFunc(r.always, func(who int, _ bool) bool { return !of.always[who] })
		maps.Copy(r.ever, of.ever)
		r.again, r.troubled, r.restarted = of.published, true, true
		r.engine.recorded = slices.Clone(of.engine.played[:int(h.roll("reset", r.key)*float64(len(of.engine.played)+1))])
	}
	h.tell("%s starts: segment %s", r.key, t)
	h.count(what + "s")
	if h.plan.divided {
		h.count(what + "s of a divided segment")
	}
	for kind, is := range map[string]bool{
		"with dedupe": t.dedupe != "", "with a constant": t.constant > 0, "by a schedule": t.scheduled && !t.check, "that wait for data": t.late > 0,
	} {
		if is {
			h.count("runs " + kind)
		}
	}
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
	switch len(result.Segments) {
	case 1:
		r.result = result.Segments[0]
	case 2:
		r.dividing, r.result = result.Segments[0], result.Segments[1]
	}
	state := r.result.State
	switch {
	case r.reset:
		state = "reset"
	case r.terminated:
		state = "terminated"
	}
	if state == "" {
		state = fmt.Sprint("over: ", err)
	}
	r.tell("%s is %s: %s", r.key, state, strings.ReplaceAll(r.result.Error, r.dir, ""))
	switch what := "runs "; state {
	case schemas.StateDone, schemas.StateAborted, schemas.StateCancelled, schemas.StateFailed, schemas.StateSkipped, "terminated", "reset":
		if r.turn.check {
			what = "checks "
		}
		r.count(what + state)
	default:
		r.count("runs without a report")
	}
	if !r.reset {
		r.checkEnd()
	}
}

// sees records what the workflow waits for.
func (e *engine) sees(t *task, in any) {
	switch in := in.(type) {
	case schemas.DivideInput:
		e.rows = e.history.rowsNow[e.export]
	case schemas.StageInput:
		if in.Segment.Of == "" {
			e.rows = e.history.rowsNow[e.export]
		}
	case schemas.UploadInput:
		e.checkUpload(in)
	}
}

// State implements sweep.Runs.
func (h *history) State(_ context.Context, ref schemas.RunRef) (sweep.State, bool, error) {
	state, underWay := sweep.Unknown, false
	for _, r := range h.runs[h.known:] {
		if h.exportName(r.export) != ref.Export {
			continue
		}
		underWay = underWay || !r.over && !r.turn.check
		if r.id == ref.RunID {
			if state = sweep.Ended; !r.over {
				state = sweep.Lives
			}
		}
	}
	return state, underWay, nil
}

// sweep starts a sweep.
func (h *history) sweep() {
	a := &attempt{world: h.world, key: h.named("sweep"), stopCh: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), attemptContext{}, a))
	a.ctx, a.cancel = ctx, cancel
	h.attempts = append(h.attempts, a)
	h.count("sweeps")
	h.tell("%s starts", a.key)
	h.goes(func() {
		defer cancel()
		s := sweep.Sweeper{Ledger: h.product.Ledger(), Runs: h, Retention: func() schemas.Retention { return schemas.Retention{} }}
		done, err := s.Sweep(ctx)
		h.tell("%s ends: %+v, %v", a.key, done, err)
		a.mu.Lock()
		a.replaced = max(1, h.steps)
		a.mu.Unlock()
	})
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

// loseSnapshots deletes the snapshots of an export.
func (h *history) loseSnapshots(e int) {
	for _, key := range h.files() {
		if _, ok := dataroot.SnapshotVersion(path.Base(key)); ok && strings.Contains(key, "/"+schemas.PathName(h.exportName(e))+"/") {
			must(h.product.Root.DeletePrefix(context.Background(), key))
		}
	}
	h.records[e].forget()
	h.restored = true
	h.tell("the snapshots of %s are lost", h.exportName(e))
}

// list returns the list that an export fills, or nil.
func (h *history) list(e int) *list {
	var found *list
	for _, l := range h.project.lists {
		if l.Name == h.listName(e) && (found == nil || l.ID < found.ID) {
			found = l
		}
	}
	return found
}

// interfere changes a list as another client.
func (h *history) interfere(o other) {
	if o.what == forgottenHere {
		h.deletion(o.who)
		return
	}
	l := h.list(0)
	if l == nil {
		return
	}
	h.count("others' changes")
	switch o.what {
	case "adds":
		l.members[o.who] = true
	case "removes":
		delete(l.members, o.who)
	default:
		delete(h.project.lists, l.ID)
		h.tell("another client deletes list %d", l.ID)
		return
	}
	h.tell("somebody %s %d", o.what, o.who)
	for _, r := range h.records {
		r.of(l.ID).touched(o.who)
	}
}

// forget makes the project forget a person, and removes them from all lists.
func (h *history) forget(who int) {
	if h.project.gone[who].IsZero() {
		h.project.gone[who] = time.Now()
	}
	delete(h.project.fields, who)
	for _, l := range h.project.lists {
		delete(l.members, who)
		for _, r := range h.records {
			r.of(l.ID).touched(who)
		}
	}
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

// play plays the history up to its end or the first violation.
func (h *history) play() {
	for _, r := range h.plan.rounds {
		if h.round(r); h.broken() {
			return
		}
	}
	h.heal()
}

// idle lets an amount of time pass.
func (h *history) idle(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && !h.broken(); {
		if !h.step() {
			h.pass(time.Until(end))
		}
	}
}

const mostSteps = 4000

// round plays one round.
func (h *history) round(rd round) {
	h.idle(rd.gap)
	h.suppress(rd.suppressed)
	h.project.refusals = rd.refusals
	for _, who := range slices.Sorted(maps.Keys(rd.refusals)) {
		how := rd.refusals[who]
		h.tell("Iterable refuses %d: %s", who, how)
		if how == forgotten {
			h.forget(who)
		}
	}
	began := h.steps
	type event struct {
		at int
		do func()
	}
	var events []event
	for e, t := range rd.exports {
		h.rowsNow[e] = t.rows
		h.write(e, t.rows)
		if rd.lost && len(h.live()) == 0 {
			h.loseSnapshots(e)
		}
		if t.start < 0 {
			continue
		}
		if t.late > 0 {
			must(os.Remove(h.source(e)))
			events = append(events, event{t.start + t.late, func() {
				h.tell("the segment of %s is there", h.exportName(e))
				h.write(e, h.rowsNow[e])
			}})
		}
		events = append(events, event{t.start, func() {
			r := h.begin(rd.number, e, t, nil)
			if t.end != "" {
				events = append(events, event{t.start + t.endAt, func() { h.stop(r, t.end) }})
			}
		}})
		for _, at := range rd.checks {
			check := t
			check.check = true
			events = append(events, event{at, func() { h.begin(rd.number, e, check, nil) }})
		}
		if t.again != nil {
			events = append(events, event{t.start + t.replaceAt, func() {
				h.tell("the segment of %s is written anew: %s", h.exportName(e), turn{rows: t.again, mode: t.mode})
				h.rowsNow[e] = t.again
				h.write(e, t.again)
			}})
		}
	}
	for _, o := range rd.others {
		events = append(events, event{o.at, func() { h.interfere(o) }})
	}
	for _, at := range rd.sweeps {
		events = append(events, event{at, h.sweep})
	}
	if rd.restore != "" && h.backup != nil && len(h.live()) == 0 {
		h.restoreBackup(rd.restore)
	}
	if rd.backup >= 0 && len(rd.exports) == h.plan.exports {
		events = append(events, event{rd.backup, h.save})
	}
	for n := 0; !h.broken(); n++ {
		if n > mostSteps {
			h.violated("f", "round %d does not end", rd.number)
			return
		}
		h.settled()
		due := -1
		for i, e := range events {
			if e.at <= h.steps-began && (due < 0 || e.at < events[due].at) {
				due = i
			}
		}
		switch {
		case due >= 0:
			e := events[due]
			events = slices.Delete(events, due, due+1)
			e.do()
		case h.step():
		case h.answer():
		case len(h.active()) == 0 && len(events) == 0:
			return
		case len(h.active()) == 0:
			began -= 10 // later events happen now
		default:
			h.pass(30 * time.Second)
		}
	}
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

// stop cancels, terminates or resets a run. One that has ended may be reset too.
func (h *history) stop(r *run, how string) {
	if r.over && (how != "reset" || r.terminated || slices.ContainsFunc(h.active(), func(o *run) bool { return o.export == r.export && !o.turn.check })) {
		return
	}
	h.tell("%s: somebody asks to %s it", r.key, how)
	h.count("runs to " + how)
	if how == "cancel" {
		r.engine.env.CancelWorkflow()
		return
	}
	if how == "reset" {
		defer h.begin(r.round, r.export, r.turn, r)
		if r.over {
			return
		}
		r.reset = true
	}
	r.terminated = true
	for _, a := range h.attempts {
		if a.run == r {
			a.mu.Lock()
			if a.replaced == 0 {
				a.replaced = max(1, h.steps)
			}
			a.mu.Unlock()
		}
	}
	for _, id := range r.segmentIDs() {
		_ = r.engine.env.SignalWorkflowByID(id, outcomes, 0)
	}
	h.settled()
	r.engine.env.SignalWorkflow(outcomes, 0)
}

// segmentIDs returns the IDs of the workflows of the run's segment and list.
func (r *run) segmentIDs() []string {
	of := func(name string) string { return schemas.SegmentWorkflowID(r.exportName(r.export), name) }
	if r.plan.divided {
		return []string{of(r.listName(r.export)), of(r.segmentName(r.export))}
	}
	return []string{of(r.segmentName(r.export))}
}

// waiting returns what a run waits for, or nil.
func (r *run) waiting() (w *schemas.Waiting, workflowID string) {
	for _, id := range r.segmentIDs() {
		var p schemas.Progress
		if v, err := r.engine.env.QueryWorkflowByID(id, schemas.QueryProgress); err == nil && v.Get(&p) == nil && p.Waiting != nil {
			return p.Waiting, id
		}
	}
	var root schemas.RunProgress
	id := schemas.RunWorkflowID(r.exportName(r.export))
	if v, err := r.engine.env.QueryWorkflowByID(id, schemas.QueryProgress); err == nil && v.Get(&root) == nil && root.Waiting != nil {
		return root.Waiting, id
	}
	return nil, ""
}

// answer answers one waiting run, and reports whether there was one.
func (h *history) answer() bool {
	for _, r := range h.active() {
		if r.turn.check || r.terminated {
			continue
		}
		w, id := r.waiting()
		if w == nil || r.answered[w.ID] {
			continue
		}
		r.answered[w.ID] = true
		h.waits = append(h.waits, w.ID)
		r.asked++
		h.tell("%s waits at %s (%s): %s", r.key, w.Step, w.Type, strings.ReplaceAll(w.Message, h.dir, ""))
		h.count("waits")
		if strings.Contains(w.Message, mark) {
			h.violated("h", "%s waits with a message about a person: %s", r.key, w.Message)
		}
		key := h.named(r.key + " is answered")
		if !h.calm && h.roll("late", key) < 0.4 {
			h.idle(time.Duration(h.roll("later", key)*40) * time.Second)
		}
		if !h.calm && h.roll("wrong", key) < 0.4 { // an answer to something else
			for _, wrong := range []schemas.Answer{{}, {Wait: h.waits[int(h.roll("which", key)*float64(len(h.waits)))]}} {
				if wrong.Wait != w.ID {
					h.reply(r, id, w, w.Answers[0], wrong)
				}
			}
			h.reply(r, id, w, otherThan(w.Answers[0]), schemas.Answer{Wait: w.ID})
		}
		if w.Type == schemas.ErrorListAmbiguous {
			h.tidyLists()
		}
		name := w.Answers[0]
		if strings.Contains(w.Message, "was done already") {
			name, r.again = schemas.UpdateAbort, true
		} else if !h.calm && r.asked > r.turn.patience && h.roll("abort", key) < 0.5 || r.asked > 25 {
			name = schemas.UpdateAbort
		}
		h.reply(r, id, w, name, schemas.Answer{Wait: w.ID})
		return true
	}
	return false
}

// tidyLists deletes all lists of a name except one, as a run asks for.
func (h *history) tidyLists() {
	seen := map[string]bool{}
	for _, owned := range []bool{true, false} { // those that were filled stay
		for _, id := range slices.Sorted(maps.Keys(h.project.lists)) {
			l := h.project.lists[id]
			if _, ok := h.owners[id]; ok != owned {
				continue
			}
			if seen[l.Name] {
				h.tell("another client deletes list %d", id)
				delete(h.project.lists, id)
			}
			seen[l.Name] = true
		}
	}
}

// otherThan returns the answer to continue that a wait does not accept.
func otherThan(answer string) string {
	if answer == schemas.UpdateApprove {
		return schemas.UpdateRetry
	}
	return schemas.UpdateApprove
}

// reply sends an answer. It must be refused if it is for another wait, or the wait does not
// accept it.
func (h *history) reply(r *run, workflowID string, w *schemas.Waiting, name string, a schemas.Answer) {
	right := a.Wait == w.ID && slices.Contains(w.Answers, name)
	if now, _ := r.waiting(); now == nil || now.ID != w.ID {
		right = false
	}
	key := h.named(r.key + " gets an answer")
	h.tell("%s is answered: %s %s", r.key, name, a.Wait)
	accepted := func() {
		h.count("answers: " + name)
		if !right {
			h.violated("d", "%s took %q for wait %q, while it waits for %s, %v", r.key, name, a.Wait, w.ID, w.Answers)
		} else if (w.Type == schemas.ErrorListOwned || w.Type == schemas.ErrorListForeign) && name == schemas.UpdateApprove {
			r.mayTake = true
		} else if w.Type == schemas.ErrorGuardrail && name == schemas.UpdateApprove {
			r.approved = r.staged.Attempt
		}
	}
	_ = r.engine.env.UpdateWorkflowByID(workflowID, name, key, &testsuite.TestUpdateCallback{
		OnReject: func(error) { h.count("answers refused") },
		OnComplete: func(_ any, err error) {
			if err == nil {
				accepted()
			}
		},
	}, a)
	h.settled()
}

// heal stops all faults, runs each export again, and checks what is left.
func (h *history) heal() {
	h.calm = true
	h.project.refusals = map[int]refusal{}
	h.tell("all is calm")
	for _, a := range h.attempts {
		a.mu.Lock()
		a.frozen = false
		a.mu.Unlock()
	}
	for n := 0; h.running.Load() > 0; n++ {
		if h.broken() {
			return
		}
		if n > mostSteps {
			h.violated("f", "held effects do not end")
			return
		}
		if !h.step() && !h.answer() {
			h.pass(30 * time.Second)
		}
	}
	h.idle(time.Minute)
	for e, t := range h.plan.rounds[len(h.plan.rounds)-1].exports {
		t.end, t.full, t.deadline, t.start, t.patience = "", false, 0, 0, 1000
		t.late, t.scheduled = 0, false
		t.rows = h.rowsNow[e]
		t.again = nil
		rd := round{number: 90 + e, backup: -1, refusals: map[int]refusal{}, exports: make([]turn, h.plan.exports)}
		for i := range rd.exports {
			rd.exports[i] = turn{start: -1, rows: h.rowsNow[i]}
		}
		rd.exports[e] = t
		h.round(rd)
		if h.broken() {
			return
		}
		if last := h.runs[len(h.runs)-1]; last.result.State != schemas.StateDone {
			h.violated("f", "%s is %q although nothing went wrong: %s", last.key, last.result.State, last.result.Error)
			return
		}
	}
	h.idle(25 * time.Hour)
	h.sweep()
	h.idle(time.Minute)
	h.checkDeletions()
	h.checkFiles()
}
