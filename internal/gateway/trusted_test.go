package gateway

import (
	"context"
	"sync"
	"testing"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// fakeTemporal has schedules, and notes what is started and signaled.
type fakeTemporal struct {
	client.Client

	mu        sync.Mutex
	schedules map[string]schemas.ScheduledInput // by the name of the export
	paused    bool
	started   []schemas.RunInput
	lists     int
	described int
	signal    func(id string) // is called for each signal
}

type fakeSchedules struct {
	client.ScheduleClient
	*fakeTemporal
}

type fakeSchedule struct {
	client.ScheduleHandle
	f  *fakeTemporal
	id string
}

type fakeRun struct{ client.WorkflowRun }

func (fakeRun) GetRunID() string { return "run" }

func (f *fakeTemporal) ScheduleClient() client.ScheduleClient { return fakeSchedules{nil, f} }

func (f fakeSchedules) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	return fakeSchedule{f: f.fakeTemporal, id: id}
}

func (s fakeSchedule) Describe(context.Context) (*client.ScheduleDescription, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.described++
	for name, in := range s.f.schedules {
		if schemas.ScheduleID(name) == s.id {
			payload, err := converter.GetDefaultDataConverter().ToPayload(in)
			return &client.ScheduleDescription{Schedule: client.Schedule{State: &client.ScheduleState{Paused: s.f.paused}, Action: &client.ScheduleWorkflowAction{Args: []any{payload}}}}, err
		}
	}
	return nil, serviceerror.NewNotFound("no such schedule")
}

func (f fakeSchedules) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	var all fakeList
	for name := range f.schedules {
		all = append(all, &client.ScheduleListEntry{ID: schemas.ScheduleID(name)})
	}
	return &all, nil
}

type fakeList []*client.ScheduleListEntry

func (l *fakeList) HasNext() bool { return len(*l) > 0 }

func (l *fakeList) Next() (*client.ScheduleListEntry, error) {
	first := (*l)[0]
	*l = (*l)[1:]
	return first, nil
}

func (f *fakeTemporal) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return nil, serviceerror.NewNotFound("no such workflow")
}

func (f *fakeTemporal) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return &workflowservice.ListWorkflowExecutionsResponse{}, nil
}

func (f *fakeTemporal) ExecuteWorkflow(_ context.Context, _ client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = append(f.started, args[0].(schemas.RunInput))
	return fakeRun{}, nil
}

func (f *fakeTemporal) SignalWithStartWorkflow(_ context.Context, id, _ string, _ any, _ client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	f.signal(id)
	return fakeRun{}, nil
}

