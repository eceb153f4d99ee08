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
	"iterable-segment-export/schemas"
)

// Variables of the environment that say where the gateway is, and who asks.
const (
	apiEnv       = "EXPORT_API"
	tokenEnv     = "EXPORT_TOKEN"
	tokenFileEnv = "EXPORT_TOKEN_FILE"
)

// maxTokenFile is the most bytes that a token's file may have.
const maxTokenFile = 64 << 10

// gateway is the client of the gateway that EXPORT_API names.
func (a *app) gateway(base string) (*gateway.Client, error) {
	return gateway.NewClient(base, func(ctx context.Context) (string, error) { return a.token(ctx, base) })
}

// token is what somebody has said to be their token, or else that of their login. It is
// found anew for every request, so that a file can be renewed.
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
		err = errors.New("it is too large to be a token")
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
		return "", fmt.Errorf("the file %s, which should hold a token, is empty", file)
	}
	return token, nil
}

// login is what starter login keeps, for one gateway.
type login struct {
	gateway.Login
	Token   string `json:"token"`
	Refresh string `json:"refresh,omitempty"`
}

// loginFile is where logins are kept, by gateway, for their owner alone.
func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the place for logins: %w", err)
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
		return nil, fmt.Errorf("read the logins in %s (call starter login again, once it is deleted): %w", file, err)
	}
	return all, nil
}

// keepLogin puts a login in place of the one before; an empty one is taken out.
func keepLogin(base string, l login) error {
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
		return fmt.Errorf("keep the login: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "login-*") // made for its owner alone
	if err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("keep the login: %w", err)
	}
	return nil
}

// renewBefore is how long before its end a token is renewed.
const renewBefore = time.Minute

// loginToken is the token of a login, renewed where it ends soon; empty where there is
// no login, which the gateway answers.
func loginToken(ctx context.Context, base string) (string, error) {
	all, err := readLogins()
	if err != nil {
		return "", err
	}
	l, ok := all[base]
	if !ok || time.Until(expiry(l.Token)) > renewBefore || l.Refresh == "" {
		return l.Token, nil
	}
	conf, _, err := l.oauth(ctx)
	if err != nil {
		return "", err
	}
	got, err := conf.TokenSource(ctx, &oauth2.Token{RefreshToken: l.Refresh}).Token()
	if err != nil {
		return "", fmt.Errorf("renew the login (call starter login again): %w", err)
	}
	l.take(got)
	return l.Token, keepLogin(base, l)
}

// oauth is how the identity provider is asked for tokens.
func (l login) oauth(ctx context.Context) (*oauth2.Config, *oidc.Provider, error) {
	p, err := oidc.NewProvider(ctx, l.Issuer)
	if err != nil {
		return nil, nil, fmt.Errorf("ask the identity provider %s who it is: %w", l.Issuer, err)
	}
	return &oauth2.Config{ClientID: l.ClientID, Endpoint: p.Endpoint(), Scopes: l.Scopes}, p, nil
}

// take keeps what the provider has given: the access token where it is one for the
// gateway, and else the ID token.
func (l *login) take(got *oauth2.Token) {
	l.Token = got.AccessToken
	if id, _ := got.Extra("id_token").(string); id != "" && !slices.Contains(audience(l.Token), l.Audience) {
		l.Token = id
	}
	l.Refresh = cmp.Or(got.RefreshToken, l.Refresh)
}

// claims reads what a token says of itself, without a check: that is the gateway's.
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
prints an address and a code to type there, in a browser on any machine, and waits
until that is done. The login is kept for you alone, in your configuration folder, and
renewed for as long as the provider allows. --out forgets it.`,
		Example: `  EXPORT_API=https://exports.example.com starter login
  EXPORT_API=https://exports.example.com starter login --out`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			base := os.Getenv(apiEnv)
			if base == "" {
				return usageError{fmt.Errorf("set %s to the gateway's URL; without a gateway nobody has to log in", apiEnv)}
			}
			if out {
				if err := keepLogin(base, login{}); err != nil {
					return err
				}
				fmt.Fprintln(c.OutOrStdout(), "Logged out.")
				return nil
			}
			return a.login(c, base)
		},
	}
	c.Flags().BoolVar(&out, "out", false, "forget the login")
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
	conf, _, err := l.oauth(c.Context())
	if err != nil {
		return err
	}
	if conf.Endpoint.DeviceAuthURL == "" {
		return fmt.Errorf("the identity provider %s has no device flow; get a token from it in another way, and put it into %s or a file that %s names", l.Issuer, tokenEnv, tokenFileEnv)
	}
	code, err := conf.DeviceAuth(c.Context())
	if err != nil {
		return fmt.Errorf("ask the identity provider %s for a code: %w", l.Issuer, err)
	}
	fmt.Fprintf(c.ErrOrStderr(), "Open %s and type the code %s\n", code.VerificationURI, code.UserCode)
	if code.VerificationURIComplete != "" {
		fmt.Fprintf(c.ErrOrStderr(), "or open %s\n", code.VerificationURIComplete)
	}
	got, err := conf.DeviceAccessToken(c.Context(), code)
	if err != nil {
		return fmt.Errorf("log in at %s: %w", l.Issuer, err)
	}
	l.take(got)
	if err := keepLogin(base, l); err != nil {
		return err
	}
	me, err := client.Me(c.Context())
	if err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), me)
	}
	fmt.Fprintf(c.OutOrStdout(), "Logged in: %s, %s\n", console.Printable(me.Person.Name), me.Person.Role)
	return nil
}

// administrator is whoever reaches Temporal itself.
func administrator() schemas.Person {
	return schemas.Person{Name: who(), Role: schemas.RoleAdministrator}
}
