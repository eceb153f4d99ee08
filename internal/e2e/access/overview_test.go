package access

import (
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestTheOverviewOfAMovedExport: what it did over its connection of before is for those who may
// use that one. Its newest run counts, also if the data root has no past runs.
func TestTheOverviewOfAMovedExport(t *testing.T) {
	t.Parallel()
	g := world.NewGuardedOver(t, sandbox.Config{Fast: true}) // it is about what is shown
	admin, contributor := g.As(schemas.RoleAdministrator), g.As(schemas.RoleContributor)
	// sees compares the state of the export with what a person sees of it.
	sees := func(when string, s gateway.Service, state, run string, waits int) {
		t.Helper()
		o, err := s.Overview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if state == "nothing" {
			if len(o.Exports) > 0 {
				t.Errorf("%s: %+v", when, o.Exports)
			}
			return
		}
		if len(o.Exports) != 1 || o.Exports[0].State != state || o.Exports[0].RunID != run || len(o.Exports[0].Waits) != waits || (o.Exports[0].Error != "") != (state == schemas.StateFailed) {
			t.Errorf("%s: %+v; want %q %s and %d waits", when, o.Exports, state, run, waits)
		}
	}
	g.People("Payroll", 1, 3, 1)
	e := g.Of("Payroll")
	e.Connection = "owners"
	file := schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}}
	if p, err := admin.Apply(t.Context(), gateway.PlanRequest{File: file}); err != nil || p.Failed > 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	g.Owners.Revoke(sandbox.DefaultKey, true)
	before := g.Through(admin, gateway.StartRequest{Export: "Payroll"})
	g.WaitsWith(before, schemas.ErrorKeyRejected)
	sees("while it waits", admin, schemas.StateWaiting, before.Run.RunID, 1)
	sees("while it waits", contributor, "nothing", "", 0)
	if err := g.Operator.Client.TerminateWorkflow(t.Context(), before.Run.WorkflowID, before.Run.RunID, "a test"); err != nil {
		t.Fatal(err)
	}
	sees("after its end", admin, schemas.StateFailed, before.Run.RunID, 0)
	if _, err := admin.Move(t.Context(), "Payroll", gateway.MoveRequest{Connection: "sandbox"}); err != nil {
		t.Fatal(err)
	}
	sees("after the move", admin, "", "", 0)
	sees("after the move", contributor, "", "", 0)
	moved := g.Through(contributor, gateway.StartRequest{Export: "Payroll"})
	g.Done(moved)
	for _, past := range []string{"with", "without"} {
		sees("after its run, "+past+" past runs", admin, schemas.StateDone, moved.Run.RunID, 0)
		sees("after its run, "+past+" past runs", contributor, schemas.StateDone, moved.Run.RunID, 0)
		if err := g.Root.DeletePrefix(t.Context(), dataroot.HistoryDir); err != nil {
			t.Fatal(err)
		}
	}
}
