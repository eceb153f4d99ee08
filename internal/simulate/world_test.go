package simulate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"iterable-segment-export/internal/dataroot"
)

// step waits for the scheduler: an effect at a door, or an action of Temporal.
type step struct {
	key  string  // the step's name, independent of other events of the history
	turn float64 // the lowest is next
	// do is called by the scheduler; release lets a goroutine at a door continue.
	do      func()
	release chan verdict
	// ready, if set, reports whether the step can happen.
	ready func() bool
}

// verdict is the outcome of an effect at a door.
type verdict string

const (
	goOn        verdict = ""
	fail        verdict = "fails"                                       // no effect
	loseAnswer  verdict = "takes effect, and its answer is lost"        //
	crashBefore verdict = "does not happen: the worker is killed"       // no effect
	crashAfter  verdict = "takes effect, and then the worker is killed" //
	freeze      verdict = "is held: the worker is frozen"               // and goes on later
	freezeAfter verdict = "takes effect, and then the worker is frozen" //
	slow        verdict = "is slow"
	stop        verdict = "takes effect, and the worker is told to stop"
	throttle    verdict = "is answered 429"
	unavailable verdict = "is answered 503"
	forbid      verdict = "is answered 403"
	garble      verdict = "takes effect, and its answer is cut off"
	overtaken   verdict = "is held after the lease was checked: another run comes first"
	outdated    verdict = "is held after the lease was checked: another attempt comes first"
	unheard     verdict = "is held once it has asked Temporal: a run comes first"
)

// world is a history in progress.
type world struct {
	plan    *plan
	mu      sync.Mutex
	waiting []*step
	wake    chan struct{}
	serial  map[string]int // numbers steps with the same name
	steps   int
	calm    bool // nothing goes wrong any more
	story   []string
	fired   []string // the decisions that were not to go on
	counts  map[string]int
	running atomic.Int64 // goroutines of the product
	work    chan func()  // for idle goroutines
	failure *violation
	*history
}

// violation is a check that failed.
type violation struct {
	check string // the letter
	text  string
}

func (v *violation) Error() string { return "(" + v.check + ") " + v.text }

// violated records the first violation of the history.
func (w *world) violated(check, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == nil {
		w.failure = &violation{check, fmt.Sprintf(format, args...)}
		w.story = append(w.story, "VIOLATION "+w.failure.Error())
	}
}

func (w *world) broken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure != nil
}

// tell adds a line to the story.
func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// named returns a key that is unique in the history, and the same in every replay.
func (w *world) named(key string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serial[key]++
	return key + " #" + strconv.Itoa(w.serial[key])
}

// add makes a step wait for its turn.
func (w *world) add(s *step) {
	s.turn = w.roll("turn", s.key)
	w.enqueue(s)
}

