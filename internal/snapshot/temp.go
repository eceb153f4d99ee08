package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// tempPrefix begins the names of temporary files.
const tempPrefix = "iterable-segment-export-"

// createTemp creates a file for personal data in a folder. Where the system allows it, the
// file has no name, so that a worker that dies leaves nothing.
func createTemp(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	_ = os.Remove(f.Name()) // closeTemp tries again
	return f, nil
}

func closeTemp(f *os.File) error {
	err := f.Close()
	_ = os.Remove(f.Name())
	return err
}

// maxText bounds one value in a temporary file, in bytes: far more than fits into one
// request to Iterable.
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

// readMember decodes a member. Its texts are in the buffer that it returns.
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
	n := email + userID
	if cap(buf) < n {
		buf = make([]byte, 2*n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		return buf, short(err)
	}
	m.Email, m.UserID = buf[:email:email], buf[email:]
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

var errShort = errors.New("a temporary file is shorter than what was written to it")

func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return err
}
