package sandbox

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"iterable-segment-export/internal/iterable/api"
)

// list is one list of the project.
type list struct {
	api.List
	known   time.Time         // subscribe and unsubscribe know it from then on
	inUse   bool              // a campaign or a journey uses it: it can't be deleted
	members map[*profile]bool // the keys
	shown   map[*profile]bool // by size and getUsers: the same map if they do not lag
	pending []change          // not shown yet, oldest first
}

// change adds or removes members.
type change struct {
	visible time.Time
	who     []*profile
	on      bool
}

func (s *Server) sortedLists() []*list {
	return slices.SortedFunc(maps.Values(s.lists), func(a, b *list) int { return cmp.Compare(a.ID, b.ID) })
}

func (s *Server) getLists(*http.Request, []byte) answer {
	out := api.ListsAnswer{Lists: []api.List{}}
	for _, l := range s.sortedLists() {
		out.Lists = append(out.Lists, l.List)
	}
	return jsonAnswer(http.StatusOK, out)
}

func (s *Server) createList(_ *http.Request, body []byte) answer {
	var in api.CreateListRequest
	read(body, &in)
	if s.config.TrimNames {
		in.Name = strings.TrimSpace(in.Name)
	}
	if in.Name == "" {
		return badParams("name is missing")
	}
	if n := utf8.RuneCountInString(in.Description); n > api.MaxDescription {
		return badParams("description: %d characters, at most %d are allowed", n, api.MaxDescription)
	}
	for _, l := range s.lists {
		if s.config.RefuseTwins && l.Name == in.Name {
			return badParams("A list of this name exists already")
		}
	}
	id := s.newList(api.List{Name: in.Name, Description: in.Description, ListType: api.Standard}, s.delay(s.config.NewList))
	return jsonAnswer(http.StatusOK, api.CreateListAnswer{ListID: &id})
}

// newList makes a list, known after a delay, and returns its ID.
func (s *Server) newList(l api.List, delay time.Duration) int64 {
	s.lastList++
	l.ID, l.CreatedAt = s.lastList, cmp.Or(l.CreatedAt, s.at.UnixMilli())
	made := &list{List: l, known: s.at.Add(delay), members: map[*profile]bool{}, shown: map[*profile]bool{}}
	if s.config.Lag == 0 {
		made.shown = made.members
	}
	s.lists[l.ID] = made
	return l.ID
}

// AddList makes a list without the API and returns its ID. Its type defaults to Standard and its
// creation to now, and it is known at once.
func (s *Server) AddList(l api.List) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.now()
	l.ListType = cmp.Or(l.ListType, api.Standard)
	return s.newList(l, 0)
}

// SetInUse sets whether a campaign or a journey uses a list.
func (s *Server) SetInUse(id int64, inUse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists[id].inUse = inUse
}

// listOf returns the list in a request's path or query, or refuses the request.
func (s *Server) listOf(r *http.Request) *list {
	id, err := strconv.ParseInt(cmp.Or(r.PathValue("listId"), r.URL.Query().Get("listId")), 10, 64)
	if err != nil {
		panic(badParams("listId: expected a whole number"))
	}
	l := s.lists[id]
	if l == nil {
		panic(unknownList(id))
	}
	return l
}

func (s *Server) deleteList(r *http.Request, _ []byte) answer {
	l := s.listOf(r)
	if l.inUse {
		return failure(http.StatusConflict, api.CodeGenericError, "List is in use")
	}
	delete(s.lists, l.ID)
	return success("List " + strconv.FormatInt(l.ID, 10) + " deleted")
}

// change changes a list's members, and sets when that is shown. Changes are shown in their
// order.
func (s *Server) change(l *list, who []*profile, on bool) {
	set(l.members, who, on)
	if s.config.Lag == 0 {
		return
	}
	visible := s.at.Add(s.delay(s.config.Lag))
	if n := len(l.pending); n > 0 && l.pending[n-1].visible.After(visible) {
		visible = l.pending[n-1].visible
	}
	l.pending = append(l.pending, change{visible, who, on})
}

func set(in map[*profile]bool, who []*profile, on bool) {
	for _, p := range who {
		if on {
			in[p] = true
		} else {
			delete(in, p)
		}
	}
}

// show returns the list of a request for its size or members, with the changes that are due.
// For a large list, every other request is refused with a 503.
func (s *Server) show(r *http.Request) *list {
	l := s.listOf(r)
	if !s.config.Fast && len(l.members) > 200_000 {
		if s.slow++; s.slow%2 == 1 {
			panic(textAnswer(http.StatusServiceUnavailable, "Request timeout. Try again later."))
		}
	}
	for ; len(l.pending) > 0 && !l.pending[0].visible.After(s.at); l.pending = l.pending[1:] {
		set(l.shown, l.pending[0].who, l.pending[0].on)
	}
	return l
}

func (s *Server) listSize(r *http.Request, _ []byte) answer {
	return textAnswer(http.StatusOK, strconv.Itoa(len(s.show(r).shown)))
}

func (s *Server) getUsers(r *http.Request, _ []byte) answer {
	return s.listUsers(r, "maxResults", math.MaxInt)
}

func (s *Server) previewUsers(r *http.Request, _ []byte) answer {
	return s.listUsers(r, "size", api.MaxPreview)
}

// listUsers answers with the members' identifiers, one per line, in any order.
func (s *Server) listUsers(r *http.Request, limitName string, most int) answer {
	query := r.URL.Query()
	limit, err := strconv.Atoi(cmp.Or(query.Get(limitName), strconv.Itoa(most)))
	if err != nil || limit < 1 || limit > most {
		return badParams("%s: the number is not allowed", limitName)
	}
	preferUserID, err := strconv.ParseBool(cmp.Or(query.Get("preferUserId"), "false"))
	if err != nil {
		return badParams("preferUserId: expected true or false")
	}
	var out strings.Builder
	for who := range s.show(r).shown {
		name := who.email
		if name == "" || preferUserID && who.userID != "" {
			name = who.userID
		}
		if limit--; limit >= 0 {
			out.WriteString(name + "\n")
		}
	}
	return textAnswer(http.StatusOK, out.String())
}
