// Package trigger reads the requests by which other programs say that there is new data: the
// events of S3, through SNS or as SQS and Lambda pass them on, of Azure Event Grid, and of
// Google Cloud Storage through Pub/Sub. It also verifies who sent them.
package trigger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/internal/storage"
)

// Message is what a request says.
type Message struct {
	// ID is the sender's. A message that is sent again has the same one.
	ID string
	// At is when it was sent, zero if it does not say.
	At time.Time
	// Objects are the URLs of what was written, such as s3://bucket/key.
	Objects []string
	// Confirm is the URL that confirms a subscription to SNS, Validation the code that
	// Event Grid wants back. Nothing else is set then but the ID and the time.
	Confirm, Validation string
}

// mostObjects is how many objects of one message are looked at. SQS and Event Grid send
// batches of a few thousand at the most.
const mostObjects = 10_000

// Formats of messages.
const (
	SNS       = "Amazon SNS"
	S3        = "Amazon S3"
	EventGrid = "Azure Event Grid"
	PubSub    = "Google Pub/Sub"
)

// errFormat is the error of a body in none of the formats.
var errFormat = errors.New("the body is not an event of S3, SNS, Azure Event Grid or Google Pub/Sub")

// Format returns the format of a body.
func Format(body []byte) (string, error) {
	if body = bytes.TrimSpace(body); len(body) > 0 && body[0] == '[' {
		return EventGrid, nil
	}
	var has struct {
		Type, TopicArn, SpecVersion, Subscription string
		Message                                   json.RawMessage
		Records                                   []json.RawMessage
		Service                                   string
	}
	if err := json.Unmarshal(body, &has); err != nil {
		return "", errFormat
	}
	switch {
	case has.TopicArn != "" && has.Type != "":
		return SNS, nil
	case has.SpecVersion != "":
		return EventGrid, nil
	case has.Records != nil, has.Service == "Amazon S3":
		return S3, nil
	case has.Message != nil && has.Subscription != "":
		return PubSub, nil
	}
	return "", errFormat
}

// Parse reads a body of a format.
func Parse(format string, body []byte) (m Message, err error) {
	switch format {
	case SNS:
		m, err = parseSNS(body)
	case S3:
		err = m.addS3(body)
	case EventGrid:
		m, err = parseEventGrid(body)
	case PubSub:
		m, err = parsePubSub(body)
	default:
		err = errFormat
	}
	slices.Sort(m.Objects)
	m.Objects = slices.Compact(m.Objects)
	if err == nil && len(m.Objects) > mostObjects {
		err = fmt.Errorf("the message has %d objects, more than %d", len(m.Objects), mostObjects)
	}
	return m, err
}

// snsMessage is the body of a request by SNS
// (docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).
type snsMessage struct {
	Type, MessageId, TopicArn, Subject, Message, Token, SubscribeURL, Timestamp string
	SignatureVersion, Signature, SigningCertURL                                 string
}

func parseSNS(body []byte) (m Message, err error) {
	var s snsMessage
	if err := json.Unmarshal(body, &s); err != nil {
		return m, fmt.Errorf("parse the message of SNS: %w", err)
	}
	m.ID = s.MessageId
	if m.At, err = time.Parse(time.RFC3339, s.Timestamp); err != nil {
		return m, errors.New("the message of SNS has no valid timestamp")
	}
	switch s.Type {
	case "SubscriptionConfirmation":
		m.Confirm = s.SubscribeURL
		return m, nil
	case "Notification":
		return m, m.addS3([]byte(s.Message))
	}
	return m, nil // UnsubscribeConfirmation
}

// record is an element of an S3 event
// (docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html), or of
// what Lambda passes on from SQS, with the message in its body.
type record struct {
	EventSource string
	EventName   string
	MessageID   string
	Body        string
	S3          struct {
		Bucket struct{ Name string }
		Object struct{ Key string }
	}
}

// mostNested is how many envelopes an S3 event may have: of SQS, and of SNS in it.
const mostNested = 3

