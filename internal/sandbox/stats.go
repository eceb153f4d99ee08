package sandbox

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"
)

// Stats is the answer of GET /sandbox/stats.
type Stats struct {
	Started time.Time `json:"started"`
	// Requests are those of the API, of all endpoints together.
	Requests  int64                    `json:"requests"`
	Endpoints map[string]EndpointStats `json:"endpoints"`
	Projects  []ProjectStats           `json:"projects"`
}

// ProjectStats says what a project holds.
type ProjectStats struct {
	Name     string      `json:"name"`
	Type     ProjectType `json:"type"`
	Profiles int64       `json:"profiles"`
	Fields   int         `json:"fields"`
	Lists    []ListStats `json:"lists"`
}

// ListStats says what a list holds. The package's documentation defines the
// digests; they are empty where they were not asked for.
type ListStats struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
	Size int    `json:"size"`
	// Digest is of the members alone, FieldsDigest of them and their fields.
	Digest       string `json:"digest,omitempty"`
	FieldsDigest string `json:"fieldsDigest,omitempty"`
}

// Stats says what has happened and what there is, projects in order of name and
// lists of id. With digests, a list that changed since the last time costs a
// sort of its members: some seconds for ten million, in which its project's
// requests wait.
func (s *Server) Stats(digests bool) Stats {
	st := Stats{Endpoints: map[string]EndpointStats{}, Projects: []ProjectStats{}}
	s.log.mu.Lock()
	st.Started, st.Requests = s.log.started, s.log.count
	for name, e := range s.log.endpoints {
		c := *e
		c.Statuses = maps.Clone(e.Statuses)
		st.Endpoints[string(name)] = c
	}
	s.log.mu.Unlock()
	s.mu.RLock()
	projects := slices.SortedFunc(maps.Values(s.projects), func(a, b *project) int { return cmp.Compare(a.name, b.name) })
	s.mu.RUnlock()
	for _, p := range projects {
		st.Projects = append(st.Projects, p.stats(digests))
	}
	return st
}

func (p *project) stats(digests bool) ProjectStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := ProjectStats{Name: p.name, Type: p.kind, Profiles: int64(p.people.count), Fields: len(p.fields), Lists: []ListStats{}}
	for _, l := range p.sortedLists() {
		ls := ListStats{ID: l.id, Name: l.name, Type: l.listType, Size: l.members.count}
		if digests {
			d := p.digestOf(l)
			ls.Digest, ls.FieldsDigest = d.members, d.fields
		}
		st.Lists = append(st.Lists, ls)
	}
	return st
}

// digest is a list's two digests as of a version of the project.
type digest struct {
	version         uint64
	members, fields string
}

// sortKey is a member with sixteen bytes of its line.
type sortKey struct {
	high, low uint64
	id        uint32
}

func (k sortKey) compare(other sortKey) int {
	if k.high != other.high {
		return cmp.Compare(k.high, other.high)
	}
	return cmp.Compare(k.low, other.low)
}

// digestOf makes a list's digests, or gives those of the last time if nothing
// in the project has changed since. The caller locks.
func (p *project) digestOf(l *list) digest {
	if l.digest.version == p.version && l.digest.members != "" {
		return l.digest
	}
	plain, fielded := newLines(), newLines()
	var line []byte
	for _, k := range p.sorted(l) {
		line = p.appendLine(line[:0], k.id)
		plain.add(line)
		_, m := p.people.at(k.id)
		line = append(line, '\t')
		line = hex.AppendEncode(line, binary.BigEndian.AppendUint64(nil, m.fields))
		fielded.add(line)
	}
	l.digest = digest{p.version, plain.sum(), fielded.sum()}
	return l.digest
}

// sorted gives a list's members in order of their lines.
func (p *project) sorted(l *list) []sortKey {
	keys := make([]sortKey, 0, l.members.count)
	l.members.all(func(id uint32) bool {
		keys = append(keys, sortKey{id: id})
		return true
	})
	p.sort(keys, 0)
	return keys
}

// sort orders members by their lines, which are the same up to depth. It skips
// what else they all begin with, sorts by the next sixteen bytes, and does the
// same with each run of equals: whole lines lie all over the memory, and
// comparing those is what the time of a digest would go to.
func (p *project) sort(keys []sortKey, depth int) {
	var a, b []byte
	if len(keys) <= 8 || depth > 2*maxIdentifier {
		slices.SortFunc(keys, func(x, y sortKey) int {
			a, b = p.appendLine(a[:0], x.id), p.appendLine(b[:0], y.id)
			return bytes.Compare(a, b)
		})
		return
	}
	a = p.appendLine(nil, keys[0].id)
	same := len(a)
	for i := 1; i < len(keys) && same > depth; i++ {
		b = p.appendLine(b[:0], keys[i].id)
		same = min(same, len(b))
		for same > depth && !bytes.Equal(a[depth:same], b[depth:same]) {
			same--
		}
	}
	depth = max(depth, same)
	for i := range keys {
		a = p.appendLine(a[:0], keys[i].id)
		var chunk [16]byte
		copy(chunk[:], a[min(depth, len(a)):])
		keys[i].high = binary.BigEndian.Uint64(chunk[:8])
		keys[i].low = binary.BigEndian.Uint64(chunk[8:])
	}
	slices.SortFunc(keys, sortKey.compare)
	for from := 0; from < len(keys); {
		to := from + 1
		for to < len(keys) && keys[to].compare(keys[from]) == 0 {
			to++
		}
		if to > from+1 {
			p.sort(keys[from:to], depth+16)
		}
		from = to
	}
}

// appendLine appends what identifies a profile in its kind of project.
func (p *project) appendLine(b []byte, id uint32) []byte {
	switch p.kind {
	case EmailProject:
		return append(b, p.people.email(id)...)
	case UserIDProject:
		return append(b, p.people.user(id)...)
	default:
		return append(append(append(b, p.people.email(id)...), '\t'), p.people.user(id)...)
	}
}

// lines hashes lines with a newline between them.
type lines struct {
	hash   hash.Hash
	buffer []byte
	some   bool
}

func newLines() *lines { return &lines{hash: sha256.New(), buffer: make([]byte, 0, 64<<10)} }

func (l *lines) add(line []byte) {
	if len(l.buffer)+len(line)+1 > cap(l.buffer) {
		l.hash.Write(l.buffer)
		l.buffer = l.buffer[:0]
	}
	if l.some {
		l.buffer = append(l.buffer, '\n')
	}
	l.some = true
	l.buffer = append(l.buffer, line...)
}

func (l *lines) sum() string {
	l.hash.Write(l.buffer)
	return hex.EncodeToString(l.hash.Sum(nil))
}

// Members gives a list's members as the digest's lines, sorted.
func (s *Server) Members(listID int64) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.projects {
		if members, found := p.membersOf(listID); found {
			return members, nil
		}
	}
	return nil, fmt.Errorf("there is no list %d", listID)
}

func (p *project) membersOf(listID int64) ([]string, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	l := p.lists[listID]
	if l == nil {
		return nil, false
	}
	members := make([]string, 0, l.members.count)
	for _, k := range p.sorted(l) {
		members = append(members, string(p.appendLine(nil, k.id)))
	}
	return members, true
}
