package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"iterable-segment-export/internal/access"
)

// AuthSettings say who may do what. They are part of settings; the name is exported
// since envconfig leaves out embedded structs whose names are not.
type AuthSettings struct {
	JWKS       string `envconfig:"AUTH_JWKS" desc:"URL or file of the identity provider's public keys (JWKS); default none: everybody who can reach Temporal is an administrator"`
	Issuer     string `envconfig:"AUTH_ISSUER" desc:"issuer (iss) that tokens must have; with AUTH_JWKS"`
	Audience   string `envconfig:"AUTH_AUDIENCE" desc:"audience (aud) that tokens must have; with AUTH_JWKS"`
	RoleClaim  string `envconfig:"AUTH_ROLE_CLAIM" default:"roles" desc:"claim that gives the role, or the path to it such as realm_access.roles"`
	Roles      string `envconfig:"AUTH_ROLES" desc:"values of the claim that give a role, such as administrator=Owners;contributor=Marketing,CRM;viewer=*; default the roles' own names"`
	Secret     string `envconfig:"WORKER_SECRET" desc:"32 or more characters that nobody can guess, the same for all workers; several with spaces between them, the newest first; with AUTH_JWKS"`
	SecretFile string `envconfig:"WORKER_SECRET_FILE" desc:"file that holds WORKER_SECRET, instead of it"`
}

// gate makes what decides who may do what, nil where everybody may do everything.
func (s AuthSettings) gate(log *slog.Logger) (*access.Gate, error) {
	if s.JWKS == "" {
		if s.Issuer != "" || s.Audience != "" || s.Roles != "" {
			return nil, errors.New("AUTH_ISSUER, AUTH_AUDIENCE and AUTH_ROLES have no effect without AUTH_JWKS; set it, or take them out")
		}
		log.Warn("AUTH_JWKS is not set: everybody who can reach Temporal is an administrator")
		return nil, nil
	}
	secrets, err := s.secrets()
	if err != nil {
		return nil, err
	}
	g, err := access.New(access.Options{
		Tokens: access.TokenOptions{
			JWKS: s.JWKS, Issuer: s.Issuer, Audience: s.Audience, RoleClaim: s.RoleClaim, Roles: s.Roles,
		},
		Secrets: secrets,
	})
	if err != nil {
		return nil, err
	}
	log.Info("people have to say who they are", "issuer", s.Issuer, "audience", s.Audience, "workerKey", g.WorkerKey().Key)
	return g, nil
}

func (s AuthSettings) secrets() ([]string, error) {
	text := s.Secret
	if s.SecretFile != "" {
		if text != "" {
			return nil, errors.New("WORKER_SECRET and WORKER_SECRET_FILE are both set; only one of them can hold, take the other out")
		}
		data, err := os.ReadFile(s.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("WORKER_SECRET_FILE: %w", err)
		}
		text = string(data)
	}
	return strings.Fields(text), nil
}
