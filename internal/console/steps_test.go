package console

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"iterable-segment-export/schemas"
)

// stepOf matches where a workflow names the step that a segment is in.
var stepOf = regexp.MustCompile(`s\.do\(ctx, schemas\.(\w+)|\bs\.step(?:, s\.data)? = schemas\.(\w+)`)

// values matches the constants of names.go.
var values = regexp.MustCompile(`(?m)^\t((?:Activity|Step)\w+) += "(\w+)"`)

// TestEveryStepHasWords: without them the progress would say that a run which is nearly done is
// starting. The steps are read from the workflows' source.
func TestEveryStepHasWords(t *testing.T) {
	names, err := os.ReadFile("../../schemas/names.go")
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{}
	for _, m := range values.FindAllStringSubmatch(string(names), -1) {
		constants[m[1]] = m[2]
	}
	files, err := filepath.Glob("../../workflows/*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range stepOf.FindAllStringSubmatch(string(source), -1) {
			used[constants[m[1]+m[2]]] = true
		}
	}
	if !used[schemas.ActivityUploadBatches] || !used[schemas.StepGuardrails] || !used[schemas.StepAwaitData] || used[""] {
		t.Fatalf("the steps of the workflows were read as %q", slices.Sorted(maps.Keys(used)))
	}
	for step := range used {
		if steps[step] == "" {
			t.Errorf("step %s has no words", step)
		}
	}
	for step := range steps {
		if !used[step] {
			t.Errorf("no workflow has the step %s", step)
		}
	}
}
