package console

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Summary prints a line for each segment of the runs: the rows read, sent and rejected, and
// the time taken.
func Summary(w io.Writer, views []operate.View) {
	header := []string{"export", "segment", "state", "list", "read", "sent", "unchanged", "removed", "rejected", "requests", "seconds", "profiles/s"}
	var rows [][]string
	for _, v := range views {
		if len(v.Segments) == 0 {
			rows = append(rows, []string{v.Run.Export, "", State(w, v.State)})
		}
		for _, s := range v.Segments {
			rows = append(rows, summaryRow(w, v.Run.Export, s))
		}
	}
	Table(w, header, rows, header[3:]...)
}

func summaryRow(w io.Writer, export string, s operate.SegmentView) []string {
	r := s.Report
	row := []string{export, s.Run.Segment, State(w, s.State), "", humanize.Comma(r.Manifest.Read), humanize.Comma(r.Upload.Sent),
		humanize.Comma(r.Manifest.Unchanged), humanize.Comma(r.Upload.Removed), rejected(r), humanize.Comma(r.Upload.Requests), "", ""}
	if r.ListID != 0 {
		row[3] = fmt.Sprint(r.ListID)
	}
	if !r.FinishedAt.IsZero() {
		took := r.FinishedAt.Sub(r.StartedAt)
		row[10] = fmt.Sprintf("%.1f", took.Seconds())
		if took > 0 {
			row[11] = humanize.Comma(int64(float64(r.Upload.Acknowledged()) / took.Seconds()))
		}
	}
	return row
}

// rejected returns the number of rejected rows, in total and by reason.
func rejected(r schemas.ExportReport) string {
	var total int64
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(r.Rejected)) {
		total += r.Rejected[reason]
		parts = append(parts, fmt.Sprintf("%s %s", reason, humanize.Comma(r.Rejected[reason])))
	}
	if r.Manifest.Filtered > 0 {
		parts = append(parts, fmt.Sprintf("(filtered %s)", humanize.Comma(r.Manifest.Filtered)))
	}
	if r.Manifest.Duplicates > 0 {
		parts = append(parts, fmt.Sprintf("(duplicate %s)", humanize.Comma(r.Manifest.Duplicates)))
	}
	if r.Manifest.Suppressed > 0 {
		parts = append(parts, fmt.Sprintf("(suppressed %s)", humanize.Comma(r.Manifest.Suppressed)))
	}
	if len(parts) == 0 {
		return "0"
	}
	return humanize.Comma(total) + "\n" + strings.Join(parts, "\n")
}

// Ago formats a duration to the second.
func Ago(d time.Duration) string { return d.Round(time.Second).String() }

// Things returns a count with its noun, such as "1 export" or "3 exports".
func Things(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
