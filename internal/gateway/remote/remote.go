// Package remote asks a gateway of another process, over HTTP, for what gateway.Service does.
package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/schemas"
)

// Client implements gateway.Service by calling a gateway. Its methods are documented there.
type Client struct {
	base  string
	token func(context.Context) (string, error)
	http  *http.Client
}

var _ gateway.Service = (*Client)(nil)

// New returns a Client for the gateway at base. It calls token for every request.
// The URL must be https, or on this machine, because the token is as good as a password.
func New(base string, token func(context.Context) (string, error)) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("EXPORT_API: %q is not a URL such as https://exports.example.com", base)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("EXPORT_API: %s is not https, so others could read your token", u.Redacted())
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Client{base: strings.TrimSuffix(base, "/"), token: token, http: c}, nil
}

// tries is how many attempts a repeatable request gets.
const tries = 4

// call makes a request and decodes the response.
func call[Out any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (out Out, err error) {
	r, err := c.do(ctx, method, path, query, in, nil)
	if err != nil {
		return out, err
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("decode the gateway's response to %s %s (is it another version?): %w", method, path, err)
	}
	return out, nil
}

// do makes a request, and repeats it if that may help and is harmless.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in any, headers http.Header) (*http.Response, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	repeatable := method == http.MethodGet || headers.Get("Idempotency-Key") != ""
	for try := 1; ; try++ {
		r, again, err := c.once(ctx, method, path, query, body, headers)
		if err == nil || !again || !repeatable || try == tries {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(try) * 500 * time.Millisecond):
		}
	}
}

// once makes a request. again reports whether another attempt may help.
func (c *Client) once(ctx context.Context, method, path string, query url.Values, body []byte, headers http.Header) (answer *http.Response, again bool, err error) {
	where := c.base + path
	if len(query) > 0 {
		where += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, false, err
	}
	for k, v := range headers {
		r.Header[k] = v
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err = c.http.Do(r)
	if err != nil {
		again, err = c.unanswered(err)
		return nil, again && ctx.Err() == nil, err
	}
	if answer.StatusCode/100 == 2 {
		return answer, false, nil
	}
	defer answer.Body.Close()
	var p gateway.Problem
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20))                                // as far as it can be read
	plain := bytes.HasPrefix(text, []byte("Client sent an HTTP request to an HTTPS server")) // of net/http
	switch {
	case plain:
		p = gateway.Problem{Status: answer.StatusCode, Detail: fmt.Sprintf("the gateway at %s uses TLS; set EXPORT_API to https://%s", c.base, strings.TrimPrefix(c.base, "http://"))}
	case json.Unmarshal(text, &p) != nil || p.Detail == "":
		p = gateway.Problem{Status: answer.StatusCode, Detail: fmt.Sprintf("the gateway at %s responds with %s to %s %s", c.base, answer.Status, method, path)}
	}
	again = answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusBadGateway || answer.StatusCode == http.StatusServiceUnavailable
	return nil, again, p.Err()
}

// unanswered returns the error of a request that the gateway did not answer. again reports
// whether another attempt may help.
func (c *Client) unanswered(err error) (again bool, _ error) {
	err = errors.Unwrap(err) // of the method and the URL
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return false, fmt.Errorf("the certificate of the gateway at %s is not trusted: %w; add its certificate authority to this system, or set SSL_CERT_FILE to a file with it", c.base, unknown)
	case errors.As(err, &certificate):
		return false, fmt.Errorf("the certificate of the gateway at %s is not valid: %w; correct EXPORT_API, or have the certificate replaced", c.base, certificate.Err)
	}
	return true, fmt.Errorf("no gateway answers at %s: %w; correct EXPORT_API, or start a worker with API_ADDR", c.base, err)
}

// runPath returns the path of a run, and the query that identifies it.
func runPath(run operate.Run, below string) (string, url.Values) {
	query := url.Values{"export": {run.Export}}
	if run.WorkflowID == schemas.CheckWorkflowID(run.Export) {
		query.Set("check", "true")
	}
	return "/v1/runs/" + url.PathEscape(run.RunID) + below, query
}

func setFlag(query url.Values, name string, value bool) {
	if value {
		query.Set(name, "true")
	}
}

