package main

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
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
)

// Environment variables with the gateway's URL and the token for it.
const (
	apiEnv       = "EXPORT_API"
	tokenEnv     = "EXPORT_TOKEN"
	tokenFileEnv = "EXPORT_TOKEN_FILE"
)

// maxTokenFile is the size limit of a token's file in bytes.
const maxTokenFile = 64 << 10

// gateway returns a client for the gateway at base.
func (a *app) gateway(base string) (*gateway.Client, error) {
	return gateway.NewClient(base, func(ctx context.Context) (string, error) { return a.token(ctx, base) })
}

// token returns the token of the flag or the environment, or else that of the login. It
// reads the file for every request, so that it can be replaced.
func (a *app) token(ctx context.Context, base string) (string, error) {
	file := cmp.Or(a.tokenFile, os.Getenv(tokenFileEnv))
	if token := os.Getenv(tokenEnv); token != "" && a.tokenFile == "" {
		return strings.TrimSpace(token), nil
	}
	if file == "" {
		return loginToken(ctx, base)
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxTokenFile {
		err = errors.New("the file is too large to be a token")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fmt.Errorf("read the token from %s: %w", file, err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("the token file %s is empty", file)
	}
	return token, nil
}

// login is what starter login stores for one gateway.
type login struct {
	gateway.Login
	Token   string `json:"token"`
	Refresh string `json:"refresh,omitempty"`
}

// loginFile returns the file with the logins, which only its owner can read.
func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the configuration folder: %w", err)
	}
	return filepath.Join(dir, "iterable-segment-export", "logins.json"), nil
}

func readLogins() (map[string]login, error) {
	all := map[string]login{}
	file, err := loginFile()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read the logins in %s (delete it and call starter login again): %w", file, err)
	}
	return all, nil
}

// storeLogin replaces the login for a gateway. An empty one is deleted.
func storeLogin(base string, l login) error {
	all, err := readLogins()
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
	file, err := loginFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "login-*") // with mode 0600
	if err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("store the login: %w", err)
	}
	return nil
}

// renewBefore is how long before its expiry a token is renewed.
const renewBefore = time.Minute

// loginToken returns the token of the login, renewed if it expires soon. It is empty
// without a login; the gateway then says what to do.
func loginToken(ctx context.Context, base string) (string, error) {
	all, err := readLogins()
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
	return l.Token, storeLogin(base, l)
}

// oauth returns how to get tokens from the identity provider.
func (l login) oauth(ctx context.Context) (*oauth2.Config, error) {
	p, err := oidc.NewProvider(ctx, l.Issuer)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of the identity provider %s: %w", l.Issuer, err)
	}
	return &oauth2.Config{ClientID: l.ClientID, Endpoint: p.Endpoint(), Scopes: l.Scopes}, nil
}

// set stores the tokens that the provider returned: the access token if its audience is
// the gateway, otherwise the ID token.
func (l *login) set(got *oauth2.Token) {
	l.Token = got.AccessToken
	if id, _ := got.Extra("id_token").(string); id != "" && !slices.Contains(audience(l.Token), l.Audience) {
		l.Token = id
	}
	l.Refresh = cmp.Or(got.RefreshToken, l.Refresh)
}

// claims decodes a token's claims without verifying it; the gateway does that.
func claims(token string, out any) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return
	}
	if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
		_ = json.Unmarshal(data, out)
	}
}

func expiry(token string) time.Time {
	var c struct {
		Exp float64 `json:"exp"`
	}
	claims(token, &c)
	return time.Unix(int64(c.Exp), 0)
}

func audience(token string) []string {
	var c struct {
		Aud any `json:"aud"`
	}
	claims(token, &c)
	switch aud := c.Aud.(type) {
	case string:
		return []string{aud}
	case []any:
		var out []string
		for _, a := range aud {
			if s, ok := a.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func (a *app) loginCommand() *cobra.Command {
	var out bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Log in to the gateway that EXPORT_API names",
		Long: `Log in to the gateway that EXPORT_API names, with your identity provider: the command
prints an address and a code to enter there in a browser on any machine, and waits until
that is done. The login is stored in your configuration folder, readable only by you, and
renewed for as long as the provider allows. --out deletes it.`,
		Example: `  EXPORT_API=https://exports.example.com starter login
  EXPORT_API=https://exports.example.com starter login --out`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			base := os.Getenv(apiEnv)
			if base == "" {
				return usageError{fmt.Errorf("set %s to the gateway's URL; without a gateway there is no need to log in", apiEnv)}
			}
			if out {
				if err := storeLogin(base, login{}); err != nil {
					return err
				}
				fmt.Fprintln(c.OutOrStdout(), "Logged out.")
				return nil
			}
			return a.login(c, base)
		},
	}
	c.Flags().BoolVar(&out, "out", false, "delete the login")
	return c
}

func (a *app) login(c *cobra.Command, base string) error {
	client, err := a.gateway(base)
	if err != nil {
		return err
	}
	var l login
	if l.Login, err = client.Login(c.Context()); err != nil {
		return err
	}
	conf, err := l.oauth(c.Context())
	if err != nil {
		return err
	}
	if conf.Endpoint.DeviceAuthURL == "" {
		return fmt.Errorf("the identity provider %s has no device flow; get a token from it in another way, and set %s to it, or %s to a file with it", l.Issuer, tokenEnv, tokenFileEnv)
	}
	code, err := conf.DeviceAuth(c.Context())
	if err != nil {
		return fmt.Errorf("get a code from the identity provider %s: %w", l.Issuer, err)
	}
	fmt.Fprintf(c.ErrOrStderr(), "Open %s and enter the code %s\n", code.VerificationURI, code.UserCode)
	if code.VerificationURIComplete != "" {
		fmt.Fprintf(c.ErrOrStderr(), "or open %s\n", code.VerificationURIComplete)
	}
	got, err := conf.DeviceAccessToken(c.Context(), code)
	if err != nil {
		return fmt.Errorf("log in at %s: %w", l.Issuer, err)
	}
	l.set(got)
	if err := storeLogin(base, l); err != nil {
		return err
	}
	me, err := client.Me(c.Context())
	if err != nil {
		return err
	}
	return a.print(c, me, "Logged in: %s, %s", console.Printable(me.Person.Name), me.Person.Role)
}
