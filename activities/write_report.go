package activities

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/overview"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/upload"
	"iterable-segment-export/schemas"
)

// WriteRunReport writes the readable report of a run, from the reports of its segments in
// the data root. It returns the report's key.
func (a *Activities) WriteRunReport(ctx context.Context, in schemas.RunReportInput) (_ string, err error) {
	ctx, attempt := a.begin(ctx, in.Export.Deadline, nil)
	defer attempt.End(ctx, &err)
	if err := a.mayReport(ctx, in); err != nil {
		return "", err
	}
	if err := a.auditAnswers(ctx, in); err != nil {
		return "", err
	}
	stored, err := limits.Read(ctx, a.Root, in.Connection.Name)
	if err != nil {
		a.Log.Warn("report without learned limits", "connection", in.Connection.Name, "error", err)
	}
	learned := stored.Limits[schemas.Subscribe]
	run := report.Run{
		Export: in.Export.Name, RunID: in.Result.RunID, Connection: in.Export.Connection, StartedBy: in.Trigger.Starter(),
		Answers: in.Result.Answers, State: in.State, Started: in.StartedAt, Finished: endOf(in.StartedAt), Settings: settingsUsed(in.Export, in.Connection, learned),
	}
	for _, s := range in.Result.Segments {
		one, err := a.segmentReport(ctx, s)
		if err != nil {
			return "", err
		}
		one.Limit = float64(in.Connection.Limits.RequestsPerSecond)
		if one.Limit == 0 && learned.Found {
			one.Limit = learned.Rate
		}
		run.Segments = append(run.Segments, one)
	}
	var page bytes.Buffer
	if err := report.Write(&page, run); err != nil {
		return "", err
	}
	key := dataroot.RunReport(in.Export.Connection, in.Export.Name, in.Result.RunID)
	if err := a.Root.Write(ctx, key, page.Bytes()); err != nil {
		return "", fmt.Errorf("write the run's report: %w", err)
	}
	if in.Export.Trial() != nil {
		return key, nil // the overview is about exports
	}
	if err := overview.Add(ctx, a.Root, in, run.Finished); err != nil {
		a.Log.Warn("past runs of the export not complete", "export", in.Export.Name, "connection", in.Export.Connection, "run", in.Result.RunID, "error", err)
	}
	a.writeOverview(ctx)
	return key, ctx.Err()
}

// overviewTime bounds the writing of the page of all exports, so that it never holds up a run
// or a look for late runs.
const overviewTime = time.Minute

// writeOverview writes the page of all exports. A page that can't be written is logged: the next
// run or look writes it.
func (a *Activities) writeOverview(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, overviewTime)
	defer cancel()
	if err := a.Overview.Write(ctx, a.Root); err != nil {
		a.Log.Warn("overview of all exports not written", "error", err)
	}
}

// WriteOverview writes the page of all exports as a part of an activity that writes nothing else.
func (a *Activities) WriteOverview(ctx context.Context) {
	ctx, attempt := a.begin(ctx, 0, nil)
	var err error
	defer attempt.End(ctx, &err)
	a.writeOverview(ctx)
}

func (a *Activities) segmentReport(ctx context.Context, r schemas.ExportReport) (report.Segment, error) {
	run := schemas.RunRef{Connection: r.Connection, Export: r.Export, RunID: r.RunID, Segment: r.Segment}
	s := report.Segment{ExportReport: r, Pace: upload.ReadPace(ctx, a.Root, run)}
	var err error
	if s.History, err = a.history(ctx, run); err != nil {
		return s, err
	}
	if r.Rejects == "" {
		return s, nil
	}
	file, err := a.Root.Open(ctx, r.Rejects)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // already deleted by the sweep
	}
	if err != nil {
		return s, fmt.Errorf("read the rejects: %w", err)
	}
	defer file.Close()
	rows, err := rejects.Open(file)
	if err != nil {
		return s, fmt.Errorf("read the rejects: %w", err)
	}
	defer rows.Close()
	s.Files, s.Domains, err = countRejects(rows)
	return s, err
}

