// Package login keeps what starter login has got from the identity provider: a token for each
// gateway, in a file that only its owner can read, renewed when it expires.
package login

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"

	"iterable-segment-export/internal/gateway"
)

// Login is what is stored for one gateway.
type Login struct {
	gateway.Login
	Token   string `json:"token"`
	Refresh string `json:"refresh,omitempty"`
}

// file returns the file with the logins, which only its owner can read.
func file() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the configuration folder: %w", err)
	}
	return filepath.Join(dir, "iterable-segment-export", "logins.json"), nil
}

func read() (map[string]Login, error) {
	all := map[string]Login{}
	name, err := file()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read the logins in %s (delete it and call starter login again): %w", name, err)
	}
	return all, nil
}

// Store replaces the login for a gateway. An empty one is deleted.
func Store(base string, l Login) error {
	all, err := read()
	if err != nil {
		return err
	}
	if all[base] = l; l.Token == "" {
		delete(all, base)
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	name, err := file()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), "login-*") // with mode 0600
	if err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("store the login: %w", err)
	}
	return nil
}

// renewBefore is how long before its expiry a token is renewed.
const renewBefore = time.Minute

// Token returns the token of the login, renewed if it expires soon. It is empty
// without a login; the gateway then says what to do.
func Token(ctx context.Context, base string) (string, error) {
	all, err := read()
	if err != nil {
		return "", err
	}
	l, ok := all[base]
	if !ok || time.Until(expiry(l.Token)) > renewBefore || l.Refresh == "" {
		return l.Token, nil
	}
	conf, err := l.oauth(ctx)
	if err != nil {
		return "", err
	}
	got, err := conf.TokenSource(ctx, &oauth2.Token{RefreshToken: l.Refresh}).Token()
	if err != nil {
		return "", fmt.Errorf("renew the login (call starter login again): %w", err)
	}
	l.set(got)
	return l.Token, Store(base, l)
}

// oauth returns how to get tokens from the identity provider.
func (l Login) oauth(ctx context.Context) (*oauth2.Config, error) {
	p, err := oidc.NewProvider(ctx, l.Issuer)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of the identity provider %s: %w", l.Issuer, err)
	}
	return &oauth2.Config{ClientID: l.ClientID, Endpoint: p.Endpoint(), Scopes: l.Scopes}, nil
}

// set stores the tokens that the provider returned: the access token if its audience is
// the gateway, otherwise the ID token.
func (l *Login) set(got *oauth2.Token) {
	l.Token = got.AccessToken
	if id, _ := got.Extra("id_token").(string); id != "" && !claims(l.Token).Aud.Contains(l.Audience) {
		l.Token = id
	}
	l.Refresh = cmp.Or(got.RefreshToken, l.Refresh)
}

// claims returns a token's audience and expiry without verifying it; the gateway does that. They
// are empty if it is not a JWT.
func claims(token string) (c struct {
	Aud jwt.Audience `json:"aud"`
	Exp float64      `json:"exp"`
}) {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(data, &c)
		}
	}
	return c
}

func expiry(token string) time.Time { return time.Unix(int64(claims(token).Exp), 0) }

// ErrNoDevice is the error of an identity provider without a device flow.
var ErrNoDevice = errors.New("the identity provider has no device flow")

// Device gets the tokens of a login by the provider's device flow: show is given the code and
// the address where a person enters it, and Device waits until that is done.
func (l *Login) Device(ctx context.Context, show func(*oauth2.DeviceAuthResponse)) error {
	conf, err := l.oauth(ctx)
	if err != nil {
		return err
	}
	if conf.Endpoint.DeviceAuthURL == "" {
		return ErrNoDevice
	}
	code, err := conf.DeviceAuth(ctx)
	if err != nil {
		return fmt.Errorf("get a code from the identity provider %s: %w", l.Issuer, err)
	}
	show(code)
	got, err := conf.DeviceAccessToken(ctx, code)
	if err != nil {
		return fmt.Errorf("log in at %s: %w", l.Issuer, err)
	}
	l.set(got)
	return nil
}
