// Package report writes the report of a run that people read: one HTML file that
// needs nothing beside itself, neither a network nor a script. It holds counts
// and names of segments, files and domains, and nobody's address.
package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/schemas"
)

// Run is what a report tells of a run.
type Run struct {
	Export, RunID, Connection, StartedBy, State string
	Started, Finished                           time.Time
	// Settings are those that the run used.
	Settings []Setting
	Segments []Segment
}

// Setting is one of the settings that a run used.
type Setting struct{ Name, Value string }

// Segment is what a report tells of one segment.
type Segment struct {
	schemas.ExportReport
	// Files and Domains say where the rejected rows are from, the most rejected
	// first.
	Files, Domains []Count
	// Pace is how the upload went, in the order of time; Limit is the connection's
	// pace in requests a second.
	Pace  []schemas.PaceSample
	Limit float64
	// History is the list's size after the last runs, in the order of time, this
	// one included.
	History []Size
}

// Count is how many rows something has.
type Count struct {
	Name  string
	Count int64
}

// Size is the size of a list at a time.
type Size struct {
	At      time.Time
	Members int64
}

//go:embed page.html.tmpl style.css
var files embed.FS

var page = template.Must(template.New("page.html.tmpl").Funcs(template.FuncMap{
	"count": count, "date": date, "took": took, "style": style,
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
			return fmt.Errorf("draw the report of segment «%s»: %w", s.Segment, err)
		}
		view.Sections = append(view.Sections, one)
		view.Total.Manifest.Read += s.Manifest.Read
		view.Total.Manifest.Unchanged += s.Manifest.Unchanged
		view.Total.Upload.Add(s.Upload)
		view.Rejected += one.Rejected
	}
	if err := page.Execute(w, view); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// section is a segment with its charts.
type section struct {
	Segment
	Rejected  int64
	Reasons   []reason
	Seconds   float64
	Funnel    figure
	Why       figure
	FromFiles figure
	From      figure
	Speed     figure
	Sizes     figure
}

// reason is one reason with its rows and the sentence that explains it.
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
	var err error
	draw := func(f *figure, made figure, e error) {
		*f = made
		if err == nil {
			err = e
		}
	}
	f, e := bars("From the rows read to the list's members", "Step", "Rows", funnel(out))
	draw(&out.Funnel, f, e)
	f, e = bars("Rejected rows by reason", "Reason", "Rows", why)
	draw(&out.Why, f, e)
	f, e = bars("Rejected rows by source file", "File", "Rows", s.Files)
	draw(&out.FromFiles, f, e)
	f, e = bars("Domains most often rejected", "Domain", "Rows", s.Domains)
	draw(&out.From, f, e)
	f, e = pace(s.Pace, s.Limit)
	draw(&out.Speed, f, e)
	f, e = sizes(s.History)
	draw(&out.Sizes, f, e)
	return out, err
}

// funnel is the way from the rows read to the list.
func funnel(s section) []Count {
	m, u := s.Manifest, s.Upload
	if m.Read == 0 {
		return nil
	}
	var refused int64
	for _, n := range u.Refused {
		refused += n
	}
	staged := m.Read - m.Duplicates - (s.Rejected - refused)
	steps := []Count{
		{"Rows read", m.Read},
		{"Can be mailed", staged + m.Duplicates},
		{"No duplicates", staged},
		{"Taken by Iterable", u.Sent + m.Unchanged},
	}
	if s.ListSize > 0 {
		steps = append(steps, Count{"List members", s.ListSize})
	}
	return steps
}

func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
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
