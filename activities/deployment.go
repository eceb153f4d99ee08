package activities

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
)

// deployment returns the data root's ID, and creates the ID if it does not exist.
func (a *Activities) deployment(ctx context.Context) (string, error) {
	var d dataroot.Deployment
	found, err := a.Root.ReadJSON(ctx, dataroot.DeploymentKey, &d)
	if err != nil || found && d.ID != "" {
		return d.ID, err
	}
	data, err := json.Marshal(dataroot.Deployment{ID: rand.Text()})
	if err != nil {
		return "", err
	}
	err = a.Root.WriteNew(ctx, dataroot.DeploymentKey, data)
	if err != nil && !errors.Is(err, storage.ErrExists) { // another worker made one at the same time
		return "", err
	}
	_, err = a.Root.ReadJSON(ctx, dataroot.DeploymentKey, &d)
	return d.ID, err
}
