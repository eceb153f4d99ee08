package sandbox

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

// KeyChange adds an API key, or revokes or restores one.
type KeyChange struct {
	Key string `json:"key"`
	// Project is what a new key opens; nil changes a key that is there.
	Project *Project `json:"project,omitempty"`
	Revoked bool     `json:"revoked"`
}

// PeopleMark makes Iterable refuse people from now on, or no more.
type PeopleMark struct {
	// Project is the project's name; empty fits where there is only one.
	Project string `json:"project,omitempty"`
	// People are addresses (in any case) and user IDs.
	People []string `json:"people"`
	// Mark is "forgotten", "conflict", "invalidData", "invalid" or "notFound":
	// the array of failedUpdates that they come back in. Empty removes it.
	Mark string `json:"mark"`
}

// NewList is a list made behind the API's back. It is known at once.
type NewList struct {
	// Project is the project's name; empty fits where there is only one.
	Project     string `json:"project,omitempty"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Type is "Standard" where empty, "Dynamic", "Suppression" or "Internal".
	Type string `json:"type,omitempty"`
}

// Use is a campaign or a journey that begins or ends to use a list.
type Use struct {
	List  int64 `json:"list"`
	InUse bool  `json:"inUse"`
}

// Load is how much other users of a project ask of it.
type Load struct {
	// Project is the project's name; empty fits where there is only one.
	Project string `json:"project,omitempty"`
	// Rate is their requests a second to subscribe and to unsubscribe, each.
	// They compete for the project's rate with the requests that are made here.
	Rate float64 `json:"rate"`
}

// AddFaults makes the next requests fail. Either all faults are added, or none
// and the error says what is wrong.
func (s *Server) AddFaults(faults ...Fault) error {
	for i := range faults {
		if err := faults[i].check(); err != nil {
			return fmt.Errorf("fault %d: %w", i, err)
		}
	}
	s.faults.add(s.now(), faults...)
	return nil
}

// ClearFaults removes all faults and resets the connections that hang.
func (s *Server) ClearFaults() { s.faults.clear() }

// ChangeKey adds, revokes or restores an API key.
func (s *Server) ChangeKey(c KeyChange) error {
	if c.Project != nil {
		if err := c.Project.check(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Project != nil && c.Key != "" {
		s.addKey(c.Key, *c.Project)
	}
	key := s.keys[c.Key]
	if key == nil {
		return fmt.Errorf("no such key: name the project to add it to")
	}
	key.revoked = c.Revoked
	return nil
}

// MarkPeople makes profiles be refused from now on, or no more.
func (s *Server) MarkPeople(m PeopleMark) error {
	if marks := []string{"", markForgotten, markConflict, markInvalidData, markInvalid, markNotFound}; !slices.Contains(marks, m.Mark) {
		return fmt.Errorf("unknown mark %q: write one of %s", m.Mark, strings.Join(marks[1:], ", "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.projectNamed(m.Project)
	if err != nil {
		return err
	}
	p.mark(m)
	return nil
}

func (p *project) mark(m PeopleMark) {
	for _, who := range m.People {
		if strings.Contains(who, "@") {
			who = strings.ToLower(who)
		}
		if m.Mark == "" {
			delete(p.marks, who)
		} else {
			p.marks[who] = m.Mark
		}
	}
}

// AddList makes a list of any type and returns its ID.
func (s *Server) AddList(l NewList) (int64, error) {
	l.Type = cmp.Or(l.Type, api.Standard)
	if types := []string{api.Standard, api.Dynamic, api.Suppression, api.Internal}; !slices.Contains(types, l.Type) {
		return 0, fmt.Errorf("unknown type %q: write one of %s", l.Type, strings.Join(types, ", "))
	}
	if l.Name == "" {
		return 0, fmt.Errorf("name is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.projectNamed(l.Project)
	if err != nil {
		return 0, err
	}
	return s.newList(p, api.List{Name: l.Name, Description: l.Description, ListType: l.Type}, 0), nil
}

// SetUse makes a list in use, or free again.
func (s *Server) SetUse(u Use) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.projects {
		if l := p.lists[u.List]; l != nil {
			l.inUse = u.InUse
			return nil
		}
	}
	return fmt.Errorf("there is no list %d", u.List)
}

// SetLoad sets what other users of a project ask of it from now on.
func (s *Server) SetLoad(l Load) error {
	if l.Rate < 0 || l.Rate > 1e6 {
		return fmt.Errorf("rate %g is not between 0 and 1,000,000", l.Rate)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.projectNamed(l.Project)
	if err != nil {
		return err
	}
	for _, e := range []api.Endpoint{api.Subscribe, api.Unsubscribe} {
		if limit := p.limits[e.Name]; limit != nil {
			limit.others, limit.next = 0, s.now()
			if l.Rate > 0 {
				limit.others = time.Duration(float64(time.Second) / l.Rate)
			}
		}
	}
	return nil
}

// control answers the requests under /sandbox/.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var a answer
	if err == nil {
		a, err = s.controlled(r, body)
	}
	if err != nil {
		a = badParams("%s", err)
	} else if r.URL.Path != "/sandbox/faults" && r.URL.Path != "/sandbox/load" {
		s.mu.Lock()
		s.keep(r, body)
		s.mu.Unlock()
	}
	a.write(w)
}

func (s *Server) controlled(r *http.Request, body []byte) (answer, error) {
	query := r.URL.Query()
	done := jsonAnswer(http.StatusOK, map[string]bool{"ok": true})
	switch path := strings.TrimPrefix(r.URL.Path, "/sandbox/"); r.Method + " " + path {
	case "GET stats":
		return jsonAnswer(http.StatusOK, s.Stats(query.Get("digests") != "false")), nil
	case "GET requests":
		n, err := strconv.Atoi(cmp.Or(query.Get("last"), "100"))
		return jsonAnswer(http.StatusOK, map[string]any{"requests": s.Requests(max(0, n))}), err
	case "GET members":
		id, err := strconv.ParseInt(query.Get("list"), 10, 64)
		if err != nil {
			return answer{}, err
		}
		members, err := s.Members(id)
		return textAnswer(strings.Join(members, "\n")), err
	case "POST faults":
		faults, err := readFaults(body)
		if err == nil {
			err = s.AddFaults(faults...)
		}
		return done, err
	case "DELETE faults":
		s.ClearFaults()
		return done, nil
	case "POST keys":
		return done, control(body, s.ChangeKey)
	case "POST people":
		return done, control(body, s.MarkPeople)
	case "POST load":
		return done, control(body, s.SetLoad)
	case "POST uses":
		return done, control(body, s.SetUse)
	case "POST lists":
		var id int64
		err := control(body, func(l NewList) (err error) {
			id, err = s.AddList(l)
			return err
		})
		return jsonAnswer(http.StatusOK, map[string]int64{"listId": id}), err
	default:
		return failure(http.StatusNotFound, api.CodeNotFound, fmt.Sprintf("The sandbox has no %s /sandbox/%s", r.Method, path)), nil
	}
}

// control reads a request's body and does what it says.
func control[T any](body []byte, do func(T) error) error {
	var v T
	if err := read(body, &v); err != nil {
		return err
	}
	return do(v)
}

// readFaults reads a fault, or an array of them.
func readFaults(body []byte) (faults []Fault, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		err = read(body, &faults)
		return faults, err
	}
	faults = make([]Fault, 1)
	err = read(body, &faults[0])
	return faults, err
}
