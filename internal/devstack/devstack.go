// Package devstack runs Temporal and its UI inside a process: the server on
// SQLite, in memory or in a file, and the UI from its own module. It is for
// development and tests; it takes connections from this machine only.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"

	"iterable-segment-export/schemas"
)

// Options are the settings of Start.
type Options struct {
	// DataDir keeps the server's state, in a SQLite file, across restarts. Empty,
	// the state is kept in memory.
	DataDir string
	// FrontendAddr is where Temporal answers, host and port; with port 0 it takes
	// a free one.
	FrontendAddr string
	// UIAddr is where the UI answers, host and port; empty for no UI.
	UIAddr string
	// Namespace is made if it does not exist; default "default".
	Namespace string
	// Logger gets the server's warnings and errors; default none.
	Logger *slog.Logger
	// SearchAttributes are registered; default schemas.SearchAttributes.
	SearchAttributes map[string]enums.IndexedValueType
}

// PortError says that an address to listen on is taken or can't be used.
type PortError struct {
	// What was to listen there.
	What string
	Addr string
	Err  error
}

func (e *PortError) Error() string {
	return fmt.Sprintf("%s can't listen on %s: %v", e.What, e.Addr, e.Err)
}

func (e *PortError) Unwrap() error { return e.Err }

// Stack is a running server, with its UI.
type Stack struct {
	server   temporal.Server
	frontend string
	ui       *uiServer
}

// readyWithin bounds the wait for the server's first answer.
const readyWithin = 60 * time.Second

// Start starts the server and, if asked to, the UI. It returns when the
// namespace can be used. A taken port is a *PortError.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SearchAttributes == nil {
		o.SearchAttributes = schemas.SearchAttributes
	}
	frontend, err := resolve(o.FrontendAddr, "Temporal")
	if err != nil {
		return nil, err
	}
	if o.UIAddr != "" {
		if o.UIAddr, err = resolve(o.UIAddr, "Temporal's UI"); err != nil {
			return nil, err
		}
	}
	s := &Stack{frontend: frontend}
	if s.server, err = newServer(o, frontend); err != nil {
		return nil, err
	}
	if err := s.server.Start(); err != nil {
		return nil, fmt.Errorf("start Temporal: %w", err)
	}
	if err := s.ready(ctx, o.Namespace); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if o.UIAddr != "" {
		if s.ui, err = startUI(o.UIAddr, frontend, o.Namespace); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	return s, nil
}

// resolve checks that an address can be listened on, and gives it with a port.
// Between this and the listening proper somebody else can take the port; the
// server's own error tells then.
func resolve(addr, what string) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", &PortError{What: what, Addr: addr, Err: err}
	}
	defer l.Close()
	tcp := l.Addr().(*net.TCPAddr)
	if !tcp.IP.IsLoopback() {
		return "", &PortError{What: what, Addr: addr, Err: errors.New("only addresses of this machine are allowed, such as 127.0.0.1")}
	}
	return tcp.String(), nil
}

// newServer configures the server.
func newServer(o Options, frontend string) (temporal.Server, error) {
	cfg, err := serverConfig(o, frontend)
	if err != nil {
		return nil, err
	}
	sql := cfg.Persistence.DataStores[store].SQL
	if o.DataDir != "" {
		if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder for Temporal's state: %w", err)
		}
		if _, err := os.Stat(sql.DatabaseName); errors.Is(err, os.ErrNotExist) {
			if err := setUp(sql); err != nil {
				return nil, err
			}
		}
	}
	namespace, err := sqlite.NewNamespaceConfig(clusterName, o.Namespace, false, o.SearchAttributes)
	if err != nil {
		return nil, fmt.Errorf("configure the namespace %s: %w", o.Namespace, err)
	}
	if err := sqlite.CreateNamespaces(sql, namespace); err != nil {
		return nil, fmt.Errorf("make the namespace %s: %w", o.Namespace, err)
	}
	logger := logger{o.Logger}
	claims, err := authorization.GetClaimMapperFromConfig(&cfg.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("configure Temporal: %w", err)
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamicConfig),
	)
	if err != nil {
		return nil, fmt.Errorf("configure Temporal: %w", err)
	}
	return server, nil
}

// setUp makes the tables of a new database. They are made under another name
// first, so that a process killed in between leaves no half-made database.
func setUp(sql *config.SQL) error {
	final := sql.DatabaseName
	making := *sql
	making.DatabaseName = filepath.Join(filepath.Dir(final), "new-"+filepath.Base(final))
	// No journal beside the file: the server's pool keeps the connection open, so
	// what is in a journal would not come along.
	making.ConnectAttributes = map[string]string{"mode": "rwc", "journal_mode": "MEMORY", "synchronous": "OFF"}
	if err := os.RemoveAll(making.DatabaseName); err != nil {
		return fmt.Errorf("make Temporal's database: %w", err)
	}
	if err := sqlite.SetupSchema(&making); err != nil {
		return fmt.Errorf("make Temporal's database: %w", err)
	}
	if err := os.Rename(making.DatabaseName, final); err != nil {
		return fmt.Errorf("make Temporal's database: %w", err)
	}
	return nil
}

// ready waits until the namespace can be used.
func (s *Stack) ready(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		if last = s.try(ctx, namespace); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("the embedded Temporal did not get ready: %w", errors.Join(ctx.Err(), last))
}

func (s *Stack) try(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: s.frontend, Namespace: namespace, Logger: quiet{}})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, PageSize: 1})
	return err
}

// FrontendAddr is where Temporal answers, host and port.
func (s *Stack) FrontendAddr() string { return s.frontend }

// UIURL is where the UI answers, without a slash at its end; empty without one.
func (s *Stack) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return "http://" + s.ui.addr
}

// Stop stops the UI and the server.
func (s *Stack) Stop() error {
	if s.ui != nil {
		s.ui.stop()
	}
	if err := s.server.Stop(); err != nil {
		return fmt.Errorf("stop Temporal: %w", err)
	}
	return nil
}

// freePort gives a port that is free now.
func freePort() (int, error) {
	addr, err := resolve("127.0.0.1:0", "Temporal")
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
