package iterable

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/lease"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/schemas"
)

// Hosts of Iterable's two data centres (iterable-api.md).
const (
	US = "https://api.iterable.com"
	EU = "https://api.eu.iterable.com"
)

// Address returns the URL of a connection's API.
func Address(c schemas.Connection) string {
	switch {
	case c.BaseURL != "":
		return c.BaseURL
	case c.Region == schemas.RegionEU:
		return EU
	}
	return US
}

// Options are the settings of New. BaseURL and Key must be set.
type Options struct {
	// BaseURL is the API's address, US or EU or another for tests.
	BaseURL string
	// OtherURL is the other data centre's address, which only CheckKey uses, after BaseURL has
	// rejected the key. The default is EU for US, US for EU, and otherwise none.
	OtherURL string
	// Key returns the API key. It is called for every request, so that a key can be
	// changed while the worker runs.
	Key func() (string, error)
	// Connection is the connection's name: clients of one connection that share a
	// Registry share its limits.
	Connection string
	Limits     schemas.Limits
	// Registry holds the process's limiters; default a new one.
	Registry *limits.Registry
	// HTTP is the client to send with; default NewHTTPClient's. Its redirect
	// policy is replaced: redirects are never followed.
	HTTP *http.Client
	// Timeout bounds a request from the dialling to the answer's last byte;
	// default 2 minutes.
	Timeout time.Duration
	// Version goes into the User-Agent; default "dev".
	Version string
	// Log gets repeated requests at debug level; default: no log.
	Log *slog.Logger
	// Wait, if not nil, blocks until a request to an endpoint with a documented limit per second
	// may be made. Concurrent callers of Lists and SharedFields then share requests.
	Wait func(context.Context, api.Endpoint) error
	// Pause blocks for the pause before a repeated request, or until the context ends; tests
	// replace it.
	Pause func(context.Context, time.Duration) error
}

// Client calls the API for one connection. It is safe for concurrent use.
type Client struct {
	base, other string
	key         func() (string, error)
	connection  string
	limits      schemas.Limits
	registry    *limits.Registry
	http        *http.Client
	timeout     time.Duration
	grace       time.Duration
	agent       string
	log         *slog.Logger
	wait        func(context.Context, api.Endpoint) error
	pause       func(context.Context, time.Duration) error
	fields      *atomic.Pointer[foundFields] // the last result of SharedFields
	asksLists   *joint[[]List]               // as asksFields, nil without wait
	asksFields  *joint[map[string]string]
}

// foundFields are the project's data fields at a time.
type foundFields struct {
	at     time.Time
	fields map[string]string
}

