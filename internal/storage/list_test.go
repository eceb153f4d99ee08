package storage

import "context"

// List returns the files that Survey finds.
func List(ctx context.Context, source string) ([]Object, error) {
	found, err := Survey(ctx, source)
	return found.Objects, err
}
