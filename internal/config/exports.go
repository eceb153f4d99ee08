package config

import (
	"cmp"
	"encoding/json"
	"errors"
	slashpath "path"
	"slices"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/timing"
	"iterable-segment-export/internal/where"
	"iterable-segment-export/schemas"
)

// LoadExports reads exports.yaml. Relative paths of sources become absolute, relative to the
// file's folder, so that they do not depend on where a worker was started. The error is a
// *FileError if the file could be read.
func LoadExports(path string) (*schemas.Exports, error) {
	data, err := readFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	return parseExports(path, data)
}

func parseExports(path string, data []byte) (*schemas.Exports, error) {
	folder, err := folderOf(path)
	if err != nil {
		return nil, err
	}
	p := &problems{path: path}
	var out schemas.Exports
	if doc := exportsSchema().read(data, &out, p); doc != nil {
		checkExports(&out, doc, p)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	for i := range out.Exports {
		segments := out.Exports[i].Segments
		for j := range segments {
			segments[j].Source = resolve(folder, segments[j].Source)
		}
	}
	return &out, nil
}

// CheckExports checks exports that were not read from a file. The problems of a single export
// have no positions, because there is no text that a person could look at.
func CheckExports(all *schemas.Exports) error {
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	p := &problems{path: "exports"}
	var out schemas.Exports
	if doc := exportsSchema().read(data, &out, p); doc != nil {
		checkExports(&out, doc, p)
	}
	if len(all.Exports) == 1 {
		p.path = ""
		for i := range p.list {
			p.list[i].Line, p.list[i].Column = 0, 0
		}
	}
	return p.err()
}

func checkExports(all *schemas.Exports, doc *document, p *problems) {
	if all.Refresh != nil {
		checkTiming(*all.Refresh, []string{"refresh"}, doc, p)
	}
	names := map[string]position{}
	for i, e := range all.Exports {
		path := []string{"exports", strconv.Itoa(i)}
		checkName(e.Name, "export", child(path, "name"), names, doc, p)
		if strings.Contains(e.Name, "/") {
			p.add(doc.at(child(path, "name")...), `the name %s contains "/", which separates an export from its segment elsewhere; use another character`, quote(e.Name))
		}
		if schemas.IsTrial(e.Name) {
			p.add(doc.at(child(path, "name")...), `the name %s ends like that of a trial; use another one`, quote(e.Name))
		}
		if schemas.IsRunID(e.Name) {
			p.add(doc.at(child(path, "name")...), `the name %s looks like the ID of a run, which commands accept in place of a name; use another one`, quote(e.Name))
		}
		if e.Name == "." || e.Name == ".." {
			p.add(doc.at(child(path, "name")...), `the name %s means a folder in an address of the gateway; use another one`, quote(e.Name))
		}
		if e.Email == "" && e.UserID == "" {
			p.add(doc.at(path...), "this export has neither email nor userID; name the column that identifies profiles")
		}
		checkSchedule(all, e, path, doc, p)
		checkDurations(e.Settings, path, doc, p)
		switch d := e.Dedupe; {
		case d.By == "" && d.Keep != "" && d.Keep != schemas.KeepNone:
			p.add(doc.at(child(path, "dedupe")...), "dedupe has no by; name the column that says which row is the %s", d.Keep)
		case d.By != "" && d.Keep == schemas.KeepNone:
			p.add(doc.at(child(path, "dedupe", "by")...), "by has no effect with keep: none; leave it out")
		}
		checkReady(e.Ready, child(path, "ready"), doc, p)
		var fields mapping.Names
		for j, f := range e.Fields.List {
			if err := mapping.CheckField(f); err != nil {
				p.add(doc.at(child(path, "fields", strconv.Itoa(j))...), "%v", err)
				continue
			}
			if _, err := fields.Add(cmp.Or(f.Column, f.As), f.As); err != nil {
				p.add(doc.at(child(path, "fields", strconv.Itoa(j))...), "%v", err)
			}
		}
		checkMostLists(e, path, doc, p)
		inExport := map[string]position{}
		for j, s := range e.Segments {
			at := child(path, "segments", strconv.Itoa(j))
			checkName(s.Name, "segment", child(at, "name"), inExport, doc, p)
			checkReady(s.Ready, child(at, "ready"), doc, p)
			checkDivided(e, s, at, inExport, doc, p)
			if s.Where == nil {
				continue
			}
			err := where.Check(s.Where)
			if err == nil {
				err = where.CheckPeople(s.Where, e.Email, e.UserID)
			}
			if err != nil {
				p.add(doc.at(child(at, "where")...), "where: %v", err)
			}
		}
	}
	checkLists(all, doc, p)
}

func checkSchedule(all *schemas.Exports, e schemas.Export, path []string, doc *document, p *problems) {
	at := child(path, "schedule")
	if e.Schedule.Own != nil {
		checkTiming(*e.Schedule.Own, at, doc, p)
	}
	if e.AfterFailure != "" && len(e.After) == 0 {
		p.add(doc.at(child(path, "afterFailure")...), "afterFailure is for exports with after; name the exports that this one is after, or leave it out")
	}
	if len(e.After) > 0 {
		if e.Schedule.Own != nil || e.Schedule.Off {
			p.add(doc.at(at...), "an export with after starts with the refresh of %s, and has no schedule; leave out schedule, or after", quote(e.After[0]))
		}
		return
	}
	if get(doc.root, at...) == schemas.ScheduleRefresh && !doc.has("refresh") {
		p.add(doc.at(at...), `schedule is "refresh", but this file has no refresh: {every: day, at: …} to follow; add one at the top, or set schedule: off`)
	}
}

// checkTiming checks the timing at a path of the document.
func checkTiming(t schemas.Timing, path []string, doc *document, p *problems) {
	_, err := timing.Parse(t)
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		var wrong *timing.Error
		if errors.As(err, &wrong) {
			p.add(doc.at(child(path, wrong.Setting...)...), "%v", wrong)
		}
	}
	if at := child(path, "catchUp"); doc.has(at...) && t.CatchUp < schemas.Duration(schemas.LeastCatchUp) {
		p.add(doc.at(at...), "catchUp is at least 10s, the least that Temporal accepts; leave it out for 1h")
	}
}

