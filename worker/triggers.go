package main

import (
	"errors"
	"fmt"
	"strings"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/trigger"
	"iterable-segment-export/schemas"
)

// TriggerSettings are the settings of the programs that may start runs without a token of the
// identity provider.
type TriggerSettings struct {
	Secrets  string `envconfig:"TRIGGER_SECRETS_FILE" desc:"file with a line for each program that may start runs with signed requests: its name and its secret (docs/triggers.md); default off"`
	Key      string `envconfig:"TRIGGER_KEY_FILE" desc:"file with the key that Azure Event Grid sends with events; default off"`
	Topics   string `envconfig:"TRIGGER_TOPICS" desc:"ARNs of Amazon SNS topics whose S3 events start runs, separated by commas; default off"`
	Audience string `envconfig:"TRIGGER_GOOGLE_AUDIENCE" desc:"audience of the tokens of Google Pub/Sub; default off. It needs TRIGGER_GOOGLE_ACCOUNT"`
	Account  string `envconfig:"TRIGGER_GOOGLE_ACCOUNT" desc:"e-mail address of the service account of the push subscription"`
}

// google is the issuer of the tokens of Pub/Sub
// (cloud.google.com/pubsub/docs/authenticate-push-subscriptions).
const google = "https://accounts.google.com"

// verifier returns what verifies the requests of programs, nil if none may make any.
func (s TriggerSettings) verifier() (*trigger.Verifier, error) {
	if (s.Audience == "") != (s.Account == "") {
		return nil, errors.New("TRIGGER_GOOGLE_AUDIENCE and TRIGGER_GOOGLE_ACCOUNT must be set together")
	}
	o := trigger.Options{Secrets: s.Secrets, Key: s.Key, Account: s.Account}
	for t := range strings.SplitSeq(s.Topics, ",") {
		if t = strings.TrimSpace(t); t != "" {
			o.Topics = append(o.Topics, t)
		}
	}
	if s.Audience != "" {
		var err error
		if o.Google, err = access.NewTokens(access.TokenOptions{Issuer: google, Audience: s.Audience, Roles: schemas.RoleViewer + "=*"}); err != nil {
			return nil, fmt.Errorf("TRIGGER_GOOGLE_AUDIENCE: %w", err)
		}
	}
	if !o.On() {
		return nil, nil
	}
	v, err := trigger.New(o)
	if err != nil {
		return nil, fmt.Errorf("TRIGGER_SECRETS_FILE, TRIGGER_KEY_FILE, TRIGGER_TOPICS: %w", err)
	}
	return v, nil
}
