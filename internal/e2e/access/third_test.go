package access

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// third is somebody who may write to Temporal's namespace, without the workers' secret.
type third struct {
	world.Guarded
	o    *operate.Session
	hook string // a webhook's address
	told chan message
}

// message is what came to the webhook.
type message struct {
	header http.Header
	body   []byte
}

// hookSecret signs messages to webhooks.
const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// TestWhatTheThirdKindCanDo tries each thing that docs/access.md says of those who may
// write to Temporal's namespace: it does not hold them off.
func TestWhatTheThirdKindCanDo(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	x := third{Guarded: g, o: &operate.Session{Client: g.Client, Namespace: "default", Who: schemas.Person{Name: "the owner", Role: schemas.RoleViewer}}}
	x.told = make(chan message, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		x.told <- message{r.Header, body}
	}))
	t.Cleanup(hook.Close)
	x.hook = hook.URL
	x.Host.Stop()
	x.Notify = notify.Options{Secret: hookSecret, Allowed: []string{hook.URL}}
	x.StartHost()
	x.ServeAPI()
	for _, c := range []struct {
		name string
		do   func(third)
	}{
		{"answer runs that wait", third.answers},
		{"cancel and terminate runs", third.ends},
		{"change schedules", third.schedules},
		{"start what was granted", third.startsAgain},
		{"leave out a guardrail", third.leavesOut},
		{"send a message of any text", third.tells},
		{"show false states", third.lies},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := x
			x.World = g.In(t)
			c.do(x)
		})
	}
}

func (x third) answers() {
	v := shrunk(x.Guarded, "Answered")
	if _, err := x.o.Answer(x.T.Context(), v, schemas.UpdateApprove, v.Waits()[0].ID); err != nil {
		x.T.Fatal(err)
	}
	if r := x.Done(x.Watch(v.Run)); len(r.Answers) != 1 || r.Answers[0].Who != "the owner" {
		x.T.Errorf("it was answered by %+v", r.Answers)
	}
}

// tells sends a message to the webhook of a run.
func (x third) tells() {
	x.People("Told", 1, 10, 1)
	e := x.Of("Told")
	e.Connection, e.Fields = "owners", schemas.Fields{} // fields that Iterable does not have would be asked about
	chat := schemas.Notify{URL: schemas.NotifyURL{URL: x.hook + "/chat"}, On: []string{schemas.EventFailed}}
	e.Notify = []schemas.Notify{chat}
	v := x.Through(x.As(schemas.RoleAdministrator), gateway.StartRequest{Definition: &e})
	x.Done(v)
	in := schemas.NotifyInput{To: chat, ID: "1", Message: schemas.Message{Type: "run.failed", Data: schemas.Event{
		Event: schemas.EventFailed, Export: "Told", Connection: "owners", RunID: v.Run.RunID, Message: "Transfer the money",
	}}}
	run, err := x.Client.ExecuteWorkflow(x.T.Context(), client.StartWorkflowOptions{TaskQueue: schemas.TaskQueue}, schemas.WorkflowNotify, in)
	if err == nil {
		err = run.Get(x.T.Context(), nil)
	}
	if err != nil {
		x.T.Fatal(err)
	}
	m := <-x.told
	if !strings.Contains(string(m.body), "Transfer the money") {
		x.T.Errorf("the message is %s", m.body)
	}
	if hook, err := standardwebhooks.NewWebhook(hookSecret); err != nil || hook.Verify(m.body, m.header) != nil {
		x.T.Errorf("it is not signed: %v", err)
	}
}

func (x third) ends() {
	v := shrunk(x.Guarded, "Cancelled")
	if err := x.o.Cancel(x.T.Context(), v.Run); err != nil {
		x.T.Fatal(err)
	}
	if v := x.Watch(v.Run); v.State != schemas.StateCancelled {
		x.T.Errorf("%+v", v)
	}
	v = shrunk(x.Guarded, "Terminated")
	if err := x.Client.TerminateWorkflow(x.T.Context(), v.Run.WorkflowID, v.Run.RunID, "because"); err != nil {
		x.T.Fatal(err)
	}
	if v := x.Watch(v.Run); !v.Ended() {
		x.T.Errorf("%+v", v)
	}
	again, err := x.Client.ResetWorkflowExecution(x.T.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: v.Run.WorkflowID, RunId: v.Run.RunID},
		WorkflowTaskFinishEventId: 4, RequestId: "again",
	})
	if err != nil {
		x.T.Fatal(err)
	}
	v.Run.RunID = again.RunId
	x.Until("the run goes on", func() bool {
		v, err := x.o.Look(x.T.Context(), v.Run)
		return err == nil && v.State != schemas.StateRunning
	})
}

