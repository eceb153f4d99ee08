package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/trial"
	"iterable-segment-export/schemas"
)

// tryingTemporal notes the options of what is started, and may refuse it.
type tryingTemporal struct {
	fakeTemporal
	options []client.StartWorkflowOptions
	refuse  error
}

func (f *tryingTemporal) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, w any, args ...any) (client.WorkflowRun, error) {
	f.options = append(f.options, o)
	if f.refuse != nil {
		return nil, f.refuse
	}
	return f.fakeTemporal.ExecuteWorkflow(ctx, o, w, args...)
}

// GetWorkflowHistory finds nothing: the run that was joined has just been deleted.
func (*tryingTemporal) GetWorkflowHistory(context.Context, string, string, bool, enums.HistoryEventFilterType) client.HistoryEventIterator {
	return noHistory{}
}

type noHistory struct{}

func (noHistory) HasNext() bool { return false }

func (noHistory) Next() (*history.HistoryEvent, error) {
	return nil, serviceerror.NewNotFound("no such run")
}

// TestATrialKeepsPeopleOutOfTemporal: neither what a trial is started with nor its idempotency
// key has the people or a hash that can be guessed, and the data root has them until it ends.
func TestATrialKeepsPeopleOutOfTemporal(t *testing.T) {
	f := &tryingTemporal{}
	office, gate := officeWith(t, &f.fakeTemporal)
	office.Client = f
	root, err := office.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.schedules = map[string]schemas.ScheduledInput{"Spring": scheduleOf(t, gate, "Spring")}
	ann := office.As(schemas.Person{Name: "ann", Role: schemas.RoleAdministrator})
	in := StartRequest{Export: "Spring", Trial: &TrialRequest{Only: []string{"quetzal@example.com", " u1 "}}, Key: "k"}
	if _, err := ann.Start(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if len(f.started) != 1 {
		t.Fatalf("%d started", len(f.started))
	}
	e := f.started[0].Export
	s := e.Segments[0]
	if e.Name != "Spring (trial)" || s.Name != "Spring (trial)" || s.Source != "segments/Spring" || e.Mode != schemas.ModeAppend || e.Record != schemas.RecordAll ||
		!e.Schedule.Off || !f.started[0].Full || s.Trial.Limit != schemas.MostTried || f.started[0].Grant == nil {
		t.Errorf("started %+v", f.started[0])
	}
	sent, err := json.Marshal([]any{f.started, f.options})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	sums := [][32]byte{sha256.Sum256([]byte("quetzal@example.com")), sha256.Sum256(body)}
	for _, word := range []string{"quetzal", hex.EncodeToString(sums[0][:8]), hex.EncodeToString(sums[1][:8])} {
		if bytes.Contains(bytes.ToLower(sent), []byte(word)) {
			t.Errorf("Temporal gets %s: %s", word, sent)
		}
	}
	people, err := trial.Read(t.Context(), root, "marketing", e.Name, s.Trial.People)
	if err != nil || !people.Has([]byte("quetzal@example.com"), nil) || !people.Has(nil, []byte("u1")) || people.Has([]byte("bo@example.com"), nil) {
		t.Errorf("the data root has %+v, %v", people, err)
	}
	files := 2 // the salt, and those of the first
	for _, refuse := range []error{
		serviceerror.NewInvalidArgument("too large"), serviceerror.NewWorkflowExecutionAlreadyStarted("by another one", "", "other"),
		serviceerror.NewUnavailable("it may have been started"),
	} {
		f.refuse = refuse
		if _, err := ann.Start(t.Context(), in); err == nil {
			t.Errorf("%v: it is started", refuse)
		}
		if errors.As(refuse, new(*serviceerror.Unavailable)) {
			files++ // a trial may be reading them
		}
		left, err := root.List(t.Context(), dataroot.TrialsDir)
		if err != nil || len(left) != files {
			t.Errorf("%v: there are %v, %v", refuse, left, err)
		}
	}
}

// TestATrialIsNotStoredInTheClear by a starter without the key with which the workers encrypt.
func TestATrialIsNotStoredInTheClear(t *testing.T) {
	f := &fakeTemporal{}
	office, gate := officeWith(t, f)
	dir := t.TempDir()
	open := func() *storage.Root {
		root, err := storage.OpenRoot(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { root.Close() })
		return root
	}
	key, err := storage.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := storage.ReadKeys(key, "")
	if err != nil {
		t.Fatal(err)
	}
	workers := open()
	workers.Encrypt(keys, dataroot.PeopleDirs...)
	if err := workers.Write(t.Context(), dataroot.ReportsDir+"/report.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	root := open()
	office.Root = func(context.Context) (*storage.Root, error) { return root, nil }
	f.schedules = map[string]schemas.ScheduledInput{"Spring": scheduleOf(t, gate, "Spring")}
	ann := office.As(schemas.Person{Name: "ann", Role: schemas.RoleAdministrator})
	in := StartRequest{Export: "Spring", Trial: &TrialRequest{Only: []string{"ann@example.com"}}, Key: "k"}
	if _, err := ann.Start(t.Context(), in); !errors.Is(err, storage.ErrKey) {
		t.Errorf("without the key: %v", err)
	}
	left, err := root.List(t.Context(), dataroot.TrialsDir)
	if err != nil || len(left) > 0 || len(f.started) > 0 {
		t.Errorf("it leaves %v and starts %v, %v", left, f.started, err)
	}
	root.Encrypt(keys, dataroot.PeopleDirs...)
	if _, err := ann.Start(t.Context(), in); err != nil {
		t.Error(err)
	}
}

// TestTrialsMoveWithTheirExport from its connection, and from no other.
func TestTrialsMoveWithTheirExport(t *testing.T) {
	for from, want := range map[string]string{"marketing": "new", "owners": "owners"} {
		f := &fakeTemporal{}
		office, gate := officeWith(t, f)
		office.Root = func(context.Context) (*storage.Root, error) { return nil, errors.New("no audit trail") }
		office.Known = func() (ConnectionSource, error) { return projects{}, nil }
		for name, connection := range map[string]string{"Spring": "marketing", schemas.TrialName("Spring"): from} {
			if err := gate.Claim(t.Context(), name, connection, "ann"); err != nil {
				t.Fatal(err)
			}
		}
		ann := office.As(schemas.Person{Name: "ann", Role: schemas.RoleAdministrator})
		if moved, err := ann.Move(t.Context(), "Spring", MoveRequest{Connection: "new"}); moved.Connection != "new" {
			t.Errorf("moved %+v, %v", moved, err)
		}
		if owner, _, err := gate.Owner(t.Context(), schemas.TrialName("Spring")); err != nil || owner.Connection != want {
			t.Errorf("the trials over %q belong to %q, want %q, %v", from, owner.Connection, want, err)
		}
	}
}

// TestTrialsThatAreRefused start nothing.
func TestTrialsThatAreRefused(t *testing.T) {
	f := &fakeTemporal{}
	office, gate := officeWith(t, f)
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	office.Root = func(context.Context) (*storage.Root, error) { return root, nil }
	spring := scheduleOf(t, gate, "Spring")
	spring.Export.Segments = append(spring.Export.Segments, schemas.Segment{Name: "Second", Source: "segments/second"})
	if in, err := gate.GrantRun(t.Context(), schemas.Person{Name: "ann", Role: schemas.RoleAdministrator}, access.ScheduledRun(spring)); err == nil {
		spring.Grant = in.Grant
	}
	countries := scheduleOf(t, gate, "Countries")
	countries.Export.Segments[0].Name, countries.Export.Segments[0].ForEach = "Customers {Country}", "Country"
	f.schedules = map[string]schemas.ScheduledInput{"Spring": spring, "Autumn": scheduleOf(t, gate, "Autumn"), "Countries": countries}
	ann := office.As(schemas.Person{Name: "ann", Role: schemas.RoleAdministrator})
	for about, in := range map[string]StartRequest{
		"needs the people to send":               {Trial: &TrialRequest{Segment: "Spring"}},
		"1 to 1000":                              {Trial: &TrialRequest{Segment: "Spring", Limit: 1001}},
		"has 2 segments":                         {Trial: &TrialRequest{Limit: 1}},
		"has no segment \"Sprong\"":              {Trial: &TrialRequest{Segment: "Sprong", Limit: 1}},
		"the list \"Second\" is one that":        {Trial: &TrialRequest{Segment: "Spring", Limit: 1, List: "second "}},
		"the list \"Autumn\" is one that export": {Trial: &TrialRequest{Segment: "Spring", Limit: 1, List: "Autumn"}},
		"\"Customers {Country}\" is one that":    {Trial: &TrialRequest{Segment: "Spring", Limit: 1, List: "customers de"}},
		"leave out check":                        {Check: true, Trial: &TrialRequest{Segment: "Spring", Limit: 1}},
		"leave out check and awaitData":          {AwaitData: true, Trial: &TrialRequest{Segment: "Spring", Limit: 1}},
		"person 2 of the trial":                  {Trial: &TrialRequest{Segment: "Spring", Only: []string{"a", ""}}},
		"begins or ends with white space":        {Trial: &TrialRequest{Segment: "Spring", Limit: 1, List: " Testers"}},
		"at most 1000 can be tried":              {Trial: &TrialRequest{Segment: "Spring", Only: many(1001)}},
	} {
		in.Export = "Spring"
		if _, err := ann.Start(t.Context(), in); err == nil || !strings.Contains(err.Error(), about) {
			t.Errorf("%s: %v", about, err)
		}
	}
	named := schemas.Export{Name: "Spring (trial)", Connection: "marketing", Email: "email", Segments: []schemas.Segment{{Name: "S", Source: "s"}}}
	if _, err := ann.Start(t.Context(), StartRequest{Definition: &named}); err == nil || !strings.Contains(err.Error(), "ends like that of a trial") {
		t.Errorf("an export with the name of a trial: %v", err)
	}
	forged := schemas.Export{Name: "Forged", Connection: "marketing", Email: "email", Segments: []schemas.Segment{{Name: "S", Source: "s", Trial: &schemas.Trial{Limit: 1}}}}
	if _, err := ann.Start(t.Context(), StartRequest{Definition: &forged}); err == nil {
		t.Error("a definition selects what is tried")
	}
	contributor := office.As(schemas.Person{Name: "bo", Role: schemas.RoleContributor})
	office.Known = func() (ConnectionSource, error) { return projects{}, nil }
	if _, err := contributor.Start(t.Context(), StartRequest{Export: "Spring", Trial: &TrialRequest{Segment: "Spring", Limit: 1}}); !access.IsRefused(err, schemas.ErrorNotAllowed) {
		t.Errorf("over a connection that is not shared: %v", err)
	}
	if len(f.started) > 0 {
		t.Errorf("started %+v", f.started)
	}
}

// TestATrialOfADividedSegment has one list, and knows how the segment is divided: with the salt that
// a run has, which is the segment's name.
func TestATrialOfADividedSegment(t *testing.T) {
	split := &schemas.Split{Groups: map[string]string{"A": "90%", "control": "10%"}, Holdout: []string{"control"}}
	for _, s := range []schemas.Segment{
		{Name: "In {Country}", Source: "s", ForEach: "Country", MaxLists: 7, Vanished: schemas.VanishedKeep},
		{Name: "Spring", Source: "s", Split: split},
	} {
		e := schemas.Export{Name: "Spring", Connection: "marketing", Email: "email", Segments: []schemas.Segment{s}}
		tried, err := trialOf(e, TrialRequest{Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		one := tried.Segments[0]
		of, ok := one.Trial.Divided()
		if one.Divided() || one.Name != schemas.TrialName(s.Name) || !ok || of.ForEach != s.ForEach || of.MaxLists != s.MaxLists {
			t.Errorf("%+v tries %+v", one, of)
		}
		if s.Split != nil && fmt.Sprint(of.Groups()) != fmt.Sprint(s.Groups()) {
			t.Errorf("it tries the groups %+v of %+v", of.Groups(), s.Groups())
		}
	}
}

// TestATrialKeepsARecord of the people that it names or sends, also where runs keep none.
func TestATrialKeepsARecord(t *testing.T) {
	e := schemas.Export{Name: "Spring", Connection: "marketing", Email: "email", Segments: []schemas.Segment{{Name: "S", Source: "s"}}}
	for _, c := range []struct {
		record, want string
		in           TrialRequest
	}{
		{"", schemas.RecordAll, TrialRequest{Limit: 1}},
		{schemas.RecordNone, schemas.RecordSent, TrialRequest{Limit: 1}},
		{schemas.RecordNone, schemas.RecordAll, TrialRequest{Limit: 1, Only: []string{"u1"}}}, // only of these
	} {
		e.Record = c.record
		if tried, err := trialOf(e, c.in); err != nil || tried.Record != c.want {
			t.Errorf("record: %q, %+v: %q, want %q, %v", c.record, c.in, tried.Record, c.want, err)
		}
	}
}

// many returns that many people.
func many(n int) (out []string) {
	for i := range n {
		out = append(out, strings.Repeat("x", i%1000+1)+strings.Repeat("y", i/1000))
	}
	return slices.Compact(out)
}
