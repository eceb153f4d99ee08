package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/go-analyze/charts"

	"iterable-segment-export/schemas"
)

// bars is a bar chart. The page draws it as a table, so that it needs no other form for
// narrow screens or for screen readers, and shows labels of any length.
type bars struct {
	Title, NameHead, CountHead string
	Rows                       []bar
}

type bar struct {
	Count
	Percent float64 // of the longest bar, 0 if there is nothing to compare it with
}

// mostBars is how many bars are drawn; the last one sums up the rest.
const mostBars = 15

func newBars(title, nameHead, countHead string, rows []Count) bars {
	if n := len(rows); n > mostBars {
		rest := Count{Name: fmt.Sprintf("%d more", n-mostBars+1)}
		for _, r := range rows[mostBars-1:] {
			rest.Count += r.Count
		}
		rows = append(slices.Clone(rows[:mostBars-1]), rest)
	}
	b := bars{Title: title, NameHead: nameHead, CountHead: countHead}
	var longest int64
	for _, r := range rows {
		longest = max(longest, r.Count)
	}
	for _, r := range rows {
		one := bar{Count: r}
		if len(rows) > 1 && longest > 0 {
			one.Percent = math.Round(1000*float64(r.Count)/float64(longest)) / 10
		}
		b.Rows = append(b.Rows, one)
	}
	return b
}

// figure is a line chart, drawn for wide and for narrow screens, with its content in words
// for those who do not see it. It is empty without data.
type figure struct {
	Title, Words string
	Wide, Narrow template.HTML
}

// Widths of the two drawings in pixels: that of the page's column, and that of the column
// on a telephone 360 pixels wide.
const (
	wide   = 720
	narrow = 312
)

// The library draws in fixed colours. These stand for the page's own colours, which differ
// between light and dark, and are replaced by their names afterwards.
var inks = []struct {
	color charts.Color
	name  string
}{
	{charts.Color{R: 1, G: 2, B: 3, A: 255}, "--ink"},
	{charts.Color{R: 1, G: 2, B: 4, A: 255}, "--grid"},
	{charts.Color{R: 1, G: 2, B: 5, A: 255}, "--bar"},
	{charts.Color{R: 1, G: 2, B: 6, A: 255}, "--alarm"},
	{charts.Color{R: 1, G: 2, B: 7, A: 255}, "--quiet"},
}

// Themes of charts with one series, and of the request rate with its limit, the requests
// and the 429s.
var (
	oneColor   = theme(inks[2].color)
	rateColors = theme(inks[4].color, inks[2].color, inks[3].color)
)

func theme(series ...charts.Color) charts.ColorPalette {
	return charts.MakeTheme(charts.ThemeOption{
		TextColor: inks[0].color, TextColorLabel: inks[0].color, TextColorLegend: inks[0].color,
		TextColorXAxis: inks[0].color, TextColorYAxis: inks[0].color,
		AxisStrokeColor: inks[1].color, AxisSplitLineColor: inks[1].color,
		BackgroundColor: charts.ColorTransparent, SeriesColors: series,
	})
}

// lines is the data of a line chart.
type lines struct {
	colors        charts.ColorPalette
	labels, names []string
	series        [][]float64
	format        func(float64) string
}

// draw adds the drawings of a line chart to f.
func (f *figure) draw(l lines) error {
	for width, to := range map[int]*template.HTML{wide: &f.Wide, narrow: &f.Narrow} {
		o := charts.NewLineChartOptionWithData(l.series)
		o.Theme, o.Padding = l.colors, charts.NewBoxEqual(8)
		o.XAxis.Labels, o.XAxis.LabelCount = l.labels, min(len(l.labels), width/100)
		o.Legend.SeriesNames, o.Legend.Show = l.names, charts.Ptr(len(l.names) > 1)
		if width == narrow {
			o.Legend.FontStyle.FontSize = 9
		}
		o.YAxis[0].Min, o.YAxis[0].ValueFormatter = charts.Ptr(0.0), l.format
		o.Symbol.Shape = charts.SymbolNone
		p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: width, Height: 260})
		if err := p.LineChart(o); err != nil {
			return fmt.Errorf("%s: %w", f.Title, err)
		}
		data, err := p.Bytes()
		if err != nil {
			return fmt.Errorf("%s: %w", f.Title, err)
		}
		*to = inline(string(data), f.Title)
	}
	return nil
}

