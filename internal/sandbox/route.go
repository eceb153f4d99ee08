package sandbox

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// call is which endpoint a request is for, and what its path names.
type call struct {
	endpoint endpoint
	listID   int64
	name     string // an address or a user id
	byUserID bool
	err      *apiError // why it is for none
}

// method is what the endpoints of one path are, by HTTP method.
type methods map[string]endpoint

// route finds the endpoint for a method and an escaped path.
func route(method, path string) call {
	rest, ok := strings.CutPrefix(path, "/api/")
	if !ok {
		return unrouted(notFound("There is nothing at this path"))
	}
	switch rest {
	case "lists":
		return pick(method, methods{http.MethodGet: getLists, http.MethodPost: createList}, call{})
	case "lists/getUsers":
		return pick(method, methods{http.MethodGet: getUsers}, call{})
	case "lists/previewUsers":
		return pick(method, methods{http.MethodGet: previewUsers}, call{})
	case "lists/subscribe":
		return pick(method, methods{http.MethodPost: subscribe}, call{})
	case "lists/unsubscribe":
		return pick(method, methods{http.MethodPost: unsubscribe}, call{})
	case "users/getFields":
		return pick(method, methods{http.MethodGet: getFields}, call{})
	}
	parts := strings.Split(rest, "/")
	switch {
	case parts[0] == "lists" && (len(parts) == 2 || len(parts) == 3 && parts[2] == "size"):
		id, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil || id < 0 {
			return unrouted(notFound("A list's id is a whole number"))
		}
		if len(parts) == 3 {
			return pick(method, methods{http.MethodGet: listSize}, call{listID: id})
		}
		return pick(method, methods{http.MethodDelete: deleteList}, call{listID: id})
	case parts[0] == "users" && (len(parts) == 2 || len(parts) == 3 && parts[1] == "byUserId"):
		name, err := url.PathUnescape(parts[len(parts)-1])
		if err != nil || name == "" {
			return unrouted(notFound("There is nothing at this path"))
		}
		return pick(method, methods{http.MethodGet: getUser}, call{name: name, byUserID: len(parts) == 3})
	}
	return unrouted(notFound("There is nothing at this path"))
}

func unrouted(err *apiError) call { return call{endpoint: unknown, err: err} }

func pick(method string, m methods, c call) call {
	if e, ok := m[method]; ok {
		c.endpoint = e
		return c
	}
	return unrouted(&apiError{status: http.StatusMethodNotAllowed, Code: "GenericError",
		Msg: "The method " + method + " is not for this path"})
}

func isEndpoint(name string) bool {
	switch endpoint(name) {
	case getLists, createList, deleteList, listSize, getUsers, previewUsers, subscribe, unsubscribe, getFields, getUser:
		return true
	}
	return false
}

// handle does what a call asks for. It has passed key, faults and rate.
func (s *Server) handle(p *project, r *http.Request, c call, body []byte) answer {
	switch c.endpoint {
	case subscribe, unsubscribe:
		return s.update(p, body, c.endpoint == subscribe)
	case getLists:
		return p.getLists()
	case createList:
		return s.createList(p, body)
	case deleteList:
		return s.deleteList(p, c.listID)
	case listSize:
		return s.listSize(p, c.listID)
	case getUsers:
		return p.listUsers(r.URL.Query(), false)
	case previewUsers:
		return p.listUsers(r.URL.Query(), true)
	case getFields:
		return p.getFields()
	default:
		return p.getUser(c.name, c.byUserID)
	}
}
