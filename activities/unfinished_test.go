package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

var springExport = schemas.Export{Name: "Spring", Connection: "sandbox", Email: "Mail", Fields: schemas.Fields{All: true}, Settings: schemas.Settings{OnInvalid: schemas.InvalidReject}}

// remembers writes the next snapshot, of one member, and returns its path.
func (b *bench) remembers(t *testing.T, run schemas.RunRef, list int64, address string) string {
	t.Helper()
	u := snapshot.NewUpdate("", 0)
	m := member(address)
	if err := u.Put(&m); err != nil {
		t.Fatal(err)
	}
	versions, err := b.snapshotVersions(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	old := openedSnapshot{}
	if len(versions) > 0 {
		old.version = versions[len(versions)-1]
	}
	if err := b.publish(t.Context(), run, u, old, header(run, springExport, list, schemas.ProjectEmail)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(b.dir, filepath.FromSlash(snapshotKey(run, schemas.SnapshotName(old.version+1))))
}

const testAttempt = "0123456789abcdef0123456789abcdef"

func member(address string) snapshot.Member {
	return snapshot.Member{Key: batch.KeyHash([]byte(address), nil, schemas.ProjectEmail), Fields: 100, Email: []byte(address)}
}

// sent is what a run has staged of a kind, and of which batches it has the answer.
type sent struct {
	kind     string
	people   []string // one a batch
	answered int      // the first so many
	begun    bool     // requests may have been made for all of them
}

// leftBehind leaves what a run does that ended while it sent people.
func (b *bench) leftBehind(t *testing.T, run schemas.RunRef, list int64, all ...sent) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.sign(t.Context(), schemas.StageInput{Run: run, Export: springExport, Connection: schemas.ConnectionInfo{ProjectType: schemas.ProjectEmail}}))
	in := schemas.UploadInput{Run: run, Attempt: testAttempt, ListID: list}
	must(b.announce(t.Context(), run, pending{Attempt: testAttempt, ListID: list}))
	for _, kind := range []string{schemas.Subscribe, schemas.Unsubscribe} {
		file, err := b.Root.Create(t.Context(), path.Join(schemas.StagedDir(run, testAttempt), stagedName(kind)))
		must(err)
		w, err := batch.NewWriter(file, batch.Limits{Profiles: 1, BodyBytes: 4 << 20},
			batch.Options{Body: batch.BodyOptions{ListID: list}, Unsubscribe: kind == schemas.Unsubscribe})
		must(err)
		for _, s := range all {
			if s.kind != kind {
				continue
			}
			for _, who := range s.people {
				m := member(who)
				must(w.Append(batch.Profile{Email: m.Email, Key: m.Key, Fields: m.Fields}))
			}
			if in.Kind, in.End = kind, len(s.people); s.begun {
				must(b.writeAnswered(t.Context(), in, "1", schemas.UploadProgress{Next: s.answered, Counts: schemas.UploadCounts{Sent: int64(s.answered)}}))
			}
		}
		must(w.Close())
		must(file.Close())
	}
}

