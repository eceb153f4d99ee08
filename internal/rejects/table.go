package rejects

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

const (
	// groupRows is the most rows of a row group.
	groupRows = 64 << 10
	// groupBytes is the most bytes of their texts.
	groupBytes = 16 << 20
	// pageBytes is the size of a page. The writer allocates its buffers again for each chunk of a
	// column, so smaller pages are cheaper.
	pageBytes = 64 << 10
)

// errClosed is the error for a row after Close.
var errClosed = errors.New("it is closed")

// table writes a Parquet file. Its columns are written by the writers of Parquet's chunks and not
// from Arrow's arrays. That takes half of the time, since texts that repeat are not looked up for
// each row (BenchmarkRows).
type table struct {
	name                  string // of the file, for errors
	schema                *arrow.Schema
	out                   *sink
	file                  *file.Writer // nil before the first row group
	columns               []column
	rows                  int64
	pending, pendingBytes int
	err                   error
}

func newTable(name string, out io.Writer, schema *arrow.Schema, columns ...column) table {
	return table{name: name, schema: schema, out: &sink{w: out}, columns: columns}
}

// added ends a row, which has so many bytes of text.
func (t *table) added(bytes int) error {
	t.rows++
	t.pending++
	t.pendingBytes += bytes
	if t.pending >= groupRows || t.pendingBytes >= groupBytes {
		t.err = t.flush()
	}
	return t.err
}

// Rows returns the number of rows added.
func (t *table) Rows() int64 { return t.rows }

// open starts the Parquet file before its first row group or its footer.
func (t *table) open() error {
	if t.file != nil {
		return nil
	}
	props := []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Snappy), parquet.WithStats(false), parquet.WithDataPageSize(pageBytes)}
	for i, c := range t.columns {
		_, repeats := c.(*texts)
		props = append(props, parquet.WithDictionaryFor(t.schema.Field(i).Name, repeats))
	}
	writer := parquet.NewWriterProperties(props...)
	schema, err := pqarrow.ToParquet(t.schema, writer, pqarrow.DefaultWriterProps())
	if err != nil {
		return err
	}
	t.file = file.NewParquetWriter(t.out, schema.Root(), file.WithWriterProps(writer))
	return nil
}

// flush writes the collected rows as a row group.
func (t *table) flush() (err error) {
	defer func() { err = t.failure(recover(), err) }()
	if err := t.open(); err != nil {
		return err
	}
	group := t.file.AppendRowGroup()
	for _, c := range t.columns {
		chunk, err := group.NextColumn()
		if err != nil {
			return err
		}
		if err := c.write(chunk); err != nil {
			return err
		}
	}
	t.pending, t.pendingBytes = 0, 0
	return group.Close()
}

// Close writes the remaining rows and the footer. A second call only returns an earlier error.
func (t *table) Close() error {
	if errors.Is(t.err, errClosed) {
		return nil
	}
	if t.err == nil && t.pending > 0 {
		t.err = t.flush()
	}
	if t.err == nil {
		t.err = t.end()
	}
	if t.err != nil {
		return t.err
	}
	t.err = fmt.Errorf("write %s: %w", t.name, errClosed)
	return nil
}

// end writes the footer.
func (t *table) end() (err error) {
	defer func() { err = t.failure(recover(), err) }()
	if err := t.open(); err != nil {
		return err
	}
	return t.file.Close()
}

// failure returns the error of writing the file. Parquet's writer ignores some errors of the
// output, and panics at others.
func (t *table) failure(panicked any, err error) error {
	if t.out.err != nil {
		err = t.out.err
	}
	if err == nil && panicked != nil {
		err = errors.New("the Parquet library failed")
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("write %s: %w", t.name, err)
}

// sink is the output of a file. It has no Close method, which Parquet's writer would call, and
// remembers its first error.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}
