// Package dataroot has the keys of the files in the data root: where the records of runs,
// exports, connections and projects are. A key is a path below the data root, with slashes.
// Display names are in it as schemas.PathName, so that no name leads to another folder.
package dataroot

import (
	"fmt"
	"path"
	"regexp"
	"time"

	"iterable-segment-export/schemas"
)

// Files of the folders of runs.
const (
	AddsFile     = "adds.arrow"      // profiles to subscribe, one record batch a request
	RemovesFile  = "removes.arrow"   // profiles to unsubscribe, one record batch a request
	RejectsFile  = "rejects.parquet" // rows not sent, with the reason
	RowsFile     = "rows.parquet"    // what became of each row
	ExamplesFile = "examples.json"   // the Examples of a segment's check
	ReportFile   = "report.json"     // the ExportReport of a segment's run

	PaceFile = "pace.json" // the PaceSamples of a segment's run

	RunRecordFile = "run.json"    // the RunRecord of a run
	RunReportFile = "report.html" // the readable report of a whole run
)

// HasRows reports whether a file of a report's folder has rows of people: they are kept as rejects
// are, and rewritten when a person is forgotten.
func HasRows(name string) bool {
	return name == RejectsFile || name == RowsFile || name == ExamplesFile
}

// DeploymentKey is the key of the data root's ID, a Deployment.
const DeploymentKey = "deployment.json"

// Deployment identifies a data root in Iterable.
type Deployment struct {
	ID string `json:"id"`
}

// RestoreKey is the key of the Restore that a person declared last.
const RestoreKey = "restore.json"

// Restore records that the data root was restored from a backup.
type Restore struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

// ProbeKey is the key of a file that is written to test the data root.
const ProbeKey = "probe.json"

// ListOwners is the folder with the records of which export fills which list.
const ListOwners = "lists"

// ListOwnersDir holds the records of the lists of one host, a file each.
func ListOwnersDir(host string) string { return path.Join(ListOwners, schemas.PathName(host)) }

// StagingDir returns the folder of the files that one segment's run deletes at its end.
func StagingDir(run schemas.RunRef) string {
	return path.Join(StagedFilesDir, exportPath(run.Connection, run.Export), PathID(run.RunID), schemas.PathName(run.Segment))
}

// StagedDir returns the folder of one attempt at staging. It is within the run's StagingDir,
// whatever the attempt's name is.
func StagedDir(run schemas.RunRef, attempt string) string {
	return path.Join(StagingDir(run), PathID(attempt))
}

var attemptName = regexp.MustCompile(`^[0-9a-f]{32}$`)

// IsAttempt reports whether name is the name of an attempt at staging, which is of 32
// hexadecimal digits.
func IsAttempt(name string) bool { return attemptName.MatchString(name) }

// StagedFilesDir, SnapshotsDir and ReportsDir are the folders of all staged files, of all
// snapshots, and of all reports.
const (
	StagedFilesDir = "staging"
	SnapshotsDir   = "snapshots"
	ReportsDir     = "reports"
)

// PeopleDirs are the folders of the data root with personal data and records of runs.
var PeopleDirs = []string{StagedFilesDir, SnapshotsDir, ReportsDir, HistoryDir, TrialsDir, "forgotten", SuppressionDir}

// ExportDirs returns the folders with the personal data and the past runs of an export over a
// connection.
func ExportDirs(connection, export string) []string {
	var dirs []string
	for _, kind := range PeopleDirs[:5] {
		dirs = append(dirs, path.Join(kind, exportPath(connection, export)))
	}
	return dirs
}

// ForgettingDir is the folder with the claims of processes that remove a person from the data
// root, so that one does at a time. The claims are empty.
const ForgettingDir = "forgetting"

// ForgottenDir returns the folder with hashes of the profiles that a connection's project
// has forgotten.
func ForgottenDir(connection string) string {
	return path.Join("forgotten", schemas.PathName(connection))
}

// SuppressionDir is the folder of the hashes of suppression lists, which are kept until their
// sources change.
const SuppressionDir = "suppression"

// SuppressionKey returns the key of the hashes of one suppression list of a connection.
func SuppressionKey(connection, list string) string {
	return path.Join(SuppressionDir, schemas.PathName(connection), schemas.PathName(list))
}

// SuppressionCountKey returns the key of the number of entries that a suppression list of a
// connection had when a run was last done. It stays when exports are removed.
func SuppressionCountKey(connection, list string) string {
	return path.Join("connections", schemas.PathName(connection), "suppression", schemas.PathName(list)+".json")
}

// exportPath returns the part of a path that separates exports of the same name over
// different connections.
func exportPath(connection, export string) string {
	return path.Join(schemas.PathName(connection), schemas.PathName(export))
}

// ReportDir returns the folder of the report and the rejects of one segment's run.
func ReportDir(run schemas.RunRef) string {
	return path.Join(runDir(run.Connection, run.Export, run.RunID), schemas.PathName(run.Segment))
}

// ConsentDir returns the folder of the consents to a connection, one file each, named by
// its time.
func ConsentDir(connection string) string {
	return path.Join("connections", schemas.PathName(connection), "consents")
}

// ConnectionCheckKey returns the key of the result of a connection's last check.
func ConnectionCheckKey(connection string) string {
	return path.Join("connections", schemas.PathName(connection), "check.json")
}

