package dataroot

import (
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

func TestIDsStayInTheirFolder(t *testing.T) {
	run := schemas.RunRef{Connection: "c", Export: "e", RunID: "r", Segment: "s"}
	for _, attempt := range []string{"..", "../../x", "a/b", "", "/", strings.Repeat("0f", 16)} {
		dir := StagedDir(run, attempt)
		if rest, ok := strings.CutPrefix(dir, StagingDir(run)+"/"); !ok || strings.Contains(rest, "/") || rest == ".." {
			t.Errorf("attempt %q leads to %s", attempt, dir)
		}
	}
	if run.RunID = "../../x"; strings.Contains(StagingDir(run), "..") {
		t.Errorf("a run leads to %s", StagingDir(run))
	}
}
