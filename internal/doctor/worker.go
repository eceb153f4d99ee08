package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// maxSkew is how far two clocks may be apart. Grants are taken with a minute's
// difference, and buckets with five.
const maxSkew = 30 * time.Second

// pollEvery is how often a worker that has nothing to do asks for work, at most.
const pollEvery = time.Minute

// clocks compares this machine's with Temporal's, which notes when a worker asked for
// work last: not later than now, and not much longer ago than workers take to ask again.
func (p *patient) clocks(ctx context.Context) {
	var newest time.Time
	for _, q := range queues {
		workers, err := p.o.Workers(ctx, q)
		if err != nil {
			p.add(CheckClocks, "", Skipped, "Temporal does not say when workers asked for work: "+p.Told(err), "")
			return
		}
		for _, w := range workers {
			if w.LastSeen.After(newest) {
				newest = w.LastSeen
			}
		}
	}
	p.clock(newest, time.Now())
}

func (p *patient) clock(newest, now time.Time) {
	const mend = "set the clock of this machine, or of Temporal's, by NTP (timedatectl)"
	off := time.Duration(0)
	switch {
	case newest.After(now):
		off = newest.Sub(now)
	case now.Sub(newest) > pollEvery:
		off = now.Sub(newest) - pollEvery
	}
	if off <= maxSkew {
		p.ok(CheckClocks, "Temporal and this machine", "they agree")
		return
	}
	p.add(CheckClocks, "Temporal and this machine", Wrong, fmt.Sprintf("at least %s apart, so that tokens, grants and buckets may be refused", off.Round(time.Second)), mend)
}

// dataRoot reports whether the data root can be worked with.
func (p *patient) dataRoot(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	where, err := p.Sight.DataRoot(ctx)
	if err != nil {
		p.add(CheckDataRoot, "", Wrong, p.Told(err), "let it be read and written, or set another one with DATA_ROOT; all workers share it")
		return false
	}
	if where != "" {
		where = ": " + where
	}
	p.ok(CheckDataRoot, "", "it can be written and read"+where)
	return true
}

// connections looks at connections.yaml, and at each connection: its consent, its
// workers and, for administrators, its key.
func (p *patient) connections(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	all, err := p.Sight.Connections(asking)
	if err != nil {
		p.add(CheckConnections, "", Wrong, p.Told(err), "see starter connections")
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
		if p.Who.Role != schemas.RoleAdministrator {
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
	check, err := p.Sight.CheckConnection(ctx, c.Name)
	switch {
	case err != nil:
		p.add(CheckConnections, subject, Wrong, "it could not be tried: "+p.Told(err), "look at the workers' logs")
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
func (p *patient) sources(ctx context.Context) {
	applied, err := p.o.Applied(ctx)
	if err != nil {
		p.add(CheckSources, "", Wrong, p.Told(err), "see starter exports")
		return
	}
	if len(applied) == 0 {
		p.ok(CheckSources, "", "no export was applied yet")
		return
	}
	if p.Who.Role == schemas.RoleViewer {
		p.add(CheckSources, "", Skipped, "sources are for contributors to see", "")
		return
	}
	answers := make([][]Source, len(applied))
	errs := make([]error, len(applied))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, a := range applied {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, lookTime)
			defer cancel()
			answers[i], errs[i] = p.Sight.Sources(ctx, a.Export)
		})
	}
	all.Wait()
	for i, a := range applied {
		p.export(a, answers[i], errs[i])
	}
}

func (p *patient) export(a operate.Applied, answer []Source, err error) {
	name := a.Export.Name
	switch {
	case a.Detached:
		p.add(CheckSources, name, Warning, a.Note, fmt.Sprintf("move it to another connection: starter move %q CONNECTION, or starter remove %q", name, name))
	case err != nil:
		p.add(CheckSources, name, Wrong, p.Told(err), "correct the export, and starter apply; see starter connections")
	}
	for _, s := range answer {
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
