package workflows_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/workflows"
)

// releasesOfDataRoots has a folder for each release, with the data root that it leaves.
const releasesOfDataRoots = "../internal/e2e/runs/testdata/releases"

// histories has those of this version.
const histories = "testdata/histories"

// TestRecordedHistories replays the runs that this version makes, and those that each release
// made. One that this version can't replay would break the runs that are under way when it is
// deployed; docs/versioning.md says what to do then.
func TestRecordedHistories(t *testing.T) {
	chunks := workflows.ChunksPerExecution
	workflows.ChunksPerExecution = 10 // as it was when the long runs were recorded
	defer func() { workflows.ChunksPerExecution = chunks }()
	folders := map[string]string{"now": histories}
	releases, err := os.ReadDir(releasesOfDataRoots)
	if err != nil || len(releases) == 0 {
		t.Fatal("no release is recorded", err)
	}
	for _, release := range releases {
		folders[release.Name()] = filepath.Join("testdata/releases", release.Name())
	}
	for version, folder := range folders {
		t.Run(version, func(t *testing.T) { replay(t, folder) })
	}
}

// replay replays the histories of a folder, which has one of every kind.
func replay(t *testing.T, folder string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json.gz")
		have[name] = true
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			text, err := gzip.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			history, err := client.HistoryFromJSON(text, client.HistoryJSONOptions{})
			if err != nil {
				t.Fatal(err)
			}
			replayer := worker.NewWorkflowReplayer()
			workflows.Register(replayer)
			id := history.Events[0].GetWorkflowExecutionStartedEventAttributes().WorkflowId // which has the time that a refresh starts runs for
			if err := replayer.ReplayWorkflowHistoryWithOptions(nil, history, worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: id}}); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range []string{"finished", "changed", "waiting", "retried", "approved", "aborted", "cancelled", "checked", "failed"} {
		if !have["export-"+name] || name != "failed" && !have["export-"+name+"-segment"] {
			t.Errorf("%s has no run of the kind %s", folder, name)
		}
	}
	for _, name := range []string{"export-continued-segment-1", "export-continued-segment-2", "notify", "scheduled", "removed", "refresh-scheduled", "refresh-news", "triggeredrun", "findlateruns"} {
		if !have[name] {
			t.Errorf("%s has no history of the kind %s", folder, name)
		}
	}
}

// TestRecordRelease keeps the histories of this version as those of a release, as
// RECORD_RELEASE=0.1 names it. Later versions replay them.
func TestRecordRelease(t *testing.T) {
	version := os.Getenv("RECORD_RELEASE")
	if version == "" {
		t.Skip("RECORD_RELEASE names no version")
	}
	dir := filepath.Join("testdata/releases", version)
	if _, err := os.Stat(dir); err == nil {
		t.Fatalf("%s was recorded already; a release is recorded once", version)
	}
	if err := os.CopyFS(dir, os.DirFS(histories)); err != nil {
		t.Fatal(err)
	}
}