// ProjectKey returns the key of the record of which project a connection leads to.
func ProjectKey(connection string) string {
	return path.Join("connections", schemas.PathName(connection), "project.json")
}

// SendersDir returns the folder in which the workers that are sending to a project have a
// file each.
func SendersDir(project string) string {
	return path.Join("projects", schemas.PathName(project), "senders")
}

// LimitsKey returns the key of the learned limits of a project.
func LimitsKey(project string) string {
	return path.Join("projects", schemas.PathName(project), "limits.json")
}

// TurnsDir returns the folder in which workers reserve requests to an endpoint of a project
// with a low limit.
func TurnsDir(project string) string {
	return path.Join("projects", schemas.PathName(project), "turns")
}

// RevokedKey returns the key of the time since which grants of a connection's export are
// valid.
func RevokedKey(connection, export string) string {
	return path.Join("access", "revoked", exportPath(connection, export)+".json")
}

// NameKey returns the key of an export's NameRecord.
func NameKey(export string) string {
	return path.Join("access", "names", schemas.PathName(export)+".json")
}

// RunRecordKey returns the key of a run's RunRecord, which is kept for as long as its
// report.
func RunRecordKey(run schemas.RunRef) string {
	return path.Join(runDir(run.Connection, run.Export, run.RunID), RunRecordFile)
}

// TargetsKey returns the key of the webhooks of a connection's export, as it was granted
// last.
func TargetsKey(connection, export string) string {
	return path.Join("access", "notify", exportPath(connection, export)+".json")
}

// RunListKey returns the key of the record of the list that a segment's run fills.
func RunListKey(run schemas.RunRef) string { return path.Join(ReportDir(run), "list.json") }

// runDir returns the folder of the reports of a run and of its segments.
func runDir(connection, export, runID string) string {
	return path.Join("reports", exportPath(connection, export), PathID(runID))
}

// PathID returns the part of a key for the ID of a run or of an attempt. IDs of letters, digits
// and hyphens are used unchanged. No ID leads to another folder.
func PathID(id string) string {
	for _, c := range []byte(id) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return schemas.PathName(id)
		}
	}
	if id == "" || len(id) > 64 {
		return schemas.PathName(id)
	}
	return id
}

// SweptKey is the key of a file that is written when a sweep begins.
const SweptKey = "sweeper/last.json"

// SnapshotDir returns the folder of the snapshot of one segment of a connection's export.
func SnapshotDir(connection, export, segment string) string {
	return path.Join("snapshots", exportPath(connection, export), schemas.PathName(segment))
}

// ConnectionSnapshots returns the folder of the snapshots of all exports over a connection.
func ConnectionSnapshots(connection string) string {
	return path.Join(SnapshotsDir, schemas.PathName(connection))
}

// ListsKey returns the key of the record of a divided segment's lists.
func ListsKey(run schemas.RunRef) string {
	return path.Join(SnapshotDir(run.Connection, run.Export, run.Segment), "lists.json")
}

// PendingPrefix is the name prefix of markers: files in the snapshot's folder while runs may
// have changed the list in ways that the snapshot does not show yet.
const PendingPrefix = "pending-"

// SnapshotName returns the file name of a snapshot with that number. Each snapshot is a new
// file with the next number, so that a late one can't replace a newer one.
func SnapshotName(version int64) string { return fmt.Sprintf("snapshot-%012d.arrow", version) }

// SnapshotVersion returns the number in a SnapshotName; ok reports whether it is one.
func SnapshotVersion(name string) (version int64, ok bool) {
	n, err := fmt.Sscanf(name, "snapshot-%012d.arrow", &version)
	return version, n == 1 && err == nil && version > 0 && SnapshotName(version) == name
}

// RunReport returns the key of a run's readable report.
func RunReport(connection, export, runID string) string {
	return path.Join(runDir(connection, export, runID), RunReportFile)
}

// PaceDir returns the folder of the pace samples of one segment's run, one file for each
// attempt at a chunk.
func PaceDir(run schemas.RunRef) string { return path.Join(StagingDir(run), "pace") }

// TrialsDir is the folder with the people of trials that have not ended.
const TrialsDir = "trials"

// TrialSaltKey is the key of the random bytes that keep requests for trials from being guessed
// by their hashes.
const TrialSaltKey = TrialsDir + "/salt"

// TrialKey returns the key of the file with the people of a trial.
func TrialKey(connection, export, people string) string {
	return path.Join(TrialsDir, exportPath(connection, export), path.Base(people)+".json")
}

// HistoryDir is the folder with the PastRuns of every export.
const HistoryDir = "history"

// PastRunsKey returns the key of the PastRuns of an export over a connection.
func PastRunsKey(connection, export string) string {
	return path.Join(HistoryDir, exportPath(connection, export), "runs.json")
}

// OverviewKey is the key of the overview of all exports as a page.
const OverviewKey = ReportsDir + "/index.html"

// AuditDir is the folder of the audit trail.
const AuditDir = "audit"

// AuditMonth returns the month of a time, as it is in the names of the files of the audit trail.
func AuditMonth(at time.Time) string { return at.UTC().Format("2006-01") }

// AuditKey returns the key of the file of the audit trail of a month. A month with many entries has
// several parts, of which the first is 1.
func AuditKey(month string, part int) string {
	if part == 1 {
		return path.Join(AuditDir, month+".jsonl")
	}
	return path.Join(AuditDir, fmt.Sprintf("%s.%d.jsonl", month, part))
}
