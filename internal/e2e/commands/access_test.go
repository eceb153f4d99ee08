package commands

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// guarded is a world whose worker wants to know who people are.
type guarded struct {
	*world.World
	provider *accesstest.Provider
	tokens   *[]string // all that were made
}

func newGuarded(t *testing.T) guarded {
	t.Helper()
	w := world.New(t, sandbox.Config{}, false)
	g := guarded{World: w, provider: accesstest.New(t), tokens: &[]string{}}
	w.Gate = g.provider.Gate()
	w.StartHost()
	return g
}

// as is the world seen by somebody with a token of that role, or without one.
func (g guarded) as(role schemas.Role) *world.World {
	w := *g.World
	w.Operator = &operate.Operator{Client: w.Client, Namespace: "default", Who: "whoever"}
	if role != "" {
		token := g.provider.Token("the "+role, role)
		*g.tokens = append(*g.tokens, token)
		w.Operator.Identity.Token = func() (string, error) { return token, nil }
	}
	return &w
}

// refusal fails the test unless the worker says no, for that reason.
func refusal(t *testing.T, err error, kind schemas.ErrorType, message string) {
	t.Helper()
	var no *operate.Refusal
	if !errors.As(err, &no) || no.Type != kind || !strings.Contains(no.Message, message) {
		t.Errorf("%v, want a refusal of type %s about %q", err, kind, message)
	}
}

// workflow starts a workflow as anybody can who reaches Temporal, and gives its end.
func workflow(w *world.World, id, name string, in, out any) error {
	w.T.Helper()
	run, err := w.Client.ExecuteWorkflow(w.T.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: schemas.TaskQueue}, name, in)
	if err != nil {
		w.T.Fatal(err)
	}
	return run.Get(w.T.Context(), out)
}

func endsWith(t *testing.T, err error, kind schemas.ErrorType, message string) {
	t.Helper()
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != kind && kind != "" || !strings.Contains(app.Message(), message) {
		t.Errorf("%v, want an end of type %s about %q", err, kind, message)
	}
}

// TestWhoMay has people of every role, and attackers who reach Temporal, try what
// they may not.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	expected := g.Generated(200)
	e := g.Export("Mine", "EmailAddress")
	admin, contributor, viewer, nobody := g.as(schemas.RoleAdministrator), g.as(schemas.RoleContributor), g.as(schemas.RoleViewer), g.as("")

	v := contributor.Run(e)
	contributor.Done(v)
	if l := g.List("Mine"); l.Digest != expected.Digest || v.Report == "" {
		t.Errorf("list %+v, run %+v", l, v)
	} else if report, err := g.Root.Read(t.Context(), v.Report); err != nil || !bytes.Contains(report, []byte("the contributor")) {
		t.Errorf("the report does not say who: %v", err)
	}
	_, _, err := viewer.Operator.Start(t.Context(), e, false)
	refusal(t, err, schemas.ErrorNotAllowed, "the viewer has the role viewer")
	if v := nobody.Run(g.Export("Nobody's", "EmailAddress")); v.State != schemas.StateFailed || !strings.Contains(v.Error, "no grant") {
		t.Errorf("without a grant: %+v", v)
	}
	g.seenBy(admin, contributor, viewer, nobody)
	g.administratorsOnly(contributor, viewer)
	g.forgeries(contributor, e)
	g.sharedNoMore(admin, contributor, viewer, e)
	g.nothingInHistories()
}

// seenBy looks at the connections as each of them.
func (g guarded) seenBy(admin, contributor, viewer, nobody *world.World) {
	t := g.T
	all, err := admin.Operator.Connections(t.Context())
	if err != nil || len(all.Connections) != 1 || all.Connections[0].Consent == nil || all.Connections[0].BaseURL != g.URL || all.Person.Name != "the administrator" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, w := range []*world.World{contributor, viewer} {
		all, err = w.Operator.Connections(t.Context())
		if want := (schemas.ConnectionView{Name: "sandbox", ProjectType: "email"}); err != nil || len(all.Connections) != 1 || !sameView(all.Connections[0], want) {
			t.Errorf("%+v, %v", all, err)
		}
	}
	_, err = nobody.Operator.Connections(t.Context())
	refusal(t, err, schemas.ErrorProof, "EXPORT_TOKEN")
}

func sameView(a, b schemas.ConnectionView) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// administratorsOnly has others try what takes an administrator.
func (g guarded) administratorsOnly(others ...*world.World) {
	t := g.T
	for _, w := range others {
		_, err := w.Operator.RecordConsent(t.Context(), "sandbox")
		refusal(t, err, schemas.ErrorNotAllowed, "takes administrator")
		_, err = w.Operator.Disconnect(t.Context(), "sandbox")
		refusal(t, err, schemas.ErrorNotAllowed, "administrator")
		_, err = w.Operator.CheckConnection(t.Context(), "sandbox")
		refusal(t, err, schemas.ErrorNotAllowed, "administrator")
	}
}

