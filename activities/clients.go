package activities

import (
	"context"
	"fmt"
	"sync"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// Clients caches one API client per connection, so that all requests of a process over a
// connection share its pace.
type Clients struct {
	// Connections finds the connections.
	Connections Connections
	// New makes a client.
	New func(schemas.Connection, func() (string, error)) (*iterable.Client, error)

	mu      sync.Mutex
	clients map[string]*client
}

type client struct {
	connection schemas.Connection
	api        *iterable.Client
}

// Get returns the client of a connection, a new one when the connection's host or
// limits have changed since the last call. The key is read again at every request.
func (c *Clients) Get(name string) (*iterable.Client, error) {
	connection, err := c.Connections.Get(name)
	if err != nil {
		return nil, step.NeedOperator(schemas.ErrorUnknownConnection, err.Error())
	}
	if _, err := c.Connections.Key(connection); err != nil {
		return nil, step.NeedOperator(schemas.ErrorNoKey, err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.clients[name]; ok && known.connection.BaseURL == connection.BaseURL &&
		known.connection.Region == connection.Region && known.connection.Limits == connection.Limits {
		return known.api, nil
	}
	api, err := c.New(connection, func() (string, error) {
		now, err := c.Connections.Get(name)
		if err != nil {
			return "", err
		}
		return c.Connections.Key(now)
	})
	if err != nil {
		return nil, step.NeedOperator(schemas.ErrorUnknownConnection, fmt.Sprintf("connection %q: %v", name, err))
	}
	if c.clients == nil {
		c.clients = map[string]*client{}
	}
	c.clients[name] = &client{connection: connection, api: api}
	return api, nil
}

// Try tries a connection's key, and returns how many lists and fields the project has.
// The error is for people.
func (c *Clients) Try(ctx context.Context, of schemas.Connection) (lists, fields int, err error) {
	client, err := c.Get(of.Name)
	if err != nil {
		return 0, 0, step.Plain(err)
	}
	found, err := client.CheckKey(ctx)
	if err != nil {
		err = step.Plain(failure(err, of.Name))
	}
	return found.Lists, found.Fields, err
}