const (
	// fewestOfDomain is how many rejected rows a domain needs to be listed: a rare one may
	// identify a person.
	fewestOfDomain = 3
	// mostDomains is how many domains are listed.
	mostDomains = 10
	// mostCounted bounds the domains that are counted, and with them the memory.
	mostCounted = 100_000
)

// domain matches the domains of rejected addresses that may be listed.
var domain = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

// countRejects counts the rejected rows by source file and by domain. Duplicates
// are not rejects.
func countRejects(rows *rejects.Reader) (files, domains []report.Count, err error) {
	byFile, byDomain := map[string]int64{}, map[string]int64{}
	for {
		row, ok := rows.Next()
		if !ok {
			break
		}
		if row.Reason == schemas.ReasonDuplicate {
			continue
		}
		byFile[row.File]++
		at := bytes.LastIndexByte(row.Value, '@')
		if at < 0 || len(row.Value) > 512 {
			continue
		}
		name := strings.ToLower(strings.TrimSpace(string(row.Value[at+1:])))
		if _, known := byDomain[name]; (known || len(byDomain) < mostCounted) && domain.MatchString(name) {
			byDomain[name]++
		}
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("read the rejects: %w", err)
	}
	domains = counted(byDomain, fewestOfDomain)
	return counted(byFile, 1), domains[:min(len(domains), mostDomains)], nil
}

