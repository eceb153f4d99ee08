package staging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/parts"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Source is the rows to stage.
type Source struct {
	*segment.Segment
	losers rowSet // that dedupe does not keep, as far as it has decided already
	kept   bool   // if members that no row is about stay, whatever the export's mode is
	linked string // the key of the linkedFile beside the divided rows, "" if there is none
}

// Part returns the rows of a list of a divided segment.
func Part(ctx context.Context, l *ledger.Ledger, in schemas.StageInput) (out Source, err error) {
	if !dataroot.IsAttempt(in.Divided) {
		return out, step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("list %q: invalid name of the attempt that divided segment %q", in.Segment.Name, in.Segment.Of))
	}
	of := in.Run
	of.Segment = in.Segment.Of
	dir := dataroot.StagedDir(of, in.Divided)
	var index parts.Index
	found, err := l.Root.ReadJSON(ctx, path.Join(dir, partsList), &index)
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	if err != nil {
		return out, partFailure(in, err)
	}
	open := func(ctx context.Context) (storage.File, error) { return l.Root.Open(ctx, path.Join(dir, partsFile)) }
	var ok bool
	out.Segment, ok, err = index.Segment(in.Segment.Name, in.Info, open)
	if err == nil && !ok {
		err = fs.ErrNotExist
	}
	if err != nil {
		return out, partFailure(in, err)
	}
	out.kept = index.Parts[in.Segment.Name].Kept
	if index.Linked {
		out.linked = path.Join(dir, linkedFile)
	}
	if index.Losers == nil {
		return out, nil
	}
	out.losers = rowSet{}
	for file, data := range index.Losers {
		out.losers[file] = roaring64.New()
		if _, err := out.losers[file].ReadFrom(bytes.NewReader(data)); err != nil {
			return out, partFailure(in, fmt.Errorf("%w: %w", parts.ErrDamaged, err))
		}
	}
	return out, nil
}

// partFailure returns the error of rows that can't be read. If those of a part are lost, only a new
// run helps.
func partFailure(in schemas.StageInput, err error) error {
	if in.Segment.Of != "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, parts.ErrDamaged) || errors.Is(err, storage.ErrDamaged)) {
		return step.NeedOperator(schemas.ErrorStaging, fmt.Sprintf("the rows of list %q, which the run has read as a part of segment %q, are lost (%v); abort, and run the export again",
			in.Segment.Name, in.Segment.Of, err))
	}
	return err
}
