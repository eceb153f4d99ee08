// Package notify tells people of runs by webhooks.
package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"iterable-segment-export/schemas"
)

// Options say what a Sender may do.
type Options struct {
	// Secret signs the messages, as the Standard Webhooks specification has it:
	// base64, with or without "whsec_" before it. Empty sends them unsigned.
	Secret string
	// Allowed are the beginnings of URLs that messages may go to. Without any, they
	// go to every https URL of a public address. A URL that is allowed here by
	// name may lie in a private network, and need not be https.
	Allowed []string
	// Proxy chooses the proxy of a request; nil for what HTTPS_PROXY and NO_PROXY say.
	Proxy func(*http.Request) (*url.URL, error)
	// Getenv reads the variables that targets name; nil for os.Getenv.
	Getenv func(string) string
}

// Sender sends messages.
type Sender struct {
	o       Options
	webhook *standardwebhooks.Webhook // nil without a secret
	public  *http.Client              // reaches public addresses only
	private *http.Client
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// timeout bounds one message.
const timeout = 20 * time.Second

// New makes a Sender. It refuses a secret that is no base64 and prefixes that are
// no URLs.
func New(o Options) (*Sender, error) {
	s := &Sender{o: o, lookup: net.DefaultResolver.LookupNetIP}
	if o.Getenv == nil {
		s.o.Getenv = os.Getenv
	}
	if o.Proxy == nil {
		s.o.Proxy = http.ProxyFromEnvironment
	}
	if o.Secret != "" {
		var err error
		if s.webhook, err = standardwebhooks.NewWebhook(o.Secret); err != nil {
			return nil, errors.New("NOTIFY_SECRET is not base64; openssl rand -base64 32 makes one")
		}
	}
	for _, prefix := range o.Allowed {
		if u, err := url.Parse(prefix); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, fmt.Errorf("NOTIFY_ALLOWED: %q is no URL with a host", prefix)
		}
	}
	s.public, s.private = s.client(onlyPublic), s.client(nil)
	return s, nil
}

