package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

// lookEvery is how often, at the most, a ConnectionStore looks whether its file
// has changed.
const lookEvery = time.Second

// maxKeyFile is the most bytes that a key's file may have; Iterable's keys have
// 32.
const maxKeyFile = 64 << 10

// Status is how a ConnectionStore stands with its file.
type Status struct {
	// Path is the file.
	Path string
	// LoadedAt is when the version in force was read.
	LoadedAt time.Time
	// Err is what is wrong with the file as it is now, nil where it is the
	// version in force; Since is when that was noticed first.
	Err   error
	Since time.Time
}

// ConnectionStore holds the connections of a connections.yaml, and reads the
// file again when it changes. A new version that is broken is refused: the
// version before stays in force. It is safe for use by several goroutines.
type ConnectionStore struct {
	path, folder string
	log          *slog.Logger
	now          func() time.Time

	mu         sync.Mutex
	byName     map[string]schemas.Connection
	names      []string
	retention  schemas.Retention
	loadedAt   time.Time
	lookedAt   time.Time
	seen       stamp
	sum        [sha256.Size]byte
	err        error
	errSince   time.Time
	unreadable bool // err is about reading the file, not about its content
}

// stamp tells without reading it whether a file has probably changed.
type stamp struct {
	modified time.Time
	size     int64
}

// OpenConnections reads connections.yaml and watches it from then on. The error
// is that of LoadConnections.
func OpenConnections(path string, log *slog.Logger) (*ConnectionStore, error) {
	folder, err := folderOf(path)
	if err != nil {
		return nil, err
	}
	s := &ConnectionStore{path: path, folder: folder, log: log, now: time.Now}
	s.look()
	if s.err != nil {
		return nil, s.err
	}
	return s, nil
}

// Get gives a connection. The error about a name that there is not lists the
// nearest names there are.
func (s *ConnectionStore) Get(name string) (schemas.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	c, ok := s.byName[name]
	if !ok {
		return schemas.Connection{}, s.unknown(name)
	}
	return clone(c), nil
}

// Names lists the connections in the file's order.
func (s *ConnectionStore) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return append([]string(nil), s.names...)
}

// Retention is how long reports and rejects are kept.
func (s *ConnectionStore) Retention() schemas.Retention {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return s.retention
}

// Status tells whether the file's newest version is in force.
func (s *ConnectionStore) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return Status{Path: s.path, LoadedAt: s.loadedAt, Err: s.err, Since: s.errSince}
}

// Key reads the connection's API key, anew each time, so that a key can be
// replaced while the worker runs. The error names the variable or the file, and
// never what is in it.
func (s *ConnectionStore) Key(c schemas.Connection) (string, error) {
	var key, where string
	switch {
	case c.APIKey.Env != "":
		where = "the environment variable " + c.APIKey.Env
		value, ok := os.LookupEnv(c.APIKey.Env)
		if !ok {
			return "", fmt.Errorf("the API key of connection %q: %s of the worker is not set; set it and start the worker again", c.Name, where)
		}
		key = value
	case c.APIKey.File != "":
		path := resolve(s.folder, c.APIKey.File)
		where = "the file " + path
		data, err := readKeyFile(path)
		if err != nil {
			return "", fmt.Errorf("the API key of connection %q: %w", c.Name, err)
		}
		key = string(bytes.TrimPrefix(data, []byte("\uFEFF")))
	default:
		return "", fmt.Errorf("connection %q says nowhere where its API key is", c.Name)
	}
	switch key = strings.TrimSpace(key); {
	case key == "":
		return "", fmt.Errorf("the API key of connection %q: %s is empty", c.Name, where)
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("the API key of connection %q: %s holds more than a key; it must hold the key alone, on one line", c.Name, where)
	}
	return key, nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the file %s does not exist: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		return nil, fmt.Errorf("the file %s is too large to hold a key alone", path)
	}
	return data, err
}

func (s *ConnectionStore) unknown(name string) error {
	if len(s.names) == 0 {
		return fmt.Errorf("there is no connection %q: %s has none", name, filepath.Base(s.path))
	}
	if guess := spelling.Guess(name, s.names); guess != "" {
		return fmt.Errorf("there is no connection %q%s", name, guess)
	}
	return fmt.Errorf("there is no connection %q in %s", name, filepath.Base(s.path))
}

// look reads the file again where it has changed. The caller holds mu.
func (s *ConnectionStore) look() {
	now := s.now()
	if !s.lookedAt.IsZero() && now.Sub(s.lookedAt) < lookEvery && now.After(s.lookedAt) {
		return
	}
	s.lookedAt = now
	info, err := os.Stat(s.path)
	if err == nil {
		is := stamp{info.ModTime(), info.Size()}
		// A file written in the very moment of the last look may have changed
		// since within the clock's grain: its content decides.
		if is == s.seen && !s.unreadable && now.Sub(is.modified) > 2*lookEvery {
			return
		}
		s.seen = is
	}
	data, err := readFile(s.path)
	if err != nil {
		s.unreadable = true
		s.refuse(err, now)
		return
	}
	sum := sha256.Sum256(data)
	if sum == s.sum && !s.unreadable {
		return
	}
	s.sum, s.unreadable = sum, false
	connections, err := parseConnections(s.path, data)
	if err != nil {
		s.refuse(err, now)
		return
	}
	s.accept(connections, now)
}

func (s *ConnectionStore) refuse(err error, now time.Time) {
	if s.err != nil && s.err.Error() == err.Error() {
		return
	}
	if s.err == nil {
		s.errSince = now
	}
	s.err = err
	if s.byName != nil {
		s.log.Error("the connections file is broken; the version before stays in force", "file", s.path, "error", err)
	}
}

func (s *ConnectionStore) accept(connections *schemas.Connections, now time.Time) {
	first := s.byName == nil
	s.byName = make(map[string]schemas.Connection, len(connections.Connections))
	s.names = s.names[:0]
	s.retention = connections.Retention
	for _, c := range connections.Connections {
		s.byName[c.Name] = c
		s.names = append(s.names, c.Name)
	}
	s.loadedAt, s.err, s.errSince = now, nil, time.Time{}
	if !first {
		s.log.Info("the connections file was read again", "file", s.path, "connections", len(s.names))
	}
}

// clone keeps callers from changing what the store holds.
func clone(c schemas.Connection) schemas.Connection {
	c.Allowed = append([]string(nil), c.Allowed...)
	c.AllowedSources = append([]string(nil), c.AllowedSources...)
	if c.Consent != nil {
		consent := *c.Consent
		c.Consent = &consent
	}
	return c
}