// forgeries starts workflows by hand, with what an attacker finds in histories.
func (g guarded) forgeries(contributor *world.World, e schemas.Export) {
	t := g.T
	before := g.Requests("POST /api/lists/subscribe")
	grant, err := contributor.Operator.Grant(t.Context(), schemas.PurposeRun, e)
	if err != nil || grant == nil {
		t.Fatalf("%+v, %v", grant, err)
	}
	altered := e
	altered.Segments = []schemas.Segment{{Name: "Mine", Source: g.Path("segments/other")}}
	stranger := g.Export("Another", "EmailAddress")
	promoted := *grant
	promoted.Person.Role = schemas.RoleAdministrator
	for name, in := range map[string]schemas.RunInput{
		"altered spec":  {Export: altered, Grant: grant},
		"other export":  {Export: stranger, Grant: grant},
		"promoted":      {Export: e, Grant: &promoted},
		"without grant": {Export: e},
		"nowhere":       {Export: schemas.Export{Name: "x", Connection: "none"}, Grant: grant},
	} {
		err := workflow(g.World, "forged "+name, schemas.WorkflowRunExport, in, nil)
		endsWith(t, err, schemas.ErrorGrant, "grant")
	}
	err = workflow(g.World, "forged segment", schemas.WorkflowExportSegment, schemas.SegmentInput{
		Run:    schemas.RunRef{Export: "Mine", RunID: "x", Segment: "Mine"},
		Export: e, Segment: e.Segments[0], Connection: schemas.ConnectionInfo{Name: "sandbox", TaskQueue: schemas.UploadTaskQueue("sandbox")},
	}, nil)
	endsWith(t, err, "", "has no pass")
	err = workflow(g.World, "forged answer", schemas.WorkflowAdminister, schemas.AskInput{
		Operation: schemas.OperationDisconnect, Arguments: json.RawMessage(`{"connection":"sandbox"}`), Proof: g.proofInHistory(),
	}, nil)
	endsWith(t, err, schemas.ErrorProof, "another question")

	if err := contributor.Operator.Revoke(t.Context(), "Mine"); err != nil {
		t.Fatal(err)
	}
	err = workflow(g.World, "revoked", schemas.WorkflowRunExport, schemas.RunInput{Export: e, Grant: grant}, nil)
	endsWith(t, err, schemas.ErrorGrant, "revoked")
	if n := g.Requests("POST /api/lists/subscribe") - before; n != 0 {
		t.Errorf("%d requests by forgeries", n)
	}
}

// proofInHistory is a proof that an administrator's question left in a history.
func (g guarded) proofInHistory() *schemas.Proof {
	g.T.Helper()
	var found *schemas.Proof
	g.Until("a question of an administrator is to be found", func() bool {
		list, err := g.Client.ListWorkflow(g.T.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: "default", Query: "WorkflowType = '" + schemas.WorkflowAdminister + "'",
		})
		if err != nil {
			g.T.Fatal(err)
		}
		for _, e := range list.Executions {
			events := g.Client.GetWorkflowHistory(g.T.Context(), e.Execution.WorkflowId, e.Execution.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			first, err := events.Next()
			if err != nil {
				g.T.Fatal(err)
			}
			var in schemas.AskInput
			if err := json.Unmarshal(first.GetWorkflowExecutionStartedEventAttributes().Input.Payloads[0].Data, &in); err != nil {
				g.T.Fatal(err)
			}
			if in.Proof != nil && in.Operation == schemas.OperationConnections {
				found = in.Proof
			}
		}
		return found != nil
	})
	return found
}

