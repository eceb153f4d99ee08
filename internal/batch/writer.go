package batch

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow/ipc"

	"iterable-segment-export/schemas"
)

// ErrTooLarge means that the body of a single profile is larger than a request's may be: the
// row must be rejected with schemas.ReasonTooLarge.
var ErrTooLarge = errors.New("this profile alone is larger than one request may be")

// ErrNoIdentifier means that a profile has neither an address nor a user ID.
var ErrNoIdentifier = errors.New("a profile needs an address or a user ID to be sent")

// maxBodyBytes keeps the offsets of a batch's texts within 32 bits, with room.
const maxBodyBytes = 1 << 30

// writeBuffer is the size of the buffer for writes to the staged file, in bytes.
const writeBuffer = 16 << 10

// Limits bound a batch.
type Limits struct {
	// Profiles is the maximum number of profiles in a request.
	Profiles int
	// BodyBytes is the maximum size of a request's whole body.
	BodyBytes int
}

// Options are the purpose of the batches, which determines the size of their bodies.
type Options struct {
	// Unsubscribe makes it a file of removals, which have no data fields.
	Unsubscribe bool
	// Unnamed lets rows have no identifier, in a file of rows that are not sent.
	Unnamed bool
	// Body has the settings of subscribe bodies. Of it, an unsubscribe body has only the
	// ListID.
	Body BodyOptions
}

// Profile is one row to be sent. Email, UserID or both identify it; the other may be empty.
// DataFields is a JSON object as text, or empty.
type Profile struct {
	Email, UserID, DataFields []byte
	// File and Row are the origin of the row, as in schemas.StagedSchema.
	File int32
	Row  int64
	Key  [16]byte
	// Fields is FieldsHash of the profile.
	Fields uint64
}

// Writer divides profiles into batches and writes the staged file. It is not safe for
// concurrent use. It needs memory for one batch, and about 70 bytes for each written batch
// until Arrow's footer is written.
type Writer struct {
	limits  Limits
	measure measure
	unnamed bool // rows may have no identifier
	out     *counter
	file    *ipc.FileWriter
	cur     content
	nulls   [3]int
	size    int // of the current batch's body
	sums    []uint64
	batches int
	rows    int64
	bodies  int64
	err     error // the first failure to write; nothing works after it
	closed  bool
}

// NewWriter starts a staged file. The writer does not close w.
func NewWriter(w io.Writer, limits Limits, o Options) (*Writer, error) {
	if limits.Profiles < 1 {
		return nil, fmt.Errorf("a request must allow at least one profile, not %d", limits.Profiles)
	}
	if limits.BodyBytes > maxBodyBytes {
		return nil, fmt.Errorf("a request's body may be at most %d bytes, not %d", maxBodyBytes, limits.BodyBytes)
	}
	m := newMeasure(o)
	if limits.BodyBytes <= m.envelope {
		return nil, fmt.Errorf("a request's body of at most %d bytes has no room for a profile", limits.BodyBytes)
	}
	out := &counter{w: bufio.NewWriterSize(w, writeBuffer)}
	file, err := ipc.NewFileWriter(out, ipc.WithSchema(schemas.StagedSchema))
	if err != nil {
		return nil, fmt.Errorf("start the staged file: %w", err)
	}
	s := &Writer{limits: limits, measure: m, unnamed: o.Unnamed, out: out, file: file}
	s.reset()
	return s, nil
}

// Append adds a copy of a profile. After ErrTooLarge and ErrNoIdentifier the writer is
// unchanged; after any other error it is unusable.
func (w *Writer) Append(p Profile) error {
	if w.err != nil {
		return w.err
	}
	if w.closed {
		return errors.New("the staged file is closed already")
	}
	if len(p.Email) == 0 && len(p.UserID) == 0 && !w.unnamed {
		return ErrNoIdentifier
	}
	if !w.measure.dataFields {
		p.DataFields = nil
	}
	size := w.measure.profile(p)
	if w.measure.envelope+size > w.limits.BodyBytes {
		return ErrTooLarge
	}
	if w.cur.n == w.limits.Profiles || w.cur.n > 0 && w.size+len(",")+size > w.limits.BodyBytes {
		if w.err = w.flush(); w.err != nil {
			return w.err
		}
	}
	if w.cur.n == 0 {
		w.batches++
		w.size = w.measure.envelope
	} else {
		w.size += len(",")
	}
	w.size += size
	w.rows++
	w.add(p)
	return nil
}

