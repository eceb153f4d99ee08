package generate

import (
	"context"
	"io"
	"os"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"golang.org/x/sync/errgroup"
)

// batchRows is the number of rows in a row group or record batch: some 10 MB.
const batchRows = 65_536

// recordWriter is the interface of both formats' writers.
type recordWriter interface {
	Write(arrow.Record) error
	Close() error
}

// writeFile writes the file with that number. It first uses a hidden name, which readers of
// segments leave out.
func (o Options) writeFile(ctx context.Context, p *plan, n int) (err error) {
	f, err := os.CreateTemp(o.Out, ".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	files := uint64(o.Files)
	if err := o.writeRows(ctx, f, p, muldiv(uint64(n), p.rows, files), muldiv(uint64(n)+1, p.rows, files)); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), o.file(n))
}

// writeRows writes the rows from one number up to another. It builds the next record while one
// is written.
func (o Options) writeRows(ctx context.Context, f io.WriteSeeker, p *plan, from, end uint64) error {
	w, err := o.newWriter(f)
	if err != nil {
		return err
	}
	records := make(chan arrow.Record)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(records)
		b := newBuilder(p)
		defer b.record.Release()
		for at := from; at < end; at += batchRows {
			rec := b.build(at, min(end, at+batchRows))
			select {
			case records <- rec:
			case <-ctx.Done():
				rec.Release()
				return ctx.Err()
			}
		}
		return nil
	})
	group.Go(func() error {
		for rec := range records {
			err := w.Write(rec)
			rec.Release()
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return w.Close()
}

// newWriter returns the format's writer. Closing it does not close f.
func (o Options) newWriter(f io.WriteSeeker) (recordWriter, error) {
	if o.Format == Arrow {
		return ipc.NewFileWriter(f, ipc.WithSchema(Schema), ipc.WithLZ4())
	}
	// Arrow v15 needs quadratic time in a page's rows for columns with some nulls: small pages
	// make this three times as fast. A dictionary does not help if all values differ.
	properties := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy),
		parquet.WithMaxRowGroupLength(batchRows), parquet.WithDataPageSize(32<<10),
		parquet.WithDictionaryFor("CustomerId", false), parquet.WithDictionaryFor("EmailAddress", false),
		parquet.WithDictionaryFor("CreatedAt", false), parquet.WithDictionaryFor("LifetimeValue", false))
	// Without the struct, Parquet's writer would close f.
	return pqarrow.NewFileWriter(Schema, struct{ io.Writer }{f}, properties, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
}