// client makes an HTTP client that follows no redirect and has each address that
// it is about to reach checked.
func (s *Sender) client(check func(network, address string, _ syscall.RawConn) error) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = s.o.Proxy
	transport.DialContext = (&net.Dialer{Timeout: timeout, Control: check}).DialContext
	return &http.Client{
		Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Error is a message that could not be sent. Its text names the host and never the
// whole URL, which may be a secret.
type Error struct {
	Host string
	// Final tells that no retry will help.
	Final  bool
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("webhook to %s: %s", e.Host, e.Reason) }

// Send sends one message. The error is an *Error.
func (s *Sender) Send(ctx context.Context, in schemas.NotifyInput) error {
	to, with, err := s.target(in.To.URL)
	if err != nil {
		return err
	}
	body, err := encode(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return &Error{Host: to.Host, Final: true, Reason: "the URL can't be called"}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "iterable-segment-export")
	if in.To.Format != schemas.NotifySlack {
		if err := s.sign(r.Header, in.ID, body); err != nil {
			return &Error{Host: to.Host, Final: true, Reason: err.Error()}
		}
	}
	if with, err = s.throughProxy(r, with); err != nil {
		return unreachable(to.Host, err)
	}
	answer, err := with.Do(r)
	if err != nil {
		return unreachable(to.Host, err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	if answer.StatusCode/100 == 2 {
		return nil
	}
	again := answer.StatusCode/100 == 5 || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout
	return &Error{Host: to.Host, Final: !again, Reason: fmt.Sprintf("HTTP %d", answer.StatusCode)}
}

// unreachable puts an error into words; the original quotes the URL.
func unreachable(host string, err error) *Error {
	switch {
	case errors.Is(err, errPrivate):
		return &Error{Host: host, Final: true, Reason: errPrivate.Error()}
	case errors.Is(err, errUnresolved):
		return &Error{Host: host, Reason: errUnresolved.Error()}
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return &Error{Host: host, Reason: "no answer in time"}
	}
	return &Error{Host: host, Reason: "it can't be reached"}
}

// target finds the URL and the client that may call it.
func (s *Sender) target(u schemas.NotifyURL) (*url.URL, *http.Client, error) {
	text, host := u.URL, "(a URL)"
	if u.Env != "" {
		if !strings.HasPrefix(u.Env, schemas.NotifyEnvPrefix) {
			return nil, nil, &Error{Host: host, Final: true, Reason: fmt.Sprintf("%s does not begin with %s", u.Env, schemas.NotifyEnvPrefix)}
		}
		host = "$" + u.Env
		if text = s.o.Getenv(u.Env); text == "" {
			return nil, nil, &Error{Host: host, Final: true, Reason: "the worker's environment does not have it"}
		}
	}
	to, err := url.Parse(strings.TrimSpace(text))
	if err != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != "http" {
		return nil, nil, &Error{Host: host, Final: true, Reason: "this is no http or https URL"}
	}
	for _, prefix := range s.o.Allowed {
		if within(to, prefix) {
			return to, s.private, nil
		}
	}
	switch {
	case len(s.o.Allowed) > 0:
		return nil, nil, &Error{Host: to.Host, Final: true, Reason: "it is not one of NOTIFY_ALLOWED"}
	case to.Scheme != "https":
		return nil, nil, &Error{Host: to.Host, Final: true, Reason: "only https is taken; an administrator can allow it with NOTIFY_ALLOWED"}
	}
	return to, s.public, nil
}

// throughProxy returns the client for a request that a proxy may take. The proxy would look
// the host's name up once more, and might find another address, so it is asked for an
// address that was looked at here; the server has to prove that it has the name.
func (s *Sender) throughProxy(r *http.Request, with *http.Client) (*http.Client, error) {
	if with != s.public {
		return with, nil
	}
	proxy, err := s.o.Proxy(r)
	if err != nil || proxy == nil {
		return with, err
	}
	host := r.URL.Hostname()
	ips, err := s.lookup(r.Context(), "ip", host)
	switch {
	case err != nil || len(ips) == 0:
		return nil, errUnresolved
	case slices.ContainsFunc(ips, func(ip netip.Addr) bool { return !public(ip) }):
		return nil, errPrivate
	}
	at := max(0, slices.IndexFunc(ips, func(ip netip.Addr) bool { return ip.Unmap().Is4() })) // which every proxy reaches
	r.Host, r.URL.Host = r.URL.Host, net.JoinHostPort(ips[at].Unmap().String(), cmp.Or(r.URL.Port(), "443"))
	c := s.client(nil)
	t := c.Transport.(*http.Transport)
	t.Proxy, t.TLSClientConfig, t.DisableKeepAlives = http.ProxyURL(proxy), &tls.Config{ServerName: host}, true
	return c, nil
}

// within reports whether a URL lies below a prefix: the same scheme and host, and a
// path that begins with the prefix's elements. A path with dots, slashes or percent
// signs in its elements, encoded or not, lies below none: hosts differ in what they
// make of those.
func within(to *url.URL, prefix string) bool {
	p, err := url.Parse(prefix)
	if err != nil || p.Scheme != to.Scheme || !strings.EqualFold(p.Host, to.Host) || to.User != nil {
		return false
	}
	below := strings.TrimSuffix(p.EscapedPath(), "/")
	if below == "" {
		return true
	}
	path := to.EscapedPath()
	for element := range strings.SplitSeq(path, "/") {
		name, err := url.PathUnescape(element)
		if err != nil || name == "." || name == ".." || strings.ContainsAny(name, `/\%`) {
			return false
		}
	}
	return path == below || strings.HasPrefix(path, below+"/")
}

// sign sets the headers of the Standard Webhooks specification.
func (s *Sender) sign(h http.Header, id string, body []byte) error {
	now := time.Now()
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
	if s.webhook == nil {
		return nil
	}
	signature, err := s.webhook.Sign(id, now, body)
	if err != nil {
		return errors.New("the message can't be signed")
	}
	h.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}

// encode makes the body.
func encode(in schemas.NotifyInput) ([]byte, error) {
	if in.To.Format == schemas.NotifySlack {
		return json.Marshal(map[string]string{"text": slack(in.Message.Data)})
	}
	return json.Marshal(in.Message)
}

// slack writes an event as the text of a chat's message.
func slack(e schemas.Event) string {
	var b strings.Builder
	what := map[string]string{
		schemas.EventWaiting: "waits for an operator", schemas.EventFailed: "failed", schemas.EventDone: "is done",
	}[e.Event]
	fmt.Fprintf(&b, "*Export «%s»* %s", escape(e.Export), what)
	if e.Segment != "" {
		fmt.Fprintf(&b, " at segment «%s»", escape(e.Segment))
	}
	fmt.Fprintf(&b, "\n%s\n", escape(e.Message))
	for _, s := range e.Segments {
		fmt.Fprintf(&b, "• «%s»: %s, %d read, %d sent, %d removed, %d rejected\n", escape(s.Segment), s.State, s.Read, s.Sent, s.Removed, s.Rejected)
	}
	for _, c := range e.Commands {
		fmt.Fprintf(&b, "`%s`\n", escape(c))
	}
	return b.String()
}

// escape replaces the three characters that mean something to Slack.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
