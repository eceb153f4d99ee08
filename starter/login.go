package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway/remote"
	"iterable-segment-export/internal/login"
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
func (a *app) gateway(base string) (*remote.Client, error) {
	return remote.New(base, func(ctx context.Context) (string, error) { return a.token(ctx, base) })
}

// token returns the token of the flag or the environment, or else that of the login. It
// reads the file for every request, so that it can be replaced.
func (a *app) token(ctx context.Context, base string) (string, error) {
	file := cmp.Or(a.tokenFile, os.Getenv(tokenFileEnv))
	if token := os.Getenv(tokenEnv); token != "" && a.tokenFile == "" {
		return strings.TrimSpace(token), nil
	}
	if file == "" {
		return login.Token(ctx, base)
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
				if err := login.Store(base, login.Login{}); err != nil {
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
	var l login.Login
	if l.Login, err = client.Login(c.Context()); err != nil {
		return err
	}
	err = l.Device(c.Context(), func(code *oauth2.DeviceAuthResponse) {
		fmt.Fprintf(c.ErrOrStderr(), "Open %s and enter the code %s\n", code.VerificationURI, code.UserCode)
		if code.VerificationURIComplete != "" {
			fmt.Fprintf(c.ErrOrStderr(), "or open %s\n", code.VerificationURIComplete)
		}
	})
	if errors.Is(err, login.ErrNoDevice) {
		return fmt.Errorf("the identity provider %s has no device flow; get a token from it in another way, and set %s to it, or %s to a file with it", l.Issuer, tokenEnv, tokenFileEnv)
	}
	if err != nil {
		return err
	}
	if err := login.Store(base, l); err != nil {
		return err
	}
	me, err := client.Me(c.Context())
	if err != nil {
		return err
	}
	return a.print(c, me, "Logged in: %s, %s", console.Printable(me.Person.Name), me.Person.Role)
}
