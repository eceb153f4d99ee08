package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/schemas"
)

// plan is a history before it happens: the events from outside of the worker.
type plan struct {
	seed     uint64
	people   int
	project  string // the project's type
	exports  int
	sameList bool
	// divided makes the list that of a group of a split: the only one, or, with holdout, beside one
	// that is held out.
	divided, holdout bool
	// each makes a list for each value of a column.
	each bool
	// tries histories have trials.
	tries bool
	// request is the maximum number of profiles in a request. If it is learned, the project
	// answers 413 to a request of more than room profiles.
	request int
	learned bool
	room    int
	// spotless histories have no rejected rows and no refused profiles: writing those files
	// needs most of the time.
	spotless bool
	// The rates of faults at the doors, and of heartbeats without an answer.
	httpFaults, rootFaults, beatFaults float64
	// lateRate is the rate at which a snapshot is held until another run has published one.
	lateRate float64
	rounds   []round
	told     bool            // the story includes successes
	spared   map[string]bool // faults to leave out
}

// round is a change of the world, and the runs after it.
type round struct {
	number  int
	gap     time.Duration
	exports []turn
	// refusals are in force during the round.
	refusals map[int]refusal
	// others are changes of the list by other clients.
	others []other
	// sweeps are the steps at which a sweep starts, checks those at which a check of an
	// export does.
	sweeps, checks []int
	trials         []trying
	// lost deletes the snapshots before the runs.
	lost bool
	// backup is the step at which the data root is saved, -1 is never. restore is what is
	// restored before the runs.
	backup  int
	restore restore
	// sweepFirst starts a sweep before the runs, which goes on once one of them is about to send.
	sweepFirst bool
	// suppressed is the suppression list from this round on.
	suppressed map[int]identifiers
}

// restore is what is restored from a backup.
type restore string

const (
	// dataRoot is older then than what Temporal knows.
	dataRoot restore = "the data root"
	// both: Temporal knows of no run, and a person declares the restore.
	both restore = "the data root, and Temporal is lost"
)

// turn is a version of a segment and a run of its export, if it has one.
type turn struct {
	rows  []row
	start int // the step at which the run starts; -1 is never
	full  bool
	mode  string
	// fields are the mapped ones.
	fields   int
	strict   bool // the guardrails
	reject   bool // rows with a value that can't be sent
	check    bool // sends nothing
	least    int  // rows with a lower n are filtered out
	deadline time.Duration
	// end cancels, terminates or resets the run at a step.
	end   string
	endAt int
	// replaceAt is the step at which the segment's files are replaced by those of again.
	replaceAt int
	again     []row
	patience  int // the number of waits that are answered with "go on" before an abort
	more
}

// more is what was added to turns later. It is drawn apart from the rest, so that older seeds
// keep that.
type more struct {
	dedupe    string // Dedupe.Keep, by n
	constant  int    // the value of a constant field; 0 is no such field
	text      *text  // a text field
	scheduled bool   // a schedule started the run, and not a person
	restart   bool   // the run starts over if the files change
	// keep leaves the lists of values as they are that have vanished.
	keep bool
	// late is the step after the start at which the file appears, 0 is before it, and then is
	// what the run does if it comes too late.
	late int
	then string
	// swap, if set, makes an attempt to stage so late that another one has staged this version.
	swap []row
	// trial makes the run a trial of the export; people is the name of the file with the people that it names.
	trial  *trying
	people string
}

type other struct {
	at   int
	what string // "adds", "removes", "deletes the list", "is forgotten in the data root"
	who  int
}

// row is a row of a segment.
type row struct {
	who  int
	n    int
	bad  bool // the address can't be mailed
	nan  bool // the second field can't be sent
	user bool
	none bool // it has no identifier
	bare bool // it has a user ID and no address
	at   int  // the value that divides the segment
}

func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := &plan{seed: seed, people: 3 + r.IntN(7), exports: 1, request: 1 + min(r.IntN(3), r.IntN(3)), learned: chance(r, 0.3), spared: map[string]bool{}}
	p.project = []string{schemas.ProjectEmail, schemas.ProjectEmail, schemas.ProjectUserID, schemas.ProjectHybrid}[r.IntN(4)]
	if p.learned {
		p.room = 1 + r.IntN(4)
	}
	p.spotless = chance(r, 0.6)
	if chance(r, 0.3) {
		p.exports, p.sameList = 2, chance(r, 0.8)
	}
	p.divided = chance(rand.New(rand.NewPCG(seed, 900)), 0.15) // of its own, so that older seeds keep the rest
	if each := rand.New(rand.NewPCG(seed, 901)); p.exports == 1 && chance(each, 0.15) {
		p.each, p.divided = true, false
	}
	p.holdout = p.divided && chance(rand.New(rand.NewPCG(seed, 904)), 0.7)
	p.tries = chance(rand.New(rand.NewPCG(seed, 902)), 0.25)
	rates := []float64{0, 0.02, 0.05, 0.12}
	p.httpFaults, p.rootFaults, p.beatFaults = rates[r.IntN(4)], rates[r.IntN(4)], rates[r.IntN(3)]
	if chance(r, 0.2) {
		p.lateRate = 0.3
	}
	last := make([][]row, p.exports)
	for k := range 2 + min(r.IntN(5), r.IntN(5)) {
		next := p.round(rand.New(rand.NewPCG(seed, uint64(100+k))), k, last)
		for e, t := range next.exports {
			if last[e] = t.rows; t.again != nil {
				last[e] = t.again
			}
		}
		p.rounds = append(p.rounds, next)
	}
	p.meet(rand.New(rand.NewPCG(seed, 903)))
	return p
}

