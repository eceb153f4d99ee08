package operate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/schemas"
)

// Attribute is a search attribute of the project as the namespace has it.
type Attribute struct {
	Name string `json:"name"`
	// Type is the type that it should have, as the temporal CLI names it.
	Type string `json:"type"`
	// Has is the type that it has in the namespace, empty where there is none.
	Has string `json:"has"`
}

// Fits tells whether runs can set the attribute.
func (a Attribute) Fits() bool { return a.Has == a.Type }

// Attributes lists the project's search attributes, by name.
func Attributes(ctx context.Context, c client.Client, namespace string) ([]Attribute, error) {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("list the search attributes of namespace %s: %w", namespace, err)
	}
	var out []Attribute
	for _, name := range slices.Sorted(maps.Keys(schemas.SearchAttributes)) {
		a := Attribute{Name: name, Type: schemas.SearchAttributes[name].String()}
		if kind, ok := have.GetCustomAttributes()[name]; ok {
			a.Has = kind.String()
		}
		out = append(out, a)
	}
	return out, nil
}

// HasAttributes tells whether the namespace has all of them, of the right types.
// Where that can't be found out, runs do without.
func HasAttributes(ctx context.Context, c client.Client, namespace string) bool {
	all, err := Attributes(ctx, c, namespace)
	return err == nil && !slices.ContainsFunc(all, func(a Attribute) bool { return !a.Fits() })
}

// AddAttributes makes those that the namespace lacks.
func AddAttributes(ctx context.Context, c client.Client, namespace string, all []Attribute) error {
	missing := map[string]enums.IndexedValueType{}
	for _, a := range all {
		if a.Has == "" {
			missing[a.Name] = schemas.SearchAttributes[a.Name]
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	if err != nil {
		return fmt.Errorf("add search attributes to namespace %s: %w", namespace, err)
	}
	return nil
}
