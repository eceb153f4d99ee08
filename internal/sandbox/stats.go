package sandbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// keptRequests is how many requests the log holds; older ones are forgotten.
const keptRequests = 10_000

// Request is a request of the API as the log has it: nothing in it says who the
// people in the request are.
type Request struct {
	// Number counts the requests from 1.
	Number       int64     `json:"number"`
	Time         time.Time `json:"time"`
	Milliseconds float64   `json:"milliseconds"`
	Method       string    `json:"method"`
	Endpoint     string    `json:"endpoint"`
	Project      string    `json:"project,omitempty"`
	// Status is the answer's HTTP status, 0 if none was given.
	Status int `json:"status"`
	// Rows are the subscribers in a request that was applied, Failed those of
	// them that were refused.
	Rows   int   `json:"rows"`
	Failed int   `json:"failed"`
	Bytes  int64 `json:"bytes"`
	// Body is a 128-bit hash of the body, so that a request that was sent twice
	// can be seen.
	Body string `json:"body,omitempty"`
	// Fault is the kind of the fault that the request met.
	Fault string `json:"fault,omitempty"`
}

// EndpointStats adds up the requests of one endpoint.
type EndpointStats struct {
	Requests int64 `json:"requests"`
	// Statuses counts the answers by HTTP status; 0 are requests without one.
	Statuses map[int]int64 `json:"statuses"`
	// Throttled is how many were answered 429.
	Throttled int64 `json:"throttled"`
	// Faults is how many met a fault.
	Faults int64 `json:"faults"`
	Rows   int64 `json:"rows"`
	Failed int64 `json:"failed"`
	Bytes  int64 `json:"bytes"`
}

type requestLog struct {
	mu        sync.Mutex
	started   time.Time
	count     int64
	kept      []Request
	endpoints map[string]*EndpointStats
}

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	r.Number = l.count
	if len(l.kept) >= 2*keptRequests {
		l.kept = append(l.kept[:0], l.kept[keptRequests:]...)
	}
	l.kept = append(l.kept, r)
	e := l.endpoints[r.Endpoint]
	if e == nil {
		e = &EndpointStats{Statuses: map[int]int64{}}
		l.endpoints[r.Endpoint] = e
	}
	e.Requests++
	e.Statuses[r.Status]++
	if r.Status == 429 {
		e.Throttled++
	}
	if r.Fault != "" {
		e.Faults++
	}
	e.Rows += int64(r.Rows)
	e.Failed += int64(r.Failed)
	e.Bytes += r.Bytes
}

// Requests returns the last n requests of the API, the oldest first. The log
// holds at least the last 10,000.
func (s *Server) Requests(n int) []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Clone(s.log.kept[max(0, len(s.log.kept)-n):])
}

// Stats is the answer of GET /sandbox/stats.
type Stats struct {
	Started time.Time `json:"started"`
	// Requests are those of the API, of all endpoints together.
	Requests  int64                    `json:"requests"`
	Endpoints map[string]EndpointStats `json:"endpoints"`
	Projects  []ProjectStats           `json:"projects"`
}

// ProjectStats describes what a project holds.
type ProjectStats struct {
	Name     string      `json:"name"`
	Type     ProjectType `json:"type"`
	Profiles int64       `json:"profiles"`
	Fields   int         `json:"fields"`
	Lists    []ListStats `json:"lists"`
}

// ListStats describes what a list holds. The package's documentation defines the
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

// Stats returns what has happened and what there is, projects in order of name
// and lists of ID. Digests cost a sort of each list's members, during which all
// requests wait.
func (s *Server) Stats(digests bool) Stats {
	st := Stats{Endpoints: map[string]EndpointStats{}}
	s.log.mu.Lock()
	st.Started, st.Requests = s.log.started, s.log.count
	for name, e := range s.log.endpoints {
		c := *e
		c.Statuses = maps.Clone(e.Statuses)
		st.Endpoints[name] = c
	}
	s.log.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range slices.SortedFunc(maps.Values(s.projects), func(a, b *project) int { return cmp.Compare(a.name, b.name) }) {
		ps := ProjectStats{Name: p.name, Type: p.kind, Profiles: int64(len(p.profiles())), Fields: len(p.fields), Lists: []ListStats{}}
		for _, l := range p.sortedLists() {
			ls := ListStats{ID: l.ID, Name: l.Name, Type: l.ListType, Size: len(l.members)}
			if digests {
				ls.Digest, ls.FieldsDigest = p.digests(l)
			}
			ps.Lists = append(ps.Lists, ls)
		}
		st.Projects = append(st.Projects, ps)
	}
	return st
}

// profiles returns the project's profiles, which can be found by an address, a
// user ID, or both.
func (p *project) profiles() map[*profile]bool {
	all := make(map[*profile]bool, max(len(p.byEmail), len(p.byUser)))
	for _, who := range p.byEmail {
		all[who] = true
	}
	for _, who := range p.byUser {
		all[who] = true
	}
	for _, l := range p.lists {
		for who := range l.members {
			all[who] = true
		}
	}
	return all
}

// line is what identifies a profile in its kind of project.
func (p *project) line(who *profile) string {
	switch p.kind {
	case EmailProject:
		return who.email
	case UserIDProject:
		return who.userID
	default:
		return who.email + "\t" + who.userID
	}
}

// sorted returns a list's members in order of their lines.
func (p *project) sorted(l *list) []*profile {
	return slices.SortedFunc(maps.Keys(l.members), func(a, b *profile) int { return strings.Compare(p.line(a), p.line(b)) })
}

func (p *project) digests(l *list) (members, fields string) {
	plain, fielded := sha256.New(), sha256.New()
	for i, who := range p.sorted(l) {
		line := p.line(who)
		if i > 0 {
			line = "\n" + line
		}
		fmt.Fprint(plain, line)
		fmt.Fprintf(fielded, "%s\t%016x", line, who.fields)
	}
	return hex.EncodeToString(plain.Sum(nil)), hex.EncodeToString(fielded.Sum(nil))
}

// Members returns a list's members as the digest's lines, sorted.
func (s *Server) Members(listID int64) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.projects {
		if l := p.lists[listID]; l != nil {
			members := []string{}
			for _, who := range p.sorted(l) {
				members = append(members, p.line(who))
			}
			return members, nil
		}
	}
	return nil, fmt.Errorf("there is no list %d", listID)
}
