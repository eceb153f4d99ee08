package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// mostInFlight is the maximum of requests in flight of one chunk; the limiter has the maximum
// of the connection.
const mostInFlight = 64

// UploadBatches sends one chunk of batches. Its heartbeat has the lowest batch that is not
// acknowledged, the acknowledged ones above it, and the counters; so has a file beside the
// staged ones. A retry continues from the one that has more.
func (a *Activities) UploadBatches(ctx context.Context, in schemas.UploadInput) (_ schemas.UploadCounts, err error) {
	progress := newTracker(in, startingPoint(ctx, in))
	ctx, attempt := a.begin(ctx, in.Run.Deadline, func() any { return progress.snapshot() })
	defer attempt.End(ctx, &err)
	if err := a.upload(ctx, in, progress, attempt); err != nil {
		return schemas.UploadCounts{}, failure(columnAtFault(err, in), in.Connection.Name)
	}
	return progress.snapshot().Counts, nil
}

// columnAtFault turns an error that names fields into one that names their columns. It does
// not repeat a name that is not a mapped field: it could be anything.
func columnAtFault(err error, in schemas.UploadInput) error {
	var e *iterable.Error
	if !errors.As(err, &e) || len(e.Mismatches) == 0 {
		return err
	}
	var clashes []string
	for _, m := range e.Mismatches {
		if of := mapped(in.Fields, m.Field); of != nil {
			kind := ""
			if of.Type != "" && of.Field == m.Field {
				kind = " as " + of.Type
			}
			clashes = append(clashes, fmt.Sprintf("column %q is sent%s in field %q, which has another type in Iterable", of.Column, kind, of.Field))
		}
	}
	if len(clashes) == 0 {
		return err
	}
	return needOperator(schemas.ErrorFieldTypes, fmt.Sprintf(
		"connection %q: Iterable refuses the values of a field: %s; change the segment's column or the field in Iterable and retry, or abort, change the export's mapping and run it again",
		in.Connection.Name, strings.Join(clashes, "; ")))
}

// mapped returns the mapped field of a name, the one that contains it (rows name the
// fields of a map), or nil.
func mapped(fields []schemas.MappedField, name string) (of *schemas.MappedField) {
	for i, f := range fields {
		if (f.Field == name || strings.HasPrefix(name, f.Field+".")) && (of == nil || len(f.Field) > len(of.Field)) {
			of = &fields[i]
		}
	}
	return of
}

// namesOf returns the mapped fields of the names. Other names come from the rows, so they
// are not repeated.
func namesOf(fields []schemas.MappedField, names []string) (out []string) {
	for _, name := range names {
		known := "a field that the rows name"
		if f := mapped(fields, name); f != nil {
			if known = f.Field; known != name {
				known += ".*"
			}
		}
		if !slices.Contains(out, known) {
			out = append(out, known)
		}
	}
	return out
}

