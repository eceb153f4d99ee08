package devstack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const (
	store        = sqliteplugin.PluginName
	clusterName  = "active"
	databaseFile = "temporal.db"
)

// dynamicConfig is for a server on one machine: without the limits that protect a cluster, with
// new search attributes usable at once, and without scanners for months-old leftovers.
var dynamicConfig = dynamicconfig.StaticClient{
	dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key():             true,
	dynamicconfig.FrontendRPS.Key():                                         100_000,
	dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                  100_000,
	dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():        1_000,
	dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(): 100_000,
	dynamicconfig.FrontendPersistenceMaxQPS.Key():                           100_000,
	dynamicconfig.HistoryPersistenceMaxQPS.Key():                            100_000,
	dynamicconfig.MatchingPersistenceMaxQPS.Key():                           100_000,
	dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():                  1,
	dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():                 1,
	dynamicconfig.SchedulerNamespaceStartWorkflowRPS.Key():                  1_000.0,
	dynamicconfig.TaskQueueScannerEnabled.Key():                             false,
	dynamicconfig.HistoryScannerEnabled.Key():                               false,
}

// startServer configures a server, prepares its database and starts it.
func startServer(o Options, frontend string, f *fatal) (temporal.Server, error) {
	cfg, err := serverConfig(o, frontend)
	if err != nil {
		return nil, err
	}
	if err := prepareDatabase(o, cfg.Persistence.DataStores[store].SQL); err != nil {
		return nil, err
	}
	logger := logger{slog: o.Logger, fatal: f}
	claims, err := authorization.GetClaimMapperFromConfig(&cfg.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("configure Temporal: %w", err)
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts(cfg)),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamicConfig),
	)
	if err != nil {
		return nil, fmt.Errorf("configure Temporal: %w", err)
	}
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start Temporal: %w", err)
	}
	return server, nil
}

// serverConfig returns a server with all services in this process, on SQLite.
func serverConfig(o Options, frontend string) (*config.Config, error) {
	services, err := services(frontend)
	if err != nil {
		return nil, err
	}
	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore: store, VisibilityStore: store, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{store: {SQL: database(o.DataDir)}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		PublicClient:        config.PublicClient{HostPort: frontend},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
	}
	cfg.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: "127.0.0.1"}
	return cfg, nil
}

// database returns a SQLite database in a folder, or in memory if it is empty.
func database(dir string) *config.SQL {
	if dir == "" {
		return &config.SQL{
			PluginName: store,
			// Databases in memory are distinguished by name.
			DatabaseName:      fmt.Sprintf("devstack-%d", rand.Uint64()),
			ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
		}
	}
	return &config.SQL{
		PluginName:   store,
		DatabaseName: uriPath(filepath.Join(dir, databaseFile)),
		// With a write-ahead log and this synchronous mode, a killed process loses no data;
		// a power cut can lose the last moments.
		ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "WAL", "synchronous": "NORMAL"},
	}
}

// uriPath returns a path for SQLite's URI.
func uriPath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// services returns the services with their ports on this machine.
func services(frontend string) (map[string]config.Service, error) {
	host, port, err := net.SplitHostPort(frontend)
	if err != nil {
		return nil, err
	}
	front := config.RPC{BindOnIP: host}
	if front.GRPCPort, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	out := map[string]config.Service{string(primitives.FrontendService): {RPC: front}}
	for _, name := range []primitives.ServiceName{primitives.HistoryService, primitives.MatchingService, primitives.WorkerService} {
		rpc := config.RPC{BindOnIP: loopback.String()}
		if rpc.GRPCPort, err = freePort(loopback); err != nil {
			return nil, err
		}
		out[string(name)] = config.Service{RPC: rpc}
	}
	return out, nil
}

var loopback = net.IPv4(127, 0, 0, 1)

// hosts returns the address of each service, so that they need no gossip, which leaves records
// in the database: after a restart the services would ask their dead predecessors for half a
// minute.
func hosts(cfg *config.Config) map[primitives.ServiceName]static.Hosts {
	out := map[primitives.ServiceName]static.Hosts{}
	for name, s := range cfg.Services {
		out[primitives.ServiceName(name)] = static.SingleLocalHost(net.JoinHostPort(s.RPC.BindOnIP, strconv.Itoa(s.RPC.GRPCPort)))
	}
	return out
}
