package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// model is what a list should hold, by the rules that the README gives.
type model struct {
	list map[string]bool // who is on the list
	ours map[string]bool // whom runs of the export have put there
	// maybe are those of whom a cancelled run may or may not have come to say
	// that it put them there: somebody else had before.
	maybe map[string]bool
}

// cancelled is what a run does that was cancelled at some moment, after which have
// are on the list. Who was to be sent is ours from the first request on.
func (m *model) cancelled(segment map[string]int, have map[string]bool) {
	for who := range segment {
		if m.list[who] && !m.ours[who] {
			m.maybe[who] = true
		} else {
			m.ours[who] = true
		}
	}
	m.list = have
}

// run is what a run that got through does. refused are those whom Iterable does
// not take, or let go, during it.
func (m *model) run(segment map[string]int, mirror bool, refused, have map[string]bool) {
	for who := range m.maybe {
		if _, stays := segment[who]; stays && !refused[who] || mirror {
			m.list[who] = have[who] // either is right
			delete(m.maybe, who)
		}
	}
	ours := map[string]bool{}
	for who := range m.ours {
		if _, stays := segment[who]; stays || !mirror || refused[who] {
			ours[who] = true
		} else {
			delete(m.list, who)
		}
	}
	for who := range segment {
		if !refused[who] {
			m.list[who], ours[who] = true, true
		}
	}
	m.ours = ours
}

// rounds is how many runs the model is compared with: MODEL_ROUNDS, or a few.
func rounds(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("MODEL_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal("MODEL_ROUNDS:", err)
		}
		return n
	}
	return 10
}

// modelled is a world with a model beside it.
type modelled struct {
	*world.World
	model   model
	random  *rand.Rand
	bin     string
	worker  *exec.Cmd
	export  schemas.Export
	segment map[string]int // the people in the segment, and a field of theirs
	killed  int
}

// TestListsAgainstModel runs an export of a segment that changes at random, in
// changing modes, with a changing mapping, while requests fail, people are refused,
// runs are cancelled and the worker is killed, and compares the list with a model
// after each run. MODEL_SEED repeats a sequence.
func TestListsAgainstModel(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MODEL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal("MODEL_SEED:", err)
		}
	}
	t.Logf("MODEL_SEED=%d", seed)
	w := &modelled{
		World: world.New(t, sandbox.Config{KeepData: true}, false), random: rand.New(rand.NewPCG(seed, 1)), bin: world.Build(t, "worker"),
		model: model{list: map[string]bool{}, ours: map[string]bool{}, maybe: map[string]bool{}}, segment: map[string]int{},
	}
	w.WriteConnections("{requestsPerSecond: 500, subscribersPerRequest: 7}")
	if err := os.MkdirAll(w.Path("segments"), 0o700); err != nil {
		t.Fatal(err)
	}
	all, none := 1.0, 1e9
	w.export = w.World.Export("Model", "email")
	w.export.Guardrails = schemas.Guardrails{MaxRemovedShare: &all, MaxRejectedShare: &all, AllowEmpty: true, MaxGrowth: none, MaxShrink: none}
	w.worker = w.Process(w.bin, "worker.log")
	for round := range rounds(t) {
		began := time.Now()
		what := w.round()
		t.Logf("round %d, %s: %s", round+1, what, time.Since(began).Round(100*time.Millisecond))
		if t.Failed() {
			t.Fatalf("round %d, %s; MODEL_SEED=%d", round, what, seed)
		}
	}
	w.NothingIsLeft()
}

// chance is true once in n times.
func (w *modelled) chance(n int) bool { return w.random.IntN(n) == 0 }

