package sandbox

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
)

// peopleRecord is how many profiles one record of a compacted journal holds.
const peopleRecord = 16_384

// compact writes a journal of what the server holds in place of the one of that
// name, and gives it open at its end.
func (s *Server) compact(name string) (*os.File, error) {
	file, err := os.OpenFile(name+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file}
	for _, p := range s.projects {
		p.dump(j)
	}
	j.write(recordCompacted, "", nil)
	err = j.failure()
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err == nil {
		err = syncDir(filepath.Dir(name))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// dump writes all that a project holds.
func (p *project) dump(j *journal) {
	var body []byte
	for id := range p.people.count {
		body = p.putPerson(body, id)
		if (id+1)%peopleRecord == 0 || id+1 == p.people.count {
			j.write(recordPeople, p.name, body)
			body = body[:0]
		}
	}
	for _, l := range p.sortedLists() {
		j.writeJSON(recordList, p.name, l.record())
		for n, page := range l.members.pages {
			if page == nil {
				continue
			}
			body = binary.LittleEndian.AppendUint64(body[:0], uint64(l.id))
			body = binary.LittleEndian.AppendUint32(body, uint32(n))
			for _, word := range page {
				body = binary.LittleEndian.AppendUint64(body, word)
			}
			j.write(recordMembers, p.name, body)
		}
	}
	j.writeJSON(recordFields, p.name, p.fields)
	for why, who := range p.marked() {
		j.writeJSON(recordMark, p.name, PeopleMark{People: who, Mark: string(why)})
	}
	if len(p.data) > 0 {
		j.writeJSON(recordData, p.name, p.data)
	}
}

// marked gives the marked people by mark.
func (p *project) marked() map[mark][]string {
	by := map[mark][]string{}
	for who, why := range p.marks {
		by[why] = append(by[why], who)
	}
	return by
}

func (l *list) record() listRecord {
	return listRecord{ID: l.id, Name: l.name, Description: l.description, Type: l.listType, Created: l.created.UnixMilli()}
}

// putPerson appends a profile: the lengths of its address and its user id, a byte
// each, both, and the hash of its dataFields.
func (p *project) putPerson(b []byte, id uint32) []byte {
	_, m := p.people.at(id)
	b = append(b, m.emailLen, m.userLen)
	b = append(append(b, p.people.email(id)...), p.people.user(id)...)
	return binary.LittleEndian.AppendUint64(b, m.fields)
}

var errDamagedRecord = errors.New("a record is damaged")

// takePeople adds the profiles of a record, in the order of their numbers.
func (p *project) takePeople(b []byte) error {
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(b[0])+int(b[1])+8 {
			return errDamagedRecord
		}
		email, rest := b[2:2+int(b[0])], b[2+int(b[0]):]
		user, rest := rest[:b[1]], rest[b[1]:]
		id := p.people.add(email, user)
		_, m := p.people.at(id)
		m.fields = binary.LittleEndian.Uint64(rest)
		b = rest[8:]
	}
	return nil
}

// takeMembers adds a page of a list's members.
func (p *project) takeMembers(b []byte) error {
	if len(b) != 12+pageSize/8 {
		return errDamagedRecord
	}
	l := p.lists[int64(binary.LittleEndian.Uint64(b))]
	first := binary.LittleEndian.Uint32(b[8:]) << pageBits
	if l == nil || first >= p.people.count {
		return errDamagedRecord
	}
	for w := range uint32(pageSize / 64) {
		word := binary.LittleEndian.Uint64(b[12+8*w:])
		for bit := range uint32(64) {
			if id := first + 64*w + bit; word&(1<<bit) != 0 && id < p.people.count {
				l.members.add(id)
			}
		}
	}
	p.version++
	return nil
}