// applied is an export of the administrators with a schedule.
func (x third) applied(name string) operate.Applied {
	x.T.Helper()
	x.People(name, 1, 10, 1)
	e := x.Of(name)
	e.Connection, e.Fields = "owners", schemas.Fields{} // fields that Iterable does not have would be asked about
	file := schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}}
	if p, err := x.As(schemas.RoleAdministrator).Apply(x.T.Context(), gateway.PlanRequest{File: file}); err != nil || p.Failed > 0 {
		x.T.Fatalf("%+v, %v", p, err)
	}
	a, err := x.o.AppliedExport(x.T.Context(), name)
	if err != nil || len(a.Grant.MAC) == 0 {
		x.T.Fatalf("%+v, %v", a, err)
	}
	return a
}

func (x third) schedules() {
	a := x.applied("Scheduled")
	handle := x.Client.ScheduleClient().GetHandle(x.T.Context(), a.ScheduleID)
	if err := x.o.Pause(x.T.Context(), a); err != nil {
		x.T.Error(err)
	}
	err := handle.Update(x.T.Context(), client.ScheduleUpdateOptions{DoUpdate: func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		s := u.Description.Schedule
		s.Spec = &client.ScheduleSpec{CronExpressions: []string{"1 1 1 1 *"}}
		return &client.ScheduleUpdate{Schedule: &s}, nil
	}})
	if err != nil {
		x.T.Error(err)
	}
	x.Trigger("Scheduled")
	x.Until("the triggered run is done", func() bool {
		v, ok := x.Last("Scheduled")
		return ok && v.State == schemas.StateDone
	})
	if err := handle.Delete(x.T.Context()); err != nil {
		x.T.Error(err)
	}
}

// run starts RunExport with an input, and returns how it ends.
func (x third) run(in schemas.RunInput) operate.View {
	x.T.Helper()
	id := schemas.RunWorkflowID(in.Export.Name)
	run, err := x.Client.ExecuteWorkflow(x.T.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: schemas.TaskQueue}, schemas.WorkflowRunExport, in)
	if err != nil {
		x.T.Fatal(err)
	}
	return x.Watch(operate.Run{Export: in.Export.Name, WorkflowID: id, RunID: run.GetRunID()})
}

// granted is what a schedule starts its export with, for anybody to read in Temporal.
func granted(a operate.Applied) schemas.RunInput {
	return schemas.RunInput{Export: a.Export, Trigger: schemas.Trigger{Kind: schemas.TriggerSchedule}, Grant: a.Grant}
}

// startsAgain starts what a schedule starts, exactly so. The segment of a run that was done
// can't be started again with more people in it.
func (x third) startsAgain() {
	v := x.run(granted(x.applied("Again")))
	x.Done(v)
	var in schemas.SegmentInput
	events := x.Client.GetWorkflowHistory(x.T.Context(), schemas.SegmentWorkflowID("Again", "Again"), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	if err == nil {
		err = converter.GetDefaultDataConverter().FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().Input, &in)
	}
	if err != nil {
		x.T.Fatal(err)
	}
	x.People("Again", 1, 12, 1)
	run, err := x.Client.ExecuteWorkflow(x.T.Context(), client.StartWorkflowOptions{ID: "copied", TaskQueue: schemas.TaskQueue}, schemas.WorkflowExportSegment, in)
	if err != nil {
		x.T.Fatal(err)
	}
	x.Until("it waits", func() bool {
		var p schemas.Progress
		value, err := x.Client.QueryWorkflow(x.T.Context(), run.GetID(), "", schemas.QueryProgress)
		return err == nil && value.Get(&p) == nil && p.Waiting != nil && strings.Contains(p.Waiting.Message, "was done already")
	})
}

// workflows runs workflow code of one's own, which calls the workers' activities.
func (x third) workflows(name string, code any) {
	x.T.Helper()
	w := worker.New(x.Client, "mine", worker.Options{})
	w.RegisterWorkflowWithOptions(code, workflow.RegisterOptions{Name: name})
	if err := w.Start(); err != nil {
		x.T.Fatal(err)
	}
	x.T.Cleanup(w.Stop)
}

