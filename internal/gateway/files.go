package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/overview"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// of returns the data root and the place of a run's files in it. It refuses a person who
// may not use the run's connection: the files hold profiles' data.
func (l *Local) of(ctx context.Context, run operate.Run) (*storage.Root, schemas.RunRef, schemas.RunInput, error) {
	in, err := l.reader().Input(ctx, run)
	if err == nil {
		err = l.mayUse(in.Export.Connection)
	}
	if err != nil {
		return nil, schemas.RunRef{}, in, err
	}
	root, err := l.Root(ctx)
	return root, schemas.RunRef{Connection: in.Export.Connection, Export: in.Export.Name, RunID: run.RunID}, in, err
}

func (l *Local) Report(ctx context.Context, run operate.Run) ([]byte, error) {
	root, ref, _, err := l.of(ctx, run)
	if err != nil {
		return nil, err
	}
	page, err := root.Read(ctx, dataroot.RunReport(ref.Connection, ref.Export, ref.RunID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, access.No(schemas.ErrorNotKept, "the run of %q has no report in the data root: the report is written at the end of a run and deleted after the retention time; see starter status %s",
			run.Export, run.RunID)
	}
	if err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	return page, nil
}

func (l *Local) Overview(ctx context.Context) (report.Overview, error) {
	root, err := l.Root(ctx)
	if err == nil && l.who.Role == schemas.RoleContributor {
		_, err = l.Known() // without it, no connection would be theirs
	}
	if err != nil {
		return report.Overview{}, err
	}
	return overview.Of(ctx, root, l.reader(), time.Now(), func(connection string) bool { return l.mayUse(connection) == nil })
}

func (l *Local) Examples(ctx context.Context, run operate.Run) (map[string]schemas.Examples, error) {
	root, ref, in, err := l.of(ctx, run)
	if err != nil {
		return nil, err
	}
	names, err := l.lists(ctx, run, in.Export)
	if err != nil {
		return nil, err
	}
	out := map[string]schemas.Examples{}
	for _, name := range names {
		ref.Segment = name
		key := path.Join(dataroot.ReportDir(ref), dataroot.ExamplesFile)
		data, err := root.Read(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var e schemas.Examples
		if err == nil {
			err = json.Unmarshal(data, &e)
		}
		if err != nil {
			return nil, fmt.Errorf("read the examples of segment %q: %w", name, err)
		}
		out[name] = e
	}
	if len(out) == 0 {
		return out, nil
	}
	return out, l.audit(ctx, schemas.AuditRead, schemas.AuditEntry{Connection: in.Export.Connection, Export: in.Export.Name, RunID: run.RunID, Details: "the examples of a check"})
}

// lists returns the names of the lists of a run, and of its divided segments. Those that a column names are only known after the
// run has divided its segment.
func (l *Local) lists(ctx context.Context, run operate.Run, e schemas.Export) (names []string, err error) {
	var v operate.View
	if slices.ContainsFunc(e.Segments, schemas.Segment.Divided) {
		if v, err = l.Look(ctx, run); err != nil {
			return nil, err
		}
	}
	for _, s := range e.Segments {
		if s.Divided() {
			names = append(names, s.Name)
		}
		names = append(names, s.Lists()...)
	}
	for _, s := range v.Segments {
		if s.Report.Of != "" && !slices.Contains(names, s.Run.Segment) {
			names = append(names, s.Run.Segment)
		}
	}
	return names, nil
}

func (l *Local) Rejects(ctx context.Context, run operate.Run, in RejectsRequest, yield func(Reject) error) error {
	root, ref, input, err := l.of(ctx, run)
	if err != nil {
		return err
	}
	if err := knownReason(in.Reason); err != nil {
		return err
	}
	v, err := l.Look(ctx, run)
	if err != nil {
		return err
	}
	names, err := l.lists(ctx, run, input.Export)
	if err != nil {
		return err
	}
	if in.Segment != "" && !slices.Contains(names, in.Segment) {
		return access.No(schemas.ErrorBadRequest, "the run has no segment %q%s", in.Segment, spelling.Guess(in.Segment, names))
	}
	if err := l.audit(ctx, schemas.AuditRead, schemas.AuditEntry{Connection: ref.Connection, Export: ref.Export, Segment: in.Segment, RunID: ref.RunID, Details: "the rejected rows"}); err != nil {
		return err
	}
	left := in.Limit
	for _, s := range v.Segments {
		if in.Segment != "" && s.Run.Segment != in.Segment {
			continue
		}
		ref.Segment = s.Run.Segment
		if err := rejectsOf(ctx, root, ref, s, in, &left, yield); err != nil {
			return err
		}
	}
	return nil
}

// knownReason refuses a reason that does not exist.
func knownReason(reason string) error {
	if reason == "" || slices.Contains(schemas.Reasons(), schemas.Reason(reason)) {
		return nil
	}
	var all []string
	for _, r := range schemas.Reasons() {
		all = append(all, string(r))
	}
	return access.No(schemas.ErrorBadRequest, "unknown --reason %q%s", reason, spelling.DidYouMean(reason, all))
}

// rejectsOf reads the rejects of one segment, if it has any.
func rejectsOf(ctx context.Context, root *storage.Root, run schemas.RunRef, s operate.SegmentView, in RejectsRequest, left *int, yield func(Reject) error) error {
	file, err := openRejects(ctx, root, run, s.Report.Manifest.Attempt)
	has := s.Report.Rejects != "" || s.Report.Manifest.Rejects != ""
	switch {
	case errors.Is(err, fs.ErrNotExist) && has:
		return access.No(schemas.ErrorNotKept, "the rejects of %q are no longer in the data root, where they are deleted after the retention time of connections.yaml; or this is not the data root of the workers: set that with --data-root or DATA_ROOT",
			run.Segment)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	if err == nil {
		defer file.Close()
		err = readRejects(file, run.Segment, schemas.Reason(in.Reason), left, in.Limit > 0, yield)
	}
	if err != nil {
		return fmt.Errorf("read the rejects of %q: %w", run.Segment, err)
	}
	return nil
}

// openRejects opens the rejects of one segment: those of the report or, while the run is
// under way, those that the attempt at staging has found. The error is fs.ErrNotExist if there
// are none.
func openRejects(ctx context.Context, root *storage.Root, run schemas.RunRef, attempt string) (file storage.File, err error) {
	dirs := []string{dataroot.ReportDir(run)}
	if attempt != "" {
		dirs = append(dirs, dataroot.StagedDir(run, attempt))
	}
	for _, dir := range dirs {
		if file, err = root.Open(ctx, path.Join(dir, dataroot.RejectsFile)); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return file, err
}

// readRejects reads the rejects of one segment; if limited, at most *left of them.
func readRejects(file storage.File, segment string, reason schemas.Reason, left *int, limited bool, yield func(Reject) error) error {
	r, err := rejects.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		row, ok := r.Next()
		if !ok || limited && *left == 0 {
			return r.Err()
		}
		if reason != "" && row.Reason != reason {
			continue
		}
		*left--
		out := Reject{Segment: segment, File: row.File, Row: row.Row, Column: row.Column, Reason: row.Reason, Message: row.Reason.Sentence()}
		if row.Value != nil {
			value := string(row.Value)
			out.Value = &value
		}
		if err := yield(out); err != nil {
			return err
		}
	}
}
