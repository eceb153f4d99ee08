package devstack

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
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
	w.RegisterWorkflowWithOptions(wait, workflow.RegisterOptions{Name: "wait"})
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

// uiAnswers checks that the UI's page, what the page loads, and the API behind it
// are there.
func uiAnswers(t *testing.T, s *Stack) {
	t.Helper()
	page := get(t, s.UIURL()+"/", "<html")
	assets := regexp.MustCompile(`(?:href|src|import\()\s*=?\s*"(\.?/[^"]+\.(?:js|css))"`).FindAllStringSubmatch(page, -1)
	if len(assets) == 0 {
		t.Errorf("the UI's page loads nothing: %.400s", page)
	}
	for _, asset := range assets {
		get(t, s.UIURL()+strings.TrimPrefix(asset[1], "."), "")
	}
	get(t, s.UIURL()+"/api/v1/namespaces/default", `"default"`)
	get(t, s.UIURL()+"/namespaces/default/workflows", "<html")
	if s.UIURL() != "http://"+s.UIAddr() {
		t.Errorf("%s and %s differ", s.UIURL(), s.UIAddr())
	}
}

func get(t *testing.T, url, want string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || len(body) == 0 || !strings.Contains(string(body), want) {
		t.Errorf("%s: %s, %v: %.200s", url, answer.Status, err, body)
	}
	return string(body)
}

func portsAreRefused(t *testing.T, s *Stack) {
	t.Helper()
	for name, c := range map[string]struct{ frontend, ui, refused string }{
		"Temporal's port taken": {s.FrontendAddr(), "", s.FrontendAddr()},
		"the UI's port taken":   {"127.0.0.1:0", s.UIAddr(), s.UIAddr()},
		"open to others":        {"0.0.0.0:0", "", "0.0.0.0:0"},
		"UI open to others":     {"127.0.0.1:0", ":0", ":0"},
		"not an address":        {"7233", "", "7233"},
	} {
		_, err := Start(t.Context(), Options{FrontendAddr: c.frontend, UIAddr: c.ui})
		var port *PortError
		if !errors.As(err, &port) || port.Addr != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A port that is taken between its choice and its use ends the start, not the
// process.
func TestTakenPortOfAService(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := Options{}
	o.setDefaults()
	f := newFatal()
	err = f.run(func() error { _, err := startServer(o, l.Addr().String(), f); return err })
	var port *PortError
	if !errors.As(err, &port) || port.Addr != l.Addr().String() || !port.internal {
		t.Errorf("got %#v", err)
	}
}

// childDir is set for the process that TestStateSurvivesAKill kills.
const childDir = "DEVSTACK_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		s, err := Start(context.Background(), Options{DataDir: dir, FrontendAddr: "127.0.0.1:0", SearchAttributes: map[string]enums.IndexedValueType{}})
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString(s.FrontendAddr() + "\n")
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test is gone, if it comes to that
		_ = s.Stop()
		return
	}
	os.Exit(m.Run())
}

// What a server has acknowledged is there after it was killed; the next one adds
// the search attributes that the database lacks.
func TestStateSurvivesAKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space, # and %41?")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	startAndSignal(t, strings.TrimSpace(addr))
	var locked *LockedError
	if _, err := Start(t.Context(), Options{DataDir: dir, FrontendAddr: "127.0.0.1:0"}); !errors.As(err, &locked) {
		t.Errorf("two processes on one folder: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()

	s := start(t, Options{DataDir: dir})
	defer stop(t, s)
	c := dial(t, s)
	work(t, c)
	var got string
	if err := c.GetWorkflow(t.Context(), "kept", "").Get(t.Context(), &got); err != nil || got != "signalled" {
		t.Errorf("got %q, %v", got, err)
	}
	run(t, c, "next")
}

// startAndSignal leaves a workflow that no worker has seen yet.
func startAndSignal(t *testing.T, addr string) {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: addr, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "kept", TaskQueue: "test"}, "wait"); err != nil {
		t.Fatal(err)
	}
	if err := c.SignalWorkflow(t.Context(), "kept", "", "signal", "signalled"); err != nil {
		t.Fatal(err)
	}
}

// wait is a workflow that returns the value of a signal.
func wait(ctx workflow.Context) (s string, err error) {
	workflow.GetSignalChannel(ctx, "signal").Receive(ctx, &s)
	return s, nil
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
	stop(t, s) // a second time does nothing
	s = start(t, Options{DataDir: dir})
	defer stop(t, s)
	var got string
	if err := dial(t, s).GetWorkflow(t.Context(), "kept", "").Get(t.Context(), &got); err != nil || got != "kept" {
		t.Fatalf("got %q, %v", got, err)
	}
}