// staged is the request to send what a waiting run has staged to take off its list.
func (x third) staged(v operate.View) schemas.UploadInput {
	x.T.Helper()
	var in schemas.StageInput
	events := x.Client.GetWorkflowHistory(x.T.Context(), v.Segments[0].WorkflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for in.Run.RunID == "" {
		event, err := events.Next()
		if err != nil {
			x.T.Fatal(err)
		}
		a := event.GetActivityTaskScheduledEventAttributes()
		if a.GetActivityType().GetName() != schemas.ActivityStageSegment {
			continue
		}
		if err := converter.GetDefaultDataConverter().FromPayloads(a.Input, &in); err != nil {
			x.T.Fatal(err)
		}
	}
	m := v.Segments[0].Report.Manifest
	return schemas.UploadInput{
		Run: in.Run, Connection: in.Connection, ListID: in.ListID, ListOwner: in.ListOwner,
		Settings: in.Export.Settings, Kind: schemas.Unsubscribe, Attempt: m.Attempt, SnapshotVersion: m.SnapshotVersion, End: m.RemoveBatches,
	}
}

// uploads calls UploadBatches from a workflow of one's own.
func (x third) uploads(in schemas.UploadInput, queue string) error {
	x.T.Helper()
	run, err := x.Client.ExecuteWorkflow(x.T.Context(), client.StartWorkflowOptions{TaskQueue: "mine"}, "Mine", in, queue)
	if err != nil {
		x.T.Fatal(err)
	}
	return run.Get(x.T.Context(), nil)
}

// mine is a workflow that calls one activity of the workers.
func mine(ctx workflow.Context, in schemas.UploadInput, queue string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: queue, StartToCloseTimeout: world.Patience, HeartbeatTimeout: world.Patience})
	return workflow.ExecuteActivity(ctx, schemas.ActivityUploadBatches, in).Get(ctx, nil)
}

func (x third) leavesOut() {
	v := shrunk(x.Guarded, "Guarded")
	x.workflows("Mine", mine)
	in := x.staged(v)
	if err := x.uploads(in, in.Connection.TaskQueue); err != nil {
		x.T.Fatal(err)
	}
	for _, l := range x.Owners.Stats(true).Lists {
		if l.Name == "Guarded" && l.Size != 5 {
			x.T.Errorf("the list has %d members; 45 were to be taken off", l.Size)
		}
	}
}

func (x third) lies() {
	x.workflows("Lie", func(ctx workflow.Context, in schemas.RunInput) error {
		err := workflow.SetQueryHandler(ctx, schemas.QueryProgress, func() (schemas.RunProgress, error) {
			return schemas.RunProgress{Export: in.Export.Name, State: schemas.StateRunning, Trigger: in.Trigger}, nil
		})
		if err == nil {
			err = workflow.Await(ctx, func() bool { return false })
		}
		return err
	})
	in := schemas.RunInput{Export: schemas.Export{Name: "Lie"}, Trigger: schemas.Trigger{Kind: schemas.TriggerPerson, Who: "the owner"}}
	if _, err := x.Client.ExecuteWorkflow(x.T.Context(), client.StartWorkflowOptions{ID: schemas.RunWorkflowID("Lie"), TaskQueue: "mine"}, "Lie", in); err != nil {
		x.T.Fatal(err)
	}
	viewer := x.As(schemas.RoleViewer)
	run, err := viewer.Find(x.T.Context(), "Lie")
	if err != nil {
		x.T.Fatal(err)
	}
	x.Until("the lie is told", func() bool {
		v, err := viewer.Look(x.T.Context(), run)
		return err == nil && v.State == schemas.StateRunning && v.Trigger.Who == "the owner"
	})
}

