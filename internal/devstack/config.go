package devstack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
)

const (
	store        = sqliteplugin.PluginName
	clusterName  = "active"
	databaseFile = "temporal.db"
)

// dynamicConfig makes a server for one machine: nothing held back by limits that
// protect a cluster, and new search attributes usable at once.
var dynamicConfig = dynamicconfig.StaticClient{
	dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key():             true,
	dynamicconfig.FrontendRPS.Key():                                         100_000,
	dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                  100_000,
	dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(): 100_000,
	dynamicconfig.FrontendPersistenceMaxQPS.Key():                           100_000,
	dynamicconfig.HistoryPersistenceMaxQPS.Key():                            100_000,
	dynamicconfig.MatchingPersistenceMaxQPS.Key():                           100_000,
	dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():                  1,
	dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():                 1,
}

// serverConfig is a server with all services in this process, on SQLite.
func serverConfig(o Options, frontend string) (*config.Config, error) {
	sql := &config.SQL{PluginName: store, ConnectAttributes: map[string]string{}}
	if o.DataDir == "" {
		// Databases in memory are told apart by their names.
		sql.DatabaseName = fmt.Sprintf("devstack-%d", rand.Uint64())
		sql.ConnectAttributes["mode"] = "memory"
		sql.ConnectAttributes["cache"] = "shared"
	} else {
		sql.DatabaseName = filepath.Join(o.DataDir, databaseFile)
		sql.ConnectAttributes["mode"] = "rwc"
		sql.ConnectAttributes["journal_mode"] = "WAL"
		sql.ConnectAttributes["synchronous"] = "NORMAL"
	}
	services, err := services(frontend)
	if err != nil {
		return nil, err
	}
	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore: store, VisibilityStore: store, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{store: {SQL: sql}},
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

// services gives each service its ports, all on this machine.
func services(frontend string) (map[string]config.Service, error) {
	host, port, err := net.SplitHostPort(frontend)
	if err != nil {
		return nil, err
	}
	out := map[string]config.Service{}
	for _, name := range []string{"frontend", "history", "matching", "worker"} {
		rpc := config.RPC{BindOnLocalHost: true}
		if rpc.MembershipPort, err = freePort(); err != nil {
			return nil, err
		}
		if name == "frontend" {
			rpc.BindOnLocalHost, rpc.BindOnIP = false, host
			rpc.GRPCPort, err = strconv.Atoi(port)
		} else {
			rpc.GRPCPort, err = freePort()
		}
		if err != nil {
			return nil, err
		}
		out[name] = config.Service{RPC: rpc}
	}
	return out, nil
}