// counted sorts counts, the greatest first, without those below the fewest.
func counted(by map[string]int64, fewest int64) (out []report.Count) {
	for name, n := range by {
		if n >= fewest {
			out = append(out, report.Count{Name: name, Count: n})
		}
	}
	slices.SortFunc(out, func(a, b report.Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	return out
}

// mostHistory is how many past runs the list's size is shown for.
const mostHistory = 30

// history returns the list's size after the last successful runs.
func (a *Activities) history(ctx context.Context, run schemas.RunRef) ([]report.Size, error) {
	of := path.Base(dataroot.ReportDir(run))
	found, err := a.Root.List(ctx, path.Dir(path.Dir(dataroot.ReportDir(run))))
	if err != nil {
		return nil, fmt.Errorf("look for earlier reports: %w", err)
	}
	found = slices.DeleteFunc(found, func(o storage.Object) bool {
		return path.Base(o.Name) != dataroot.ReportFile || path.Base(path.Dir(o.Name)) != of
	})
	slices.SortFunc(found, func(a, b storage.Object) int { return b.ModTime.Compare(a.ModTime) })
	var sizes []report.Size
	for _, o := range found[:min(len(found), mostHistory)] {
		var r schemas.ExportReport
		data, err := a.Root.Read(ctx, o.Name)
		if err != nil || json.Unmarshal(data, &r) != nil || r.State != schemas.StateDone {
			continue
		}
		sizes = append(sizes, report.Size{At: r.FinishedAt, Members: r.ListSize})
	}
	slices.SortFunc(sizes, func(a, b report.Size) int { return a.At.Compare(b.At) })
	return sizes, nil
}

// limitUsed returns a limit in words; the learned one if it is not set.
func limitUsed(set schemas.Limit, learned float64, known bool) string {
	if set == 0 && known {
		return fmt.Sprintf("%s (%.4g learned)", set, learned)
	}
	return set.String()
}

// settingsUsed returns the settings of a run in words, defaults included.
func settingsUsed(e schemas.Export, c schemas.ConnectionInfo, learned limits.Learned) []report.Setting {
	l, g := c.Limits.WithDefaults(), e.Guardrails
	var fields []string
	for _, f := range e.Fields.List {
		fields = append(fields, fieldUsed(f))
	}
	if e.Fields.All {
		fields = []string{"all"}
	}
	percent := func(share float64) string { return strconv.FormatFloat(share*100, 'f', -1, 64) + "%" }
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	none := func(s string) string { return cmp.Or(s, "none") }
	out := []report.Setting{
		{Name: "Connection", Value: e.Connection},
		{Name: "Project identifies by", Value: c.ProjectType},
		{Name: "E-mail column", Value: none(e.Email)},
		{Name: "User id column", Value: none(e.UserID)},
		{Name: "Fields", Value: none(strings.Join(fields, ", "))},
		{Name: "Mode", Value: cmp.Or(e.Mode, schemas.ModeMirror)},
		{Name: "Empty fields", Value: cmp.Or(e.Nulls, schemas.NullsOmit)},
		{Name: "Values that can't be sent", Value: cmp.Or(e.OnInvalid, schemas.InvalidOmit)},
		{Name: "Rows of one person", Value: strings.TrimSpace(cmp.Or(e.Dedupe.Keep, "first") + " " + e.Dedupe.By)},
		{Name: "Record of the rows", Value: cmp.Or(e.Record, schemas.RecordChanges) + ", identities " + cmp.Or(e.RecordIdentity, schemas.IdentityPlain)},
		{Name: "Merge nested objects", Value: yes(e.MergeNestedObjects)},
		{Name: "Prefer user ids", Value: yes(e.PreferUserID)},
		{Name: "Update existing users only", Value: yes(e.UpdateExistingUsersOnly)},
		{Name: "Unknown top-level domains", Value: map[bool]string{true: "accepted", false: "rejected"}[e.AllowUnknownTLD]},
		{Name: "Requests a second, at most", Value: limitUsed(l.RequestsPerSecond, learned.Rate, learned.Found)},
		{Name: "Profiles a request, at most", Value: limitUsed(l.SubscribersPerRequest, float64(learned.Rows), learned.Rows > 0)},
		{Name: "Removed share of the list, at most", Value: percent(g.RemovedShare())},
		{Name: "Rejected share of the rows, at most", Value: percent(g.RejectedShare())},
		{Name: "Values of a field left out, share of the rows at most", Value: percent(g.LeftOutShare())},
		{Name: "Growth and shrinking, at most", Value: fmt.Sprintf("× %v and ÷ %v", g.Growth(), g.Shrink())},
		{Name: "Empty segment", Value: map[bool]string{true: "goes on", false: "waits"}[g.AllowEmpty]},
	}
	if t := e.Trial(); t != nil {
		out = append(out, report.Setting{Name: "Trial", Value: t.String()})
	}
	for _, s := range e.Segments {
		out = append(out, report.Setting{Name: fmt.Sprintf("Source of %q", s.Name), Value: s.Source})
		if text, err := json.Marshal(s.Where); err == nil && s.Where != nil {
			out = append(out, report.Setting{Name: fmt.Sprintf("Condition of %q", s.Name), Value: string(text)})
		}
		switch {
		case s.Split != nil:
			out = append(out, report.Setting{Name: fmt.Sprintf("Groups of %q", s.Name), Value: splitUsed(s)})
		case s.ForEach != "":
			out = append(out, report.Setting{Name: fmt.Sprintf("Lists of %q", s.Name), Value: fmt.Sprintf(
				"one for each value of %s, at most %d; that of a value that vanished: %s", s.ForEach, cmp.Or(s.MaxLists, schemas.DefaultMaxLists), cmp.Or(s.Vanished, schemas.VanishedEmpty))})
		}
	}
	return out
}

// fieldUsed returns a field of the mapping in words.
func fieldUsed(f schemas.Field) string {
	text := f.Column
	if f.Value != "" {
		text = "a constant"
	}
	if f.As != "" && f.As != f.Column {
		text += " as " + f.As
	}
	var how []string
	if f.Type != "" {
		how = append(how, f.Type)
	}
	how = append(how, f.Transform...)
	if f.Nulls != "" {
		how = append(how, "nulls: "+f.Nulls)
	}
	if f.Default != "" {
		how = append(how, "with a default")
	}
	if len(how) > 0 {
		text += " (" + strings.Join(how, ", ") + ")"
	}
	return text
}

// splitUsed returns the groups of a segment in words.
func splitUsed(s schemas.Segment) string {
	var groups []string
	for _, name := range slices.Sorted(maps.Keys(s.Split.Groups)) {
		group := name + " " + s.Split.Groups[name]
		if slices.Contains(s.Split.Holdout, name) {
			group += " (held out)"
		}
		groups = append(groups, group)
	}
	return fmt.Sprintf("%s; salt %q", strings.Join(groups, ", "), cmp.Or(s.Split.Salt, s.Name))
}