// upload sends the rest of a chunk, by progress.
func (a *Activities) upload(ctx context.Context, in schemas.UploadInput, progress *tracker, attempt *step.Attempt) error {
	r, err := a.maySend(ctx, in.Run, in.Connection.Name, in.Connection.Host)
	if err == nil && r != nil && (!same(in.Settings, r.Input.Export.Settings) || in.Connection != r.Connection) {
		err = altered(in.Run)
	}
	if err == nil {
		err = noAccess(a.Access.CheckList(ctx, in.Run, in.ListID))
	}
	if err == nil {
		err = a.sameLists(ctx, in.Connection.Name, in.Suppression)
	}
	mayGoOn := func(ctx context.Context) error {
		if _, err := a.maySend(ctx, in.Run, in.Connection.Name, in.Connection.Host); err != nil {
			return err
		}
		return a.stillOurs(ctx, in)
	}
	if err == nil {
		err = a.stillOurs(ctx, in)
	}
	if err != nil {
		return err
	}
	client, err := a.Clients.Get(in.Connection.Name)
	if err != nil {
		return err
	}
	// Kind and attempt become part of the names of files.
	if !valid(in) {
		return needOperator(schemas.ErrorGrant, fmt.Sprintf("upload batches %d to %d of kind %q: invalid chunk", in.First, in.End, in.Kind))
	}
	key := path.Join(schemas.StagedDir(in.Run, in.Attempt), ledger.StagedName(in.Kind))
	staged, err := a.Ledger().OpenStaged(ctx, key)
	if err != nil {
		return ledger.StagingError("the staged file "+key, err)
	}
	defer staged.Close()
	if staged.Batches() < in.End {
		return needOperator(schemas.ErrorStaging, fmt.Sprintf(
			"the staged file %s has %d batches where %d were expected; retry stages the segment again", key, staged.Batches(), in.End))
	}
	noted, err := a.Ledger().ReadAnswered(ctx, in.Run, in.Attempt)
	if err != nil {
		return ledger.StagingError("Iterable's answers", err)
	}
	if c := noted[in.Kind][in.First]; c != nil {
		progress.resume(c.Progress, c.Requests)
	}
	id := step.AttemptID(ctx)
	note := func(ctx context.Context) error {
		return a.Ledger().WriteAnswered(ctx, in, id, progress.snapshot(), progress.answeredRequests()...)
	}
	if err := note(ctx); err != nil { // before the first request
		return err
	}
	if err := a.Ledger().AnnounceSending(ctx, in); err != nil {
		return err
	}
	refused, err := a.Ledger().RefusedBatches(ctx, in)
	if err != nil {
		return err
	}
	defer a.Senders.Join(ctx, in.Connection.Name)()
	pace := &paceLog{}
	defer a.writePace(ctx, in, pace)
	u := &uploader{
		in: in, client: client, staged: staged, progress: progress, attempt: attempt, pace: pace, metrics: a.Metrics, refused: refused, note: note,
		probe: make(chan struct{}, 1),
		refuse: func(ctx context.Context, k int, b *batch.Batch, rows []ledger.Refusal) error {
			return a.Ledger().WriteRefusals(ctx, in, k, b, rows)
		},
		mayGoOn: mayGoOn,
	}
	u.known.Store(in.Kind == schemas.Unsubscribe || progress.snapshot().Counts.Acknowledged() > 0)
	err = u.run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	return errors.Join(err, note(last))
}

// attemptName is the form of a step.AttemptID.
var attemptName = regexp.MustCompile(`^[0-9a-f]{32}$`)

// valid reports whether the input describes a chunk.
func valid(in schemas.UploadInput) bool {
	return (in.Kind == schemas.Subscribe || in.Kind == schemas.Unsubscribe) && in.First >= 0 && in.First <= in.End && attemptName.MatchString(in.Attempt)
}

const (
	// lookEvery is how often an upload stores Iterable's answers, and checks that the
	// connection's consent holds and that the list is still the export's. It bounds what is
	// sent after either ends, and what is sent again after a worker was killed.
	lookEvery = 2500 * time.Millisecond
	// noteTimeout is the time limit for storing the answers of a cancelled attempt.
	noteTimeout = 30 * time.Second
)

// sameHost returns an error if the connection's API host has changed since the run began:
// there the list's ID is another list's, and consent may be missing.
func (a *Activities) sameHost(name, host string) error {
	c, err := a.known(name)
	if err != nil || host == "" || host == access.Host(c) {
		return err
	}
	return needOperator(schemas.ErrorNoConnection, fmt.Sprintf(
		"connection %q uses the host %s now, and used %s when the run began; abort the run and start it again, or restore the connection and retry",
		name, access.Host(c), host))
}

// startingPoint returns the progress of earlier attempts: of the previous heartbeat, or as
// known to the workflow.
func startingPoint(ctx context.Context, in schemas.UploadInput) schemas.UploadProgress {
	var p schemas.UploadProgress
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &p) == nil && p.Next >= in.First {
		return p
	}
	if in.Resume != nil {
		return *in.Resume
	}
	return schemas.UploadProgress{Next: in.First}
}