// round changes something, runs the export, and compares.
func (w *modelled) round() (what string) {
	w.T.Helper()
	w.change()
	w.export.Mode = schemas.ModeMirror
	if w.chance(3) {
		w.export.Mode = schemas.ModeAppend
	}
	w.export.Fields = schemas.Fields{}
	if !w.chance(4) {
		w.export.Fields.List = []schemas.Field{{Column: "n"}}
	}
	full := w.chance(6)
	what = fmt.Sprintf("%d people, mode %s, fields %v, full %v", len(w.segment), w.export.Mode, w.export.Fields.List, full)
	what += w.upset()
	faults, refused := w.faults()
	what += faults
	run, _, err := w.Operator.Start(w.T.Context(), w.export, full)
	if err != nil {
		w.T.Fatal(err)
	}
	what += w.disturb(run)
	v := w.Watch(run)
	w.Sandbox.ClearFaults()
	for who := range refused {
		w.markPeople(who, "")
	}
	if v.State == schemas.StateCancelled {
		w.model.cancelled(w.segment, w.members())
		return what + ", cancelled"
	}
	if v.State != schemas.StateDone {
		w.T.Fatalf("%s: the run is %s: %s %+v", what, v.State, v.Error, v.Segments)
	}
	w.model.run(w.segment, w.export.Mode == schemas.ModeMirror, refused, w.members())
	w.compare(what, refused)
	return what
}

// change makes the next version of the segment.
func (w *modelled) change() {
	w.T.Helper()
	for who := range w.segment {
		switch w.random.IntN(8) {
		case 0:
			delete(w.segment, who)
		case 1:
			w.segment[who]++
		}
	}
	for range w.random.IntN(30) {
		w.segment[w.somebody()] = w.random.IntN(1000)
	}
	if w.chance(20) {
		clear(w.segment)
	}
	fields := []arrow.Field{{Name: "email", Type: arrow.BinaryTypes.String}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}}
	rows := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer rows.Release()
	for _, who := range slices.Sorted(maps.Keys(w.segment)) {
		rows.Field(0).(*array.StringBuilder).Append(who)
		rows.Field(1).(*array.Int64Builder).Append(int64(w.segment[who]))
	}
	record := rows.NewRecord()
	defer record.Release()
	var file bytes.Buffer
	out := ipc.NewWriter(&file, ipc.WithSchema(record.Schema()))
	if err := out.Write(record); err != nil {
		w.T.Fatal(err)
	}
	if err := out.Close(); err != nil {
		w.T.Fatal(err)
	}
	if err := os.WriteFile(w.Path("segments/model.arrow"), file.Bytes(), 0o600); err != nil {
		w.T.Fatal(err)
	}
}

func (w *modelled) somebody() string { return fmt.Sprintf("p%03d@example.com", w.random.IntN(200)) }

// upset changes the list or what is known of it behind the program's back.
func (w *modelled) upset() string {
	w.T.Helper()
	id := w.listID()
	switch {
	case id == 0:
	case w.chance(12): // somebody else puts people on the list
		who := "stranger" + strconv.Itoa(w.random.IntN(1000)) + "@example.org"
		w.Call(http.MethodPost, "/api/lists/subscribe", fmt.Sprintf(`{"listId": %d, "subscribers": [{"email": %q}]}`, id, who))
		w.model.list[who] = true
		return ", a stranger joins"
	case w.chance(15): // the snapshot is lost, and with it who is ours
		if err := w.Root.DeletePrefix(w.T.Context(), schemas.SnapshotDir("Model", "Model")); err != nil {
			w.T.Fatal(err)
		}
		w.model.ours, w.model.maybe = map[string]bool{}, map[string]bool{}
		return ", the snapshot is lost"
	case w.chance(15): // the list is deleted
		w.Call(http.MethodDelete, fmt.Sprint("/api/lists/", id), "")
		w.model.list, w.model.ours, w.model.maybe = map[string]bool{}, map[string]bool{}, map[string]bool{}
		return ", the list is deleted"
	}
	return ""
}

