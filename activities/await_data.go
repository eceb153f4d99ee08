package activities

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"iterable-segment-export/internal/parquetfile"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/sources"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// unready returns why the data that was located is not as the run wants it, or nil. failed
// is the error of locating it.
func (a *Activities) unready(ctx context.Context, in schemas.InspectInput, l *segment.Located, failed error) (*schemas.Unready, error) {
	want, now := in.Wanted, a.clock()
	if l == nil || failed != nil && !isMissing(failed) {
		return nil, failed
	}
	missing := failed != nil
	if !l.Table() {
		if signs := l.Writing(); len(signs) > 0 {
			return &schemas.Unready{Why: firstOf(signs)}, nil
		}
	}
	marker, why, err := a.marker(ctx, in)
	switch {
	case err != nil:
		return nil, err
	case why != "":
		return &schemas.Unready{Why: why}, nil
	case missing && (want.Missing || want.Ready.Marker != ""):
		return &schemas.Unready{Why: "there are no files yet: " + step.Message(failed)}, nil
	case missing:
		return nil, failed
	}
	if why = ofEarlier(want, l, marker); why != "" {
		return &schemas.Unready{Why: why}, nil
	}
	if why, err = a.tooOld(ctx, in, l, now); why != "" || err != nil {
		return &schemas.Unready{Why: why}, err
	}
	return unsettled(want, l, marker, now), nil
}

// firstOf joins the first signs to a sentence.
func firstOf(signs []string) string {
	const most = 3
	if n := len(signs) - most; n > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(signs[:most], "; "), n)
	}
	return strings.Join(signs, "; ")
}

// ofEarlier returns why a marker does not stand for the files that were found, or nothing.
func ofEarlier(want *schemas.Wanted, l *segment.Located, marker marked) string {
	name, newest := l.Newest()
	if marker.at.IsZero() || l.Table() || !newest.After(marker.at) {
		return ""
	}
	return fmt.Sprintf("the marker %q is of %s, but %q was written after it, at %s; the marker is of an earlier export (ready.marker)",
		want.Ready.Marker, schemas.Moment(marker.at), name, schemas.Moment(newest))
}

// unsettled returns why files that have just changed may change again, or nil.
func unsettled(want *schemas.Wanted, l *segment.Located, marker marked, now time.Time) *schemas.Unready {
	name, last := l.LastChange()
	settle := time.Duration(want.Settle)
	listing := l.Listing()
	switch {
	case settle <= 0, l.Table():
		return nil
	case !marker.at.IsZero() && !last.After(marker.changed): // not copied before the files
		return nil
	case now.Sub(last) >= settle:
		return nil
	case want.Listing == listing && time.Duration(want.Quiet) >= settle: // the clocks differ
		return nil
	}
	return &schemas.Unready{
		Why: fmt.Sprintf("%q was written at %s, and no file may have changed for %s (ready.settle)",
			name, schemas.Moment(last), want.Settle.Short()),
		Listing: listing, SettledAt: last.Add(settle),
	}
}

// unreadableFactor is how many times Settle must have passed since the last change before a
// file that can't be read counts as damaged: a slow copy can pause for longer than Settle.
const unreadableFactor = 5

// unfinished returns why files that can't be read may not be complete yet, or nil. failed is the
// error of reading their footers.
func (a *Activities) unfinished(ctx context.Context, in schemas.InspectInput, l *segment.Located, failed error) *schemas.Unready {
	var bad *segment.Error
	if !errors.As(failed, &bad) || bad.Type != schemas.ErrorSegmentUnreadable || l.Table() {
		return nil
	}
	if errors.Is(failed, fs.ErrPermission) || errors.Is(failed, parquetfile.ErrEncrypted) {
		return nil // no wait helps
	}
	marker, _, err := a.marker(ctx, in)
	if err != nil {
		return nil
	}
	want := *in.Wanted
	want.Settle *= unreadableFactor
	why := unsettled(&want, l, marker, a.clock())
	if why != nil {
		name, last := l.LastChange()
		why.Unreadable = true
		why.Why = fmt.Sprintf("a file can't be read, and %q was written at %s, so a copy may not be complete (ready.settle): %s",
			name, schemas.Moment(last), bad.Error())
	}
	return why
}

