package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// grants checks the grant of each schedule, and reports until when it is valid.
func (p *patient) grants(applied []operate.Applied) {
	granted := func(a operate.Applied) bool { return a.Grant != nil || a.Standing != nil }
	if !slices.ContainsFunc(applied, granted) {
		p.ok(CheckGrants, "", "no export has one; runs need them only if the workers have a WORKER_SECRET")
		return
	}
	for _, a := range applied {
		p.grant(a)
	}
}

func (p *patient) grant(a operate.Applied) {
	name, renew := a.Export.Name, "renew it: starter apply FILE, as a person who may use connection "+schemas.ShellWord(a.Export.Connection)
	if a.Standing == nil {
		p.add(CheckGrants, name, Skipped, "without WORKER_SECRET it can't be verified; set it as for the workers, or use the gateway (EXPORT_API)", "")
		return
	}
	switch s := a.Standing; {
	case s.Invalid != "":
		p.add(CheckGrants, name, Wrong, "its scheduled runs fail: "+s.Invalid, renew)
	case s.NotAllowed != "":
		p.add(CheckGrants, name, Warning, "its scheduled runs wait: "+s.NotAllowed, "share the connection with contributors, or have an administrator apply the export: starter apply FILE")
	case s.OldSecret:
		p.add(CheckGrants, name, Warning, grantedTo(a)+"; valid until the older secret that signed it is removed from WORKER_SECRET", renew)
	default:
		p.ok(CheckGrants, name, grantedTo(a)+"; valid until WORKER_SECRET changes, or the export is changed, moved or removed")
	}
}

func grantedTo(a operate.Applied) string {
	g := a.Grant
	return fmt.Sprintf("granted to %s, %s, on %s", g.Person.Name, g.Person.Role, schemas.Day(g.IssuedAt))
}

// mostRuns is how many runs under way are asked what they wait for.
const mostRuns = 50

// runs reports the runs that wait for an operator, and the steps of runs that fail and are tried
// again.
func (p *patient) runs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	views, err := p.o.Recent(ctx, true)
	if err != nil {
		p.add(CheckRuns, "", Skipped, "they can't be listed: "+p.Told(err), "")
		return
	}
	underWay, unknown := len(views), max(0, len(views)-mostRuns)
	troubled := 0
	for _, v := range views[:underWay-unknown] {
		seen, err := p.o.Look(ctx, v.Run)
		if err != nil {
			unknown++
			continue
		}
		for _, w := range seen.Waits() {
			troubled++
			p.add(CheckRuns, v.Run.Export, Warning, fmt.Sprintf("%q waits since %s: %s", cmp.Or(w.Segment, v.Run.Export), schemas.Moment(w.Since), w.Message),
				"answer it with one of the commands that this prints: starter status "+v.Run.RunID)
		}
		for name, retrying := range seen.Retries() {
			troubled++
			p.add(CheckRuns, v.Run.Export, Warning, fmt.Sprintf("%q: %s", name, retrying), "correct what the message names; the run then goes on by itself")
		}
	}
	switch {
	case unknown > 0:
		p.add(CheckRuns, "", Skipped, fmt.Sprintf("%d of %d runs under way could not be asked what they wait for", unknown, underWay), "")
	case troubled == 0:
		p.ok(CheckRuns, "", fmt.Sprintf("under way: %d, none of which waits for an operator", underWay))
	}
}
