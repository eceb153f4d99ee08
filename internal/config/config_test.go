package config

import "testing"

func TestExamples(t *testing.T) {
	c, err := LoadConnections("../../examples/connections.yaml")
	if err != nil || len(c.Connections) != 1 || c.Connections[0].Name != "sandbox" {
		t.Errorf("connections.yaml: %v, %v", c, err)
	}
	e, err := LoadExports("../../examples/exports.yaml")
	if err != nil || len(e.Exports) != 2 || e.Exports[0].Fields.List[3].As != "ltv" {
		t.Errorf("exports.yaml: %v, %v", e, err)
	}
}
