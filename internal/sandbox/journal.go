package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"
)

// The journal is a file of the requests that changed a sandbox, one line of JSON each. With it,
// a killed sandbox starts again in the same state. It only grows; delete the folder to start
// with an empty project.
const journalFile = "sandbox.jsonl"

// record is a line of the journal: a request, or the ID before the first list's.
type record struct {
	Time   time.Time       `json:"time"`
	Method string          `json:"method,omitempty"`
	URL    string          `json:"url,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	First  int64           `json:"firstListId,omitempty"`
}

// keep writes a record. Server.mu is held.
func (s *Server) keep(r record) {
	if s.journal != nil && s.unwritten == nil {
		s.unwritten = json.NewEncoder(s.journal).Encode(r)
	}
}

// Open returns a server that continues where the last one with the same Config.DataDir stopped.
// Without a DataDir it is New. Only one server at a time can use a folder.
func Open(c Config) (*Server, error) {
	s := New(c)
	if c.DataDir == "" {
		return s, nil
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the sandbox's folder: %w", err)
	}
	name := filepath.Join(c.DataDir, journalFile)
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox's journal: %w", err)
	}
	end, err := s.replay(file)
	if err == nil {
		err = file.Truncate(end) // the last line can be incomplete after a kill
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read the sandbox's journal %s: %w", name, err)
	}
	if s.journal = file; end == 0 {
		s.keep(record{Time: s.now(), First: s.lastList})
	}
	return s, nil
}

// Close closes the journal, and returns the first error of writing it.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	return errors.Join(s.unwritten, s.journal.Close())
}

// replay repeats the journal's requests at their times, without delays, limits and faults. It
// returns the end of the last complete line.
func (s *Server) replay(file *os.File) (end int64, err error) {
	defer func(now func() time.Time, c Config) {
		s.now, s.config, s.replaying = now, c, false
		s.requests, s.endpoints = nil, map[string]*EndpointStats{}
	}(s.now, s.config)
	s.replaying = true
	s.config.NewList, s.config.Exactly, s.config.Latency, s.config.PerProfile, s.config.Record = 0, true, 0, 0, nil
	for in := bufio.NewReader(file); ; {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return end, nil
		}
		var r record
		if err == nil {
			err = json.Unmarshal(line, &r)
		}
		if err != nil {
			return end, err
		}
		if end += int64(len(line)); r.Method == "" {
			s.lastList = r.First
			continue
		}
		s.now = func() time.Time { return r.Time }
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(r.Method, r.URL, bytes.NewReader(r.Body)))
	}
}
