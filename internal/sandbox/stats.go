package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"iterable-segment-export/internal/iterable/api"
)

// keptRequests is the minimum number of requests that are kept.
const keptRequests = 10_000

// Request is a request of the API without personal data.
type Request struct {
	Time         time.Time
	Milliseconds float64
	Endpoint     string
	Status       int    // of the answer, 0 if there was none
	Rows         int    // the subscribers in a request that was applied
	Body         string // a hash of the body, to find repeated requests
}

// EndpointStats counts the requests of one endpoint.
type EndpointStats struct {
	Requests int64 `json:"requests"`
	// Throttled counts the answers 429, and UnknownList those for a list that does not
	// exist, or does not yet.
	Throttled   int64 `json:"throttled"`
	UnknownList int64 `json:"unknownList"`
	// Faults counts the requests with a fault.
	Faults int64 `json:"faults"`
}

// log counts a request before it is answered; its status is 0 if it is not answered.
func (s *Server) log(began time.Time, e api.Endpoint, body []byte, a answer, faulty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= 2*keptRequests {
		s.requests = slices.Delete(s.requests, 0, keptRequests)
	}
	s.requests = append(s.requests, Request{
		Time: began, Milliseconds: float64(s.now().Sub(began).Microseconds()) / 1000, Endpoint: e.Name,
		Status: a.status, Rows: a.rows, Body: fmt.Sprintf("%x", xxh3.Hash128(body).Bytes()),
	})
	st := s.endpoints[e.Name]
	if st == nil {
		st = &EndpointStats{}
		s.endpoints[e.Name] = st
	}
	st.Requests++
	if a.status == http.StatusTooManyRequests {
		st.Throttled++
	}
	if a.status == http.StatusBadRequest && strings.Contains(string(a.body), api.InvalidListIDMarker) {
		st.UnknownList++
	}
	if faulty {
		st.Faults++
	}
}

// Requests returns the last n requests of the API, the oldest first. At least the
// last 10,000 are kept.
func (s *Server) Requests(n int) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests[max(0, len(s.requests)-n):])
}

// Stats is the answer of GET /sandbox/stats.
type Stats struct {
	Endpoints map[string]EndpointStats `json:"endpoints"`
	Lists     []ListStats              `json:"lists"` // in order of their IDs
}

// ListStats describes the members of a list. The digest is the SHA-256, in hexadecimal, of the
// members as Members returns them, joined by "\n"; it is empty if it was not requested.
type ListStats struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Size   int    `json:"size"`
	Digest string `json:"digest,omitempty"`
}

// Stats returns the counts of requests and the lists. Digests sort each list's members, while
// all requests wait.
func (s *Server) Stats(digests bool) Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Endpoints: map[string]EndpointStats{}, Lists: []ListStats{}}
	for name, e := range s.endpoints {
		st.Endpoints[name] = *e
	}
	for _, l := range s.sortedLists() {
		ls := ListStats{ID: l.ID, Name: l.Name, Size: len(l.members)}
		if digests {
			sum := sha256.Sum256([]byte(strings.Join(s.lines(l), "\n")))
			ls.Digest = hex.EncodeToString(sum[:])
		}
		st.Lists = append(st.Lists, ls)
	}
	return st
}

// lines is Members. Server.mu is held.
func (s *Server) lines(l *list) []string {
	lines := make([]string, 0, len(l.members))
	for who := range l.members {
		switch s.config.Project {
		case EmailProject:
			lines = append(lines, who.email)
		case UserIDProject:
			lines = append(lines, who.userID)
		default:
			lines = append(lines, who.email+"\t"+who.userID)
		}
	}
	slices.Sort(lines)
	return lines
}

// Members returns a list's members, sorted by byte: addresses in lower case in an
// email-based project, user IDs in a userID-based one, and in a hybrid one the
// address, a tab and the user ID, either of which may be empty.
func (s *Server) Members(id int64) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lists[id]
	if l == nil {
		return nil, fmt.Errorf("there is no list %d", id)
	}
	return s.lines(l), nil
}

func (s *Server) showStats(w http.ResponseWriter, _ *http.Request) {
	jsonAnswer(http.StatusOK, s.Stats(false)).write(w)
}
