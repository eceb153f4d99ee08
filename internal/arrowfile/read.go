package arrowfile

import (
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// Open implements columnar.File.
func (f *File) Open(src *columnar.Source, paths [][]int, opts columnar.Options) (columnar.Batches, error) {
	opts = opts.WithDefaults()
	r := &reader{file: f, src: src, paths: paths, opts: opts, mem: columnar.NewBudget(), at: f.start, dicts: map[int64]*dictionary{}, used: make([][]int, len(f.tops))}
	for i, path := range paths {
		if path != nil {
			r.used[path[0]] = append(r.used[path[0]], i)
		}
	}
	r.wantDictionaries()
	if !f.stream {
		for _, b := range f.dicts {
			msg, blk, err := readMessage(src, b.offset)
			if err != nil {
				return nil, noEOF(err)
			}
			if err := r.dictionary(msg, blk); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// reader reads a file's or stream's record batches in turn.
type reader struct {
	file  *File
	src   *columnar.Source
	paths [][]int
	used  [][]int // by top-level column: the mapped columns that are in it
	opts  columnar.Options
	mem   *columnar.Budget
	at    int64 // of a stream's next message
	block int   // a file's next record batch
	dicts map[int64]*dictionary
	// codecs are decompressors that are not in use.
	codecs  codecs
	loaders []loader // of the open batch; nil for a column that the file lacks
	left    int64
	batch   int // rows that are loaded at a time
}

// Next implements columnar.Batches.
func (r *reader) Next() ([]arrow.Array, int, error) {
	for r.left == 0 {
		if err := r.openBatch(); err != nil {
			return nil, 0, err
		}
	}
	rows := int(min(r.left, int64(r.batch)))
	r.mem.Reset()
	out, err := columnar.Parallel(len(r.paths), r.opts.Parallel, func(i int) (arrow.Array, error) { return r.load(i, rows) })
	if err != nil {
		return nil, 0, err
	}
	r.left -= int64(rows)
	return out, rows, nil
}

// load gives the next rows of one mapped column.
func (r *reader) load(i, rows int) (arr arrow.Array, err error) {
	if r.loaders[i] == nil {
		return array.NewNull(rows), nil
	}
	defer func() {
		if err != nil {
			err = columnar.ColumnError(schemas.ErrorSegmentUnreadable, columnar.PathName(r.file.tops, r.paths[i]), "%w", err)
		}
	}()
	defer columnar.Guard(&err)
	data, err := r.loaders[i].load(rows)
	if err != nil {
		return nil, err
	}
	defer data.Release()
	return array.MakeFromData(data), nil
}

// nextRecord finds the next record batch, taking in the dictionaries on the way
// to it.
func (r *reader) nextRecord() (message, block, error) {
	if !r.file.stream {
		if r.block == len(r.file.blocks) {
			return message{}, block{}, io.EOF
		}
		r.block++
		msg, b, err := readMessage(r.src, r.file.blocks[r.block-1].offset)
		return msg, b, noEOF(err)
	}
	for {
		msg, b, err := readMessage(r.src, r.at)
		if err != nil {
			return msg, b, err
		}
		r.at += b.prefix + b.body
		if msg.kind != messageDictionary {
			return msg, b, nil
		}
		if err := r.dictionary(msg, b); err != nil {
			return msg, b, err
		}
	}
}

func (r *reader) openBatch() error {
	r.closeBatch()
	msg, b, err := r.nextRecord()
	if err != nil {
		return err
	}
	batch, err := msg.batch(messageRecord)
	if err != nil {
		return err
	}
	if err := columnar.CheckCount(batch.rows, r.src.Size()); err != nil {
		return err
	}
	l := r.layout(msg, batch, b)
	loaders := make([]loader, len(r.paths))
	for top, field := range r.file.stored {
		start := *l
		l.skip(field.Type)
		for _, i := range r.used[top] {
			cursor := start
			if loaders[i], err = cursor.path(field.Type, r.file.ids[top], r.paths[i][1:], batch.rows); err != nil {
				return columnar.ColumnError(schemas.ErrorSegmentUnreadable, columnar.PathName(r.file.tops, r.paths[i]), "%w", err)
			}
		}
	}
	r.loaders, r.left, r.batch = loaders, batch.rows, r.opts.BatchRows
	if batch.rows > 0 {
		perRow := b.body / batch.rows
		if batch.codec >= 0 {
			perRow *= 4 // about what compression saves
		}
		if perRow > 0 {
			r.batch = int(max(1, min(int64(r.batch), columnar.BatchBytes/perRow)))
		}
	}
	return nil
}

func (r *reader) closeBatch() {
	for _, l := range r.loaders {
		if l != nil {
			l.close()
		}
	}
	r.loaders = nil
}

// Close implements columnar.Batches.
func (r *reader) Close() {
	r.closeBatch()
	r.codecs.close()
	for _, d := range r.dicts {
		d.release()
	}
}
