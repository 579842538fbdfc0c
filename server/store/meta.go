package store

import "context"

// Meta reads a setting of the server itself; ErrNotFound when it was never set.
func (r Reader) Meta(ctx context.Context, key string) (string, error) {
	var value string
	err := r.one(ctx, "reading setting "+key, `SELECT value FROM meta WHERE key = $1`, []any{key}, &value)
	return value, err
}

// SetMeta writes a setting of the server itself.
func (t *Tx) SetMeta(ctx context.Context, key, value string) error {
	_, err := t.exec(ctx, "writing setting "+key,
		`INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}
