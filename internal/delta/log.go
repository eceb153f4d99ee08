package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"iterable-segment-export/internal/storage"
)

// Latest makes Read return the latest version.
const Latest = -1

// Bounds on the work that a log can cause.
const (
	maxFiles  = 100_000   // of one version
	maxText   = 256 << 20 // bytes of paths and partition values of one version; as many of statistics
	maxCommit = 256 << 20 // bytes of a commit, or of a checkpoint in JSON
)

// logFolder is the folder of the log in the table's folder.
const logFolder = "_delta_log/"

// Table is one version of a table.
type Table struct {
	Version int64
	// Columns are the table's columns in their order.
	Columns []Column
	// Files are the files of the version, sorted by name.
	Files []File
}

// File is a data file of a table.
type File struct {
	storage.Object
	// Partition has the values of the partition columns by physical name; nil is null.
	Partition map[string]*string
	vector    *vector
	stats     string                    // JSON, empty if the log has none or they were not asked for
	objects   map[string]storage.Object // of the table's folder
}

// folder is the listing of a table's folder.
type folder struct {
	ctx     context.Context
	list    List
	objects map[string]storage.Object
}

// List returns the files of the table's folder that keep reports true for, and whose names
// begin with below: a folder and a slash, or nothing.
type List func(below string, keep func(name string) bool) ([]storage.Object, error)

// find lists files, and adds them to objects.
func (f *folder) find(below string, keep func(name string) bool) error {
	objects, err := f.list(below, keep)
	for _, o := range objects {
		f.objects[o.Name] = o
	}
	return err
}

// Read returns a version of a table, or the latest one. It lists the log, and then only the
// files of the version, since the folder can have any number of files of earlier versions.
// With statistics set, the files have those that the log has of them.
func Read(ctx context.Context, list List, version int64, statistics bool) (*Table, error) {
	f := folder{ctx: ctx, list: list, objects: map[string]storage.Object{}}
	err := f.find(logFolder, func(name string) bool {
		return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".parquet")
	})
	if err != nil {
		return nil, err
	}
	plan, err := f.plan(version)
	if err != nil {
		return nil, err
	}
	s := state{adds: map[string]*add{}, statistics: statistics}
	for _, name := range plan.checkpoint {
		if err := f.checkpoint(name, &s); err != nil {
			return nil, fmt.Errorf("read %s of the Delta log: %w", path.Base(name), err)
		}
	}
	for _, name := range plan.commits {
		if err := f.lines(name, s.apply); err != nil {
			return nil, fmt.Errorf("read %s of the Delta log: %w", path.Base(name), err)
		}
	}
	return f.table(plan.version, &s)
}

// plan lists the files of the log that must be read for a version.
type plan struct {
	version    int64
	checkpoint []string // parts
	commits    []string
}

// plan chooses the newest complete checkpoint and the commits after it.
func (f *folder) plan(version int64) (plan, error) {
	commits := map[int64]string{}
	points := checkpoints{}
	newest := int64(-1)
	for name := range f.objects {
		base, ok := strings.CutPrefix(name, logFolder)
		if !ok || len(base) < 21 || base[20] != '.' {
			continue
		}
		v, err := strconv.ParseInt(base[:20], 10, 64)
		if err != nil || v < 0 || version != Latest && v > version {
			continue
		}
		switch rest := base[21:]; {
		case rest == "json":
			commits[v] = name
		case !points.add(v, rest, name):
			continue
		}
		newest = max(newest, v)
	}
	switch {
	case newest < 0:
		return plan{}, errors.New("the Delta log has no commit; wait until the table is written, or restore its log")
	case version != Latest && newest != version:
		return plan{}, fmt.Errorf("the Delta log no longer has version %d: %w", version, storage.ErrChanged)
	}
	p := plan{version: newest}
	start := int64(0)
	if v, parts := points.newest(); parts != nil {
		p.checkpoint, start = parts, v+1
	}
	for v := start; v <= newest; v++ {
		name, ok := commits[v]
		if !ok {
			return p, fmt.Errorf("the Delta log lacks version %d, which version %d needs; restore it, or write the table again", v, newest)
		}
		p.commits = append(p.commits, name)
	}
	return p, nil
}

