package simulate

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mark is in all personal data, and in nothing else.
const mark = "zq"

func address(i int) string { return fmt.Sprintf("%s%d@example.com", mark, i) }
func userID(i int) string  { return fmt.Sprintf("%su%d", mark, i) }

// badAddress returns an address of a person that can't be mailed.
func badAddress(i int) string { return fmt.Sprintf("%s%d@@", mark, i) }

// person returns the number of the person with that address or user ID.
func person(email, user string) int {
	text := strings.TrimPrefix(user, mark+"u")
	if user == "" {
		text, _, _ = strings.Cut(strings.TrimPrefix(email, mark), "@")
	}
	i, err := strconv.Atoi(text)
	if err != nil {
		panic("not a simulated person: " + email + " " + user)
	}
	return i
}

// project is the part of the Iterable project that runs use. It is also the oracle: its answers
// define what was acknowledged.
type project struct {
	w     *world
	lists map[int64]*list
	next  int64
	// fields are the data fields by person.
	fields map[int]map[string]string
	// refusals are the current reasons to refuse a person.
	refusals map[int]refusal
	// gone says since when the project has forgotten people. Those with an even number are
	// listed when it is asked; of the others only a refusal tells.
	gone map[int]time.Time
}

// writer, before the name of an export, is the name of a field that is not Iterable's: which
// export, or trial of it, has sent the export's fields last.
const writer = "by "

// against returns why the project refuses a person, or "".
func (p *project) against(i int) refusal {
	if _, gone := p.gone[i]; gone {
		return forgotten
	}
	return p.refusals[i]
}

type list struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	CreatedAt   int64  `json:"createdAt"`
	ListType    string `json:"listType"`
	members     map[int]bool
}

// refusal is the way in which the project refuses a person.
type refusal string

const (
	conflict  refusal = "a conflict"
	invalid   refusal = "invalid data"
	forgotten refusal = "forgotten"
	unnamed   refusal = "a failure without a name"
	poison    refusal = "the whole request"
)

// ack is the acknowledged part of a request.
type ack struct {
	kind string
	list int64
	took []int
	// workflowID is that of the run's part that has received it.
	workflowID string
	// staging is the attempt that staged what it was about.
	staging string
	// touches are the record's, when the request took effect.
	touches []int
	// sure is false where the answer does not say which profiles were taken, plain where it
	// refuses none.
	sure, plain bool
}

// ackBody is an answer's body with the ack of the answer.
type ackBody struct {
	*bytes.Reader
	ack *ack
}

func (ackBody) Close() error { return nil }

func respond(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: ackBody{Reader: bytes.NewReader([]byte(body))}, ContentLength: int64(len(body)), Request: r,
	}
}

// subscribers is the body of a subscribe or an unsubscribe.
type subscribers struct {
	ListID      int64 `json:"listId"`
	Subscribers []struct {
		Email      string                     `json:"email"`
		UserID     string                     `json:"userId"`
		DataFields map[string]json.RawMessage `json:"dataFields"`
	} `json:"subscribers"`
}

func (s subscribers) people() (all []int) {
	for _, one := range s.Subscribers {
		all = append(all, person(one.Email, one.UserID))
	}
	return all
}

// describe returns a request in words.
func describe(r *http.Request) string {
	what := strings.TrimPrefix(r.URL.Path, "/api/")
	if r.Method != http.MethodPost || r.GetBody == nil {
		return r.Method + " " + what
	}
	body, err := r.GetBody()
	if err != nil {
		return what
	}
	defer body.Close()
	var in subscribers
	if json.NewDecoder(body).Decode(&in) != nil || len(in.Subscribers) == 0 {
		return "creates a list"
	}
	return fmt.Sprintf("%s %v", strings.TrimPrefix(what, "lists/"), in.people())
}

