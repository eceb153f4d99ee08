package activities

import (
	"context"

	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/upload"
	"iterable-segment-export/schemas"
)

// UploadBatches sends one chunk of batches. Its heartbeat has the lowest batch that is not
// acknowledged, the acknowledged ones above it, and the counters; so has a file beside the
// staged ones. A retry continues from the one that has more.
func (a *Activities) UploadBatches(ctx context.Context, in schemas.UploadInput) (_ schemas.UploadCounts, err error) {
	chunk := upload.NewChunk(ctx, in)
	ctx, attempt := a.begin(ctx, in.Run.Deadline, func() any { return chunk.Progress() })
	defer attempt.End(ctx, &err)
	if err := a.upload(ctx, in, chunk, attempt); err != nil {
		return schemas.UploadCounts{}, failure(err, in.Connection.Name)
	}
	return chunk.Progress().Counts, nil
}

// upload sends the rest of a chunk, if the run may still send and the list is its segment's.
func (a *Activities) upload(ctx context.Context, in schemas.UploadInput, chunk *upload.Chunk, attempt *step.Attempt) error {
	ours := func(ctx context.Context) error {
		_, err := a.stillOurs(ctx, in.Run, in.Connection, in.ListID, in.ListOwner)
		return err
	}
	r, err := a.maySend(ctx, in.Run, in.Connection.Name, in.Connection.Host)
	if err == nil && r != nil && (!schemas.Equal(in.Settings, r.Input.Export.Settings) || in.Connection != r.Connection) {
		err = altered(in.Run)
	}
	if err == nil {
		err = noAccess(a.Access.CheckList(ctx, in.Run, in.ListID))
	}
	if err != nil {
		return err
	}
	client, err := a.Clients.Get(in.Connection.Name)
	if err != nil {
		return err
	}
	return chunk.Send(ctx, upload.Options{
		Client: client, Ledger: a.Ledger(), Senders: a.Senders, Metrics: a.Metrics, Attempt: attempt,
		MayBegin: func(ctx context.Context) error {
			if in.Waited {
				if err := a.sameLists(ctx, in.Connection.Name, in.Suppression); err != nil {
					return err
				}
			}
			return ours(ctx)
		},
		MayGoOn: func(ctx context.Context) error {
			if _, err := a.maySend(ctx, in.Run, in.Connection.Name, in.Connection.Host); err != nil {
				return err
			}
			return ours(ctx)
		},
	})
}