// meet makes two things happen beside each other that seldom do.
func (p *plan) meet(r *rand.Rand) {
	e, k := r.IntN(p.exports), 1+r.IntN(max(1, len(p.rounds)-2))
	at := &p.rounds[k]
	t := &at.exports[e]
	switch x := r.Float64(); {
	case x < 0.1: // a sweep after a run that was terminated, and the next one, which is terminated too
		before := &p.rounds[k-1].exports[e]
		before.start, before.end, before.endAt = max(before.start, 0), "terminate", 10+r.IntN(50)
		t.start, t.end = max(t.start, 0), ""
		at.sweepFirst, at.gap = true, 11*time.Minute
		if k+1 < len(p.rounds) { // as if nothing had happened
			p.rounds[k+1].exports[e].rows = slices.Clone(before.rows)
		}
	case x < 0.2:
		t.start, t.late, t.swap = max(t.start, 0), 0, p.version(r, t.rows)
		if p.each {
			draw(r, t.swap)
		}
	}
}

func (p *plan) round(r *rand.Rand, k int, last [][]row) round {
	out := round{number: k + 1, refusals: map[int]refusal{}, lost: chance(r, 0.03)}
	out.gap = []time.Duration{0, 0, 3 * time.Second, 20 * time.Second, 11 * time.Minute}[r.IntN(5)]
	filters := rand.New(rand.NewPCG(p.seed, uint64(500+k))) // of its own, so that older seeds keep the rest
	for e := range p.exports {
		t := turn{rows: p.version(r, last[e]), start: 0, full: chance(r, 0.12), mode: schemas.ModeMirror, fields: r.IntN(3), strict: chance(r, 0.5), reject: chance(r, 0.5)}
		if k > 0 && chance(r, 0.7) {
			t.fields = 1
		}
		if chance(r, 0.2) {
			t.mode = schemas.ModeAppend
		}
		switch {
		case chance(r, 0.15):
			t.start = -1
		case e > 0:
			t.start = r.IntN(60)
		}
		t.deadline = []time.Duration{0, 0, 0, 30 * time.Second, 5 * time.Minute}[r.IntN(5)]
		if t.end, t.endAt = "", r.IntN(60); chance(r, 0.25) {
			t.end = []string{"cancel", "terminate", "reset"}[r.IntN(3)]
		}
		if chance(r, 0.06) {
			t.again, t.replaceAt = p.version(r, t.rows), r.IntN(30)
		}
		t.patience = r.IntN(4)
		if chance(filters, 0.3) {
			t.least = 1 + filters.IntN(3)
		}
		if each := rand.New(rand.NewPCG(p.seed, uint64(1300+k))); p.each {
			draw(each, t.rows, t.again)
			t.keep = chance(each, 0.3)
		}
		t.more = p.more(rand.New(rand.NewPCG(p.seed, uint64(700+10*k+e))), t.rows)
		t.text = drawText(rand.New(rand.NewPCG(p.seed, uint64(1700+10*k+e))))
		out.exports = append(out.exports, t)
	}
	if !p.spotless && chance(r, 0.6) {
		for range 1 + r.IntN(2) {
			out.refusals[r.IntN(p.people)] = []refusal{conflict, invalid, forgotten, unnamed, poison}[r.IntN(5)]
		}
	}
	if chance(r, 0.3) {
		for range 1 + r.IntN(2) {
			out.others = append(out.others, other{r.IntN(50), []string{"adds", "adds", "removes"}[r.IntN(3)], r.IntN(p.people)})
		}
	}
	if chance(r, 0.04) {
		out.others = append(out.others, other{r.IntN(40), "deletes the list", 0})
	}
	if chance(filters, 0.15) {
		out.others = append(out.others, other{filters.IntN(60), forgottenHere, filters.IntN(p.people)})
	}
	for chance(r, 0.2) {
		out.sweeps = append(out.sweeps, r.IntN(60))
	}
	for chance(r, 0.1) {
		out.checks = append(out.checks, r.IntN(60))
	}
	if out.backup = -1; p.exports == 1 { // with two, the model would have to know who owned a list in the backup
		if chance(r, 0.3) {
			out.backup = r.IntN(60)
		}
		if chance(r, 0.25) {
			out.restore = []restore{dataRoot, dataRoot, both}[r.IntN(3)]
		}
	}
	out.trials = p.trials(rand.New(rand.NewPCG(p.seed, uint64(1100+k))))
	var never []int
	for chance(r, 0.25) {
		never = append(never, r.IntN(p.people))
	}
	out.suppressed = p.suppressions(rand.New(rand.NewPCG(p.seed, uint64(1500+k))), never)
	return out
}

