package sandbox

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// A journal keeps what changes a sandbox in a file, so that it can be killed and
// started again as it was: the bodies of requests and what is done behind the
// API's back, in the order in which they took effect. Each record is written by
// one system call, which a killed process can't take back; a machine that loses
// its power can lose the last ones. Faults, revoked keys, load and statistics are
// not kept.
type journal struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first failure to write; nothing is written after it
}

const (
	journalFile = "sandbox.journal"
	// recordHead is the length of a record's payload and its CRC-32C.
	recordHead = 8
	// maxRecord bounds what is read as one record.
	maxRecord = 1 << 30
	// compactFactor is how many times what was written anew a journal may grow
	// to before it is written anew again.
	compactFactor = 3
)

// compactAt is the size, in bytes, up to which a journal is left as it is.
var compactAt int64 = 64 << 20

// Kinds of records.
const (
	recordSubscribe   = 'S' // the body of a request
	recordUnsubscribe = 'U' // likewise
	recordList        = 'L' // a listRecord
	recordDelete      = 'D' // a listRecord with the id
	recordMark        = 'M' // a PeopleMark
	recordPeople      = 'P' // profiles, as putPerson writes them
	recordMembers     = 'B' // a list's id and a page of its members
	recordFields      = 'F' // map[string]valueKind
	recordData        = 'V' // map[uint32]map[string]any
	recordCompacted   = 'C' // ends the records of a journal written anew
)

// listRecord is a list in the journal.
type listRecord struct {
	ID          int64  `json:"id"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	Type        string `json:"type,omitempty"`
	Created     int64  `json:"created,omitempty"` // Unix milliseconds
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// write appends a record. It does nothing on a nil journal.
func (j *journal) write(kind byte, project string, body []byte) {
	if j == nil {
		return
	}
	record := make([]byte, recordHead, recordHead+2+len(project)+len(body))
	record = append(record, kind, byte(len(project)))
	record = append(append(record, project...), body...)
	payload := record[recordHead:]
	binary.LittleEndian.PutUint32(record, uint32(len(payload)))
	binary.LittleEndian.PutUint32(record[4:], crc32.Checksum(payload, castagnoli))
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		_, j.err = j.file.Write(record)
	}
}

func (j *journal) writeJSON(kind byte, project string, v any) {
	if j == nil {
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		panic("sandbox: a record that is no JSON: " + err.Error())
	}
	j.write(kind, project, body)
}

// failure tells the first failure to write.
func (j *journal) failure() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
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
	name := filepath.Join(c.DataDir, journalFile)
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox's journal: %w", err)
	}
	end, compacted, err := s.replay(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read the sandbox's journal %s: %w", name, err)
	}
	if end > compactAt && end > compactFactor*compacted {
		fresh, err := s.compact(name)
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("write the sandbox's journal anew: %w", err)
		}
		file = fresh
	} else if err := cut(file, end); err != nil {
		file.Close()
		return nil, fmt.Errorf("cut the sandbox's journal: %w", err)
	}
	s.journal = &journal{file: file}
	return s, nil
}

// cut drops what follows the last whole record, and stands at the file's end.
func cut(file *os.File, end int64) error {
	if err := file.Truncate(end); err != nil {
		return err
	}
	_, err := file.Seek(end, io.SeekStart)
	return err
}

// Close ends the writing to DataDir, and tells the first failure of it.
func (s *Server) Close() error {
	if s.journal == nil {
		return nil
	}
	return errors.Join(s.journal.failure(), s.journal.file.Close())
}

// replay does what the journal's records say. It gives where the last whole
// record ends, and where the records end that a compaction wrote.
func (s *Server) replay(file *os.File) (end, compacted int64, err error) {
	in := bufio.NewReaderSize(file, 1<<20)
	var head [recordHead]byte
	var payload []byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return end, compacted, unlessTorn(err)
		}
		n := binary.LittleEndian.Uint32(head[:])
		if n < 2 || n > maxRecord {
			return end, compacted, nil
		}
		if int(n) > cap(payload) {
			payload = make([]byte, n)
		}
		payload = payload[:n]
		if _, err := io.ReadFull(in, payload); err != nil {
			return end, compacted, unlessTorn(err)
		}
		if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return end, compacted, nil
		}
		end += recordHead + int64(n)
		kind, named := payload[0], 2+int(payload[1])
		if named > len(payload) {
			return end, compacted, errors.New("a record is damaged")
		}
		if kind == recordCompacted {
			compacted = end
			continue
		}
		if err := s.redo(kind, string(payload[2:named]), payload[named:]); err != nil {
			return end, compacted, err
		}
	}
}

// unlessTorn is nil for the end of the file, also in the middle of a record: that
// is what a kill leaves.
func unlessTorn(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// redo does what one record says.
func (s *Server) redo(kind byte, name string, body []byte) error {
	p := s.projects[name]
	if p == nil {
		return nil // of a project that the configuration doesn't have any more
	}
	into := func(v any) error {
		if err := json.Unmarshal(body, v); err != nil {
			return fmt.Errorf("a record of kind %q is damaged: %w", kind, err)
		}
		return nil
	}
	var l listRecord
	var m PeopleMark
	switch kind {
	case recordSubscribe, recordUnsubscribe:
		s.update(p, body, kind == recordSubscribe)
	case recordList:
		if err := into(&l); err != nil {
			return err
		}
		s.lastList = max(s.lastList, l.ID)
		p.putList(l)
	case recordDelete:
		if err := into(&l); err != nil {
			return err
		}
		delete(p.lists, l.ID)
	case recordMark:
		if err := into(&m); err != nil {
			return err
		}
		p.mark(m)
	case recordPeople:
		return p.takePeople(body)
	case recordMembers:
		return p.takeMembers(body)
	case recordFields:
		return into(&p.fields)
	case recordData:
		data := map[uint32]map[string]any{}
		if err := into(&data); err != nil || p.data == nil {
			return err
		}
		for id, fields := range data {
			p.data[id] = fields
		}
	default:
		return fmt.Errorf("there is no record of kind %q; it is of a later version", kind)
	}
	return nil
}
