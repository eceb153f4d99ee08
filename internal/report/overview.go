package report

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

var overviewPage = template.Must(template.New("overview.html.tmpl").Funcs(template.FuncMap{
	"count": humanize.Comma, "minute": minute, "took": took, "style": style,
}).ParseFS(files, "overview.html.tmpl"))

// WriteOverview writes the page of all exports, those that need attention first. reports are the
// keys of the reports beside the page, to which it links; nil if it is not in the data root.
func WriteOverview(w io.Writer, o Overview, reports map[string]bool) error {
	view := struct {
		At     time.Time
		Kept   bool
		Totals []Count
		Cards  []card
	}{At: o.At, Kept: reports != nil}
	for _, e := range o.Exports {
		view.Cards = append(view.Cards, newCard(e, o.At, reports))
	}
	slices.SortStableFunc(view.Cards, func(a, b card) int { return cmp.Compare(a.urgency(), b.urgency()) })
	for _, t := range []struct {
		name string
		is   func(card) bool
	}{
		{"Waiting", func(c card) bool { return c.State == schemas.StateWaiting }},
		{"Running", func(c card) bool { return c.UnderWay() && c.State != schemas.StateWaiting }},
		{"Failed or stopped", func(c card) bool { return !c.UnderWay() && c.Class == schemas.StateFailed }},
		{"Late", func(c card) bool { return c.Late != "" }},
	} {
		n := Count{Name: t.name}
		for _, c := range view.Cards {
			if t.is(c) {
				n.Count++
			}
		}
		view.Totals = append(view.Totals, n)
	}
	if err := overviewPage.Execute(w, view); err != nil {
		return fmt.Errorf("write the overview: %w", err)
	}
	return nil
}

// card is the part of the page about one export.
type card struct {
	ExportOverview
	// Label and Class are the state in words, and as the name of a style.
	Label, Class string
	Notes        []note
	// Unlisted reports whether the last run is not among the past runs.
	Unlisted bool
	// Link is the place of the last run's report, empty without a link.
	Link        string
	Lists       []listLine
	Shown, More []listLine
	// Month is the month of Rejects in words.
	Month   string
	Rejects bars
}

// note is something to look at, and what to type.
type note struct {
	Text     string
	Alarm    bool
	Commands []string
}

// mostLists is how many lists of an export are shown at once; the others unfold.
const mostLists = 12