// more draws what was added later.
func (p *plan) more(r *rand.Rand, rows []row) (m more) {
	if chance(r, 0.25) {
		m.dedupe = []string{schemas.KeepNewest, schemas.KeepOldest, schemas.KeepNone}[r.IntN(3)]
	}
	if chance(r, 0.2) {
		m.constant = 1 + r.IntN(2)
	}
	m.scheduled, m.restart = chance(r, 0.3), chance(r, 0.3)
	if chance(r, 0.1) {
		m.late, m.then = 1+r.IntN(60), []string{schemas.ThenAsk, schemas.ThenSkip, schemas.ThenRun}[r.IntN(3)]
		if m.then != schemas.ThenAsk && chance(r, 0.3) {
			m.late = mostSteps / 2 // the run ends before
		}
	}
	for i := range rows {
		rows[i].none = !p.spotless && chance(r, 0.04)
	}
	for i := range rows {
		rows[i].bare = p.project == schemas.ProjectUserID && !rows[i].bad && chance(r, 0.1)
	}
	return m
}

// version returns a segment after some changes.
func (p *plan) version(r *rand.Rand, last []row) []row {
	rows := slices.Clone(last)
	for i := range rows {
		rows[i].bad, rows[i].nan, rows[i].none = false, false, false
	}
	if len(rows) == 0 || chance(r, 0.1) {
		rows = nil
		for i := range p.people {
			if chance(r, 0.6) {
				rows = append(rows, row{who: i, n: 1 + r.IntN(3)})
			}
		}
	}
	for range r.IntN(3) {
		switch i := r.IntN(p.people); {
		case slices.ContainsFunc(rows, func(x row) bool { return x.who == i }) && chance(r, 0.6):
			rows = slices.DeleteFunc(rows, func(x row) bool { return x.who == i })
		case !slices.ContainsFunc(rows, func(x row) bool { return x.who == i }) || !p.spotless && chance(r, 0.3): // or a duplicate
			rows = append(rows, row{who: i, n: 1 + r.IntN(3)})
		}
	}
	both := r.IntN(1 << p.people) // who has a user ID in this version, in a hybrid project
	if chance(r, 0.5) {
		both = 0x155
	}
	for i := range rows {
		if chance(r, 0.1) {
			rows[i].n = 1 + r.IntN(3)
		}
		rows[i].bad = !p.spotless && chance(r, 0.04)
		rows[i].nan = !p.spotless && chance(r, 0.04)
		rows[i].user = p.project == schemas.ProjectUserID || p.project == schemas.ProjectHybrid && both>>rows[i].who&1 == 1
	}
	return rows
}

func (t turn) String() string {
	var b strings.Builder
	b.WriteString("{")
	for i, r := range t.rows {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d:%d", r.who, r.n)
		if r.bad {
			b.WriteString(" (bad)")
		}
		if r.nan {
			b.WriteString(" (NaN)")
		}
		if r.bare {
			b.WriteString(" (no address)")
		}
		if r.none {
			b.WriteString(" (nobody)")
		}
		if r.at > 0 {
			fmt.Fprintf(&b, " %s", values[r.at])
		}
	}
	fmt.Fprintf(&b, "}, %s", t.mode)
	if t.full {
		b.WriteString(", full")
	}
	if t.trial != nil {
		fmt.Fprintf(&b, ", a trial %s", t.trial)
	}
	if t.least > 0 {
		fmt.Fprintf(&b, ", where n is at least %d", t.least)
	}
	fmt.Fprintf(&b, ", %d fields", t.fields)
	if t.constant > 0 {
		fmt.Fprintf(&b, ", the constant %d", t.constant)
	}
	if t.text != nil {
		fmt.Fprintf(&b, ", a text %s", t.text)
	}
	if t.dedupe != "" {
		fmt.Fprintf(&b, ", of duplicates the %s", t.dedupe)
	}
	if t.keep {
		b.WriteString(", lists of vanished values stay")
	}
	if t.scheduled {
		b.WriteString(", scheduled")
	}
	if t.restart {
		b.WriteString(", starts over after a change")
	}
	if t.late > 0 {
		fmt.Fprintf(&b, ", waits for data, which comes at step %d, or will %s", t.late, t.then)
	}
	if t.strict {
		b.WriteString(", strict guardrails")
	}
	if t.deadline > 0 {
		fmt.Fprintf(&b, ", deadline %s", t.deadline)
	}
	return b.String()
}