func checkDurations(s schemas.Settings, path []string, doc *document, p *problems) {
	if s.Deadline == 0 && doc.has(child(path, "deadline")...) {
		p.add(doc.at(child(path, "deadline")...), "deadline is zero; leave it out for 24h")
	}
	if s.FullEvery == 0 && doc.has(child(path, "fullEvery")...) {
		p.add(doc.at(child(path, "fullEvery")...), "fullEvery is zero; leave it out to send only what changed")
	}
}

// checkReady checks what a schema can't.
func checkReady(r schemas.Ready, path []string, doc *document, p *problems) {
	if r.TimeZone != "" {
		if _, err := time.LoadLocation(r.TimeZone); err != nil {
			p.add(doc.at(child(path, "timeZone")...), "unknown time zone %s; use an IANA name such as Europe/Oslo or America/New_York", quote(r.TimeZone))
		}
	}
	folder, last := slashpath.Split(r.Marker)
	switch at := doc.at(child(path, "marker")...); {
	case r.Marker == "":
	case strings.HasPrefix(folder, "/") || strings.Contains(r.Marker, `\`) || slices.Contains(strings.Split(r.Marker, "/"), "..") || last == "":
		p.add(at, "marker %s must be the name of a file in the source's folder, such as _SUCCESS or done/{date}.txt", quote(r.Marker))
	case strings.ContainsAny(strings.ReplaceAll(folder, "{date}", ""), "*?[{"):
		p.add(at, "marker %s has a wildcard in its folder; only the last part may have some", quote(r.Marker))
	}
}

// target is a segment with the position of its definition.
type target struct {
	export string
	schemas.Targets
	at position
}

// checkLists refuses two segments that would send to the same list: each would remove the
// other's members.
func checkLists(all *schemas.Exports, doc *document, p *problems) {
	before := map[string][]*target{} // by connection
	for i, e := range all.Exports {
		if namedLists(e) > schemas.LargestMaxLists {
			continue // reported elsewhere
		}
		for j, s := range e.Segments {
			t := &target{e.Name, s.Targets(), doc.at("exports", strconv.Itoa(i), "segments", strconv.Itoa(j))}
			t.checkClash(before[e.Connection], e.Connection, p)
			before[e.Connection] = append(before[e.Connection], t)
		}
	}
}

// checkClash refuses a segment that sends to the same list as one before. Two segments of an export
// that name the same list are reported elsewhere.
func (t *target) checkClash(before []*target, connection string, p *problems) {
	for _, o := range before {
		list, same := t.Same(&o.Targets)
		names := func(list string) bool { return slices.Contains(o.Lists, list) }
		switch name := t.Segment.Name; {
		case !same, t.export == o.export && (name == o.Segment.Name || slices.ContainsFunc(t.Lists, names)):
			continue
		case name != o.Segment.Name && (t.Segment.Divided() || o.Segment.Divided()):
			p.add(t.at, "segment %s of export %s could send to the same list of connection %s, %s, as segment %s of export %s in line %d; give one of them another name",
				quote(name), quote(t.export), quote(connection), quote(list), quote(o.Segment.Name), quote(o.export), o.at.line)
		default:
			p.add(t.at, "segment %s of export %s would send to the same list of connection %s as segment %s of export %s in line %d; give it another name, or remove one of them",
				quote(name), quote(t.export), quote(connection), quote(o.Segment.Name), quote(o.export), o.at.line)
		}
		return
	}
}
