package devstack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

func start(t *testing.T, o Options) *Stack {
	t.Helper()
	o.FrontendAddr = "127.0.0.1:0"
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *Stack) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func dial(t *testing.T, s *Stack) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: s.FrontendAddr(), Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// echo is a workflow that sets a search attribute and returns its input.
func echo(ctx workflow.Context, s string) (string, error) {
	return s, workflow.UpsertTypedSearchAttributes(ctx, temporal.NewSearchAttributeKeyKeyword(schemas.AttributeExport).ValueSet(s))
}

func work(t *testing.T, c client.Client) {
	t.Helper()
	w := worker.New(c, "test", worker.Options{})
	w.RegisterWorkflowWithOptions(echo, workflow.RegisterOptions{Name: "echo"})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
}

func run(t *testing.T, c client.Client, id string) {
	t.Helper()
	r, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: "test"}, "echo", id)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := r.Get(t.Context(), &got); err != nil || got != id {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestTwoStacksRunWorkflowsSchedulesAndAUI(t *testing.T) {
	s := start(t, Options{UIAddr: "127.0.0.1:0"})
	defer stop(t, s)
	other := start(t, Options{})
	defer stop(t, other)
	for _, s := range []*Stack{s, other} {
		c := dial(t, s)
		work(t, c)
		run(t, c, "one")
	}
	c := dial(t, s)
	eventually(t, "the run is found by its search attribute", func() bool {
		list, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: schemas.AttributeExport + ` = "one"`})
		return err == nil && len(list.Executions) == 1
	})
	_, err := c.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID:     "often",
		Spec:   client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Second}}},
		Action: &client.ScheduleWorkflowAction{ID: "scheduled", Workflow: "echo", TaskQueue: "test", Args: []any{"scheduled"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the schedule fires", func() bool {
		d, err := c.ScheduleClient().GetHandle(t.Context(), "often").Describe(t.Context())
		return err == nil && d.Info.NumActions > 0
	})
	uiAnswers(t, s)
	portsAreRefused(t, s)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not so: %s", what)
}

func uiAnswers(t *testing.T, s *Stack) {
	t.Helper()
	for path, want := range map[string]string{"/": "<html", "/api/v1/namespaces/default": `"default"`} {
		answer, err := http.Get(s.UIURL() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s, %v: %.200s", path, answer.Status, err, body)
		}
	}
}

func portsAreRefused(t *testing.T, s *Stack) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	for _, o := range []Options{
		{FrontendAddr: s.FrontendAddr()},
		{FrontendAddr: "127.0.0.1:0", UIAddr: free.Addr().String()},
		{FrontendAddr: "0.0.0.0:0"},
	} {
		_, err := Start(context.Background(), o)
		var port *PortError
		if !errors.As(err, &port) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Options{DataDir: dir})
	c := dial(t, s)
	w := worker.New(c, "test", worker.Options{})
	w.RegisterWorkflowWithOptions(echo, workflow.RegisterOptions{Name: "echo"})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	run(t, c, "kept")
	w.Stop()
	stop(t, s)
	s = start(t, Options{DataDir: dir})
	defer stop(t, s)
	var got string
	if err := dial(t, s).GetWorkflow(t.Context(), "kept", "").Get(t.Context(), &got); err != nil || got != "kept" {
		t.Fatalf("got %q, %v", got, err)
	}
}
