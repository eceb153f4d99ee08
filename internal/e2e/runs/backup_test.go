package runs

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestBackupsAreAllRun: the command in docs/backup.md runs the tests of all its rows.
func TestBackupsAreAllRun(t *testing.T) {
	page, err := os.ReadFile("../../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`CHAOS=1 go test \./internal/e2e/runs -run\s+'([^']+)'`).FindSubmatch(page)
	if command == nil {
		t.Fatal("docs/backup.md has no command")
	}
	run := regexp.MustCompile(string(command[1]))
	source, err := os.ReadFile("backup_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := []string{"TestASnapshotThatIsNotToBeTrustedRemovesNobody"} // only the snapshots are lost
	for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllSubmatch(source, -1) {
		tests = append(tests, string(found[1]))
	}
	for _, name := range tests {
		if !run.MatchString(name) {
			t.Errorf("the command of docs/backup.md does not run %s", name)
		}
	}
}

// deployment is a world whose parts can be saved and restored, each for itself.
type deployment struct {
	*world.World
	temporal      string            // Temporal's folder; "" keeps its state in memory
	saved         map[string]string // the backups, by what they are of
	savesTemporal bool
}

// deploy starts a deployment.
func deploy(t *testing.T, savesTemporal bool) *deployment {
	t.Helper()
	// Sizes do not lag: a backup is restored hours after the list was changed.
	w := &world.World{T: t, Dir: t.TempDir(), Sandbox: world.NewSandbox(t, sandbox.Config{Lag: -1, KeepData: true})}
	w.Sources, w.DataRoot = w.Path("segments"), w.Path("data")
	w.StartSandbox()
	d := &deployment{World: w, saved: map[string]string{}, savesTemporal: savesTemporal}
	if savesTemporal {
		d.temporal = w.Path("temporal")
	}
	w.WriteConnections("{}")
	d.start()
	return d
}

func (d *deployment) start() {
	d.T.Helper()
	d.StartTemporalWith(devstack.Options{FrontendAddr: "127.0.0.1:0", DataDir: d.temporal})
	d.OpenRoot()
	d.StartHost()
}

func (d *deployment) stop() {
	d.T.Helper()
	d.Host.Stop()
	if err := d.Stack.Stop(); err != nil {
		d.T.Fatal(err)
	}
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// save makes a backup of the data root, and of Temporal while it is stopped.
func (d *deployment) save() {
	d.T.Helper()
	parts := map[string]string{"data root": d.DataRoot}
	if d.savesTemporal {
		d.stop()
		defer d.start()
		parts["Temporal"] = d.temporal
	}
	for what, dir := range parts {
		d.saved[what] = d.Path("backup of " + what)
		copyFolder(d.T, dir, d.saved[what])
	}
}

// restoreDataRoot puts the backup in the place of the data root.
func (d *deployment) restoreDataRoot() {
	d.T.Helper()
	if err := os.RemoveAll(d.DataRoot); err != nil {
		d.T.Fatal(err)
	}
	copyFolder(d.T, d.saved["data root"], d.DataRoot)
}

// disaster is what becomes of a deployment after its backup.
type disaster struct {
	dataRoot, temporal bool // restored from the backup
	lost, gone         bool // the data root is empty, Temporal is new
	declared           bool // worker --restored was typed
}

func (d *deployment) suffers(x disaster) {
	d.T.Helper()
	if x.temporal || x.gone {
		d.stop()
	} else {
		d.Host.Stop()
	}
	if x.dataRoot {
		d.restoreDataRoot()
	}
	if x.temporal {
		// SQLite may still have the files of the old folder open.
		d.temporal = d.Path("temporal again")
		copyFolder(d.T, d.saved["Temporal"], d.temporal)
	}
	if x.lost {
		if err := os.RemoveAll(d.DataRoot); err != nil {
			d.T.Fatal(err)
		}
	}
	if x.temporal || x.gone {
		d.start()
	} else {
		d.OpenRoot()
		d.StartHost()
	}
	if x.declared {
		if err := d.Root.WriteJSON(d.T.Context(), dataroot.RestoreKey, dataroot.Restore{ID: "after the disaster"}); err != nil {
			d.T.Fatal(err)
		}
	}
}

// TestBackups restores each part of a deployment from a backup that is older than the rest.
// After the backup a run has removed 1 and 2, added 11 and changed all values, and somebody
// else has added 1. The segment then has 2 and 4 to 10, with the values of the backup.
// Nobody in it may be missing on the list or have other values, and 1 may not be removed.
func TestBackups(t *testing.T) {
	t.Parallel()
	mirrored := append(world.Persons(1, 2), world.Persons(4, 10)...)
	all := world.Persons(1, 11) // none was removed
	type restore struct {
		disaster
		warns string
		list  []string
	}
	restores := map[string]restore{
		"the data root is older than Temporal":     {disaster{dataRoot: true}, restoredWarning, all},
		"the data root is older, Temporal is gone": {disaster{dataRoot: true, gone: true, declared: true}, restoredWarning, all},
		"both are as old":                          {disaster{dataRoot: true, temporal: true, declared: true}, restoredWarning, all},
		"Temporal is older than the data root":     {disaster{temporal: true}, "", mirrored},
		"Temporal is gone":                         {disaster{gone: true}, "", mirrored},
	}
	for name, c := range restores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, c.temporal)
			e := d.Of("Saved")
			d.People("Saved", 1, 10, 1)
			d.Done(d.Run(e))
			d.save()
			d.People("Saved", 3, 11, 2)
			d.Done(d.Run(e))
			d.Call(http.MethodPost, "/api/lists/subscribe", fmt.Sprintf(`{"listId": %d, "subscribers": [{"email": %q}]}`, d.List("Saved").ID, world.Person(1)))

			d.suffers(c.disaster)
			d.People("Saved", 4, 10, 1, world.Person(2))
			r := d.Done(d.Run(e))
			if warnings := strings.Join(r.Warnings, "; "); c.warns == "" && strings.Contains(warnings, restoredWarning) || !strings.Contains(warnings, c.warns) {
				t.Errorf("the run warns %q, want %q", warnings, c.warns)
			}
			if have := d.Members("Saved"); !slices.Equal(have, c.list) {
				t.Errorf("the list has %v, want %v", have, c.list)
			}
			for _, i := range []int{2, 4, 10} {
				if got := d.Call(http.MethodGet, "/api/users/"+world.Person(i), ""); !bytes.Contains(got, []byte(`"n":1`)) {
					t.Errorf("profile %d has the value of another version: %s", i, got)
				}
			}
			if again := d.Done(d.Run(e)).Manifest; again.ToSend() != 0 || again.SentAgain != "" {
				t.Errorf("the next run sends %d again: %s", again.ToSend(), again.SentAgain)
			}
		})
	}
}

