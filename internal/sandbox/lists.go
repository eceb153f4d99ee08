package sandbox

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"
)

// The list types. Only standard lists can be changed by subscribe and unsubscribe.
const (
	listStandard    = "Standard"
	listDynamic     = "Dynamic"
	listSuppression = "Suppression"
	listInternal    = "Internal"
)

// maxDescription is Iterable's limit on a list's description, in characters.
const maxDescription = 140

// Sizes of an answer of lists/previewUsers, in members.
const (
	defaultPreview = 1000
	maxPreview     = 5000
)

func (p *project) getLists() answer {
	type item struct {
		ID          int64  `json:"id"`
		Name        string `json:"name"`
		Description string `json:"description"`
		ListType    string `json:"listType"`
		CreatedAt   int64  `json:"createdAt"`
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	items := []item{}
	for _, l := range p.sortedLists() {
		items = append(items, item{l.id, l.name, l.description, l.listType, l.created.UnixMilli()})
	}
	return jsonAnswer(http.StatusOK, map[string]any{"lists": items})
}

func (s *Server) createList(p *project, body []byte) answer {
	sc, err := newScanner(body)
	if err != nil {
		return err.answer()
	}
	var name, description []byte
	err = sc.object("the body", func(key []byte) (err *apiError) {
		switch k := string(key); k {
		case "name":
			name, err = sc.optionalText(k)
		case "description":
			description, err = sc.optionalText(k)
		default:
			err = unknownField("the body", k)
		}
		return err
	})
	if err == nil {
		err = sc.end()
	}
	if err == nil && len(name) == 0 {
		err = badParams("name is missing")
	}
	if n := utf8.RuneCount(description); err == nil && n > maxDescription {
		err = badParams("description: %d characters, at most %d are taken", n, maxDescription)
	}
	if err != nil {
		return err.answer()
	}
	id := s.newList(p, string(name), string(description), listStandard)
	return jsonAnswer(http.StatusOK, map[string]int64{"listId": id})
}

// newList makes a list and gives its id, which no other list of any project has.
func (s *Server) newList(p *project, name, description, listType string) int64 {
	s.mu.Lock()
	s.lastList++
	id := s.lastList
	s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	l := listRecord{ID: id, Name: name, Description: description, Type: listType, Created: s.now().UnixMilli()}
	p.putList(l)
	s.journal.writeJSON(recordList, p.name, l)
	return id
}

// putList adds a list without members. The caller locks.
func (p *project) putList(l listRecord) {
	p.lists[l.ID] = &list{id: l.ID, name: l.Name, description: l.Description, listType: l.Type, created: time.UnixMilli(l.Created)}
}

func (s *Server) deleteList(p *project, id int64) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lists[id] == nil {
		return notFound("List %d doesn't exist", id).answer()
	}
	delete(p.lists, id)
	s.journal.writeJSON(recordDelete, p.name, listRecord{ID: id})
	return success("List " + strconv.FormatInt(id, 10) + " deleted")
}

func (s *Server) listSize(p *project, id int64) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lists[id]
	if l == nil {
		return notFound("List %d doesn't exist", id).answer()
	}
	return textAnswer(strconv.AppendInt(nil, int64(l.sizeAt(s.now().Add(-s.config.SizeLag))), 10))
}

// listUsers answers lists/getUsers and lists/previewUsers: the members' names,
// one a line, from a random one on, since Iterable promises no order.
func (p *project) listUsers(query url.Values, preview bool) answer {
	known := map[string]bool{"listId": true, "preferUserId": true}
	limitName, limit, most := "maxResults", 0, 0
	if preview {
		limitName, limit, most = "size", defaultPreview, maxPreview
	}
	known[limitName] = true
	for name := range query {
		if !known[name] {
			return unknownField("the query", name).answer()
		}
	}
	id, err := strconv.ParseInt(query.Get("listId"), 10, 64)
	if err != nil {
		return badParams("listId: expected a whole number").answer()
	}
	preferUserID := false
	if text := query.Get("preferUserId"); text != "" {
		if text != "true" && text != "false" {
			return badParams("preferUserId: expected true or false").answer()
		}
		preferUserID = text == "true"
	}
	if text := query.Get(limitName); text != "" {
		limit, err = strconv.Atoi(text)
		if err != nil || limit < 1 || most > 0 && limit > most {
			return badParams("%s: expected a number from 1 to %d", limitName, most).answer()
		}
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	l := p.lists[id]
	if l == nil {
		return notFound("List %d doesn't exist", id).answer()
	}
	return textAnswer(p.names(l, limit, preferUserID))
}

func (p *project) names(l *list, limit int, preferUserID bool) []byte {
	if limit == 0 || limit > l.members.count {
		limit = l.members.count
	}
	if limit == 0 {
		return nil
	}
	var out bytes.Buffer
	line := func(id uint32) {
		name, other := p.people.email(id), p.people.user(id)
		if len(name) == 0 || preferUserID && len(other) > 0 {
			name = other
		}
		out.Write(name)
		out.WriteByte('\n')
		limit--
	}
	start := rand.Uint32N(p.people.count)
	l.members.all(func(id uint32) bool {
		if id >= start {
			line(id)
		}
		return limit > 0
	})
	l.members.all(func(id uint32) bool {
		if id < start && limit > 0 {
			line(id)
		}
		return id < start && limit > 0
	})
	return out.Bytes()
}

// getUser answers GET /api/users/{email} and /api/users/byUserId/{userId}. Of
// someone who isn't there Iterable answers with an empty object.
func (p *project) getUser(name string, byUserID bool) answer {
	type user struct {
		Email      string         `json:"email"`
		UserID     string         `json:"userId,omitempty"`
		DataFields map[string]any `json:"dataFields,omitempty"`
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	id, found := uint32(0), false
	if byUserID {
		id, found = p.people.findUser([]byte(name))
	} else {
		id, found = p.people.findEmail(lower([]byte(name)))
	}
	if !found {
		return jsonAnswer(http.StatusOK, struct{}{})
	}
	return jsonAnswer(http.StatusOK, map[string]user{"user": {
		string(p.people.email(id)), string(p.people.user(id)), p.data[id]}})
}