// RoundTrip implements http.RoundTripper: the project is the end of the transport.
func (p *project) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	a := attemptOf(r.Context())
	path := strings.TrimPrefix(r.URL.Path, "/api/")
	parts := strings.Split(path, "/")
	if r.Method != http.MethodGet {
		a.effect(r.Method + " " + path)
	}
	switch {
	case path == "lists" && r.Method == http.MethodGet:
		all := []*list{}
		for _, l := range p.lists {
			all = append(all, l)
		}
		slices.SortFunc(all, func(a, b *list) int { return int(a.ID - b.ID) })
		return p.json(r, map[string]any{"lists": all})
	case path == "lists":
		l := &list{ListType: "Standard", CreatedAt: time.Now().UnixMilli(), members: map[int]bool{}}
		if err := json.Unmarshal(body, l); err != nil {
			return nil, err
		}
		p.next++
		l.ID = p.next
		p.lists[l.ID] = l
		return p.json(r, map[string]any{"listId": l.ID})
	case path == "users/forgotten", path == "users/forgottenUserIds":
		hashes := []string{}
		for i := range p.gone {
			if i%2 != 0 {
				continue
			}
			id := address(i)
			if path == "users/forgottenUserIds" {
				id = userID(i)
			}
			hashes = append(hashes, fmt.Sprintf("%x", sha256.Sum256([]byte(strings.ToLower(id)))))
		}
		slices.Sort(hashes)
		return p.json(r, map[string]any{"hashedEmails": hashes, "hashedUserIds": hashes})
	case path == "users/getFields":
		return p.json(r, map[string]any{"fields": map[string]string{}})
	case path == "lists/subscribe", path == "lists/unsubscribe":
		return p.change(r, a, parts[1], body)
	}
	id, _ := strconv.ParseInt(parts[1], 10, 64)
	l := p.lists[id]
	switch {
	case l == nil:
		return respond(r, http.StatusNotFound, `{"code": "NotFound"}`), nil
	case r.Method == http.MethodDelete:
		delete(p.lists, id)
		return p.json(r, map[string]any{"code": "Success"})
	}
	return respond(r, http.StatusOK, fmt.Sprint(len(l.members))), nil
}

func (p *project) json(r *http.Request, v any) (*http.Response, error) {
	data, err := json.Marshal(v)
	return respond(r, http.StatusOK, string(data)), err
}

// failed are the arrays of an answer.
type failed struct {
	ConflictEmails     []string `json:"conflictEmails,omitempty"`
	ConflictUserIDs    []string `json:"conflictUserIds,omitempty"`
	InvalidDataEmails  []string `json:"invalidDataEmails,omitempty"`
	InvalidDataUserIDs []string `json:"invalidDataUserIds,omitempty"`
	ForgottenEmails    []string `json:"forgottenEmails,omitempty"`
	ForgottenUserIDs   []string `json:"forgottenUserIds,omitempty"`
}

// change subscribes or unsubscribes.
func (p *project) change(r *http.Request, a *attempt, kind string, body []byte) (*http.Response, error) {
	var in subscribers
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	l := p.lists[in.ListID]
	if l == nil {
		return respond(r, http.StatusNotFound, `{"code": "NotFound"}`), nil
	}
	if room := p.w.plan.room; room > 0 && len(in.Subscribers) > room {
		p.w.count("requests too large")
		return respond(r, http.StatusRequestEntityTooLarge, `{"code": "BatchTooLarge"}`), nil
	}
	for _, i := range in.people() {
		if p.refusals[i] == poison {
			return respond(r, http.StatusBadRequest, `{"code": "BadParams"}`), nil
		}
	}
	var f failed
	done := &ack{kind: kind, list: in.ListID, sure: true}
	fails := 0
	for _, s := range in.Subscribers {
		i := person(s.Email, s.UserID)
		no := p.against(i)
		if since, gone := p.gone[i]; gone && i%2 == 0 && since.Before(a.run.began) {
			p.w.violated("i", "%s sends %d, of whom Iterable has said that it has forgotten them", a.key, i)
		}
		switch no {
		case conflict:
			f.ConflictEmails, f.ConflictUserIDs = name(f.ConflictEmails, s.Email), name(f.ConflictUserIDs, s.UserID)
		case invalid:
			f.InvalidDataEmails, f.InvalidDataUserIDs = name(f.InvalidDataEmails, s.Email), name(f.InvalidDataUserIDs, s.UserID)
		case forgotten:
			f.ForgottenEmails, f.ForgottenUserIDs = name(f.ForgottenEmails, s.Email), name(f.ForgottenUserIDs, s.UserID)
		case unnamed:
			done.sure = false
		}
		if no != "" {
			fails++
			p.w.count("profiles refused")
			continue
		}
		done.took = append(done.took, i)
		p.w.applied(a, kind, l, i)
		done.touches = append(done.touches, p.w.history.records[a.run.export].of(l.ID).touches[i])
		if kind == "unsubscribe" {
			delete(l.members, i)
			continue
		}
		l.members[i] = true
		if p.fields[i] == nil {
			p.fields[i] = map[string]string{}
		}
		for k, v := range s.DataFields {
			p.fields[i][k] = string(v)
		}
		by := a.run.export
		p.fields[i][writer+p.w.exportName(p.w.tried(by))] = p.w.exportName(by)
	}
	done.plain = len(p.refusals)+len(p.gone) == 0
	answer, err := p.json(r, map[string]any{"successCount": len(done.took), "failCount": fails, "failedUpdates": f})
	if err == nil {
		answer.Body = ackBody{Reader: answer.Body.(ackBody).Reader, ack: done}
	}
	return answer, err
}

func name(all []string, one string) []string {
	if one == "" {
		return all
	}
	return append(all, one)
}
