package report

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"iterable-segment-export/schemas"
)

var begin = time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)

// eventful is a run with everything in it that a report shows.
func eventful() Run {
	s := Segment{
		ExportReport: schemas.ExportReport{
			Export: "Spring campaign", Segment: "High-value <customers>", State: schemas.StateDone, ListID: 1234, ListCreated: true,
			ListSize: 97_412, StartedAt: begin, FinishedAt: begin.Add(20500 * time.Millisecond),
			Manifest: schemas.Manifest{Read: 100_000, Duplicates: 900, Adds: 97_500, Unchanged: 12},
			Upload: schemas.UploadCounts{
				Requests: 102, Throttled: 4, Sent: 97_400, Refused: map[schemas.Reason]int64{schemas.ReasonIterableForgotten: 100},
			},
			Rejected: map[schemas.Reason]int64{
				schemas.ReasonSyntax: 1200, schemas.ReasonMissing: 300, schemas.ReasonUnknownTLD: 88, schemas.ReasonIterableForgotten: 100,
			},
			Warnings: []string{"Iterable says 97,412 members where 97,400 were expected"},
		},
		Files:   []Count{{"part-0.parquet", 1000}, {"region=north/a-file-with-a-rather-long-name-in-a-folder.parquet", 688}},
		Domains: []Count{{"gmial.example", 400}, {"a<b>.example", 90}},
		Limit:   5,
	}
	for i := range 21 {
		p := schemas.PaceSample{At: begin.Add(time.Duration(i) * time.Second), Seconds: 1, Requests: 5, Profiles: 5000}
		if i == 7 {
			p.Throttled = 4
		}
		s.Pace = append(s.Pace, p)
	}
	for i := range 12 {
		s.History = append(s.History, Size{At: begin.AddDate(0, 0, i-11), Members: 90_000 + int64(i*i)*60})
	}
	return Run{
		Export: "Spring campaign", RunID: "0190-run", Connection: "marketing", StartedBy: "Ann", State: schemas.StateDone,
		Started: begin, Finished: begin.Add(22 * time.Second), Segments: []Segment{s},
		Settings: []Setting{{"Mode", "mirror"}, {"Columns", "email: EmailAddress"}},
	}
}

// TestAnAbortedRunSaysWhoAndWhy, and counts nothing as accepted that was not sent.
func TestAnAbortedRunSaysWhoAndWhy(t *testing.T) {
	r := eventful()
	r.State, r.Segments[0].State = schemas.StateAborted, schemas.StateAborted
	asked := schemas.Answered{Answer: schemas.UpdateRetry, Who: "Bob", At: begin, Message: "the key is rejected"}
	r.Answers = []schemas.Answered{asked}
	asked.Answer, asked.Who, asked.Message = schemas.UpdateAbort, "Ann", "3,800 of the 5,000 members would be removed"
	r.Segments[0].Answers, r.Segments[0].Error = []schemas.Answered{asked}, asked.String()
	page := written(t, r)
	for _, want := range []string{"retried by Bob at 2026-05-04 03:00:00 UTC: the key is rejected", "aborted by Ann at 2026-05-04 03:00:00 UTC: 3,800 of the 5,000 members would be removed"} {
		if strings.Count(page, want) != 1 {
			t.Errorf("it says %d times %q", strings.Count(page, want), want)
		}
	}
	for _, no := range []string{"Accepted by Iterable", "List members"} {
		if strings.Contains(page, no) || !strings.Contains(written(t, eventful()), no) {
			t.Errorf("an aborted run shows %q", no)
		}
	}
}

