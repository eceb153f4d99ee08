package iterable

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

// KeyCheck is the result of CheckKey.
type KeyCheck struct {
	// Lists and Fields are the numbers of the project's lists and data fields.
	Lists, Fields int
}

// probePrefix starts the name of the list that CheckKey makes and deletes.
const probePrefix = "iterable-segment-export connection check "

// cleanUpTime bounds the deletion of a probe list, which continues after the caller's context
// has ended.
const cleanUpTime = 30 * time.Second

// CheckKey returns an error unless the connection's key can read and write lists, as exports
// need. To prove the latter it makes an empty list and deletes it again. The error for a key
// of the other data centre is WrongRegion; for one that may only read, or that is for browsers
// and phones, it is Forbidden.
func (c *Client) CheckKey(ctx context.Context) (KeyCheck, error) {
	lists, err := c.Lists(ctx)
	if ClassOf(err) == KeyRejected && c.other != "" {
		return KeyCheck{}, c.elsewhere(ctx, err)
	}
	if err != nil {
		return KeyCheck{}, fmt.Errorf("read the project's lists: %w", err)
	}
	fields, err := c.Fields(ctx)
	if err != nil {
		return KeyCheck{}, fmt.Errorf("read the project's fields: %w", err)
	}
	if err := c.probeWrite(ctx); err != nil {
		return KeyCheck{}, err
	}
	return KeyCheck{Lists: len(lists), Fields: len(fields)}, nil
}

// elsewhere tries a key that this data centre rejects at the other one.
func (c *Client) elsewhere(ctx context.Context, rejected error) error {
	_, err := read(ctx, c, call{endpoint: api.Lists, base: c.other}, decodeLists)
	if class := ClassOf(err); err == nil || class == Forbidden || class == Throttled {
		// Only a known key gets such an answer.
		return &Error{Class: WrongRegion, Status: http.StatusUnauthorized, Code: api.CodeBadAPIKey, Endpoint: api.Lists.String()}
	}
	return fmt.Errorf("read the project's lists: %w", rejected)
}

// probeWrite makes a list and deletes it again, even if the context ends.
func (c *Client) probeWrite(ctx context.Context) (err error) {
	name := probePrefix + rand.Text()
	id, err := c.CreateList(ctx, name, "Made to check a connection, and deleted again at once.")
	if err != nil && ClassOf(err) != Transient && ctx.Err() == nil {
		return fmt.Errorf("make a list to see whether the key can write: %w", err)
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	if err != nil {
		// There was no answer, but the list may have been made.
		if cleanErr := c.deleteNamed(after, name); cleanErr != nil {
			return fmt.Errorf("make a list to see whether the key can write: %w; if there is a list %q in Iterable, delete it", err, name)
		}
		return fmt.Errorf("make a list to see whether the key can write: %w", err)
	}
	if err := c.DeleteNew(after, id); err != nil {
		return fmt.Errorf("delete the list %d that was made to check the key: %w; delete it in Iterable", id, err)
	}
	return nil
}

// deleteNamed deletes the list of that name, if there is one.
func (c *Client) deleteNamed(ctx context.Context, name string) error {
	lists, err := c.Lists(ctx)
	if err != nil {
		return err
	}
	for _, l := range lists {
		if l.Name == name {
			if err := c.DeleteNew(ctx, l.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// newDeletes is how often DeleteNew retries: for about 30 s, as long as Iterable's own tests
// wait for a new list.
const newDeletes = 7

// DeleteNew deletes a list that was just made, with retries: Iterable may not know a new list
// yet. The list counts as deleted if it is missing twice in the project's lists.
func (c *Client) DeleteNew(ctx context.Context, id int64) error {
	missing := 0
	for try := 0; ; try++ {
		_, err := read(ctx, c, call{endpoint: api.DeleteList, list: id}, ignore)
		if class := ClassOf(err); class != NotFound && class != UnknownList || try == newDeletes {
			return err
		}
		if c.pause(ctx, backoff(try, longestPause)) != nil {
			return err
		}
		lists, lookErr := c.Lists(ctx)
		if lookErr != nil {
			return lookErr
		}
		if slices.ContainsFunc(lists, func(l List) bool { return l.ID == id }) {
			missing = 0
		} else if missing++; missing == 2 {
			return nil
		}
	}
}
