package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/gateway"
)

// APISettings are the settings of the gateway. The name is exported because envconfig ignores
// embedded structs with other names.
type APISettings struct {
	Addr    string  `envconfig:"API_ADDR" desc:"host:port on which the worker serves the gateway; default off. It needs AUTH_ISSUER, AUTH_AUDIENCE and WORKER_SECRET (docs/access.md)"`
	TLSCert string  `envconfig:"API_TLS_CERT" desc:"file with the gateway's certificate, read again when it changes; default off, for a proxy in front that uses TLS"`
	TLSKey  string  `envconfig:"API_TLS_KEY" desc:"file with the certificate's key"`
	Rate    float64 `envconfig:"API_RATE" default:"10" desc:"requests per second that each person may make on average"`
	Burst   int     `envconfig:"API_BURST" default:"50" desc:"requests that each person may make at once"`

	Issuer    string   `envconfig:"AUTH_ISSUER" desc:"URL of the OpenID Connect provider of the tokens"`
	Audience  string   `envconfig:"AUTH_AUDIENCE" desc:"required audience (aud) of the tokens"`
	ClientID  string   `envconfig:"AUTH_CLIENT_ID" desc:"client ID that starter login uses; default AUTH_AUDIENCE"`
	Scopes    []string `envconfig:"AUTH_SCOPES" default:"openid,profile,email,offline_access" desc:"scopes that starter login requests"`
	RoleClaim string   `envconfig:"AUTH_ROLE_CLAIM" default:"roles" desc:"claim with the role, or the path to it such as realm_access.roles"`
	Roles     string   `envconfig:"AUTH_ROLES" desc:"the claim's values for each role, such as administrator=Owners;contributor=Marketing,CRM;viewer=*; default the roles' own names"`
	NameClaim string   `envconfig:"AUTH_NAME_CLAIM" desc:"claim with the person's name, which people must not be able to change themselves; default email if the provider has verified it, otherwise sub"`

	TriggerSettings
}

// serve starts the gateway if API_ADDR is set.
func (s APISettings) serve(office *gateway.Office, gate *access.Gate, log *slog.Logger) (stop func(), err error) {
	if s.Addr == "" {
		if s.TriggerSettings != (TriggerSettings{}) {
			return nil, errors.New("the TRIGGER_ variables need API_ADDR: the gateway receives what triggers send")
		}
		return func() {}, nil
	}
	if !gate.Required() {
		return nil, errors.New("API_ADDR needs WORKER_SECRET: without it runs need no grant, so the gateway's roles would have no effect")
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return nil, errors.New("API_TLS_CERT and API_TLS_KEY must be set together")
	}
	if s.Rate <= 0 || s.Burst < 1 {
		return nil, errors.New("API_RATE must be more than 0, and API_BURST 1 or more")
	}
	tokens, err := access.NewTokens(access.TokenOptions{
		Issuer: s.Issuer, Audience: s.Audience, RoleClaim: s.RoleClaim, Roles: s.Roles, NameClaim: s.NameClaim,
	})
	if err != nil {
		return nil, fmt.Errorf("API_ADDR: %w", err)
	}
	triggers, err := s.TriggerSettings.verifier()
	if err != nil {
		return nil, err
	}
	h := gateway.NewHandler(gateway.Options{
		Office: office, Tokens: tokens, PerSecond: s.Rate, Burst: s.Burst, Log: log, Triggers: triggers,
		Login: gateway.Login{Issuer: s.Issuer, ClientID: cmp.Or(s.ClientID, s.Audience), Audience: s.Audience, Scopes: s.Scopes},
	})
	at, stop, err := gateway.Serve(s.Addr, s.TLSCert, s.TLSKey, h, log)
	if err != nil {
		return nil, err
	}
	if host, _, _ := net.SplitHostPort(at); s.TLSCert == "" && !net.ParseIP(host).IsLoopback() {
		log.Warn("gateway without TLS: allow access only through a proxy with TLS", "address", at)
	}
	log.Info("gateway ready", "address", at, "issuer", s.Issuer, "audience", s.Audience)
	return stop, nil
}
