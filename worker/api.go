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

// APISettings are those of the gateway. They are part of settings; the name is exported
// since envconfig leaves out embedded structs whose names are not.
type APISettings struct {
	Addr    string  `envconfig:"API_ADDR" desc:"host:port where the gateway answers people and the starter; default none. It needs AUTH_ISSUER, AUTH_AUDIENCE and WORKER_SECRET (docs/access.md)"`
	TLSCert string  `envconfig:"API_TLS_CERT" desc:"file with the gateway's certificate, read again when it changes; default none, for a proxy in front that speaks TLS"`
	TLSKey  string  `envconfig:"API_TLS_KEY" desc:"file with the certificate's key"`
	Rate    float64 `envconfig:"API_RATE" default:"10" desc:"requests that each person may make in a second, in the long run"`
	Burst   int     `envconfig:"API_BURST" default:"50" desc:"requests that each person may make at once"`

	Issuer    string   `envconfig:"AUTH_ISSUER" desc:"URL of the OpenID Connect provider whose tokens the gateway takes"`
	Audience  string   `envconfig:"AUTH_AUDIENCE" desc:"audience (aud) that tokens must have"`
	ClientID  string   `envconfig:"AUTH_CLIENT_ID" desc:"client that starter login asks the provider for tokens as; default AUTH_AUDIENCE"`
	Scopes    []string `envconfig:"AUTH_SCOPES" default:"openid,profile,email,offline_access" desc:"scopes that starter login asks for"`
	RoleClaim string   `envconfig:"AUTH_ROLE_CLAIM" default:"roles" desc:"claim that gives the role, or the path to it such as realm_access.roles"`
	Roles     string   `envconfig:"AUTH_ROLES" desc:"values of the claim that give a role, such as administrator=Owners;contributor=Marketing,CRM;viewer=*; default the roles' own names"`
	NameClaim string   `envconfig:"AUTH_NAME_CLAIM" desc:"claim that a person is called by, one that people can't choose themselves; default email where the provider has verified it, else sub"`
}

// serve starts the gateway, if there is to be one.
func (s APISettings) serve(office *gateway.Office, gate *access.Gate, log *slog.Logger) (stop func(), err error) {
	if s.Addr == "" {
		return func() {}, nil
	}
	if !gate.Required() {
		return nil, errors.New("API_ADDR needs WORKER_SECRET: without it, runs need no grant, and the gateway's roles would be worth nothing")
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return nil, errors.New("API_TLS_CERT and API_TLS_KEY go together")
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
	h := gateway.NewHandler(gateway.Options{
		Office: office, Tokens: tokens, PerSecond: s.Rate, Burst: s.Burst, Log: log,
		Login: gateway.Login{Issuer: s.Issuer, ClientID: cmp.Or(s.ClientID, s.Audience), Audience: s.Audience, Scopes: s.Scopes},
	})
	at, stop, err := gateway.Serve(s.Addr, s.TLSCert, s.TLSKey, h, log)
	if err != nil {
		return nil, err
	}
	if host, _, _ := net.SplitHostPort(at); s.TLSCert == "" && !net.ParseIP(host).IsLoopback() {
		log.Warn("the gateway speaks no TLS: let nobody reach it but a proxy that does", "address", at)
	}
	log.Info("the gateway answers", "address", at, "issuer", s.Issuer, "audience", s.Audience)
	return stop, nil
}
