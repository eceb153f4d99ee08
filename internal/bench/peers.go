package main

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/sandbox"
)

//go:embed peers/package.json peers/package-lock.json peers/upload.mjs
var peersFiles embed.FS

// peer is a way of sending people with Iterable's own client.
type peer struct {
	what   string
	atOnce int
}

var peerWays = []peer{{"@iterable/api in a loop, 1,000 a request", 1}, {"@iterable/api, 5 requests at once", 5}}

func (l *lab) peers(ctx context.Context) error {
	return l.sideBySide(ctx, "peers", "without a limit", project{})
}

func (l *lab) peersThrottled(ctx context.Context) error {
	return l.sideBySide(ctx, "peers-throttled", "at Iterable's limits", iterableLike)
}

// sideBySide sends the same addresses by this program and by the peers, each to a
// sandbox of its own.
func (l *lab) sideBySide(ctx context.Context, scenario, how string, p project) error {
	dir, err := l.segment(ctx, l.Rows, 1, 1)
	if err != nil {
		return err
	}
	list, err := l.addressList(ctx, dir)
	if err != nil {
		return err
	}
	program, err := l.installPeers(ctx)
	if err != nil {
		return err
	}
	ours, err := l.addressesAlone(ctx, dir, p)
	if err != nil {
		return err
	}
	l.add(Figure{
		Scenario: scenario, What: "this program, addresses alone, " + how, Measured: ours.seconds, Unit: "s",
		Note: fmt.Sprintf("%.1f CPU seconds, %.0f MB, reading Parquet included", ours.CPU, ours.Peak),
	})
	for _, way := range peerWays {
		theirs, err := l.runPeer(ctx, program, list, way, p)
		if err != nil {
			return err
		}
		f := Figure{
			Scenario: scenario, What: way.what + ", " + how, Measured: theirs.seconds, Unit: "s",
			Note: fmt.Sprintf("%.1f CPU seconds, %.0f MB, addresses in memory beforehand; %.0f refused", theirs.CPU, theirs.Peak, theirs.refused),
		}
		l.add(f)
		if way.atOnce == 1 && p.rate == 0 && l.first8 > 0 {
			l.add(Figure{
				Scenario: scenario, What: "this program's first export with 8 fields, against that loop without fields", Measured: l.first8, Unit: "s",
				Floor: theirs.seconds, FloorOf: "the loop", Target: 1,
			})
		}
	}
	return nil
}

// timed is what an upload took.
type timed struct {
	usage
	seconds float64
	refused float64 // people whose address is not as Iterable wants it
}

func (l *lab) addressesAlone(ctx context.Context, dir string, p project) (timed, error) {
	w, err := l.open(ctx, p)
	if err != nil {
		return timed{}, err
	}
	defer w.close()
	if err := w.startWorkers(1); err != nil {
		return timed{}, err
	}
	_, seconds, err := w.run(ctx, w.export("addresses", dir, nil))
	if err != nil {
		return timed{}, err
	}
	return timed{usage: w.stopWorkers(), seconds: seconds}, nil
}

// runPeer sends the addresses of a file with Iterable's own client.
func (l *lab) runPeer(ctx context.Context, program, list string, way peer, p project) (timed, error) {
	w, err := l.open(ctx, p)
	if err != nil {
		return timed{}, err
	}
	defer w.close()
	cmd := exec.CommandContext(ctx, "node", program, w.url, sandbox.DefaultKey, list, strconv.Itoa(way.atOnce))
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return timed{}, fmt.Errorf("%s: %w\n%s", way.what, err, errOut.String())
	}
	var said struct{ Seconds, Peak, Refused float64 }
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		return timed{}, fmt.Errorf("%s says %q: %w", way.what, out.String(), err)
	}
	s := cmd.ProcessState
	return timed{usage{CPU: (s.UserTime() + s.SystemTime()).Seconds(), Peak: said.Peak}, said.Seconds, said.Refused}, nil
}

// installPeers installs the clients with npm, once for each folder of figures.
func (l *lab) installPeers(ctx context.Context) (program string, err error) {
	dir := filepath.Join(l.Out, "peers")
	files, err := fs.Sub(peersFiles, "peers")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json", "upload.mjs"} {
		data, err := fs.ReadFile(files, name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install Iterable's client with npm: %w\n%s", err, out)
	}
	return filepath.Join(dir, "upload.mjs"), nil
}

// addressList writes a segment's addresses to a file, a line each.
func (l *lab) addressList(ctx context.Context, dir string) (string, error) {
	file, err := os.Create(filepath.Join(l.Out, "addresses.txt"))
	if err != nil {
		return "", err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	err = readColumns(ctx, dir, []string{"EmailAddress"}, func(records array.RecordReader) error {
		for records.Next() {
			column, ok := records.Record().Column(0).(*array.String)
			if !ok {
				return fmt.Errorf("the column EmailAddress has the type %s", records.Record().Column(0).DataType())
			}
			for i := range column.Len() {
				fmt.Fprintln(out, column.Value(i))
			}
		}
		return ended(records)
	})
	if err != nil {
		return "", err
	}
	return file.Name(), out.Flush()
}
