package doctor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// maxSkew is how far apart two clocks may be. Grants allow a minute, and buckets five.
const maxSkew = 30 * time.Second

// pollEvery is the longest time between two polls of an idle worker.
const pollEvery = time.Minute

// clocks compares this machine's clock with Temporal's. Temporal records the time of each
// worker's last poll: it must not be later than now, nor much earlier than pollEvery ago.
func (p *patient) clocks(ctx context.Context) {
	var newest time.Time
	for _, q := range queues {
		workers, err := p.o.Workers(ctx, q)
		if err != nil {
			p.add(CheckClocks, "", Skipped, "Temporal does not say when workers polled: "+p.Told(err), "")
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
	p.add(CheckClocks, "Temporal and this machine", Wrong, fmt.Sprintf("at least %s apart, so tokens, grants and requests to buckets may be refused", off.Round(time.Second)),
		"set the clocks of this machine and of Temporal's by NTP (timedatectl)")
}

// dataRoot checks the data root, and reports whether its records can be read.
func (p *patient) dataRoot(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	where, err := p.Sight.DataRoot(ctx)
	if errors.Is(err, storage.ErrKey) {
		p.add(CheckDataRoot, "", Wrong, p.Told(err), "give every worker, and the starter where there is no gateway, the DATA_KEYS that the data root is encrypted with, and start it again (docs/backup.md if they are lost)")
		return true
	}
	if err != nil {
		p.add(CheckDataRoot, "", Wrong, p.Told(err), "allow reading and writing it, or set another one with DATA_ROOT; all workers share it")
		return false
	}
	if where != "" {
		where = ": " + where
	}
	p.ok(CheckDataRoot, "", "it can be written and read"+where)
	return true
}

// connections checks connections.yaml, and each connection's workers and, for
// administrators, its consent and key.
func (p *patient) connections(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	all, err := p.Sight.Connections(asking)
	if err != nil {
		p.add(CheckConnections, "", Wrong, p.Told(err), "correct that, and run starter doctor again")
		return
	}
	if all.Broken != "" {
		p.add(CheckConnections, "connections.yaml", Wrong, fmt.Sprintf("its newest version is not in force, since %s or earlier: %s", all.Since.Format(time.RFC3339), all.Broken),
			"correct the workers' file; they read it again by themselves")
	}
	if len(all.Connections) == 0 {
		p.add(CheckConnections, "", Warning, "there are none that you may see", "ask an administrator to add one to the workers' connections.yaml, or to share one with contributors")
	}
	for _, c := range all.Connections {
		p.queue(ctx, CheckConnections, operate.Queue{Name: schemas.UploadTaskQueue(c.Name)},
			fmt.Sprintf("give every worker a connections.yaml with %q, and check in its log that it is read", c.Name))
		if p.Who.Role != schemas.RoleAdministrator {
			p.add(CheckConnections, c.Name, Skipped, "only administrators see consent and key", "")
			continue
		}
		p.consent(c)
		p.key(ctx, c)
	}
}

func (p *patient) consent(c schemas.ConnectionView) {
	subject := c.Name + ", consent"
	fix := "agree to the transfer: starter connect " + schemas.ShellWord(c.Name)
	switch r := c.Consent; {
	case r == nil:
		p.add(CheckConnections, subject, Wrong, "the transfer is not agreed to, so nothing is sent", fix)
	case r.Withdrawn:
		p.add(CheckConnections, subject, Warning, fmt.Sprintf("disconnected by %s on %s, so nothing is sent", r.By, schemas.Day(r.At)), fix)
	default:
		p.ok(CheckConnections, subject, fmt.Sprintf("%s agreed on %s", r.By, schemas.Day(r.At)))
	}
}

func (p *patient) key(ctx context.Context, c schemas.ConnectionView) {
	subject := c.Name + ", key"
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	check, err := p.Sight.CheckConnection(ctx, c.Name)
	switch {
	case err != nil:
		p.add(CheckConnections, subject, Wrong, "it could not be tried: "+p.Told(err), "see the workers' logs")
	case check.Error != "":
		p.add(CheckConnections, subject, Wrong, check.Error, fmt.Sprintf("correct apiKey, region or baseURL of %q in the workers' connections.yaml, or the key itself; then run starter doctor again", c.Name))
	default:
		p.ok(CheckConnections, subject, fmt.Sprintf("Iterable accepts it; lists: %d, fields: %d", check.Lists, check.Fields))
	}
}

// lookTime bounds a check that calls Iterable or storage.
const lookTime = time.Minute

// atOnce is how many exports' sources are read concurrently.
const atOnce = 4

// sources reads the footers of the applied exports' segments.
func (p *patient) sources(ctx context.Context, applied []operate.Applied) {
	if len(applied) == 0 {
		p.ok(CheckSources, "", "no export is applied")
		return
	}
	if p.Who.Role == schemas.RoleViewer {
		p.add(CheckSources, "", Skipped, "only contributors and administrators see sources", "")
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
		p.add(CheckSources, name, Warning, a.Note, fmt.Sprintf("move it to another connection: starter move %s CONNECTION, or starter remove %s", schemas.ShellWord(name), schemas.ShellWord(name)))
	case err != nil:
		p.add(CheckSources, name, Wrong, p.Told(err), "correct the export and apply it; see starter connections")
	}
	for _, s := range answer {
		subject := fmt.Sprintf("%s, segment %q", name, s.Segment)
		if s.Error != "" {
			p.add(CheckSources, subject, Wrong, s.Error, "correct it, and verify with: starter check "+schemas.ShellWord(name))
			continue
		}
		found := fmt.Sprintf("files: %d", s.Files)
		if s.Rows >= 0 { // Arrow streams have no footer
			found += fmt.Sprintf(", rows: %d", s.Rows)
		}
		p.ok(CheckSources, subject, found)
	}
}