func newCard(e ExportOverview, at time.Time, reports map[string]bool) card {
	c := card{ExportOverview: e, Label: cmp.Or(e.State, "not run yet"), Month: at.UTC().Format("January 2006")}
	last := e.Last()
	c.Unlisted = e.RunID != "" && !e.UnderWay() && (last == nil || last.RunID != e.RunID)
	switch {
	case e.State == schemas.StateAwaitingData:
		c.Class = schemas.StateRunning
	case e.State == schemas.StateAborted, e.State == schemas.StateCancelled:
		c.Class = schemas.StateFailed
	default:
		c.Class = e.State
	}
	if last != nil && !c.Unlisted {
		if key := dataroot.RunReport(e.Connection, e.Export, last.RunID); reports[key] {
			c.Link = strings.TrimPrefix(key, dataroot.ReportsDir+"/")
		}
	}
	c.addNotes()
	c.Lists = listLines(e.Runs)
	c.Shown, c.More = c.Lists[:min(mostLists, len(c.Lists))], c.Lists[min(mostLists, len(c.Lists)):]
	var why []Count
	for reason, n := range e.Rejected[MonthOf(at)] {
		why = append(why, Count{string(reason), n})
	}
	slices.SortFunc(why, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	c.Rejects = newBars("", "", "", why)
	return c
}

// addNotes adds what needs attention besides waits.
func (c *card) addNotes() {
	run := []string{"starter run " + schemas.ShellWord(c.Export)}
	switch {
	case c.UnderWay():
	case c.Class == schemas.StateFailed:
		how := "was " + c.State
		if c.State == schemas.StateFailed {
			how = c.State
		}
		c.Notes = append(c.Notes, note{strings.TrimSuffix("The last run "+how+": "+c.Error, ": "), true, append([]string{"starter status " + c.RunID}, run...)})
	}
	if c.Late != "" {
		c.Notes = append(c.Notes, note{c.Late, false, []string{"starter doctor"}})
	}
	if c.Problem != "" {
		c.Notes = append(c.Notes, note{c.Problem, true, []string{"starter doctor"}})
	}
	if c.Paused {
		c.Notes = append(c.Notes, note{"The schedule is paused, so nothing runs by itself.", false, []string{"starter resume " + schemas.ShellWord(c.Export)}})
	}
}

// urgency orders the cards: what waits for a person, what failed or is late, and the rest.
func (c card) urgency() int {
	switch {
	case c.State == schemas.StateWaiting:
		return 0
	case c.Class == schemas.StateFailed, c.Late != "", c.Problem != "":
		return 1
	}
	return 2
}

// listLine is a list with its sizes.
type listLine struct {
	Segment string
	ListID  int64
	// Trouble says why the last run did not export the list, empty if it did.
	Trouble string
	// Known reports whether Members is, which is the size after the last run that was done.
	Known   bool
	Members int64
	// Change is the difference to the run before that, empty without one.
	Change string
	// Spark draws the sizes, and Words says them.
	Spark template.HTML
	Words string
}

// listLines returns the lists of the last run, and those that it did not reach: lists of the runs
// before it, back to one that exported all.
func listLines(runs []PastRun) (all []listLine) {
	known := map[string]bool{}
	for i, r := range slices.Backward(runs) {
		last, whole := i == len(runs)-1, r.State == schemas.StateDone
		for _, l := range r.Lists {
			exported := l.State == schemas.StateDone || l.State == schemas.StateKept
			whole = whole && exported
			if known[l.Segment] || !last && !exported {
				continue
			}
			known[l.Segment] = true
			line := newLine(l, runs)
			if !last {
				line.Trouble = "the last run did not reach it"
			}
			all = append(all, line)
		}
		if whole {
			break
		}
	}
	return all
}

func newLine(l PastList, runs []PastRun) listLine {
	out := listLine{Segment: l.Segment, ListID: l.ListID, Words: "no run is done yet"}
	switch l.State {
	case schemas.StateDone:
	case schemas.StateKept:
		out.Trouble = "kept as it is: no row has its value any more"
		out.Words = fmt.Sprintf("not exported in the last %d runs", len(runs))
	default:
		out.Trouble = strings.TrimSuffix(l.State+": "+l.Error, ": ")
	}
	var sizes []Size
	for _, r := range runs {
		i := slices.IndexFunc(r.Lists, func(of PastList) bool { return of.Segment == l.Segment && of.State == schemas.StateDone })
		if i >= 0 {
			sizes = append(sizes, Size{At: r.FinishedAt, Members: r.Lists[i].Size})
			out.ListID = cmp.Or(out.ListID, r.Lists[i].ListID)
		}
	}
	n := len(sizes)
	if n == 0 {
		return out
	}
	first, last := sizes[0], sizes[n-1]
	out.Known, out.Members = true, last.Members
	if n == 1 {
		out.Words = "1 run, on " + day(last.At)
		return out
	}
	out.Change = signed(last.Members - sizes[n-2].Members)
	least, most := sizeRange(sizes)
	out.Words = fmt.Sprintf("%d runs since %s: %s to %s", n, day(first.At), humanize.Comma(least), humanize.Comma(most))
	out.Spark = spark(sizes, fmt.Sprintf("Size of the list %q: first %s, lowest %s, highest %s, last %s", l.Segment,
		humanize.Comma(first.Members), humanize.Comma(least), humanize.Comma(most), humanize.Comma(last.Members)))
	return out
}

func sizeRange(sizes []Size) (least, most int64) {
	least, most = sizes[0].Members, sizes[0].Members
	for _, s := range sizes {
		least, most = min(least, s.Members), max(most, s.Members)
	}
	return least, most
}

// signed returns a difference with its sign.
func signed(n int64) string {
	switch {
	case n > 0:
		return "+" + humanize.Comma(n)
	case n < 0:
		return "−" + humanize.Comma(-n)
	}
	return "no change"
}

// Size of a sparkline in pixels, and the room around the line.
const (
	sparkWidth, sparkHeight = 160, 36
	sparkMargin             = 4
	// leastRange is the smallest difference that fills the height, as a share of the largest
	// size: a change of a few members must not look like a collapse.
	leastRange = 0.1
)

// spark draws sizes as a line over time that ends in a dot. The library for charts has no
// drawing without axes.
func spark(sizes []Size, name string) template.HTML {
	least, most := sizeRange(sizes)
	low, high := float64(least), float64(most)
	if span := max(high*leastRange, 1); high-low < span {
		low, high = (low+high-span)/2, (low+high+span)/2
	}
	begin := sizes[0].At
	took := sizes[len(sizes)-1].At.Sub(begin).Seconds()
	var at string
	var points []string
	for i, s := range sizes {
		x := float64(i) / float64(len(sizes)-1)
		if took > 0 {
			x = s.At.Sub(begin).Seconds() / took
		}
		y := (high - float64(s.Members)) / (high - low)
		at = fmt.Sprintf("%.1f,%.1f", sparkMargin+x*(sparkWidth-2*sparkMargin), sparkMargin+y*(sparkHeight-2*sparkMargin))
		points = append(points, at)
	}
	x, y, _ := strings.Cut(at, ",")
	return template.HTML(fmt.Sprintf(`<svg class="spark" role="img" aria-label="%s" viewBox="0 0 %d %d" width="%d" height="%d">`+
		`<polyline points="%s" fill="none" stroke="var(--bar)" stroke-width="1.5" stroke-linejoin="round"/><circle cx="%s" cy="%s" r="2.5" fill="var(--bar)"/></svg>`,
		template.HTMLEscapeString(name), sparkWidth, sparkHeight, sparkWidth, sparkHeight, strings.Join(points, " "), x, y))
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
