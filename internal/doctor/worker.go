package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// maxSkew is how far two clocks may be apart. Tokens, proofs and grants are taken
// with a minute's difference, and buckets with five.
const maxSkew = 30 * time.Second

// skew is how far a time lies outside of an interval that it should be in: what is
// left then is the difference of two clocks, at least.
func skew(at, from, to time.Time) time.Duration {
	switch {
	case at.Before(from):
		return at.Sub(from)
	case at.After(to):
		return at.Sub(to)
	}
	return 0
}

// clocks compares those of the caller, of Temporal and of the worker. Temporal began
// what it was asked for between the question and the answer; the worker looked at its
// clock after that, and within the same time.
func (p *patient) clocks(a answered) {
	took := a.told.Sub(a.asked)
	p.clock("Temporal and this machine", skew(a.Started, a.asked, a.told), "set the clock of this machine, or of Temporal's, by NTP (timedatectl)")
	p.clock("worker and Temporal", skew(a.Now, a.Started, a.Started.Add(took)), "set the clock of the worker's machine, or of Temporal's, by NTP (timedatectl)")
}

func (p *patient) clock(subject string, off time.Duration, mend string) {
	if off.Abs() <= maxSkew {
		p.ok(CheckClocks, subject, fmt.Sprintf("at most %s apart", max(off.Abs(), time.Second).Round(time.Second)))
		return
	}
	p.add(CheckClocks, subject, Wrong, fmt.Sprintf("at least %s apart, so that tokens, grants and buckets may be refused", off.Abs().Round(time.Second)), mend)
}

// dataRoot looks at the data root as the worker sees it, and as the caller does. It
// tells whether the worker can work with it.
func (p *patient) dataRoot(ctx context.Context, a schemas.Examination) bool {
	if a.DataRootError != "" {
		p.add(CheckDataRoot, "worker", Wrong, a.DataRootError, "let the worker read and write its DATA_ROOT, or set another one; all workers share it")
		p.add(CheckDataRoot, "starter", Skipped, "the worker's could not be looked at", "")
		return false
	}
	where := "it can be written and read"
	if a.DataRootURL != "" {
		where += ": " + a.DataRootURL
	}
	p.ok(CheckDataRoot, "worker", where)
	const mend = "set DATA_ROOT or --data-root to the workers'; only starter report, starter rejects and the examples of starter check need it"
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	data, err := p.ReadRoot(ctx, schemas.DeploymentKey)
	var mine schemas.Deployment
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && (json.Unmarshal(data, &mine) != nil || mine.ID != a.DataRoot):
		p.add(CheckDataRoot, "starter", Warning, "this is another data root than the worker's", mend)
	case err != nil:
		p.add(CheckDataRoot, "starter", Warning, err.Error(), mend)
	default:
		p.ok(CheckDataRoot, "starter", "the same as the worker's")
	}
	return true
}

// connections looks at connections.yaml, and at each connection: its consent, its
// workers and, for administrators, its key.
func (p *patient) connections(ctx context.Context, who schemas.Person) {
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	all, err := p.o.Connections(asking)
	if err != nil {
		p.add(CheckConnections, "", Wrong, err.Error(), "see starter connections")
		return
	}
	if all.Broken != "" {
		p.add(CheckConnections, "connections.yaml", Wrong, fmt.Sprintf("its newest version is not in force, since %s at the latest: %s", all.Since.Format(time.RFC3339), all.Broken),
			"correct the file on the worker's side; it is read again by itself")
	}
	if len(all.Connections) == 0 {
		p.add(CheckConnections, "", Warning, "there is none that you may see", "have an administrator add one to connections.yaml on the worker's side, or share one with contributors")
	}
	for _, c := range all.Connections {
		p.queue(ctx, CheckConnections, operate.Queue{Name: schemas.UploadTaskQueue(c.Name)},
			fmt.Sprintf("have every worker read a connections.yaml with «%s» in it, and see in its log that it does", c.Name))
		if who.Role != schemas.RoleAdministrator {
			p.add(CheckConnections, c.Name, Skipped, "consent and key are for administrators to see", "")
			continue
		}
		p.consent(c)
		p.key(ctx, c)
	}
}

