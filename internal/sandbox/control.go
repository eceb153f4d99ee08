package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
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
	// People are addresses (in any case) and user ids.
	People []string `json:"people"`
	// Mark is "forgotten", "conflict", "invalidData", "invalid" or "notFound":
	// the array of failedUpdates that they come back in. Empty takes it off.
	Mark string `json:"mark"`
}

// NewList is a list made behind the API's back.
type NewList struct {
	// Project is the project's name; empty fits where there is only one.
	Project     string `json:"project,omitempty"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Type is "Standard" where empty, "Dynamic", "Suppression" or "Internal".
	Type string `json:"type,omitempty"`
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

// ClearFaults takes all faults away and resets the connections that hang.
func (s *Server) ClearFaults() { s.faults.clear() }

// ChangeKey adds, revokes or restores an API key.
func (s *Server) ChangeKey(c KeyChange) error {
	if c.Key == "" {
		return fmt.Errorf("key is missing")
	}
	if c.Project != nil {
		if err := c.Project.check(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Project != nil {
		s.addKey(c.Key, *c.Project)
	}
	key := s.keys[c.Key]
	if key == nil {
		return fmt.Errorf("there is no such key, and no project to add it to was named")
	}
	changed := *key // requests may be reading the old one
	changed.revoked = c.Revoked
	s.keys[c.Key] = &changed
	return nil
}

// MarkPeople says who is refused from now on, and why.
func (s *Server) MarkPeople(m PeopleMark) error {
	switch mark(m.Mark) {
	case "", markForgotten, markConflict, markInvalidData, markInvalid, markNotFound:
	default:
		return fmt.Errorf("mark %q is none of forgotten, conflict, invalidData, invalid, notFound", m.Mark)
	}
	p, err := s.projectNamed(m.Project)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mark(m)
	s.journal.writeJSON(recordMark, p.name, m)
	return nil
}

// mark marks people. The caller locks.
func (p *project) mark(m PeopleMark) {
	for _, who := range m.People {
		if strings.Contains(who, "@") {
			who = strings.ToLower(who)
		}
		if m.Mark == "" {
			delete(p.marks, who)
		} else {
			p.marks[who] = mark(m.Mark)
		}
	}
}

// AddList makes a list of any type and gives its id.
func (s *Server) AddList(l NewList) (int64, error) {
	if l.Type == "" {
		l.Type = listStandard
	}
	switch l.Type {
	case listStandard, listDynamic, listSuppression, listInternal:
	default:
		return 0, fmt.Errorf("type %q is none of Standard, Dynamic, Suppression, Internal", l.Type)
	}
	if l.Name == "" {
		return 0, fmt.Errorf("name is missing")
	}
	p, err := s.projectNamed(l.Project)
	if err != nil {
		return 0, err
	}
	return s.newList(p, l.Name, l.Description, l.Type), nil
}

// SetLoad sets what other users of a project ask of it from now on.
func (s *Server) SetLoad(l Load) error {
	if l.Rate < 0 || l.Rate > 1e6 {
		return fmt.Errorf("rate %g is not between 0 and 1,000,000", l.Rate)
	}
	p, err := s.projectNamed(l.Project)
	if err != nil {
		return err
	}
	p.limits.load(l.Rate, s.now())
	return nil
}

func (s *Server) projectNamed(name string) (*project, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.projects[name]; p != nil {
		return p, nil
	}
	if name != "" {
		return nil, fmt.Errorf("there is no project %q", name)
	}
	if len(s.projects) > 1 {
		return nil, fmt.Errorf("there are several projects: name one")
	}
	for _, p := range s.projects {
		return p, nil
	}
	return nil, fmt.Errorf("there is no project")
}

// control answers the requests under /sandbox/.
func (s *Server) control(w http.ResponseWriter, r *http.Request, path string) {
	a, err := s.controlled(r, path)
	if err != nil {
		a = badParams("%s", err).answer()
	}
	a.write(w)
}

var done = map[string]bool{"ok": true}

func (s *Server) controlled(r *http.Request, path string) (answer, error) {
	query := r.URL.Query()
	switch r.Method + " " + path {
	case "GET stats":
		return jsonAnswer(http.StatusOK, s.Stats(query.Get("digests") != "false")), nil
	case "GET requests":
		n, err := number(query.Get("last"), 100)
		return jsonAnswer(http.StatusOK, map[string]any{"requests": s.Requests(max(0, int(n)))}), err
	case "GET members":
		id, err := number(query.Get("list"), 0)
		if err != nil {
			return answer{}, err
		}
		members, err := s.Members(id)
		return textAnswer([]byte(strings.Join(members, "\n"))), err
	case "POST faults":
		faults, err := readFaults(r.Body)
		if err == nil {
			err = s.AddFaults(faults...)
		}
		return jsonAnswer(http.StatusOK, done), err
	case "DELETE faults":
		s.ClearFaults()
		return jsonAnswer(http.StatusOK, done), nil
	case "POST keys":
		return control(r.Body, s.ChangeKey)
	case "POST people":
		return control(r.Body, s.MarkPeople)
	case "POST load":
		return control(r.Body, s.SetLoad)
	case "POST lists":
		var id int64
		a, err := control(r.Body, func(l NewList) (err error) {
			id, err = s.AddList(l)
			return err
		})
		if err == nil {
			a = jsonAnswer(http.StatusOK, map[string]int64{"listId": id})
		}
		return a, err
	}
	return notFound("The sandbox has no %s /sandbox/%s", r.Method, path).answer(), nil
}

func number(text string, otherwise int64) (int64, error) {
	if text == "" {
		return otherwise, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// control reads a request's body and does what it says.
func control[T any](body io.Reader, do func(T) error) (answer, error) {
	var v T
	if err := decodeStrictly(body, &v); err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, done), do(v)
}

func decodeStrictly(r io.Reader, v any) error {
	d := json.NewDecoder(io.LimitReader(r, DefaultMaxBodyBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON value")
	}
	return nil
}

// readFaults reads a fault, or an array of them.
func readFaults(r io.Reader) ([]Fault, error) {
	body, err := io.ReadAll(io.LimitReader(r, DefaultMaxBodyBytes))
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		var faults []Fault
		return faults, decodeStrictly(bytes.NewReader(body), &faults)
	}
	var fault Fault
	err = decodeStrictly(bytes.NewReader(body), &fault)
	return []Fault{fault}, err
}
