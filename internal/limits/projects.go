package limits

import (
	"context"
	"fmt"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// projectRecord says which project a connection leads to.
type projectRecord struct {
	Project string `json:"project"`
}

// projectOf returns the recorded project of a connection, or its own if none is recorded.
func projectOf(ctx context.Context, root *storage.Root, connection string) (string, error) {
	r := projectRecord{ownProject(connection)}
	if _, err := root.ReadJSON(ctx, dataroot.ProjectKey(connection), &r); err != nil {
		return "", fmt.Errorf("read which project connection %q leads to: %w", connection, err)
	}
	return r.Project, nil
}

// Leads records that a connection leads to a project of Iterable. Connections to the same
// project share its limits from their next upload on.
func (s *Share) Leads(ctx context.Context, connection, project string) error {
	if s == nil {
		return nil
	}
	known, err := projectOf(ctx, s.root, connection)
	if err == nil && known != project {
		err = s.root.WriteJSON(ctx, dataroot.ProjectKey(connection), projectRecord{project})
	}
	if err != nil {
		return fmt.Errorf("record which project connection %q leads to: %w", connection, err)
	}
	return nil
}

// declare makes the registry obey the settings of all connections that lead to a project.
func (s *Share) declare(ctx context.Context, project string) {
	if s.Settings == nil {
		return
	}
	all, these := s.Settings(), map[string]schemas.Limits{}
	for connection, set := range all {
		if set != (schemas.Limits{}) && s.project(ctx, connection) == project {
			these[connection] = set
		}
	}
	s.registry.declare(project, these, all)
}

// project returns a connection's project. If the data root fails, it is the last known one.
func (s *Share) project(ctx context.Context, connection string) string {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	project, err := projectOf(ctx, s.root, connection)
	if err != nil {
		s.log.Warn("project of a connection not known; its limits are perhaps not shared with other connections", "connection", connection, "error", err)
		return s.registry.lastProject(connection)
	}
	return project
}