// add is a file that an action adds.
type add struct {
	Path            string
	PartitionValues map[string]*string
	Size            int64
	DeletionVector  *vector
	Stats           string
}

type protocol struct {
	MinReaderVersion int
	ReaderFeatures   []string
}

type metadata struct {
	SchemaString     string
	PartitionColumns []string
	Configuration    map[string]string
	Format           struct{ Provider string }
}

// action is one line of a commit; one of its members is set.
type action struct {
	Add, Remove *add
	MetaData    *metadata
	Protocol    *protocol
	Sidecar     *struct{ Path string }
}

// state is the table's state after an action.
type state struct {
	adds     map[string]*add // by file and deletion vector
	metadata *metadata
	protocol *protocol
	sidecars []string
	// statistics keeps those of files.
	statistics bool
	// text and stats are the bytes that adds has of paths and partition values, and of
	// statistics.
	text, stats int
}

// count counts the bytes of an added file, or no longer counts them if times is -1.
func (s *state) count(a *add, times int) {
	n := 2 * len(a.Path) // it is in the key too
	for name, value := range a.PartitionValues {
		if n += len(name); value != nil {
			n += len(*value)
		}
	}
	if v := a.DeletionVector; v != nil {
		n += len(v.PathOrInlineDv)
	}
	s.text += times * n
	s.stats += times * len(a.Stats)
}

// drop removes a file.
func (s *state) drop(key string) {
	if before, ok := s.adds[key]; ok {
		s.count(before, -1)
		delete(s.adds, key)
	}
}

// key identifies a file of a version, by its path and its deletion vector as in the format's
// description. So a remove that has no vector does not remove a file that has one: writers
// put both into one commit, in any order, where a file gets its first vector. It uses the decoded name, since writers encode
// different characters of a path.
func (a *add) key() string {
	name, err := localName(a.Path)
	if err != nil {
		name = a.Path
	}
	return name + "\x00" + a.DeletionVector.id()
}

// apply applies an action to the state.
func (s *state) apply(a *action) error {
	switch {
	case a.Add != nil:
		if !s.statistics || s.stats+len(a.Add.Stats) > maxText {
			a.Add.Stats = "" // the file is read as a whole
		}
		key := a.Add.key()
		s.drop(key)
		s.adds[key] = a.Add
		if s.count(a.Add, 1); s.text > maxText {
			return fmt.Errorf("its paths and partition values have more than %d MB; write the table again", maxText>>20)
		}
		if len(s.adds) > maxFiles {
			return fmt.Errorf("it has more than %d files; compact the table (OPTIMIZE)", maxFiles)
		}
	case a.Remove != nil:
		key := a.Remove.key()
		if _, ok := s.adds[key]; !ok { // it may be known by another name
			if _, err := localName(a.Remove.Path); err != nil {
				return err
			}
		}
		s.drop(key)
	case a.MetaData != nil:
		s.metadata = a.MetaData
	case a.Protocol != nil:
		s.protocol = a.Protocol
	case a.Sidecar != nil:
		s.sidecars = append(s.sidecars, a.Sidecar.Path)
	}
	return nil
}

// open opens a file of the folder.
func (f *folder) open(name string) (storage.File, error) {
	o, ok := f.objects[name]
	if !ok {
		return nil, fmt.Errorf("the file %s of the Delta log is missing; restore it, or repair the table (FSCK REPAIR TABLE)", name)
	}
	return storage.OpenSource(f.ctx, o)
}

// lines reads actions in JSON.
func (f *folder) lines(name string, apply func(*action) error) error {
	file, err := f.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Size() > maxCommit {
		return fmt.Errorf("it has %d MB, more than this program reads", file.Size()>>20)
	}
	d := json.NewDecoder(io.NewSectionReader(file, 0, file.Size()))
	for {
		var a action
		switch err := d.Decode(&a); {
		case err == io.EOF:
			return nil
		case isSyntax(err):
			return fmt.Errorf("it is damaged or cut off (byte %d): repair the table, or write it again", d.InputOffset())
		case err != nil:
			return err
		}
		if err := apply(&a); err != nil {
			return err
		}
	}
}

func isSyntax(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, io.ErrUnexpectedEOF)
}