// TestWhatTheThirdKindCanNotDo without the workers' secret: alter what was granted, and
// have steps done that are not those of the run that they name.
func TestWhatTheThirdKindCanNotDo(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	x := third{Guarded: g, o: &operate.Session{Client: g.Client, Namespace: "default"}}
	a := x.applied("Altered")
	good := granted(a)
	for name, alter := range map[string]func(*schemas.RunInput){
		"without a grant":    func(in *schemas.RunInput) { in.Grant = nil },
		"another source":     func(in *schemas.RunInput) { in.Export.Segments[0].Source = g.Path("segments") },
		"another connection": func(in *schemas.RunInput) { in.Export.Connection = "sandbox" },
		"everybody":          func(in *schemas.RunInput) { in.Full = true },
		"as a person's": func(in *schemas.RunInput) {
			in.Trigger = schemas.Trigger{Kind: schemas.TriggerPerson, Who: "the owner"}
		},
		"other settings":     func(in *schemas.RunInput) { in.Export.Settings.Mode = "append" },
		"without guardrails": func(in *schemas.RunInput) { in.Export.Guardrails.MaxRemovedShare = new(1.0) },
		"another list":       func(in *schemas.RunInput) { in.Export.Segments[0].ListID = 77 },
		"a grant of a run":   func(in *schemas.RunInput) { in.Grant.ExpiresAt = in.Grant.IssuedAt.AddDate(1, 0, 0) },
		"another person":     func(in *schemas.RunInput) { in.Grant.Person.Name = "the owner" },
		"somebody else to tell": func(in *schemas.RunInput) {
			in.Export.Notify = []schemas.Notify{{URL: schemas.NotifyURL{URL: "https://evil.example"}}}
		},
	} {
		in := good
		grant := *good.Grant
		in.Grant, in.Export.Segments = &grant, append([]schemas.Segment(nil), good.Export.Segments...)
		alter(&in)
		if v := x.run(in); !v.Ended() || v.State == schemas.StateDone || !strings.Contains(v.Error, "grant") && !strings.Contains(v.Error, "belongs to connection") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	// In the schedule itself: its next start fails, and says so.
	handle := g.Client.ScheduleClient().GetHandle(t.Context(), a.ScheduleID)
	err := handle.Update(t.Context(), client.ScheduleUpdateOptions{DoUpdate: func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		s := u.Description.Schedule
		action := s.Action.(*client.ScheduleWorkflowAction)
		var in schemas.ScheduledInput
		if err := converter.GetDefaultDataConverter().FromPayload(action.Args[0].(*commonpb.Payload), &in); err != nil {
			return nil, err
		}
		in.Export.Settings.Mode = "append"
		action.Args = []any{in}
		return &client.ScheduleUpdate{Schedule: &s}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := x.Last("Altered")
	x.Trigger("Altered")
	g.Until("the altered start has ended", func() bool {
		v, ok := x.Last("Altered")
		return ok && v.Run.RunID != before.Run.RunID && v.Ended() && v.State != schemas.StateDone && strings.Contains(v.Error, "altered")
	})
	if _, err := x.As(schemas.RoleAdministrator).Start(t.Context(), gateway.StartRequest{Export: "Altered"}); err == nil || !strings.Contains(err.Error(), "can't be trusted") {
		t.Errorf("a person starts the altered export: %v", err)
	}
	// Steps with the waiting run's record, and something of one's own.
	v := shrunk(x.Guarded, "Waits")
	x.workflows("Mine", mine)
	staged := x.staged(v)
	sandboxQueue := schemas.UploadTaskQueue("sandbox")
	for name, c := range map[string]struct {
		queue string
		alter func(*schemas.UploadInput)
	}{
		"to another project":  {sandboxQueue, func(in *schemas.UploadInput) { in.Connection.Name, in.Run.Connection = "sandbox", "sandbox" }},
		"over another's name": {sandboxQueue, func(in *schemas.UploadInput) { in.Connection.Name = "sandbox" }},
		"to another list":     {staged.Connection.TaskQueue, func(in *schemas.UploadInput) { in.ListID++ }},
		"as another kind":     {staged.Connection.TaskQueue, func(in *schemas.UploadInput) { in.Kind = "../../x" }},
		"of another attempt":  {staged.Connection.TaskQueue, func(in *schemas.UploadInput) { in.Attempt = "../" + in.Attempt }},
		"of another run":      {staged.Connection.TaskQueue, func(in *schemas.UploadInput) { in.Run.RunID = v.Run.RunID + "0" }},
		"of another export":   {staged.Connection.TaskQueue, func(in *schemas.UploadInput) { in.Run.Export = "Altered" }},
	} {
		in := staged
		c.alter(&in)
		if err := x.uploads(in, c.queue); err == nil || !strings.Contains(err.Error(), schemas.ErrorGrant) {
			t.Errorf("send %s: %v", name, err)
		}
	}
	if n, m := members(g.Owners), members(g.Sandbox); n != 50 || m != 0 {
		t.Errorf("%d members on the administrators' lists, and %d on the contributors'", n, m)
	}
}