func (c *Client) Me(ctx context.Context) (gateway.Me, error) {
	return call[gateway.Me](ctx, c, http.MethodGet, "/v1/me", nil, nil)
}

func (c *Client) Exports(ctx context.Context) ([]operate.Applied, error) {
	return call[[]operate.Applied](ctx, c, http.MethodGet, "/v1/exports", nil, nil)
}

func (c *Client) Names(ctx context.Context) ([]string, error) {
	return call[[]string](ctx, c, http.MethodGet, "/v1/names", nil, nil)
}

func (c *Client) Export(ctx context.Context, export string) (operate.Applied, error) {
	return call[operate.Applied](ctx, c, http.MethodGet, "/v1/exports/"+url.PathEscape(export), nil, nil)
}

func (c *Client) Plan(ctx context.Context, in gateway.PlanRequest) (gateway.Plan, error) {
	return call[gateway.Plan](ctx, c, http.MethodPost, "/v1/plans", nil, in)
}

func (c *Client) Apply(ctx context.Context, in gateway.PlanRequest) (gateway.Plan, error) {
	return call[gateway.Plan](ctx, c, http.MethodPost, "/v1/exports", nil, in)
}

func (c *Client) Remove(ctx context.Context, export string, in gateway.RemoveRequest) (schemas.RemoveAnswer, error) {
	query := url.Values{}
	setFlag(query, "deleteLists", in.DeleteLists)
	return call[schemas.RemoveAnswer](ctx, c, http.MethodDelete, "/v1/exports/"+url.PathEscape(export), query, nil)
}

func (c *Client) Move(ctx context.Context, export string, in gateway.MoveRequest) (schemas.NameRecord, error) {
	return call[schemas.NameRecord](ctx, c, http.MethodPost, "/v1/exports/"+url.PathEscape(export)+"/move", nil, in)
}

func (c *Client) Schedule(ctx context.Context, export string, in gateway.ScheduleRequest) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, "/v1/exports/"+url.PathEscape(export)+"/schedule", nil, in)
	return err
}

func (c *Client) Start(ctx context.Context, in gateway.StartRequest) (out gateway.Started, err error) {
	if in.Key == "" {
		in.Key = rand.Text()
	}
	r, err := c.do(ctx, http.MethodPost, "/v1/runs", nil, in, http.Header{"Idempotency-Key": {in.Key}})
	if err != nil {
		return out, err
	}
	defer r.Body.Close()
	return out, json.NewDecoder(r.Body).Decode(&out)
}

func (c *Client) Runs(ctx context.Context, in gateway.RunsRequest) ([]operate.View, error) {
	query := url.Values{}
	if in.Export != "" {
		query.Set("export", in.Export)
	}
	if in.Limit > 0 {
		query.Set("limit", strconv.Itoa(in.Limit))
	}
	setFlag(query, "underWay", in.UnderWay)
	setFlag(query, "brief", in.Brief)
	return call[[]operate.View](ctx, c, http.MethodGet, "/v1/runs", query, nil)
}

func (c *Client) Find(ctx context.Context, name string) (operate.Run, error) {
	v, err := call[operate.View](ctx, c, http.MethodGet, "/v1/runs/"+url.PathEscape(name), nil, nil)
	return v.Run, err
}

func (c *Client) Look(ctx context.Context, run operate.Run) (operate.View, error) {
	path, query := runPath(run, "")
	return call[operate.View](ctx, c, http.MethodGet, path, query, nil)
}

func (c *Client) Input(ctx context.Context, run operate.Run) (schemas.RunInput, error) {
	path, query := runPath(run, "/input")
	return call[schemas.RunInput](ctx, c, http.MethodGet, path, query, nil)
}

func (c *Client) Answer(ctx context.Context, run operate.Run, in gateway.AnswerRequest) (string, error) {
	path, query := runPath(run, "/answers")
	out, err := call[gateway.Took](ctx, c, http.MethodPost, path, query, in)
	return out.Took, err
}

func (c *Client) Cancel(ctx context.Context, run operate.Run) error {
	path, query := runPath(run, "/cancel")
	_, err := call[struct{}](ctx, c, http.MethodPost, path, query, nil)
	return err
}

