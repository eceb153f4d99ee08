package commands

import (
	"fmt"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// bareTemporal gives the world a Temporal whose namespace has no search
// attributes.
func bareTemporal(w *world.World) {
	w.T.Helper()
	w.StartTemporalWith(devstack.Options{FrontendAddr: "127.0.0.1:0", SearchAttributes: map[string]enums.IndexedValueType{}})
}

// TestSetup runs in a namespace without the search attributes, makes them, and
// finds the next run by them.
func TestSetup(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	bareTemporal(w)
	expected := w.Generated(500)
	w.StartHost()
	s := w.Starter()
	w.Done(w.Run(w.Export("Without", "EmailAddress")))
	s.Contains(s.Want(1, "doctor"), schemas.AttributeExport+": it is missing", "starter doctor --fix")
	s.Contains(s.Want(0, "setup"), fmt.Sprintf("search attributes: all %d exist", len(schemas.SearchAttributes)))
	r := w.Done(w.Run(w.Export("With", "EmailAddress")))
	query := fmt.Sprintf("%s = 'With' AND %s = 'done' AND %s = 'sandbox' AND %s = %d AND %s = %d", schemas.AttributeSegment, schemas.AttributeState,
		schemas.AttributeConnection, schemas.AttributeSent, expected.Valid, schemas.AttributeRejected, r.Manifest.Read-expected.Valid-expected.Duplicates)
	w.Until("the run is found by "+query, func() bool {
		found, err := w.Client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default", Query: query})
		return err == nil && len(found.Executions) == 1
	})
}

// TestSetupMakesTheNamespace runs in a namespace that Temporal did not have.
func TestSetupMakesTheNamespace(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	s := w.Starter()
	s.Contains(s.Want(1, "doctor", "--namespace", "exports"), "the namespace does not exist", "starter doctor --fix --namespace \"exports\"")
	s.Contains(s.Want(1, "doctor", "--fix", "-n", "exports"), "Created the namespace exports, which keeps ended runs for 30 days",
		"exports: keeps ended runs for 30 days", fmt.Sprintf("search attributes: all %d exist", len(schemas.SearchAttributes)))
	if again := s.Want(1, "doctor", "--fix", "-n", "exports"); strings.Contains(again, "Created") {
		t.Errorf("it is created twice: %s", again)
	}
}