// faults has requests fail and people be refused.
func (w *modelled) faults() (what string, refused map[string]bool) {
	w.T.Helper()
	kinds := []sandbox.Fault{
		{Kind: "status", Status: http.StatusInternalServerError, Body: "html", Share: 0.3},
		{Kind: "reset", Share: 0.3}, {Kind: "drop", Share: 0.3}, {Kind: "status", Status: http.StatusBadGateway, Apply: true, Share: 0.3},
		{Kind: "status", Body: "truncated", Status: http.StatusOK, Apply: true, Share: 0.2},
		{Kind: "slow", Delay: sandbox.Duration(20 * time.Millisecond), Share: 0.5},
	}
	if w.chance(2) {
		f := kinds[w.random.IntN(len(kinds))]
		f.Seed, f.Count = w.random.Uint64(), 12
		if err := w.Sandbox.AddFaults(f); err != nil {
			w.T.Fatal(err)
		}
		what = fmt.Sprintf(", faults of kind %s %d", f.Kind, f.Status)
	}
	refused = map[string]bool{}
	if w.chance(4) {
		for range 5 {
			who := w.somebody()
			refused[who] = true
			w.markPeople(who, "conflict")
		}
		what += ", refused people"
	}
	return what, refused
}

func (w *modelled) markPeople(who, mark string) {
	w.T.Helper()
	if err := w.Sandbox.MarkPeople(sandbox.PeopleMark{People: []string{who}, Mark: mark}); err != nil {
		w.T.Fatal(err)
	}
}

// disturb cancels the run, or kills the worker at some moment of it. A killed
// worker's work is missed only after the heartbeat time-out, so that this is
// world.Seldom done.
func (w *modelled) disturb(run operate.Run) string {
	w.T.Helper()
	moment := time.Duration(w.random.IntN(120)) * time.Millisecond
	switch {
	case w.chance(8):
		w.Until("its moment has come", after(moment))
		if err := w.Operator.Cancel(w.T.Context(), run); err != nil {
			w.T.Fatal(err)
		}
		return ", cancel"
	case w.chance(12):
		w.Until("its moment has come", after(moment))
		if err := w.worker.Process.Kill(); err != nil {
			w.T.Fatal(err)
		}
		_ = w.worker.Wait()
		w.killed++
		w.worker = w.Process(w.bin, fmt.Sprintf("worker%d.log", w.killed))
		return ", the worker is killed"
	}
	return ""
}

// after is true from a time on.
func after(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}

// compare compares the list with the model, and somebody's field with the segment.
func (w *modelled) compare(what string, refused map[string]bool) {
	w.T.Helper()
	have := w.members()
	maps.DeleteFunc(w.model.list, func(_ string, on bool) bool { return !on })
	if !maps.Equal(have, w.model.list) {
		for who := range have {
			if !w.model.list[who] {
				w.T.Errorf("%s: %s is on the list and should not be", what, who)
			}
		}
		for who := range w.model.list {
			if !have[who] {
				w.T.Errorf("%s: %s should be on the list and is not", what, who)
			}
		}
	}
	if w.export.Fields.IsZero() {
		return
	}
	for who, n := range w.segment {
		if refused[who] {
			continue
		}
		var user struct {
			User struct{ DataFields struct{ N int } }
		}
		if err := json.Unmarshal(w.Call(http.MethodGet, "/api/users/"+who, ""), &user); err != nil || user.User.DataFields.N != n {
			w.T.Errorf("%s: %s has n = %d, want %d (%v)", what, who, user.User.DataFields.N, n, err)
		}
	}
}

// listID is the id of the list, 0 while there is none.
func (w *modelled) listID() int64 {
	for _, p := range w.Sandbox.Stats(false).Projects {
		for _, l := range p.Lists {
			if l.Name == "Model" {
				return l.ID
			}
		}
	}
	return 0
}

func (w *modelled) members() map[string]bool {
	w.T.Helper()
	have := map[string]bool{}
	if id := w.listID(); id != 0 {
		people, err := w.Sandbox.Members(id)
		if err != nil {
			w.T.Fatal(err)
		}
		for _, who := range people {
			have[who] = true
		}
	}
	return have
}
