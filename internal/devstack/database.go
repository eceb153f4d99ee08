package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// prepareDatabase creates the tables, if there are none, and the namespace.
func prepareDatabase(o Options, sql *config.SQL) error {
	if o.DataDir != "" {
		file := filepath.Join(o.DataDir, databaseFile)
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			if err := makeDatabase(file); err != nil {
				return fmt.Errorf("make Temporal's database in %s: %w", o.DataDir, err)
			}
		}
	}
	namespace, err := sqlite.NewNamespaceConfig(clusterName, o.Namespace, false, o.SearchAttributes)
	if err != nil {
		return fmt.Errorf("configure the namespace %s: %w", o.Namespace, err)
	}
	namespace.Detail.Config.Retention = durationpb.New(o.Retention)
	if err := sqlite.CreateNamespaces(sql, namespace); err != nil {
		return fmt.Errorf("make the namespace %s: %w", o.Namespace, err)
	}
	return nil
}

// makeDatabase creates the tables in a file with another name first, so that a killed process
// leaves no incomplete database.
func makeDatabase(file string) error {
	making := file + ".new"
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	// The journal must not be a file: the server's pool keeps the connection open, so the
	// content of the journal would not be renamed with the database.
	err := sqlite.SetupSchema(&config.SQL{
		PluginName: store, DatabaseName: uriPath(making),
		ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "MEMORY", "synchronous": "OFF"},
	})
	if err != nil {
		return err
	}
	if err := os.Chmod(making, 0o600); err != nil {
		return err
	}
	return os.Rename(making, file)
}

// LockedError means that another process uses the folder.
type LockedError struct{ Dir string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("another process runs Temporal on %s; stop it, or choose another folder", e.Dir)
}

// lockDir creates the folder if needed, and locks it: two servers on one database would process
// each other's tasks.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for Temporal's state: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the folder of Temporal's state: %w", err)
	}
	if !tryLock(f) {
		f.Close()
		return nil, &LockedError{Dir: dir}
	}
	return f, nil
}

// unlock releases the lock by closing the file.
func unlock(f *os.File) {
	if f != nil {
		f.Close()
	}
}