// outcomes hears of the outcome of each request: it is the activity's attempt.
type outcomes interface {
	Worked()
	Failed(error)
	ReportSoon()
}

// uploader sends the batches of one chunk, several requests at a time.
type uploader struct {
	in       schemas.UploadInput
	client   *iterable.Client
	staged   *ledger.StagedFile
	progress *tracker
	pace     *paceLog
	metrics  *observe.Metrics
	// refuse stores the refused rows of a batch; without rows it deletes those of an earlier
	// attempt.
	refuse func(context.Context, int, *batch.Batch, []ledger.Refusal) error
	// refused are the batches with refused rows of an earlier attempt.
	refused map[int]bool
	// known is set once Iterable has acknowledged something for the list.
	known   atomic.Bool
	probe   chan struct{} // held by the request that finds out; has room for one
	turns   sync.Mutex    // guards the context of waiting for turns
	wait    context.Context
	endWait context.CancelFunc
	ended   bool // no more waiting
	attempt outcomes
	// note stores Iterable's answers. mayGoOn returns an error once consent is withdrawn, or
	// another export fills the list.
	note, mayGoOn func(context.Context) error
}

// run sends until every batch is acknowledged, a permanent error occurs, or the worker
// stops. It always waits for requests in flight, so that their outcome is known.
func (u *uploader) run(ctx context.Context) error {
	stop, end := context.WithCancel(ctx)
	defer end()
	var once sync.Once
	var first error
	fail := func(err error) { once.Do(func() { first = err; end() }) }
	var wg sync.WaitGroup
	sent := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { u.look(ctx, sent, fail) })
	watch.Go(func() {
		select {
		case <-sent:
		case <-stop.Done():
		case <-activity.GetWorkerStopChannel(ctx): // waiting goroutines would still send
			fail(step.ErrWorkerStops)
		}
		u.noMoreTurns()
	})
	for range max(1, min(u.in.End-u.in.First, mostInFlight)) {
		wg.Go(func() {
			body := &batch.Body{}
			for {
				select {
				case <-stop.Done():
					return
				case <-activity.GetWorkerStopChannel(ctx):
					fail(step.ErrWorkerStops)
					return
				default:
				}
				more, err := u.sendSome(ctx, stop, body)
				if err != nil {
					fail(err)
				}
				if !more {
					return
				}
				u.attempt.ReportSoon()
			}
		})
	}
	wg.Wait()
	u.nothingLeft()
	close(sent)
	watch.Wait()
	if first == nil {
		return ctx.Err()
	}
	return first
}

// look stores answers and checks consent and ownership until all is sent.
func (u *uploader) look(ctx context.Context, sent <-chan struct{}, fail func(error)) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-sent:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := u.note(ctx)
		if err == nil {
			err = u.mayGoOn(ctx)
		}
		if err != nil {
			fail(err)
			return
		}
	}
}

// alone lets one request at a time through as long as Iterable has acknowledged nothing
// for a list that it may not know yet, and returns what ends that.
func (u *uploader) alone() (end func()) {
	unknown := func() bool { return !u.known.Load() && u.young() }
	if !unknown() {
		return func() {}
	}
	u.probe <- struct{}{}
	end = func() { <-u.probe }
	if !unknown() {
		end()
		return func() {}
	}
	return end
}

// waiting returns the context of waiting for a turn, which ends when all batches are
// assigned.
func (u *uploader) waiting(ctx context.Context) context.Context {
	u.turns.Lock()
	defer u.turns.Unlock()
	if u.wait == nil || u.wait.Err() != nil && !u.ended {
		u.wait, u.endWait = context.WithCancel(ctx)
	}
	if u.ended {
		u.endWait()
	}
	return u.wait
}

