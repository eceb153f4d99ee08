package dial

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

// Attribute is a search attribute that runs set, and its state in a namespace.
type Attribute struct {
	Name string `json:"name"`
	// Type is the required type, as the temporal CLI names it.
	Type string `json:"type"`
	// Has is its type in the namespace, empty if it is missing.
	Has string `json:"has"`
}

// Fits reports whether runs can set the attribute.
func (a Attribute) Fits() bool { return a.Has == a.Type }

// Attributes returns the search attributes that runs set, sorted by name.
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

// HasAttributes reports whether the namespace has all of them with the right types.
// It is false if Temporal refuses to list them; runs then set none.
func HasAttributes(ctx context.Context, c client.Client, namespace string) bool {
	all, err := Attributes(ctx, c, namespace)
	return err == nil && !slices.ContainsFunc(all, func(a Attribute) bool { return !a.Fits() })
}

// AddAttributes creates the attributes of all that the namespace lacks.
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