// readable are the reader features that this package and package segment support.
var readable = []string{
	"columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "typeWidening", "typeWidening-preview",
}

func (p *protocol) check() error {
	const most = 3 // version 3 lists features
	if p.MinReaderVersion > most {
		return fmt.Errorf("the table needs version %d of the Delta reader protocol, and this program supports version %d", p.MinReaderVersion, most)
	}
	if p.MinReaderVersion < most {
		return nil
	}
	for _, f := range p.ReaderFeatures {
		if !slices.Contains(readable, f) {
			return fmt.Errorf("the table uses the Delta feature %q, which this program can't read; drop the feature from the table (ALTER TABLE … DROP FEATURE), or write its rows into a folder of Parquet files", f)
		}
	}
	return nil
}

// table returns the version that the log describes.
func (f *folder) table(version int64, s *state) (*Table, error) {
	if s.metadata == nil || s.protocol == nil {
		return nil, errors.New("the Delta log lacks the table's schema or protocol; restore its first commits, or write the table again")
	}
	if err := s.protocol.check(); err != nil {
		return nil, err
	}
	if p := s.metadata.Format.Provider; p != "" && p != "parquet" {
		return nil, fmt.Errorf("the table's files have format %q; only Parquet can be read", p)
	}
	t := &Table{Version: version}
	var err error
	if t.Columns, err = parseColumns(s.metadata.SchemaString, s.metadata.Configuration["delta.columnMapping.mode"]); err != nil {
		return nil, err
	}
	for i, c := range t.Columns {
		t.Columns[i].Partition = slices.Contains(s.metadata.PartitionColumns, c.Name)
	}
	live, listed := map[string]bool{}, map[string]bool{}
	for _, a := range s.adds {
		name, err := localName(a.Path)
		if err != nil {
			return nil, err
		}
		if listed[name] {
			return nil, fmt.Errorf("version %d has the file %s twice, with other deleted rows each time; go back to an earlier version (RESTORE TABLE … TO VERSION AS OF …), or write the table again", version, name)
		}
		for i, c := range t.Columns {
			if _, ok := a.PartitionValues[c.Physical]; ok || !c.Partition {
				continue
			}
			if a.PartitionValues == nil {
				return nil, fmt.Errorf("the file %s of version %d has no value of the partition column %q; go back to a version that has it (RESTORE TABLE … TO VERSION AS OF …), or write the table again", name, version, c.Name)
			}
			t.Columns[i].Absent++
		}
		live[name], listed[name] = true, true
		if v := a.DeletionVector; v != nil && v.StorageType == "u" {
			if name, err := vectorName(v.PathOrInlineDv); err == nil { // Rows returns the error
				live[name] = true
			}
		}
	}
	if err := f.find("", func(name string) bool { return live[name] }); err != nil {
		return nil, err
	}
	for _, a := range s.adds {
		name, err := localName(a.Path)
		if err != nil {
			return nil, err
		}
		o, ok := f.objects[name]
		if !ok {
			return nil, fmt.Errorf("the file %s of version %d is missing: it was vacuumed or deleted; retry, or repair the table (FSCK REPAIR TABLE) and retry then", name, version)
		}
		if a.Size > 0 && a.Size != o.Size {
			return nil, fmt.Errorf("the file %s has %d bytes, and the Delta log says %d; restore it, or repair the table", name, o.Size, a.Size)
		}
		t.Files = append(t.Files, File{Object: o, Partition: a.PartitionValues, vector: a.DeletionVector, stats: a.Stats, objects: f.objects})
	}
	slices.SortFunc(t.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return t, nil
}

// localName returns the name in the table's folder of a path in the log. A path with
// invalid percent-encoding is taken literally.
func localName(p string) (string, error) {
	name, err := url.PathUnescape(p)
	if err != nil {
		name = p
	}
	if strings.Contains(p, "://") || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "file:") || !isBelow(name) {
		return "", errors.New("the Delta log has a file outside of the table's folder, as in a shallow clone; make a deep clone, and name that")
	}
	return name, nil
}

func isBelow(name string) bool {
	return name != "" && path.Clean(name) == name && name != ".." && !strings.HasPrefix(name, "../")
}
