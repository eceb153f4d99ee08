// Package report writes the report of a run, and the overview of all exports, as one HTML file
// that needs no network and no script. It contains counts, and names of segments, files and domains, but no addresses.
package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"iterable-segment-export/schemas"
)

// Run is the content of a report.
type Run struct {
	Export, RunID, Connection, StartedBy, State string
	Started, Finished                           time.Time
	Settings                                    []Setting
	Segments                                    []Segment
	// Answers are the waits of the run as a whole that were answered.
	Answers []schemas.Answered
}

// Setting is one of the settings that a run used.
type Setting struct{ Name, Value string }

// Segment is the part of a report about one segment.
type Segment struct {
	schemas.ExportReport
	// Files and Domains count the rejected rows by source file and by domain, in
	// descending order.
	Files, Domains []Count
	// Pace has the requests of the upload, in order of time. Limit is the connection's
	// limit in requests per second.
	Pace  []schemas.PaceSample
	Limit float64
	// History is the list's size after the last runs and this one, in order of time.
	History []Size
}

// Count is a number of rows.
type Count struct {
	Name  string
	Count int64
}

// Size is the size of a list at a time.
type Size struct {
	At      time.Time
	Members int64
}

//go:embed page.html.tmpl overview.html.tmpl style.css
var files embed.FS

var page = template.Must(template.New("page.html.tmpl").Funcs(template.FuncMap{
	"count": humanize.Comma, "date": date, "took": took, "style": style,
}).ParseFS(files, "page.html.tmpl"))

func style() (template.CSS, error) {
	text, err := files.ReadFile("style.css")
	return template.CSS(text), err
}

// Write writes the report.
func Write(w io.Writer, r Run) error {
	view := struct {
		Run
		Total    schemas.ExportReport
		Rejected int64
		Sections []section
	}{Run: r}
	for _, s := range r.Segments {
		one, err := newSection(s)
		if err != nil {
			return fmt.Errorf("draw the report of segment %q: %w", s.Segment, err)
		}
		view.Sections = append(view.Sections, one)
		if s.Of == "" { // the divided segment counts the rows of its lists
			view.Total.Manifest.Read += s.Manifest.Read
		}
		view.Total.Manifest.Unchanged += s.Manifest.Unchanged
		view.Total.Upload.Add(s.Upload)
		view.Rejected += one.Rejected
	}
	if err := page.Execute(w, view); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// section is the part of the page about one segment.
type section struct {
	Segment
	Rejected int64
	Reasons  []reason
	Seconds  float64
	Bars     []bars
	Rates    figure
	Sizes    figure
}

// reason is a reason with its rows and the sentence that explains it.
type reason struct {
	Reason  schemas.Reason
	Count   int64
	Message string
}

func newSection(s Segment) (section, error) {
	out := section{Segment: s, Seconds: s.FinishedAt.Sub(s.StartedAt).Seconds()}
	for r, n := range s.ExportReport.Rejected {
		out.Reasons = append(out.Reasons, reason{r, n, r.Sentence()})
		out.Rejected += n
	}
	slices.SortFunc(out.Reasons, func(a, b reason) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(string(a.Reason), string(b.Reason))
	})
	var why []Count
	for _, r := range out.Reasons {
		why = append(why, Count{string(r.Reason), r.Count})
	}
	var lists []Count
	for _, l := range s.Manifest.SuppressionLists {
		lists = append(lists, Count{l.Name, l.Entries})
	}
	if s.Divided != nil { // its lists have sections of their own
		out.History = nil
	}
	out.Bars = []bars{
		newBars("From the rows read to the list's members", "Step", "Rows", funnel(out)),
		newBars("Rejected rows by reason", "Reason", "Rows", why),
		newBars("Rejected rows by source file", "File", "Rows", s.Files),
		newBars("Domains most often rejected", "Domain", "Rows", s.Domains),
		newBars("Suppression lists of the connection", "List", "Entries", lists),
	}
	var err error
	if out.Rates, err = rates(s.Pace, s.Limit, s.FinishedAt); err != nil {
		return out, err
	}
	out.Sizes, err = sizes(out.History)
	return out, err
}

// funnel counts the rows that are left after each step, from the source to the list. A divided
// segment has no list.
func funnel(s section) []Count {
	m, u := s.Manifest, s.Upload
	if m.Read == 0 || s.Divided != nil {
		return nil
	}
	var refused int64
	for _, n := range u.Refused {
		refused += n
	}
	staged := m.Selected() - m.Suppressed - m.Duplicates - (s.Rejected - refused)
	steps := []Count{{"Rows read", m.Read}}
	if m.Filtered > 0 {
		steps = append(steps, Count{"Match the condition", m.Selected()})
	}
	steps = append(steps, Count{"Can be mailed", staged + m.Duplicates + m.Suppressed})
	if m.Suppressed > 0 {
		steps = append(steps, Count{"Not suppressed", staged + m.Duplicates})
	}
	steps = append(steps, Count{"No duplicates", staged})
	if s.State != schemas.StateDone { // what was not sent is neither accepted nor on the list
		return steps
	}
	steps = append(steps, Count{"Accepted by Iterable", u.Sent + m.Unchanged})
	if s.ListSize > 0 {
		steps = append(steps, Count{"List members", s.ListSize})
	}
	return steps
}

func date(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}

func took(from, to time.Time) string {
	if from.IsZero() || to.Before(from) {
		return "–"
	}
	if d := to.Sub(from); d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return to.Sub(from).Round(100 * time.Millisecond).String()
}
