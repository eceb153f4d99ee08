package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"
)

// A journal keeps the requests that change a sandbox in a file, a line of JSON
// each, so that a sandbox that was killed can be started again as it was. It only
// grows: delete the folder to begin again. Faults and load are not kept.
type journal struct {
	file *os.File
	err  error // the first failure to write; nothing is written after it
}

const journalFile = "sandbox.jsonl"

// record is a line of the journal: a request, or the ID of the first list.
type record struct {
	Time   time.Time       `json:"time"`
	Method string          `json:"method,omitempty"`
	URL    string          `json:"url,omitempty"`
	Key    string          `json:"key,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	First  int64           `json:"firstListId,omitempty"`
}

func (j *journal) write(r record) {
	if j == nil || j.err != nil {
		return
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	j.err = err
}

// keep writes a request that changed the sandbox. s.mu is held.
func (s *Server) keep(r *http.Request, body []byte) {
	if r.Method != http.MethodGet {
		s.journal.write(record{Time: s.now(), Method: r.Method, URL: r.URL.String(), Key: r.Header.Get("Api-Key"), Body: body})
	}
}

// Open makes a server that goes on where the last one with the same
// Config.DataDir stopped; without a DataDir it is New. One folder is for one
// server at a time.
func Open(c Config) (*Server, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := New(c)
	if c.DataDir == "" {
		return s, nil
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the sandbox's folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(c.DataDir, journalFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox's journal: %w", err)
	}
	end, err := s.replay(file)
	if err == nil {
		err = file.Truncate(end) // a kill can have cut off the last line
	}
	if err == nil {
		_, err = file.Seek(end, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read the sandbox's journal %s: %w", file.Name(), err)
	}
	s.journal = &journal{file: file}
	if end == 0 {
		s.journal.write(record{Time: s.now(), First: s.lastList})
	}
	return s, nil
}

// Close ends the writing to DataDir, and returns the first failure of it.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	return errors.Join(s.journal.err, s.journal.file.Close())
}

// replay makes the journal's requests again, at their time and without limits or
// faults, and returns where the last whole line ends.
func (s *Server) replay(file *os.File) (end int64, err error) {
	now, config := s.now, s.config
	defer func() {
		s.now, s.config, s.replaying = now, config, false
		s.log = requestLog{endpoints: map[string]*EndpointStats{}, started: s.now()}
	}()
	s.config.NewList, s.config.Lag, s.config.Latency, s.config.PerProfile, s.config.Record = 0, 0, 0, 0, nil
	s.replaying = true
	for in := bufio.NewReaderSize(file, 1<<20); ; {
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
		end += int64(len(line))
		if r.First > 0 {
			s.lastList = r.First
		}
		if r.Method == "" {
			continue
		}
		s.now = func() time.Time { return r.Time }
		request := httptest.NewRequest(r.Method, r.URL, bytes.NewReader(r.Body))
		request.Header.Set("Api-Key", r.Key)
		s.ServeHTTP(httptest.NewRecorder(), request)
	}
}
