package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-analyze/charts"

	"iterable-segment-export/schemas"
)

// figure is one chart, drawn for wide screens and for narrow ones, with its
// numbers as a table or in words for those who do not see it. A figure without
// data is empty.
type figure struct {
	Title, NameHead, CountHead string
	Rows                       []Count
	Words                      string
	Wide, Narrow               template.HTML
}

// Empty tells that there is nothing to show.
func (f figure) Empty() bool { return f.Wide == "" }

// Widths of the two drawings, in pixels: of the page's column, and of what a
// telephone of 360 leaves of it.
const (
	wide   = 720
	narrow = 312
)

// The library draws in fixed colours. These stand for the page's own, which
// differ between light and dark, and are replaced by their names afterwards.
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

// Themes of charts that show one thing, and of the pace with its limit, the
// requests and the alarms.
var (
	oneColor   = theme(inks[2].color)
	paceColors = theme(inks[4].color, inks[2].color, inks[3].color)
)

func theme(series ...charts.Color) charts.ColorPalette {
	return charts.MakeTheme(charts.ThemeOption{
		TextColor: inks[0].color, TextColorLabel: inks[0].color, TextColorLegend: inks[0].color,
		TextColorXAxis: inks[0].color, TextColorYAxis: inks[0].color,
		AxisStrokeColor: inks[1].color, AxisSplitLineColor: inks[1].color,
		BackgroundColor: charts.ColorTransparent, SeriesColors: series,
	})
}

// draw draws one chart in both widths.
func draw(title string, height int, chart func(p *charts.Painter, width int) error) (wideHTML, narrowHTML template.HTML, err error) {
	drawings := [2]template.HTML{}
	for i, width := range []int{wide, narrow} {
		p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: width, Height: height})
		if err := chart(p, width); err != nil {
			return "", "", fmt.Errorf("%s: %w", title, err)
		}
		data, err := p.Bytes()
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", title, err)
		}
		drawings[i] = inline(string(data), title)
	}
	return drawings[0], drawings[1], nil
}

// inline makes a drawing part of the page: named for screen readers, in the
// page's colours, and no wider than its place.
func inline(svg, title string) template.HTML {
	for _, ink := range inks {
		for _, form := range []string{ink.color.StringRGB(), ink.color.String()} {
			svg = strings.ReplaceAll(svg, form, "var("+ink.name+")")
		}
	}
	name := template.HTMLEscapeString(title)
	return template.HTML(strings.Replace(svg, "<svg ", `<svg role="img" aria-label="`+name+`" `, 1))
}

// barHeight is the height that one bar and the space around it take.
const barHeight = 30

// mostBars is how many bars are drawn; the rest is summed up in one.
const mostBars = 15

// bars draws counts side by side, the first on top.
func bars(title, nameHead, countHead string, rows []Count) (figure, error) {
	f := figure{Title: title, NameHead: nameHead, CountHead: countHead, Rows: rows}
	if len(rows) == 0 {
		return f, nil
	}
	if len(rows) > mostBars {
		rest := Count{Name: fmt.Sprintf("%d more", len(rows)-mostBars+1)}
		for _, r := range rows[mostBars-1:] {
			rest.Count += r.Count
		}
		f.Rows = append(slices.Clone(rows[:mostBars-1]), rest)
	}
	values := make([]float64, len(f.Rows))
	labels := make([]string, len(f.Rows))
	for i, r := range f.Rows {
		values[i], labels[i] = float64(r.Count), r.Name
	}
	// The library draws the first category at the bottom.
	slices.Reverse(values)
	slices.Reverse(labels)
	var err error
	f.Wide, f.Narrow, err = draw(title, 30+barHeight*len(values), func(p *charts.Painter, width int) error {
		o := charts.NewBarChartOptionWithData([][]float64{values})
		o.Horizontal, o.Theme, o.Padding = true, oneColor, charts.NewBoxEqual(4)
		o.Padding.Right = 60 // for the number beside the longest bar
		o.CategoryAxis.Labels = shortened(labels, width)
		o.SeriesList[0].Label.Show = charts.Ptr(true)
		o.SeriesList[0].Label.ValueFormatter = func(v float64) string { return count(int64(v)) }
		o.ValueAxis[0].Min, o.ValueAxis[0].Show = charts.Ptr(0.0), charts.Ptr(false)
		return p.BarChart(o)
	})
	return f, err
}

