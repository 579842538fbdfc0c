package bundle

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Create makes a sink for a bundle at path: a zip file if the name ends in .zip,
// else a folder. Until done was called without an error it stands under another
// name, so that a half bundle is never taken for a whole one; after an error of
// the export call abandon.
func Create(path string) (to Sink, done, abandon func() error, err error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, nil, nil, fmt.Errorf("%s exists already: name another place, or remove it first", path)
	}
	part := strings.TrimSuffix(path, string(filepath.Separator)) + ".part"
	if err := os.RemoveAll(part); err != nil {
		return nil, nil, nil, err
	}
	finish := func(err error) error {
		if err != nil {
			return err
		}
		return os.Rename(part, path)
	}
	abandon = func() error { return os.RemoveAll(part) }
	if !strings.HasSuffix(path, ".zip") {
		if err := os.MkdirAll(part, 0o755); err != nil {
			return nil, nil, nil, err
		}
		return folder(part), func() error { return finish(nil) }, abandon, nil
	}
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, nil, nil, err
	}
	z := zip.NewWriter(f)
	return zipped(z), func() error { return finish(errors.Join(z.Close(), f.Sync(), f.Close())) },
		func() error { return errors.Join(f.Close(), os.RemoveAll(part)) }, nil
}

func folder(root string) Sink {
	made := map[string]bool{}
	return func(path string, data []byte) error {
		file := filepath.Join(root, filepath.FromSlash(path))
		if dir := filepath.Dir(file); !made[dir] {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			made[dir] = true
		}
		return os.WriteFile(file, data, 0o644)
	}
}

func zipped(z *zip.Writer) Sink {
	return func(path string, data []byte) error {
		f, err := z.Create(path)
		if err == nil {
			_, err = f.Write(data)
		}
		return err
	}
}