func (w *world) enqueue(s *step) {
	w.mu.Lock()
	w.waiting = append(w.waiting, s)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// roll returns a number from 0 up to 1 that depends only on the seed, the purpose and the key.
func (w *world) roll(purpose, key string) float64 {
	h := w.plan.seed + 1
	for _, text := range [...]string{purpose, "|", key} {
		for i := range len(text) { // FNV-1a
			h = (h ^ uint64(text[i])) * 0x100000001b3
		}
	}
	for range 2 { // splitmix64's finalizer
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return float64(h>>11) / (1 << 53)
}

// pick chooses one of several by the seed and the key.
func pick[T any](w *world, purpose, key string, of ...T) T {
	return of[int(w.roll(purpose, key)*float64(len(of)))]
}

// decide returns the outcome of a step at a door.
func (w *world) decide(key string, rate float64, of ...verdict) verdict {
	if w.calm || w.plan.spared[key] || w.roll("fault", key) >= rate {
		return goOn
	}
	v := pick(w, "kind", key, of...)
	w.mu.Lock()
	w.fired = append(w.fired, key)
	w.mu.Unlock()
	w.count(string(v))
	return v
}

// moment is longer than the limiter's interval between requests of a worker, so that all of
// them wait for their turn, independent of their order.
const moment = 2 * time.Millisecond

// settled waits until all goroutines wait for a step or for time to pass.
func (w *world) settled() {
	time.Sleep(moment)
	synctest.Wait()
}

// step lets one of the waiting steps happen, and reports whether there was one.
func (w *world) step() bool {
	w.settled()
	w.mu.Lock()
	var best *step
	for _, s := range w.waiting {
		if (best == nil || s.turn < best.turn) && (s.ready == nil || w.calm || s.ready()) {
			best = s
		}
	}
	if best == nil {
		w.mu.Unlock()
		return false
	}
	w.waiting = slices.DeleteFunc(w.waiting, func(s *step) bool { return s == best })
	w.steps++
	w.mu.Unlock()
	switch {
	case best.do != nil:
		best.do()
	default:
		best.release <- goOn
	}
	return true
}

// pass lets time pass until something waits for a step, at most for that long.
func (w *world) pass(most time.Duration) {
	select { // earlier wake-ups are in waiting
	case <-w.wake:
	default:
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-w.wake:
	case <-t.C:
	}
}

// after adds a step when a time has passed. The additional milliseconds keep Temporal's timers
// from firing at the same moment as a worker's.
func (w *world) after(d time.Duration, key string, do func()) *time.Timer {
	return time.AfterFunc(d+137*time.Millisecond, func() { w.add(&step{key: key, do: do}) })
}

var errNoAnswer = errors.New("simulated: no answer")
var errDead = errors.New("simulated: the worker was killed")

// wait waits at a door for the turn of an effect.
func (w *world) wait(key string, a *attempt) { w.waitAt(w.roll("turn", key), key, a) }

// waitAt is wait with a turn.
func (w *world) waitAt(turn float64, key string, a *attempt) {
	s := &step{key: key, turn: turn, release: make(chan verdict), ready: a.awake}
	w.enqueue(s)
	<-s.release
	a.mu.Lock()
	a.released = time.Now()
	a.mu.Unlock()
}

// door decides whether and when an effect happens. do makes it.
func (w *world) door(key string, a *attempt, rate float64, do func(how verdict) error, kinds ...verdict) error {
	key = w.named(key)
	if a.dead() {
		return errDead
	}
	w.wait(key, a)
	v := w.decide(key, rate, kinds...)
	if a.dead() {
		return errDead
	}
	if v != goOn {
		w.tell("  %s: %s", key, v)
		if a.run != nil {
			a.run.troubled = true
		}
	}
	switch v {
	case fail:
		return errNoAnswer
	case crashBefore:
		a.kill()
		return errDead
	case freeze:
		a.freeze(key)
		w.wait(key+" thawed", a)
	case slow:
		time.Sleep(time.Duration(1+w.roll("slow", key)*25) * time.Second)
		w.wait(key+" at last", a)
	case stop:
		a.stop()
	}
	if a.dead() {
		return errDead
	}
	err := do(v)
	switch v {
	case loseAnswer:
		return errNoAnswer
	case crashAfter:
		a.kill()
		return errDead
	case freezeAfter:
		a.freeze(key)
		w.wait(key+" thawed", a)
	}
	if a.dead() {
		return errDead
	}
	return err
}

// rootDoor is the data root's door (storage.Root.Around).
func (w *world) rootDoor(ctx context.Context, key string, check, do func() error) error {
	a := attemptOf(ctx)
	if a == nil {
		return do() // the simulator itself
	}
	label := a.key + " writes " + short(key)
	kept := a.keeps(key)
	return w.door(label, a, w.plan.rootFaults, func(verdict) error {
		if err := check(); err != nil {
			return err
		}
		if _, ok := dataroot.SnapshotVersion(path.Base(key)); ok && a.run != nil {
			w.overtake(label, a)
		}
		if a.run != nil && a.run.turn.swap != nil && path.Base(key) == dataroot.AddsFile {
			w.outdate(label, a)
		}
		if a.run != nil && a.run.turn.trial != nil {
			a.run.checkTrialWrites(a, key)
		}
		if a.beside != nil && strings.HasPrefix(path.Base(key), dataroot.PendingPrefix) {
			w.history.unmarks(a, label)
		}
		err := do()
		if w.plan.told {
			w.tell("    %s: %v", label, err)
		}
		if err == nil {
			a.effect("changes " + short(key))
			if strings.HasPrefix(key, dataroot.ListOwners+"/") {
				w.history.claims(a, key)
			}
			a.noted = max(a.noted, kept)
		}
		return err
	}, fail, loseAnswer, crashBefore, crashAfter, freeze, freezeAfter, slow, stop)
}

// overtake may hold a snapshot between the check of the lease and its publication, until
// another run of the export has published one. Meanwhile this run is ended. Only in this gap
// can an effect come after its lease.
func (w *world) overtake(label string, a *attempt) {
	key := w.named(label + " has checked")
	if w.decide(key, w.plan.lateRate, overtaken) == goOn {
		return
	}
	w.tell("  %s: %s", key, overtaken)
	r := a.run
	r.troubled, a.overtaken = true, true
	a.hold(func() bool { return !r.follows(a.task.part.workflowID) })
	w.add(&step{key: key + ": its run is ended", do: func() { w.history.stop(r, pick(w, "end", key, "terminate", "reset", "cancel")) }})
	w.wait(key+" thawed", a)
}

// outdate holds the first staged file of a run between the check of the lease and its publication,
// until another execution of the run has staged another version of the segment.
func (w *world) outdate(label string, a *attempt) {
	r, id := a.run, a.task.part.workflowID
	if r.outdated || w.calm {
		return
	}
	key := w.named(label + " has checked")
	w.tell("  %s: %s", key, outdated)
	w.count(string(outdated))
	r.outdated, r.troubled, a.overtaken = true, true, true
	a.hold(func() bool {
		return !slices.ContainsFunc(r.runs, func(o *run) bool { return o != r && o.book == r.book && o.part(id).staged.Attempt != "" })
	})
	w.add(&step{key: key + ": its run is reset", do: func() {
		h := w.history
		h.tell("the segment of %s is replaced by %s", h.exportName(r.export), turn{rows: r.turn.swap, mode: r.turn.mode})
		h.rowsNow[r.export] = r.turn.swap
		h.write(r.export, r.turn.swap)
		h.stop(r, "reset")
	}})
	w.waitAt(0, key+" thawed", a) // before what was staged since is read
}

// hold makes an attempt wait for as long as still says.
func (a *attempt) hold(still func() bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen, a.held = true, still
}

// short returns a key of the data root without hashes.
func short(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		if at := strings.LastIndexByte(p, '-'); at > 0 && len(p)-at == 33 {
			parts[i] = p[:at]
		}
	}
	if last := parts[len(parts)-1]; len(last) >= 16 { // names of files have them
		parts[len(parts)-1] = passing.ReplaceAllString(last, "")
	}
	return strings.Join(parts, "/")
}

// passing are parts of names that differ each time: nanoseconds, and random texts.
var passing = regexp.MustCompile(`[0-9]{16,}|[2-7A-Z]{26}`)

// transport is the HTTP door.
type transport struct {
	*world
	next http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	a := attemptOf(r.Context())
	what := describe(r)
	kinds := []verdict{fail, unavailable, throttle, crashBefore, crashAfter, freeze, freezeAfter, slow}
	if r.Method != http.MethodGet {
		kinds = append(kinds, loseAnswer, garble, loseAnswer, stop, forbid)
	}
	var answer *http.Response
	err := t.door(a.key+" "+what, a, t.plan.httpFaults, func(how verdict) (err error) {
		switch how {
		case throttle:
			answer = respond(r, http.StatusTooManyRequests, `{"code": "RateLimitExceeded"}`)
			return nil
		case unavailable:
			answer = respond(r, http.StatusServiceUnavailable, "<html>")
			return nil
		case forbid:
			answer = respond(r, http.StatusForbidden, `{"code": "Forbidden"}`)
			return nil
		}
		if r.Context().Err() != nil {
			return r.Context().Err() // it was cancelled before it was sent
		}
		answer, err = t.next.RoundTrip(r)
		if err == nil && how == garble {
			answer = respond(r, http.StatusOK, `{"successCo`)
		}
		return err
	}, kinds...)
	if err != nil {
		return nil, err
	}
	a.delivered(answer)
	return answer, nil
}