// New returns a client, or an error for an invalid address.
func New(o Options) (*Client, error) {
	base, err := cleanURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	other := o.OtherURL
	switch {
	case other != "":
		if other, err = cleanURL(other); err != nil {
			return nil, err
		}
	case base == US:
		other = EU
	case base == EU:
		other = US
	}
	if o.Key == nil {
		return nil, errors.New("iterable: Options.Key is missing")
	}
	client := NewHTTPClient(TransportOptions{})
	if o.HTTP != nil {
		c := *o.HTTP
		c.CheckRedirect = refuseRedirect
		client = &c
	}
	registry := o.Registry
	if registry == nil {
		registry = limits.NewRegistry()
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	pause := o.Pause
	if pause == nil {
		pause = limits.Sleep
	}
	out := &Client{
		base: base, other: other, key: o.Key, connection: o.Connection, limits: o.Limits.WithDefaults(),
		registry: registry, http: client, timeout: cmp.Or(o.Timeout, 2*time.Minute), grace: answerGrace,
		agent: "iterable-segment-export/" + cmp.Or(o.Version, "dev"), log: log, wait: o.Wait, pause: pause,
		fields: new(atomic.Pointer[foundFields]),
	}
	if o.Wait != nil {
		out.asksLists, out.asksFields = new(joint[[]List]), new(joint[map[string]string])
	}
	return out, nil
}

// cleanURL returns a valid address of the API without a trailing slash.
func cleanURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", errors.New("the connection's address is not a URL: write it like " + US)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("the connection's address must be a scheme, a host and at most a path: write it like " + US)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Lists returns every list of the project, from a request that began after the call.
func (c *Client) Lists(ctx context.Context) ([]List, error) {
	return c.asksLists.get(ctx, func(ctx context.Context, begins func()) ([]List, error) {
		return read(ctx, c, call{endpoint: api.Lists, begins: begins}, decodeLists)
	})
}

// CreateList creates a Standard list and returns its ID. It does not retry: after a Transient
// error the list may exist, so look for it first. The description is cut to the 140 characters
// that Iterable allows.
func (c *Client) CreateList(ctx context.Context, name, description string) (int64, error) {
	body, err := encodeCreate(name, description)
	if err != nil {
		return 0, err
	}
	return do(ctx, c, call{endpoint: api.CreateList, body: body}, decodeCreated)
}

// DeleteList deletes a list, not its profiles. Its error is UnknownList for a list that does
// not exist, and ListInUse for one in use.
func (c *Client) DeleteList(ctx context.Context, id int64) error {
	_, err := do(ctx, c, call{endpoint: api.DeleteList, list: id}, ignore)
	return err
}

// ListSize returns the number of members that a list had up to a minute ago.
// Iterable allows five such requests a minute for all lists of a project.
func (c *Client) ListSize(ctx context.Context, id int64) (int64, error) {
	return do(ctx, c, call{endpoint: api.ListSize, list: id}, decodeSize)
}

// Fields returns the project's data fields, name to type.
func (c *Client) Fields(ctx context.Context) (map[string]string, error) {
	return read(ctx, c, call{endpoint: api.GetFields}, decodeFields)
}

// fieldsFor is how long an answer of SharedFields is shared.
const fieldsFor = time.Second

// SharedFields returns the project's data fields. Calls within fieldsFor share an answer.
func (c *Client) SharedFields(ctx context.Context) (map[string]string, error) {
	if found := c.fields.Load(); found != nil && time.Since(found.at) < fieldsFor {
		return found.fields, nil
	}
	return c.asksFields.get(ctx, func(ctx context.Context, _ func()) (map[string]string, error) {
		found, err := c.Fields(ctx)
		if err == nil {
			c.fields.Store(&foundFields{time.Now(), found})
		}
		return found, err
	})
}

// maxForgotten is the maximum size of the answer with forgotten profiles in bytes, that of
// four million.
const maxForgotten = 256 << 20

// Forgotten returns the SHA-256, in hexadecimal, of the trimmed address or user ID
// in lower case of each profile that the project has forgotten. Beside an error it
// returns those of the first of a hybrid project's two lists, if that was answered.
func (c *Client) Forgotten(ctx context.Context, projectType string) (hashes []string, err error) {
	if projectType != schemas.ProjectUserID {
		if hashes, err = read(ctx, c, call{endpoint: api.Forgotten, most: maxForgotten}, decodeForgotten); err != nil {
			return nil, err
		}
	}
	if projectType == schemas.ProjectUserID || projectType == schemas.ProjectHybrid {
		ids, err := read(ctx, c, call{endpoint: api.ForgottenUserIDs, most: maxForgotten}, decodeForgotten)
		if err != nil {
			return hashes, err
		}
		hashes = append(hashes, ids...)
	}
	return hashes, nil
}

// call is one request.
type call struct {
	endpoint api.Endpoint
	list     int64 // in the endpoint's path
	body     []byte
	// base is the address of the API; default the client's.
	base string
	// most is the maximum size of its answer in bytes; default maxAnswer.
	most int64
	// begins, if not nil, is called when a call that only reads may be made.
	begins func()
	// whole makes the call continue for the client's grace after its caller was cancelled, so
	// that its outcome is known.
	whole bool
}

// name returns how errors name the call: without an ID.
func (r call) name() string { return strings.ReplaceAll(r.endpoint.String(), "{listId}", "{id}") }

func (r call) path() string {
	return strings.ReplaceAll(r.endpoint.Path, "{listId}", strconv.FormatInt(r.list, 10))
}

// answerGrace is how long a cancelled request may wait for its answer.
const answerGrace = 30 * time.Second

// ignore accepts any answer.
func ignore([]byte) (struct{}, error) { return struct{}{}, nil }

// do makes one call. Its error is nil, the context's, or an *Error.
func do[T any](ctx context.Context, c *Client, r call, decode func([]byte) (T, error)) (T, error) {
	var zero T
	data, status, err := c.roundTrip(ctx, r)
	if err != nil {
		return zero, err
	}
	v, err := decode(data)
	if err != nil {
		// A 200 with damaged content: the change may have been made.
		return zero, &Error{Class: Transient, Status: status, Endpoint: r.name(), Detail: err.Error()}
	}
	return v, nil
}

// roundTrip sends the call and reads the whole answer.
func (c *Client) roundTrip(ctx context.Context, r call) ([]byte, int, error) {
	key, err := c.checkedKey(r.name())
	if err != nil {
		return nil, 0, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("iterable, %s: %w", r.name(), context.Cause(ctx))
	}
	outer := ctx
	if r.whole {
		ctx = context.WithoutCancel(ctx)
	}
	inner, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if r.whole {
		defer context.AfterFunc(outer, func() { time.AfterFunc(c.grace, cancel) })()
	}
	req, err := http.NewRequestWithContext(inner, r.endpoint.Method, cmp.Or(r.base, c.base)+r.path(), bytes.NewReader(r.body))
	if err != nil {
		return nil, 0, fmt.Errorf("iterable, %s: the request can't be made", r.name())
	}
	req.Header.Set("Api-Key", key)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, c.failed(ctx, r, 0, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, resp.StatusCode, refusal(r, resp)
	}
	data, err := readBounded(resp.Body, cmp.Or(r.most, maxAnswer))
	if err != nil {
		return nil, resp.StatusCode, c.failed(ctx, r, resp.StatusCode, err)
	}
	return data, resp.StatusCode, nil
}

// failed distinguishes a request that the caller cancelled from one that the network broke.
func (c *Client) failed(ctx context.Context, r call, status int, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("iterable, %s: %w", r.name(), context.Cause(ctx))
	}
	if errors.Is(err, lease.ErrLost) {
		return fmt.Errorf("iterable, %s: %w", r.name(), lease.ErrLost)
	}
	return transportError(r.name(), status, err)
}

