package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// readFile reads at most limit+1 bytes of a file.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingFile(path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// missingFile is the error for a file that does not exist.
type missingFile string

func (m missingFile) Error() string { return string(m) + " does not exist" }

func (missingFile) Is(target error) bool { return target == fs.ErrNotExist }
