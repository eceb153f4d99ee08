package trigger

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// mostAge is how old an event may be. SNS tries for hours by default, Event Grid for a day.
const mostAge = 25 * time.Hour

// Options say whose requests start runs. A sender whose setting is empty is refused.
type Options struct {
	// Secrets is a file with a line for each sender that signs its requests by the Standard
	// Webhooks specification: its name, and its secret (whsec_…). Two lines of one name are
	// an old and a new secret.
	Secrets string
	// Key is a file with the key that Event Grid sends in the header Trigger-Key, or in the
	// parameter key of the URL.
	Key string
	// Topics are the ARNs of SNS topics.
	Topics []string
	// Google verifies the tokens of Pub/Sub, and Account is the service account that they
	// must be of.
	Google  *access.Tokens
	Account string
	// HTTP fetches the certificates of SNS.
	HTTP *http.Client
	// Roots are the authorities that those certificates lead to; nil are the system's.
	Roots *x509.CertPool
}

// On reports whether any sender is allowed.
func (o Options) On() bool {
	return o.Secrets != "" || o.Key != "" || len(o.Topics) > 0 || o.Google != nil
}

// Verifier verifies who sent a request. Files are read for each request, so that secrets
// can be replaced.
type Verifier struct {
	o Options

	// Of the certificates of SNS:
	fetching singleflight.Group
	fetches  *rate.Limiter
	slots    chan struct{} // has an entry for each that is being fetched

	mu      sync.Mutex
	certs   map[string]*rsa.PublicKey // by their URLs
	refused map[string]time.Time      // URLs that have none, and when they were asked
}

// New returns a Verifier.
func New(o Options) (*Verifier, error) {
	v := &Verifier{
		o: o, fetches: rate.NewLimiter(fetchRate, fetchBurst), slots: make(chan struct{}, mostFetches),
		certs: map[string]*rsa.PublicKey{}, refused: map[string]time.Time{},
	}
	if o.HTTP == nil {
		v.o.HTTP = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	for _, t := range o.Topics {
		if !strings.HasPrefix(t, "arn:aws") {
			return nil, fmt.Errorf("%q is not the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:123456789012:segments", t)
		}
	}
	if o.Secrets != "" {
		if _, err := v.secrets(); err != nil {
			return nil, err
		}
	}
	if o.Key != "" {
		if _, err := v.key(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// no refuses a request. What exactly is wrong is not for the sender to know.
func no(format string, args ...any) error { return access.No(schemas.ErrorProof, format, args...) }

// sender is a line of the file of secrets.
type sender struct {
	name string
	hook *standardwebhooks.Webhook
}

// leastSecret is the least length of a secret in bytes; the specification asks for 24.
const leastSecret = 24

func (v *Verifier) secrets() (all []sender, err error) {
	text, err := os.ReadFile(v.o.Secrets)
	if err != nil {
		return nil, fmt.Errorf("read the secrets of triggers: %w", err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("the secrets of triggers: line %d must have a name and a secret, such as: airflow whsec_…", i+1)
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(words[1], "whsec_"))
		if err != nil || len(raw) < leastSecret {
			return nil, fmt.Errorf("the secrets of triggers: the secret in line %d must be base64 of at least %d bytes; create one with: openssl rand -base64 32", i+1, leastSecret)
		}
		hook, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, sender{words[0], hook})
	}
	return all, nil
}

// Signed reports whether a request has the headers of Standard Webhooks.
func Signed(h http.Header) bool { return h.Get(standardwebhooks.HeaderWebhookSignature) != "" }

// Webhook verifies a signature by the Standard Webhooks specification. It returns the name of
// the sender and the message's ID.
func (v *Verifier) Webhook(h http.Header, body []byte) (name, id string, err error) {
	if v.o.Secrets == "" {
		return "", "", no("signed requests are not accepted here")
	}
	all, err := v.secrets()
	if err != nil {
		return "", "", err
	}
	for _, s := range all {
		switch err := s.hook.Verify(body, h); {
		case err == nil:
			return s.name, h.Get(standardwebhooks.HeaderWebhookID), nil
		case errors.Is(err, standardwebhooks.ErrMessageTooOld), errors.Is(err, standardwebhooks.ErrMessageTooNew):
			return "", "", no("the time of the signature is more than five minutes from now")
		}
	}
	return "", "", no("the signature is not valid")
}

func (v *Verifier) key() (string, error) {
	text, err := os.ReadFile(v.o.Key)
	if err != nil {
		return "", fmt.Errorf("read the key of Event Grid: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if len(key) < leastSecret {
		return "", fmt.Errorf("the key of Event Grid has %d characters, less than %d; create one with: openssl rand -hex 32", len(key), leastSecret)
	}
	return key, nil
}

// Grid verifies that a request has the key of Event Grid, which signs nothing.
func (v *Verifier) Grid(r *http.Request) error {
	if v.o.Key == "" {
		return no("Event Grid is not accepted here")
	}
	want, err := v.key()
	if err != nil {
		return err
	}
	have := r.Header.Get("Trigger-Key")
	if have == "" {
		have = r.URL.Query().Get("key")
	}
	a, b := sha256.Sum256([]byte(have)), sha256.Sum256([]byte(want))
	if !hmac.Equal(a[:], b[:]) {
		return no("the key is not valid")
	}
	return nil
}

// Event verifies who sent an event, and reads it. It returns the name of the sender.
func (v *Verifier) Event(r *http.Request, body []byte) (from string, m Message, err error) {
	format, err := Format(body)
	if err != nil {
		return "", m, access.No(schemas.ErrorBadRequest, "%v", err)
	}
	from = format
	switch {
	case Signed(r.Header):
		var id string
		if from, id, err = v.Webhook(r.Header, body); err == nil {
			m, err = parsed(format, body)
			m.ID = id
		}
		return from, m, err
	case format == SNS:
		err = v.sns(r.Context(), body)
	case format == EventGrid:
		err = v.Grid(r)
	case format == PubSub:
		err = v.pubSub(r)
	default:
		err = no("an event of S3 needs a signature: let SNS send it, or sign it")
	}
	if err == nil {
		m, err = parsed(format, body)
	}
	if err == nil && !m.At.IsZero() && time.Since(m.At) > mostAge {
		err = no("the event is of %s, which is too old", schemas.Moment(m.At))
	}
	return from, m, err
}

func parsed(format string, body []byte) (Message, error) {
	m, err := Parse(format, body)
	if err != nil {
		err = access.No(schemas.ErrorBadRequest, "%v", err)
	}
	return m, err
}

// pubSub verifies the token that Pub/Sub sends
// (cloud.google.com/pubsub/docs/authenticate-push-subscriptions).
func (v *Verifier) pubSub(r *http.Request) error {
	if v.o.Google == nil {
		return no("Pub/Sub is not accepted here")
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		return no("the push subscription sends no token; enable authentication for it")
	}
	who, err := v.o.Google.Person(r.Context(), token)
	if err == nil && who.Name != v.o.Account {
		err = no("the token is of another account")
	}
	return err
}
