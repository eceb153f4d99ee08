package e2e

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
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// guarded is a world whose worker wants to know who people are.
type guarded struct {
	*world
	provider *accesstest.Provider
	tokens   *[]string // all that were made
}

func newGuarded(t *testing.T) guarded {
	t.Helper()
	w := newWorld(t, sandbox.Config{}, false)
	g := guarded{world: w, provider: accesstest.New(t), tokens: &[]string{}}
	w.gate = g.provider.Gate()
	w.startHost()
	return g
}

// as is the world seen by somebody with a token of that role, or without one.
func (g guarded) as(role schemas.Role) *world {
	w := *g.world
	w.operator = &operate.Operator{Client: w.client, Namespace: "default", Who: "whoever"}
	if role != "" {
		token := g.provider.Token("the "+role, role)
		*g.tokens = append(*g.tokens, token)
		w.operator.Identity.Token = func() (string, error) { return token, nil }
	}
	return &w
}

// allow writes who may use the connection.
func (w *world) allow(roles string) {
	w.t.Helper()
	text, err := os.ReadFile(w.path("connections.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	before, after, _ := strings.Cut(string(text), "allowed: [")
	_, after, _ = strings.Cut(after, "]")
	if err := os.WriteFile(w.path("connections.yaml"), []byte(before+"allowed: ["+roles+"]"+after), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// refusal fails the test unless the worker says no, for that reason.
func (w *world) refusal(err error, kind schemas.ErrorType, message string) {
	w.t.Helper()
	var no *operate.Refusal
	if !errors.As(err, &no) || no.Type != kind || !strings.Contains(no.Message, message) {
		w.t.Errorf("%v, want a refusal of type %s about %q", err, kind, message)
	}
}

// workflow starts a workflow as anybody can who reaches Temporal, and gives its end.
func (w *world) workflow(id, name string, in, out any) error {
	w.t.Helper()
	run, err := w.client.ExecuteWorkflow(w.t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: schemas.TaskQueue}, name, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return run.Get(w.t.Context(), out)
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
	g := newGuarded(t)
	expected := g.generated(200)
	e := g.export("Mine", "EmailAddress")
	admin, contributor, viewer, nobody := g.as(schemas.RoleAdministrator), g.as(schemas.RoleContributor), g.as(schemas.RoleViewer), g.as("")

	v := contributor.run(e)
	contributor.done(v)
	if l := g.list("Mine"); l.Digest != expected.Digest || v.Report == "" {
		t.Errorf("list %+v, run %+v", l, v)
	} else if report, err := g.root.Read(t.Context(), v.Report); err != nil || !bytes.Contains(report, []byte("the contributor")) {
		t.Errorf("the report does not say who: %v", err)
	}
	_, _, err := viewer.operator.Start(t.Context(), e, false)
	g.refusal(err, schemas.ErrorNotAllowed, "the viewer has the role viewer")
	if v := nobody.run(g.export("Nobody's", "EmailAddress")); v.State != schemas.StateFailed || !strings.Contains(v.Error, "no grant") {
		t.Errorf("without a grant: %+v", v)
	}
	g.seenBy(admin, contributor, viewer, nobody)
	g.administratorsOnly(contributor, viewer)
	g.forgeries(contributor, e)
	g.sharedNoMore(admin, contributor, viewer, e)
	g.nothingInHistories()
}

// seenBy looks at the connections as each of them.
func (g guarded) seenBy(admin, contributor, viewer, nobody *world) {
	t := g.t
	all, err := admin.operator.Connections(t.Context())
	if err != nil || len(all.Connections) != 1 || all.Connections[0].Consent == nil || all.Connections[0].BaseURL != g.url || all.Person.Name != "the administrator" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, w := range []*world{contributor, viewer} {
		all, err = w.operator.Connections(t.Context())
		if want := (schemas.ConnectionView{Name: "sandbox", ProjectType: "email"}); err != nil || len(all.Connections) != 1 || !sameView(all.Connections[0], want) {
			t.Errorf("%+v, %v", all, err)
		}
	}
	_, err = nobody.operator.Connections(t.Context())
	g.refusal(err, schemas.ErrorProof, "EXPORT_TOKEN")
}

func sameView(a, b schemas.ConnectionView) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// administratorsOnly has others try what takes an administrator.
func (g guarded) administratorsOnly(others ...*world) {
	t := g.t
	for _, w := range others {
		_, err := w.operator.RecordConsent(t.Context(), "sandbox")
		g.refusal(err, schemas.ErrorNotAllowed, "takes administrator")
		_, err = w.operator.Disconnect(t.Context(), "sandbox")
		g.refusal(err, schemas.ErrorNotAllowed, "administrator")
		_, err = w.operator.CheckConnection(t.Context(), "sandbox")
		g.refusal(err, schemas.ErrorNotAllowed, "administrator")
	}
}

// forgeries starts workflows by hand, with what an attacker finds in histories.
func (g guarded) forgeries(contributor *world, e schemas.Export) {
	t := g.t
	before := g.requests("POST /api/lists/subscribe")
	grant, err := contributor.operator.Grant(t.Context(), schemas.PurposeRun, e)
	if err != nil || grant == nil {
		t.Fatalf("%+v, %v", grant, err)
	}
	altered := e
	altered.Segments = []schemas.Segment{{Name: "Mine", Source: g.path("segments/other")}}
	stranger := g.export("Another", "EmailAddress")
	promoted := *grant
	promoted.Person.Role = schemas.RoleAdministrator
	for name, in := range map[string]schemas.RunInput{
		"altered spec":  {Export: altered, Grant: grant},
		"other export":  {Export: stranger, Grant: grant},
		"promoted":      {Export: e, Grant: &promoted},
		"without grant": {Export: e},
		"nowhere":       {Export: schemas.Export{Name: "x", Connection: "none"}, Grant: grant},
	} {
		err := g.workflow("forged "+name, schemas.WorkflowRunExport, in, nil)
		endsWith(t, err, schemas.ErrorGrant, "grant")
	}
	err = g.workflow("forged segment", schemas.WorkflowExportSegment, schemas.SegmentInput{
		Run:    schemas.RunRef{Export: "Mine", RunID: "x", Segment: "Mine"},
		Export: e, Segment: e.Segments[0], Connection: schemas.ConnectionInfo{Name: "sandbox", TaskQueue: schemas.UploadTaskQueue("sandbox")},
	}, nil)
	endsWith(t, err, "", "has no pass")
	err = g.workflow("forged answer", schemas.WorkflowAdminister, schemas.AskInput{
		Operation: schemas.OperationDisconnect, Arguments: json.RawMessage(`{"connection":"sandbox"}`), Proof: g.proofInHistory(),
	}, nil)
	endsWith(t, err, schemas.ErrorProof, "another question")

	if err := contributor.operator.Revoke(t.Context(), "Mine"); err != nil {
		t.Fatal(err)
	}
	err = g.workflow("revoked", schemas.WorkflowRunExport, schemas.RunInput{Export: e, Grant: grant}, nil)
	endsWith(t, err, schemas.ErrorGrant, "revoked")
	if n := g.requests("POST /api/lists/subscribe") - before; n != 0 {
		t.Errorf("%d requests by forgeries", n)
	}
}

// proofInHistory is a proof that an administrator's question left in a history.
func (g guarded) proofInHistory() *schemas.Proof {
	g.t.Helper()
	var found *schemas.Proof
	g.until("a question of an administrator is to be found", func() bool {
		list, err := g.client.ListWorkflow(g.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: "default", Query: "WorkflowType = '" + schemas.WorkflowAdminister + "'",
		})
		if err != nil {
			g.t.Fatal(err)
		}
		for _, e := range list.Executions {
			events := g.client.GetWorkflowHistory(g.t.Context(), e.Execution.WorkflowId, e.Execution.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			first, err := events.Next()
			if err != nil {
				g.t.Fatal(err)
			}
			var in schemas.AskInput
			if err := json.Unmarshal(first.GetWorkflowExecutionStartedEventAttributes().Input.Payloads[0].Data, &in); err != nil {
				g.t.Fatal(err)
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
func (g guarded) sharedNoMore(admin, contributor, viewer *world, e schemas.Export) {
	t := g.t
	e.Name = "Theirs"
	grant, err := contributor.operator.Grant(t.Context(), schemas.PurposeSchedule, e)
	if err != nil {
		t.Fatal(err)
	}
	g.allow("administrators")
	g.until("the worker has read the file", func() bool {
		_, err := contributor.operator.Grant(t.Context(), schemas.PurposeRun, e)
		return err != nil
	})
	_, _, err = contributor.operator.Start(t.Context(), e, false)
	g.refusal(err, schemas.ErrorNotAllowed, "not shared with contributors")

	id := schemas.RunWorkflowID(e.Name)
	started, err := g.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: schemas.TaskQueue},
		schemas.WorkflowRunExport, schemas.RunInput{Export: e, Grant: grant, Trigger: schemas.Trigger{Kind: "schedule"}})
	if err != nil {
		t.Fatal(err)
	}
	v := admin.watch(operate.Run{Export: e.Name, WorkflowID: id, RunID: started.GetRunID()})
	if waiting := admin.waiting(v); waiting.Type != schemas.ErrorNotAllowed || !strings.Contains(waiting.Message, "not shared with contributors") {
		t.Errorf("waits with %+v", waiting)
	}
	for who, w := range map[string]*world{"contributor": contributor, "viewer": viewer, "nobody": g.as("")} {
		if _, err := w.operator.Answer(t.Context(), v.Run, schemas.UpdateRetry); err == nil {
			t.Errorf("a %s may answer", who)
		}
		if err := w.operator.Stop(t.Context(), v.Run); err == nil {
			t.Errorf("a %s may cancel", who)
		}
	}
	g.allow("administrators, contributors")
	g.until("the worker has read the file", func() bool {
		_, err := contributor.operator.Grant(t.Context(), schemas.PurposeRun, e)
		return err == nil
	})
	if v = contributor.answer(v, schemas.UpdateRetry); v.State != schemas.StateDone {
		t.Errorf("after it was shared again: %+v", v)
	}
	if err := contributor.operator.Stop(t.Context(), v.Run); err == nil || !strings.Contains(err.Error(), "nothing to stop") {
		t.Errorf("to stop what has ended: %v", err)
	}
}

// nothingInHistories reads every history as bytes, and finds no token, no secret and
// no key in it.
func (g guarded) nothingInHistories() {
	t := g.t
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
		list, err := g.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default", NextPageToken: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Executions {
			histories++
			events := g.client.GetWorkflowHistory(t.Context(), e.Execution.WorkflowId, e.Execution.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
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
	g := newGuarded(t)
	g.generated(10)
	outside := filepath.Join(g.dir, "private")
	if err := os.CopyFS(outside, os.DirFS(g.path("segments"))); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(g.path("segments/in"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, g.path("segments/in/link")); err != nil {
		t.Fatal(err)
	}
	contributor := g.as(schemas.RoleContributor)
	for name, source := range map[string]string{
		"absolute path":      outside,
		"dots":               g.path("segments") + "/../private",
		"dots in a pattern":  g.path("segments") + "/*/../../private/*.parquet",
		"symbolic link":      g.path("segments/in/link"),
		"pattern over links": g.path("segments") + "/**/*.parquet",
		"encoded dots":       "file://" + g.path("segments") + "/%2e%2e/private",
		"encoded slash":      "file://" + g.path("segments") + "%2f..%2fprivate",
		"prefix of a name":   g.path("segments") + "-not",
		"data root":          g.path("data"),
		"bucket":             "s3://private/segment",
	} {
		t.Run(name, func(t *testing.T) {
			e := g.export(name, "EmailAddress")
			e.Segments[0].Source = source
			contributor.in(t).waitsFor(e, schemas.ErrorSourceNotAllowed, "allowedSources")(schemas.UpdateAbort)
		})
	}
	if n := g.requests("POST /api/lists/subscribe"); n != 0 {
		t.Errorf("%d requests", n)
	}
}