// sharedNoMore takes contributors off the connection: their export waits at its next
// run, though its grant is good, and they can't answer it.
func (g guarded) sharedNoMore(admin, contributor, viewer *world.World, e schemas.Export) {
	t := g.T
	e.Name = "Theirs"
	grant, err := contributor.Operator.Grant(t.Context(), schemas.PurposeSchedule, e)
	if err != nil {
		t.Fatal(err)
	}
	g.Allow("administrators")
	g.Until("the worker has read the file", func() bool {
		_, err := contributor.Operator.Grant(t.Context(), schemas.PurposeRun, e)
		return err != nil
	})
	_, _, err = contributor.Operator.Start(t.Context(), e, false)
	refusal(t, err, schemas.ErrorNotAllowed, "not shared with contributors")

	id := schemas.RunWorkflowID(e.Name)
	started, err := g.Client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: schemas.TaskQueue},
		schemas.WorkflowRunExport, schemas.RunInput{Export: e, Grant: grant, Trigger: schemas.Trigger{Kind: "schedule"}})
	if err != nil {
		t.Fatal(err)
	}
	v := admin.Watch(operate.Run{Export: e.Name, WorkflowID: id, RunID: started.GetRunID()})
	if waiting := admin.Waiting(v); waiting.Type != schemas.ErrorNotAllowed || !strings.Contains(waiting.Message, "not shared with contributors") {
		t.Errorf("waits with %+v", waiting)
	}
	for who, w := range map[string]*world.World{"contributor": contributor, "viewer": viewer, "nobody": g.as("")} {
		if _, err := w.Operator.Answer(t.Context(), v.Run, schemas.UpdateRetry, v.Waits()[0].ID); err == nil {
			t.Errorf("a %s may answer", who)
		}
		if err := w.Operator.Stop(t.Context(), v.Run); err == nil {
			t.Errorf("a %s may cancel", who)
		}
	}
	g.Allow("administrators, contributors")
	g.Until("the worker has read the file", func() bool {
		_, err := contributor.Operator.Grant(t.Context(), schemas.PurposeRun, e)
		return err == nil
	})
	if v = contributor.Answer(v, schemas.UpdateRetry); v.State == schemas.StateWaiting { // another export's list
		contributor.WaitsWith(v, schemas.ErrorListOwned)
		v = contributor.Answer(v, schemas.UpdateApprove)
	}
	if v.State != schemas.StateDone {
		t.Errorf("after it was shared again: %+v", v)
	}
	if err := contributor.Operator.Stop(t.Context(), v.Run); err == nil || !strings.Contains(err.Error(), "nothing to stop") {
		t.Errorf("to stop what has ended: %v", err)
	}
}

// nothingInHistories reads every history as bytes, and finds no token, no secret and
// no key in it.
func (g guarded) nothingInHistories() {
	t := g.T
	secrets := []string{accesstest.Secret, sandbox.DefaultKey}
	for _, token := range *g.tokens {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) > 60 { // the head of every token is the same, and no secret
				secrets = append(secrets, part)
			}
		}
	}
	histories := 0
	var page []byte
	for {
		list, err := g.Client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default", NextPageToken: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Executions {
			histories++
			events := g.Client.GetWorkflowHistory(t.Context(), e.Execution.WorkflowId, e.Execution.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for events.HasNext() {
				event, err := events.Next()
				if err != nil {
					t.Fatal(err)
				}
				data, err := proto.Marshal(event)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range secrets {
					if bytes.Contains(data, []byte(s)) {
						t.Fatalf("%s of %s tells a secret", event.EventType, e.Execution.WorkflowId)
					}
				}
			}
		}
		if page = list.NextPageToken; len(page) == 0 {
			break
		}
	}
	if histories < 20 || len(secrets) < 5 {
		t.Errorf("looked for %d secrets in %d histories only", len(secrets), histories)
	}
}

// TestSourcesThatAreNotAllowed has a contributor with a good grant try to read what
// the connection does not allow, in every way there is to write it.
func TestSourcesThatAreNotAllowed(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.Generated(10)
	outside := filepath.Join(g.Dir, "private")
	if err := os.CopyFS(outside, os.DirFS(g.Path("segments"))); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(g.Path("segments/in"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, g.Path("segments/in/link")); err != nil {
		t.Fatal(err)
	}
	contributor := g.as(schemas.RoleContributor)
	for name, source := range map[string]string{
		"absolute path":      outside,
		"dots":               g.Path("segments") + "/../private",
		"dots in a pattern":  g.Path("segments") + "/*/../../private/*.parquet",
		"symbolic link":      g.Path("segments/in/link"),
		"pattern over links": g.Path("segments") + "/**/*.parquet",
		"encoded dots":       "file://" + g.Path("segments") + "/%2e%2e/private",
		"encoded slash":      "file://" + g.Path("segments") + "%2f..%2fprivate",
		"prefix of a name":   g.Path("segments") + "-not",
		"data root":          g.Path("data"),
		"bucket":             "s3://private/segment",
	} {
		t.Run(name, func(t *testing.T) {
			e := g.Export(name, "EmailAddress")
			e.Segments[0].Source = source
			contributor.In(t).WaitsFor(e, schemas.ErrorSourceNotAllowed, "allowedSources")(schemas.UpdateAbort)
		})
	}
	if n := g.Requests("POST /api/lists/subscribe"); n != 0 {
		t.Errorf("%d requests", n)
	}
}
