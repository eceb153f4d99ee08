package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// schedule makes a schedule that runs the export, far from now.
func (w *world) schedule(e schemas.Export) {
	w.t.Helper()
	_, err := w.client.ScheduleClient().Create(w.t.Context(), client.ScheduleOptions{
		ID:   "export/" + e.Name,
		Spec: client.ScheduleSpec{CronExpressions: []string{"0 4 1 1 *"}},
		Action: &client.ScheduleWorkflowAction{
			Workflow: schemas.WorkflowRunExport, TaskQueue: schemas.TaskQueue, Args: []any{schemas.RunInput{Export: e}},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.until("the schedule is listed", func() bool {
		on, err := w.operator.Connected(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
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
	w := newWorld(t, sandbox.Config{}, false)
	w.withoutConsent()
	w.startHost()
	w.generated(50)
	s := starter{w, build(t, "starter")}

	s.contains(s.want(0, "connections"), "sandbox", "email", w.url, "contributors", "none: nothing is sent", "never")
	s.contains(s.want(1, "connect", "sandbox"), "Data privacy and compliance", "not agreed")
	s.contains(s.want(0, "connections"), "none: nothing is sent", "never")
	s.contains(s.want(0, "connect", "sandbox", "--agree"), "accepts the key", "type email", "0 lists", "Connected")
	s.contains(s.want(0, "connections"), time.Now().UTC().Format(time.DateOnly), "ok", "0 lists")
	s.contains(s.want(1, "connect", "sandbx", "--agree"), "sandbx", "sandbox")

	w.schedule(w.export("Spring", "EmailAddress"))
	other := w.export("Elsewhere", "EmailAddress")
	other.Connection = "other"
	w.schedule(other)
	s.contains(s.want(1, "disconnect", "sandbox"), "is used by 1 export", "«Spring»", "--detach")
	w.done(w.run(w.export("Spring", "EmailAddress")))
	s.contains(s.want(0, "disconnect", "sandbox", "--detach"), "Disconnected", "«Spring»")
	s.contains(s.want(0, "connections"), "disconnected by", "Spring (no connection)")
	d, err := w.client.ScheduleClient().GetHandle(t.Context(), "export/Spring").Describe(t.Context())
	if err != nil || !d.Schedule.State.Paused || !strings.HasPrefix(d.Schedule.State.Note, operate.NoteNoConnection) {
		t.Errorf("the schedule's state %+v, %v", d.Schedule.State, err)
	}
	if d, err = w.client.ScheduleClient().GetHandle(t.Context(), "export/Elsewhere").Describe(t.Context()); err != nil || d.Schedule.State.Paused {
		t.Errorf("another connection's schedule: %+v, %v", d.Schedule.State, err)
	}
	w.waitsFor(w.export("Spring", "EmailAddress"), schemas.ErrorNoConnection, "disconnected")(schemas.UpdateAbort)
	s.want(0, "disconnect", "sandbox") // nobody uses it any more
	s.want(0, "connect", "sandbox", "--agree")
	w.done(w.run(w.export("Spring", "EmailAddress")))
}

// TestConnectionsChangeWhileTheWorkerRuns breaks connections.yaml, and changes the
// key's file.
func TestConnectionsChangeWhileTheWorkerRuns(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, false)
	write := func(name, text string) {
		if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(w.path("connections.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Replace(string(text), "{env: "+keyEnv+"}", "{file: key}", 1)
	write("connections.yaml", good)
	write("key", sandbox.DefaultKey+"\n")
	w.startHost()
	w.generated(50)
	s := starter{w, build(t, "starter")}
	w.done(w.run(w.export("A", "EmailAddress")))

	write("connections.yaml", strings.Replace(good, "baseURL", "baseUrl", 1))
	w.until("the broken file is noticed", func() bool { return strings.Contains(s.want(0, "connections"), "broken and not in force") })
	s.contains(s.want(0, "connections"), "baseUrl", "baseURL", "connections.yaml")
	w.done(w.run(w.export("A", "EmailAddress")))
	write("connections.yaml", good)
	w.until("the good file is noticed", func() bool { return !strings.Contains(s.want(0, "connections"), "broken") })

	write("key", strings.Repeat("0", 32))
	answer := w.waitsFor(w.export("B", "EmailAddress"), schemas.ErrorKeyRejected, "«sandbox»")
	s.contains(s.want(1, "connect", "sandbox", "--agree"), "can't be used", "nothing was recorded")
	s.contains(s.want(0, "connections"), "failed")
	write("key", sandbox.DefaultKey)
	answer(schemas.UpdateRetry)
}

// TestTheStarterSaysWhoSomebodyIs takes tokens from the environment and from a file.
func TestTheStarterSaysWhoSomebodyIs(t *testing.T) {
	g := newGuarded(t)
	g.generated(50)
	s := starter{g.world, build(t, "starter")}
	s.contains(s.want(1, "whoami"), "EXPORT_TOKEN")
	run := []string{"run", "--segment", "A", "--source", g.path("segments"), "--email", "EmailAddress", "--connection", "sandbox"}
	s.contains(s.want(1, run...), "has no grant")

	t.Setenv(operate.TokenEnv, g.provider.Token("ann", schemas.RoleAdministrator))
	s.contains(s.want(0, "whoami"), "ann, administrator", g.gate.WorkerKey().Key)
	s.want(0, run...)
	s.contains(s.want(0, "connections"), g.url)
	file := g.path("token")
	if err := os.WriteFile(file, []byte(g.provider.Token("bob", schemas.RoleContributor)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.contains(s.want(0, "whoami", "--token-file", file), "bob, contributor")
	if out := s.want(0, "connections", "--token-file", file); strings.Contains(out, g.url) || !strings.Contains(out, "sandbox") {
		t.Errorf("a contributor sees\n%s", out)
	}
	s.contains(s.want(1, "connect", "sandbox", "--agree", "--token-file", file), "takes administrator")

	t.Setenv(operate.WorkerKeyEnv, "AAAA")
	s.contains(s.want(1, "whoami"), "public key")
	t.Setenv(operate.WorkerKeyEnv, g.gate.WorkerKey().Key)
	s.want(0, "whoami")
}
