package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/schemas"
)

func (c *Client) Rejects(ctx context.Context, run operate.Run, in gateway.RejectsRequest, yield func(gateway.Reject) error) error {
	path, query := runPath(run, "/rejects")
	for name, value := range map[string]string{"segment": in.Segment, "reason": in.Reason} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if in.Limit > 0 {
		query.Set("limit", strconv.Itoa(in.Limit))
	}
	r, err := c.do(ctx, http.MethodGet, path, query, nil, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	rows := json.NewDecoder(r.Body)
	for {
		var row struct {
			gateway.Reject
			Problem *gateway.Problem `json:"problem"`
		}
		switch err := rows.Decode(&row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the rejects: %w", err)
		case row.Problem != nil:
			return row.Problem.Err()
		}
		if err := yield(row.Reject); err != nil {
			return err
		}
	}
}

func (c *Client) Record(ctx context.Context, run operate.Run, segment string, to io.Writer) error {
	path, query := runPath(run, "/record")
	if segment != "" {
		query.Set("segment", segment)
	}
	r, err := c.do(ctx, http.MethodGet, path, query, nil, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err := io.Copy(to, r.Body); err != nil {
		return fmt.Errorf("read the record of rows: %w", err)
	}
	return nil
}

func (c *Client) Report(ctx context.Context, run operate.Run) ([]byte, error) {
	path, query := runPath(run, "/report")
	r, err := c.do(ctx, http.MethodGet, path, query, nil, nil)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func (c *Client) Overview(ctx context.Context) (report.Overview, error) {
	return call[report.Overview](ctx, c, http.MethodGet, "/v1/overview", nil, nil)
}

func (c *Client) Examples(ctx context.Context, run operate.Run) (map[string]schemas.Examples, error) {
	path, query := runPath(run, "/examples")
	return call[map[string]schemas.Examples](ctx, c, http.MethodGet, path, query, nil)
}