// Watch reconnects if the connection breaks: a run outlives restarts of the gateway.
func (c *Client) Watch(ctx context.Context, run operate.Run, stopAtWait bool, see func(operate.View, error)) (operate.View, error) {
	last := operate.View{Run: run}
	var no *access.Refused
	for {
		ended, err := c.stream(ctx, run, stopAtWait, func(v operate.View, problem error) {
			if problem == nil {
				last = v
			}
			if see != nil {
				see(last, problem)
			}
		})
		switch {
		case ctx.Err() != nil:
			return last, ctx.Err()
		case ended:
			return last, nil
		case errors.Is(err, operate.ErrNoRun), errors.As(err, &no) && no.Type != gateway.CodeTooMany:
			return last, err
		case err != nil && see != nil:
			see(last, err)
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// maxEvent is the size limit of one event in bytes: the view of a run with its segments.
const maxEvent = 16 << 20

// stream reads the events of one connection. ended reports whether it got the last one.
// The events are of two lines each, so a library for server-sent events is not needed.
func (c *Client) stream(ctx context.Context, run operate.Run, stopAtWait bool, see func(operate.View, error)) (ended bool, err error) {
	path, query := runPath(run, "/events")
	setFlag(query, "stopAtWait", stopAtWait)
	r, _, err := c.once(ctx, http.MethodGet, path, query, nil, nil)
	if err != nil {
		return false, err
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, maxEvent)
	event := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "data":
			if event == "trouble" {
				var p gateway.Problem
				if err := json.Unmarshal([]byte(value), &p); err != nil {
					return false, err
				}
				see(operate.View{Run: run}, p.Err())
				continue
			}
			var v operate.View
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return false, fmt.Errorf("decode the state of the run of %q: %w", run.Export, err)
			}
			see(v, nil)
			if event == "end" {
				return true, nil
			}
		}
	}
	return false, lines.Err()
}

func (c *Client) Connections(ctx context.Context) (gateway.Connections, error) {
	return call[gateway.Connections](ctx, c, http.MethodGet, "/v1/connections", nil, nil)
}

func (c *Client) CheckConnection(ctx context.Context, connection string) (schemas.ConnectionCheck, error) {
	return call[schemas.ConnectionCheck](ctx, c, http.MethodPost, "/v1/connections/"+url.PathEscape(connection)+"/check", nil, nil)
}

func (c *Client) Connect(ctx context.Context, connection string, in gateway.ConnectRequest) (schemas.ConsentRecord, error) {
	return call[schemas.ConsentRecord](ctx, c, http.MethodPut, "/v1/connections/"+url.PathEscape(connection)+"/consent", nil, in)
}

func (c *Client) Disconnect(ctx context.Context, connection string, in gateway.DisconnectRequest) (gateway.Disconnected, error) {
	query := url.Values{}
	setFlag(query, "detach", in.Detach)
	return call[gateway.Disconnected](ctx, c, http.MethodDelete, "/v1/connections/"+url.PathEscape(connection)+"/consent", query, nil)
}

func (c *Client) FindPerson(ctx context.Context, in people.FindRequest) (people.Found, error) {
	return call[people.Found](ctx, c, http.MethodPost, "/v1/people/find", nil, in)
}

func (c *Client) ForgetPerson(ctx context.Context, in people.ForgetRequest) (people.ForgetAnswer, error) {
	return call[people.ForgetAnswer](ctx, c, http.MethodPost, "/v1/people/forget", nil, in)
}

func (c *Client) Audit(ctx context.Context, since time.Time) ([]schemas.AuditEntry, error) {
	return call[[]schemas.AuditEntry](ctx, c, http.MethodGet, "/v1/audit", url.Values{"since": {since.UTC().Format(time.RFC3339Nano)}}, nil)
}

func (c *Client) Setup(ctx context.Context) (gateway.Setup, error) {
	return call[gateway.Setup](ctx, c, http.MethodPost, "/v1/setup", nil, nil)
}

func (c *Client) Doctor(ctx context.Context) ([]doctor.Finding, error) {
	return call[[]doctor.Finding](ctx, c, http.MethodGet, "/v1/doctor", nil, nil)
}

// Login returns where to get a token.
func (c *Client) Login(ctx context.Context) (gateway.Login, error) {
	return call[gateway.Login](ctx, &Client{base: c.base, http: c.http, token: func(context.Context) (string, error) { return "", nil }}, http.MethodGet, "/v1/login", nil, nil)
}