// refusal returns the error of an answer that is not a 2xx.
func refusal(r call, resp *http.Response) *Error {
	// A truncated answer still has its status, which is enough.
	data, _ := readBounded(resp.Body, maxErrorAnswer)
	e := &Error{Status: resp.StatusCode, Endpoint: r.name()}
	var unknownList bool
	e.Code, unknownList, e.Mismatches = decodeError(data)
	e.Class = classify(e.Status, e.Code)
	if unknownList {
		e.Class, e.Code = UnknownList, ""
		e.Detail = "the list is not known"
	} else if e.Status == http.StatusConflict && r.endpoint == api.DeleteList {
		e.Class = ListInUse
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if e.Status >= 300 && e.Status <= 399 {
		e.Detail = "a redirect, which is not followed"
	}
	return e
}

// checkedKey returns the API key, or an error that does not repeat it.
func (c *Client) checkedKey(endpoint string) (string, error) {
	key, err := c.key()
	if err != nil {
		return "", fmt.Errorf("iterable, %s: %w", endpoint, err)
	}
	key = strings.TrimSpace(key)
	if key == "" {
		return "", &Error{Class: NoKey, Endpoint: endpoint, Detail: "the API key is empty"}
	}
	for _, r := range key {
		if r <= ' ' || r >= utf8.RuneSelf || r == 0x7f {
			return "", &Error{Class: NoKey, Endpoint: endpoint, Detail: "the API key has spaces, control characters or characters beyond ASCII"}
		}
	}
	return key, nil
}
