package console

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestTheSummaryFits: in a terminal of 100 columns it is a table, of a million rows too.
func TestTheSummaryFits(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	var s operate.SegmentView
	s.State = schemas.StateDone
	s.Run.Segment = "High-value customers"
	s.Report = schemas.ExportReport{StartedAt: time.Unix(0, 0), FinishedAt: time.Unix(200, 0),
		Rejected: map[schemas.Reason]int64{schemas.ReasonSyntax: 1, schemas.ReasonMissing: 12345}}
	s.Report.Manifest.Read, s.Report.Manifest.Unchanged, s.Report.Manifest.Duplicates = 1_030_928, 1_000_000, 3
	s.Report.Upload.Sent = 1_000_000
	v := operate.View{State: schemas.StateDone, Segments: []operate.SegmentView{s}}
	v.Run.Export = "Spring campaign"
	s.Report.Divided = &schemas.Divided{HeldOut: 10}
	v.Segments[0] = s
	var out bytes.Buffer
	Summary(&out, []operate.View{v})
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, line := range lines {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if row := strings.Join(strings.Fields(lines[2]), " "); row != "Spring │ High-value │ done │ 1,030,928 │ 1,000,000 │ 1,000,000 │ 0 │ 12,346 │ 200.0" {
		t.Error(out.String())
	}
	if last := lines[len(lines)-1]; last != `Not sent of "High-value customers": missing 12,345, syntax 1, duplicate 3, holdout 10` {
		t.Error(last)
	}
}
