package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// Comparison is the snapshot that a segment is compared with, and how.
type Comparison struct {
	Opened
	// Full sends all profiles, even unchanged ones.
	Full     bool
	Again    string // a Manifest's SentAgain
	Handover string // a Manifest's Handover
	Warnings []string
}

// Compare opens the snapshot and decides whether all profiles must be sent: for example after
// a handover of the list, whose name is handover.
func (l *Ledger) Compare(ctx context.Context, in schemas.StageInput, handover string, now time.Time) (c Comparison, err error) {
	var warning string
	if in.Check {
		if restored, err := l.restoredLater(ctx, in); err != nil {
			return c, err
		} else if restored {
			in.IgnoreSnapshot = true
			defer func() { c.Again, c.Warnings = restoredAgain, []string{restoredAgain + restoredThen} }()
		}
	}
	if c.Opened, c.Again, warning, err = l.openSnapshot(ctx, in); err != nil {
		return c, err
	}
	c.warn(warning)
	c.Handover = handover
	if c.Snapshot == nil {
		c.Full = true
		return c, nil
	}
	switch {
	case c.Handover != "":
		c.Full, c.Again = true, "the list was handed to this export after its last run"
		c.warn(c.Again + "; all profiles are sent again")
	case c.Header().Restored:
		c.Full, c.Again = true, restoredAgain
		c.warn(restoredAgain + restoredThen)
	case c.MappingChanged():
		c.Full, c.Again = true, mappingAgain
		c.warn(c.Again + "; all profiles are sent again")
	case in.Full, fullDue(in.Export.FullEvery, c.Header().FullAt, now):
		c.Full = true
		if in.Check { // a run does not ask for that
			c.Again = "it is a full run, as --full or fullEvery says"
		}
	}
	if in.Check {
		unfinished, err := l.unfinished(ctx, in)
		if err != nil {
			return c, err
		}
		if unfinished {
			c.warn("a run of this segment is in progress or unfinished; what it sends is not included")
		}
	}
	return c, nil
}

// mappingAgain is why all profiles are sent after a setting of the mapping has changed.
const mappingAgain = "the mapping is not the one of the last run"

// Again returns why the next run would send all profiles again, as far as the header of the
// segment's snapshot tells, or "". restore is the Ledger's Restore.
func Again(h snapshot.Header, restore string, e schemas.Export, projectType string, now time.Time) string {
	switch {
	case h.Restored, restore != "" && h.Restore != restore:
		return restoredAgain
	case h.Mapping != e.MappingFingerprint(projectType):
		return mappingAgain
	case fullDue(e.FullEvery, h.FullAt, now):
		return schemas.FullRunDue
	}
	return ""
}

// CompareFields compares the names of the data fields with those of the last run, which
// differ if the segment's columns do. Every profile with a value in such a field is sent
// again.
func (c *Comparison) CompareFields(now []string) {
	if c.Snapshot == nil || c.Full || c.Header().Fields == nil {
		return
	}
	var parts []string
	if fresh := missing(c.Header().Fields, now); len(fresh) > 0 {
		parts = append(parts, "gained "+schemas.FieldNames(fresh))
	}
	if gone := missing(now, c.Header().Fields); len(gone) > 0 {
		parts = append(parts, "lost "+schemas.FieldNames(gone))
	}
	if len(parts) > 0 {
		c.Again = "the mapping has " + strings.Join(parts, " and ") + " since the last run"
		c.warn(c.Again + "; profiles with a value there are sent again")
	}
}

// missing returns the names in all that are not in of; both are sorted.
func missing(of, all []string) (names []string) {
	for _, name := range all {
		if _, found := slices.BinarySearch(of, name); !found {
			names = append(names, name)
		}
	}
	return names
}

func (c *Comparison) warn(warning string) {
	if warning != "" {
		c.Warnings = append(c.Warnings, warning)
	}
}

// fullDue reports whether the last full run is older than the export allows. An unknown time
// is.
func fullDue(every schemas.Duration, last, now time.Time) bool {
	return every > 0 && now.Sub(last) >= time.Duration(every)
}

// unfinished reports whether a run may have sent what the snapshot does not know.
func (l *Ledger) unfinished(ctx context.Context, in schemas.StageInput) (bool, error) {
	found, err := l.Unfinished(ctx, in.Run)
	for _, p := range found {
		if p.ListID == in.ListID {
			return true, err
		}
	}
	return false, err
}

// noSnapshot returns what to report if there is no snapshot: nothing at a first run.
func noSnapshot(in schemas.StageInput) (again, warning string) {
	switch {
	case in.ListSize == 0:
		return "", ""
	case in.ListOurs:
		again = fmt.Sprintf("the snapshot of list %d is lost", in.ListID)
		return again, again + "; all profiles are sent and none is removed: " +
			"members that left the segment since the last run stay on the list until you remove them in Iterable"
	case in.ListSize < 0:
		return "", fmt.Sprintf("list %d may have members that no run of this export is known to have added; they are not removed", in.ListID)
	default:
		return "", fmt.Sprintf("list %d has %d members that no run of this export is known to have added; they are not removed",
			in.ListID, in.ListSize)
	}
}
