package activities

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/arrowfile/arrowtest"
	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// identity is a row: an address and a user id, either of them null where empty.
type identity struct{ email, userID string }

// empty is a value that is there, and has nothing in it.
const empty = "empty"

// stageIdentities stages rows for a project of that type, after a run that left
// those members.
func stageIdentities(t *testing.T, project string, members, rows []identity) schemas.Manifest {
	t.Helper()
	_, m := stageIdentitiesBy(t, schemas.ModeMirror, project, members, rows)
	return m
}

// stageIdentitiesBy is stageIdentities in a mode, and returns the bench too.
func stageIdentitiesBy(t *testing.T, mode, project string, members, rows []identity) (*bench, schemas.Manifest) {
	t.Helper()
	b, m, err := stageSuppressed(t, mode, project, members, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b, m
}

// stageSuppressed is stageIdentitiesBy with suppression lists, whose sources are in its folder.
func stageSuppressed(t *testing.T, mode, project string, members, rows []identity, lists func(folder string) []schemas.Suppression) (*bench, schemas.Manifest, error) {
	t.Helper()
	return stageAfter(t, mode, project, members, nil, rows, lists)
}

// stageAfter is stageSuppressed after a run that also got no answer about some members.
func stageAfter(t *testing.T, mode, project string, members, unconfirmed, rows []identity, lists func(folder string) []schemas.Suppression) (*bench, schemas.Manifest, error) {
	t.Helper()
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	folder := t.TempDir()
	connection := schemas.Connection{Name: "sandbox", ProjectType: project, AllowedSources: []string{folder}}
	if lists != nil {
		never := t.TempDir()
		connection.Suppress = lists(never)
	}
	b.Activities.Connections = oneConnection{connection}
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	export := schemas.Export{Name: "Spring", Connection: "sandbox", Email: "Mail", UserID: "Id", Settings: schemas.Settings{Mode: mode}}
	if project == schemas.ProjectEmail && lists != nil && !(connection.Suppress[0].ByEmail() && connection.Suppress[0].ByUserID()) {
		export.UserID = ""
	}
	run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
	if len(members)+len(unconfirmed) > 0 {
		u := snapshot.NewUpdate("", 0)
		for i, who := range slices.Concat(members, unconfirmed) {
			m := snapshot.Member{Email: []byte(who.email), UserID: []byte(who.userID)}
			m.Key, m.Fields = batch.KeyHash(m.Email, m.UserID, project), batch.FieldsHash(batch.MappingSeed(export.MappingFingerprint(project)), m.Email, m.UserID, nil)
			put := u.Put
			if i >= len(members) {
				put = u.Doubt
			}
			if err := put(&m); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Ledger().Publish(t.Context(), run, u, ledger.Opened{}, ledger.NewHeader(run, export, 7, project)); err != nil {
			t.Fatal(err)
		}
	}
	s := schemas.Segment{Name: "High-value", Source: folder}
	writeIdentities(t, filepath.Join(folder, "people.arrow"), rows)
	seg, err := b.inspect(t.Context(), export, s, time.Now(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.input = schemas.StageInput{
		Run: run, Export: export, Segment: s, Connection: schemas.ConnectionInfo{Name: "sandbox", ProjectType: project}, Info: seg.Info(), ListID: 7,
	}
	m, err := b.stageInput(b.input)
	return b, m, err
}

// stageInput stages a segment.
func (b *bench) stageInput(in schemas.StageInput) (m schemas.Manifest, err error) {
	v, err := b.env.ExecuteActivity(schemas.ActivityStageSegment, in)
	if err == nil {
		err = v.Get(&m)
	}
	return m, err
}

// TestPeopleAreKnownByWhatTheProjectKnowsThemBy stages the same rows for projects of
// every type.
func TestPeopleAreKnownByWhatTheProjectKnowsThemBy(t *testing.T) {
	rows := []identity{
		{"ann@example.com", "u1"}, {"ANN@example.com", "u2"}, {"bob@example.com", "u1"},
		{"eve@example.com", ""}, {"", "u3"}, {"dan@example.com", " u4"},
	}
	one := func(r schemas.Reason, n int64) map[schemas.Reason]int64 { return map[schemas.Reason]int64{r: n} }
	for project, want := range map[string]schemas.Manifest{
		schemas.ProjectEmail:  {Adds: 3, Duplicates: 1, Rejected: map[schemas.Reason]int64{schemas.ReasonMissing: 1, schemas.ReasonInvalidUserID: 1}},
		schemas.ProjectUserID: {Adds: 3, Duplicates: 1, Rejected: one(schemas.ReasonInvalidUserID, 2)},
		schemas.ProjectHybrid: {Adds: 4, Duplicates: 1, Rejected: one(schemas.ReasonInvalidUserID, 1)},
	} {
		t.Run(project, func(t *testing.T) { staged(t, stageIdentities(t, project, nil, rows), want) })
	}
}

// TestNobodyLeavesByAnOldIdentity: in a hybrid project somebody who is in the segment
// by any identifier stays on the list, whatever they were known by before.
func TestNobodyLeavesByAnOldIdentity(t *testing.T) {
	members := []identity{{"ann@example.com", ""}, {"bob@example.com", "u2"}, {"eve@example.com", "u3"}, {"dan@example.com", ""}}
	m := stageIdentities(t, schemas.ProjectHybrid, members, []identity{
		{"ann@example.com", "u1"},     // has a user id now
		{"bob.new@example.com", "u2"}, // has another address
		{"eve@example.com", ""},       // has no user id any more
	})
	staged(t, m, schemas.Manifest{Adds: 2, Updates: 1, Removals: 1, Superseded: 2, Members: 4})
}

// TestAChangedIdentifierKeepsTheMemberKnown: in a hybrid project a member is in the segment
// under another key now, and the run that sends it ends early.
func TestAChangedIdentifierKeepsTheMemberKnown(t *testing.T) {
	before := identity{"ann@example.com", ""}
	for mode, removals := range map[string]int64{schemas.ModeMirror: 1, schemas.ModeAppend: 0} {
		for answered, values := range map[int]uint64{0: snapshot.Unconfirmed, 1: 0} {
			b, m := stageIdentitiesBy(t, mode, schemas.ProjectHybrid, []identity{before, {"bob@example.com", ""}}, []identity{{"ann@example.com", "u1"}})
			if m.Adds != 1 || m.Superseded != 1 || m.Removals != removals {
				t.Fatalf("%s: %+v", mode, m)
			}
			run := schemas.RunRef{Export: "Spring", RunID: "r2", Segment: "High-value"}
			in := schemas.UploadInput{Run: run, Attempt: m.Attempt, Kind: schemas.Subscribe, End: 1}
			if err := b.Ledger().WriteAnswered(t.Context(), in, "1", schemas.UploadProgress{Next: answered}); err != nil {
				t.Fatal(err)
			}
			if err := b.Ledger().Absorb(t.Context(), run, springExport, 7, nil); err != nil {
				t.Fatal(err)
			}
			found := map[string]uint64{}
			o, err := b.Ledger().Open(t.Context(), run, ledger.NewHeader(run, springExport, 7, schemas.ProjectHybrid))
			if err == nil {
				err = o.Each(t.Context(), func(m *snapshot.Member) error {
					found[string(m.Email)+string(m.UserID)] = m.Fields
					return nil
				})
				o.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			after, known := found["ann@example.comu1"]
			if len(found) != 3 || found["ann@example.com"] != snapshot.Unknown || !known || (after == snapshot.Unconfirmed) != (values == snapshot.Unconfirmed) || after == snapshot.Unknown {
				t.Errorf("%s, %d batches answered: the snapshot has %v", mode, answered, found)
			}
		}
	}
}

// TestABadSecondIdentifierTakesNobodyOffTheList: a row that is rejected for it still
// names somebody.
func TestABadSecondIdentifierTakesNobodyOffTheList(t *testing.T) {
	members := []identity{{"ann@example.com", "u1"}, {"bob@example.com", "u2"}, {"eve@example.com", "u3"}}
	rows := []identity{{"ann@example.com", " u1"}, {"bob@", "u2"}, {"eve@example.com", empty}}
	for project, want := range map[string]schemas.Manifest{
		// bob's row does not say who he is; eve's has an id that is not there
		schemas.ProjectEmail: {Updates: 1, Removals: 1, Members: 3, Rejected: map[schemas.Reason]int64{schemas.ReasonInvalidUserID: 1, schemas.ReasonSyntax: 1}},
		// ann's and eve's rows don't
		schemas.ProjectUserID: {Removals: 2, Members: 3, Rejected: map[schemas.Reason]int64{schemas.ReasonInvalidUserID: 2, schemas.ReasonSyntax: 1}},
	} {
		t.Run(project, func(t *testing.T) { staged(t, stageIdentities(t, project, members, rows), want) })
	}
}

func staged(t *testing.T, got, want schemas.Manifest) {
	t.Helper()
	same := len(got.Rejected) == len(want.Rejected)
	for r, n := range want.Rejected {
		same = same && got.Rejected[r] == n
	}
	if !same || got.Adds != want.Adds || got.Updates != want.Updates || got.Removals != want.Removals || got.Duplicates != want.Duplicates ||
		got.Superseded != want.Superseded || got.Members != want.Members {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func writeIdentities(t testing.TB, file string, rows []identity) {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "Id", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer build.Release()
	for _, r := range rows {
		for i, value := range []string{r.email, r.userID} {
			if value == "" {
				build.Field(i).AppendNull()
			} else if value == empty {
				build.Field(i).(*array.StringBuilder).Append("")
			} else {
				build.Field(i).(*array.StringBuilder).Append(value)
			}
		}
	}
	arrowtest.Write(t, file, build.NewRecord())
}
