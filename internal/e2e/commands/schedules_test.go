package commands

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// history asks the starter for the runs of an export.
func history(s world.Starter, export string) []operate.View {
	s.T.Helper()
	var views []operate.View
	if err := json.Unmarshal([]byte(s.Want(0, "runs", export, "-o", "json")), &views); err != nil {
		s.T.Fatal(err)
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
	t.Parallel()
	g := world.NewGuarded(t)
	g.WithoutConsent()
	g.Allow("administrators")
	expected := g.Generated(300)
	admin := g.Starter()
	contributor := admin
	as := func(s world.Starter, role string) world.Starter {
		s.Env = []string{"EXPORT_API=" + g.API, "EXPORT_TOKEN=" + g.Provider.Token("the "+role, role)}
		return s
	}
	file := g.WriteExports(world.Seldom, "segments/*.parquet")

	// Administrators connect, with consent, and share the connection.
	s := as(admin, schemas.RoleAdministrator)
	g.Until("the worker has read the file", func() bool {
		_, out, _ := s.Call("connections")
		return strings.Contains(out, "nothing is sent")
	})
	s.Contains(s.Want(0, "connect", "sandbox", "--agree"), "accepts the key", `Connected: "sandbox", agreed to by the administrator`)
	s = as(contributor, schemas.RoleContributor)
	s.Contains(s.Want(1, "apply", file, "--yes"), `could not create "Spring"`, "not shared with contributors", "1 of 1 exports")
	g.Allow("administrators, contributors")
	g.Until("it is shared", func() bool { _, out, _ := s.Call("connections"); return strings.Contains(out, "sandbox") })

	// Contributors configure an export with the e-mail field and two segments; saving
	// does not run it.
	s.Contains(s.Want(0, "apply", file, "--yes"), `+ create "Spring"`, "Applied 1 change.")
	s.Contains(s.Want(0, "apply", file), "No changes.")
	s.Contains(s.Want(0, "exports"), "Spring", "sandbox", "High-value", "Readers", "on day 29 of February at 04:00 Europe/Oslo", "never", "the contributor", "29 Feb 2028 04:00")
	if h := history(s, "Spring"); len(h) != 0 || g.Requests("lists/subscribe") != 0 {
		t.Fatalf("saving ran it: %+v", h)
	}

	// The scheduled refresh runs it.
	s.Contains(s.Want(0, "apply", g.WriteExports(world.Often, "segments/*.parquet"), "--yes"), `~ change "Spring"`, `- schedule.cron: "`+world.Seldom, `+ schedule.cron: "`+world.Often, `Starts of "Spring": every minute Europe/Oslo`)
	g.Trigger("Spring")
	g.Until("the schedule has run it, when told to and at its minute", func() bool { n, _, _ := ended(history(s, "Spring")); return n > 1 })
	for _, segment := range []string{"High-value", "Readers"} {
		if l := g.List(segment); l.Digest != expected.Digest {
			t.Errorf("list %s: %+v", segment, l)
		}
	}
	s.Contains(s.Want(0, "pause", "Spring"), "Paused")
	s.Contains(s.Want(0, "exports"), "paused")
	g.Until("nothing runs", func() bool { _, _, quiet := ended(history(s, "Spring")); return quiet })

	// Somebody runs it on demand.
	changed := g.Churned(300, 0.2)
	s.Contains(s.Want(0, "run", "Spring"), `Export "Spring", run`, "done")
	if l := g.List("Readers"); l.Digest != changed.Digest {
		t.Errorf("list after the run on demand: %+v", l)
	}
	if _, n, _ := ended(history(s, "Spring")); n != 1 {
		t.Errorf("%d runs on demand", n)
	}
	s.Contains(s.Want(0, "show", "Spring"), "by the contributor", "For       the contributor, contributor", `"Readers"`)

	// Administrators disconnect; the export stays, without a connection.
	s.Want(0, "resume", "Spring")
	s = as(admin, schemas.RoleAdministrator)
	s.Contains(s.Want(1, "disconnect", "sandbox"), `"Spring"`, "--detach")
	s.Contains(s.Want(0, "disconnect", "sandbox", "--detach"), `Paused until another connection is set: "Spring"`)
	s.Contains(s.Want(0, "exports"), "no connection")
	g.Until("nothing runs", func() bool {
		_, _, _ = s.Call("cancel", "Spring") // a run that began meanwhile waits for its connection
		_, _, quiet := ended(history(s, "Spring"))
		return quiet
	})

	// It is removed, with all that is known of its people.
	s.Contains(s.Want(1, "remove", "Spring"), "not confirmed")
	s.Contains(s.Want(0, "remove", "Spring", "--delete-list", "--yes"), `Removed: "Spring"`, "Deleted list", `"High-value"`, `"Readers"`)
	s.Contains(s.Want(0, "exports"), "No export is applied")
	g.NobodyIsLeft()
	if lists := g.Sandbox.Stats(true).Lists; len(lists) > 0 {
		t.Errorf("lists are left: %+v", lists)
	}
}

// TestOneRunOfAnExport starts an export in every way while a run of it is under way,
// and tries to remove it; one of its segments fails, and the other does not mind.
func TestOneRunOfAnExport(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	s := w.Starter()
	expected := w.Generated(200)
	s.Want(0, "apply", w.WriteExports(world.Seldom, "segments/missing.parquet"), "--yes")

	s.Contains(s.Want(3, "run", "Spring"), "correct the source of segment \"Readers\"", "starter abort")
	if l := w.List("High-value"); l.Digest != expected.Digest {
		t.Errorf("the other segment's list: %+v", l)
	}
	s.Contains(s.Want(0, "run", "Spring", "--detach"), "this joins it")
	w.Trigger("Spring")
	w.Until("the schedule's start is skipped", func() bool {
		for _, v := range history(s, "Spring") {
			if v.NoRun() && strings.Contains(v.Error, "under way") {
				return true
			}
		}
		return false
	})
	s.Contains(s.Want(1, "remove", "Spring", "--yes"), "a run is under way", "starter cancel")
	s.Contains(s.Want(0, "exports"), "on day 29 of February at 04:00")
	s.Want(0, "abort", "Spring", "--wait", waitOf(s, "Spring"))
	w.Until("the run has ended", func() bool { status, _, _ := s.Call("status", "Spring"); return status == 1 })
	s.Contains(s.Want(1, "show", "Spring"), `"Readers" aborted`, "1 of 2 segments were not exported")

	appliedTwice(w)
	removedDuringACheck(w, s)
	s.Contains(s.Want(1, "run", "--export", "Spring", "--segment", "Readers", "--source", w.Path("segments"), "--email", "EmailAddress", "--connection", "sandbox"), "applied with another definition")
	copied(w, s)
	w.Trigger("Autumn")
	w.Until("it waits", func() bool { status, _, _ := s.Call("status", "Autumn"); return status == 3 })
	w.Trigger("Autumn")
	w.Until("Temporal has skipped a start", func() bool { return strings.Contains(s.Want(0, "exports"), "1 start skipped") })
	s.Want(0, "abort", "Autumn", "--wait", waitOf(s, "Autumn"))
	w.Until("the run has ended", func() bool { status, _, _ := s.Call("status", "Autumn"); return status == 1 })
	w.AddList("Readers", "Standard")
	s.Contains(s.Want(0, "apply", w.Path("exports.yaml"), "--prune", "--yes"), `- remove "Autumn"`, "1 unchanged")
	s.Contains(s.Want(0, "remove", "Spring", "--delete-list", "--yes"), "Deleted list", `"Readers" was not deleted: this export did not make`)
	w.NobodyIsLeft()
}

// appliedTwice applies a plan that was made before somebody else applied the file.
func appliedTwice(w *world.World) {
	w.T.Helper()
	file, err := config.LoadExports(w.Path("exports.yaml"))
	if err != nil {
		w.T.Fatal(err)
	}
	w.Apply(*file)
}

// copied copies an export in the file that starter exports prints, and applies it.
func copied(w *world.World, s world.Starter) {
	w.T.Helper()
	_, file, _ := s.Call("exports", "-o", "yaml")
	path := w.Path("copy.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.T.Fatal(err)
		}
	}
	write(file)
	s.Contains(s.Want(0, "apply", path), "No changes.")
	write(strings.ReplaceAll(file, "Spring", "Autumn"))
	s.Contains(s.Want(1, "apply", path), "would send to the same list")
	write(strings.NewReplacer("Spring", "Autumn", "High-value", "A", "Readers", "B").Replace(file))
	s.Contains(s.Want(0, "apply", path, "--yes"), `+ create "Autumn"`)
}

// removedDuringACheck tries to remove the export while a check of it, which leaves
// people's data behind, is under way.
func removedDuringACheck(w *world.World, s world.Starter) {
	w.T.Helper()
	check, err := w.Client.ExecuteWorkflow(w.T.Context(), client.StartWorkflowOptions{
		ID: schemas.CheckWorkflowID("Spring"), TaskQueue: "of no worker", WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, schemas.WorkflowRunExport, schemas.RunInput{})
	if err != nil {
		w.T.Fatal(err)
	}
	s.Contains(s.Want(1, "remove", "Spring", "--yes"), `a run is under way of "Spring", a check`)
	if err := w.Client.TerminateWorkflow(w.T.Context(), check.GetID(), check.GetRunID(), "not needed any more"); err != nil {
		w.T.Fatal(err)
	}
}
