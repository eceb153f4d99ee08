package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// show updates the run's details in the Temporal UI.
func (r *runExport) show(ctx workflow.Context) {
	r.tag(ctx)
	var b strings.Builder
	fmt.Fprintf(&b, "**Export %q** over connection %q, started by %s: %s\n\n",
		r.in.Export.Name, r.in.Export.Connection, r.progress.Trigger.Starter(), r.progress.State)
	if len(r.progress.Segments) > 0 {
		b.WriteString("| segment | state |\n| --- | --- |\n")
		for _, s := range r.progress.Segments {
			fmt.Fprintf(&b, "| %s | %s |\n", s.Segment, s.State)
		}
	}
	for _, a := range r.progress.Answers {
		fmt.Fprintf(&b, "\n%s\n", a)
	}
	if r.waiter != nil {
		r.waiter.describe(&b, r.in.Export.Name)
	}
	workflow.SetCurrentDetails(ctx, b.String())
}

// show updates the details of the segment's run in the Temporal UI.
func (s *exportSegment) show(ctx workflow.Context) {
	s.tag(ctx)
	p := s.progress()
	m, u := p.Report.Manifest, p.Report.Upload
	var b strings.Builder
	to := "Iterable list " + listName(s.list)
	if s.in.Segment.Divided() {
		to = "its lists"
	}
	fmt.Fprintf(&b, "**Segment %q → %s**: %s\n\n", s.in.Segment.Name, to, p.State)
	b.WriteString("| | |\n| --- | ---: |\n")
	row := func(name string, n int64) { fmt.Fprintf(&b, "| %s | %s |\n", name, count(n)) }
	fmt.Fprintf(&b, "| step | %s |\n", p.Step)
	if t := s.info.Table; t != nil {
		row(t.Format+" table, version", t.Version)
	}
	row("profiles read", m.Read)
	if m.BytesRead > 0 {
		row("bytes read", m.BytesRead)
		row("bytes of the files", s.info.Bytes)
	}
	if s.in.Segment.Where != nil {
		row("filtered", m.Filtered)
	}
	m.Skipped.Each(row)
	if s.in.Segment.Divided() {
		describeLists(row, p.Report.Divided)
		fmt.Fprintf(&b, "| as of | %s |\n", schemas.Moment(workflow.Now(ctx)))
		s.describe(ctx, &b, p)
		return
	}
	row("to add", m.Adds)
	row("to update", m.Updates)
	row("to remove", m.Removals)
	row("unchanged", m.Unchanged)
	row("sent", u.Sent)
	row("left", max(0, m.ToSend()-u.Acknowledged()))
	row("duplicates", m.Duplicates)
	if m.Suppressed > 0 {
		row("suppressed", m.Suppressed)
	}
	if m.SuppressedRemovals > 0 {
		row("to remove: suppressed, of those above", m.SuppressedRemovals)
	}
	for _, l := range m.SuppressionLists {
		row(fmt.Sprintf("entries of suppression list %q", l.Name), l.Entries)
	}
	for _, r := range workflow.DeterministicKeys(p.Report.Rejected) {
		row("rejected: "+string(r), p.Report.Rejected[r])
	}
	row("requests", u.Requests)
	row("answered 429", u.Throttled)
	if p.Step == schemas.ActivityUploadBatches && p.Waiting == nil {
		rate, end := s.pace(ctx)
		if rate > 0 {
			fmt.Fprintf(&b, "| pace, requests per second | %.1f |\n", rate)
		}
		if !end.IsZero() {
			fmt.Fprintf(&b, "| sent by about | %s |\n", schemas.Moment(end))
		}
	}
	fmt.Fprintf(&b, "| as of | %s |\n", schemas.Moment(workflow.Now(ctx)))
	s.describe(ctx, &b, p)
}

// describeLists writes how many rows each list of a divided segment has.
func describeLists(row func(string, int64), d *schemas.Divided) {
	if d == nil {
		return
	}
	for _, list := range d.Lists {
		row("rows of "+list.List, list.Rows)
	}
	if d.WithoutValue > 0 {
		row("without a value, on no list", d.WithoutValue)
	}
	if d.HeldOut > 0 {
		row("held out", d.HeldOut)
	}
}

// describe writes what the run waits for, its answers and its warnings, and sets the details.
func (s *exportSegment) describe(ctx workflow.Context, b *strings.Builder, p schemas.Progress) {
	describeData(b, p.Data)
	if s.waiter != nil {
		s.waiter.describe(b, s.in.Run.Export)
	}
	for _, a := range p.Report.Answers {
		fmt.Fprintf(b, "\n%s\n", a)
	}
	for _, w := range p.Report.Warnings {
		fmt.Fprintf(b, "\n⚠ %s\n", w)
	}
	workflow.SetCurrentDetails(ctx, b.String())
}

// describe writes what the run waits for and the commands that answer it.
func (w *waiter) describe(b *strings.Builder, export string) {
	if w.waiting == nil {
		return
	}
	fmt.Fprintf(b, "\n**Waiting** at %s: %s\n\n", w.waiting.Step, w.waiting.Message)
	for _, a := range w.waiting.Answers {
		fmt.Fprintf(b, "- `%s`\n", w.waiting.Command("starter", export, a))
	}
}