// noMoreTurns ends all waiting for turns for good.
func (u *uploader) noMoreTurns() {
	u.turns.Lock()
	u.ended = true
	u.turns.Unlock()
	u.nothingLeft()
}

// nothingLeft ends the present waiting for turns.
func (u *uploader) nothingLeft() {
	u.turns.Lock()
	defer u.turns.Unlock()
	if u.endWait != nil {
		u.endWait()
	}
}

// sendSome sends as many batches as one request carries and records the outcome. It reports
// whether there may be more.
func (u *uploader) sendSome(ctx, stop context.Context, body *batch.Body) (more bool, err error) {
	if !u.progress.left() {
		return false, nil
	}
	defer u.alone()()
	waiting := u.waiting(ctx)
	turn, err := u.client.Turn(waiting, u.endpoint())
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			return true, nil // all batches are assigned
		}
		return false, err
	}
	s := &sending{uploader: u, stop: stop, turn: turn, held: true, body: body}
	defer func() {
		if s.held {
			s.turn.Cancel()
		}
	}()
	batches, err := u.load(turn, body)
	if !u.progress.left() {
		u.nothingLeft()
	}
	defer func() {
		for _, b := range batches {
			b.Release()
		}
	}()
	if err != nil || len(batches) == 0 {
		return false, err
	}
	switch err := s.sendAll(ctx, batches); {
	case errors.Is(err, errSmaller):
		u.progress.note(s.counts)
		u.progress.giveBack(batches)
		return true, nil
	case err != nil:
		u.progress.note(s.counts, batches...)
		return false, err
	}
	for _, b := range batches {
		if len(b.refusals) > 0 || u.refused[b.k] {
			if err := u.refuse(context.WithoutCancel(ctx), b.k, b.Batch, b.refusals); err != nil {
				return false, err
			}
		}
	}
	counts := s.counts
	for _, b := range batches {
		counts.Add(b.counts)
	}
	u.progress.acknowledge(batches, counts)
	u.metrics.Profiles(ctx, u.in.Run.Export, observe.Sent, counts.Sent)
	u.metrics.Profiles(ctx, u.in.Run.Export, observe.Removed, counts.Removed)
	u.metrics.Rejects(ctx, u.in.Run.Export, counts.Refused)
	return true, nil
}

// sendAll sends batches in one request, or a single one in several where its turns
// allow fewer profiles or bytes than it has.
func (s *sending) sendAll(ctx context.Context, batches []*loaded) error {
	if len(batches) > 1 {
		parts := make([]part, len(batches))
		for i, b := range batches {
			parts[i] = part{b, 0, b.Len()}
		}
		return s.send(ctx, parts)
	}
	b := batches[0]
	for from := 0; from < b.Len(); {
		if err := s.next(ctx); err != nil {
			return err
		}
		to := min(from+s.turn.Profiles, b.Len())
		if s.turn.Bytes > 0 {
			s.reset(s.body)
			n := 0
			for from+n < to && s.body.Add(b.Batch, from+n, from+n+1, s.turn.Bytes) {
				n++
			}
			to = from + n // the first one always fits
		}
		if err := s.send(ctx, []part{{b, from, to}}); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// load takes batches for one request: at least one, and others as long as they have
// no more profiles and bytes together than the turn and the settings allow.
func (u *uploader) load(turn limits.Turn, body *batch.Body) (batches []*loaded, err error) {
	most, mostBytes := turn.Profiles, u.in.Connection.Limits.WithDefaults().MaxBodyBytes
	if turn.Bytes > 0 {
		mostBytes = min(mostBytes, turn.Bytes)
	}
	u.reset(body)
	for rows := 0; rows < most; {
		k, ok := u.progress.take()
		if !ok {
			break
		}
		b, err := u.staged.Batch(k)
		if err != nil {
			return batches, ledger.StagingError(fmt.Sprintf("batch %d of the staged file", k), err)
		}
		one := &loaded{k: k, Batch: b, matcher: batch.NewMatcher(b)}
		if len(batches) > 0 && (rows+b.Len() > most || !body.Add(b, 0, b.Len(), mostBytes)) {
			u.progress.giveBack([]*loaded{one})
			b.Release()
			break
		}
		if len(batches) == 0 {
			body.Add(b, 0, b.Len(), math.MaxInt)
		}
		batches, rows = append(batches, one), rows+b.Len()
	}
	return batches, nil
}

// tracker records which batches of a chunk are assigned and acknowledged, and the counts.
type tracker struct {
	mu     sync.Mutex
	end    int
	taken  int   // the next unassigned batch
	back   []int // returned batches
	done   map[int]bool
	next   int // the lowest batch not acknowledged
	counts schemas.UploadCounts
	parts  map[int]schemas.UploadCounts // of batches of which only parts were acknowledged
	// requests are the acknowledged ones.
	requests []ledger.Request
}

func newTracker(in schemas.UploadInput, p schemas.UploadProgress) *tracker {
	t := &tracker{end: in.End}
	t.start(p)
	return t
}

// start sets the tracker to the progress.
func (t *tracker) start(p schemas.UploadProgress) {
	t.taken, t.next, t.counts, t.done = p.Next, p.Next, p.Counts, map[int]bool{}
	t.parts = maps.Clone(p.Parts)
	for _, k := range p.Done {
		t.done[k] = true
	}
}

// left reports whether there are unassigned batches.
func (t *tracker) left() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.back) > 0 || t.taken < t.end
}

