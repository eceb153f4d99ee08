package columnar

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Error is the error of reading a segment. Its text contains no values of rows.
type Error struct {
	// Type is the class of the failure; empty if a retry may succeed (a disk or network
	// error, a cancelled run).
	Type schemas.ErrorType
	// File is the Object.Name of the file at fault; empty if it is not a single file.
	File string
	// Column is the column at fault; empty if it is not a column.
	Column string
	// Err is what is wrong and what to do.
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "file %s: ", e.File)
	}
	if e.Column != "" {
		fmt.Fprintf(&b, "column %q: ", Shortened(e.Column, 200))
	}
	b.WriteString(Shortened(e.Err.Error(), 6000))
	switch {
	case errors.As(e.Err, new(TooMuchMemory)):
		b.WriteString("; the file is damaged, or has values of that size: write it again with smaller values or smaller row groups")
	case errors.As(e.Err, new(undecodable)):
		b.WriteString("; it is damaged, or uses a feature that this program can't read: write it again, as plain Parquet with snappy or zstd if it is not damaged")
	}
	return b.String()
}

// Shortened returns at most most bytes of a text from a file, such as a name or the type
// of a struct.
func Shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func (e *Error) Unwrap() error { return e.Err }

// ColumnError returns the error of a column, by its name in the file.
func ColumnError(kind schemas.ErrorType, column, format string, args ...any) *Error {
	return &Error{Type: kind, Column: column, Err: fmt.Errorf(format, args...)}
}

// AsError returns err as an *Error of a file. It sets the file of an *Error that has none.
func AsError(file string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		if e.File == "" {
			e.File = file
		}
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{File: file, Err: err}
	case errors.Is(err, storage.ErrChanged):
		return &Error{Type: schemas.ErrorSegmentChanged, Err: fmt.Errorf("%w"+schemas.RetryWhenComplete, err)}
	case errors.Is(err, storage.ErrUnavailable):
		return &Error{File: file, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Type: schemas.ErrorSegmentUnreadable, File: file, Err: fmt.Errorf("the worker may not read it: %w", err)}
	}
	return &Error{Type: schemas.ErrorSegmentUnreadable, File: file, Err: err}
}

// undecodable is the error of a panic. Texts of panics of Arrow and Go contain sizes and
// types, not values.
type undecodable struct{ panicked any }

func (u undecodable) Error() string { return fmt.Sprintf("it can't be decoded: %v", u.panicked) }

// Guard turns a panic of the function that defers it into an error, so that no input can
// crash the worker.
func Guard(err *error) {
	switch p := recover().(type) {
	case nil:
	case *Error:
		*err = p
	case TooMuchMemory:
		*err = p
	default:
		*err = undecodable{p}
	}
}

// Source reads a file and remembers whether a read failed, to tell a failed disk from a
// damaged file.
type Source struct {
	storage.File
	ctx    context.Context
	failed atomic.Pointer[error] // the first

	bytes, reads atomic.Int64
}

// NewSource returns a source that reads f until ctx is done.
func NewSource(ctx context.Context, f storage.File) *Source {
	return &Source{File: f, ctx: ctx}
}

func (s *Source) ReadAt(p []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.failed.CompareAndSwap(nil, &err)
		return 0, err
	}
	n, err := s.File.ReadAt(p, off)
	s.bytes.Add(int64(n))
	s.reads.Add(1)
	if err != nil && err != io.EOF {
		s.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Failed returns the error of the first failed read, even if a decoder replaced it.
func (s *Source) Failed() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Traffic returns the bytes and reads of the file; of a remote one, those over the
// network.
func (s *Source) Traffic() storage.Traffic {
	if far, ok := s.File.(storage.Metered); ok {
		return far.Traffic()
	}
	return storage.Traffic{Bytes: s.bytes.Load(), Requests: s.reads.Load()}
}

// ReadFull reads exactly len(p) bytes at off.
func (s *Source) ReadFull(p []byte, off int64) error {
	n, err := s.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return fmt.Errorf("the file ends too early: %d bytes are missing", len(p)-n)
	}
	return err
}

// Footer returns a file's footer and its offset. The footer is followed by its length and
// by the magic bytes with which a file of that kind also begins.
func (s *Source) Footer(kind, magic string) (data []byte, body int64, err error) {
	tail := make([]byte, 4+len(magic))
	size, start := s.Size(), int64(len(magic))
	if size >= start+int64(len(tail)) {
		if err := s.ReadFull(tail, size-int64(len(tail))); err != nil {
			return nil, 0, err
		}
	}
	if string(tail[4:]) != magic {
		return nil, 0, fmt.Errorf("the file begins as %s and does not end as %[1]s: it is cut off, or still being written; wait until it is complete, or write it again", kind)
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	body = size - int64(len(tail)) - length
	switch {
	case length < 8 || body < start:
		return nil, 0, fmt.Errorf("the file is damaged: its footer claims %d bytes, and the file has %d; write it again", length, size)
	case length > MaxFooter:
		return nil, 0, fmt.Errorf("its footer has %d MB, more than this program reads; write the file with fewer row groups or columns", length>>20)
	}
	data = make([]byte, length)
	return data, body, s.ReadFull(data, body)
}

// Explain returns the cause of an error in reading a file: the first failed read, a
// change of the file, or otherwise err.
func (s *Source) Explain(o storage.Object, err error) error {
	if err == nil {
		return nil
	}
	if io := s.Failed(); io != nil {
		if ctx := s.ctx.Err(); ctx != nil {
			return &Error{File: o.Name, Err: ctx}
		}
		var known *Error // not of reading, but of the content
		if errors.Is(io, storage.ErrChanged) || errors.Is(io, fs.ErrPermission) || errors.As(io, &known) {
			return AsError(o.Name, io)
		}
		return &Error{File: o.Name, Err: fmt.Errorf("read: %w", io)}
	}
	if changed := storage.CheckUnchanged(s.ctx, o); errors.Is(changed, storage.ErrChanged) {
		return AsError(o.Name, changed)
	}
	return AsError(o.Name, err)
}
