package commands

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// schedule makes a schedule that runs the export, far from now.
func schedule(w *world.World, e schemas.Export) {
	w.T.Helper()
	_, err := w.Client.ScheduleClient().Create(w.T.Context(), client.ScheduleOptions{
		ID:   "export/" + e.Name,
		Spec: client.ScheduleSpec{CronExpressions: []string{"0 4 1 1 *"}},
		Action: &client.ScheduleWorkflowAction{
			Workflow: schemas.WorkflowRunExport, TaskQueue: schemas.TaskQueue, Args: []any{schemas.RunInput{Export: e}},
		},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	w.Until("the schedule is listed", func() bool {
		on, err := w.Operator.Connected(w.T.Context())
		if err != nil {
			w.T.Fatal(err)
		}
		for _, c := range on[e.Connection] {
			if c.Export == e.Name {
				return true
			}
		}
		return false
	})
}

// TestConnectAndDisconnect goes through the life of a connection on the command line.
func TestConnectAndDisconnect(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	w.WithoutConsent()
	w.StartHost()
	w.Generated(50)
	s := w.Starter()

	s.Contains(s.Want(0, "connections"), "sandbox", "email", w.URL, "contributors", "none: nothing is sent", "never")
	s.Contains(s.Want(1, "connect", "sandbox"), "Data privacy and compliance", "not confirmed")
	s.Contains(s.Want(0, "connections"), "none: nothing is sent", "never")
	s.Contains(s.Want(0, "connect", "sandbox", "--agree"), "accepts the key", "type email", "0 lists", "Connected")
	s.Contains(s.Want(0, "connections"), time.Now().UTC().Format(time.DateOnly), "ok", "0 lists")
	s.Contains(s.Want(1, "connect", "sandbx", "--agree"), "sandbx", "sandbox")

	schedule(w, w.Export("Spring", "EmailAddress"))
	other := w.Export("Elsewhere", "EmailAddress")
	other.Connection = "other"
	schedule(w, other)
	s.Contains(s.Want(1, "disconnect", "sandbox"), "is used by 1 export", `"Spring"`, "--detach")
	w.Done(w.Run(w.Export("Spring", "EmailAddress")))
	s.Contains(s.Want(0, "disconnect", "sandbox", "--detach"), "Disconnected", `"Spring"`)
	s.Contains(s.Want(0, "connections"), "disconnected by", "Spring (no connection)")
	d, err := w.Client.ScheduleClient().GetHandle(t.Context(), "export/Spring").Describe(t.Context())
	if err != nil || !d.Schedule.State.Paused || !strings.HasPrefix(d.Schedule.State.Note, operate.NoteNoConnection) {
		t.Errorf("the schedule's state %+v, %v", d.Schedule.State, err)
	}
	if d, err = w.Client.ScheduleClient().GetHandle(t.Context(), "export/Elsewhere").Describe(t.Context()); err != nil || d.Schedule.State.Paused {
		t.Errorf("another connection's schedule: %+v, %v", d.Schedule.State, err)
	}
	w.WaitsFor(w.Export("Spring", "EmailAddress"), schemas.ErrorNoConnection, "disconnected")(schemas.UpdateAbort)
	s.Want(0, "disconnect", "sandbox") // nobody uses it any more
	s.Want(0, "connect", "sandbox", "--agree")
	w.Done(w.Run(w.Export("Spring", "EmailAddress")))
}

// TestConnectionsChangeWhileTheWorkerRuns breaks connections.yaml, and changes the
// key's file.
func TestConnectionsChangeWhileTheWorkerRuns(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	write := func(name, text string) {
		if err := os.WriteFile(w.Path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(w.Path("connections.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Replace(string(text), "{env: "+world.KeyEnv+"}", "{file: key}", 1)
	write("connections.yaml", good)
	write("key", sandbox.DefaultKey+"\n")
	w.StartHost()
	w.Generated(50)
	s := w.Starter()
	w.Done(w.Run(w.Export("A", "EmailAddress")))

	write("connections.yaml", strings.Replace(good, "baseURL", "baseUrl", 1))
	broken := func() string {
		all, err := w.Service().Connections(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all.Broken
	}
	w.Until("the broken file is noticed", func() bool { return broken() != "" })
	s.Contains(broken(), "baseUrl", "baseURL", "connections.yaml")
	s.Contains(s.Want(1, "connections"), "baseUrl", "baseURL", "connections.yaml")
	w.Done(w.Run(w.Export("A", "EmailAddress")))
	write("connections.yaml", good)
	w.Until("the good file is noticed", func() bool { return broken() == "" })

	write("key", strings.Repeat("0", 32))
	answer := w.WaitsFor(w.Export("B", "EmailAddress"), schemas.ErrorKeyRejected, "\"sandbox\"")
	s.Contains(s.Want(1, "connect", "sandbox", "--agree"), "does not work", "nothing was recorded")
	s.Contains(s.Want(0, "connections"), "failed")
	write("key", sandbox.DefaultKey)
	answer(schemas.UpdateRetry)
}
