package generate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// Options say what to write.
type Options struct {
	// Rows is how many rows the segment has.
	Rows int64
	// Out is the folder to write to; it is made if it does not exist.
	Out string
	// Format is "parquet" (the default) or "arrow".
	Format string
	// Files is how many files the rows are spread over; default 1.
	Files int
	// Bad is the share of rows, from 0 to 1, whose address can't be mailed. As
	// many again repeat an earlier person, if Bad is above 0.
	Bad float64
	// Seed chooses the people; the same seed gives the same rows, in however many
	// files.
	Seed int64
	// Churn is the share of people, from 0 to 1, who have left since the segment
	// of the same seed without Churn, with others in their places.
	Churn float64
}

// Expected is what an export of the segment, alone in an email-based project, has
// to arrive at.
type Expected struct {
	// Rows is how many rows there are, Valid how many of them are to be sent.
	Rows, Valid int64
	// Rejected counts the rows that can't be sent, and Duplicates those that
	// repeat an earlier person.
	Rejected   map[schemas.Reason]int64
	Duplicates int64
	// Left and Joined count the people that Churn has exchanged.
	Left, Joined int64
	// Digest is the SHA-256 of the list, as the sandbox's statistics give it.
	Digest string
}

// groupRows is how many rows a record batch and a row group have.
const groupRows = 64 << 10

func (o *Options) check() error {
	if o.Format == "" {
		o.Format = "parquet"
	}
	if o.Files == 0 {
		o.Files = 1
	}
	switch {
	case o.Rows < 0:
		return fmt.Errorf("%d rows: it must be 0 or more", o.Rows)
	case o.Files < 1 || o.Files > 100_000:
		return fmt.Errorf("%d files: it must be 1 to 100,000", o.Files)
	case o.Bad < 0 || o.Bad > 1 || o.Churn < 0 || o.Churn > 1:
		return errors.New("a share must be from 0 to 1")
	case o.Format != "parquet" && o.Format != "arrow":
		return fmt.Errorf("format %q: use parquet or arrow", o.Format)
	}
	return nil
}

// Segment writes a segment, with memory for a row group and the addresses.
func Segment(ctx context.Context, o Options) (Expected, error) {
	if err := o.check(); err != nil {
		return Expected{}, err
	}
	if err := os.MkdirAll(o.Out, 0o700); err != nil {
		return Expected{}, fmt.Errorf("make the folder for the segment: %w", err)
	}
	p := newPopulation(o)
	rest := o.Rows
	for k := range o.Files {
		rows := rest / int64(o.Files-k)
		rest -= rows
		if err := writeFile(ctx, o, k, rows, p); err != nil {
			return Expected{}, err
		}
	}
	return p.finish(), nil
}

// writeFile writes the next rows of the population as one file.
func writeFile(ctx context.Context, o Options, k int, rows int64, p *population) (err error) {
	name := filepath.Join(o.Out, fmt.Sprintf("part-%05d.%s", k, o.Format))
	file, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make a file of the segment: %w", err)
	}
	defer func() {
		if e := file.Close(); err == nil && e != nil {
			err = fmt.Errorf("write %s: %w", name, e)
		}
	}()
	w, err := newWriter(o.Format, file)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	for rows > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n := min(rows, groupRows)
		rec := p.record(int(n))
		err := w.Write(rec)
		rec.Release()
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		rows -= n
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

type writer interface {
	Write(arrow.Record) error
	Close() error
}

func newWriter(format string, w io.WriteSeeker) (writer, error) {
	if format == "arrow" {
		return ipc.NewFileWriter(w, ipc.WithSchema(Schema), ipc.WithLZ4())
	}
	properties := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy),
		parquet.WithDictionaryFor("EmailAddress", false), parquet.WithDictionaryFor("CustomerId", false))
	return pqarrow.NewFileWriter(Schema, keepOpen{w}, properties, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
}

// keepOpen hides a Close method: Parquet's writer would close what it writes to.
type keepOpen struct{ io.Writer }

// dice are the source of chance for one purpose of one row: rows are the same
// whatever else is made up before them.
func dice(seed, row int64, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(seed)<<8|purpose, uint64(row)))
}
