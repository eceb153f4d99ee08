package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

// parquetType is the media type of Parquet files.
const parquetType = "application/vnd.apache.parquet"

func (l *Local) Record(ctx context.Context, run operate.Run, segment string, to io.Writer) error {
	root, ref, in, err := l.of(ctx, run)
	if err != nil {
		return err
	}
	names, err := l.lists(ctx, run, in.Export)
	if err != nil {
		return err
	}
	choices := slices.Clone(names)
	if in.Export.Record != schemas.RecordAll { // a divided segment has no record of its own
		choices = slices.DeleteFunc(choices, func(name string) bool {
			return slices.ContainsFunc(in.Export.Segments, func(s schemas.Segment) bool { return s.Divided() && s.Name == name })
		})
	}
	switch {
	case segment == "" && len(choices) == 1:
		ref.Segment = choices[0]
	case slices.Contains(names, segment):
		ref.Segment = segment
	}
	switch {
	case segment == "" && len(choices) == 0:
		return access.No(schemas.ErrorNotKept, "the run has no list, so there is no record of rows")
	case ref.Segment == "" && segment == "":
		return access.No(schemas.ErrorBadRequest, "the run has the rows of %d lists; name one with --segment: %s", len(choices), spelling.Either(choices))
	case ref.Segment == "":
		return access.No(schemas.ErrorBadRequest, "the run has no segment %q%s", segment, spelling.Guess(segment, names))
	}
	file, err := root.Open(ctx, path.Join(dataroot.ReportDir(ref), dataroot.RowsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return access.No(schemas.ErrorNotKept, "the data root has no record of the rows of %q: it is written at the end of a run, unless the export has record: none, and deleted with the rejects", ref.Segment)
	}
	if err == nil {
		defer file.Close()
		err = l.audit(ctx, schemas.AuditRead, schemas.AuditEntry{Connection: ref.Connection, Export: ref.Export, Segment: ref.Segment, RunID: ref.RunID, Details: "the record of rows"})
	}
	if err == nil {
		_, err = io.Copy(to, io.NewSectionReader(file, 0, file.Size()))
	}
	if err != nil {
		return fmt.Errorf("read the record of rows of %q: %w", ref.Segment, err)
	}
	return nil
}

// sendRecord streams a file. If an error follows the first bytes, the connection is cut, so that the
// caller does not take a part for the whole.
func sendRecord(l *Local, w http.ResponseWriter, r *http.Request) error {
	run, err := runOf(l, r)
	if err != nil {
		return err
	}
	out := &begun{ResponseWriter: w}
	if err = l.Record(r.Context(), run, r.URL.Query().Get("segment"), out); err != nil && out.any {
		panic(http.ErrAbortHandler)
	}
	return err
}

// begun writes a Parquet file as a response, and remembers whether it has begun.
type begun struct {
	http.ResponseWriter
	any bool
}

func (b *begun) Write(p []byte) (int, error) {
	if !b.any {
		b.any = true
		b.Header().Set("Content-Type", parquetType)
	}
	return b.ResponseWriter.Write(p)
}
