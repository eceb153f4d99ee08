package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
)

// PathName turns a display name of any form into a name that every file system
// and bucket takes: a readable part and the first 128 bits of the name's SHA-256 in
// hex, so that nobody finds another name with the same one.
func PathName(name string) string {
	const most = 30
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
		if b.Len() >= most {
			break
		}
	}
	sum := sha256.Sum256([]byte(name))
	readable := strings.TrimSuffix(b.String(), "-")
	if readable == "" {
		readable = "x"
	}
	return readable + "-" + hex.EncodeToString(sum[:16])
}

// Files of the data root. Every path is a key relative to the data root, with
// slashes.
const (
	AddsFile     = "adds.arrow"      // profiles to subscribe, one record batch a request
	RemovesFile  = "removes.arrow"   // profiles to unsubscribe, one record batch a request
	RejectsFile  = "rejects.parquet" // rows not sent, with the reason
	ExamplesFile = "examples.json"   // the Examples of a segment's check
	ReportFile   = "report.json"     // the ExportReport of a segment's run

	RunRecordFile = "run.json" // the RunRecord of a run
)

// DeploymentKey is where the data root's own id is kept, a Deployment.
const DeploymentKey = "deployment.json"

// Deployment is what a data root is known by in Iterable.
type Deployment struct {
	ID string `json:"id"`
}

// ProbeKey is a file that is written to find out whether the data root can be.
const ProbeKey = "probe.json"

// ListOwners is the folder with the records of which export fills which list.
const ListOwners = "lists"

// ListOwnersDir holds the records of the lists of one host, a file each.
func ListOwnersDir(host string) string { return path.Join(ListOwners, PathName(host)) }

// StagingDir is where one segment's run keeps the files that it deletes at its
// end.
func StagingDir(run RunRef) string {
	return path.Join("staging", exportPath(run.Connection, run.Export), runPath(run.RunID), PathName(run.Segment))
}

// StagedDir is where one attempt at staging keeps its files. The attempt is a name of
// hexadecimal digits.
func StagedDir(run RunRef, attempt string) string {
	return path.Join(StagingDir(run), attempt)
}

// PeopleDirs are the folders of the data root that people's data lies in, and what
// is known of runs.
var PeopleDirs = []string{"staging", "snapshots", "reports", "forgotten"}

// ExportDirs are the folders that hold all that the data root knows of the people
// of an export over a connection.
func ExportDirs(connection, export string) []string {
	var dirs []string
	for _, kind := range PeopleDirs[:3] {
		dirs = append(dirs, path.Join(kind, exportPath(connection, export)))
	}
	return dirs
}

// ForgottenDir holds hashes of the people whom a connection's project has forgotten.
func ForgottenDir(connection string) string { return path.Join("forgotten", PathName(connection)) }

// exportPath is the part of a path that keeps an export of one connection apart from
// one of the same name over another.
func exportPath(connection, export string) string {
	return path.Join(PathName(connection), PathName(export))
}

// ReportDir is where one segment's run leaves its report and its rejects.
func ReportDir(run RunRef) string {
	return path.Join(RunDir(run.Connection, run.Export, run.RunID), PathName(run.Segment))
}

// ConsentDir is where the consents to a connection are kept, one file each, named
// by its time.
func ConsentDir(connection string) string {
	return path.Join("connections", PathName(connection), "consents")
}

// ConnectionCheckKey is where the result of a connection's last check is kept.
func ConnectionCheckKey(connection string) string {
	return path.Join("connections", PathName(connection), "check.json")
}

// SendersDir is where the workers that send over a connection just now say so, a
// file each.
func SendersDir(connection string) string {
	return path.Join("connections", PathName(connection), "senders")
}

// LimitsKey is where it is kept what was learned of a connection's limits.
func LimitsKey(connection string) string {
	return path.Join("connections", PathName(connection), "limits.json")
}

// TurnsDir is where the workers note that one of them makes a request of which
// Iterable allows few.
func TurnsDir(connection string) string {
	return path.Join("connections", PathName(connection), "turns")
}

// RevokedKey is where it is kept since when the grants of a connection's export are
// good.
func RevokedKey(connection, export string) string {
	return path.Join("access", "revoked", exportPath(connection, export)+".json")
}

// NameKey is where it is kept which connection an export's name belongs to.
func NameKey(export string) string {
	return path.Join("access", "names", PathName(export)+".json")
}

// RunRecordKey is where it is kept what a run was let in with, for as long as its
// report.
func RunRecordKey(run RunRef) string {
	return path.Join(RunDir(run.Connection, run.Export, run.RunID), RunRecordFile)
}

// RunListKey is where it is kept which list a segment's run fills.
func RunListKey(run RunRef) string { return path.Join(ReportDir(run), "list.json") }

// RunDir holds the reports of a run and of its segments.
func RunDir(connection, export, runID string) string {
	return path.Join("reports", exportPath(connection, export), runPath(runID))
}

// runPath is the part of a path that is a run's. The id is an element as it stands, if
// it is made of nothing but letters, digits and hyphens, as Temporal's are.
func runPath(id string) string {
	for _, c := range []byte(id) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return PathName(id)
		}
	}
	if id == "" || len(id) > 64 {
		return PathName(id)
	}
	return id
}

// SweptKey is a file that is written when a sweep of the data root begins.
const SweptKey = "sweeper/last.json"

// SnapshotDir is where the snapshot of one segment of a connection's export lives.
func SnapshotDir(connection, export, segment string) string {
	return path.Join("snapshots", exportPath(connection, export), PathName(segment))
}

// SnapshotName is the name of a snapshot in its SnapshotDir: what the run of that number
// left in the list. Each snapshot is a new file with the next number, so that one which
// comes late can't take the place of a newer one.
func SnapshotName(version int64) string { return fmt.Sprintf("snapshot-%012d.arrow", version) }

// SnapshotVersion returns the number in a SnapshotName; ok reports whether it is one.
func SnapshotVersion(name string) (version int64, ok bool) {
	n, err := fmt.Sscanf(name, "snapshot-%012d.arrow", &version)
	return version, n == 1 && err == nil && version > 0 && SnapshotName(version) == name
}
