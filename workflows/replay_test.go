package workflows_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"iterable-segment-export/workflows"
)

// TestRecordedHistories replays runs that earlier versions have made. One that this
// version can't replay would break the runs that are under way when it is deployed;
// docs/versioning.md says what to do then.
func TestRecordedHistories(t *testing.T) {
	chunks := workflows.ChunksPerExecution
	workflows.ChunksPerExecution = 10 // as it was when the long run was recorded
	defer func() { workflows.ChunksPerExecution = chunks }()
	files, err := filepath.Glob("testdata/histories/*.json.gz")
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
			if err := replayer.ReplayWorkflowHistory(nil, history); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range []string{"finished", "changed", "waiting", "retried", "approved", "aborted", "cancelled", "checked", "failed"} {
		if !have["export-"+name] || name != "failed" && !have["export-"+name+"-segment"] {
			t.Errorf("no run of the kind %s is recorded", name)
		}
	}
	for _, name := range []string{"export-continued-segment-1", "export-continued-segment-2", "notify", "scheduled", "removed"} {
		if !have[name] {
			t.Errorf("no history of the kind %s is recorded", name)
		}
	}
}
