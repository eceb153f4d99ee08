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
// the time taken. Below it are the reasons of the rows that were not sent.
func Summary(w io.Writer, views []operate.View) {
	header := []string{"export", "segment", "state", "read", "sent", "unchanged", "removed", "rejected", "seconds"}
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
	for _, v := range views {
		for _, s := range v.Segments {
			if reasons := unsent(s.Report); len(reasons) > 0 {
				fmt.Fprintln(w, Wrap(w, 2, fmt.Sprintf("Not sent of %q: %s", s.Run.Segment, strings.Join(reasons, ", "))))
			}
		}
	}
}

func summaryRow(w io.Writer, export string, s operate.SegmentView) []string {
	r := s.Report
	var rejected int64
	for _, n := range r.Rejected {
		rejected += n
	}
	row := []string{export, s.Run.Segment, State(w, s.State), humanize.Comma(r.Manifest.Read), humanize.Comma(r.Upload.Sent),
		humanize.Comma(r.Manifest.Unchanged), humanize.Comma(r.Upload.Removed), humanize.Comma(rejected), ""}
	if !r.FinishedAt.IsZero() {
		row[8] = fmt.Sprintf("%.1f", r.FinishedAt.Sub(r.StartedAt).Seconds())
	}
	return row
}

// unsent returns how many rows were not sent, for each reason.
func unsent(r schemas.ExportReport) (reasons []string) {
	add := func(reason string, n int64) {
		if n > 0 {
			reasons = append(reasons, reason+" "+humanize.Comma(n))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Rejected)) {
		add(string(reason), r.Rejected[reason])
	}
	add("duplicate", r.Manifest.Duplicates)
	add("filtered", r.Manifest.Filtered)
	add("suppressed", r.Manifest.Suppressed)
	if d := r.Divided; d != nil {
		add(string(schemas.ReasonHoldout), d.HeldOut)
		add(string(schemas.ReasonNoValue), d.WithoutValue)
	}
	return reasons
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