// marked is when a marker was written, and when it was written or copied to where it is.
type marked struct{ at, changed time.Time }

// marker returns the times of the marker that the run wants, or why it is not there. They
// are zero if the run wants none.
func (a *Activities) marker(ctx context.Context, in schemas.InspectInput) (at marked, why string, err error) {
	ready := in.Wanted.Ready
	if ready.Marker == "" {
		return at, "", nil
	}
	zone, err := time.LoadLocation(ready.TimeZone)
	if err != nil {
		return at, "", step.NeedOperator(schemas.ErrorBadExport, fmt.Sprintf("ready.timeZone: %v; write it like Europe/Oslo", err))
	}
	name := strings.ReplaceAll(ready.Marker, "{date}", in.Wanted.Began.In(zone).Format(time.DateOnly))
	c, err := a.Connections.Get(in.Export.Connection)
	if err != nil {
		return at, "", step.NeedOperator(schemas.ErrorUnknownConnection, err.Error())
	}
	source, err := storage.Within(in.Segment.Source, c.AllowedSources)
	if err != nil {
		return at, "", sources.Refused(err, c)
	}
	found, err := storage.Beside(ctx, source, name)
	if err != nil {
		return at, "", fmt.Errorf("look for the marker: %w", err)
	}
	for _, o := range found {
		// A file elsewhere is not a marker. The message does not say that it exists, since the
		// name can be that of any file.
		if _, err := storage.WithinObject(o, c.AllowedSources); err == nil && o.ModTime.After(at.at) {
			at = marked{o.ModTime, o.Changed}
		}
	}
	if at.at.IsZero() {
		why := fmt.Sprintf("there is no file %q (ready.marker)", path.Clean(name))
		if folder := storage.MissingFolder(source); folder != "" {
			why += fmt.Sprintf(", because the folder %s does not exist", folder)
		}
		return at, why, nil
	}
	return at, "", nil
}

// tooOld returns why the data is not new enough, or nothing.
func (a *Activities) tooOld(ctx context.Context, in schemas.InspectInput, l *segment.Located, now time.Time) (why string, err error) {
	ready := in.Wanted.Ready
	_, newest := l.Newest()
	if age := now.Sub(newest); ready.MaxAge > 0 && age > time.Duration(ready.MaxAge) {
		return fmt.Sprintf("the newest file is of %s, older than %s (ready.maxAge)", newest.UTC().Format("2006-01-02 15:04 UTC"), ready.MaxAge.Short()), nil
	}
	if ready.NewerThan == "" {
		return "", nil
	}
	last, ok, err := a.lastDone(ctx, in.Run, in.Segment)
	if err != nil || !ok {
		return "", err
	}
	switch {
	case l.Table() && last.Table != nil:
		if l.Version() <= last.Table.Version {
			return fmt.Sprintf("the last run has read version %d of the table, which is the latest (ready.newerThan)", last.Table.Version), nil
		}
	case !newest.After(last.Newest):
		return fmt.Sprintf("no file is newer than those of %s that the last run has read (ready.newerThan)", schemas.Moment(last.Newest)), nil
	}
	return "", nil
}

// lastDone returns what the segment's last run has read that was done. ok reports whether
// that is known.
func (a *Activities) lastDone(ctx context.Context, run schemas.RunRef, s schemas.Segment) (info schemas.SegmentInfo, ok bool, err error) {
	if s.Divided() {
		known, err := a.dividedLists(ctx, run)
		return known.Read, err == nil && !known.Read.Newest.IsZero(), err
	}
	h, err := a.Ledger().Header(ctx, run)
	if err != nil || h == nil {
		return info, false, err
	}
	last := run
	last.RunID, _, _ = strings.Cut(h.RunID, snapshot.Unfinished)
	r, ok := a.Ledger().Reported(ctx, last)
	return r.Info, ok && r.State == schemas.StateDone && !r.Info.Newest.IsZero(), nil
}
