package runs

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// releases holds the data root that each release leaves, with the sandbox that its runs have
// filled, by the release's version.
const releases = "testdata/releases"

// releaseWorld is a world at a fixed place, since a recorded data root names the sources.
func releaseWorld(t *testing.T, data, project string) *world.World {
	t.Helper()
	s, err := sandbox.Open(world.Checked(t, sandbox.Config{DataDir: project, Fast: true}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world.World{T: t, Dir: t.TempDir(), Sandbox: s, DataRoot: data}
	w.Sources = w.Path("segments")
	w.StartSandbox()
	w.StartTemporal()
	w.WriteConnections("{}")
	w.OpenRoot()
	w.StartHost()
	return w
}

// TestRecordRelease records the data root of this version, as RECORD_RELEASE=0.1 names it. It
// holds a list with members, rejects, and a run that was aborted.
func TestRecordRelease(t *testing.T) {
	version := os.Getenv("RECORD_RELEASE")
	if version == "" {
		t.Skip("RECORD_RELEASE names no version")
	}
	dir := filepath.Join(releases, version)
	if _, err := os.Stat(dir); err == nil {
		t.Fatalf("%s was recorded already; a release is recorded once", version)
	}
	data, project := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "sandbox")
	w := releaseWorld(t, data, project)
	e := w.Of("Kept")
	w.People("Kept", 1, 9, 1, world.Invalid(1)...)
	w.Done(w.Run(e))
	w.People("Kept", 2, 10, 1, world.Invalid(1)...)
	w.Done(w.Run(e))
	w.People("Kept", 9, 10, 1)
	v := w.Run(e) // too many would be removed
	w.WaitsWith(v, schemas.ErrorGuardrail)
	w.Answer(v, schemas.UpdateAbort)
	w.Host.Stop()
	clean(t, w, data)
	copyFolder(t, data, filepath.Join(dir, "data"))
	copyFolder(t, project, filepath.Join(dir, "sandbox"))
}

// clean takes this machine's folders out of files, and what is not needed.
func clean(t *testing.T, w *world.World, dir string) {
	t.Helper()
	for name, data := range contents(t, dir) {
		switch {
		case strings.HasSuffix(name, ".html"):
			if err := os.Remove(name); err != nil { // large, and read by nothing
				t.Fatal(err)
			}
		case strings.HasSuffix(name, ".json"):
			if err := os.WriteFile(name, []byte(strings.ReplaceAll(string(data), w.Dir, "/srv")), 0o600); err != nil {
				t.Fatal(err)
			}
		case strings.Contains(string(data), w.Dir):
			t.Fatalf("%s names a folder of this machine", name)
		}
	}
}

// contents are the files below a folder, by path.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all[name], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDataRootsOfReleases runs an export on the data root of each release: the next run sends
// what has changed and no more, and the old reports and rejects can be read.
func TestDataRootsOfReleases(t *testing.T) {
	t.Parallel()
	versions, err := os.ReadDir(releases)
	if err != nil || len(versions) == 0 {
		t.Fatal("no release is recorded", err)
	}
	for _, version := range versions {
		t.Run(version.Name(), func(t *testing.T) {
			t.Parallel()
			data, project := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "sandbox")
			copyFolder(t, filepath.Join(releases, version.Name(), "data"), data)
			copyFolder(t, filepath.Join(releases, version.Name(), "sandbox"), project)
			w := releaseWorld(t, data, project)
			reports := oldReports(t, w)
			if states := []string{reports[0].State, reports[1].State, reports[2].State}; !slices.Equal(states, []string{"done", "done", "aborted"}) {
				t.Fatalf("the reports say %q", states)
			}
			if m := reports[0].Manifest; m.Adds != 9 || reports[0].Upload.Sent != 9 || len(w.ReadRejects(reports[0])) != 1 {
				t.Errorf("the first report has %+v", m)
			}
			w.People("Kept", 3, 11, 1)
			r := w.Done(w.Run(w.Of("Kept")))
			if m := r.Manifest; m.Adds != 1 || m.Removals != 1 || m.Unchanged != 8 || m.SentAgain != "" {
				t.Errorf("the next run adds %d, removes %d, leaves %d: %s %q", m.Adds, m.Removals, m.Unchanged, m.SentAgain, r.Warnings)
			}
			if have := w.Members("Kept"); !slices.Equal(have, world.Persons(3, 11)) {
				t.Errorf("the list has %v", have)
			}
		})
	}
}

// oldReports are the reports of a data root's only segment, the oldest first.
func oldReports(t *testing.T, w *world.World) (all []schemas.ExportReport) {
	t.Helper()
	for name, data := range contents(t, w.DataRoot) {
		if filepath.Base(name) != dataroot.ReportFile {
			continue
		}
		var r schemas.ExportReport
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b schemas.ExportReport) int { return a.StartedAt.Compare(b.StartedAt) })
	if len(all) != 3 {
		t.Fatalf("there are %d reports", len(all))
	}
	return all
}