func (p *patient) consent(c schemas.ConnectionView) {
	subject := c.Name + ", consent"
	mend := fmt.Sprintf("agree to the transfer: starter connect %q", c.Name)
	switch r := c.Consent; {
	case r == nil:
		p.add(CheckConnections, subject, Wrong, "nobody has agreed to the transfer, so nothing is sent", mend)
	case r.Withdrawn:
		p.add(CheckConnections, subject, Warning, fmt.Sprintf("disconnected by %s on %s, so nothing is sent", r.By, r.At.Format(time.DateOnly)), mend)
	default:
		p.ok(CheckConnections, subject, fmt.Sprintf("%s agreed on %s", r.By, r.At.Format(time.DateOnly)))
	}
}

func (p *patient) key(ctx context.Context, c schemas.ConnectionView) {
	subject := c.Name + ", key"
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	check, err := p.o.CheckConnection(ctx, c.Name)
	switch {
	case err != nil:
		p.add(CheckConnections, subject, Wrong, "it could not be tried: "+err.Error(), "look at the workers' logs")
	case check.Error != "":
		p.add(CheckConnections, subject, Wrong, check.Error, fmt.Sprintf("correct apiKey, region or baseURL of «%s» in connections.yaml, or what it names, on the worker's side; then starter doctor again", c.Name))
	default:
		p.ok(CheckConnections, subject, fmt.Sprintf("Iterable accepts it, lists: %d, fields: %d", check.Lists, check.Fields))
	}
}

// lookTime bounds what the worker has to ask others for: Iterable, or storage.
const lookTime = time.Minute

// atOnce is how many exports' sources are looked at side by side.
const atOnce = 4

// sources looks at the exports that were applied, and has the worker look at their
// segments.
func (p *patient) sources(ctx context.Context, who schemas.Person) {
	applied, err := p.o.Applied(ctx)
	if err != nil {
		p.add(CheckSources, "", Wrong, err.Error(), "see starter exports")
		return
	}
	if len(applied) == 0 {
		p.ok(CheckSources, "", "no export was applied yet")
		return
	}
	if who.Role == schemas.RoleViewer {
		p.add(CheckSources, "", Skipped, "sources are for contributors to see", "")
		return
	}
	answers := make([]schemas.ExamineSourcesAnswer, len(applied))
	errs := make([]error, len(applied))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, a := range applied {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, lookTime)
			defer cancel()
			answers[i], errs[i] = p.o.ExamineSources(ctx, a.Export)
		})
	}
	all.Wait()
	for i, a := range applied {
		p.export(a, answers[i], errs[i])
	}
}

func (p *patient) export(a operate.Applied, answer schemas.ExamineSourcesAnswer, err error) {
	name := a.Export.Name
	switch {
	case a.Detached:
		p.add(CheckSources, name, Warning, a.Note, fmt.Sprintf("set another connection and starter apply, or starter remove %q", name))
	case err != nil:
		p.add(CheckSources, name, Wrong, err.Error(), "correct the export, and starter apply; see starter connections")
	}
	for _, s := range answer.Segments {
		subject := fmt.Sprintf("%s, segment «%s»", name, s.Segment)
		if s.Error != "" {
			p.add(CheckSources, subject, Wrong, s.Error, fmt.Sprintf("put it right, and see with: starter check %q", name))
			continue
		}
		found := fmt.Sprintf("files: %d", s.Files)
		if s.Rows >= 0 { // Arrow streams have no footer that says so
			found += fmt.Sprintf(", rows: %d", s.Rows)
		}
		p.ok(CheckSources, subject, found)
	}
}