// inline returns a drawing with a name for screen readers and in the page's colours.
func inline(svg, title string) template.HTML {
	for _, ink := range inks {
		for _, form := range []string{ink.color.StringRGB(), ink.color.String()} {
			svg = strings.ReplaceAll(svg, form, "var("+ink.name+")")
		}
	}
	name := template.HTMLEscapeString(title)
	return template.HTML(strings.Replace(svg, "<svg ", `<svg role="img" aria-label="`+name+`" `, 1))
}

// points is the most points of a line.
const points = 120

// rates draws the requests per second over time, with those answered 429. end is the end
// of the run, which the last sample may exceed.
func rates(samples []schemas.PaceSample, limit float64, end time.Time) (figure, error) {
	f := figure{Title: "Requests a second"}
	if len(samples) == 0 {
		return f, nil
	}
	begin, took := samples[0].At, time.Duration(0)
	l := lines{
		colors: rateColors, names: []string{"limit of the connection", "requests", "answered 429"}, series: make([][]float64, 3),
		format: func(v float64) string { return humanize.CommafWithDigits(v, 1) },
	}
	var requests, throttled int64
	for _, s := range thin(samples) {
		l.labels = append(l.labels, s.At.Sub(begin).Round(time.Second).String())
		each := float64(max(s.Seconds, 1))
		l.series[0] = append(l.series[0], limit)
		l.series[1] = append(l.series[1], float64(s.Requests)/each)
		l.series[2] = append(l.series[2], float64(s.Throttled)/each)
		requests, throttled, took = requests+s.Requests, throttled+s.Throttled, took+time.Duration(s.Seconds)*time.Second
	}
	if left := end.Sub(begin); left > 0 {
		took = min(took, left)
	}
	f.Words = fmt.Sprintf("%s requests in %s of sending, %.2f a second; %s of them were answered 429 (too many) and repeated.",
		humanize.Comma(requests), took.Round(100*time.Millisecond), float64(requests)/max(took.Seconds(), 1), humanize.Comma(throttled))
	return f, f.draw(l)
}

// thin merges neighbouring samples until there are at most points of them.
func thin(samples []schemas.PaceSample) []schemas.PaceSample {
	step := (len(samples) + points - 1) / points
	var out []schemas.PaceSample
	for group := range slices.Chunk(samples, step) {
		joined := group[0]
		for _, s := range group[1:] {
			joined.Seconds += s.Seconds
			joined.Requests += s.Requests
			joined.Throttled += s.Throttled
		}
		out = append(out, joined)
	}
	return out
}

// sizes draws the list's size after the last runs.
func sizes(history []Size) (figure, error) {
	f := figure{Title: "Size of the list after the last runs"}
	if len(history) < 2 {
		return f, nil
	}
	l := lines{colors: oneColor, names: []string{"members"}, series: make([][]float64, 1), format: func(v float64) string { return humanize.CommafWithDigits(v, 0) }}
	for _, s := range history {
		l.labels = append(l.labels, s.At.UTC().Format("01-02"))
		l.series[0] = append(l.series[0], float64(s.Members))
	}
	first, last := history[0], history[len(history)-1]
	f.Words = fmt.Sprintf("From %s members on %s to %s on %s, over %d runs.",
		humanize.Comma(first.Members), date(first.At), humanize.Comma(last.Members), date(last.At), len(history))
	return f, f.draw(l)
}
