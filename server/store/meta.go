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

// SwapMeta writes a setting if its value is still old, "" for none; it reports
// whether it was. Of several servers one succeeds.
func (t *Tx) SwapMeta(ctx context.Context, key, old, next string) (bool, error) {
	query, args := `UPDATE meta SET value = $2 WHERE key = $1 AND value = $3`, []any{key, next, old}
	if old == "" {
		query, args = `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, []any{key, next}
	}
	n, err := t.exec(ctx, "writing setting "+key, query, args...)
	return n == 1, err
}
