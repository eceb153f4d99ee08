package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// spillFile is a temporary file being written.
type spillFile struct {
	w *bufio.Writer
	c io.Closer
}

func (s *fileSet) spill(name string, buffer int) (spillFile, error) {
	c, err := s.create(name)
	if err != nil {
		return spillFile{}, err
	}
	return spillFile{w: bufio.NewWriterSize(c, buffer), c: c}, nil
}

// close ends the writing; a second one does nothing.
func (f *spillFile) close() error {
	if f.c == nil {
		return nil
	}
	err := errors.Join(f.w.Flush(), f.c.Close())
	f.c, f.w = nil, nil
	return err
}

// maxText bounds one value in a temporary file, in bytes: far above what one
// request to Iterable holds.
const maxText = 64 << 20

// appendMember encodes a member: key, hash, and the two texts with their lengths.
func appendMember(b []byte, m *Member) []byte {
	b = append(b, m.Key[:]...)
	b = binary.LittleEndian.AppendUint64(b, m.Fields)
	b = binary.AppendUvarint(b, uint64(len(m.Email)))
	b = binary.AppendUvarint(b, uint64(len(m.UserID)))
	b = append(b, m.Email...)
	return append(b, m.UserID...)
}

// readMember decodes a member, whose texts lie in the buffer that it returns.
func readMember(r *bufio.Reader, m *Member, buf []byte) ([]byte, error) {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return buf, short(err)
	}
	m.Key, m.Fields = Key(head[:16]), binary.LittleEndian.Uint64(head[16:])
	email, err := readLength(r)
	if err != nil {
		return buf, err
	}
	userID, err := readLength(r)
	if err != nil {
		return buf, err
	}
	if buf, err = readText(r, buf[:0], email+userID); err != nil {
		return buf, err
	}
	m.Email, m.UserID = buf[:email:email], buf[email:]
	return buf, nil
}

// appendProfile encodes a profile. The data fields' length is one more than it
// is, so that 0 stands for none.
func appendProfile(b []byte, p *Profile) []byte {
	b = appendMember(b, &p.Member)
	b = binary.AppendUvarint(b, uint64(uint32(p.File)))
	b = binary.AppendUvarint(b, uint64(p.Row))
	if p.DataFields == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(p.DataFields))+1)
	return append(b, p.DataFields...)
}

func readProfile(r *bufio.Reader, p *Profile, buf []byte) ([]byte, error) {
	buf, err := readMember(r, &p.Member, buf)
	if err != nil {
		return buf, err
	}
	file, err := binary.ReadUvarint(r)
	if err != nil {
		return buf, short(err)
	}
	row, err := binary.ReadUvarint(r)
	if err != nil {
		return buf, short(err)
	}
	p.File, p.Row, p.DataFields = int32(uint32(file)), int64(row), nil
	n, err := readLength(r)
	if err != nil || n == 0 {
		return buf, err
	}
	texts := len(buf)
	if buf, err = readText(r, buf, n-1); err != nil {
		return buf, err
	}
	// The buffer may have moved.
	email := len(p.Email)
	p.Email, p.UserID, p.DataFields = buf[:email:email], buf[email:texts:texts], buf[texts:]
	return buf, nil
}

func readLength(r *bufio.Reader) (int, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, short(err)
	}
	if n > maxText {
		return 0, fmt.Errorf("a temporary file holds a value of %d bytes: it was changed", n)
	}
	return int(n), nil
}

// readText appends n bytes to the buffer.
func readText(r *bufio.Reader, buf []byte, n int) ([]byte, error) {
	at := len(buf)
	for cap(buf)-at < n {
		buf = append(buf[:cap(buf)], 0)
	}
	buf = buf[:at+n]
	_, err := io.ReadFull(r, buf[at:])
	return buf, short(err)
}

func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return err
}