// shortened cuts labels so that they leave room for their bars.
func shortened(labels []string, width int) []string {
	most := 44 // letters of about 7 pixels
	if width == narrow {
		most = 16
	}
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = l
		if r := []rune(l); len(r) > most {
			out[i] = string(r[:most-1]) + "…"
		}
	}
	return out
}

// points is how many points of a course are drawn.
const points = 120

// pace draws requests a second over time, with those answered 429.
func pace(samples []schemas.PaceSample, limit float64) (figure, error) {
	f := figure{Title: "Requests a second"}
	if len(samples) == 0 {
		return f, nil
	}
	samples = thin(samples)
	begin := samples[0].At
	var labels []string
	series := make([][]float64, 3)
	var requests, throttled, seconds int64
	for _, s := range samples {
		labels = append(labels, s.At.Sub(begin).Round(time.Second).String())
		each := float64(max(s.Seconds, 1))
		series[0] = append(series[0], limit)
		series[1] = append(series[1], float64(s.Requests)/each)
		series[2] = append(series[2], float64(s.Throttled)/each)
		requests, throttled, seconds = requests+s.Requests, throttled+s.Throttled, seconds+int64(s.Seconds)
	}
	names := []string{"limit of the connection", "requests", "answered 429"}
	f.Words = fmt.Sprintf("%s requests in %s of sending, %.2f a second; %s of them were answered 429 (too many) and repeated.",
		count(requests), (time.Duration(seconds) * time.Second).String(), float64(requests)/math.Max(float64(seconds), 1), count(throttled))
	var err error
	f.Wide, f.Narrow, err = course(f.Title, paceColors, labels, names, series, func(v float64) string { return trimmed(v, 1) })
	return f, err
}

// thin joins neighbours until few enough are left to draw.
func thin(samples []schemas.PaceSample) []schemas.PaceSample {
	step := (len(samples) + points - 1) / points
	var out []schemas.PaceSample
	for group := range slices.Chunk(samples, step) {
		joined := group[0]
		for _, s := range group[1:] {
			joined.Seconds += s.Seconds
			joined.Requests += s.Requests
			joined.Throttled += s.Throttled
			joined.Failed += s.Failed
			joined.Profiles += s.Profiles
		}
		out = append(out, joined)
	}
	return out
}

// sizes draws the list's size over the last runs.
func sizes(history []Size) (figure, error) {
	f := figure{Title: "Size of the list after the last runs"}
	if len(history) < 2 {
		return f, nil
	}
	var labels []string
	var values []float64
	for _, s := range history {
		labels = append(labels, s.At.UTC().Format("01-02"))
		values = append(values, float64(s.Members))
	}
	first, last := history[0], history[len(history)-1]
	f.Words = fmt.Sprintf("From %s members on %s to %s on %s, over %d runs.",
		count(first.Members), date(first.At), count(last.Members), date(last.At), len(history))
	var err error
	f.Wide, f.Narrow, err = course(f.Title, oneColor, labels, []string{"members"}, [][]float64{values}, func(v float64) string { return trimmed(v, 0) })
	return f, err
}

// course draws values over time.
func course(title string, colors charts.ColorPalette, labels, names []string, series [][]float64, format func(float64) string) (template.HTML, template.HTML, error) {
	return draw(title, 260, func(p *charts.Painter, width int) error {
		o := charts.NewLineChartOptionWithData(series)
		o.Theme, o.Padding = colors, charts.NewBoxEqual(8)
		o.XAxis.Labels, o.XAxis.LabelCount = labels, min(len(labels), width/100)
		o.Legend.SeriesNames, o.Legend.Show = names, charts.Ptr(len(names) > 1)
		if width == narrow {
			o.Legend.FontStyle.FontSize = 9
		}
		o.YAxis[0].Min, o.YAxis[0].ValueFormatter = charts.Ptr(0.0), format
		o.Symbol.Shape = charts.SymbolNone
		return p.LineChart(o)
	})
}

// trimmed writes a number with its thousands set apart and at most so many
// decimals.
func trimmed(v float64, decimals int) string {
	whole, part := math.Modf(math.Round(v*math.Pow10(decimals)) / math.Pow10(decimals))
	if part == 0 {
		return count(int64(whole))
	}
	return count(int64(whole)) + strings.TrimPrefix(fmt.Sprintf("%.*f", decimals, math.Abs(part)), "0")
}