// add appends a row to the current batch.
func (w *Writer) add(p Profile) {
	c := &w.cur
	i := c.n
	if i%8 == 0 {
		c.email.valid = append(c.email.valid, 0)
		c.userID.valid = append(c.userID.valid, 0)
		c.dataFields.valid = append(c.dataFields.valid, 0)
	}
	w.nulls[colEmail] += c.email.add(i, p.Email)
	w.nulls[colUserID] += c.userID.add(i, p.UserID)
	w.nulls[colDataFields] += c.dataFields.add(i, p.DataFields)
	c.file = append(c.file, p.File)
	c.row = append(c.row, p.Row)
	c.key = append(c.key, p.Key[:]...)
	c.fields = append(c.fields, p.Fields)
	c.n++
}

// add sets row i to s, and returns 1 if that is a null.
func (t *text) add(i int, s []byte) int {
	t.Data = append(t.Data, s...)
	t.Offsets = append(t.Offsets, int32(len(t.Data)))
	if len(s) == 0 {
		return 1
	}
	t.valid[i/8] |= 1 << (i % 8)
	return 0
}

// flush writes the current batch, if there is one.
func (w *Writer) flush() error {
	if w.cur.n == 0 {
		return nil
	}
	c := w.cur
	for i, t := range [...]*text{&c.email, &c.userID, &c.dataFields} {
		if w.nulls[i] == 0 {
			t.valid = nil
		}
	}
	rec := c.record()
	defer rec.Release()
	if err := w.file.Write(rec); err != nil {
		return fmt.Errorf("write batch %d of the staged file: %w", w.batches-1, err)
	}
	w.sums = append(w.sums, c.sum())
	w.bodies += int64(w.size)
	w.reset()
	return nil
}

// reset empties the current batch and keeps its memory.
func (w *Writer) reset() {
	c := &w.cur
	for _, t := range [...]*text{&c.email, &c.userID, &c.dataFields} {
		t.valid, t.Data = t.valid[:0], t.Data[:0]
		t.Offsets = append(t.Offsets[:0], 0)
	}
	c.file, c.row, c.key, c.fields = c.file[:0], c.row[:0], c.key[:0], c.fields[:0]
	c.n, w.size, w.nulls = 0, 0, [3]int{}
}

// Batches returns the number of batches so far.
func (w *Writer) Batches() int { return w.batches }

// Rows returns the number of appended profiles.
func (w *Writer) Rows() int64 { return w.rows }

// Bytes returns the size of the staged file so far. Before Close it excludes the current
// batch.
func (w *Writer) Bytes() int64 { return w.out.n }

// BodyBytes returns the sum of the sizes of the requests' bodies so far.
func (w *Writer) BodyBytes() int64 { return w.bodies + int64(w.size) }

// Close writes the last batch, the checksums and the footer. A second call does
// nothing.
func (w *Writer) Close() error {
	if w.closed || w.err != nil {
		w.closed = true
		return w.err
	}
	w.closed = true
	w.err = w.finish()
	return w.err
}

func (w *Writer) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	// The footer is held back, since the trailer before it contains its checksum.
	w.out.held = []byte{}
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("write the footer of the staged file: %w", err)
	}
	end, err := withTrailer(w.out.held, w.sums)
	if err != nil {
		return fmt.Errorf("write the checksums of the staged file: %w", err)
	}
	w.out.n += int64(len(end) - len(w.out.held))
	if _, err := w.out.w.Write(end); err != nil {
		return fmt.Errorf("write the end of the staged file: %w", err)
	}
	if err := w.out.w.Flush(); err != nil {
		return fmt.Errorf("write the staged file: %w", err)
	}
	return nil
}

// counter is the writer for Arrow, which needs its position.
type counter struct {
	w    *bufio.Writer
	n    int64
	held []byte // if not nil, gets all writes
}

func (c *counter) Write(p []byte) (int, error) {
	if c.held != nil {
		c.held = append(c.held, p...)
		c.n += int64(len(p))
		return len(p), nil
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Seek returns the position; Arrow's writer needs nothing else.
func (c *counter) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("a staged file is written from front to back")
	}
	return c.n, nil
}