// TestALostDataRootAsks: a new data root does not take the lists of the lost one for its own, unless
// somebody approves. Then all profiles are sent, and none is removed: with CHAOS=1, since it takes
// minutes.
func TestALostDataRootAsks(t *testing.T) {
	t.Parallel()
	d := deploy(t, false)
	e := d.Of("Saved")
	d.People("Saved", 1, 10, 1)
	d.Done(d.Run(e))
	d.suffers(disaster{lost: true})
	d.People("Saved", 4, 10, 1)
	v := d.Run(e)
	d.WaitsWith(v, schemas.ErrorListForeign, "another data root")
	if v = d.Answer(v, schemas.UpdateAbort); v.State != schemas.StateAborted {
		t.Errorf("the run is %s", v.State)
	}
	if have := d.Members("Saved"); !slices.Equal(have, world.Persons(1, 10)) {
		t.Errorf("the list has %v", have)
	}

	if world.Earnest(true, false) { // the previous owner of a list has minutes to notice that it was handed over
		return
	}
	d.People("Saved", 4, 11, 1)
	v = d.Run(e)
	d.WaitsWith(v, schemas.ErrorListForeign, "another data root")
	if _, err := d.Operator.Answer(t.Context(), v, schemas.UpdateApprove, v.Waits()[0].ID); err != nil {
		t.Fatal(err)
	}
	if r := d.DoneWithin(v.Run, 5*time.Minute); r.Manifest.Adds != 8 || r.Upload.Sent != 8 || r.Manifest.Removals != 0 {
		t.Errorf("after approval it adds %d, sends %d and removes %d", r.Manifest.Adds, r.Upload.Sent, r.Manifest.Removals)
	}
	if have := d.Members("Saved"); !slices.Equal(have, world.Persons(1, 11)) {
		t.Errorf("after approval the list has %v", have)
	}
	if again := d.Done(d.Run(e)).Manifest; again.ToSend() != 0 {
		t.Errorf("the next run sends %d again", again.ToSend())
	}
}

