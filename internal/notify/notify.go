// Package notify sends webhooks about runs.
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

// Options configure a Sender.
type Options struct {
	// Secret signs the messages by the Standard Webhooks specification. It is base64, with
	// or without the prefix "whsec_". Without it they are not signed.
	Secret string
	// Allowed are prefixes of the URLs that messages may be sent to. Without any, they may
	// be sent to every https URL with a public address. An allowed URL may have a private
	// address, and need not be https.
	Allowed []string
	// Proxy returns the proxy for a request; nil for that of HTTPS_PROXY and NO_PROXY.
	Proxy func(*http.Request) (*url.URL, error)
	// Getenv reads the variables that exports name; nil for os.Getenv.
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

// New returns a Sender. It refuses a secret that is not base64, and prefixes that are not
// URLs.
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
			return nil, fmt.Errorf("NOTIFY_ALLOWED: %q is not a URL with a host", prefix)
		}
	}
	s.public, s.private = s.client(onlyPublic), s.client(nil)
	return s, nil
}

// client returns an HTTP client that does not follow redirects, and calls check for each
// address before it connects.
func (s *Sender) client(check func(network, address string, _ syscall.RawConn) error) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = s.o.Proxy
	transport.DialContext = (&net.Dialer{Timeout: timeout, Control: check}).DialContext
	return &http.Client{
		Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Error says why a message could not be sent. It contains the host, but not the URL, which
// may be a secret.
type Error struct {
	Host string
	// Final reports whether a retry can't help.
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
		return &Error{Host: to.Host, Final: true, Reason: "the URL is not valid"}
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

// unreachable returns the Error for an error that contains the URL.
func unreachable(host string, err error) *Error {
	switch {
	case errors.Is(err, errPrivate):
		return &Error{Host: host, Final: true, Reason: errPrivate.Error()}
	case errors.Is(err, errUnresolved):
		return &Error{Host: host, Reason: errUnresolved.Error()}
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return &Error{Host: host, Reason: "no response in time"}
	}
	return &Error{Host: host, Reason: "it can't be reached"}
}

// target returns the URL, and the client that may call it.
func (s *Sender) target(u schemas.NotifyURL) (*url.URL, *http.Client, error) {
	text, host := u.URL, "(a URL)"
	if u.Env != "" {
		if !strings.HasPrefix(u.Env, schemas.NotifyEnvPrefix) {
			return nil, nil, &Error{Host: host, Final: true, Reason: fmt.Sprintf("%s does not begin with %s", u.Env, schemas.NotifyEnvPrefix)}
		}
		host = "$" + u.Env
		if text = s.o.Getenv(u.Env); text == "" {
			return nil, nil, &Error{Host: host, Final: true, Reason: "it is not set in the worker's environment"}
		}
	}
	to, err := url.Parse(strings.TrimSpace(text))
	if err != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != "http" {
		return nil, nil, &Error{Host: host, Final: true, Reason: "not an http or https URL"}
	}
	for _, prefix := range s.o.Allowed {
		if within(to, prefix) {
			return to, s.private, nil
		}
	}
	switch {
	case len(s.o.Allowed) > 0:
		return nil, nil, &Error{Host: to.Host, Final: true, Reason: "not allowed by NOTIFY_ALLOWED"}
	case to.Scheme != "https":
		return nil, nil, &Error{Host: to.Host, Final: true, Reason: "the URL must be https; an administrator can allow http with NOTIFY_ALLOWED"}
	}
	return to, s.public, nil
}

// throughProxy returns the client for a request that may use a proxy. The proxy would resolve
// the host's name again, perhaps to another address, so the request names an address that was
// checked here. The server must prove that it has the name.
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

// within reports whether a URL is below a prefix: it has the same scheme and host, and its
// path begins with the prefix's elements. A path with an element of dots, or with encoded
// slashes or percent signs, is below no prefix, because hosts treat those differently.
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

// encode returns the body of a message.
func encode(in schemas.NotifyInput) ([]byte, error) {
	if in.To.Format == schemas.NotifySlack {
		return json.Marshal(map[string]string{"text": slack(in.Message.Data)})
	}
	return json.Marshal(in.Message)
}

// slack returns an event as a Slack message.
func slack(e schemas.Event) string {
	var b strings.Builder
	what := map[string]string{
		schemas.EventWaiting: "waits for an operator", schemas.EventFailed: "failed", schemas.EventDone: "is done",
		schemas.EventOverdue: "is overdue", schemas.EventSlow: "is slow", schemas.EventRecovered: "has recovered",
	}[e.Event]
	fmt.Fprintf(&b, "*Export “%s”* %s", escape(e.Export), what)
	if e.Segment != "" {
		fmt.Fprintf(&b, " at segment “%s”", escape(e.Segment))
	}
	fmt.Fprintf(&b, "\n%s\n", escape(e.Message))
	for _, s := range e.Segments {
		fmt.Fprintf(&b, "• “%s”: %s, %d read, %d sent, %d removed, %d rejected\n", escape(s.Segment), s.State, s.Read, s.Sent, s.Removed, s.Rejected)
	}
	for _, c := range e.Commands {
		fmt.Fprintf(&b, "`%s`\n", escape(c))
	}
	return b.String()
}

// escape escapes the three characters that Slack treats specially.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