// take returns the next batch to send.
func (t *tracker) take() (int, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.back); n > 0 {
		k := t.back[n-1]
		t.back = t.back[:n-1]
		return k, true
	}
	for t.taken < t.end {
		k := t.taken
		t.taken++
		if k >= t.next && !t.done[k] { // batches below next are done, and no longer in done
			return k, true
		}
	}
	return 0, false
}

// giveBack returns assigned batches that were not sent.
func (t *tracker) giveBack(batches []*loaded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range slices.Backward(batches) {
		t.back = append(t.back, b.k)
	}
}

func (t *tracker) acknowledge(batches []*loaded, counts schemas.UploadCounts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Add(counts)
	request := ledger.Request{At: time.Now().UTC().Truncate(time.Millisecond)}
	for _, b := range batches {
		t.done[b.k] = true
		delete(t.parts, b.k)
		request.Batches = append(request.Batches, b.k)
	}
	t.requests = append(t.requests, request)
	for t.done[t.next] {
		delete(t.done, t.next)
		t.next++
	}
}

// resume continues from the progress of an earlier attempt, if that has more.
func (t *tracker) resume(p schemas.UploadProgress, requests []ledger.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = slices.Clone(requests)
	known := schemas.UploadProgress{Next: t.next, Done: slices.Collect(maps.Keys(t.done)), Counts: t.counts, Parts: t.parts}
	if ledger.Further(p, known) {
		t.start(p)
	}
}

// note counts the requests of batches that were not acknowledged as a whole, and what was
// done of the batches.
func (t *tracker) note(requests schemas.UploadCounts, batches ...*loaded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Add(requests)
	for _, b := range batches {
		if known := t.parts[b.k]; b.counts.Acknowledged() > known.Acknowledged() {
			if t.parts == nil {
				t.parts = map[int]schemas.UploadCounts{}
			}
			t.parts[b.k] = b.counts
		}
	}
}

// answeredRequests returns the acknowledged requests.
func (t *tracker) answeredRequests() []ledger.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests)
}

// snapshot returns the progress for a heartbeat.
func (t *tracker) snapshot() schemas.UploadProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := schemas.UploadProgress{Next: t.next, Parts: maps.Clone(t.parts)}
	for k := range t.done {
		p.Done = append(p.Done, k)
	}
	p.Counts.Add(t.counts)
	return p
}
