package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

// uiServer is a running UI.
type uiServer struct {
	addr   string
	server *uiserver.Server
	done   chan struct{}
}

// fixedConfig is a configuration that never changes.
type fixedConfig struct{ config *uiconfig.Config }

func (f fixedConfig) GetConfig() (*uiconfig.Config, error) { return f.config, nil }

// startUI starts the UI and returns once it answers.
func startUI(addr, frontend string, o Options) (*uiServer, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	ui := &uiServer{addr: addr, done: make(chan struct{})}
	ui.server = uiserver.NewServer(uioptions.WithConfigProvider(fixedConfig{&uiconfig.Config{
		TemporalGRPCAddress: frontend, Host: host, Port: port, EnableUI: true, DefaultNamespace: o.Namespace,
		DisableWriteActions: o.UIReadOnly,
		HideLogs:            true, DisableNewsFetch: true,
		CORS: uiconfig.CORS{CookieInsecure: true}, // plain HTTP on this machine
	}}))
	go func() {
		defer close(ui.done)
		_ = ui.server.Start() // its only error, a taken port, is ruled out
	}()
	if err := ui.ready(); err != nil {
		ui.stop()
		return nil, err
	}
	return ui, nil
}

func (u *uiServer) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.addr+"/healthz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(req)
		if err == nil {
			answer.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the UI of Temporal did not get ready: %w", errors.Join(ctx.Err(), err))
		case <-u.done:
			return errors.New("the UI of Temporal ended at once")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (u *uiServer) stop() {
	u.server.Stop()
	<-u.done
}