func written(t *testing.T, r Run) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAReportSaysWhatTheRunDid(t *testing.T) {
	text := written(t, eventful())
	if file := os.Getenv("REPORT_SAMPLE"); file != "" { // to look at it in a browser
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"Spring campaign", "High-value &lt;customers&gt;", "Iterable list 1234, created by this run", "100,000", "97,400", "1,688",
		"97,412 members where 97,400 were expected", "started by Ann", "20.5s", "gmial.example", "part-0.parquet",
		schemas.ReasonSyntax.Sentence()[:20], "105 requests in 20.5s of sending, 5.12 a second; 4 of them were answered 429",
		"From 90,000 members on 2026-04-23", "EmailAddress", "98,412", "97,512",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

// TestAReportSaysWhoIsNotSent: by a condition, a suppression list, a holdout, or without a value.
func TestAReportSaysWhoIsNotSent(t *testing.T) {
	r := eventful()
	m := &r.Segments[0].Manifest
	m.Filtered, m.Suppressed, m.SuppressedRemovals = 7_001, 7_002, 7_008
	m.Skipped = &schemas.Skipped{Rows: 7_009, Files: 17, RowGroups: 18}
	m.SuppressionLists = []schemas.SuppressionCount{{Name: "Complaints <all>", Entries: 7_010}, {Name: "Closed", Entries: 7_011}}
	divided := r.Segments[0]
	divided.ExportReport.Divided = &schemas.Divided{
		Lists: []schemas.ListPart{{List: "In <NO>", Rows: 7_003}, {List: "In SE", Rows: 7_004}}, HeldOut: 7_005, WithoutValue: 7_006,
	}
	divided.Manifest.Filtered = 7_007
	divided.Manifest.Skipped, divided.Manifest.SuppressionLists = &schemas.Skipped{Rows: 7_012, RowGroups: 19}, nil
	r.Segments = append(r.Segments, divided)
	text := written(t, r)
	for _, want := range []string{
		"<dt>Filtered</dt><dd>7,001<", "<dt>Suppressed</dt><dd>7,002<", "<td>In &lt;NO&gt;</td><td class=\"number\">7,003<", "7,004",
		"<dt>Held out</dt><dd>7,005<", "<dt>Without a value</dt><dd>7,006<", "<dt>Filtered</dt><dd>7,007<", "Not suppressed",
		"<dt>To remove: suppressed</dt><dd>7,008<", "<dt>Rows not read</dt><dd>7,009<", "<dt>Files not opened</dt><dd>17<", "<dt>Row groups not read</dt><dd>18<",
		"<td>Complaints &lt;all&gt;</td>", ">7,010<", ">7,011<", "<dt>Rows not read</dt><dd>7,012<", "<dt>Row groups not read</dt><dd>19<",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

// TestADividedSegmentHasNoList: its report counts nobody as accepted by Iterable, and no members.
// Its lists have sections of their own.
func TestADividedSegmentHasNoList(t *testing.T) {
	r := eventful()
	r.Segments[0].ExportReport.Divided = &schemas.Divided{Lists: []schemas.ListPart{{List: "Spring/A", Rows: 90_000}}, HeldOut: 10_000}
	text := written(t, r)
	for _, no := range []string{"Accepted by Iterable", "Can be mailed", "List members", "Size of the list", "From 90,000 members"} {
		if strings.Contains(text, no) || !strings.Contains(written(t, eventful()), no) {
			t.Errorf("a divided segment shows %q", no)
		}
	}
}

// TestAReportNeedsNothingBesideIt looks for anything that a browser would fetch or run.
func TestAReportNeedsNothingBesideIt(t *testing.T) {
	if figures := standsAlone(t, written(t, eventful())); figures != 4 {
		t.Errorf("%d drawings; want 4, each of 2 charts in two widths", figures)
	}
}

// standsAlone fails the test if a page has anything that a browser would fetch or run, names
// that became elements, or drawings without a name for screen readers. It returns the number
// of drawings.
func standsAlone(t *testing.T, text string) (figures int) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for n := range doc.Descendants() {
		switch n.Data {
		case "script", "link", "img", "iframe", "object", "embed", "image", "use":
			t.Errorf("the page has a <%s>", n.Data)
		case "svg":
			figures++
		case "b":
			t.Error("a name became an element")
		}
		for _, a := range n.Attr {
			switch {
			case n.Data == "a" && a.Key == "href" && strings.HasSuffix(a.Val, ".html") && !strings.ContainsAny(a.Val, ":?#"):
			case strings.HasPrefix(a.Key, "on"), a.Key == "src", a.Key == "href":
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			case n.Data == "svg" && a.Key == "aria-label" && a.Val != "":
				named++
			}
		}
	}
	if named != figures {
		t.Errorf("%d drawings, %d with a name for screen readers", figures, named)
	}
	if regexp.MustCompile(`rgba?\(1,\s*2,`).MatchString(text) {
		t.Error("a drawing has a colour that is not the page's")
	}
	if strings.Contains(text, "url(") || strings.Contains(text, "@import") {
		t.Error("the style fetches something")
	}
	return figures
}

func TestAReportOfNothing(t *testing.T) {
	text := written(t, Run{Export: "Empty", State: schemas.StateFailed, Segments: []Segment{{
		ExportReport: schemas.ExportReport{Segment: "None", State: schemas.StateFailed, Error: "no files"},
	}}})
	if strings.Contains(text, "<svg") || strings.Contains(text, "class=\"bar\"") || !strings.Contains(text, "no files") {
		t.Error(text)
	}
}

func TestManyBarsBecomeFew(t *testing.T) {
	var rows []Count
	for i := range 40 {
		rows = append(rows, Count{strings.Repeat("x", i+1), 1})
	}
	b := newBars("Files", "File", "Rows", rows)
	if len(b.Rows) != mostBars || b.Rows[mostBars-1] != (bar{Count{"26 more", 26}, 100}) {
		t.Errorf("%+v", b.Rows)
	}
}

// TestOneBarIsNotDrawn, since there is nothing to compare it with. Labels are shown in full.
func TestOneBarIsNotDrawn(t *testing.T) {
	r := eventful()
	r.Segments[0].Files = []Count{{"region=north/a-file-with-a-rather-long-name-in-a-folder.parquet", 688}}
	before := strings.Count(written(t, eventful()), `class="bar"`)
	text := written(t, r)
	if n := strings.Count(text, `class="bar"`); n != before-2 {
		t.Errorf("%d bars, want %d without the two of the files", n, before-2)
	}
	if !strings.Contains(text, r.Segments[0].Files[0].Name) {
		t.Error("the only file is missing")
	}
}
