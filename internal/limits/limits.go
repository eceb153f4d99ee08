// Package limits learns the limits of a project in Iterable, and keeps all workers of a
// deployment together within them. Iterable documents neither a rate nor a size for
// subscribe and unsubscribe, and other integrations of the customer use the same project.
//
// A controller starts with 5 requests/s of 1,000 profiles, then tries a hundred times as many in
// one. After a request that is too large, it tries sizes between the largest accepted and the
// smallest refused one. Then the rate rises by 36 each second until the first 429. From the
// requests until then it calculates the limit, as that of a bucket of one second's requests.
// From then on the rate is held, and a slightly higher one is tried from time to time. A 429 ends
// the try, reduces the rate by 5 %, and doubles the time until the next try.
//
// Workers need no coordinator: each keeps a small file in the data root while it sends, with
// the number of its uploads and what it has learned, and reads the others' files. A file that
// has not been renewed for a while belongs to a killed worker and does not count. Age is
// measured by the storage's clock alone: every worker compares the others' files with the one
// that it has just written. What was learned stays in the data root for a week.
//
// The limits are those of a project. Several connections can lead to one project; they share
// its limits from the first run on in which each has read the project's lists.
package limits

import (
	"cmp"
	"sync"
	"time"

	"iterable-segment-export/schemas"
)

// Registry holds the limiters of a process: one for each project and endpoint.
type Registry struct {
	mu       sync.Mutex
	projects map[string]string                    // by connection
	set      map[string]schemas.Limits            // by connection that has sent
	declared map[string]map[string]schemas.Limits // by project and connection: the settings of all connections
	limiters map[key]*Limiter
	known    map[key]Learned          // read from the data root
	parts    map[string]part          // of projects
	found    map[string]chan struct{} // a Limiter's found, by project
}

type key struct{ project, endpoint string }

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{
		projects: map[string]string{}, set: map[string]schemas.Limits{}, declared: map[string]map[string]schemas.Limits{},
		limiters: map[key]*Limiter{}, known: map[key]Learned{}, parts: map[string]part{}, found: map[string]chan struct{}{},
	}
}

// ownProject is the project of a connection that is not known to share one.
func ownProject(connection string) string { return "connection " + connection }

// lastProject returns a connection's project, by the last upload.
func (r *Registry) lastProject(connection string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.project(connection)
}

// project is lastProject for callers that have locked r.mu.
func (r *Registry) project(connection string) string {
	return cmp.Or(r.projects[connection], ownProject(connection))
}

// assign sets the project of a connection.
func (r *Registry) assign(connection, project string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.projects[connection] = project
}

// For returns the limiter of an endpoint of a connection's project. A setting that has
// changed takes effect at once. If several connections lead to the project, the lowest of
// their settings applies.
func (r *Registry) For(connection, endpoint string, set schemas.Limits) *Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := key{r.project(connection), endpoint}
	r.set[connection] = set
	if declared := r.declared[k.project]; declared != nil {
		if _, ok := declared[connection]; ok {
			declared[connection] = set
		}
		for _, theirs := range declared {
			set = lowest(set, theirs)
		}
	}
	for other, theirs := range r.set {
		if r.project(other) == k.project {
			set = lowest(set, theirs)
		}
	}
	l := r.limiters[k]
	if l == nil {
		l = newLimiter(set, r.known[k])
		l.found = r.foundOf(k.project)
		if p, ok := r.parts[k.project]; ok {
			l.divide(p, false, nil)
		}
		r.limiters[k] = l
		return l
	}
	l.configure(set)
	return l
}

// declare sets the settings of the connections to a project, and updates those with which this
// process was called. all are the present settings of all connections.
func (r *Registry) declare(project string, these, all map[string]schemas.Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.declared[project] = these
	for connection := range r.set {
		if set, ok := all[connection]; ok {
			r.set[connection] = set
		} else {
			delete(r.set, connection)
		}
	}
}

// overloads returns a channel that receives after a project's first 429 to this process.
func (r *Registry) overloads(project string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.foundOf(project)
}

// foundOf is overloads for callers that have locked r.mu.
func (r *Registry) foundOf(project string) chan struct{} {
	if r.found[project] == nil {
		r.found[project] = make(chan struct{}, 1)
	}
	return r.found[project]
}

// lowest returns the lower of each of two connections' limits, where 0 is no limit.
func lowest(a, b schemas.Limits) schemas.Limits {
	return schemas.Limits{
		RequestsPerSecond:        lower(a.RequestsPerSecond, b.RequestsPerSecond),
		MaxRequestsPerSecond:     lower(a.MaxRequestsPerSecond, b.MaxRequestsPerSecond),
		SubscribersPerRequest:    lower(a.SubscribersPerRequest, b.SubscribersPerRequest),
		MaxSubscribersPerRequest: lower(a.MaxSubscribersPerRequest, b.MaxSubscribersPerRequest),
		MaxBodyBytes:             lower(a.MaxBodyBytes, b.MaxBodyBytes),
	}
}

func lower[T cmp.Ordered](a, b T) T {
	var none T
	if a == none || b != none && b < a {
		return b
	}
	return a
}

// Expected returns the requests per second, and the profiles per request, with which uploads
// begin if that much is known.
func Expected(set schemas.Limits, known Learned) schemas.LearnedLimits {
	c := newController(set, known)
	size, _ := c.size(time.Time{})
	return schemas.LearnedLimits{RequestsPerSecond: c.Rate, Profiles: max(min(size, c.Rows), min(size, startRows))}
}

// Each calls f for every limiter of each connection that has used one, for metrics.
func (r *Registry) Each(f func(connection, endpoint string, l *Limiter)) {
	r.mu.Lock()
	projects := map[string]string{}
	for connection := range r.set {
		projects[connection] = r.project(connection)
	}
	r.mu.Unlock()
	for connection, project := range projects {
		for endpoint, l := range r.of(project) {
			f(connection, endpoint, l)
		}
	}
}

// of returns the limiters of a project by endpoint.
func (r *Registry) of(project string) map[string]*Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string]*Limiter{}
	for k, l := range r.limiters {
		if k.project == project {
			found[k.endpoint] = l
		}
	}
	return found
}

// divide sets this process's part of a project's limits. joined reports whether others
// have just begun to send; known is what the others know, by endpoint.
func (r *Registry) divide(project string, p part, joined bool, known func(endpoint string) []Learned) {
	r.mu.Lock()
	r.parts[project] = p
	r.mu.Unlock()
	for endpoint, l := range r.of(project) {
		l.divide(p, joined, known(endpoint))
	}
}

// remember stores what the data root knows, for future limiters.
func (r *Registry) remember(project string, known map[string]Learned) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for endpoint, l := range known {
		r.known[key{project, endpoint}] = l
	}
}