// TestAnOlderConfiguration restores exports.yaml and connections.yaml from before an export was
// changed, and another one added over a connection of its own.
func TestAnOlderConfiguration(t *testing.T) {
	t.Parallel()
	d := deploy(t, false)
	saved, added := d.Of("Saved"), d.Of("Added")
	d.People("Saved", 1, 10, 1)
	d.People("Added", 1, 5, 1)
	older := schemas.Exports{Exports: []schemas.Export{saved}}
	d.Apply(older)
	d.Done(d.Run(saved))
	changed := saved
	changed.Fields, added.Connection = schemas.Fields{}, "new"
	d.Others = d.Connection("new", d.URL, "{}")
	d.configure()
	d.Apply(schemas.Exports{Exports: []schemas.Export{changed, added}})
	d.Done(d.Run(changed))
	d.Done(d.Run(added))

	newest := d.Others
	d.Others = ""
	d.configure()
	applied, err := d.Operator.Applied(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps, err := operate.Plan(&older, applied, false, false)
	if err != nil || len(steps) != 2 || steps[0].Export != "Saved" || steps[0].Verb != operate.VerbChange || steps[1].Verb != operate.VerbKeep {
		t.Fatalf("the older exports.yaml does %+v, %v", steps, err)
	}
	if err := d.Operator.ApplyStep(t.Context(), steps[0]); err != nil {
		t.Fatal(err)
	}
	d.People("Saved", 1, 11, 1)
	d.People("Added", 1, 6, 1)
	if r := d.Done(d.Run(saved)); r.Manifest.Removals != 0 {
		t.Errorf("the older export removes %d", r.Manifest.Removals)
	}
	v := d.Run(added)
	d.WaitsWith(v, schemas.ErrorUnknownConnection)
	if have := d.Members("Added"); !slices.Equal(have, world.Persons(1, 5)) {
		t.Errorf("without its connection the list has %v", have)
	}
	d.Others = newest
	d.configure()
	if m := d.Done(d.Answer(d.Watch(v.Run), schemas.UpdateRetry)).Manifest; m.Adds != 1 || m.Removals != 0 {
		t.Errorf("with its connection it adds %d and removes %d", m.Adds, m.Removals)
	}
	for list, last := range map[string]int{"Saved": 11, "Added": 6} {
		if have := d.Members(list); !slices.Equal(have, world.Persons(1, last)) {
			t.Errorf("%s has %v", list, have)
		}
	}
}

// configure writes connections.yaml, and starts the worker again with it.
func (d *deployment) configure() {
	d.T.Helper()
	d.Host.Stop()
	d.WriteConnections("{}")
	d.StartHost()
}

const restoredWarning = "the data root was restored from a backup"

// TestACheckNoticesARestore: a check says what the next run will do.
func TestACheckNoticesARestore(t *testing.T) {
	t.Parallel()
	d := deploy(t, false)
	e := d.Of("Saved")
	d.People("Saved", 1, 10, 1)
	d.Done(d.Run(e))
	d.save()
	d.People("Saved", 3, 11, 2)
	d.Done(d.Run(e))
	d.Host.Stop()
	d.restoreDataRoot()
	d.StartHost()
	d.People("Saved", 4, 10, 1)
	run, _, err := d.Operator.Check(t.Context(), e, false)
	if err != nil {
		t.Fatal(err)
	}
	m := d.Done(d.Watch(run)).Manifest
	if m.Adds != 7 || m.Removals != 0 || !strings.Contains(m.SentAgain, restoredWarning) {
		t.Errorf("the check counts %d to add and %d to remove: %q", m.Adds, m.Removals, m.SentAgain)
	}
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(snapshotFile(d.World, "Saved")), "*.json")); len(files) > 0 {
		t.Errorf("the check has left %q", files)
	}
}

// TestARunComesBackWithTemporal saves Temporal while a run waits, and restores it after the
// run has ended and another one has changed the list.
func TestARunComesBackWithTemporal(t *testing.T) {
	t.Parallel()
	d := deploy(t, true)
	e := d.Of("Saved")
	d.People("Saved", 1, 10, 1)
	d.Done(d.Run(e))
	d.People("Saved", 6, 10, 1)
	v := d.Run(e)
	d.WaitsWith(v, schemas.ErrorGuardrail)
	d.save()
	d.Done(d.Answer(d.Watch(v.Run), schemas.UpdateApprove))
	d.People("Saved", 6, 12, 2)
	d.Done(d.Run(e))

	d.suffers(disaster{temporal: true})
	v = d.Watch(operate.Run{Export: "Saved", WorkflowID: schemas.RunWorkflowID("Saved"), RunID: v.Run.RunID})
	v = d.Answer(v, schemas.UpdateApprove) // to what was staged for the list of then
	d.WaitsWith(v, schemas.ErrorStaging)
	v = d.Answer(v, schemas.UpdateRetry)
	d.WaitsWith(v, schemas.ErrorStaging, "was done already")
	d.Answer(v, schemas.UpdateAbort)
	if have := d.Members("Saved"); !slices.Equal(have, world.Persons(6, 12)) {
		t.Errorf("the list has %v", have)
	}
	if m := d.Done(d.Run(e)).Manifest; m.ToSend() != 0 || m.Unchanged != 7 {
		t.Errorf("the next run sends %d", m.ToSend())
	}
}

// TestALostDataKey loses the key of an encrypted data root, and does what the page says.
func TestALostDataKey(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Lag: -1}, false)
	encrypt(w, dataKey(t))
	w.StartHost()
	e := w.Of("Saved")
	w.People("Saved", 1, 10, 1)
	w.Done(w.Run(e))
	w.Host.Stop()
	encrypt(w, dataKey(t))
	w.StartHost()
	w.People("Saved", 4, 10, 1)
	v := w.Run(e)
	w.WaitsWith(v, schemas.ErrorDataKey)
	for _, dir := range dataroot.PeopleDirs {
		if err := os.Rename(filepath.Join(w.DataRoot, dir), w.Path(dir+" of the lost key")); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	m := w.Done(w.Answer(v, schemas.UpdateRetry)).Manifest
	if m.Adds != 7 || m.Removals != 0 {
		t.Errorf("the run adds %d and removes %d", m.Adds, m.Removals)
	}
	if have := w.Members("Saved"); !slices.Equal(have, world.Persons(1, 10)) {
		t.Errorf("the list has %v", have)
	}
}
