package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// Times of exports.yaml: never while a test lasts, and every second.
const (
	seldom = "0 4 29 2 *"
	often  = "* * * * * * *"
)

// writeExports writes exports.yaml with an export "Spring" of two segments.
func (w *world) writeExports(cron, second string) string {
	w.t.Helper()
	text := fmt.Sprintf(`refresh: {cron: %q, timeZone: Europe/Oslo}
exports:
  - name: Spring
    connection: sandbox
    email: EmailAddress
    segments:
      - {name: High-value, source: segments}
      - {name: Readers, source: %s}
`, cron, second)
	if err := os.WriteFile(w.path("exports.yaml"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.path("exports.yaml")
}

// history asks the starter for the runs of an export.
func (s starter) history(export string) []operate.View {
	s.t.Helper()
	var views []operate.View
	if err := json.Unmarshal([]byte(s.want(0, "runs", export, "-o", "json")), &views); err != nil {
		s.t.Fatal(err)
	}
	return views
}

// ended counts the runs that are done, by what started them, and tells whether
// none is under way.
func ended(views []operate.View) (schedule, person int, quiet bool) {
	quiet = true
	for _, v := range views {
		switch {
		case !v.Ended():
			quiet = false
		case v.State != schemas.StateDone:
		case v.Trigger.Kind == "schedule":
			schedule++
		default:
			person++
		}
	}
	return schedule, person, quiet
}

// TestCustomerInsightsSteps walks through what the documentation of Customer
// Insights has its users do for an export to Iterable, in that order.
func TestCustomerInsightsSteps(t *testing.T) {
	g := newGuarded(t)
	g.withoutConsent()
	g.allow("administrators")
	expected := g.generated(300)
	admin := starter{g.world, build(t, "starter")}
	contributor := admin
	as := func(s starter, role string) starter {
		t.Setenv(operate.TokenEnv, g.provider.Token("the "+role, role))
		return s
	}
	file := g.writeExports(seldom, "segments/*.parquet")

	// Administrators connect, with consent, and share the connection.
	s := as(admin, schemas.RoleAdministrator)
	g.until("the worker has read the file", func() bool {
		_, out, _ := s.call("connections")
		return strings.Contains(out, "nothing is sent")
	})
	s.contains(s.want(0, "connect", "sandbox", "--agree"), "accepts the key", "Connected: «sandbox», agreed to by the administrator")
	s = as(contributor, schemas.RoleContributor)
	s.contains(s.want(1, "apply", file, "--yes"), "could not create it", "not shared with contributors", "1 of 1 exports")
	g.allow("administrators, contributors")
	g.until("it is shared", func() bool { _, out, _ := s.call("connections"); return strings.Contains(out, "sandbox") })

	// Contributors configure an export with the e-mail field and two segments; saving
	// does not run it.
	s.contains(s.want(0, "apply", file, "--yes"), "+ create «Spring»", "Applied 1 change.")
	s.contains(s.want(0, "apply", file), "No changes.")
	s.contains(s.want(0, "exports"), "Spring", "sandbox", "High-value", "Readers", seldom+" Europe/Oslo", "never", "the contributor", "-02-29")
	if h := s.history("Spring"); len(h) != 0 || g.requests("POST /api/lists/subscribe") != 0 {
		t.Fatalf("saving ran it: %+v", h)
	}

	// The scheduled refresh runs it.
	s.contains(s.want(0, "apply", g.writeExports(often, "segments/*.parquet"), "--yes"), "~ change «Spring»", `- starts.cron: "`+seldom, `+ starts.cron: "`+often)
	g.until("the schedule has run it twice", func() bool { n, _, _ := ended(s.history("Spring")); return n > 1 })
	for _, segment := range []string{"High-value", "Readers"} {
		if l := g.list(segment); l.Digest != expected.Digest {
			t.Errorf("list %s: %+v", segment, l)
		}
	}
	s.contains(s.want(0, "pause", "Spring"), "Paused")
	s.contains(s.want(0, "exports"), "paused")
	g.until("nothing runs", func() bool { _, _, quiet := ended(s.history("Spring")); return quiet })

	// Somebody runs it on demand.
	changed := g.churned(300, 0.2)
	s.contains(s.want(0, "run", "Spring"), "Export «Spring», run", "done")
	if l := g.list("Readers"); l.Digest != changed.Digest {
		t.Errorf("list after the run on demand: %+v", l)
	}
	if _, n, _ := ended(s.history("Spring")); n != 1 {
		t.Errorf("%d runs on demand", n)
	}
	s.contains(s.want(0, "show", "Spring"), "by the contributor", "For       the contributor, contributor", "«Readers»")

	// Administrators disconnect; the export stays, without a connection.
	s.want(0, "resume", "Spring")
	s = as(admin, schemas.RoleAdministrator)
	s.contains(s.want(1, "disconnect", "sandbox"), "«Spring»", "--detach")
	s.contains(s.want(0, "disconnect", "sandbox", "--detach"), "Inactive until another connection is set: «Spring»")
	s.contains(s.want(0, "exports"), "no connection")
	g.until("nothing runs", func() bool {
		_, _, _ = s.call("abort", "Spring") // a run that began meanwhile waits for its connection
		_, _, quiet := ended(s.history("Spring"))
		return quiet
	})

	// It is removed, with all that is known of its people.
	s.contains(s.want(1, "remove", "Spring"), "not agreed")
	s.contains(s.want(0, "remove", "Spring", "--delete-list", "--yes"), "Removed: «Spring»", "Deleted list", "«High-value»", "«Readers»")
	s.contains(s.want(0, "exports"), "No export was applied yet")
	g.nobodyIsLeft()
	for _, p := range g.sandbox.Stats(true).Projects {
		if len(p.Lists) > 0 {
			t.Errorf("lists are left: %+v", p.Lists)
		}
	}
}

// nobodyIsLeft fails the test if the data root has a folder with people in it.
func (w *world) nobodyIsLeft() {
	w.t.Helper()
	for _, folder := range []string{"staging", "snapshots", "reports"} {
		if left, err := w.root.List(w.t.Context(), folder); err != nil || len(left) > 0 {
			w.t.Errorf("left in %s: %v, %v", folder, left, err)
		}
	}
}

// TestOneRunOfAnExport starts an export in every way while a run of it is under way,
// and tries to remove it; one of its segments fails, and the other does not mind.
func TestOneRunOfAnExport(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, true)
	s := starter{w, build(t, "starter")}
	expected := w.generated(200)
	s.want(0, "apply", w.writeExports(seldom, "segments/missing.parquet"), "--yes")

	s.contains(s.want(3, "run", "Spring"), "correct the source of segment «Readers»", "starter abort")
	if l := w.list("High-value"); l.Digest != expected.Digest {
		t.Errorf("the other segment's list: %+v", l)
	}
	s.contains(s.want(0, "run", "Spring", "--detach"), "this joins it")
	s.contains(s.want(0, "trigger", "Spring"), "Triggered")
	w.until("the schedule's start is skipped", func() bool {
		for _, v := range s.history("Spring") {
			if v.State == operate.StateSkipped && strings.Contains(v.Error, "under way") {
				return true
			}
		}
		return false
	})
	s.contains(s.want(1, "remove", "Spring", "--yes"), "a run is under way", "starter cancel")
	s.contains(s.want(0, "exports"), seldom)
	s.want(0, "abort", "Spring")
	w.until("the run has ended", func() bool { status, _, _ := s.call("status", "Spring"); return status == 1 })
	s.contains(s.want(1, "show", "Spring"), "«Readers» aborted", "1 of 2 segments did not get through")

	w.appliedTwice()
	w.removedDuringACheck(s)
	s.contains(s.want(1, "duplicate", "Spring", "Autumn"), "would feed one list", "--segment OLD=NEW")
	s.contains(s.want(1, "run", "--segment", "Readers", "--source", w.path("segments"), "--email", "EmailAddress", "--connection", "sandbox"), "«Spring»", "would feed one list")
	s.contains(s.want(0, "duplicate", "Spring", "Autumn", "--segment", "High-value=A", "--segment", "Readers=B", "--apply"), "name: Autumn", "name: A")
	s.contains(s.want(0, "backfill", "Autumn", "--from", "2024-02-28T00:00:00Z", "--to", "2024-03-02T00:00:00Z"), "Asked for the starts")
	w.until("the backfill runs it", func() bool { return len(s.history("Autumn")) == 1 })
	w.until("it waits", func() bool { status, _, _ := s.call("status", "Autumn"); return status == 3 })
	s.want(0, "abort", "Autumn")
	w.until("the run has ended", func() bool { status, _, _ := s.call("status", "Autumn"); return status == 1 })
	w.addList("Readers", "Standard")
	s.contains(s.want(0, "apply", w.path("exports.yaml"), "--prune", "--yes"), "- remove «Autumn»", "1 unchanged")
	s.contains(s.want(0, "remove", "Spring", "--delete-list", "--yes"), "Deleted list", "«Readers» was not deleted: this export did not make")
	w.nobodyIsLeft()
}

// appliedTwice applies a plan that was made before somebody else applied the file.
func (w *world) appliedTwice() {
	w.t.Helper()
	file, err := config.LoadExports(w.path("exports.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	steps, err := operate.Plan(file, nil, false, false)
	if err == nil {
		err = w.operator.Apply(w.t.Context(), steps)
	}
	if err != nil || steps[0].Verb != operate.VerbCreate {
		w.t.Errorf("%+v, %v", steps, err)
	}
}

// removedDuringACheck tries to remove the export while a check of it, which leaves
// people's data behind, is under way.
func (w *world) removedDuringACheck(s starter) {
	w.t.Helper()
	check, err := w.client.ExecuteWorkflow(w.t.Context(), client.StartWorkflowOptions{
		ID: schemas.CheckWorkflowID("Spring"), TaskQueue: "of no worker", WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, schemas.WorkflowRunExport, schemas.RunInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	s.contains(s.want(1, "remove", "Spring", "--yes"), "a run is under way of «Spring», a check")
	if err := w.client.TerminateWorkflow(w.t.Context(), check.GetID(), check.GetRunID(), "not needed any more"); err != nil {
		w.t.Fatal(err)
	}
}