// officeWith returns an Office whose runs need grants, and its gate.
func officeWith(t *testing.T, f *fakeTemporal) (*Office, *access.Gate) {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	gate, err := access.New(root, []string{accesstest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	return &Office{
		Client: f, Namespace: "default", Gate: func(context.Context) (*access.Gate, error) { return gate, nil },
		Root: func(context.Context) (*storage.Root, error) { return root, nil },
	}, gate
}

// scheduleOf returns the schedule of an export that ann has applied.
func scheduleOf(t *testing.T, gate *access.Gate, name string) schemas.ScheduledInput {
	t.Helper()
	e := schemas.Export{Name: name, Connection: "marketing", Email: "email", Segments: []schemas.Segment{{Name: name, Source: "segments/" + name}}}
	in, err := gate.GrantRun(t.Context(), schemas.Person{Name: "ann", Subject: "a1", Role: schemas.RoleContributor}, access.ScheduledRun(schemas.ScheduledInput{Export: e}))
	if err != nil {
		t.Fatal(err)
	}
	return schemas.ScheduledInput{Export: in.Export, Grant: in.Grant}
}

// TestAForgedScheduleGetsNoGrant: neither a signed request nor a person's start of an
// applied export turns what somebody has written into a schedule into a granted run.
func TestAForgedScheduleGetsNoGrant(t *testing.T) {
	f := &fakeTemporal{}
	office, gate := officeWith(t, f)
	good := scheduleOf(t, gate, "Spring")
	other := scheduleOf(t, gate, "Autumn")
	starts := map[string]func() error{
		"a signed request": func() error {
			_, err := office.Trigger(t.Context(), "Spring", "airflow", "msg_1")
			return err
		},
		"a person": func() error {
			_, err := office.As(schemas.Person{Name: "bob", Role: schemas.RoleAdministrator}).Start(t.Context(), StartRequest{Export: "Spring"})
			return err
		},
	}
	forged := map[string]func(*schemas.ScheduledInput){
		"another source": func(in *schemas.ScheduledInput) {
			in.Export.Segments = []schemas.Segment{{Name: "Spring", Source: "secret/people"}}
		},
		"a webhook": func(in *schemas.ScheduledInput) {
			in.Export.Notify = []schemas.Notify{{URL: schemas.NotifyURL{URL: "https://evil.example"}}}
		},
		"another person": func(in *schemas.ScheduledInput) {
			grant := *in.Grant
			grant.Person = schemas.Person{Name: "eve", Role: schemas.RoleAdministrator}
			in.Grant = &grant
		},
		"no grant":       func(in *schemas.ScheduledInput) { in.Grant = nil },
		"another export": func(in *schemas.ScheduledInput) { *in = other },
	}
	for who, start := range starts {
		for what, forge := range forged {
			in := good
			forge(&in)
			f.schedules = map[string]schemas.ScheduledInput{"Spring": in}
			if err := start(); !access.IsRefused(err, schemas.ErrorGrant) {
				t.Errorf("%s, %s: %v", who, what, err)
			}
		}
		if all, err := gate.Targets(t.Context(), "marketing", "Spring"); len(f.started) > 0 || len(all) > 0 || err != nil {
			t.Errorf("%s: started %+v, webhooks %v, %v", who, f.started, all, err)
		}
		f.schedules = map[string]schemas.ScheduledInput{"Spring": good}
		if err := start(); err != nil || len(f.started) != 1 || f.started[0].Grant == nil {
			t.Errorf("%s, as it was applied: %v, %+v", who, err, f.started)
		}
		f.started = nil
	}
}

// TestOnlyScheduledExportsStart where only those are asked for. A start describes its schedule once.
func TestOnlyScheduledExportsStart(t *testing.T) {
	f := &fakeTemporal{schedules: map[string]schemas.ScheduledInput{}}
	office, gate := officeWith(t, f)
	daily, never := scheduleOf(t, gate, "Daily"), scheduleOf(t, gate, "Never")
	daily.Timing = &schemas.Timing{Every: "24h"}
	f.schedules["Daily"], f.schedules["Never"] = daily, never
	ann := office.As(schemas.Person{Name: "ann", Subject: "a1", Role: schemas.RoleAdministrator})
	for name, want := range map[string]int{"Daily": 1, "Never": 0} {
		f.started, f.described = nil, 0
		out, err := ann.Start(t.Context(), StartRequest{Export: name, Scheduled: true})
		if err != nil || len(f.started) != want || out.Unscheduled != (want == 0) || f.described != 1 || f.lists != 0 {
			t.Errorf("%s: %+v, %v after %d descriptions and %d lists; started %v", name, out, err, f.described, f.lists, f.started)
		}
	}
	f.started, f.paused = nil, true
	if out, err := ann.Start(t.Context(), StartRequest{Export: "Daily", Scheduled: true}); err != nil || !out.Unscheduled || f.started != nil {
		t.Errorf("paused: %+v, %v", out, err)
	}
	if _, err := ann.Start(t.Context(), StartRequest{Export: "Daily"}); err != nil || len(f.started) != 1 {
		t.Errorf("on demand: %v, %v", f.started, err)
	}
}
