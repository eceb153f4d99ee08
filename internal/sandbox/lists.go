package sandbox

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"iterable-segment-export/internal/iterable/api"
)

// list is one list of a project.
type list struct {
	api.List
	known   time.Time // subscribe and unsubscribe know it from then on
	inUse   bool      // a campaign or a journey uses it: it can't be deleted
	members map[*profile]bool
	pending []change // in the order of time
}

// sortedLists returns the lists in order of their IDs.
func (p *project) sortedLists() []*list {
	return slices.SortedFunc(maps.Values(p.lists), func(a, b *list) int { return cmp.Compare(a.ID, b.ID) })
}

func (s *Server) getLists(p *project, _ *http.Request, _ []byte) answer {
	out := api.ListsAnswer{Lists: []api.List{}}
	for _, l := range p.sortedLists() {
		out.Lists = append(out.Lists, l.List)
	}
	return jsonAnswer(http.StatusOK, out)
}

func (s *Server) createList(p *project, _ *http.Request, body []byte) answer {
	var in api.CreateListRequest
	if err := read(body, &in); err != nil {
		return err.(answer)
	}
	if s.config.TrimNames {
		in.Name = strings.TrimSpace(in.Name)
	}
	if in.Name == "" {
		return badParams("name is missing")
	}
	if n := utf8.RuneCountInString(in.Description); n > api.MaxDescription {
		return badParams("description: %d characters, at most %d are allowed", n, api.MaxDescription)
	}
	for _, l := range p.lists {
		if s.config.RefuseTwins && l.Name == in.Name {
			return badParams("A list of this name exists already")
		}
	}
	id := s.newList(p, api.List{Name: in.Name, Description: in.Description, ListType: api.Standard}, s.delay(s.config.NewList))
	return jsonAnswer(http.StatusOK, api.CreateListAnswer{ListID: &id})
}

// newList makes a list, known after a delay, and returns its ID, which no other
// list of any project has.
func (s *Server) newList(p *project, l api.List, delay time.Duration) int64 {
	s.lastList++
	now := s.now()
	l.ID, l.CreatedAt = s.lastList, now.UnixMilli()
	p.lists[l.ID] = &list{List: l, known: now.Add(delay), members: map[*profile]bool{}}
	return l.ID
}

// listOf returns the list that a request's path or query names, 0 if that is no number.
func listOf(r *http.Request) int64 {
	id, err := strconv.ParseInt(cmp.Or(r.PathValue("listId"), r.URL.Query().Get("listId")), 10, 64)
	if err != nil {
		return 0
	}
	return id
}

func (s *Server) deleteList(p *project, r *http.Request, _ []byte) answer {
	l := p.lists[listOf(r)]
	if l == nil {
		return unknownList(p, listOf(r))
	}
	if l.inUse {
		return failure(http.StatusConflict, api.CodeGenericError, "List is in use")
	}
	delete(p.lists, l.ID)
	return success("List " + strconv.FormatInt(l.ID, 10) + " deleted")
}

// hidden returns the profiles whose membership looks different from what it is,
// and what it looks like.
func (l *list) hidden(now time.Time) map[*profile]bool {
	looks := map[*profile]bool{}
	for _, c := range slices.Backward(l.pending) {
		if !c.visible.After(now) {
			continue
		}
		for _, who := range c.who {
			looks[who] = !c.on
		}
	}
	return looks
}

func (s *Server) listSize(p *project, r *http.Request, _ []byte) answer {
	l := p.lists[listOf(r)]
	if l == nil {
		return unknownList(p, listOf(r))
	}
	size := len(l.members)
	for who, on := range l.hidden(s.now()) {
		if on && !l.members[who] {
			size++
		} else if !on && l.members[who] {
			size--
		}
	}
	return textAnswer(strconv.Itoa(size))
}

func (s *Server) getUsers(p *project, r *http.Request, _ []byte) answer {
	return s.listUsers(p, r, "maxResults", 0)
}

func (s *Server) previewUsers(p *project, r *http.Request, _ []byte) answer {
	return s.listUsers(p, r, "size", api.MaxPreview)
}

// listUsers answers with the members' names, one a line, in any order.
func (s *Server) listUsers(p *project, r *http.Request, limitName string, most int) answer {
	query := r.URL.Query()
	for name := range query {
		if name != "listId" && name != "preferUserId" && name != limitName {
			return badParams("unknown parameter %q", name)
		}
	}
	limit := most
	if text := query.Get(limitName); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || most > 0 && n > most {
			return badParams("%s: not a number that is allowed", limitName)
		}
		limit = n
	}
	preferUserID, err := strconv.ParseBool(cmp.Or(query.Get("preferUserId"), "false"))
	if err != nil {
		return badParams("preferUserId: expected true or false")
	}
	if _, err := strconv.ParseInt(query.Get("listId"), 10, 64); err != nil {
		return badParams("listId: expected a whole number")
	}
	l := p.lists[listOf(r)]
	if l == nil {
		return unknownList(p, listOf(r))
	}
	looks := l.hidden(s.now())
	var out strings.Builder
	lines := 0
	line := func(who *profile) {
		name := who.email
		if name == "" || preferUserID && who.userID != "" {
			name = who.userID
		}
		if lines++; limit == 0 || lines <= limit {
			out.WriteString(name + "\n")
		}
	}
	for who := range l.members {
		if on, changed := looks[who]; on || !changed {
			line(who)
		}
	}
	for who, on := range looks {
		if on && !l.members[who] {
			line(who)
		}
	}
	return textAnswer(out.String())
}
