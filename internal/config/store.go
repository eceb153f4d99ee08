package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

// lookEvery is how often, at most, a ConnectionStore reads its file.
const lookEvery = time.Second

// maxKeyFile is the size limit of a key's file in bytes. Iterable's keys have 32.
const maxKeyFile = 64 << 10

// Status is the state of a ConnectionStore's file.
type Status struct {
	// Err says what is wrong with the file, nil if its newest version is in force.
	// Since is when that was noticed first.
	Err   error
	Since time.Time
}

// ConnectionStore has the connections of a connections.yaml, and reads the file again when
// it changes. A new version with errors is refused, and the previous one stays in force. It
// is safe for concurrent use.
type ConnectionStore struct {
	path, folder string
	log          *slog.Logger
	now          func() time.Time

	mu        sync.Mutex
	byName    map[string]schemas.Connection
	names     []string
	retention schemas.Retention
	lookedAt  time.Time
	data      []byte // as it was read last, nil if that failed
	status    Status
}

// OpenConnections reads connections.yaml, and watches it from then on. The error is a
// *FileError if the file could be read.
func OpenConnections(path string, log *slog.Logger) (*ConnectionStore, error) {
	folder, err := folderOf(path)
	if err != nil {
		return nil, err
	}
	s := &ConnectionStore{path: path, folder: folder, log: log, now: time.Now}
	if err := s.Status().Err; err != nil {
		return nil, err
	}
	return s, nil
}

// Get returns the connection called name. The error suggests similar names.
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

// Names returns the connections in the order of the file.
func (s *ConnectionStore) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return slices.Clone(s.names)
}

// Retention returns how long reports and rejects are kept.
func (s *ConnectionStore) Retention() schemas.Retention {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return s.retention
}

// Status reports whether the newest version of the file is in force.
func (s *ConnectionStore) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return s.status
}

// Key reads the connection's API key. It reads it each time, so that the key can be replaced
// while the worker runs. The error names the variable or the file, but not its content.
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
		data, err := readFile(path, maxKeyFile)
		if err == nil && len(data) > maxKeyFile {
			err = fmt.Errorf("%s is too large for a key", where)
		}
		if err != nil {
			return "", fmt.Errorf("the API key of connection %q: %w", c.Name, err)
		}
		key = string(bytes.TrimPrefix(data, []byte("\uFEFF")))
	default:
		return "", fmt.Errorf("connection %q has no apiKey", c.Name)
	}
	switch key = strings.TrimSpace(key); {
	case key == "":
		return "", fmt.Errorf("the API key of connection %q: %s is empty", c.Name, where)
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("the API key of connection %q: %s contains more than a key; it must contain only the key, on one line", c.Name, where)
	}
	return key, nil
}

func (s *ConnectionStore) unknown(name string) error {
	if len(s.names) == 0 {
		return fmt.Errorf("unknown connection %q: %s has none", name, filepath.Base(s.path))
	}
	if guess := spelling.Guess(name, s.names); guess != "" {
		return fmt.Errorf("unknown connection %q%s", name, guess)
	}
	return fmt.Errorf("unknown connection %q: it is not in %s", name, filepath.Base(s.path))
}

// look reads the file if lookEvery has passed. The caller holds mu.
func (s *ConnectionStore) look() {
	now := s.now()
	if !s.lookedAt.IsZero() && now.Sub(s.lookedAt) < lookEvery && now.After(s.lookedAt) {
		return
	}
	s.lookedAt = now
	data, err := readFile(s.path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; set CONNECTIONS_FILE to the workers' file", err)
	}
	if err != nil {
		s.data = nil
		s.refuse(err, now)
		return
	}
	if s.data != nil && bytes.Equal(data, s.data) {
		return
	}
	s.data = data
	connections, err := parseConnections(s.path, data)
	if err != nil {
		s.refuse(err, now)
		return
	}
	s.accept(connections)
}

func (s *ConnectionStore) refuse(err error, now time.Time) {
	if s.status.Err != nil && s.status.Err.Error() == err.Error() {
		return
	}
	if s.status.Err == nil {
		s.status.Since = now
	}
	s.status.Err = err
	if s.byName != nil {
		s.log.Error("connections file refused; the previous version stays in force", "file", s.path, "error", err)
	}
}

func (s *ConnectionStore) accept(connections *schemas.Connections) {
	first := s.byName == nil
	s.byName = make(map[string]schemas.Connection, len(connections.Connections))
	s.names = nil
	s.retention = connections.Retention
	for _, c := range connections.Connections {
		s.byName[c.Name] = c
		s.names = append(s.names, c.Name)
	}
	s.status = Status{}
	if !first {
		s.log.Info("connections file read again", "file", s.path, "connections", len(s.names))
	}
}

// clone returns a copy that does not share memory with what the store holds.
func clone(c schemas.Connection) schemas.Connection {
	c.Allowed = slices.Clone(c.Allowed)
	c.AllowedSources = slices.Clone(c.AllowedSources)
	c.Suppress = slices.Clone(c.Suppress)
	if c.Consent != nil {
		consent := *c.Consent
		c.Consent = &consent
	}
	return c
}
