// Package limits learns the limits of a project in Iterable, and keeps all workers of a
// deployment together within them. Iterable documents neither a rate nor a size for
// subscribe and unsubscribe, and other integrations of the customer use the same project.
//
// A controller starts with 5 requests/s of 1,000 profiles. While Iterable accepts them, each
// request has ten times as many profiles as the one before. After one that is too large, it
// tries sizes between the largest accepted and the smallest refused one. Then the rate doubles
// each second until the first 429, which reduces it to 40 %. From then on the rate is held,
// and a slightly higher one is tried from time to time. A 429 ends the try, reduces the rate
// by 5 %, and doubles the time until the next try.
//
// Workers need no coordinator: each keeps a small file in the data root while it sends, with
// the number of its uploads and what it has learned, and reads the others' files. A file that
// has not been renewed for a while belongs to a killed worker and does not count. Age is
// measured by the storage's clock alone: every worker compares the others' files with the one
// that it has just written. What was learned stays in the data root for a week.
package limits

import (
	"sync"
	"time"

	"iterable-segment-export/schemas"
)

// Registry holds the limiters of a process: one for each connection and endpoint.
type Registry struct {
	mu       sync.Mutex
	limiters map[key]*Limiter
	known    map[key]Learned // read from the data root
	parts    map[string]part // of connections
}

type key struct{ connection, endpoint string }

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{limiters: map[key]*Limiter{}, known: map[key]Learned{}, parts: map[string]part{}}
}

// For returns the limiter of a connection's endpoint. A setting that has changed
// takes effect at once.
func (r *Registry) For(connection, endpoint string, set schemas.Limits) *Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := key{connection, endpoint}
	l := r.limiters[k]
	if l == nil {
		l = newLimiter(set, r.known[k])
		if p, ok := r.parts[connection]; ok {
			l.divide(p, false, nil)
		}
		r.limiters[k] = l
		return l
	}
	l.configure(set)
	return l
}

// Expected returns the requests per second, and the profiles per request, with which uploads
// begin if that much is known.
func Expected(set schemas.Limits, known Learned) schemas.LearnedLimits {
	c := newController(set, known)
	size, _ := c.size(time.Time{})
	return schemas.LearnedLimits{RequestsPerSecond: c.Rate, Profiles: max(min(size, c.Rows), min(size, startRows))}
}

// Each calls f for every limiter, for metrics.
func (r *Registry) Each(f func(connection, endpoint string, l *Limiter)) {
	for k, l := range r.of("") {
		f(k.connection, k.endpoint, l)
	}
}

// of returns the limiters of a connection, or all of them.
func (r *Registry) of(connection string) map[key]*Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[key]*Limiter{}
	for k, l := range r.limiters {
		if connection == "" || k.connection == connection {
			found[k] = l
		}
	}
	return found
}

// divide sets this process's part of a connection's limits. joined reports whether others
// have just begun to send; known is what the others know, by endpoint.
func (r *Registry) divide(connection string, p part, joined bool, known func(endpoint string) []Learned) {
	r.mu.Lock()
	r.parts[connection] = p
	r.mu.Unlock()
	for k, l := range r.of(connection) {
		l.divide(p, joined, known(k.endpoint))
	}
}

// remember stores what the data root knows, for future limiters.
func (r *Registry) remember(connection string, known map[string]Learned) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for endpoint, l := range known {
		r.known[key{connection, endpoint}] = l
	}
}