// entries are the addresses that the snapshot has, with their hashes.
func (b *bench) entries(t *testing.T, run schemas.RunRef, list int64) map[string]uint64 {
	t.Helper()
	o, err := b.readSnapshot(t.Context(), run, header(run, springExport, list, schemas.ProjectEmail))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	found := map[string]uint64{}
	if err := o.Each(t.Context(), func(m *snapshot.Member) error { found[string(m.Email)] = m.Fields; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

// sameEntries fails the test unless the snapshot holds just these.
func (b *bench) sameEntries(t *testing.T, run schemas.RunRef, list int64, want map[string]uint64) {
	t.Helper()
	if got := b.entries(t, run, list); !maps.Equal(got, want) {
		t.Errorf("the snapshot has %v, want %v", got, want)
	}
}

// TestNotesThatAreLostMakeNothingCertain: a dead run has sent, and what Iterable answered is
// damaged or gone with all that was staged. Then nobody counts as unchanged.
func TestNotesThatAreLostMakeNothingCertain(t *testing.T) {
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	notes := path.Join(schemas.StagedDir(before, testAttempt), answeredDir)
	for name, c := range map[string]struct {
		lose func(b *bench) error
		want map[string]uint64
	}{
		"damaged": {func(b *bench) error {
			return b.Root.Write(t.Context(), path.Join(notes, "subscribe-000000000-1.json"), []byte("{"))
		}, map[string]uint64{"eve@example.com": snapshot.Unknown, "ann@example.com": snapshot.Unconfirmed}},
		"gone": {func(b *bench) error {
			return errors.Join(b.announce(t.Context(), before, pending{Attempt: testAttempt, ListID: 7, Sent: true}),
				b.Root.DeletePrefix(t.Context(), schemas.StagingDir(before)))
		}, map[string]uint64{"eve@example.com": snapshot.Unknown}},
		"the marker too": {func(b *bench) error {
			return errors.Join(b.Root.Write(t.Context(), pendingKey(before, testAttempt), []byte("{")), b.Root.DeletePrefix(t.Context(), notes))
		}, map[string]uint64{"eve@example.com": snapshot.Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
			b.remembers(t, before, 7, "eve@example.com")
			b.leftBehind(t, before, 7, sent{schemas.Subscribe, []string{"ann@example.com"}, 1, true})
			if err := c.lose(b); err != nil {
				t.Fatal(err)
			}
			if err := b.absorb(t.Context(), run, springExport, 7, nil); err != nil {
				t.Fatal(err)
			}
			b.sameEntries(t, run, 7, c.want)
		})
	}
}

// TestAnOldComparisonSendsNothing: a run is reset in Temporal to where it was about to send,
// after another one has changed the list.
func TestAnOldComparisonSendsNothing(t *testing.T) {
	s := sandbox.New(sandbox.Config{Fast: true})
	b := newBench(t, s)
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	b.remembers(t, run, 7, "eve@example.com")
	b.leftBehind(t, run, 7, sent{schemas.Unsubscribe, []string{"eve@example.com"}, 0, false})
	b.remembers(t, schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}, 7, "eve@example.com")
	in := schemas.UploadInput{
		Run: run, Connection: schemas.ConnectionInfo{Name: "sandbox"}, ListID: 7, Kind: schemas.Unsubscribe, End: 1, Attempt: testAttempt, SnapshotVersion: 1,
	}
	_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, in)
	isOfType(t, err, schemas.ErrorStaging)
	if n := s.Stats(false).Endpoints["lists/unsubscribe"].Requests; n > 0 || err == nil || !strings.Contains(err.Error(), "another run has changed the list") {
		t.Errorf("%d requests, %v", n, err)
	}
}

// TestAnAbortedRunKeepsTheMappingOfTheOthers: most of the snapshot is as the mapping before
// made it, so that the next run still knows that everybody is sent again.
func TestAnAbortedRunKeepsTheMappingOfTheOthers(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	b.remembers(t, run, 7, "eve@example.com")
	b.leftBehind(t, run, 7, sent{schemas.Subscribe, []string{"ann@example.com"}, 1, true})
	other := springExport
	other.Fields = schemas.Fields{List: []schemas.Field{{Column: "Value", As: "worth"}}}
	if err := b.sign(t.Context(), schemas.StageInput{Run: run, Export: other, Connection: schemas.ConnectionInfo{ProjectType: schemas.ProjectEmail}}); err != nil {
		t.Fatal(err)
	}
	if err := b.absorb(t.Context(), run, other, 7, nil); err != nil {
		t.Fatal(err)
	}
	o, err := b.readSnapshot(t.Context(), run, header(run, other, 7, schemas.ProjectEmail))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if !o.MappingChanged() {
		t.Error("the snapshot has the mapping of the run that was aborted")
	}
}

// TestWhatAnUnfinishedRunHasDone: what Iterable has acknowledged is known, what it was
// perhaps asked for is in doubt, and what it was not asked for has no effect.
func TestWhatAnUnfinishedRunHasDone(t *testing.T) {
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	people := []string{"ann@example.com", "bob@example.com"}
	const hash = 100
	for name, c := range map[string]struct {
		sent sent
		want map[string]uint64
	}{
		"added, and perhaps added": {sent{schemas.Subscribe, people, 1, true},
			map[string]uint64{"eve@example.com": hash, "ann@example.com": hash, "bob@example.com": snapshot.Unconfirmed}},
		"never asked for": {sent{schemas.Subscribe, people, 0, false}, map[string]uint64{"eve@example.com": hash}},
		"perhaps updated": {sent{schemas.Subscribe, []string{"eve@example.com"}, 0, true}, map[string]uint64{"eve@example.com": snapshot.Unknown}},
		"removed":         {sent{schemas.Unsubscribe, []string{"eve@example.com"}, 1, true}, map[string]uint64{}},
		"perhaps removed": {sent{schemas.Unsubscribe, []string{"eve@example.com"}, 0, true}, map[string]uint64{"eve@example.com": snapshot.Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
			b.remembers(t, before, 7, "eve@example.com")
			b.leftBehind(t, before, 7, c.sent)
			for range 2 { // done twice, it is the same
				if err := b.absorb(t.Context(), run, springExport, 7, nil); err != nil {
					t.Fatal(err)
				}
				b.sameEntries(t, run, 7, c.want)
			}
			if left, err := b.unfinishedRuns(t.Context(), run); err != nil || len(left) > 0 {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

// TestOnlyTheDeadRunIsTakenAccountOf: another run may have begun meanwhile, and its marker
// stays.
func TestOnlyTheDeadRunIsTakenAccountOf(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	dead := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	alive := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	for _, run := range []schemas.RunRef{dead, alive} {
		b.leftBehind(t, run, 7, sent{schemas.Subscribe, []string{run.RunID + "@example.com"}, 1, true})
	}
	if err := b.absorb(t.Context(), dead, springExport, 0, func(p pending) bool { return p.RunID == "r1" }); err != nil {
		t.Fatal(err)
	}
	b.sameEntries(t, dead, 7, map[string]uint64{"r1@example.com": 100})
	if left, err := b.unfinishedRuns(t.Context(), dead); err != nil || len(left) != 1 || left[pendingKey(alive, testAttempt)].RunID != "r2" {
		t.Errorf("%v, %v", left, err)
	}
}

// TestALateSnapshotReplacesNone: a commit that stalled before it published comes after that
// of the next run.
func TestALateSnapshotReplacesNone(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	late := func(old int64) error {
		u := snapshot.NewUpdate("", 0)
		m := member("late@example.com")
		if err := u.Put(&m); err != nil {
			t.Fatal(err)
		}
		return b.publish(t.Context(), run, u, openedSnapshot{version: old}, header(run, springExport, 7, schemas.ProjectEmail))
	}
	b.remembers(t, run, 7, "ann@example.com")
	if err := late(0); !errors.Is(err, storage.ErrExists) {
		t.Errorf("beside the one that was published: %v", err)
	}
	b.sameEntries(t, run, 7, map[string]uint64{"ann@example.com": 100})
	b.remembers(t, run, 7, "bob@example.com") // deletes the first
	if err := late(0); err != nil {
		t.Logf("it was published, and is not the newest: %v", err)
	}
	b.sameEntries(t, run, 7, map[string]uint64{"bob@example.com": 100})
}

// TestWhoIsNotSureToBeOnTheListCountsForNothing: additions without an answer neither make
// removals look few nor are removed themselves.
func TestWhoIsNotSureToBeOnTheListCountsForNothing(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	b.remembers(t, before, 7, "ann@example.com")
	var strangers []string
	people := map[string]float64{}
	for i := range 25 {
		strangers = append(strangers, fmt.Sprintf("p%d@example.com", i))
		people[strangers[i]] = 1
	}
	b.leftBehind(t, before, 7, sent{schemas.Subscribe, strangers, 0, true})
	m := b.stage(t, schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}, people)
	if m.Members != 1 || m.Removals != 1 || m.Adds != 25 || m.Updates != 0 {
		t.Errorf("with them in the segment: %+v", m)
	}
	m = b.stage(t, schemas.RunRef{Export: "Spring", RunID: "r3", Segment: "High-value"}, map[string]float64{"ann@example.com": 1})
	if m.Members != 1 || m.Removals != 0 || m.Unconfirmed != 25 {
		t.Errorf("without them: %+v", m)
	}
}

// TestNothingIsSentToAListThatWasHandedOver: another export has taken it since the run asked
// for it.
func TestNothingIsSentToAListThatWasHandedOver(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	list := iterable.List{ID: 7}
	in := schemas.UploadInput{Run: run, Connection: schemas.ConnectionInfo{Name: "sandbox"}, ListID: 7, ListOwner: ownerName(list), Kind: schemas.Subscribe, End: 1, Attempt: testAttempt}
	for export, want := range map[string]string{"Spring": "missing", "Autumn": "was handed over to segment \"High-value\" of export \"Autumn\""} {
		if err := b.Root.DeletePrefix(t.Context(), schemas.ListOwners); err != nil {
			t.Fatal(err)
		}
		o := ownership{Activities: b.Activities, in: schemas.EnsureListInput{Run: schemas.RunRef{Export: export, Segment: run.Segment}, Connection: "sandbox"}}
		if _, err := o.claim(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, in)
		isOfType(t, err, schemas.ErrorStaging)
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("filled by %s: %v", export, err)
		}
	}
}

// TestStagingAnnouncesItself before anything else, so that a run that follows knows of it
// whatever becomes of it.
func TestStagingAnnouncesItself(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	var changed []string
	b.Root.Around = func(_ context.Context, key string, _, do func() error) error {
		changed = append(changed, key)
		return do()
	}
	m := b.stage(t, run, map[string]float64{"ann@example.com": 1})
	if changed[0] != pendingKey(run, m.Attempt) {
		t.Errorf("the first change is %s", changed[0])
	}
	left, err := b.unfinishedRuns(t.Context(), run)
	if p := left[pendingKey(run, m.Attempt)]; err != nil || len(left) != 1 || p.Execution == "" || p.ListID != 7 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestARunWaitsForTheLeaseOfAnother workflow execution, and not for its own.
func TestARunWaitsForTheLeaseOfAnother(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	info := activity.Info{HeartbeatTimeout: time.Hour, WorkflowExecution: workflow.Execution{RunID: "mine"}}
	if err := outlive(ctx, info, pending{Execution: "mine"}); err != nil {
		t.Error(err)
	}
	if err := outlive(ctx, info, pending{Execution: "mine"}, pending{Execution: "another"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: it does not wait", err)
	}
}

// TestAListThatCameBackIsSentInFull: another export may have changed it meanwhile, also if
// the first run after that came to nothing, and if no run has come to its end at all.
func TestAListThatCameBackIsSentInFull(t *testing.T) {
	t.Run("after a run", func(t *testing.T) { listThatCameBack(t, true) })
	t.Run("after none", func(t *testing.T) { listThatCameBack(t, false) })
}

func listThatCameBack(t *testing.T, done bool) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	if done {
		b.remembers(t, before, 7, "ann@example.com")
	}
	other := schemas.RunRef{Export: "Autumn", RunID: "r3", Segment: "High-value"}
	for _, who := range []schemas.RunRef{other, run} {
		o := ownership{Activities: b.Activities, in: schemas.EnsureListInput{Run: who, Connection: "sandbox"}, deployment: "d"}
		_, err := o.claim(t.Context(), iterable.List{ID: 7})
		var asks *temporal.ApplicationError
		if errors.As(err, &asks) {
			o.in.TakeFrom = asks.Message()
			_, err = o.claim(t.Context(), iterable.List{ID: 7})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b.leftBehind(t, before, 7, sent{schemas.Subscribe, []string{"bob@example.com"}, 1, true})
	if err := b.absorb(t.Context(), run, springExport, 7, nil); err != nil {
		t.Fatal(err)
	}
	in := schemas.StageInput{Run: run, Export: springExport, Connection: schemas.ConnectionInfo{ProjectType: schemas.ProjectEmail}, ListID: 7}
	for owner, full := range map[string]bool{"": false, ownerName(iterable.List{ID: 7}): true} {
		in.ListOwner = owner
		c, err := b.compareWith(t.Context(), in, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if c.full != full {
			t.Errorf("owner record %q: full %v, want %v (%v)", owner, c.full, full, c.warnings)
		}
	}
}

// TestADamagedSnapshotIsGivenUp.
func TestADamagedSnapshotIsGivenUp(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	file := b.remembers(t, before, 7, "ann@example.com")
	b.leftBehind(t, before, 7, sent{schemas.Subscribe, []string{"eve@example.com"}, 1, true})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(ipc.Magic)+200] ^= 1 // in the first batch
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.absorb(t.Context(), run, springExport, 7, nil); err != nil {
		t.Fatalf("a damaged snapshot: %v", err)
	}
	b.sameEntries(t, run, 7, map[string]uint64{"eve@example.com": 100})
}

// stage stages people with a value each, over a connection that may read them.
func (b *bench) stage(t *testing.T, run schemas.RunRef, people map[string]float64) schemas.Manifest {
	t.Helper()
	source := filepath.Join(t.TempDir(), "people.arrow")
	b.source = source
	writePeople(t, source, people)
	b.Activities.Connections = oneConnection{schemas.Connection{Name: "sandbox", AllowedSources: []string{filepath.Dir(source)}}}
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	s := schemas.Segment{Name: "High-value", Source: source}
	seg, err := b.inspect(t.Context(), springExport, s, time.Now(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.env.ExecuteActivity(schemas.ActivityStageSegment, schemas.StageInput{
		Run: run, Export: springExport, Segment: s, Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: schemas.ProjectEmail},
		Info: seg.Info(), ListID: 7,
	})
	var m schemas.Manifest
	if err == nil {
		err = v.Get(&m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAStartOverBeginsAfresh: whom Iterable refused before the run started over has been
// sent again since, and may have been taken; what was acknowledged before is known.
func TestAStartOverBeginsAfresh(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	b.leftBehind(t, run, 7, sent{schemas.Subscribe, []string{"bob@example.com"}, 1, true})
	m := b.stage(t, run, map[string]float64{"ann@example.com": 1})
	if m.Adds != 1 || m.Removals != 1 || m.Members != 1 {
		t.Errorf("%+v", m)
	}
	files, err := b.Root.List(t.Context(), schemas.StagingDir(run))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.Contains(f.Name, testAttempt) {
			t.Errorf("%s is left of the earlier start", f.Name)
		}
	}
}

// TestABadValueTakesNobodyOffTheList: somebody whose row can't be sent has not left
// the segment.
func TestABadValueTakesNobodyOffTheList(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	b.remembers(t, run, 7, "ann@example.com")
	m := b.stage(t, run, map[string]float64{"ann@example.com": math.NaN(), "eve@example.com": math.NaN(), "bob@example.com": 1})
	if m.Removals != 0 || m.Adds != 1 || m.Rejected[schemas.ReasonInvalidValue] != 2 || m.Members != 1 {
		t.Errorf("%+v", m)
	}
	if m = b.stage(t, run, map[string]float64{"bob@example.com": 1}); m.Removals != 1 {
		t.Errorf("who has left the segment: %+v", m)
	}
}

func writePeople(t *testing.T, file string, people map[string]float64) {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "Mail", Type: arrow.BinaryTypes.String}, {Name: "Value", Type: arrow.PrimitiveTypes.Float64}}, nil)
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer build.Release()
	for who, value := range people {
		build.Field(0).(*array.StringBuilder).Append(who)
		build.Field(1).(*array.Float64Builder).Append(value)
	}
	writeRecord(t, file, build.NewRecord())
}

// TestARunThatEndsEarlyForgetsNobody: it ends before it knows its list, and an
// earlier one may have put somebody on it, of whom the next run takes account.
func TestARunThatEndsEarlyForgetsNobody(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.CloseRun, activity.RegisterOptions{Name: schemas.ActivityCloseRun})
	before := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	b.remembers(t, before, 7, "ann@example.com")
	b.leftBehind(t, before, 7, sent{schemas.Subscribe, []string{"bob@example.com"}, 1, true})
	in := schemas.CloseInput{Run: run, Export: springExport, Segment: schemas.Segment{Name: "High-value"}, Report: schemas.ExportReport{State: schemas.StateAborted}}
	if _, err := b.env.ExecuteActivity(schemas.ActivityCloseRun, in); err != nil {
		t.Fatal(err)
	}
	b.sameEntries(t, run, 7, map[string]uint64{"ann@example.com": 100})
	if err := b.absorb(t.Context(), run, springExport, 7, nil); err != nil {
		t.Fatal(err)
	}
	b.sameEntries(t, run, 7, map[string]uint64{"ann@example.com": 100, "bob@example.com": 100})
}

// TestWhoIsNotSureToBeOnTheListIsSentAgain, and who is not sure to be off it is kept.
func TestWhoIsNotSureToBeOnTheListIsSentAgain(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.CommitSnapshot, activity.RegisterOptions{Name: schemas.ActivityCommitSnapshot})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	people := map[string]float64{"ann@example.com": 1}
	b.remembers(t, run, 7, "bob@example.com")
	m := b.stage(t, schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}, people)
	if m.Adds != 1 || m.Removals != 1 {
		t.Fatalf("%+v", m)
	}
	run.RunID = "r2"
	for _, kind := range []string{schemas.Subscribe, schemas.Unsubscribe} {
		in := schemas.UploadInput{Run: run, Attempt: m.Attempt, Kind: kind, End: 1}
		staged, err := b.openStaged(t.Context(), path.Join(schemas.StagedDir(run, m.Attempt), stagedName(kind)))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := staged.batch(0)
		if err == nil {
			err = b.writeRefusals(t.Context(), in, 0, rows, []refusal{{row: 0, unsure: true}})
			rows.Release()
		}
		staged.close()
		if err == nil {
			err = b.writeAnswered(t.Context(), in, "1", schemas.UploadProgress{Next: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	in := schemas.CommitInput{Run: run, Export: springExport, Segment: schemas.Segment{Name: "High-value"},
		Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: schemas.ProjectEmail},
		Report:     schemas.ExportReport{ListID: 7, Manifest: m, State: schemas.StateDone}}
	v, err := b.env.ExecuteActivity(schemas.ActivityCommitSnapshot, in)
	var report schemas.ExportReport
	if err == nil {
		err = v.Get(&report)
	}
	if err != nil || report.Rejects != "" {
		t.Fatalf("%+v, %v", report, err)
	}
	run.RunID = "r3"
	if m = b.stage(t, run, people); m.Updates != 0 || m.Adds != 1 || m.Removals != 1 || m.Unchanged != 0 || m.Members != 1 {
		t.Errorf("%+v", m)
	}

	// What it staged after a reset in Temporal is not held to be published.
	reset := in
	reset.Run.RunID, reset.Report.Manifest.Attempt = "r2", testAttempt
	_, err = b.env.ExecuteActivity(schemas.ActivityCommitSnapshot, reset)
	isOfType(t, err, schemas.ErrorStaging)

	// A run that was done is not done again when Temporal is made to begin it anew.
	run.RunID = "r2"
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: "again"})
	_, err = b.env.ExecuteActivity("again", schemas.StageInput{Run: run, Export: springExport, Segment: schemas.Segment{Name: "High-value", Source: b.source},
		Connection: in.Connection, ListID: 7})
	isOfType(t, err, schemas.ErrorStaging)
	if err != nil && !strings.Contains(err.Error(), "was done already") {
		t.Error(err)
	}
}

// TestARepeatForgetsWhatWasRefused: an earlier try of a batch may have been refused
// people whom this one was not.
func TestARepeatForgetsWhatWasRefused(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	in := schemas.UploadInput{Run: run, Attempt: testAttempt, Kind: schemas.Subscribe, First: 100, End: 200}
	if err := b.writeRefusals(t.Context(), in, 150, twoPeople(t), []refusal{{row: 1, reason: schemas.ReasonIterableConflict}}); err != nil {
		t.Fatal(err)
	}
	removal, next := in, in
	removal.Kind, next.First, next.End = schemas.Unsubscribe, 200, 300
	for _, other := range []schemas.UploadInput{removal, next} {
		if found, err := b.refusedBatches(t.Context(), other); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
	}
	found, err := b.refusedBatches(t.Context(), in)
	if err != nil || len(found) != 1 || !found[150] {
		t.Fatalf("%v, %v", found, err)
	}
	if err := b.writeRefusals(t.Context(), in, 150, nil, nil); err != nil {
		t.Fatal(err)
	}
	if left, err := b.refusalFiles(t.Context(), run, testAttempt); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// TestAnUploadThatCannotBeginKeepsItsProgress.
func TestAnUploadThatCannotBeginKeepsItsProgress(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, schemas.UploadInput{
		Run:        schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"},
		Connection: schemas.ConnectionInfo{Name: "sandbox", Host: "elsewhere.example.com"}, ListID: 1, Kind: schemas.Subscribe, End: 100,
		Resume: &schemas.UploadProgress{Next: 40, Done: []int{42}, Counts: schemas.UploadCounts{Sent: 41_000}},
	})
	isOfType(t, err, schemas.ErrorNoConnection)
	var app *temporal.ApplicationError
	var p schemas.UploadProgress
	if !errors.As(err, &app) || app.Details(&p) != nil || p.Next != 40 || len(p.Done) != 1 || p.Counts.Sent != 41_000 {
		t.Errorf("%+v of %v", p, err)
	}
}
