package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// schedules reports when each export starts.
func (p *patient) schedules(applied []operate.Applied, now time.Time) {
	if len(applied) == 0 {
		p.ok(CheckSchedules, "", "no export is applied")
		return
	}
	for _, a := range applied {
		name := a.Export.Name
		next := ""
		if a.Timing != nil {
			next = strings.Join(operate.Starts(*a.Timing, a.Starts, now), ", ")
		}
		after := len(a.Export.After) > 0
		switch {
		case a.Timing == nil && !after:
			p.ok(CheckSchedules, name, "off; it runs only when it is started")
		case a.Stopped && len(a.Followers) > 0:
			p.add(CheckSchedules, name, Wrong, fmt.Sprintf("%s, but paused in Temporal: %s; nothing starts %q, which is after it", a.Words, a.Note, a.Followers[0]), "resume it with: starter resume "+schemas.ShellWord(name))
		case a.Paused && len(a.Followers) > 0:
			p.add(CheckSchedules, name, Warning, fmt.Sprintf("%s, but paused: %s; refreshes leave it out, and %q after it does what its afterFailure says", a.Words, a.Note, a.Followers[0]), "resume it with: starter resume "+schemas.ShellWord(name))
		case a.Paused:
			p.add(CheckSchedules, name, Warning, fmt.Sprintf("%s, but paused: %s", a.Words, a.Note), "resume it with: starter resume "+schemas.ShellWord(name))
		case after && unlinked(a, applied) != "":
			p.add(CheckSchedules, name, Wrong, fmt.Sprintf("%s, but it does not start: the schedule of %q does not name it", a.Words, unlinked(a, applied)), "apply it again: starter apply FILE")
		case a.Late != "":
			p.add(CheckSchedules, name, Wrong, fmt.Sprintf("%s; %s", a.Words, a.Late), "see what the workers and the run do: starter status "+schemas.ShellWord(name))
		case after:
			p.ok(CheckSchedules, name, a.Words)
		case next == "":
			p.add(CheckSchedules, name, Wrong, a.Words+"; it has no further start", "correct its schedule, and apply it again")
		default:
			p.ok(CheckSchedules, name, fmt.Sprintf("%s; next %s", a.Words, next))
		}
	}
}

// unlinked returns the name of an export that a is after and whose schedule does not start a,
// empty if all do.
func unlinked(a operate.Applied, applied []operate.Applied) string {
	for _, name := range a.Export.After {
		i := slices.IndexFunc(applied, func(up operate.Applied) bool { return up.Export.Name == name })
		if i < 0 || !slices.Contains(applied[i].Followers, a.Export.Name) {
			return name
		}
	}
	return ""
}