func (m *Message) addS3(body []byte) error { return m.nested(body, 0) }

func (m *Message) nested(body []byte, depth int) error {
	var e struct {
		Records       []record
		Type, Message string // of SNS, in a message of SQS
	}
	if err := json.Unmarshal(body, &e); err != nil || depth > mostNested {
		return errors.New("the message is not an event of S3")
	}
	if e.Type == "Notification" {
		return m.nested([]byte(e.Message), depth+1)
	}
	for _, r := range e.Records {
		switch {
		case r.EventSource == "aws:sqs":
			if err := m.nested([]byte(r.Body), depth+1); err != nil {
				return err
			}
		case r.EventSource == "aws:s3" && strings.Contains(r.EventName, "ObjectCreated:"):
			key, err := url.QueryUnescape(r.S3.Object.Key) // as the documentation says
			if err != nil || r.S3.Bucket.Name == "" || key == "" {
				return errors.New("the event of S3 has no valid bucket and key")
			}
			m.Objects = append(m.Objects, storage.ObjectURL("s3", r.S3.Bucket.Name, key, ""))
		}
	}
	return nil
}

// gridEvent is an event of Azure, in Event Grid's schema or in that of CloudEvents
// (learn.microsoft.com/azure/event-grid/event-schema-blob-storage).
type gridEvent struct {
	ID, EventType, Type string
	EventTime, Time     time.Time
	Data                struct {
		ValidationCode, URL, DestinationURL string
	}
}

// written are the types of events of a file that was written or has got its final name.
var written = []string{"Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobRenamed"}

func parseEventGrid(body []byte) (m Message, err error) {
	var events []gridEvent
	if body = bytes.TrimSpace(body); body[0] != '[' {
		body = slices.Concat([]byte("["), body, []byte("]")) // one CloudEvent
	}
	if err := json.Unmarshal(body, &events); err != nil {
		return m, errors.New("the body is not a list of events of Event Grid")
	}
	for _, e := range events {
		kind, at := e.EventType+e.Type, e.EventTime
		if at.IsZero() {
			at = e.Time
		}
		m.ID += e.ID + " "
		if at.After(m.At) {
			m.At = at
		}
		if kind == "Microsoft.EventGrid.SubscriptionValidationEvent" {
			return Message{ID: e.ID, At: at, Validation: e.Data.ValidationCode}, nil
		}
		if !slices.Contains(written, kind) {
			continue
		}
		where := e.Data.URL
		if e.Data.DestinationURL != "" {
			where = e.Data.DestinationURL
		}
		u, err := url.Parse(where)
		if err != nil {
			return m, errors.New("the event of Event Grid has no valid URL")
		}
		account, _, _ := strings.Cut(u.Hostname(), ".")
		container, key, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
		if !ok || account == "" || container == "" || key == "" {
			return m, errors.New("the event of Event Grid has no URL of a blob")
		}
		m.Objects = append(m.Objects, storage.ObjectURL("azblob", container, key, account))
	}
	return m, nil
}

// parsePubSub reads a push of Pub/Sub with a notification of Cloud Storage
// (cloud.google.com/storage/docs/pubsub-notifications).
func parsePubSub(body []byte) (m Message, err error) {
	var push struct {
		Message struct {
			MessageID   string
			PublishTime time.Time
			Attributes  struct{ EventType, BucketID, ObjectID string }
		}
	}
	if err := json.Unmarshal(body, &push); err != nil {
		return m, errors.New("the body is not a push of Pub/Sub")
	}
	a := push.Message.Attributes
	m.ID, m.At = push.Message.MessageID, push.Message.PublishTime
	if a.EventType != "OBJECT_FINALIZE" {
		return m, nil
	}
	if a.BucketID == "" || a.ObjectID == "" {
		return m, errors.New("the notification of Cloud Storage has no bucket and object")
	}
	m.Objects = []string{storage.ObjectURL("gs", a.BucketID, a.ObjectID, "")}
	return m, nil
}