// progress returns the answer to the query of that name.
func (s *exportSegment) progress() schemas.Progress {
	p := schemas.Progress{Run: s.in.Run, State: s.report.State, Step: s.step, Report: s.report}
	if s.data != nil && p.State == schemas.StateRunning {
		p.State, p.Step, p.Data = schemas.StateAwaitingData, schemas.StepAwaitData, s.data
	}
	if s.waiter.waiting != nil {
		p.State, p.Waiting = schemas.StateWaiting, s.waiter.waiting
	}
	p.Report.Info, p.Report.Upload = s.info, s.sent()
	p.Report.Upload.Add(s.ahead())
	return p
}

// total adds up the rejects of staging and of Iterable.
func (s *exportSegment) total() {
	upload := s.sent()
	rejected := schemas.ExportReport{Manifest: s.report.Manifest, Upload: upload}
	rejected.AddRejects()
	s.report.Rejected = rejected.Rejected
	s.report.Warnings = slices.Concat(s.in.Warnings, s.dataWarnings(), s.list.Warnings, s.report.Manifest.Warnings)
	if n := upload.NotRemoved; n > 0 {
		s.report.Warnings = append(s.report.Warnings, fmt.Sprintf(
			"Iterable refused to remove %s members from the list; the next run tries again", count(n)))
	}
	if n := upload.Unnamed; n > 0 {
		s.report.Warnings = append(s.report.Warnings, fmt.Sprintf(
			"Iterable counted %s failures without naming the profiles; the next run sends all profiles of those requests again", count(n)))
	}
	if most := mostRefused(s.in.Export.Guardrails, s.report.Manifest, upload); most != "" {
		s.report.Warnings = append(s.report.Warnings, fmt.Sprintf("Iterable refused %s; does the project identify profiles by %s? (projectType of connection %q)",
			most, cmp.Or(s.in.Connection.ProjectType, schemas.ProjectEmail), s.in.Connection.Name))
	}
	if n := s.report.Manifest.Unconfirmed; n > 0 {
		s.report.Warnings = append(s.report.Warnings, fmt.Sprintf(
			"%s profiles that left the segment may be on the list: an earlier run got no answer to a request that adds them, or the data root was restored from a backup; they are not removed, since something else may have added them", count(n)))
	}
	if s.report.StartedOver > 0 {
		restarts := s.report.Restarts()
		if sent := s.report.Earlier; sent.Sent+sent.Removed > 0 {
			restarts += fmt.Sprintf("; by then, %s profiles were sent and %s removed", count(sent.Sent), count(sent.Removed))
		}
		s.report.Warnings = append(s.report.Warnings, restarts)
	}
	if s.list.ID == 0 && s.report.Manifest.Attempt != "" && s.report.Manifest.ToSend() == 0 && !s.in.Check && !s.in.Segment.Divided() {
		s.report.Warnings = append(s.report.Warnings, fmt.Sprintf(
			"Iterable has no list named %q yet, and the segment has no profile to send; the first run that sends something creates the list", s.in.Segment.Name))
	}
	if f := upload.CreatedFields; len(f) > 0 {
		s.report.Warnings = append(s.report.Warnings, "Iterable created "+schemas.FieldNames(f)+"; a field can never be removed there")
	}
	if f := upload.IgnoredFields; len(f) > 0 {
		s.report.Warnings = append(s.report.Warnings, "Iterable left out "+schemas.FieldNames(f)+": the project does not create fields by itself")
	}
}

// countMembers sets the report's Members to the members that this export has added, and
// its ListSize to the size that the list should have, with the members of others. It does
// not ask Iterable, which allows five questions per minute for the sizes of all lists of a
// project and shows a change up to minutes later.
func (s *exportSegment) countMembers() {
	m, u := s.report.Manifest, s.report.Upload
	known := m.Unchanged + m.Adds + m.Updates + u.NotRemoved - sum(u.Refused)
	if s.in.Export.Mode == schemas.ModeAppend || m.Kept {
		known += m.Members - m.Unchanged - m.Updates - m.MembersRemoved() - m.Superseded - m.Forgotten // vanished from the segment, but not removed
	}
	s.report.Members, s.report.ListSize = known, known-u.Unnamed
	if s.list.Size < 0 { // not known when the run began
		return
	}
	fresh := m.Adds
	if m.SentAgain != "" && m.Members == 0 && s.list.Ours { // the snapshot is not trusted: they are on the list, but for some
		fresh = 0
	}
	s.report.ListSize = max(known, s.list.Size+fresh-u.Removed) + u.Unnamed
}

// mostRefused returns how many rows Iterable has refused and the most frequent reason, or "" if
// they are not more than the share of the segment's rows that may be rejected.
func mostRefused(g schemas.Guardrails, m schemas.Manifest, u schemas.UploadCounts) string {
	refused := sum(u.Refused)
	if float64(refused) <= g.RejectedShare()*float64(m.Selected()) {
		return ""
	}
	most := slices.MaxFunc(workflow.DeterministicKeys(u.Refused), func(a, b schemas.Reason) int { return cmp.Compare(u.Refused[a], u.Refused[b]) })
	return fmt.Sprintf("%s of %s rows, most as %s", count(refused), count(m.Selected()), most)
}

func sum(counts map[schemas.Reason]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func listName(l schemas.ListRef) string {
	if l.ID == 0 {
		return "(not known yet)"
	}
	return strconv.FormatInt(l.ID, 10)
}

// count returns a number with thousands separators, and "unknown" for a negative one.
func count(n int64) string {
	if n < 0 {
		return "unknown"
	}
	return humanize.Comma(n)
}
