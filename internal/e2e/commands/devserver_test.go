package commands

import (
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// cliEnv names the temporal CLI's program; docs/temporal.md says how to build it.
const cliEnv = "E2E_TEMPORAL_CLI"

// TestThePlainDevelopmentServer runs against "temporal server start-dev", first
// without search attributes and then with them.
func TestThePlainDevelopmentServer(t *testing.T) {
	t.Parallel()
	cli := os.Getenv(cliEnv)
	if cli == "" {
		t.Skipf("%s does not name the temporal CLI", cliEnv)
	}
	w := world.New(t, sandbox.Config{}, false)
	addr := world.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(cli, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", port, "--log-level", "error")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	log := slog.New(slog.DiscardHandler)
	var err error
	w.Client, err = dial.Temporal(t.Context(), dial.Options{Address: addr, Log: log, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Client.Close)
	w.Operator = &operate.Session{Client: w.Client, Namespace: client.DefaultNamespace, Who: schemas.Person{Name: "tester", Role: schemas.RoleAdministrator}}
	w.StartHost()
	expected := w.Generated(2000)
	for _, name := range []string{"Without attributes", "With attributes"} {
		w.Done(w.Run(w.Export(name, "EmailAddress")))
		if l := w.List(name); l.Digest != expected.Digest {
			t.Errorf("%s: the list has %d members, want %d", name, l.Size, expected.Valid)
		}
		all, err := dial.Attributes(t.Context(), w.Client, client.DefaultNamespace)
		if err != nil {
			t.Fatal(err)
		}
		if err := dial.AddAttributes(t.Context(), w.Client, client.DefaultNamespace, all); err != nil {
			t.Fatal(err)
		}
		w.Until("the namespace has the attributes", func() bool { return dial.HasAttributes(t.Context(), w.Client, client.DefaultNamespace) })
	}
}
